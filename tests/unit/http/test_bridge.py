"""From requests to parameters, base URL and answers, with an endpoint that echoes."""

import json
import logging
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from lsst.dax.vo.config import Limits, ServiceConfig
from lsst.dax.vo.dali import ParamSet, Response
from lsst.dax.vo.errors import NotFoundError, TransientError, VoError
from lsst.dax.vo.http import _forms
from lsst.dax.vo.http._bridge import Endpoint, add_endpoint
from lsst.dax.vo.http._errors import ErrorForm, error_document

type Ask = Callable[..., httpx.Response]

LIMIT = 2000
VOTABLE = "application/x-votable+xml"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HOSTILE_HOSTS = (
    "a/b",
    "a?b=c",
    "a#b",
    "a'||b||'",
    'a"><script>',
    "a b",
    "user@host",
    "host:port",
    "[::1",
    "a,b",
    "é.org",
    "x" * 300,
)


def echo(params: ParamSet, base_url: str, path: dict[str, str]) -> Response:
    document = {"pairs": params.pairs, "base_url": base_url, "path": path}
    return Response(200, "application/json", json.dumps(document).encode())


def make_app(
    answer: Callable[[ParamSet, str, dict[str, str]], Response] = echo,
    errors: ErrorForm = "text",
    **config: Any,
) -> FastAPI:
    app = FastAPI()
    router = APIRouter()
    settings = ServiceConfig(limits=Limits(request_bytes=LIMIT), **config)
    add_endpoint(router, Endpoint("/echo/{name}", "Echo", errors=errors), settings, answer)
    app.include_router(router)
    return app


def pairs_of(response: httpx.Response) -> list[list[str]]:
    assert response.status_code == 200, response.text
    pairs: list[list[str]] = response.json()["pairs"]
    return pairs


PAIRS = [("id", "a b+c&d=é"), ("ID", ""), ("Pos", "CIRCLE 1 2 3"), ("id", "a b+c&d=é")]
WANTED = [["ID", "a b+c&d=é"], ["ID", ""], ["POS", "CIRCLE 1 2 3"], ["ID", "a b+c&d=é"]]


def test_query_string(ask: Ask) -> None:
    assert pairs_of(ask(make_app(), "GET", f"/echo/x?{urlencode(PAIRS)}")) == WANTED


def test_urlencoded_form(ask: Ask) -> None:
    body = urlencode(PAIRS)
    assert pairs_of(ask(make_app(), "POST", "/echo/x", content=body, headers=FORM)) == WANTED


def test_long_form_is_read_beside_the_thread_that_serves_all(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[int, int] = {}

    def parse(text: str, *, keep_blank_values: bool) -> list[tuple[str, str]]:
        threads[len(text)] = threading.get_ident()
        return parse_qsl(text, keep_blank_values=keep_blank_values)

    monkeypatch.setattr(_forms, "parse_qsl", parse)

    def count(params: ParamSet, _base_url: str, _path: dict[str, str]) -> Response:
        return Response(200, "text/plain", b"%d" % len(params.values("A")))

    app, router = FastAPI(), APIRouter()
    config = ServiceConfig(limits=Limits(request_bytes=200_000))
    add_endpoint(router, Endpoint("/count", "Count"), config, count)
    app.include_router(router)
    for values in (1, 30_000):
        content = "&".join(["a=1"] * values)
        assert ask(app, "POST", "/count", content=content, headers=FORM).content == b"%d" % values
    # The query string is short.
    loop, short, long = threads[0], threads[3], threads[4 * 30_000 - 1]
    assert short == loop
    assert long != loop


def test_form_without_a_type(ask: Ask) -> None:
    assert pairs_of(ask(make_app(), "POST", "/echo/x", content="a=1")) == [["A", "1"]]


def test_multipart_form(ask: Ask) -> None:
    fields = [(name, (None, value)) for name, value in PAIRS]
    assert pairs_of(ask(make_app(), "POST", "/echo/x", files=fields)) == WANTED


def test_files_of_a_multipart_form_are_no_parameters(ask: Ask) -> None:
    fields = [("a", (None, "1")), ("table", ("t.vot", b"<VOTABLE/>", "text/xml"))]
    assert pairs_of(ask(make_app(), "POST", "/echo/x", files=fields)) == [["A", "1"]]


def echo_files(params: ParamSet, *_: object) -> Response:
    files = {name: file.read().decode() for name, file in params.files.items()}
    return Response(200, "application/json", json.dumps([params.pairs, files]).encode())


def make_upload_app() -> FastAPI:
    app = FastAPI()
    router = APIRouter()
    settings = ServiceConfig(limits=Limits(request_bytes=LIMIT, upload_bytes=2 * LIMIT))
    add_endpoint(router, Endpoint("/echo/{name}", "Echo", uploads=True), settings, echo_files)
    app.include_router(router)
    return app


def test_files_are_handed_to_services_that_take_them(ask: Ask) -> None:
    large = "x" * int(1.5 * LIMIT)
    fields = [("a", (None, "1")), ("t1", ("t.vot", large, "text/xml")), ("t2", ("", "<b/>", ""))]
    response = ask(make_upload_app(), "POST", "/echo/x", files=fields)
    # A part without the name of a file is a parameter (RFC 7578, 4.2).
    assert response.json() == [[["A", "1"], ["T2", "<b/>"]], {"t1": large}]


def test_files_that_are_too_large(ask: Ask) -> None:
    response = ask(make_upload_app(), "POST", "/echo/x", files={"t": ("t.vot", "x" * 3 * LIMIT)})
    assert response.status_code == 400
    assert response.text.startswith(
        f"UsageError: The request is too long; this service reads up to {3 * LIMIT}"
    )


def test_fields_beside_files_have_their_own_limit(ask: Ask) -> None:
    for fields in ([("a", (None, "x" * (LIMIT + 1)))], [("a", (None, "x" * (LIMIT // 2 + 1)))] * 2):
        response = ask(make_upload_app(), "POST", "/echo/x", files=fields)
        assert response.status_code == 400
        assert response.text.startswith(
            f"UsageError: The request is too long; this service reads up to {LIMIT} "
        )


def test_two_files_of_one_name_are_refused(ask: Ask) -> None:
    fields = [("t", ("a.vot", "<a/>")), ("t", ("b.vot", "<b/>"))]
    response = ask(make_upload_app(), "POST", "/echo/x", files=fields)
    assert response.status_code == 400
    assert response.text.startswith("UsageError: The form has two files 't'; give each a name of its own")


def test_query_string_of_a_post_counts_too(ask: Ask) -> None:
    assert pairs_of(ask(make_app(), "POST", "/echo/x?a=1", data={"b": "2"})) == [["A", "1"], ["B", "2"]]


def test_many_multipart_fields(ask: Ask) -> None:
    """The framework's own limit, 1000 fields, is below that of identifiers."""
    app = FastAPI()
    router = APIRouter()
    add_endpoint(router, Endpoint("/echo/{name}", "Echo"), ServiceConfig(), echo)
    app.include_router(router)
    fields = [("ID", (None, str(number))) for number in range(1500)]
    assert len(pairs_of(ask(app, "POST", "/echo/x", files=fields))) == 1500


def test_parts_of_the_path_are_decoded_once(ask: Ask) -> None:
    assert ask(make_app(), "GET", "/echo/a%20b%2520").json()["path"] == {"name": "a b%20"}


def test_bytes_that_are_no_text_do_no_harm(ask: Ask) -> None:
    assert pairs_of(ask(make_app(), "GET", "/echo/x?a=%ff")) == [["A", "\ufffd"]]
    assert pairs_of(ask(make_app(), "POST", "/echo/x", content=b"a=%ff\xff", headers=FORM)) == [
        ["A", "\ufffd\ufffd"]
    ]


class Pieces(httpx.AsyncByteStream):
    """A body without a Content-Length."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> Any:
        for piece in self._pieces:
            yield piece


@pytest.mark.parametrize(
    "kind", ["declared", "in pieces", "multipart", "multipart in pieces", "file in pieces"]
)
def test_bodies_that_are_too_long(ask: Ask, kind: str) -> None:
    long = b"x" * (LIMIT + 1)
    head = b'--B\r\nContent-Disposition: form-data; name="a"' + (
        b'; filename="f"' if kind == "file in pieces" else b""
    )
    multipart = [head, b"\r\n\r\n", *[b"x" * 100] * (LIMIT // 100), b"\r\n--B--\r\n"]
    multipart_type = {"Content-Type": "multipart/form-data; boundary=B"}
    options: dict[str, Any] = {
        "declared": {"content": b"a=" + long, "headers": FORM},
        "in pieces": {"content": Pieces([b"a=", *[b"x" * 100] * (LIMIT // 100)]), "headers": FORM},
        "multipart": {"content": b"".join(multipart), "headers": multipart_type},
        "multipart in pieces": {"content": Pieces(multipart), "headers": multipart_type},
        "file in pieces": {"content": Pieces(multipart), "headers": multipart_type},
    }[kind]
    response = ask(make_app(), "POST", "/echo/x", **options)
    assert response.status_code == 400
    assert response.text.startswith(f"UsageError: The request is too long; this service reads up to {LIMIT}")


def test_body_at_the_limit_is_read(ask: Ask) -> None:
    body = b"a=" + b"x" * (LIMIT - 2)
    assert pairs_of(ask(make_app(), "POST", "/echo/x", content=body, headers=FORM))[0][0] == "A"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"a=1"),
        ("multipart/form-data; boundary=B", b"--C\r\n\r\n"),
        ("multipart/form-data; boundary=B", b"--B\r\nContent-Disposition: form-data\r\n\r\n1\r\n--B--\r\n"),
        ("application/json", b"{}"),
        ("text/plain", b"a=1"),
    ],
)
def test_bodies_that_are_no_form(ask: Ask, kind: str, body: bytes) -> None:
    response = ask(make_app(), "POST", "/echo/x", content=body, headers={"Content-Type": kind})
    assert (response.status_code, response.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert response.text.startswith("UsageError: ")
    assert "multipart" in response.text


def base_url_of(ask: Ask, app: FastAPI, headers: dict[str, str], **options: Any) -> str:
    response = ask(app, "GET", "/echo/x", headers=headers, **options)
    assert response.status_code == 200, response.text
    base_url: str = response.json()["base_url"]
    return base_url


@pytest.mark.parametrize(
    "host",
    ["vo.example.org", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "A-b.example.org", "under_score"],
)
def test_base_url_is_where_the_request_was_sent(ask: Ask, host: str) -> None:
    assert base_url_of(ask, make_app(), {"Host": host}) == f"http://{host}"


def test_configured_base_url_wins(ask: Ask) -> None:
    app = make_app(base_url="https://data.example.org/vo/", trusted_proxies=("10.0.0.9",))
    headers = {"Host": "other", "X-Forwarded-Host": "third", "X-Forwarded-Proto": "http"}
    assert base_url_of(ask, app, headers) == "https://data.example.org/vo"


FORWARDED = {"Host": "inner:8080", "X-Forwarded-Host": "outer.example.org", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize("trusted", ["10.0.0.1", "10.0.0.0/24"])
def test_forwarded_headers_of_a_trusted_proxy_count(ask: Ask, trusted: str) -> None:
    app = make_app(trusted_proxies=(trusted,))
    assert base_url_of(ask, app, FORWARDED, client="10.0.0.1") == "https://outer.example.org"


def test_the_first_of_several_forwarded_hosts_counts(ask: Ask) -> None:
    app = make_app(trusted_proxies=("10.0.0.1",))
    headers = {"Host": "inner", "X-Forwarded-Host": "first, second", "X-Forwarded-Proto": "HTTPS, http"}
    assert base_url_of(ask, app, headers, client="10.0.0.1") == "https://first"


@pytest.mark.parametrize("client", ["10.0.0.2", "10.0.0.11"])
def test_forwarded_headers_of_others_do_not_count(ask: Ask, client: str) -> None:
    app = make_app(trusted_proxies=("10.0.0.1",))
    assert base_url_of(ask, app, FORWARDED, client=client) == "http://inner:8080"


@pytest.mark.parametrize("host", HOSTILE_HOSTS)
def test_host_that_is_none_is_refused(ask: Ask, host: str) -> None:
    response = ask(make_app(), "GET", "/echo/x", headers={"Host": host.encode()})
    assert response.status_code == 400
    assert response.text.startswith("UsageError: The request was sent to ")


@pytest.mark.parametrize("host", HOSTILE_HOSTS)
def test_host_changes_no_parameter(ask: Ask, host: str) -> None:
    app = make_app(base_url="https://data.example.org")
    assert pairs_of(ask(app, "GET", "/echo/x?a=1", headers={"Host": host.encode()})) == [["A", "1"]]


@pytest.mark.parametrize(
    ("name", "value"), [("X-Forwarded-Host", "a'b"), ("X-Forwarded-Proto", "javascript")]
)
def test_forwarded_header_that_is_none_is_refused(ask: Ask, name: str, value: str) -> None:
    app = make_app(trusted_proxies=("10.0.0.1",))
    assert ask(app, "GET", "/echo/x", headers={name: value}, client="10.0.0.1").status_code == 400


@pytest.mark.parametrize("path", ["/api/tap/availability", "/api/tap/tables"])
def test_head_of_what_can_be_got(ask: Ask, path: str) -> None:
    app = FastAPI()
    router = APIRouter()
    add_endpoint(router, Endpoint(path, "x", methods=("GET",)), ServiceConfig(), echo)
    app.include_router(router)
    got, head = ask(app, "GET", path), ask(app, "HEAD", path)
    assert (head.status_code, head.headers["content-type"]) == (200, "application/json")
    assert head.headers["content-length"] == got.headers["content-length"]


def test_204_has_no_body_and_no_type(ask: Ask) -> None:
    response = ask(make_app(lambda *_: Response(204, "")), "GET", "/echo/x")
    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers
    assert "content-length" not in response.headers


def test_chunks_are_streamed(ask: Ask) -> None:
    response = ask(make_app(lambda *_: Response(200, "text/csv", iter([b"a\n", b"1\n"]))), "GET", "/echo/x")
    assert (response.content, response.headers["content-type"]) == (b"a\n1\n", "text/csv")


def fail(error: Exception) -> Callable[[ParamSet, str, dict[str, str]], Response]:
    def answer(*_: object) -> Response:
        raise error

    return answer


FORMS: list[tuple[ErrorForm, str]] = [("tap", ""), ("sia", "DefaultFault: "), ("datalink", "DefaultFault: ")]


def status_of(content: bytes) -> str:
    """Return the message of an error VOTable, after a look at its form."""
    root = ET.fromstring(content)
    space = "{http://www.ivoa.net/xml/VOTable/v1.3}"
    (resource,) = root.iter(f"{space}RESOURCE")
    assert resource.get("type") == "results"
    (info,) = (item for item in root.iter(f"{space}INFO") if item.get("name") == "QUERY_STATUS")
    assert info.get("value") == "ERROR"
    assert list(root.iter(f"{space}TABLE")) == []
    return info.text or ""


@pytest.mark.parametrize(("form", "word"), FORMS)
def test_defects_are_the_error_document_of_the_standard(
    ask: Ask, form: ErrorForm, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(fail(RuntimeError("secret at /srv/data")), form)
    response = ask(app, "GET", "/echo/x")
    assert (response.status_code, response.headers["content-type"]) == (500, VOTABLE)
    message = status_of(response.content)
    check_generic(message, word, caplog)


def test_defects_are_plain_text_elsewhere(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    response = ask(make_app(fail(RuntimeError("secret at /srv/data"))), "GET", "/echo/x")
    assert (response.status_code, response.headers["content-type"]) == (500, "text/plain; charset=utf-8")
    check_generic(response.text, "Error: ", caplog)


def check_generic(message: str, word: str, caplog: pytest.LogCaptureFixture) -> None:
    assert message.startswith(f"{word}The service failed in a way it did not foresee")
    assert "secret" not in message
    assert "Traceback" not in message
    (record,) = (item for item in caplog.records if item.levelno == logging.ERROR)
    log_id = message.rstrip().removesuffix(")").rpartition(" ")[2]
    assert len(log_id) == 12
    assert log_id in record.getMessage()
    # The log, and only the log, has everything.
    assert record.exc_info is not None
    assert "secret at /srv/data" in str(record.exc_info[1])


@pytest.mark.parametrize(
    ("form", "error", "status", "message"),
    [
        ("tap", NotFoundError("no"), 404, "no"),
        ("sia", NotFoundError("no"), 404, "UsageFault: no"),
        ("datalink", NotFoundError("no"), 404, "NotFoundFault: no"),
        ("tap", TransientError("busy", retry_after=9), 503, "busy"),
        ("sia", TransientError("busy", retry_after=9), 503, "TransientFault: busy"),
        ("datalink", TransientError("busy", retry_after=9), 503, "TransientFault: busy"),
    ],
)
def test_errors_before_the_service_have_its_form(
    form: ErrorForm, error: VoError, status: int, message: str
) -> None:
    response = error_document(error, form)
    assert (response.status, response.media_type) == (status, VOTABLE)
    assert isinstance(response.body, bytes)
    assert status_of(response.body) == message
    assert response.headers == ({"Retry-After": "9"} if status == 503 else {})


@pytest.mark.parametrize(
    ("form", "word"), [("tap", ""), ("sia", "UsageFault: "), ("datalink", "UsageFault: ")]
)
def test_oversized_bodies_have_the_form_of_the_standard(ask: Ask, form: ErrorForm, word: str) -> None:
    body = b"a=" + b"x" * LIMIT
    response = ask(make_app(errors=form), "POST", "/echo/x", content=body, headers=FORM)
    assert (response.status_code, response.headers["content-type"]) == (400, VOTABLE)
    assert status_of(response.content).startswith(f"{word}The request is too long")
