"""What is wrong with a running service: asked as a client asks it."""

from __future__ import annotations

__all__ = ["check_service"]

import csv
import http.client
import io
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import UsageError
from ...obscore import MANDATORY_COLUMNS, Finding

_SERVICES = {"tap": "TAP", "sia": "SIAv2", "datalink": "DataLink", "cutout": "SODA"}
_STANDARDS = {
    "tap": ("ivo://ivoa.net/std/TAP",),
    "sia": ("ivo://ivoa.net/std/SIA#query-2.0",),
    "datalink": ("ivo://ivoa.net/std/DataLink#links-1",),
    "cutout": ("ivo://ivoa.net/std/SODA#sync-1.0",),
}
"""What the capabilities of each service must declare."""

_TIMEOUT_S = 30
_MOST_BYTES = 8 << 20
_LOG = "look at the log of the service"
_COLUMNS = ("ID", "access_url", "service_def", "error_message", "semantics", "description", "content_type")
"""Columns that each answer of DataLink must have (DataLink 1.1, 3.2)."""


@dataclass(frozen=True, slots=True)
class _Answer:
    url: str
    status: int
    media_type: str
    body: bytes


class _RefusedError(Exception):
    """No answer, or one that cannot be."""


class _UnreachableError(_RefusedError):
    """No answer at all."""


def check_service(url: str) -> tuple[list[Finding], list[str]]:
    """Find what is wrong with a running service.

    Parameters
    ----------
    url
        Address of the service, or of one of its endpoints.

    Returns
    -------
    findings : `list` [`~lsst.dax.vo.obscore.Finding`]
        What is wrong.
    notes : `list` [`str`]
        What works.

    Raises
    ------
    UsageError
        Raised if it is no address of the web.
    """
    base = _base_of(url)
    findings: list[Finding] = []
    notes: list[str] = []
    for path, name in _SERVICES.items():
        try:
            found = [*_check_vosi(f"{base}/api/{path}", path, name)]
        except _UnreachableError as err:
            # Nobody is there: once is enough.
            return [Finding("error", name, str(err), "start the service, or give another address")], notes
        except _RefusedError as err:
            found = [Finding("error", name, str(err), _LOG)]
        findings += found
        if not found:
            notes.append(f"{name} is available and says what it can do")
    findings += _Walk(base, notes).check()
    return findings, notes


def _base_of(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(f"{url!r} is no address of the web; give one such as http://127.0.0.1:8080")
    path, _, _ = parts.path.partition("/api/")
    return f"{parts.scheme}://{parts.netloc}{path.rstrip('/')}"


def _check_vosi(endpoint: str, path: str, name: str) -> Iterator[Finding]:
    available = _find_text(_parse(_get(f"{endpoint}/availability")), "available")
    if available != "true":
        yield Finding("error", name, f"it says that it is not available ({endpoint}/availability)", _LOG)
    root = _parse(_get(f"{endpoint}/capabilities"))
    declared = [item.get("standardID", "") for item in root.iter() if _tag(item) == "capability"]
    for standard in _STANDARDS[path]:
        if not any(text.lower().startswith(standard.lower()) for text in declared):
            yield Finding(
                "error", name, f"its capabilities do not declare {standard}", "compare them with the standard"
            )
    for item in root.iter():
        address = (item.text or "").strip()
        if _tag(item) == "accessURL" and not _same_host(address, endpoint):
            yield Finding(
                "warning",
                name,
                f"its capabilities lead to another address, {address}",
                "set base_url to where clients reach the service, or the proxies that it trusts",
            )
            return


class _Walk:
    """Goes from a query to the file, as an astronomer does."""

    def __init__(self, base: str, notes: list[str]) -> None:
        self._base = base
        self._notes = notes

    def check(self) -> Iterator[Finding]:
        """Yield what is wrong on the way."""
        try:
            row = self._query()
        except _RefusedError as err:
            yield Finding("error", "TAP", str(err), _LOG)
            return
        if row is not None:
            self._notes.append(f"TAP answers queries of ivoa.ObsCore, in {len(row)} columns")
        yield from self._check_sia()
        if row is None:
            yield Finding("warning", "TAP", "ivoa.ObsCore has no rows", "export the table, and serve it")
            return
        for column in MANDATORY_COLUMNS:
            if column.name not in row:
                yield Finding(
                    "error", "TAP", f"ivoa.ObsCore has no column {column.name}", "export the table again"
                )
        yield from self._check_links(row)

    def _query(self) -> dict[str, str] | None:
        query = urllib.parse.urlencode(
            {
                "LANG": "ADQL",
                "REQUEST": "doQuery",
                "RESPONSEFORMAT": "csv",
                "QUERY": "SELECT TOP 1 * FROM ivoa.ObsCore",
            }
        )
        answer = _get(f"{self._base}/api/tap/sync?{query}")
        if not answer.media_type.startswith("text/csv"):
            raise _RefusedError(f"a query in CSV is answered in {answer.media_type}: {_shown(answer.body)}")
        rows = list(csv.DictReader(io.StringIO(answer.body.decode("utf-8", "replace"))))
        return {str(name): value or "" for name, value in rows[0].items()} if rows else None

    def _check_sia(self) -> Iterator[Finding]:
        try:
            answer = _get(f"{self._base}/api/sia/query?MAXREC=1")
            states = _states(_parse(answer))
        except _RefusedError as err:
            yield Finding("error", "SIAv2", str(err), _LOG)
            return
        if not {"OK", "OVERFLOW"} & states.keys():
            ended = _tell_states(states) or "no status"
            yield Finding("error", "SIAv2", f"a query ends with {ended}", _LOG)
        else:
            self._notes.append("SIAv2 answers queries")

    def _check_links(self, row: dict[str, str]) -> Iterator[Finding]:
        url = row.get("access_url", "")
        if "content=datalink" not in row.get("access_format", ""):
            yield Finding(
                "warning",
                "access_format",
                f"it is {row.get('access_format')!r}, so that clients do not look for links",
                "set access_format to application/x-votable+xml;content=datalink",
            )
        if not url:
            yield Finding(
                "error", "access_url", "the first row has none", "serve the table with access_url: service"
            )
            return
        if not _same_host(url, self._base):
            yield Finding(
                "warning",
                "access_url",
                f"it leads to another address, {url}",
                "set base_url to where clients reach the service, or access_url to service",
            )
        try:
            answer = _get(url)
            links = _rows_of(_parse(answer))
        except _RefusedError as err:
            yield Finding("error", "DataLink", str(err), _LOG)
            return
        missing = [name for name in _COLUMNS if links and name not in links[0]]
        if missing:
            yield Finding(
                "error", "DataLink", f"its table has no column {', '.join(missing)}", "see DataLink 1.1, 3.2"
            )
        did = row.get("obs_publisher_did", "")
        if links and did and all(link.get("ID") != did for link in links):
            yield Finding(
                "warning",
                "DataLink",
                f"the ID in its table is {links[0].get('ID')!r}, the row's obs_publisher_did is {did!r}",
                "write the same identifier in obs_publisher_did_fmt and datalink_url_fmt",
            )
        for link in links:
            if link.get("error_message"):
                yield Finding("error", "DataLink", f"{did}: {link['error_message']}", "see the message")
        this = [link for link in links if link.get("semantics") == "#this" and not link.get("error_message")]
        if not this and not any(link.get("error_message") for link in links):
            yield Finding("error", "DataLink", f"{did} has no link #this", _LOG)
        elif this:
            self._notes.append(f"DataLink leads to {len(links)} links")
            yield from self._check_file(this[0].get("access_url", ""))

    def _check_file(self, url: str) -> Iterator[Finding]:
        if not url.startswith("http"):
            yield Finding("warning", "#this", f"it is no address of the web: {url}", "serve files over HTTP")
            return
        try:
            answer = _get(url, first_byte=True)
        except _RefusedError as err:
            yield Finding("error", "#this", str(err), _LOG)
            return
        if answer.status != http.client.PARTIAL_CONTENT:
            yield Finding(
                "warning",
                "#this",
                "the file cannot be read in parts (Range)",
                "use a store that serves ranges",
            )
        self._notes.append("the file of #this can be fetched")


def _get(url: str, *, first_byte: bool = False) -> _Answer:
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise _RefusedError(f"{url} is no address of the web")
    request = urllib.request.Request(url, headers={"Range": "bytes=0-0"} if first_byte else {})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 (scheme is checked)
            body = answer.read(1 if first_byte else _MOST_BYTES)
            return _Answer(url, answer.status, answer.headers.get_content_type(), body)
    except urllib.error.HTTPError as err:
        with err:
            raise _RefusedError(f"{_place(url)} answers {err.code}: {_shown(err.read(2_000))}") from err
    except (OSError, http.client.HTTPException, ValueError) as err:
        reason = getattr(err, "reason", None) or err
        raise _UnreachableError(f"no answer from {_place(url)}: {reason or type(err).__name__}") from err


def _parse(answer: _Answer) -> ET.Element:
    try:
        # Python's parser refuses entities that grow (expat 2.4.1 and later).
        return ET.fromstring(answer.body)  # noqa: S314
    except ET.ParseError as err:
        raise _RefusedError(f"{_place(answer.url)} is no XML: {err}: {_shown(answer.body)}") from err


def _rows_of(root: ET.Element) -> list[dict[str, str]]:
    names = [item.get("name", "") for table in _all(root, "TABLE")[:1] for item in _all(table, "FIELD")]
    if not names:
        raise _RefusedError(f"the links are no table: {_tell_states(_states(root)) or 'there is no TABLE'}")
    rows = _all(root, "TR")
    return [dict(zip(names, ((cell.text or "") for cell in _all(row, "TD")), strict=False)) for row in rows]


def _states(root: ET.Element) -> dict[str, str]:
    """Return the states of a query that a VOTable tells, and the reasons."""
    return {
        item.get("value", ""): " ".join((item.text or "").split())
        for item in _all(root, "INFO")
        if item.get("name") == "QUERY_STATUS"
    }


def _tell_states(states: dict[str, str]) -> str:
    return ", ".join(f"{state} ({reason})" if reason else state for state, reason in states.items())


def _all(root: ET.Element, tag: str) -> list[ET.Element]:
    return [item for item in root.iter() if _tag(item) == tag]


def _find_text(root: ET.Element, tag: str) -> str | None:
    return next(((item.text or "").strip() for item in root.iter() if _tag(item) == tag), None)


def _tag(item: ET.Element) -> str:
    return item.tag.rpartition("}")[2]


def _same_host(one: str, other: str) -> bool:
    return urllib.parse.urlsplit(one)[:2] == urllib.parse.urlsplit(other)[:2]


def _place(url: str) -> str:
    # Without the parameters, which may hold a signature.
    return url.partition("?")[0]


def _shown(body: bytes) -> str:
    text = " ".join(body.decode("utf-8", "replace").split())
    return text if len(text) <= 200 else f"{text[:200]}…"
