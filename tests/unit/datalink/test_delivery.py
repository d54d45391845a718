"""The plan of an answer for a file: conditions and ranges of RFC 9110."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsst.dax.vo.dali import ByteRange
from lsst.dax.vo.datalink.delivery._plan import FileFacts, plan_delivery

SIZE = 10_000
MODIFIED_S = 784_111_777.25
MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
ETAG = '"2710-ab"'
FACTS = FileFacts("image.fits", SIZE, "application/fits", ETAG, MODIFIED_S)


def plan(headers=None, method="GET", facts=FACTS):
    return plan_delivery(method, headers or {}, facts)


def test_whole_file():
    answer = plan()
    assert answer.status == 200
    assert answer.media_type == "application/fits"
    assert answer.sections == (ByteRange(0, SIZE),)
    assert answer.headers == {
        "Accept-Ranges": "bytes",
        "Content-Disposition": 'attachment; filename="image.fits"',
        "Content-Length": "10000",
        "ETag": ETAG,
        "Last-Modified": MODIFIED,
        "X-Content-Type-Options": "nosniff",
    }


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-1"}, {"Range": "bytes=99999-"}])
def test_head_is_that_of_the_whole_file(headers):
    answer = plan(headers, method="HEAD")
    assert (answer.status, answer.sections) == (200, ())
    assert answer.headers == plan().headers


@pytest.mark.parametrize(
    ("field", "start", "stop"),
    [
        ("bytes=0-499", 0, 500),
        ("bytes=500-999", 500, 1000),
        ("bytes=-500", 9500, 10000),
        ("bytes=9500-", 9500, 10000),
        ("bytes=0-0", 0, 1),
        ("bytes=-1", 9999, 10000),
        ("bytes=0-", 0, 10000),
        ("bytes=9999-20000", 9999, 10000),
        ("bytes=-20000", 0, 10000),
        ("BYTES=0-499", 0, 500),
        ("bytes= 0-499 ", 0, 500),
        ("bytes=,0-499,,", 0, 500),
        ("bytes=00000-00499", 0, 500),
        ("bytes=500-600,601-999", 500, 1000),
        ("bytes=500-700,601-999", 500, 1000),
        ("bytes=601-999,500-700", 500, 1000),
        ("bytes=0-499,20000-", 0, 500),
        ("bytes=500-" + "9" * 19, 500, 10000),
        ("bytes=-" + "9" * 5000, 0, 10000),
        ("bytes=" + "0" * 5000 + "1-" + "0" * 30 + "5", 1, 6),
    ],
)
def test_one_range(field, start, stop):
    answer = plan({"Range": field})
    assert (answer.status, answer.sections) == (206, (ByteRange(start, stop),))
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert answer.headers["Content-Length"] == str(stop - start)
    assert answer.media_type == "application/fits"


@pytest.mark.parametrize(
    "field",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=,",
        "bytes=a-b",
        "bytes=0x0-0x9",
        "bytes=5-4",
        "bytes=0-1,5-4",
        "bytes=0-1;5-6",
        "bytes=0--1",
        "bytes=+0-1",
        "bytes=1.5-2",
        "items=0-5",
        "0-5",
        "bytes=" + ",".join(f"{i * 10}-{i * 10 + 1}" for i in range(101)),
        "bytes=" + "0-," * 101,
        "bytes=\u0660-\u0669",
    ],
)
def test_range_that_is_none_is_ignored(field):
    assert plan({"Range": field}) == plan()


@pytest.mark.parametrize(
    "field",
    ["bytes=10000-", "bytes=10000-10001", "bytes=-0", "bytes=20000-,30000-", f"bytes={'9' * 5000}-"],
)
def test_range_without_bytes_is_416(field):
    answer = plan({"Range": field})
    assert answer.status == 416
    assert answer.headers["Content-Range"] == "bytes */10000"
    assert answer.media_type == "text/plain"
    assert b"the file has 10000 bytes" in answer.sections[0]


def test_several_ranges_are_multipart_in_the_order_asked():
    answer = plan({"Range": "bytes=-100,0-9,500-599"})
    assert answer.status == 206
    assert [item for item in answer.sections if isinstance(item, ByteRange)] == [
        ByteRange(9900, 10000),
        ByteRange(0, 10),
        ByteRange(500, 600),
    ]
    assert "Content-Range" not in answer.headers
    boundary = answer.media_type.removeprefix("multipart/byteranges; boundary=").encode()
    text = b"".join(
        item if isinstance(item, bytes) else b"x" * (item.stop - item.start) for item in answer.sections
    )
    assert answer.headers["Content-Length"] == str(len(text))
    chunks = text.split(b"\r\n--" + boundary)
    assert (chunks[0], chunks[-1]) == (b"", b"--\r\n")
    head, _, body = chunks[1].removeprefix(b"\r\n").partition(b"\r\n\r\n")
    assert head == b"Content-Type: application/fits\r\nContent-Range: bytes 9900-9999/10000"
    assert body == b"x" * 100


@given(
    st.lists(st.tuples(st.none() | st.integers(0, 60), st.none() | st.integers(0, 60)), max_size=6),
    st.integers(1, 50),
)
def test_ranges_are_the_bytes_that_were_asked_for(pairs, size_bytes):
    data = bytes(range(size_bytes))
    field = "bytes=" + ",".join(
        f"{'' if first is None else first}-{'' if last is None else last}" for first, last in pairs
    )
    wanted: set[int] | None = set()
    for first, last in pairs:
        if (first is None and last is None) or (first is not None and last is not None and last < first):
            wanted = None
            break
        if first is None:
            wanted |= set(data[-last:] if last else b"")
        else:
            wanted |= set(data[first:] if last is None else data[first : last + 1])
    answer = plan({"Range": field}, facts=FileFacts("a", size_bytes, "text/plain", ETAG))
    if not pairs or wanted is None:
        assert answer.status == 200
    elif not wanted:
        assert answer.status == 416
    else:
        assert answer.status == 206
        sent = [data[item.start : item.stop] for item in answer.sections if isinstance(item, ByteRange)]
        assert sorted(wanted) == sorted(b"".join(sent))


@given(st.text(), st.sampled_from(["Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since"]))
def test_no_header_breaks_the_answer(text, name):
    assert plan({name: text, "range": "bytes=0-1"}).status in (200, 206, 304, 412, 416)


def test_overlapping_ranges_never_send_more_than_the_file():
    answer = plan({"Range": "bytes=" + ",".join(["0-"] * 100)})
    assert answer.sections == (ByteRange(0, SIZE),)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": ETAG}, 304),
        ({"If-None-Match": "W/" + ETAG}, 304),
        ({"If-None-Match": f'"other", {ETAG}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-None-Match": "nonsense"}, 200),
        ({"If-None-Match": '"other"', "If-Modified-Since": MODIFIED}, 200),
        ({"If-Modified-Since": MODIFIED}, 304),
        ({"If-Modified-Since": BEFORE}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Modified-Since": "Sunday, 06-Nov-94 08:49:37 GMT"}, 304),
        ({"If-Match": ETAG}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": "W/" + ETAG}, 412),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": ETAG, "If-Unmodified-Since": BEFORE}, 200),
        ({"If-Unmodified-Since": MODIFIED}, 200),
        ({"If-Unmodified-Since": BEFORE}, 412),
        ({"If-Match": '"other"', "If-None-Match": ETAG}, 412),
        ({"If-Match": ETAG, "If-None-Match": ETAG}, 304),
        ({"If-None-Match": ETAG, "Range": "bytes=0-1"}, 304),
        ({"Range": "bytes=0-1", "If-Range": ETAG}, 206),
        ({"Range": "bytes=0-1", "If-Range": "W/" + ETAG}, 200),
        ({"Range": "bytes=0-1", "If-Range": '"other"'}, 200),
        ({"Range": "bytes=0-1", "If-Range": MODIFIED}, 206),
        ({"Range": "bytes=0-1", "If-Range": BEFORE}, 200),
        ({"Range": "bytes=0-1", "If-Range": "nonsense"}, 200),
        ({"Range": "bytes=99999-", "If-Range": '"other"'}, 200),
        ({"IF-NONE-MATCH": ETAG}, 304),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions(headers, status, method):
    answer = plan(headers, method)
    assert answer.status == (200 if method == "HEAD" and status == 206 else status)
    assert answer.headers["ETag"] == ETAG
    if status == 304:
        assert answer.sections == ()
        assert answer.media_type == ""
        assert "Content-Length" not in answer.headers


@pytest.mark.parametrize("header", ["If-Modified-Since", "If-Unmodified-Since"])
def test_date_is_ignored_where_the_files_own_is_unknown(header):
    facts = FileFacts("image.fits", SIZE, "application/fits", ETAG)
    answer = plan({header: BEFORE}, facts=facts)
    assert answer.status == 200
    assert "Last-Modified" not in answer.headers


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ('a"; filename="b.exe', "a_filename_b.exe"),
        ("a\r\nSet-Cookie: x=y", "a_Set-Cookie_x_y"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("señal+(1).fits", "se_al_1_.fits"),
        ("", "file"),
    ],
)
def test_file_name_cannot_leave_its_header(name, sent):
    facts = FileFacts(name, SIZE, "application/fits", ETAG)
    assert plan(facts=facts).headers["Content-Disposition"] == f'attachment; filename="{sent}"'


_DIGITS = st.sampled_from(
    ["0", "1", "9999", "10000", "20000", "-1", "007", "9" * 30, "\u0661", " 1", "1e3", ""]
)
_SPECS = st.builds("{}{}{}".format, _DIGITS, st.sampled_from(["-", "--", "", " - ", "\u2013"]), _DIGITS)
_RANGE_FIELDS = st.builds(
    "{}{}".format,
    st.sampled_from(["bytes=", "Bytes =", "bytes=,", "items=", "bytes:", "bytes==", ""]),
    st.lists(_SPECS, max_size=120).map(",".join),
)
_TAGS = st.sampled_from([ETAG, f"W/{ETAG}", f'"x", {ETAG}', "*", '"', 'W/"', '""', f"{ETAG},,{ETAG}", "\xff"])
_DATES = st.sampled_from(
    [
        MODIFIED,
        BEFORE,
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Sun, 99 Nov 9999 99:99:99 GMT",
        "0",
        "-1",
        "\u0661",
        "",
    ]
)
_FIELDS = {
    "Range": _RANGE_FIELDS,
    "If-Range": _TAGS | _DATES,
    "If-Match": _TAGS,
    "If-None-Match": _TAGS,
    "If-Modified-Since": _DATES,
    "If-Unmodified-Since": _DATES,
}


@given(st.fixed_dictionaries({}, optional=_FIELDS), st.sampled_from(["GET", "HEAD"]), st.integers(1, SIZE))
def test_answer_holds_together_whatever_is_asked(headers, method, size_bytes):
    facts = FileFacts("image.fits", size_bytes, "application/fits", ETAG, MODIFIED_S)
    answer = plan(headers, method, facts=facts)
    assert answer.status in (200, 206, 304, 412, 416)
    parts = [item for item in answer.sections if isinstance(item, ByteRange)]
    assert all(0 <= part.start < part.stop <= size_bytes for part in parts)
    # Nobody is sent more of a file than all of it.
    assert sum(part.stop - part.start for part in parts) <= size_bytes
    sent = sum(len(item) if isinstance(item, bytes) else item.stop - item.start for item in answer.sections)
    match answer.status, method:
        case (200, "HEAD"):
            assert (sent, answer.headers["Content-Length"]) == (0, str(size_bytes))
        case (304, _):
            assert (sent, "Content-Length" in answer.headers) == (0, False)
        case _:
            assert answer.headers["Content-Length"] == str(sent)
    if answer.status == 206:
        assert "Range" in headers
        assert ("Content-Range" in answer.headers) is (len(parts) == 1)
    if answer.status == 416:
        assert answer.headers["Content-Range"] == f"bytes */{size_bytes}"
    for name, value in answer.headers.items():
        assert not set(name + value) & set("\r\n\0")
