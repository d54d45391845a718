"""How a file is answered over HTTP: conditions, ranges, headers (RFC 9110).

Pure: from a request and what is known of the file to a plan.  Nothing is
read here.
"""

from __future__ import annotations

__all__ = ["Delivery", "FileFacts", "describe_file", "plan_delivery", "safe_name"]

import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from ...dali import ByteRange

# RFC 9110 (14.2) lets a server ignore sets of many small ranges.
_MOST_RANGES = 100
_RANGES = re.compile(r"bytes=(.*)", re.IGNORECASE)
_RANGE = re.compile(r"([0-9]*)-([0-9]*)")
_ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
# What may stand in a quoted file name and in a path without encoding.
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the answer says about a file."""

    name: str
    """Name of the file."""

    size_bytes: int
    """Its length."""

    media_type: str
    """Its Content-Type."""

    etag: str
    """Strong entity tag, in its quotes."""

    modified_s: float | None = None
    """When it last changed, seconds since 1970; `None` when unknown."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An answer, but for the bytes of the file."""

    status: int
    """200, 206, 304, 412 or 416."""

    media_type: str
    """Content-Type; empty when there is no body."""

    headers: Mapping[str, str]
    """All other headers."""

    sections: tuple[bytes | ByteRange, ...] = ()
    """The body, in order: bytes as they are, or bytes of the file."""


def plan_delivery(method: str, headers: Mapping[str, str], facts: FileFacts) -> Delivery:
    """Decide how a request for a file is answered.

    Parameters
    ----------
    method
        ``GET`` or ``HEAD``.
    headers
        Headers of the request; names in any case.
    facts
        The file.

    Returns
    -------
    delivery : `Delivery`
        For ``HEAD`` the headers of the whole file, and no sections.

    References
    ----------
    RFC 9110, 13.2.2 (order of conditions), 14 (ranges).
    """
    given = {name.lower(): value for name, value in headers.items()}
    validators = {"ETag": facts.etag, "Accept-Ranges": "bytes"}
    if facts.modified_s is not None:
        validators["Last-Modified"] = format_datetime(
            datetime.fromtimestamp(int(facts.modified_s), UTC), usegmt=True
        )
    status = _check_conditions(given, facts)
    if status == 304:
        return Delivery(304, "", validators)
    if status == 412:
        return _plain(412, "The file is not the one that If-Match or If-Unmodified-Since names", validators)
    described = validators | describe_file(facts)
    if method == "HEAD":
        return Delivery(200, facts.media_type, described | {"Content-Length": str(facts.size_bytes)})
    ranges = _parse_ranges(given.get("range"), facts.size_bytes) if _range_applies(given, facts) else None
    if ranges is None:
        whole = ByteRange(0, facts.size_bytes)
        return Delivery(
            200, facts.media_type, described | {"Content-Length": str(facts.size_bytes)}, (whole,)
        )
    if not ranges:
        unsatisfied = validators | {"Content-Range": f"bytes */{facts.size_bytes}"}
        return _plain(416, f"No byte of the range exists; the file has {facts.size_bytes} bytes", unsatisfied)
    if len(ranges) == 1:
        part = ranges[0]
        partial = described | {
            "Content-Range": _content_range(part, facts),
            "Content-Length": str(part.stop - part.start),
        }
        return Delivery(206, facts.media_type, partial, (part,))
    return _plan_multipart(ranges, facts, described)


def describe_file(facts: FileFacts) -> dict[str, str]:
    """Return the headers about a file, whichever parts of it are sent.

    Parameters
    ----------
    facts
        The file.

    Returns
    -------
    headers : `dict` [`str`, `str`]
    """
    return {
        "Content-Disposition": f'attachment; filename="{safe_name(facts.name)}"',
        # Whatever a repository holds is data, never a page of this site.
        "X-Content-Type-Options": "nosniff",
    }


def safe_name(name: str) -> str:
    """Make a file name fit for a URL and for a header.

    Parameters
    ----------
    name
        Any text.

    Returns
    -------
    name : `str`
        Letters, digits, ``.``, ``_`` and ``-`` only, at least one.
    """
    return _UNSAFE.sub("_", name) or "file"


def _check_conditions(given: Mapping[str, str], facts: FileFacts) -> int:
    # RFC 9110, 13.2.2: a date counts only where there is no tag.
    if "if-match" in given:
        if not _matches(given["if-match"], facts.etag, strong=True):
            return 412
    elif _is_modified_after(given.get("if-unmodified-since"), facts) is True:
        return 412
    if "if-none-match" in given:
        if _matches(given["if-none-match"], facts.etag, strong=False):
            return 304
    elif _is_modified_after(given.get("if-modified-since"), facts) is False:
        return 304
    return 200


def _is_modified_after(field: str | None, facts: FileFacts) -> bool | None:
    # None: there is no date to compare, on either side.
    limit_s = _parse_date(field)
    if limit_s is None or facts.modified_s is None:
        return None
    return int(facts.modified_s) > limit_s


def _range_applies(given: Mapping[str, str], facts: FileFacts) -> bool:
    condition = given.get("if-range")
    if condition is None:
        return True
    condition = condition.strip()
    if condition.endswith('"'):
        return condition == facts.etag
    # RFC 9110, 13.1.5: a date must match exactly.
    modified_s = _parse_date(condition)
    return modified_s is not None and facts.modified_s is not None and modified_s == int(facts.modified_s)


def _matches(field: str, etag: str, *, strong: bool) -> bool:
    if field.strip() == "*":
        return True
    tags = _ENTITY_TAG.findall(field)
    return etag in (tags if strong else [tag.removeprefix("W/") for tag in tags])


def _parse_date(field: str | None) -> int | None:
    if field is None:
        return None
    try:
        return int(parsedate_to_datetime(field).timestamp())
    except (ValueError, TypeError, OverflowError):
        # RFC 9110, 13.1.3: a recipient ignores a date that is none.
        return None


def _parse_ranges(field: str | None, size_bytes: int) -> list[ByteRange] | None:
    # None: no range, or one to be ignored; an empty list: none that exists.
    match = _RANGES.fullmatch(field.strip()) if field is not None else None
    if match is None:
        return None
    specs = [text.strip() for text in match[1].split(",")]
    # RFC 9110, 5.6.1: empty list elements are skipped.
    specs = [text for text in specs if text]
    if not 0 < len(specs) <= _MOST_RANGES:
        return None
    found = []
    for text in specs:
        spec = _RANGE.fullmatch(text)
        if spec is None or not (spec[1] or spec[2]):
            return None
        first, last = _number(spec[1]), _number(spec[2])
        if first is None:
            start, stop = max(0, size_bytes - (last or 0)), size_bytes
        else:
            start, stop = first, size_bytes
            if last is not None:
                if last < first:
                    return None
                stop = min(stop, last + 1)
        if start < stop:
            found.append(ByteRange(start, stop))
    return _coalesce(found)


def _number(digits: str) -> int | None:
    # RFC 9110, 14.1.1: numbers of any length are to be expected.  Beyond this
    # one they are all behind the end of any file.
    digits = digits.lstrip("0") or digits[:1]
    return (int(digits) if len(digits) <= 18 else 10**18) if digits else None


def _coalesce(ranges: list[ByteRange]) -> list[ByteRange]:
    # Ranges that overlap or touch become one, or a short header could ask
    # for the same large file a hundred times.
    ordered = sorted(ranges, key=lambda item: item.start)
    if all(before.stop < after.start for before, after in itertools.pairwise(ordered)):
        return ranges
    merged = [ordered[0]]
    for item in ordered[1:]:
        last = merged[-1]
        if item.start <= last.stop:
            merged[-1] = ByteRange(last.start, max(last.stop, item.stop))
        else:
            merged.append(item)
    return merged


def _plan_multipart(ranges: list[ByteRange], facts: FileFacts, headers: Mapping[str, str]) -> Delivery:
    # RFC 9110, 14.6.  The boundary must not occur in the data: it depends on
    # the tag, which nobody who writes a file can know beforehand.
    boundary = hashlib.sha256(f"{facts.etag} {ranges}".encode()).hexdigest()[:32]
    sections: list[bytes | ByteRange] = []
    for part in ranges:
        head = (
            f"\r\n--{boundary}\r\nContent-Type: {facts.media_type}\r\n"
            f"Content-Range: {_content_range(part, facts)}\r\n\r\n"
        )
        sections += [head.encode(), part]
    sections.append(f"\r\n--{boundary}--\r\n".encode())
    length = sum(len(item) if isinstance(item, bytes) else item.stop - item.start for item in sections)
    media_type = f"multipart/byteranges; boundary={boundary}"
    return Delivery(206, media_type, {**headers, "Content-Length": str(length)}, tuple(sections))


def _content_range(part: ByteRange, facts: FileFacts) -> str:
    return f"bytes {part.start}-{part.stop - 1}/{facts.size_bytes}"


def _plain(status: int, text: str, headers: Mapping[str, str]) -> Delivery:
    body = f"{text}\n".encode()
    return Delivery(status, "text/plain", {**headers, "Content-Length": str(len(body))}, (body,))
