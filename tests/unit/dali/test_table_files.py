"""FITS, Parquet, Arrow, JSON, HTML: what a client finds in them."""

import io
import json
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.io import fits
from astropy.table import Table

from lsst.dax.vo.dali import (
    TABLE_FORMATS,
    Column,
    Info,
    InputParam,
    ParamSet,
    ResultTable,
    ServiceDescriptor,
    arrow_type,
    parse_format,
    read_votable,
    write_table,
)
from lsst.dax.vo.errors import TransientError

COLUMNS = (
    Column("obs_id", "char", "It's an id", arraysize="*", ucd="meta.id", utype="obscore:x", xml_id="obs_id"),
    Column("s_ra", "double", "Right ascension", unit="deg", ucd="pos.eq.ra", ref="icrs"),
    Column("calib_level", "int"),
    Column("s_region", "double", arraysize="*", xtype="polygon"),
    Column("access_url", "char", arraysize="*"),
)
ROWS = [
    ("a", 1.5, 1, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "https://example.org/links?a=1&b=2"),
    ("<b>", None, None, None, None),
    (None, 3.0, 3, [1.0] * 8, "javascript:alert(1)"),
]
DESCRIPTOR = ServiceDescriptor(
    "https://example.org/links",
    "ivo://ivoa.net/std/DataLink#links-1.1",
    (InputParam("ID", ref="obs_id"),),
    xml_id="datalink",
)


def batch_of(rows: list[tuple[Any, ...]], columns: tuple[Column, ...] = COLUMNS) -> pa.RecordBatch:
    schema = pa.schema([pa.field(column.name, arrow_type(column)) for column in columns])
    arrays = [pa.array([row[i] for row in rows], kind) for i, kind in enumerate(schema.types)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def chunks_of(name: str, table: ResultTable) -> Iterator[bytes]:
    answer = parse_format(ParamSet.from_pairs([("RESPONSEFORMAT", name)]))
    infos = [Info("query", "SELECT < 1"), Info("publisher", "Somebody")]
    return write_table(table, answer, infos=infos, descriptors=[DESCRIPTOR], description="Rows & more")


def write(name: str, *, maxrec: int | None = None, rows: list[tuple[Any, ...]] = ROWS) -> bytes:
    return b"".join(chunks_of(name, ResultTable(COLUMNS, iter([batch_of(rows)]), maxrec)))


def statuses(votable: bytes | str) -> list[str | None]:
    infos = ET.fromstring(votable).iter("{http://www.ivoa.net/xml/VOTable/v1.3}INFO")
    return [info.get("value") for info in infos if info.get("name") == "QUERY_STATUS"]


def told_by(name: str, document: bytes) -> bytes:
    """Return the VOTable inside a file."""
    match name:
        case "fits":
            with fits.open(io.BytesIO(document)) as hdus:
                return bytes(hdus[0].data.tobytes())
        case "parquet":
            metadata = pyarrow.parquet.read_metadata(io.BytesIO(document)).metadata
        case _:
            metadata = pa.ipc.open_stream(document).schema.metadata
    return bytes(metadata[b"IVOA.VOTable-Parquet.content"])


@pytest.mark.parametrize("name", ["fits", "parquet", "arrow"])
def test_files_describe_themselves(name: str) -> None:
    told = told_by(name, write(name))
    columns, rows = read_votable(told)
    assert rows.num_rows == 0
    assert [column.unit for column in columns] == [None, "deg", None, None, None]
    assert [column.xtype for column in columns] == [None, None, None, "polygon", None]
    assert columns[0].description == "It's an id"
    text = told.decode()
    assert '<COOSYS ID="icrs" system="ICRS"/>' in text
    assert '<INFO name="publisher" value="Somebody">' in text
    assert '<RESOURCE ID="datalink" type="meta" utype="adhoc:service">' in text
    assert "<DATA>" not in text


@pytest.mark.parametrize(
    ("maxrec", "wanted"), [(3, ["OK"]), (2, ["OK", "OVERFLOW"]), (0, ["OK", "OVERFLOW"])]
)
@pytest.mark.parametrize("name", ["fits", "parquet"])
def test_rows_that_are_left_out_are_told_in_the_file(name: str, maxrec: int, wanted: list[str]) -> None:
    assert statuses(told_by(name, write(name, maxrec=maxrec))) == wanted


@pytest.mark.parametrize("maxrec", [0, 2, 3])
def test_all_formats_send_as_many_rows(maxrec: int) -> None:
    with fits.open(io.BytesIO(write("fits", maxrec=maxrec))) as hdus:
        assert len(hdus[1].data) == maxrec
    assert pyarrow.parquet.read_table(io.BytesIO(write("parquet", maxrec=maxrec))).num_rows == maxrec
    assert pa.ipc.open_stream(write("arrow", maxrec=maxrec)).read_all().num_rows == maxrec
    told = json.loads(write("json", maxrec=maxrec))
    assert len(told["data"]) == maxrec
    assert told["query_status"] == ("OK" if maxrec == 3 else "OVERFLOW")
    page = write("html", maxrec=maxrec).decode()
    assert page.count("<tr><td>") == maxrec
    assert ("there are more" in page) == (maxrec < 3)


def _failing() -> Iterator[pa.RecordBatch]:
    yield batch_of(ROWS)
    raise TransientError("The store went away; try again")


def _send(chunks: Iterator[bytes], to: bytearray) -> None:
    for chunk in chunks:
        to += chunk


@pytest.mark.parametrize("name", [item.name for item in TABLE_FORMATS if item.name != "votable"])
def test_failure_while_streaming_breaks_the_answer_off(name: str) -> None:
    chunks = chunks_of(name, ResultTable(COLUMNS, _failing()))
    sent = bytearray()
    with pytest.raises(TransientError, match="The store went away"):
        _send(chunks, sent)
    match name:
        case "fits":
            assert not sent
        case "parquet":
            with pytest.raises(pa.ArrowInvalid):
                pyarrow.parquet.read_table(io.BytesIO(bytes(sent)))
        case "arrow":
            # Eight bytes mark the end of a stream that has one.
            assert not sent.endswith(b"\xff\xff\xff\xff\0\0\0\0")
            assert write("arrow").endswith(b"\xff\xff\xff\xff\0\0\0\0")
        case "json":
            with pytest.raises(json.JSONDecodeError):
                json.loads(sent)
        case "html":
            assert b"</html>" not in sent


@pytest.mark.parametrize("serialization", ["td", "b", "b2"])
def test_failure_while_streaming_is_told_by_every_votable(serialization: str) -> None:
    document = b"".join(chunks_of(f"votable/{serialization}", ResultTable(COLUMNS, _failing())))
    assert statuses(document) == ["OK", "ERROR"]
    assert "The store went away; try again" in document.decode()
    assert read_votable(document)[1].num_rows == 3


@pytest.mark.parametrize("name", [item.name for item in TABLE_FORMATS])
def test_failure_of_the_first_rows_is_raised_at_once(name: str) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        raise TransientError("The store is away")
        yield

    with pytest.raises(TransientError, match="The store is away"):
        chunks_of(name, ResultTable(COLUMNS, batches()))


def test_fits_header_has_the_metadata() -> None:
    with fits.open(io.BytesIO(write("fits"))) as hdus:
        header = hdus[1].header
        told = {word: header.get(f"{word}2") for word in ("TTYPE", "TFORM", "TUNIT", "TUCD", "TCOMM")}
        assert told == {
            "TTYPE": "s_ra",
            "TFORM": "1D",
            "TUNIT": "deg",
            "TUCD": "pos.eq.ra",
            "TCOMM": "Right ascension",
        }
        assert (header["TUTYP1"], header["TCOMM1"]) == ("obscore:x", "It's an id")
        assert (header["TFORM4"], header["TNULL3"]) == ("1PD(8)", -(2**31))
        assert [len(cell) for cell in hdus[1].data["s_region"]] == [6, 0, 8]


def test_stilts_finds_the_metadata_that_fits_has_no_words_for(stilts: str, tmp_path: Path) -> None:
    path = tmp_path / "table.fits"
    path.write_bytes(write("fits"))
    done = subprocess.run(
        [stilts, "tpipe", f"in={path}", "cmd=meta Name Units UCD Xtype Description", "ofmt=csv", "out=-"],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    header, first, second, _, fourth, _ = done.stdout.splitlines()
    assert header == "Name,Units,UCD,Xtype,Description"
    assert first == "obs_id,,meta.id,,It's an id"
    assert second == "s_ra,deg,pos.eq.ra,,Right ascension"
    assert fourth == "s_region,,,polygon,"


def test_fits_text_is_as_wide_as_the_longest_one() -> None:
    with fits.open(io.BytesIO(write("fits"))) as hdus:
        assert hdus[1].header["TFORM1"] == "3A"
    with fits.open(io.BytesIO(write("fits", rows=[(None, None, None, None, None)]))) as hdus:
        assert hdus[1].header["TFORM1"] == "1A"


def test_fits_texts_have_what_can_be_printed() -> None:
    texts = ["a\tb", "two\r\nlines", "\u00e9\u2603\U0001f52d", "a\x00b\x1bc\x7f", " ~"]
    document = write("fits", rows=[(text, 1.0, 1, None, None) for text in texts])
    with fits.open(io.BytesIO(document)) as hdus:
        read = list(hdus[1].data["obs_id"])
        width = int(hdus[1].header["TFORM1"].removesuffix("A"))
        raw = hdus[1].data["obs_id"].tobytes()
    assert read == ["a b", "two  lines", "???", "a?b?c?", " ~"]
    # FITS 4.0, 7.3.3.1: 32 to 126, and NUL behind the end.
    assert width == 10
    assert set(raw) <= {0, *range(32, 127)}


def test_fits_arrays_of_one_length_are_no_heap() -> None:
    rows = [("a", 1.0, 1, [1.0, 2.0], None), ("b", 1.0, 1, [3.0, 4.0], None)]
    with fits.open(io.BytesIO(write("fits", rows=rows))) as hdus:
        assert (hdus[1].header["TFORM4"], hdus[1].header["PCOUNT"]) == ("2D", 0)
        assert np.array_equal(hdus[1].data["s_region"], [[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("values", "null"),
    [([1, None], -(2**15)), ([-(2**15), None], 2**15 - 1), ([1, 2], None)],
    ids=["least", "least-is-used", "none-missing"],
)
def test_fits_chooses_a_number_that_is_not_there(values: list[int | None], null: int | None) -> None:
    columns = (Column("a", "short"),)
    batch = batch_of([(value,) for value in values], columns)
    document = b"".join(chunks_of("fits", ResultTable(columns, iter([batch]))))
    with fits.open(io.BytesIO(document)) as hdus:
        assert hdus[1].header.get("TNULL1") == null
        assert [None if value == null else value for value in hdus[1].data["a"]] == values


def test_fits_cards_hold_any_text() -> None:
    columns = (Column("a" * 80, "int", "'" * 60 + "é", unit="deg"), Column("b", "int", "x" * 33 + "''"))
    batch = batch_of([(1, 2)], columns)
    document = b"".join(chunks_of("fits", ResultTable(columns, iter([batch]))))
    with fits.open(io.BytesIO(document)) as hdus:
        hdus.verify("exception")
        assert hdus[1].header["TCOMM1"] == "'" * 34
        assert hdus[1].header["TTYPE1"] == "a" * 68
        assert hdus[1].header["TCOMM2"] == "x" * 33 + "''"


def test_fits_rows_lie_in_no_named_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    chunks = chunks_of("fits", ResultTable(COLUMNS, iter([batch_of(ROWS)] * 3)))
    next(chunks)
    # The file is open now.
    assert list(tmp_path.iterdir()) == []


def test_parquet_is_read_by_astropy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # astropy 8.0 demands pandas, and does not use it.
    monkeypatch.setattr("astropy.io.misc.parquet.HAS_PANDAS", True)
    path = tmp_path / "table.parquet"
    columns, rows = COLUMNS[:3], [("long", *row[1:3]) if row[0] == "a" else row[:3] for row in ROWS]
    table = ResultTable(columns, iter([batch_of(rows, columns)]))
    path.write_bytes(b"".join(chunks_of("parquet", table)))
    read = Table.read(path, format="parquet.votable")
    # A missing text is "None" in every file that astropy reads.
    assert list(read["obs_id"]) == ["long", "<b>", "None"]
    assert read["s_ra"].unit == "deg"
    assert read["obs_id"].description == "It's an id"
    assert list(read["s_ra"][::2]) == [1.5, 3.0]


@pytest.mark.parametrize("name", [item.name for item in TABLE_FORMATS if item.name != "fits"])
def test_rows_are_sent_before_all_of_them_are_there(name: str) -> None:
    seen = []

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(40):
            seen.append(number)
            yield batch_of([("x" * 1000, 1.0, 1, [1.0], None)] * 4000)

    chunks = chunks_of(name, ResultTable(COLUMNS, batches()))
    for _ in range(3):
        assert next(chunks)
    assert len(seen) < 30


def test_parquet_has_groups_of_a_size() -> None:
    batches = (batch_of([(f"{i:02}" * 500, 1.0, 1, [1.0], None)] * 4000) for i in range(20))
    document = b"".join(chunks_of("parquet", ResultTable(COLUMNS, batches)))
    metadata = pyarrow.parquet.read_metadata(io.BytesIO(document))
    assert metadata.num_rows == 80_000
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [36_000, 36_000, 8_000]


def test_json_columns_have_the_metadata() -> None:
    told = json.loads(write("json"))
    assert told["columns"][1] == {
        "name": "s_ra",
        "datatype": "double",
        "unit": "deg",
        "ucd": "pos.eq.ra",
        "description": "Right ascension",
    }
    assert told["infos"] == [
        {"name": "query", "value": "SELECT < 1"},
        {"name": "publisher", "value": "Somebody"},
    ]
    assert told["data"][1] == ["<b>", None, None, None, None]


def test_json_escapes_control_characters() -> None:
    columns = (Column("a", "char", arraysize="*"),)
    texts = ["".join(map(chr, range(0x20))), 'a"b\\c', "\x7f\u2028é"]
    for rows in ([(text,) for text in texts], [(texts[0],), (texts[0],)]):
        document = b"".join(chunks_of("json", ResultTable(columns, iter([batch_of(rows, columns)]))))
        assert json.loads(document)["data"] == [list(row) for row in rows]


def test_html_links_what_can_be_followed_and_nothing_else() -> None:
    page = write("html").decode()
    url = "https://example.org/links?a=1&amp;b=2"
    assert f'<td><a href="{url}">{url}</a></td>' in page
    assert "<td>javascript:alert(1)</td>" in page
    assert "<td>&lt;b&gt;</td>" in page
    assert "<title>Rows &amp; more</title>" in page
    assert "<dd>SELECT &lt; 1</dd>" in page
    assert '<th title="Right ascension">s_ra <small>deg</small></th>' in page


def test_html_link_cannot_leave_its_attribute() -> None:
    columns = (Column("a", "char", arraysize="*"),)
    rows = [('http://x/" onmouseover="alert(1)',), ("http://x/'<script>",)]
    page = b"".join(chunks_of("html", ResultTable(columns, iter([batch_of(rows, columns)])))).decode()
    assert 'href="http://x/&quot; onmouseover=&quot;alert(1)"' in page
    assert "<script>" not in page
