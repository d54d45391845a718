"""RESPONSEFORMAT, and the formats without markup."""

import csv
import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest

from lsst.dax.vo.dali import (
    TABLE_FORMATS,
    Column,
    ParamSet,
    ResultTable,
    parse_format,
    write_csv,
    write_table,
    write_tsv,
)
from lsst.dax.vo.errors import MultiValuedError, UsageError

COLUMNS = (
    Column("name", "char", arraysize="*"),
    Column("s_ra", "double", unit="deg"),
    Column("corners", "double", arraysize="*"),
    Column("seen", "boolean"),
    Column("count", "long"),
)
NASTY = ['comma, "quoted"', "two\r\nlines", "tab\there", "", None, "é ☃ 🔭", "plain"]


def _result(maxrec: int | None = None) -> ResultTable:
    rows = len(NASTY)
    batch = pa.record_batch(
        [
            pa.array(NASTY, pa.string()),
            pa.array([1.5, None, float("inf"), float("-inf"), float("nan"), 1e-7, -0.0]),
            pa.array([[1.0, 2.0], None, [], [0.1], [float("nan"), 1.0], [3.0], [4.0]]),
            pa.array([True, None, False, True, True, True, True]),
            pa.array([2**53 + 1, None, *range(rows - 2)]),
        ],
        names=[column.name for column in COLUMNS],
    )
    return ResultTable(COLUMNS, iter([batch]), maxrec)


def _parse(*texts: str, **named: str) -> str:
    pairs = [("responseformat", text) for text in texts] + list(named.items())
    return parse_format(ParamSet.from_pairs(pairs), names=("RESPONSEFORMAT", "FORMAT")).media_type


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("votable", "application/x-votable+xml"),
        ("VOTable", "application/x-votable+xml"),
        ("votable/td", "application/x-votable+xml"),
        ("", "application/x-votable+xml"),
        ("  ", "application/x-votable+xml"),
        ("application/x-votable+xml", "application/x-votable+xml"),
        ("application/x-votable xml", "application/x-votable+xml"),
        (
            "application/x-votable+xml; serialization=TABLEDATA",
            "application/x-votable+xml;serialization=TABLEDATA",
        ),
        ("votable/b2", "application/x-votable+xml;serialization=BINARY2"),
        ("votable/B", "application/x-votable+xml;serialization=BINARY"),
        (
            'application/x-votable+xml;Serialization="binary2"',
            'application/x-votable+xml;Serialization="binary2"',
        ),
        ("text/xml", "text/xml"),
        ("application/xml", "application/xml"),
        ("csv", "text/csv;header=present"),
        ("text/csv", "text/csv"),
        ('text/csv;header="absent"', 'text/csv;header="absent"'),
        ("text/csv;header=present;charset=UTF-8", "text/csv;header=present;charset=UTF-8"),
        ("tsv", "text/tab-separated-values"),
        ("text/tab-separated-values", "text/tab-separated-values"),
        ("fits", "application/fits"),
        ("image/fits", "image/fits"),
        ("parquet", "application/vnd.apache.parquet"),
        ("application/x-parquet", "application/x-parquet"),
        ("arrow", "application/vnd.apache.arrow.stream"),
        ("JSON", "application/json"),
        ("application/json;charset=UTF-8", "application/json;charset=UTF-8"),
        ("html", "text/html;charset=utf-8"),
        ("text/html", "text/html"),
    ],
)
def test_media_type_asked_is_media_type_answered(asked: str, answered: str) -> None:
    assert _parse(asked) == answered


@pytest.mark.parametrize(
    "asked",
    [
        "no/such",
        "excel",
        "application/x-votable+xml;serialization=FITS",
        "application/fits;compress=gzip",
        "votable/b3",
        "application/x-votable+xml;content=datalink",
        "text/csv;header=maybe",
        "text/csv;charset=latin-1",
        "csv;header=absent",
        ";",
    ],
)
def test_unknown_format_is_refused_and_the_known_are_listed(asked: str) -> None:
    with pytest.raises(UsageError) as caught:
        _parse(asked)
    message = str(caught.value)
    assert message.startswith(f"RESPONSEFORMAT={asked!r} is not accepted; give one of votable")
    for item in TABLE_FORMATS:
        assert item.name in message
        assert all(media_type in message for media_type in item.accepted)


def test_line_ends_of_a_request_never_reach_a_header() -> None:
    assert _parse("text/csv;header\r\n=present;\n charset =utf-8") == "text/csv;header=present;charset=utf-8"


def test_older_name_counts_when_the_newer_is_missing() -> None:
    assert _parse(FORMAT="tsv") == "text/tab-separated-values"
    assert _parse("csv", FORMAT="votable") == "text/csv;header=present"
    assert _parse("", FORMAT="tsv") == "text/tab-separated-values"
    assert parse_format(ParamSet.from_pairs([("FORMAT", "x")])).table_format.name == "votable"


def test_two_formats_are_refused() -> None:
    with pytest.raises(MultiValuedError, match="RESPONSEFORMAT takes one value, 2 were given"):
        _parse("csv", "tsv")


def test_csv_reads_back_with_the_standard_library() -> None:
    text = b"".join(write_csv(_result())).decode()
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == [column.name for column in COLUMNS]
    assert [row[0] for row in rows] == [name or "" for name in NASTY]
    assert [row[1] for row in rows] == ["1.5", "", "+Inf", "-Inf", "NaN", "1e-7", "-0"]
    assert [row[2] for row in rows] == ["1 2", "", "", "0.1", "NaN 1", "3", "4"]
    assert [row[3] for row in rows][:3] == ["true", "", "false"]
    assert rows[0][4] == str(2**53 + 1)


def test_csv_tells_missing_from_empty_text() -> None:
    document = b"".join(write_csv(_result()))
    options = pyarrow.csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
    parsing = pyarrow.csv.ParseOptions(newlines_in_values=True)
    names = pyarrow.csv.read_csv(io.BytesIO(document), convert_options=options, parse_options=parsing)["name"]
    assert names.to_pylist() == NASTY


def test_tsv_has_one_line_for_each_row() -> None:
    lines = b"".join(write_tsv(_result())).decode().split("\n")
    assert lines.pop() == ""
    assert len(lines) == 1 + len(NASTY)
    assert {line.count("\t") for line in lines} == {len(COLUMNS) - 1}
    assert lines[2].startswith("two  lines\t")
    assert lines[3].startswith("tab here\t+Inf")


@pytest.mark.parametrize("name", ["csv", "tsv"])
def test_rows_beyond_the_limit_are_left_out(name: str) -> None:
    answer = parse_format(ParamSet.from_pairs([("RESPONSEFORMAT", name)]))
    assert b"".join(write_table(_result(1), answer)).count(b"\n") == 2
    assert b"".join(write_table(_result(0), answer)).count(b"\n") == 1


@pytest.mark.parametrize("media_type", ["text/csv", "text/tab-separated-values"])
def test_header_is_left_out_when_asked(media_type: str) -> None:
    answer = parse_format(ParamSet.from_pairs([("RESPONSEFORMAT", f"{media_type};header=absent")]))
    document = b"".join(write_table(_result(), answer))
    assert b"s_ra" not in document
    assert b"plain" in document


def test_rows_are_written_as_they_come() -> None:
    read = itertools.count()

    def batches() -> Iterator[pa.RecordBatch]:
        for _ in range(3):
            next(read)
            yield from _result().batches

    chunks = write_csv(ResultTable(COLUMNS, batches()))
    assert next(chunks) == b"name,s_ra,corners,seen,count\r\n"
    next(chunks)
    assert next(read) == 1


def test_no_csv_row_is_an_empty_line() -> None:
    batch = pa.record_batch([pa.array(["a,b", None, "c"]).dictionary_encode()], names=["name"])
    document = b"".join(write_csv(ResultTable(COLUMNS[:1], iter([batch])), header=False))
    # A reader would skip an empty line and lose the row.
    assert document == b'"a,b"\r\n""\r\nc\r\n'
    assert list(csv.reader(io.StringIO(document.decode(), newline=""))) == [["a,b"], [""], ["c"]]


def test_page_of_the_formats_names_all() -> None:
    page = (Path(__file__).parents[3] / "doc" / "formats.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    for item in TABLE_FORMATS:
        (line,) = (line for line in lines if line.startswith(f"| `{item.name}`"))
        assert [name for name in item.accepted if f"`{name}`" not in line] == []
        for alias in item.aliases:
            assert any(f"`{alias}`" in line.split("|")[1] for line in lines)
