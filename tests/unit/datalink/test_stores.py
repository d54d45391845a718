"""URLs that stores sign: which stores do, and when they are asked."""

import base64
import gc
import hashlib
import http.server
import json
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lsst.resources import ResourcePath

from lsst.dax.vo.datalink.delivery._stores import sign_at_once, sign_when_asked
from lsst.dax.vo.errors import TransientError

MACAROON = "MDAxY2xvY2F0aW9uIGRjYWNoZQ"


class _Dav:
    """A WebDAV server as dCache is one: it gives macaroons to who asks."""

    def __init__(self, product: str) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.status = 200
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def version_string(self) -> str:
                return product

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer, status = b"", 200
                if self.command == "POST":
                    owner.asked.append((self.path, body))
                    status = owner.status
                    answer = json.dumps({"macaroon": MACAROON}).encode()
                self.send_response(status)
                self.send_header("DAV", "1, 2")
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_OPTIONS = do_POST = do_HEAD = _answer  # noqa: N815

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.netloc = f"127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture(params=["dCache/9.2.4", "XrootD/v5.7.1", "Apache/2.4"])
def dav(request: pytest.FixtureRequest) -> Iterator[tuple[_Dav, bool]]:
    store = _Dav(request.param)
    thread = threading.Thread(target=store.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield store, not request.param.startswith("Apache")
    store.server.shutdown()
    store.server.server_close()
    thread.join()
    # lsst.resources leaves the connections of its WebDAV client to the
    # collector, which says so.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


# lsst.resources leaves the connections of its WebDAV client to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("scheme", ["http", "dav"])
def test_macaroons_are_asked_for_when_the_file_is(dav: tuple[_Dav, bool], scheme: str) -> None:
    store, signs = dav
    uri = ResourcePath(f"{scheme}://{store.netloc}/data/a.fits")
    assert (sign_at_once(uri, 600), store.asked) == (None, [])
    url = sign_when_asked(uri, 600)
    if not signs:
        assert (url, store.asked) == (None, [])
        return
    assert url == f"http://{store.netloc}/data/a.fits?authz={MACAROON}"
    assert len(store.asked) == 1
    path, body = store.asked[0]
    assert path == "/data/a.fits"
    assert json.loads(body) == {"caveats": ["activity:DOWNLOAD,LIST"], "validity": "PT600S"}


def test_store_that_gives_no_macaroon_at_present(dav: tuple[_Dav, bool]) -> None:
    store, signs = dav
    store.status = 503
    uri = ResourcePath(f"http://{store.netloc}/data/b.fits")
    if signs:
        with pytest.raises(TransientError, match="signs no URL at present"):
            sign_when_asked(uri, 600)


@pytest.mark.parametrize("sign", [sign_at_once, sign_when_asked])
def test_url_that_is_signed_already_is_given_as_it_is(sign) -> None:
    signed = "https://bucket.example.org/a/b.fits?X-Amz-Signature=abcdef&X-Amz-Expires=60"
    assert sign(ResourcePath(signed), 60) == signed


@pytest.mark.parametrize("sign", [sign_at_once, sign_when_asked])
@pytest.mark.parametrize(
    "text", ["s3://bucket/a.zip#zip-path=b.fits", "resource://lsst.daf.butler/configs/datastore.yaml"]
)
def test_what_no_store_signs(sign, text: str) -> None:
    # Of a member, the store would give the whole archive.
    assert sign(ResourcePath(text), 60) is None


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    # Nothing listens there: signing asks nobody.
    monkeypatch.setenv("S3_ENDPOINT_URL", "http://127.0.0.1:9")


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("sign", [sign_at_once, sign_when_asked])
def test_s3_is_signed_without_a_request(sign) -> None:
    url = urlsplit(sign(ResourcePath("s3://bucket/run/a%20b.fits"), 600))
    assert (url.netloc, unquote(url.path)) == ("127.0.0.1:9", "/bucket/run/a b.fits")
    query = parse_qs(url.query)
    assert "the-secret" not in url.query
    assert {"X-Amz-Signature", "X-Amz-Expires"} <= set(query) or {"Signature", "Expires"} <= set(query)


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[rsa.RSAPublicKey]:
    """Be a service account of Google's, and return the key that verifies it."""
    pytest.importorskip("google.cloud.storage")
    from lsst.resources import gs

    key = rsa.generate_private_key(65537, 2048)
    account = {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "1",
        "private_key": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        "client_email": "vo@project.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "http://127.0.0.1:9/token",
    }
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
    monkeypatch.setattr(gs, "_client", None)
    yield key.public_key()
    monkeypatch.setattr(gs, "_client", None)


def test_google_is_signed_without_a_request(google: rsa.RSAPublicKey) -> None:
    text = sign_at_once(ResourcePath("gs://bucket/run/a.fits"), 600)
    assert text is not None
    url = urlsplit(text)
    assert (url.netloc, url.path) == ("storage.googleapis.com", "/bucket/run/a.fits")
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert query["X-Goog-Expires"] == "600"
    # The signing process V4 of Google's documentation, backwards.
    signature = bytes.fromhex(query.pop("X-Goog-Signature"))
    canonical = "\n".join(
        [
            "GET",
            url.path,
            "&".join(f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in sorted(query)),
            "host:storage.googleapis.com",
            "",
            "host",
            "UNSIGNED-PAYLOAD",
        ]
    )
    scope = query["X-Goog-Credential"].partition("/")[2]
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signed = "\n".join(["GOOG4-RSA-SHA256", query["X-Goog-Date"], scope, digest])
    google.verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256())


def test_google_without_a_key_signs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("google.cloud.storage")
    from lsst.resources import gs

    # What somebody has who logged in: no key of a service account.
    person = {
        "type": "authorized_user",
        "client_id": "x",
        "client_secret": "y",
        "refresh_token": base64.b64encode(b"z").decode(),
    }
    (tmp_path / "person.json").write_text(json.dumps(person))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "person.json"))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "project")
    monkeypatch.setattr(gs, "_client", None)
    assert sign_at_once(ResourcePath("gs://bucket/run/a.fits"), 600) is None
    monkeypatch.setattr(gs, "_client", None)
