"""What is wrong with a running service, told by what it answers."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.obscore import MANDATORY_COLUMNS
from lsst.dax.vo.services import check

DID = "ivo://org.rubinobs/test?repo=test&id=1"
NAMES = [column.name for column in MANDATORY_COLUMNS]
LINK_NAMES = ["ID", "access_url", "service_def", "error_message", "semantics", "description", "content_type"]
STANDARDS = {
    "tap": "ivo://ivoa.net/std/TAP",
    "sia": "ivo://ivoa.net/std/SIA#query-2.0",
    "datalink": "ivo://ivoa.net/std/DataLink#links-1.1",
    "cutout": "ivo://ivoa.net/std/SODA#sync-1.0",
}


def votable(status: str, names: list[str], rows: list[list[str]]) -> str:
    fields = "".join(f'<FIELD name="{name}" datatype="char" arraysize="*"/>' for name in names)
    body = "".join("<TR>" + "".join(f"<TD>{cell}</TD>" for cell in row) + "</TR>" for row in rows)
    return (
        '<VOTABLE xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE type="results">'
        f'<INFO name="QUERY_STATUS" value="{status}">no reason</INFO>'
        f"<TABLE>{fields}<DATA><TABLEDATA>{body}</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    )


def answers_of(base: str) -> dict[str, tuple[int, str, str]]:
    """Return what a good service answers: path, then status, media type, body."""
    found: dict[str, tuple[int, str, str]] = {}
    for path, standard in STANDARDS.items():
        found[f"/api/{path}/availability"] = (
            200,
            "text/xml",
            '<a:availability xmlns:a="http://x"><a:available>true</a:available></a:availability>',
        )
        found[f"/api/{path}/capabilities"] = (
            200,
            "text/xml",
            f'<capabilities><capability standardID="{standard}"><interface>'
            f"<accessURL>{base}/api/{path}</accessURL></interface></capability></capabilities>",
        )
    row = dict.fromkeys(NAMES, "") | {
        "obs_publisher_did": DID,
        "access_url": f"{base}/api/datalink/links?ID=1",
        "access_format": "application/x-votable+xml;content=datalink",
    }
    found["/api/tap/sync"] = (200, "text/csv", ",".join(row) + "\n" + ",".join(row.values()) + "\n")
    found["/api/sia/query"] = (200, "application/x-votable+xml", votable("OVERFLOW", ["obs_id"], [["x"]]))
    link = [DID.replace("&", "&amp;"), f"{base}/file", "", "", "#this", "", "image/fits"]
    found["/api/datalink/links"] = (200, "application/x-votable+xml", votable("OK", LINK_NAMES, [link]))
    found["/file"] = (206, "image/fits", "S")
    return found


@contextmanager
def served(change: Callable[[dict[str, tuple[int, str, str]], str], Any]) -> Iterator[str]:
    """Serve a good service but for what is changed."""
    answers: dict[str, tuple[int, str, str]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = answers.get(self.path.partition("?")[0], (404, "text/plain", "not here"))
            content = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    base = f"http://127.0.0.1:{server.server_address[1]}"
    answers |= answers_of(base)
    change(answers, base)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield base
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def replaced(path: str, old: str, new: str) -> Callable[[dict[str, tuple[int, str, str]], str], None]:
    def change(answers: dict[str, tuple[int, str, str]], base: str) -> None:
        status, kind, body = answers[path]
        before = old.replace("BASE", base)
        assert before in body
        answers[path] = (status, kind, body.replace(before, new.replace("BASE", base)))

    return change


def answered(path: str, status: int, kind: str, body: str) -> Callable[..., None]:
    def change(answers: dict[str, tuple[int, str, str]], _: str) -> None:
        answers[path] = (status, kind, body)

    return change


@pytest.mark.parametrize("tail", ["", "/", "/api/tap", "/api/sia/query?MAXREC=1"])
def test_nothing_is_wrong_with_a_good_one(tail: str) -> None:
    with served(lambda *_: None) as base:
        report = check(base + tail)
    assert report.describe().splitlines() == [
        "TAP is available and says what it can do",
        "SIAv2 is available and says what it can do",
        "DataLink is available and says what it can do",
        "SODA is available and says what it can do",
        "TAP answers queries of ivoa.ObsCore, in 30 columns",
        "SIAv2 answers queries",
        "DataLink leads to 1 links",
        "the file of #this can be fetched",
        "Nothing is wrong.",
    ]


LINKS = "/api/datalink/links"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            replaced("/api/sia/availability", "true", "false"),
            "error: SIAv2: it says that it is not available",
        ),
        (
            answered("/api/tap/availability", 503, "text/plain", "closed\nfor today"),
            "error: TAP: http.*/api/tap/availability answers 503: closed for today; look at the log",
        ),
        (
            answered("/api/cutout/capabilities", 200, "text/html", "<html>"),
            "error: SODA: .*/capabilities is no XML: .*<html>",
        ),
        (
            replaced("/api/datalink/capabilities", "DataLink#links", "DataLonk#links"),
            "error: DataLink: its capabilities do not declare ivo://ivoa.net/std/DataLink#links-1",
        ),
        (
            replaced("/api/tap/capabilities", "BASE", "https://elsewhere"),
            "warning: TAP: its capabilities lead to another address, https://elsewhere/api/tap; set base_url",
        ),
        (
            answered("/api/tap/sync", 400, "text/plain", "no table ivoa.ObsCore"),
            "error: TAP: .*/api/tap/sync answers 400: no table ivoa.ObsCore",
        ),
        (
            answered("/api/tap/sync", 200, "application/x-votable+xml", "<VOTABLE/>"),
            "error: TAP: a query in CSV is answered in application/x-votable.xml: <VOTABLE/>",
        ),
        (
            answered("/api/tap/sync", 200, "text/csv", ",".join(NAMES) + "\n"),
            "warning: TAP: ivoa.ObsCore has no rows; export the table",
        ),
        (replaced("/api/tap/sync", "t_xel", "t_xxx"), "error: TAP: ivoa.ObsCore has no column t_xel"),
        (
            replaced("/api/sia/query", "OVERFLOW", "ERROR"),
            r"error: SIAv2: a query ends with ERROR \(no reason\)",
        ),
        (answered("/api/sia/query", 500, "text/plain", "x"), "error: SIAv2: .*/api/sia/query answers 500: x"),
        (
            replaced("/api/tap/sync", "application/x-votable+xml;content=datalink", "image/fits"),
            "warning: access_format: it is 'image/fits', so that clients do not look for links",
        ),
        (
            replaced("/api/tap/sync", "BASE/api/datalink/links?ID=1", ""),
            "error: access_url: the first row has",
        ),
        (
            replaced("/api/tap/sync", "http://", "butler://"),
            "error: DataLink: butler://.* is no address of the web",
        ),
        (answered(LINKS, 404, "text/plain", "gone"), "error: DataLink: .*/links answers 404: gone"),
        (
            answered(LINKS, 200, "text/xml", "<a/>"),
            "error: DataLink: the links are no table: there is no TABLE",
        ),
        (replaced(LINKS, "service_def", "service"), "error: DataLink: its table has no column service_def"),
        (
            replaced(LINKS, "id=1<", "id=2<"),
            "warning: DataLink: the ID in its table is 'ivo.*id=2', the row's obs_publisher_did is '.*id=1'",
        ),
        (
            replaced(LINKS, "<TD></TD><TD>#this", "<TD>NotFoundFault: it is gone</TD><TD>#this"),
            "error: DataLink: ivo://.*: NotFoundFault: it is gone; see the message",
        ),
        (replaced(LINKS, "#this", "#preview"), "error: DataLink: ivo://.* has no link #this"),
        (replaced(LINKS, "BASE/file", "file:///etc/passwd"), "warning: #this: it is no address of the web"),
        (answered("/file", 403, "text/plain", "expired"), "error: #this: .*/file answers 403: expired"),
        (answered("/file", 200, "image/fits", "SIMPLE"), "warning: #this: the file cannot be read in parts"),
    ],
)
def test_what_is_wrong_is_told(change: Any, line: str) -> None:
    with served(change) as base:
        report = check(base)
    lines = [finding.describe() for finding in report.findings]
    assert any(re.match(line, found) for found in lines), lines
    # The address of the second warning: the link leads there as well.
    assert len(lines) <= (2 if "butler" in line else 1), lines


def test_nobody_is_there() -> None:
    with served(lambda *_: None) as base:
        pass
    report = check(base)
    assert re.fullmatch(
        r"error: TAP: no answer from http://127.0.0.1:\d+/api/tap/availability: .*Connection refused; "
        "start the service, or give another address\n1 error",
        report.describe(),
    )


def test_an_address_that_is_none() -> None:
    with pytest.raises(UsageError, match=r"'http://' is no address of the web; give one such as"):
        check("http://")


def test_no_file_of_this_machine_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "secret.xml"
    path.write_text("<a/>")
    with served(replaced("/api/tap/sync", "BASE/api/datalink/links?ID=1", f"file://{path}")) as base:
        lines = [finding.describe() for finding in check(base).findings]
    assert lines[-1].startswith(f"error: DataLink: file://{path} is no address of the web")
