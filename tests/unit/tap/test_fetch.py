"""Files that the server fetches: from whom, how much, how long."""

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lsst.dax.vo.errors import TransientError, UsageError
from lsst.dax.vo.tap import _fetch, _sockets
from lsst.dax.vo.tap._fetch import fetch_file

CONTENT = b"<VOTABLE/>" * 5000


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        match path:
            case "/table":
                self._answer(200, CONTENT)
            case "/asked":
                self._answer(200, f"{query} {self.headers['Accept-Encoding']}".encode())
            case "/there":
                self._answer(302, b"", Location="/table")
            case "/elsewhere":
                self._answer(302, b"", Location=query.replace("%20", " "))
            case "/round":
                self._answer(307, b"", Location="/round")
            case "/slow":
                self.send_response(200)
                self.end_headers()
                try:
                    for _ in range(200):
                        self.wfile.write(b"x")
                        time.sleep(0.05)
                except OSError:
                    pass
                self.close_connection = True
            case "/continue":
                self._drip(b"HTTP/1.1 100 C\r\n\r\n")
            case "/drip":
                self._drip(b"HTTP/1.1 200 OK\r\nX: ", b"x")
            case "/flood":
                self._drip(*[b"HTTP/1.1 100 C\r\n\r\n"] * 200, pause_s=0.0)
            case "/endless":
                self.send_response(200)
                self.end_headers()
                try:
                    while True:
                        self.wfile.write(b"x" * 10_000)
                except OSError:
                    self.close_connection = True
            case "/short":
                self.send_response(200)
                self.send_header("Content-Length", "100")
                self.end_headers()
                self.wfile.write(b"x")
                self.close_connection = True
            case _:
                self._answer(404, b"no")

    def _drip(self, *parts: bytes, pause_s: float = 0.05) -> None:
        try:
            self.connection.sendall(b"".join(parts[:-1]))
            for _ in range(20_000 if pause_s == 0 else 60):
                self.connection.sendall(parts[-1])
                time.sleep(pause_s)
        except OSError:
            pass
        self.close_connection = True

    def _answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """Run a server on this machine, which is no public place."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(url: str, *hosts: str, **options: Any) -> bytes:
    options = {"max_bytes": 10**6, "seconds": 20.0} | options
    with fetch_file(url, hosts=hosts, **options) as file:
        return file.read()


def test_file_of_an_allowed_host(host: str) -> None:
    assert fetch(f"http://{host}/table", host) == CONTENT
    assert fetch(f"HTTP://{host}/asked?a=b%20c&d#e", "other.org", host) == b"a=b%20c&d identity"


def test_redirect_on_an_allowed_host(host: str) -> None:
    assert fetch(f"http://{host}/there", host) == CONTENT


@pytest.mark.parametrize(
    "hosts",
    [(), ("example.org",), ("127.0.0.1",), ("127.0.0.1:1",), ("*.0.0.1:1",)],
    ids=["none", "another", "usual port", "another port", "pattern of another port"],
)
def test_other_hosts_are_refused(host: str, hosts: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"UPLOAD: this service fetches no tables from '127.0.0.1:\d+'"):
        fetch(f"http://{host}/table", *hosts)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001"])
def test_private_addresses_must_be_named(host: str, name: str) -> None:
    port = host.partition(":")[2]
    with pytest.raises((UsageError, TransientError), match=r"private network|cannot be fetched"):
        fetch(f"http://{name}:{port}/table", f"*:{port}")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 (asked, not listened on)
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("ff02::1", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert _fetch._is_public(address) is public


def test_host_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: Any, **__: Any) -> list[Any]:
        return [(2, 1, 6, "", (address, 80)) for address in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(UsageError, match=r"'data\.example\.org' is in a private network"):
        fetch("http://data.example.org/t", "*.example.org")


def test_the_address_that_was_checked_is_asked(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere when it is looked up again changes nothing."""
    port = int(host.partition(":")[2])
    answers = [[(2, 1, 6, "", ("127.0.0.1", port))], [(2, 1, 6, "", ("203.0.113.1", port))]]
    real = socket.getaddrinfo

    def resolve(name: str, *rest: Any, **options: Any) -> list[Any]:
        return answers.pop(0) if name == "data.example.org" else real(name, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert fetch(f"http://data.example.org:{port}/table", f"data.example.org:{port}") == CONTENT
    assert len(answers) == 1


@pytest.mark.parametrize(
    ("entry", "name"),
    [("*.example.org", "example.org"), ("*.example.org", "badexample.org"), ("x.org", "ax.org")],
)
def test_patterns_are_of_whole_names(entry: str, name: str) -> None:
    with pytest.raises(UsageError, match="fetches no tables from"):
        fetch(f"http://{name}/t", entry)


def test_redirect_to_another_host_is_refused(host: str) -> None:
    for target in ("http://127.0.0.2/x", "http://127.0.0.1:1/x", "//localhost/x"):
        with pytest.raises(UsageError, match="this service fetches no tables from"):
            fetch(f"http://{host}/elsewhere?{target}", host)
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x/"):
        with pytest.raises(UsageError, match="is not fetched by this service"):
            fetch(f"http://{host}/elsewhere?{target}", host)


def test_redirects_without_end_are_refused(host: str) -> None:
    with pytest.raises(UsageError, match="leads on and on"):
        fetch(f"http://{host}/round", host)


@pytest.mark.parametrize("url", ["http://user:secret@{}/table", "http://user@{}/table"])
def test_user_names_are_refused(host: str, url: str) -> None:
    with pytest.raises(UsageError, match="a URL with a user name is not fetched") as caught:
        fetch(url.format(host), host)
    assert "secret" not in str(caught.value)


def test_status_that_is_no_success_is_told(host: str) -> None:
    with pytest.raises(UsageError, match="answers with status 404; give the URL of a VOTable"):
        fetch(f"http://{host}/nothing", host)


def test_size_is_limited(host: str) -> None:
    assert len(fetch(f"http://{host}/table", host, max_bytes=len(CONTENT))) == len(CONTENT)
    for path in ("table", "endless"):
        with pytest.raises(UsageError, match="has more than 49999 bytes; send a smaller table"):
            fetch(f"http://{host}/{path}", host, max_bytes=49_999)


def test_time_is_limited(host: str) -> None:
    with pytest.raises(TransientError, match="takes too long"):
        fetch(f"http://{host}/slow", host, seconds=0.2)


@pytest.mark.parametrize("path", ["continue", "drip"])
def test_time_of_a_head_is_limited(host: str, path: str) -> None:
    """Each byte begins the timeout of a socket anew."""
    begun_s = time.monotonic()
    with pytest.raises(TransientError, match="takes too long"):
        fetch(f"http://{host}/{path}", host, seconds=0.3)
    with pytest.raises(TransientError, match="takes too long"):
        fetch(f"http://{host}/{path}", host, is_over=lambda: time.monotonic() > begun_s + 0.6)
    assert time.monotonic() < begun_s + 10


def test_client_that_is_gone_ends_the_silence_of_a_host() -> None:
    begun_s = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(TransientError, match="takes too long"):
            fetch(f"http://{place}/x", place, is_over=lambda: time.monotonic() > begun_s + 0.1)
    assert time.monotonic() < begun_s + 10


def soon() -> Callable[[], bool]:
    """Return what tells that nobody waits, from now in a moment on."""
    begun_s = time.monotonic()
    return lambda: time.monotonic() > begun_s + 0.1


def test_client_that_is_gone_ends_a_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system cannot be told to stop; there is a limit of what is left to it."""
    go_on = threading.Event()

    def resolve(*_: Any, **__: Any) -> list[Any]:
        go_on.wait(60)
        raise socket.gaierror("nothing found")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(_sockets, "_LOOK_UPS", threading.BoundedSemaphore(2))
    begun_s = time.monotonic()
    for _ in range(2):
        with pytest.raises(TransientError, match="takes too long"):
            fetch("http://data.example.org/t", "data.example.org", is_over=soon())
    with pytest.raises(TransientError, match="too many hosts do not answer now"):
        fetch("http://data.example.org/t", "data.example.org")
    assert time.monotonic() < begun_s + 10
    go_on.set()
    for thread in threading.enumerate():
        if thread.name == "upload-look-up":
            thread.join(20)
    # Those that were left have made room.
    with pytest.raises(TransientError, match="cannot be fetched now"):
        fetch("http://data.example.org/t", "data.example.org")


def test_client_that_is_gone_ends_a_connection_that_nobody_takes() -> None:
    begun_s = time.monotonic()
    with socket.socket() as listener, ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        place = listener.getsockname()
        # Its queue is full: whoever comes now is not answered.
        for _ in range(3):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(place)
        name = f"127.0.0.1:{place[1]}"
        with pytest.raises(TransientError, match="takes too long"):
            fetch(f"http://{name}/x", name, is_over=soon())
    assert time.monotonic() < begun_s + 8


def test_client_that_is_gone_ends_a_handshake() -> None:
    begun_s = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(TransientError, match="takes too long"):
            fetch(f"https://{place}/x", place, is_over=soon())
    assert time.monotonic() < begun_s + 8


def test_second_address_is_asked_when_the_first_is_out_of_use(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(host.partition(":")[2])
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", 0))
        places = [("127.0.0.2", taken.getsockname()[1]), ("127.0.0.1", port)]
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", place) for place in places]
        )
        assert fetch(f"http://data.example.org:{port}/table", f"data.example.org:{port}") == CONTENT


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate of the name ``localhost``, with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command = [openssl, "req", "-x509", *kind, *names, "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def test_https_with_the_certificate_of_its_name(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    port = server.server_address[1]
    try:
        with pytest.raises(TransientError, match="cannot be fetched now"):
            fetch(f"https://localhost:{port}/table", f"localhost:{port}")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert fetch(f"https://localhost:{port}/table", f"localhost:{port}") == CONTENT
        # The same host, by a name that the certificate is not of.
        with pytest.raises(TransientError, match="cannot be fetched now"):
            fetch(f"https://127.0.0.1:{port}/table", f"127.0.0.1:{port}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_size_of_a_head_is_limited(host: str) -> None:
    with pytest.raises(UsageError, match="answers with more than 65536 bytes before its content"):
        fetch(f"http://{host}/flood", host)


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "http://a]b/",
        "http://a..b/",
        "http://.a/",
        f"http://{'a' * 300}/",
        f"http://{'a.' * 150}b/",
        f"http://{'\xfc' * 62}/",
        "http://a b/",
        "http://a\0b/",
        "http://a/b c",
        "http://a/\xfc",
    ],
)
def test_what_is_no_url_is_no_reason_to_try_again(url: str) -> None:
    with pytest.raises(UsageError, match=r"is no URL; write it as http://host/path"):
        fetch(url, "*")


@pytest.mark.parametrize("location", ["http://[::1", "http://a]b/", "/b c"])
def test_redirect_to_what_is_no_url(host: str, location: str) -> None:
    with pytest.raises(UsageError, match=r"is no URL"):
        fetch(f"http://{host}/elsewhere?{location.replace(' ', '%20')}", host)


def test_client_that_is_gone_ends_it(host: str) -> None:
    with pytest.raises(TransientError, match="takes too long"):
        fetch(f"http://{host}/slow", host, is_over=lambda: True)


def test_content_that_breaks_off_is_told(host: str) -> None:
    with pytest.raises(TransientError, match="cannot be fetched now"):
        fetch(f"http://{host}/short", host)


def test_host_that_does_not_answer_is_told() -> None:
    with socket.socket() as taken:
        # A port that nobody listens on.
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(TransientError, match="cannot be fetched now; try again later"):
            fetch(f"http://{place}/x", place)
    with pytest.raises(TransientError, match="cannot be fetched now"):
        fetch("http://no-such-host.invalid/x", "no-such-host.invalid")
