"""The VOTable writer, read back by astropy."""

import io
import itertools
import math
import xml.etree.ElementTree as ET

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import votable
from hypothesis import given
from hypothesis import strategies as st

from lsst.dax.vo.dali import (
    Column,
    Info,
    InputParam,
    ResultTable,
    ServiceDescriptor,
    arrow_type,
    read_votable,
    votable_error,
    write_votable,
)
from lsst.dax.vo.errors import TransientError

NAMESPACE = "{http://www.ivoa.net/xml/VOTable/v1.3}"
COLUMNS = (
    Column("name", "char", arraysize="*"),
    Column("count", "long"),
    Column("small", "int"),
    Column("value", "double", unit="deg", ref="icrs"),
    Column("flag", "boolean"),
    Column("pair", "double", arraysize="*"),
)


def make_table(rows, *, columns=COLUMNS, maxrec=None):
    schema = pa.schema([(column.name, arrow_type(column)) for column in columns])
    arrays = [pa.array([row[i] for row in rows], field.type) for i, field in enumerate(schema)]
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    return ResultTable(columns, iter([batch]), maxrec=maxrec)


def write(table, **kwargs):
    return b"".join(write_votable(table, **kwargs))


def statuses(document):
    infos = ET.fromstring(document).iter(NAMESPACE + "INFO")
    return [info.get("value") for info in infos if info.get("name") == "QUERY_STATUS"]


# Lone surrogates are no text; the characters that XML cannot hold are dropped
# by the writer and are tested on their own.
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))


@given(
    st.lists(
        st.tuples(
            st.none() | texts,
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.integers(-(2**31), 2**31 - 1),
            st.none() | st.floats(),
            st.none() | st.booleans(),
            st.lists(st.floats(allow_nan=False), min_size=1, max_size=4),
        ),
        max_size=5,
    )
)
def test_every_value_survives(rows):
    document = write(make_table(rows))
    fields = [row.findall(NAMESPACE + "TD") for row in ET.fromstring(document).iter(NAMESPACE + "TR")]
    assert len(fields) == len(rows)
    for cells, row in zip(fields, rows, strict=True):
        name, count, small, value, flag, pair = (cell.text or "" for cell in cells)
        assert name == (row[0] or "")
        assert count == ("" if row[1] is None else str(row[1]))
        assert small == ("" if row[2] is None else str(row[2]))
        assert flag == ("" if row[4] is None else str(row[4]).lower())
        if row[3] is None:
            assert value == ""
        elif math.isfinite(row[3]):
            assert float(value) == row[3]
        else:
            assert value == {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[str(row[3])]
        assert [float(word) for word in pair.split()] == row[5]


def test_astropy_reads_the_document():
    document = write(
        make_table([("a<b>&c", 1, None, 55.7467, True, [1.0, 2.0]), (None, None, 2, None, None, [3.0])])
    )
    table = votable.parse(io.BytesIO(document), verify="exception").get_first_table().to_table()
    assert list(table["name"]) == ["a<b>&c", ""]
    assert table["value"][0] == 55.7467
    assert np.ma.is_masked(table["count"][1])
    assert table["value"].unit == "deg"


def test_characters_that_xml_cannot_hold_are_dropped():
    document = write(make_table([("a\x00b\x1fc\td\ne", None, None, None, None, None)]))
    cell = next(ET.fromstring(document).iter(NAMESPACE + "TD"))
    assert cell.text == "abc\td\ne"


def test_sliced_batches_are_written_from_their_own_rows():
    rows = [(str(i), i, i, float(i), None, [float(i)] * (i % 3)) for i in range(10)]
    whole = next(make_table(rows).batches)
    document = write(ResultTable(COLUMNS, iter([whole.slice(3, 2)])))
    cells = [cell.text for cell in ET.fromstring(document).iter(NAMESPACE + "TD")]
    assert cells == ["3", "3", "3", "3", None, None, "4", "4", "4", "4", None, "4"]


@pytest.mark.parametrize(
    ("maxrec", "rows", "status"),
    [
        (None, 3, ["OK"]),
        (3, 3, ["OK"]),
        (4, 3, ["OK"]),
        (2, 2, ["OK", "OVERFLOW"]),
        (0, 0, ["OK", "OVERFLOW"]),
    ],
    ids=["no-limit", "limit-equals-rows", "limit-above", "limit-below", "metadata-only"],
)
def test_dali_4_4_1_overflow(maxrec, rows, status):
    document = write(make_table([("a", 1, 1, 1.0, True, [1.0])] * 3, maxrec=maxrec))
    assert len(list(ET.fromstring(document).iter(NAMESPACE + "TR"))) == rows
    assert statuses(document) == status
    assert len(list(ET.fromstring(document).iter(NAMESPACE + "FIELD"))) == len(COLUMNS)


def test_tap_3_3_failure_while_streaming_is_told_after_the_table():
    good = next(make_table([("a", 1, 1, 1.0, True, [1.0])]).batches)

    def batches():
        yield good
        raise TransientError("The store went away; try again")

    document = write(ResultTable(COLUMNS, batches()))
    assert statuses(document) == ["OK", "ERROR"]
    assert "The store went away; try again" in document.decode()


def test_error_document_carries_its_message():
    resource = ET.fromstring(votable_error('Unknown column "foo" & more'))[0]
    assert resource.get("type") == "results"
    assert resource[0].attrib == {"name": "QUERY_STATUS", "value": "ERROR"}
    assert resource[0].text == 'Unknown column "foo" & more'


def test_descriptor_params_keep_their_kind():
    descriptor = ServiceDescriptor(
        access_url="http://localhost/api/cutout/sync?a=1&b=2",
        standard_id="ivo://ivoa.net/std/SODA#sync-1.0",
        params=(
            InputParam("ID", ref="ID", ucd="meta.ref.url;meta.curation"),
            InputParam("CIRCLE", "double", "3", xtype="circle", unit="deg", maximum="1 2 3"),
            InputParam("CUTOUTDETAIL", value="Image", options=("Image", "Exposure")),
        ),
        xml_id="cutout-sync",
        name="SODA cutout",
    )
    document = write(make_table([]), infos=[Info("standardID", "x")], descriptors=[descriptor])
    meta = ET.fromstring(document)[1]
    assert meta.get("utype") == "adhoc:service"
    params = {param.get("name"): param for param in meta.iter(NAMESPACE + "PARAM")}
    assert params["accessURL"].get("value") == "http://localhost/api/cutout/sync?a=1&b=2"
    assert params["CIRCLE"].get("value") == ""
    assert params["CIRCLE"].find(f"{NAMESPACE}VALUES/{NAMESPACE}MAX").get("value") == "1 2 3"
    assert params["ID"].get("ref") == "ID"
    ids = [element.get("ID") for element in ET.fromstring(document).iter() if element.get("ID")]
    assert len(ids) == len(set(ids))


def test_rows_are_written_in_chunks():
    rows = [("x" * 100, i, i, float(i), True, [1.0]) for i in range(10_000)]
    chunks = list(write_votable(make_table(rows)))
    assert len(chunks) > 3
    counted = sum(chunk.count(b"<TR>") for chunk in chunks)
    assert counted == len(rows)
    assert all(len(chunk) < 5_000_000 for chunk in itertools.islice(chunks, 10))


def test_values_are_written_whatever_carries_them():
    columns = (
        Column("name", "char", arraysize="*"),
        Column("word", "char", arraysize="*"),
        Column("count", "long"),
        Column("value", "double"),
        Column("pair", "double", arraysize="2"),
    )
    batch = pa.record_batch(
        [
            pa.array(["a", None, "a"]).dictionary_encode(),
            pa.array(["a", "<b>", None], pa.string_view()),
            pa.array([1, 2, None], pa.int32()),
            pa.array([1, None, 3], pa.decimal128(5, 2)),
            pa.array([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float64(), 2)),
        ],
        names=[column.name for column in columns],
    )
    for serialization in ("TABLEDATA", "BINARY2"):
        document = write(ResultTable(columns, iter([batch]), maxrec=3), serialization=serialization)
        assert read_votable(document)[1].to_pylist() == [
            {"name": "a", "word": "a", "count": 1, "value": 1.0, "pair": [1.0, 2.0]},
            {"name": None, "word": "<b>", "count": 2, "value": None, "pair": None},
            {"name": "a", "word": None, "count": None, "value": 3.0, "pair": [3.0, 4.0]},
        ]


def test_number_that_does_not_fit_its_column_is_not_cut():
    columns = (Column("count", "int"),)
    batch = pa.record_batch([pa.array([2**40])], names=["count"])
    with pytest.raises(pa.ArrowInvalid, match="not in range"):
        write(ResultTable(columns, iter([batch])), serialization="BINARY2")


def test_descriptor_of_the_service_itself():
    descriptor = ServiceDescriptor("http://localhost/query", "ivo://x", (), utype="adhoc:this")
    assert ET.fromstring(write(make_table([]), descriptors=[descriptor]))[1].get("utype") == "adhoc:this"


def test_result_that_comes_from_no_query_is_stopped_in_vain():
    table = make_table([])
    table.cancel()
    table.cancel()
    assert statuses(write(table)) == ["OK"]
