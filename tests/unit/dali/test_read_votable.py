"""VOTables that clients send."""

import binascii
import io
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from astropy.io.votable import from_table
from astropy.table import MaskedColumn, Table

from lsst.dax.vo.dali import Column, arrow_type, read_votable
from lsst.dax.vo.errors import UsageError

FIELDS = """
<FIELD name="int" datatype="int" unit="deg" ucd="meta.id" utype="a:b"><DESCRIPTION> Two
 words </DESCRIPTION><VALUES null="-9"/></FIELD>
<FIELD name="short" datatype="short" arraysize="1"/><FIELD name="long" datatype="long"/>
<FIELD name="byte" datatype="unsignedByte"/><FIELD name="float" datatype="float"/>
<FIELD name="double" datatype="double"/><FIELD name="logical" datatype="boolean"/>
<FIELD name="when" datatype="char" arraysize="*" xtype="timestamp"/>
<FIELD name="select from" datatype="char" arraysize="5"/><FIELD name="letter" datatype="char"/>
<FIELD name="unicode" datatype="unicodeChar" arraysize="*"/><FIELD name="bits" datatype="bit" arraysize="11"/>
<FIELD name="region" datatype="double" arraysize="*" xtype="polygon"/>
<FIELD name="ints" datatype="int" arraysize="*"/><FIELD name="complex" datatype="floatComplex"/>
<FIELD name="place" datatype="double" arraysize="2" xtype="point"/>
<FIELD name="matrix" datatype="float" arraysize="2x3"/>
"""
ROWS = """
<TR><TD>1</TD><TD>0x1F</TD><TD>-9223372036854775807</TD><TD>254</TD><TD>1.5</TD><TD>+Inf</TD><TD>T</TD>
<TD>2026-01-01T00:00:00</TD><TD>a&lt;b</TD><TD>x</TD><TD>é🔭</TD><TD>1 0 1 1 0 0 0 1 1 1 0</TD>
<TD>1 2 3 4 5 6</TD><TD>+1 -2</TD><TD>1 2</TD><TD> 1
 2 </TD><TD>1 2 3 4 5 6</TD></TR>
<TR><TD>-9</TD><TD/><TD/><TD/><TD/><TD>NaN</TD><TD>?</TD>
<TD/><TD></TD><TD/><TD/><TD>0 0 0 0 0 0 0 0 0 0 1</TD>
<TD/><TD/><TD/><TD/><TD/></TR>
"""
WANTED = {
    "int": [1, None],
    "short": [31, None],
    "long": [-(2**63) + 1, None],
    "byte": [254, None],
    "float": [1.5, None],
    "double": [float("inf"), None],
    "logical": [True, None],
    "when": ["2026-01-01T00:00:00", None],
    "select from": ["a<b", None],
    "letter": ["x", None],
    "unicode": ["é🔭", None],
    "bits": [[bool(int(bit)) for bit in bits] for bits in ("10110001110", "00000000001")],
    "region": [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], None],
    "ints": [[1, -2], None],
    "complex": [[1.0, 2.0], None],
    "place": [[1.0, 2.0], None],
    "matrix": [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], None],
}


def document(
    table: str, *, before: str = "", namespace: str = "http://www.ivoa.net/xml/VOTable/v1.3"
) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{before}<VOTABLE version="1.4" xmlns="{namespace}">'
        f"<RESOURCE>{table}</RESOURCE></VOTABLE>"
    ).encode()


def table_of(fields: str, rows: str) -> bytes:
    return document(f"<TABLE>{fields}<DATA><TABLEDATA>{rows}</TABLEDATA></DATA></TABLE>")


def binary(fields: str, content: bytes, form: str = "BINARY2") -> bytes:
    text = binascii.b2a_base64(content).decode()
    return document(
        f'<TABLE>{fields}<DATA><{form}><STREAM encoding="base64">{text}</STREAM></{form}></DATA></TABLE>'
    )


NUMBER = '<FIELD name="a" datatype="int"/>'
TEXT = '<FIELD name="t" datatype="char" arraysize="*"/>'


def test_every_type_of_tabledata() -> None:
    columns, table = read_votable(table_of(FIELDS, ROWS))
    assert table.to_pydict() == WANTED
    assert columns[0] == Column("int", "int", "Two words", unit="deg", ucd="meta.id", utype="a:b")
    assert columns[1] == Column("short", "short")
    assert columns[7] == Column("when", "char", arraysize="*", xtype="timestamp")
    assert table.schema.types == [arrow_type(column) for column in columns]


def test_binary_forms_of_stilts(stilts: str, tmp_path: Path) -> None:
    path = tmp_path / "table.vot"
    path.write_bytes(table_of(FIELDS, ROWS))
    for form in ("BINARY", "BINARY2"):
        done = subprocess.run(
            [stilts, "tcopy", f"in={path}", "ifmt=votable", f"ofmt=votable(format={form})", "out=-"],
            check=True,
            capture_output=True,
            timeout=120,
        )
        _, table = read_votable(done.stdout)
        for name, values in WANTED.items():
            found = table[name].to_pylist()
            assert found[0] == values[0], name
            if form == "BINARY2" or not isinstance(values[0], list):
                assert found[1] == values[1], name
            elif name in ("region", "ints"):
                assert found[1] == []


@pytest.mark.parametrize("form", ["tabledata", "binary", "binary2"])
def test_forms_of_astropy(form: str) -> None:
    table = Table(
        {
            "int": MaskedColumn([1, 2, 3], mask=[False, form != "binary", False], dtype="i4"),
            "double": [1.5, float("nan"), -float("inf")],
            "text": ["a", "", "cé"],
            "logical": [True, False, True],
            "pair": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
        }
    )
    stream = io.BytesIO()
    from_table(table).to_xml(stream, tabledata_format=form)
    stream.seek(0)
    _, read = read_votable(stream)
    assert read.to_pydict() == {
        "int": [1, 2 if form == "binary" else None, 3],
        "double": [1.5, None, -float("inf")],
        "text": ["a", "" if form == "binary2" else None, "cé"],
        "logical": [True, False, True],
        "pair": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
    }


def test_first_table_counts_and_the_rest_is_not_read() -> None:
    first = f"<TABLE>{NUMBER}<DATA><TABLEDATA><TR><TD>1</TD></TR></TABLEDATA></DATA></TABLE>"
    whole = document(f"{first}</RESOURCE><RESOURCE><TABLE><FIELD/></TABLE>")
    assert read_votable(whole)[1].to_pydict() == {"a": [1]}
    # What comes after may be anything: it is not even parsed.
    assert read_votable(document(first) + b" " * 2**19 + b"<<<")[1].num_rows == 1


@pytest.mark.parametrize("namespace", ["", "http://www.ivoa.net/xml/VOTable/v1.1"])
def test_older_namespaces_are_read(namespace: str) -> None:
    table = f"<TABLE>{NUMBER}<DATA><TABLEDATA><TR><TD>1</TD></TR></TABLEDATA></DATA></TABLE>"
    assert read_votable(document(table, namespace=namespace))[1].to_pydict() == {"a": [1]}


def test_prefixed_elements_are_read() -> None:
    text = '<v:VOTABLE xmlns:v="http://www.ivoa.net/xml/VOTable/v1.3"><v:RESOURCE><v:TABLE>'
    text += '<v:FIELD name="a" datatype="int"/><v:DATA><v:TABLEDATA><v:TR><v:TD>1</v:TD></v:TR>'
    text += "</v:TABLEDATA></v:DATA></v:TABLE></v:RESOURCE></v:VOTABLE>"
    assert read_votable(text.encode())[1].to_pydict() == {"a": [1]}


def test_bits_need_no_blanks() -> None:
    fields = '<FIELD name="b" datatype="bit" arraysize="3"/>'
    table = read_votable(table_of(fields, "<TR><TD>101</TD></TR><TR><TD> 0 1 1 </TD></TR>"))[1]
    assert table.to_pydict() == {"b": [[True, False, True], [False, True, True]]}


def test_groups_and_params_are_no_columns() -> None:
    fields = '<PARAM name="p" datatype="int" value="1"><DESCRIPTION>x</DESCRIPTION></PARAM>'
    fields += f'<GROUP><FIELDref ref="x"/></GROUP>{NUMBER}'
    columns, _ = read_votable(table_of(fields, ""))
    assert columns == (Column("a", "int"),)


@pytest.mark.parametrize("rows", ["", "<DATA/>", "<DATA><TABLEDATA/></DATA>"])
def test_table_without_rows_has_its_types(rows: str) -> None:
    columns, table = read_votable(document(f"<TABLE>{FIELDS}{rows}</TABLE>"))
    assert table.num_rows == 0
    assert table.schema.types == [arrow_type(column) for column in columns]


def test_many_rows_are_read_in_parts() -> None:
    _, table = read_votable(table_of(NUMBER, "".join(f"<TR><TD>{i}</TD></TR>" for i in range(45_000))))
    assert table["a"].to_pylist() == list(range(45_000))
    assert table["a"].num_chunks == 3


def test_rows_are_counted_while_they_are_read() -> None:
    rows = "<TR><TD>1</TD></TR>" * 4
    assert read_votable(table_of(NUMBER, rows), max_rows=4)[1].num_rows == 4
    wanted = "The VOTable has more than 3 rows; send fewer"
    with pytest.raises(UsageError, match=wanted):
        # Stops there: what follows is not well-formed.
        read_votable(table_of(NUMBER, rows + "<<<"), max_rows=3)
    with pytest.raises(UsageError, match=wanted):
        read_votable(binary(NUMBER, bytes(5 * 4)), max_rows=3)
    with pytest.raises(UsageError, match=wanted):
        read_votable(binary(TEXT, bytes(5 * 4)), max_rows=3)


def test_texts_of_binary_are_filled_up_with_nul() -> None:
    fields = '<FIELD name="t" datatype="char" arraysize="4"/>'
    fields += '<FIELD name="u" datatype="unicodeChar" arraysize="2"/>'
    content = b"ab\0\0" + "é\0".encode("utf-16-be") + b"\0xyz" + "\0é".encode("utf-16-be")
    assert read_votable(binary(fields, content, "BINARY"))[1].to_pydict() == {
        "t": ["ab", None],
        "u": ["é", None],
    }


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"", "not well-formed XML: no element found"),
        (b"1,2\n3,4\n", "not well-formed XML"),
        (b"<html/>", "The document is no VOTable: it begins with <html>"),
        (document(""), "has no table with columns"),
        (document('<TABLE ref="other"/>'), "has no table with columns"),
        (
            document("<TABLE/>", before='<!DOCTYPE VOTABLE [<!ENTITY a "b">]>'),
            "has a document type \\(DOCTYPE\\); send it without one",
        ),
        (
            document("<TABLE/>", before='<!DOCTYPE VOTABLE SYSTEM "http://127.0.0.1/VOTable.dtd">'),
            "has a document type",
        ),
        (table_of(NUMBER, "<TR><TD>&a;</TD></TR>"), "not well-formed XML: undefined entity"),
        (table_of('<FIELD datatype="int"/>', ""), "Column 1 of the VOTable has no name"),
        (table_of(NUMBER * 2, ""), "two columns with the name 'a'"),
        (
            table_of('<FIELD name="a" datatype="string"/>', ""),
            "'a' of the VOTable has the datatype 'string'; give",
        ),
        (table_of('<FIELD name="a"/>', ""), "has the datatype ''"),
        (
            table_of('<FIELD name="a" datatype="int" arraysize="x"/>', ""),
            "has the arraysize 'x'; give n, n\\*",
        ),
        (table_of('<FIELD name="a" datatype="char" arraysize="2x*"/>', ""), "has arrays of texts"),
        (
            table_of("".join(f'<FIELD name="c{i}" datatype="int"/>' for i in range(1001)), ""),
            "more than 1000 columns",
        ),
        (table_of(NUMBER, "<TR><TD>1</TD><TD>2</TD></TR>"), "Row 1 of the VOTable has 2 cells .* 1 columns"),
        (table_of(NUMBER, "<TR/>"), "Row 1 of the VOTable has 0 cells"),
        (
            table_of(NUMBER, "<TR><TD>1</TD></TR><TR><TD>one</TD></TR>"),
            "'a' .* a cell with 'one'; give a number of",
        ),
        (
            table_of(NUMBER, "<TR><TD>3000000000</TD></TR>"),
            "a cell with '3000000000'; give a number of type int",
        ),
        (
            table_of('<FIELD name="a" datatype="boolean"/>', "<TR><TD>yes</TD></TR>"),
            "a cell with 'yes'; give true",
        ),
        (
            table_of('<FIELD name="a" datatype="double" arraysize="2"/>', "<TR><TD>1 2 3</TD></TR>"),
            "a cell with '1 2 3'; give 2 numbers",
        ),
        (
            table_of('<FIELD name="a" datatype="floatComplex" arraysize="*"/>', "<TR><TD>1 2 3</TD></TR>"),
            "give an even number of numbers",
        ),
        (table_of(NUMBER, '<TR><TD encoding="base64">AAAA</TD></TR>'), "cells \\(TD\\) with an encoding"),
        (
            document(f"<TABLE>{NUMBER}<DATA><FITS/></DATA></TABLE>"),
            "in FITS; give TABLEDATA, BINARY, BINARY2",
        ),
        (
            document(
                f'<TABLE>{NUMBER}<DATA><BINARY><STREAM href="file:///etc/passwd"/></BINARY></DATA></TABLE>'
            ),
            "STREAM of the VOTable is not inside it",
        ),
        (
            document(f'<TABLE>{NUMBER}<DATA><BINARY><STREAM encoding="gzip"/></BINARY></DATA></TABLE>'),
            "STREAM of the VOTable is not inside it",
        ),
        (
            document(
                f'<TABLE>{NUMBER}<DATA><BINARY><STREAM encoding="base64">A?</STREAM></BINARY></DATA></TABLE>'
            ),
            "not proper base64",
        ),
        (binary(NUMBER, bytes(7)), "end in the middle of row 2"),
        (binary(TEXT, bytes(5) + b"\0\0\0\0\x09abc"), "end in the middle of row 2"),
        (binary(TEXT, bytes(3)), "end in the middle of row 1"),
        (binary(TEXT, b"\0\xff\xff\xff\xff"), "Row 1 of the VOTable has an array of -1 elements"),
        (binary(TEXT, b"\0\0\0\0\1\xff"), "has bytes that are no UTF-8"),
        (
            binary('<FIELD name="a" datatype="short"><VALUES null="99999"/></FIELD>', bytes(3)),
            "has '99999' as its null; give a number of type short",
        ),
    ],
)
def test_what_is_wrong_is_told(sent: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_votable(sent)


@pytest.mark.parametrize(
    "encoding",
    ["shift_jis", "gb18030", "utf-7", "utf-32", "hex", "rot13", "idna", "undefined", "punycode", "none-such"],
)
def test_encodings_that_are_not_read(encoding: str) -> None:
    sent = table_of(NUMBER, "").replace(b"UTF-8", encoding.encode())
    with pytest.raises(UsageError, match=f"'{encoding}' of the VOTable is not read; give UTF-8, UTF-16,"):
        read_votable(sent)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "UTF-16", "iso-8859-1", "ISO-8859-15", "windows-1252", "koi8-r"]
)
def test_encodings_that_are_read(encoding: str) -> None:
    sent = table_of(TEXT, "<TR><TD>a</TD></TR>").decode().replace("UTF-8", encoding).encode(encoding)
    assert read_votable(sent)[1].to_pydict() == {"t": ["a"]}


def test_result_holds_memory_of_its_rows_only() -> None:
    # A length that is far beyond the document is no reason to ask for memory.
    before = pa.total_allocated_bytes()
    with pytest.raises(UsageError, match="end in the middle of row 1"):
        read_votable(binary(TEXT, b"\0\x7f\xff\xff\xffabc"))
    assert pa.total_allocated_bytes() - before < 2**20
