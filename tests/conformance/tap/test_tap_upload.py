"""TAP 1.1, 2.7.6: tables that come with a query, by all datatypes of VOTable."""

import io
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest

from lsst.dax.vo.config import Limits
from lsst.dax.vo.dali import ParamSet, Response
from lsst.dax.vo.tap import TapService

BASE_URL = "https://vo.example.org/rubin"
VOT = "{http://www.ivoa.net/xml/VOTable/v1.3}"

# (FIELD, cells of three rows), each in the one form that answers have.  The
# last integer of a type stands for no value where BINARY has no other word.
COLUMNS = [
    ('name="id" datatype="int" ucd="meta.id;meta.main" utype="a:b.c"', ("1", "2", "3")),
    ('name="short" datatype="short" unit="km.s-1"', ("-32767", "32767", "")),
    ('name="long" datatype="long"', ("-9223372036854775807", "9223372036854775807", "")),
    ('name="byte" datatype="unsignedByte"', ("0", "254", "")),
    ('name="float" datatype="float"', ("1.5", "-0.25", "")),
    ('name="double" datatype="double" unit="deg"', ("55.746712345678", "1e-300", "")),
    ('name="truth" datatype="boolean"', ("true", "false", "")),
    ('name="bit" datatype="bit"', ("1", "0", "")),
    ('name="text" datatype="char" arraysize="*"', ("a &lt;b&gt; &amp;", "it''s", "")),
    ('name="letter" datatype="char"', ("x", "y", "")),
    ('name="fixed" datatype="char" arraysize="4"', ("abcd", "ef", "")),
    ('name="unicode" datatype="unicodeChar" arraysize="12*"', ("é ü", "☃", "")),
    ('name="time" datatype="char" arraysize="*" xtype="timestamp"', ("2026-01-02T03:04:05", "2026", "")),
    ('name="point" datatype="double" arraysize="2" xtype="point" unit="deg"', ("55.7 -32.3", "0 89.5", "")),
    ('name="circle" datatype="double" arraysize="3" xtype="circle"', ("55.7 -32.3 0.5", "1 2 3", "")),
    (
        'name="polygon" datatype="double" arraysize="*" xtype="polygon"',
        ("1 1 2 1 2 2", "1 1 2 1 2 2 1 2", ""),
    ),
    ('name="interval" datatype="double" arraysize="2" xtype="interval"', ("1 2.5", "-Inf +Inf", "")),
    ('name="ints" datatype="int" arraysize="*"', ("1 2 3", "-7", "")),
    ('name="floats" datatype="float" arraysize="3"', ("1 2 3", "0.5 NaN -0.5", "")),
    ('name="complex" datatype="doubleComplex"', ("1 -2", "0.5 0", "")),
    ('name="select" datatype="int"', ("10", "20", "")),
    ('name="two words" datatype="int"', ("11", "21", "")),
    ('name="&quot;odd&quot;;--" datatype="int"', ("12", "22", "")),
    ('name="MixedCase" datatype="int"', ("13", "23", "")),
]  # fmt: skip


def votable(columns: list[tuple[str, tuple[str, ...]]]) -> bytes:
    fields = "".join(f"<FIELD {field}><DESCRIPTION>About it</DESCRIPTION></FIELD>" for field, _ in columns)
    rows = "".join(
        f"<TR>{''.join(f'<TD>{cell}</TD>' for cell in row)}</TR>"
        for row in zip(*(cells for _, cells in columns), strict=True)
    )
    # TAP 1.1 takes the first table, wherever it is.
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE type="meta"/>'
        f"<RESOURCE><INFO name='x' value='y'/><TABLE>{fields}<DATA><TABLEDATA>{rows}</TABLEDATA></DATA>"
        '</TABLE><TABLE><FIELD name="no" datatype="int"/></TABLE></RESOURCE></VOTABLE>'
    ).encode()


ALL = votable(COLUMNS)


def ask(tap: TapService, query: str, *pairs: tuple[str, str], **files: bytes) -> Response:
    opened = {name: io.BytesIO(content) for name, content in files.items()}
    uploads = [
        ("UPLOAD", f"{name},param:{name}") for name in files if not any(k == "UPLOAD" for k, _ in pairs)
    ]
    return tap.sync(ParamSet.from_pairs([("QUERY", query), *uploads, *pairs], files=opened), BASE_URL)


def content_of(response: Response) -> bytes:
    content = response.body if isinstance(response.body, bytes) else b"".join(response.body)
    assert response.status == 200, content.decode()
    return content


def taken_apart(content: bytes) -> tuple[list[dict[str, str]], list[str | None], list[list[str]]]:
    """Return the attributes of the FIELDs, their descriptions, and the cells."""
    (table, *_) = ET.fromstring(content).iter(f"{VOT}TABLE")
    fields = list(table.iter(f"{VOT}FIELD"))
    attributes = [
        {key: value for key, value in field.items() if key not in ("ID", "ref")} for field in fields
    ]
    rows = [[cell.text or "" for cell in row] for row in table.iter(f"{VOT}TR")]
    return attributes, [field.findtext(f"{VOT}DESCRIPTION") for field in fields], rows


WANTED = taken_apart(ALL)


@pytest.fixture(scope="module")
def direct(services: Any) -> TapService:
    return TapService(services.engine, limits=Limits(upload_rows=50))


@pytest.mark.parametrize("name", ["TAP_UPLOAD.t", "tap_upload.T", 'Tap_Upload."t"'])
def test_2_7_6_all_types_come_back(direct: TapService, name: str) -> None:
    found = taken_apart(content_of(ask(direct, f"SELECT * FROM {name} ORDER BY id", t=ALL)))
    for got, wanted in zip(found, WANTED, strict=True):
        assert got == wanted


@pytest.mark.parametrize("serialization", ["BINARY", "BINARY2"])
def test_2_7_6_all_serializations_are_read(direct: TapService, serialization: str) -> None:
    query = "SELECT * FROM TAP_UPLOAD.t ORDER BY id"
    media_type = f"application/x-votable+xml;serialization={serialization}"
    binary = content_of(ask(direct, query, ("RESPONSEFORMAT", media_type), t=ALL))
    assert f"<{serialization}>".encode() in binary
    attributes, descriptions, rows = taken_apart(content_of(ask(direct, query, t=binary)))
    assert (attributes, descriptions) == WANTED[:2]
    if serialization == "BINARY":
        # It has no word for a bit, or an array of fixed length, that is missing.
        names = [item["name"] for item in attributes]
        assert rows[2][names.index("bit")] == "0"
        rows[2] = ["" if cell == "0" or cell.startswith("NaN") else cell for cell in rows[2]]
    assert rows == WANTED[2]


def test_2_7_6_columns_are_used_by_their_names(direct: TapService) -> None:
    query = (
        'SELECT t.id, short, t."select", "two words", """odd"";--" AS odd, mixedcase, "MixedCase" AS again '
        "FROM TAP_UPLOAD.t AS t WHERE mixedCASE > 13"
    )
    attributes, _, rows = taken_apart(content_of(ask(direct, query, t=ALL)))
    assert [item["name"] for item in attributes] == [
        "id",
        "short",
        "select",
        "two words",
        "odd",
        "MixedCase",
        "again",
    ]
    assert rows == [["2", "32767", "20", "21", "22", "23", "23"]]


@pytest.mark.parametrize("name", ['"two  words"', "two", '"mixedcase"', "nothing"])
def test_2_7_6_other_names_are_none(direct: TapService, name: str) -> None:
    response = ask(direct, f"SELECT {name} FROM TAP_UPLOAD.t", t=ALL)
    assert response.status == 400


def test_2_7_6_geometries_are_found_in_the_sky(direct: TapService, sky: Any) -> None:
    rows = [row for row in sky if row.region is not None][:30]
    table = votable(
        [
            ('name="n" datatype="int"', tuple(str(n) for n, _ in enumerate(rows))),
            ('name="ra" datatype="double"', tuple(repr(row["s_ra"]) for row in rows)),
            ('name="dec" datatype="double"', tuple(repr(row["s_dec"]) for row in rows)),
            (
                'name="place" datatype="double" arraysize="2" xtype="point"',
                tuple(f"{row['s_ra']!r} {row['s_dec']!r}" for row in rows),
            ),
            (
                'name="around" datatype="double" arraysize="3" xtype="circle"',
                tuple(f"{row['s_ra']!r} {row['s_dec']!r} 0.01" for row in rows),
            ),
        ]
    )
    wanted = {(str(n), row["obs_publisher_did"]) for n, row in enumerate(rows)}
    for condition in (
        "CONTAINS(POINT(t.ra, t.dec), o.s_region) = 1",
        "CONTAINS(t.place, o.s_region) = 1",
        "INTERSECTS(t.around, o.s_region) = 1",
    ):
        query = (
            "SELECT t.n, o.obs_publisher_did FROM TAP_UPLOAD.t AS t JOIN ivoa.ObsCore AS o "
            f"ON {condition} ORDER BY t.n"
        )
        found = taken_apart(content_of(ask(direct, query, ("MAXREC", "100000"), t=table)))[2]
        assert wanted <= {(n, did) for n, did in found}, condition


def test_2_7_6_tables_are_those_of_one_query(direct: TapService) -> None:
    names = "SELECT table_name FROM TAP_SCHEMA.tables WHERE schema_name LIKE 'TAP_U%'"
    assert taken_apart(content_of(ask(direct, names, t=ALL)))[2] == []
    content_of(ask(direct, "SELECT id FROM TAP_UPLOAD.t", t=ALL))
    for files in ({}, {"other": ALL}):
        assert ask(direct, "SELECT id FROM TAP_UPLOAD.t", **files).status == 400


@pytest.mark.parametrize(
    "uploads", [["a,param:x;b,param:y"], ["a,param:x", "b,param:y"], ["A,param:x; B ,param:y;"]]
)
def test_2_7_6_two_tables(direct: TapService, uploads: list[str]) -> None:
    x, y = (votable([('name="n" datatype="int"', cells)]) for cells in (("1", "2"), ("2", "3")))
    query = "SELECT a.n FROM TAP_UPLOAD.a JOIN TAP_UPLOAD.b ON a.n = b.n"
    found = ask(direct, query, *(("UPLOAD", text) for text in uploads), x=x, y=y)
    assert taken_apart(content_of(found))[2] == [["2"]]


def test_2_7_4_maxrec_of_a_table(direct: TapService, document: Callable[[Response], Any]) -> None:
    found = document(ask(direct, "SELECT id, text FROM TAP_UPLOAD.t ORDER BY id", ("MAXREC", "2"), t=ALL))
    assert (found.column("id"), found.overflow) == (["1", "2"], True)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (b"no table", "UPLOAD t: "),
        (ALL.replace(b"</VOTABLE>", b""), None),
        (ALL[: len(ALL) // 2], "UPLOAD t: "),
        (votable([('name="n" datatype="int"', tuple(map(str, range(51))))]), "50"),
        (votable([('name="n" datatype="int"', ("x",))]), "n"),
        (votable([('name="n" datatype="words"', ("x",))]), "words"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]>' + ALL.partition(b"\n")[2], "UPLOAD t: "),
    ],
    ids=["text", "no end", "half", "rows", "cell", "datatype", "entities"],
)
def test_3_3_tables_that_cannot_be_read(
    direct: TapService, document: Callable[[Response], Any], table: bytes, told: str | None
) -> None:
    response = ask(direct, "SELECT 1 AS one FROM TAP_UPLOAD.t", t=table)
    if told is None:
        # The first table is whole: what follows is not looked at.
        assert response.status == 200
        return
    assert response.status == 400
    ((status, _, text),) = document(response).statuses
    assert status == "ERROR"
    assert text.startswith("UPLOAD t: ")
    assert told in text
