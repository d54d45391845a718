"""What is tried against the delivery of files, and what comes of it: a row each.

All of it goes to a real server through a real socket, as bytes that no client
library has put right.  The page ``doc/security.md`` shows the same table; a
test compares the two.
"""

import http.client
import logging
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from uuid import UUID

import numpy as np
import pytest
import uvicorn
from astropy.io import fits
from lsst.daf.butler import Butler, DataCoordinate, DatasetRef, FileDataset
from pydantic import SecretStr

from lsst.dax.vo.config import DeliveryConfig, Limits, RepositoryConfig, ServiceConfig, SigningKey
from lsst.dax.vo.datalink import HmacKey, sign_path
from lsst.dax.vo.http import create_app
from lsst.dax.vo.http._zerocopy import ZeroCopyProtocol
from lsst.dax.vo.services import build_services

NOW_S = 1_800_000_000
LIFETIME_S = 3600
NEW, OLD, TAKEN_AWAY = "the secret of the new key", "the secret of the old key", "the secret of a key of then"
USER = "X-Auth-Request-User"
PROXY, STRANGER = "127.0.0.1", "127.0.0.2"
MOST_IDS = 20
MOST_BYTES = 100_000


@dataclass
class Server:
    """A server, and what an attacker may know of it."""

    port: int
    ids: dict[str, UUID]
    root: Path
    clock_s: list[float]
    records: list[str]

    def send(self, attack: "Request") -> "Answer":
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=30, source_address=(attack.client, 0)
        )
        self.clock_s[0] = NOW_S + attack.later_s
        try:
            connection.putrequest(attack.method, attack.target, skip_host=True)
            for name, value in {"Host": f"127.0.0.1:{self.port}", **attack.headers}.items():
                for one in value if isinstance(value, list) else [value]:
                    connection.putheader(name, one)
            if attack.body:
                connection.putheader("Content-Type", "application/x-www-form-urlencoded")
                connection.putheader("Content-Length", str(len(attack.body)))
            connection.endheaders(attack.body or None)
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    def signed(self, name: str = "coadd", user: str | None = None) -> "Request":
        """Return the request that the owner of a URL sends."""
        headers = {} if user is None else {USER: user}
        links = self.send(Request(f"/api/datalink/links?ID={self.ids[name]}", headers=headers))
        url = re.search(rb"<TD>(http[^<]*/api/files/[^<]*)</TD>", links.body)
        assert url is not None, links.body
        parts = urlsplit(url[1].decode().replace("&amp;", "&"))
        return Request(f"{parts.path}?{parts.query}", headers=headers)


@dataclass(frozen=True)
class Request:
    """A request, byte for byte."""

    target: str
    method: str = "GET"
    headers: dict[str, str | list[str]] = field(default_factory=dict)
    body: bytes = b""
    client: str = PROXY
    later_s: float = 0.0

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2]))

    def asking(self, path: str | None = None, **changes: str | None) -> "Request":
        """Change the path, and parameters of the query; `None` leaves one out."""
        query = {**self.query, **changes}
        text = urlencode({name: value for name, value in query.items() if value is not None})
        return replace(self, target=f"{self.path if path is None else path}?{text}")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


def _twin(signature: str) -> str:
    # The last of 43 characters holds four bits and two unused ones.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1]


def _other_digits(number: int) -> str:
    return "".join(chr(0x660 + int(digit)) for digit in str(number))


def _changed(signature: str) -> str:
    return ("A" if signature[0] != "A" else "B") + signature[1:]


def _owned(server: Server, name: str) -> Request:
    # Of a file that was another when its URL was given.
    path = f"/api/files/coadds/{server.ids[name]}/x.fits"
    return Request(f"{path}?{sign_path(path, HmacKey('new', NEW.encode()), NOW_S + LIFETIME_S)}")


def _signed_by(server: Server, secret: str, key_id: str, *, after_s: int = LIFETIME_S) -> Request:
    path = server.signed().path
    key = HmacKey(key_id, secret.encode())
    return Request(f"{path}?{sign_path(path, key, NOW_S + after_s)}")


def _with_path(server: Server, path: str) -> Request:
    own = server.signed()
    return replace(own, target=f"{path}?{own.target.partition('?')[2]}")


def _beside(server: Server, name: str) -> str:
    # The same place in the path, with another end.
    return server.signed().path.rpartition("/")[0] + "/" + name


def _links(*ids: str) -> Request:
    return Request("/api/datalink/links", "POST", body=urlencode([("ID", text) for text in ids]).encode())


@dataclass(frozen=True)
class Attack:
    """A row of the table."""

    send: Request | Callable[[Server], Request]
    status: int
    says: str
    """Pattern of the answer's text."""


_INVALID = "AuthorizationError: The signature of this URL is not valid"
_NOTHING = "There is nothing at"
_OUTSIDE = "AuthorizationError: .* is a symbolic link out of the datastore"
_ROW = "<TD>UsageFault: "

ATTACKS: dict[str, dict[str, Attack]] = {
    "signatures": {
        "no signature": Attack(lambda s: s.signed().asking(signature=None), 401, "needs its signature"),
        "no query at all": Attack(lambda s: Request(s.signed().path), 401, "needs its signature"),
        "signature changed in one character": Attack(
            lambda s: s.signed().asking(signature=_changed(s.signed().query["signature"])), 403, _INVALID
        ),
        "signature cut short": Attack(
            lambda s: s.signed().asking(signature=s.signed().query["signature"][:-1]), 403, _INVALID
        ),
        "signature made longer": Attack(
            lambda s: s.signed().asking(signature=s.signed().query["signature"] + "="), 403, _INVALID
        ),
        "another text of the same bytes": Attack(
            lambda s: s.signed().asking(signature=_twin(s.signed().query["signature"])), 403, _INVALID
        ),
        "signature in capitals": Attack(
            lambda s: s.signed().asking(signature=s.signed().query["signature"].upper()), 403, _INVALID
        ),
        "signature beyond ASCII": Attack(lambda s: s.signed().asking(signature="é" * 43), 403, _INVALID),
        "two signatures": Attack(
            lambda s: replace(s.signed(), target=s.signed().target + "&signature=" + "A" * 43),
            400,
            "SIGNATURE takes one value",
        ),
        "URL that has ended": Attack(
            lambda s: replace(s.signed(), later_s=LIFETIME_S + 1),
            403,
            "This URL ended at 2027-01-15T09:00:00Z",
        ),
        "end moved to later": Attack(
            lambda s: s.signed().asking(expires=str(NOW_S + 2 * LIFETIME_S)), 403, _INVALID
        ),
        "end moved to earlier": Attack(lambda s: s.signed().asking(expires=str(NOW_S + 60)), 403, _INVALID),
        "end in other digits": Attack(
            lambda s: s.signed().asking(
                expires="".join(chr(0x660 + int(c)) for c in str(NOW_S + LIFETIME_S))
            ),
            403,
            _INVALID,
        ),
        "end of 5000 digits": Attack(lambda s: s.signed().asking(expires="9" * 5000), 403, _INVALID),
        "signed for longer than URLs last": Attack(
            lambda s: _signed_by(s, NEW, "new", after_s=10 * LIFETIME_S), 403, _INVALID
        ),
        "signed by a key that was taken away": Attack(
            lambda s: _signed_by(s, TAKEN_AWAY, "then"), 403, _INVALID
        ),
        "signed with another secret": Attack(lambda s: _signed_by(s, TAKEN_AWAY, "new"), 403, _INVALID),
        "name of another key": Attack(lambda s: s.signed().asking(key="old"), 403, _INVALID),
        "name of no key": Attack(lambda s: s.signed().asking(key="new\nnew"), 403, _INVALID),
        "replayed for another dataset": Attack(
            lambda s: _with_path(s, s.signed().path.replace(str(s.ids["coadd"]), str(s.ids["other"]))),
            403,
            _INVALID,
        ),
        "replayed for another repository": Attack(
            lambda s: _with_path(s, s.signed().path.replace("/coadds/", "/others/")), 403, _INVALID
        ),
        "replayed for another file name": Attack(
            lambda s: _with_path(s, _beside(s, "index.html")), 403, _INVALID
        ),
        "replayed for a result of a job": Attack(
            lambda s: _with_path(s, "/api/cutout/results/abc/result"), 403, _INVALID
        ),
        "by POST": Attack(lambda s: replace(s.signed(), method="POST"), 405, "POST is not accepted"),
    },
    "users": {
        "URL of another user": Attack(
            lambda s: replace(s.signed(user="ada"), headers={USER: "bob"}), 403, _INVALID
        ),
        "URL of a user, by nobody": Attack(
            lambda s: replace(s.signed(user="ada"), headers={}), 401, "is for one user alone; log in"
        ),
        "URL of a user made one for all": Attack(
            lambda s: replace(s.signed(user="ada").asking(bound=None), headers={}), 403, _INVALID
        ),
        "URL for all made one of a user": Attack(
            lambda s: replace(s.signed().asking(bound="1"), headers={USER: "ada"}), 403, _INVALID
        ),
        "name of a user that no proxy sent": Attack(
            lambda s: replace(s.signed(user="ada"), client=STRANGER), 401, "is for one user alone; log in"
        ),
        "two names of users": Attack(
            lambda s: replace(s.signed(user="ada"), headers={USER: ["bob", "ada"]}), 400, "names no user"
        ),
        "two names in one header": Attack(
            lambda s: replace(s.signed(user="ada"), headers={USER: "bob, ada"}), 400, "names no user"
        ),
    },
    "paths": {
        "dots": Attack(lambda s: _with_path(s, "/api/files/coadds/../../etc/passwd"), 404, _NOTHING),
        "dots for the name": Attack(lambda s: _with_path(s, _beside(s, "..")), 403, _INVALID),
        "encoded dots": Attack(lambda s: _with_path(s, _beside(s, "%2e%2e")), 403, _INVALID),
        "encoded slashes": Attack(
            lambda s: _with_path(s, _beside(s, "..%2f..%2f..%2fetc%2fpasswd")), 404, _NOTHING
        ),
        "twice encoded": Attack(
            lambda s: _with_path(s, _beside(s, "%252e%252e%252f%252e%252e%252fetc%252fpasswd")), 403, _INVALID
        ),
        "backslashes": Attack(lambda s: _with_path(s, _beside(s, "..%5c..%5cetc%5cpasswd")), 403, _INVALID),
        "overlong UTF-8": Attack(
            lambda s: _with_path(s, _beside(s, "%c0%ae%c0%ae%c0%afetc%c0%afpasswd")), 403, _INVALID
        ),
        "dots of another alphabet": Attack(
            lambda s: _with_path(s, _beside(s, quote("\uff0e\uff0e\uff0fetc\uff0fpasswd"))), 403, _INVALID
        ),
        "NUL": Attack(lambda s: _with_path(s, s.signed().path + "%00.png"), 403, _INVALID),
        "line ends": Attack(lambda s: _with_path(s, _beside(s, "x%0d%0aSet-Cookie:%20a=b")), 403, _INVALID),
        "absolute path": Attack(lambda s: _with_path(s, "/api/files//etc/passwd"), 404, _NOTHING),
        "a file for the dataset": Attack(
            lambda s: _with_path(s, "/api/files/coadds/butler.yaml/x"), 403, _INVALID
        ),
        "file name in capitals": Attack(lambda s: _with_path(s, s.signed().path.upper()), 404, _NOTHING),
        "slash at the end": Attack(lambda s: _with_path(s, s.signed().path + "/"), 307, "^$"),
        "path of 60,000 characters": Attack(lambda s: _with_path(s, _beside(s, "a" * 60_000)), 403, _INVALID),
    },
    "links on the disk": {
        "file is a link out of the datastore": Attack(lambda s: _owned(s, "linked"), 403, _OUTSIDE),
        "folder is a link out of the datastore": Attack(lambda s: _owned(s, "in a folder"), 403, _OUTSIDE),
        "file ingested in place became a link": Attack(lambda s: _owned(s, "direct"), 403, _OUTSIDE),
        "file became a pipe": Attack(lambda s: _owned(s, "pipe"), 503, "ServiceUnavailable: "),
        "file became a folder": Attack(lambda s: _owned(s, "folder"), 503, "ServiceUnavailable: "),
    },
    "headers": {
        "file name with quotes, line ends and letters": Attack(lambda s: _owned(s, "named"), 200, "SIMPLE"),
        "range of nonsense": Attack(
            lambda s: replace(s.signed(), headers={"Range": "bytes=0-1,x"}), 200, "SIMPLE"
        ),
        "a thousand ranges": Attack(
            lambda s: replace(s.signed(), headers={"Range": "bytes=" + "0-1,3-4," * 500}), 200, "SIMPLE"
        ),
        "the whole file a hundred times": Attack(
            lambda s: replace(s.signed(), headers={"Range": "bytes=" + "0-," * 100}), 206, "SIMPLE"
        ),
        "range of 5000 digits": Attack(
            lambda s: replace(s.signed(), headers={"Range": f"bytes={'9' * 5000}-"}),
            416,
            "No byte of the range",
        ),
        "another host": Attack(
            lambda s: replace(s.signed(), headers={"X-Forwarded-Host": "evil.example\\@x"}), 400, "no address"
        ),
    },
    "identifiers": {
        "more than are answered": Attack(
            _links(*(f"{UUID(int=i)}" for i in range(1000))), 200, 'value="OVERFLOW"'
        ),
        "more bytes than are read": Attack(
            _links("x" * (MOST_BYTES + 1)), 400, "UsageFault: The request is too long"
        ),
        "one of 50,000 characters": Attack(_links("x" * 50_000), 200, _ROW),
        "quotes": Attack(_links("' OR '1'='1' --", '"; DROP TABLE dataset; --'), 200, _ROW),
        "letters of all alphabets": Attack(_links("ivo://é/日本?id=\U0001f52d\u202e"), 200, _ROW),
        "NUL": Attack(lambda s: _links(f"butler://coadds/{s.ids['coadd']}\0"), 200, _ROW),
        "line ends": Attack(lambda s: _links(f"butler://coadds/{s.ids['coadd']}\r\nX: y"), 200, _ROW),
        "markup": Attack(_links("<script>alert(1)</script>]]>&#0;"), 200, _ROW),
        "path": Attack(_links("butler://coadds/../../etc/passwd", "file:///etc/passwd"), 200, _ROW),
        "quotes in the stable URL": Attack(
            Request("/api/datalink/file?ID=" + quote("' OR '1'='1")), 400, "UsageError: "
        ),
        "line ends in the stable URL": Attack(
            lambda s: Request(f"/api/datalink/file?ID={s.ids['coadd']}%0d%0aSet-Cookie:%20a=b"),
            400,
            "UsageError: ",
        ),
        "two in the stable URL": Attack(
            lambda s: Request(f"/api/datalink/file?ID={s.ids['coadd']}&ID={s.ids['other']}"),
            400,
            "MultiValuedParamNotSupported: ",
        ),
    },
}
ROWS = [(group, name) for group, attacks in ATTACKS.items() for name in attacks]


SECRET = "a secret that only the service may read"


def _ingest(root: Path, run: str, path: Path, transfer: str | None = None) -> UUID:
    """Put a file into the datastore as it lies there, or where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList([fits.PrimaryHDU(np.zeros((40, 50), dtype="f4"))]).writeto(path)
    with Butler.from_config(str(root), run=run) as butler:
        kind = butler.get_dataset_type("deepCoadd_calexp")
        ref = DatasetRef(
            kind,
            DataCoordinate.standardize(skymap="sky", tract=4431, patch=2, universe=butler.dimensions),
            run=run,
        )
        dataset = FileDataset(
            path=str(path), refs=[ref], formatter="lsst.daf.butler.formatters.file.FileFormatter"
        )
        butler.ingest(dataset, transfer=transfer)
    return ref.id


def _spoil(root: Path, folder: Path) -> dict[str, UUID]:
    """Do what somebody can who may write to one folder of a shared datastore."""
    beyond = folder / "beyond"
    beyond.mkdir()
    (beyond / "secret.txt").write_text(SECRET)
    linked, inside = root / "mallory" / "a.fits", root / "mallory" / "sub" / "b.fits"
    direct, pipe, other = (
        folder / "direct" / "c.fits",
        root / "mallory" / "d.fits",
        root / "mallory" / "e.fits",
    )
    named = root / "mallory" / 'x"; filename=y.exe\r\nSet-Cookie: a=b;é.fits'
    ids = {
        "linked": _ingest(root, "linked", linked),
        "in a folder": _ingest(root, "inside", inside),
        "direct": _ingest(root, "direct", direct, "direct"),
        "pipe": _ingest(root, "pipe", pipe),
        "folder": _ingest(root, "folder", other),
        "named": _ingest(root, "named", named),
    }
    for path in (linked, direct):
        path.unlink()
        path.symlink_to(beyond / "secret.txt")
    inside.parent.rename(beyond / "sub")
    inside.parent.symlink_to(beyond / "sub")
    pipe.unlink()
    os.mkfifo(pipe)
    other.unlink()
    other.mkdir()
    return ids


class _Keeps(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture(scope="module")
def server(coadd_repository, tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("attacks")
    root = folder / "coadds"
    shutil.copytree(coadd_repository[0], root)
    ids = {**coadd_repository[1], **_spoil(root, folder)}
    clock_s = [float(NOW_S)]
    config = ServiceConfig(
        repositories=(RepositoryConfig(repo=str(root), label="coadds"),),
        signing_keys=(
            SigningKey(id="new", secret=SecretStr(NEW)),
            SigningKey(id="old", secret=SecretStr(OLD)),
        ),
        link_lifetime_s=LIFETIME_S,
        trusted_proxies=(ip_network(PROXY),),
        delivery=DeliveryConfig(user_header=USER),
        limits=Limits(links=MOST_IDS, request_bytes=MOST_BYTES, cutout_workers=0),
    )
    log, loggers = _Keeps(), [logging.getLogger(), logging.getLogger("uvicorn")]
    services = build_services(config, clock=lambda: clock_s[0])
    # As somebody would run it under a server of theirs: with an access log.
    settings = uvicorn.Config(create_app(services), http=ZeroCopyProtocol, log_config=None, log_level="info")
    runner = uvicorn.Server(settings)
    listener = socket.create_server(("127.0.0.1", 0))
    for logger in loggers:
        logger.addHandler(log)
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not runner.started:
            time.sleep(0.01)
        yield Server(listener.getsockname()[1], ids, root, clock_s, log.lines)
    finally:
        runner.should_exit = True
        thread.join()
        listener.close()
        for logger in loggers:
            logger.removeHandler(log)


@pytest.mark.parametrize(("group", "name"), ROWS, ids=[f"{group}: {name}" for group, name in ROWS])
def test_attack(server, group, name):
    attack = ATTACKS[group][name]
    request = attack.send if isinstance(attack.send, Request) else attack.send(server)
    logged = len(server.records)
    answer = server.send(request)
    text = answer.body.decode(errors="replace")
    assert (answer.status, bool(re.search(attack.says, text))) == (attack.status, True), text[:500]
    for untold in (SECRET, "root:x:", str(server.root), NEW, OLD):
        assert untold not in text
    assert answer.header("Set-Cookie") == ""
    lines = server.records[logged:]
    if attack.status in (401, 403):
        assert any("Refused" in line for line in lines), lines
    for secret in (NEW, OLD, TAKEN_AWAY, *re.findall(r"signature=([^&]+)", request.target)):
        assert not any(secret in line for line in lines), lines
    # One entry of the log for each line of it.
    assert not any(re.search(r"[\r\n]", line) for line in lines), lines


def test_owners_of_urls_are_served(server):
    # Nothing above was refused for another reason.
    for request in (server.signed(), server.signed(user="ada"), _signed_by(server, OLD, "old")):
        answer = server.send(request)
        assert answer.status == 200
        assert answer.body.startswith(b"SIMPLE  =")
    assert server.send(replace(server.signed(user="ada"), method="HEAD")).status == 200


def test_file_name_stays_in_its_header(server):
    answer = server.send(_owned(server, "named"))
    assert (
        answer.header("Content-Disposition") == 'attachment; filename="x_filename_y.exe_Set-Cookie_a_b_.fits"'
    )
    assert answer.header("X-Content-Type-Options") == "nosniff"


def test_hundred_times_the_file_is_the_file_once(server):
    attack = ATTACKS["headers"]["the whole file a hundred times"]
    assert len(server.send(attack.send(server)).body) == 11520


@pytest.mark.parametrize("name", ["linked", "in a folder", "direct"])
def test_link_out_of_the_datastore_is_a_row_that_says_so(server, name):
    answer = server.send(_links(str(server.ids[name])))
    assert re.search(r"<TD>DefaultFault: [^<]*symbolic link out of the datastore", answer.body.decode())


def test_row_says_that_the_url_needs_a_login(server):
    # A column says it: who is logged in sees that the URL needs the login.
    answer = server.send(Request(f"/api/datalink/links?ID={server.ids['coadd']}", headers={USER: "ada"}))
    assert re.search(
        rb"bound=1[^<]*</TD>.*?<TD>#this</TD>.*?<TD>true</TD><TD>(true|T|1)</TD>", answer.body, re.S
    )


def test_page_shows_this_table():
    page = Path(__file__).parents[3] / "doc" / "security.md"
    shown = re.findall(r"^\| ([^|]+) \| (\d{3}) \|", page.read_text(), re.MULTILINE)
    assert shown == [(name, str(ATTACKS[group][name].status)) for group, name in ROWS]
