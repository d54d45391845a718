"""STIL, the library of TOPCAT and STILTS, reads our Parquet files: metadata and every value.

Debian's STILTS has no reader of Parquet.  These tests run where ``stilts``, or
the command that ``DAX_VO_STILTS`` names, says that it has one: its author's
has, and Debian's, too, when ``CLASSPATH`` holds ``uk.ac.starlink.parquet`` and
the libraries of Parquet.
"""

import csv
import io
import os
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsst.dax.vo.dali import Column, ResultTable, arrow_type, write_parquet
from lsst.dax.vo.obscore import columns_of, load_obscore_config
from lsst.dax.vo.sample import Sample
from lsst.dax.vo.services import export_repository

READERS = {
    # Row by row; it finds the format itself.
    "rows": "(auto)",
    # Column by column, as TOPCAT does with large files.
    "columns": "parquet(cachecols=true)",
}
ATTRIBUTES = ("name", "datatype", "unit", "ucd", "utype", "xtype")
VOT = "{http://www.ivoa.net/xml/VOTable/v1.3}"
ALL_TYPES = (
    Column("text", "char", "What it's called & <more>", arraysize="*", ucd="meta.id", utype="obscore:x"),
    Column("letters", "unicodeChar", arraysize="*"),
    Column("flag", "boolean", ucd="meta.code"),
    Column("small", "short"),
    Column("whole", "int", unit="adu"),
    Column("large", "long", unit="kbyte", ucd="phys.size;meta.file"),
    Column("flux", "float", unit="nJy", ucd="phot.flux.density"),
    Column("ra", "double", "Right ascension", unit="deg", ucd="pos.eq.ra", ref="icrs"),
    Column("corners", "double", arraysize="*", unit="deg", xtype="polygon"),
)
ROWS: list[tuple[Any, ...]] = [
    ("a,\"b\"\n'c'", "é☃🔭", True, -5, 7, 2**62, 1.5, 55.7467, [0.25, -1.5, 3.0]),
    (None,) * 9,
    ("", "", False, 2**15 - 1, -(2**31) + 1, -(2**63) + 1, float("inf"), 1e-300, [1.0]),
    ("d", "e", None, 0, None, 0, None, -0.0, None),
]


@dataclass(frozen=True)
class Written:
    """A file, and what is in it."""

    path: Path
    name: str
    columns: tuple[Column, ...]


@pytest.fixture(scope="module")
def stilts() -> str:
    command = os.environ.get("DAX_VO_STILTS", "stilts")
    found = shutil.which(command)
    if found is None:
        pytest.skip(f"{command} is not installed")
    done = subprocess.run([found, "tpipe", "help=ifmt"], capture_output=True, text=True, check=True)
    if "parquet" not in done.stdout.split():
        pytest.skip(f"{found} has no reader of Parquet; name one that has by DAX_VO_STILTS")
    return found


@pytest.fixture(scope="module", params=["sample", "dp02", "all types", "no rows"])
def written(
    request: pytest.FixtureRequest, sample: Sample, tmp_path_factory: pytest.TempPathFactory
) -> Written:
    path = tmp_path_factory.mktemp("parquet") / "rows.parquet"
    if request.param in sample.repositories:
        config = sample.configurations[request.param]
        export_repository(sample.repositories[request.param], path, config_path=config)
        return Written(path, "ObsCore", columns_of(load_obscore_config(config)))
    rows = ROWS if request.param == "all types" else []
    # Each batch becomes a row group.
    parts = write_parquet(ResultTable(ALL_TYPES, batches_of(rows)), bytes_per_group=1)
    path.write_bytes(b"".join(parts))
    assert pq.ParquetFile(path).num_row_groups == len(rows) / 2
    return Written(path, "result", ALL_TYPES)


def batches_of(rows: list[tuple[Any, ...]]) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(rows), 2):
        values = zip(*rows[start : start + 2], strict=True)
        arrays = [
            pa.array(cells, arrow_type(column)) for cells, column in zip(values, ALL_TYPES, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, names=[column.name for column in ALL_TYPES])


def run(stilts: str, *arguments: str) -> str:
    done = subprocess.run(
        [stilts, "tpipe", *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    # What it does not read, it leaves out with a warning.
    assert "WARNING" not in done.stderr, done.stderr
    return done.stdout


def test_stil_reads_units_and_ucds(stilts: str, written: Written) -> None:
    # With 'votmeta', it is an error if our metadata do not fit the file.
    told = run(stilts, f"in={written.path}", "ifmt=parquet(votmeta=true)", "ofmt=votable")
    (table,) = ET.fromstring(told).iter(f"{VOT}TABLE")
    # Of a table without a name STIL says "votable".
    assert table.get("name") == written.name
    found = [
        (*map(field.get, ATTRIBUTES), field.findtext(f"{VOT}DESCRIPTION", ""), field.get("arraysize") is None)
        for field in table.iter(f"{VOT}FIELD")
    ]
    assert found == [
        (*(getattr(column, word) for word in ATTRIBUTES), column.description, column.arraysize is None)
        for column in written.columns
    ]


@pytest.mark.parametrize("reader", READERS)
def test_stil_reads_every_value(stilts: str, written: Written, reader: str) -> None:
    told = run(stilts, f"in={written.path}", f"ifmt={READERS[reader]}", "ofmt=csv")
    head, *lines = csv.reader(io.StringIO(told))
    table = pq.read_table(written.path)
    assert head == [column.name for column in written.columns]
    assert len(lines) == table.num_rows
    for place, column in enumerate(written.columns):
        cells = [value_of(line[place], column) for line in lines]
        # CSV has nothing for an empty text, nor for one that is missing.
        assert cells == [None if value == "" else value for value in table[column.name].to_pylist()]


def value_of(cell: str, column: Column) -> Any:
    if cell == "":
        return None
    if column.datatype in ("char", "unicodeChar"):
        return cell
    if column.arraysize is not None:
        return [float(number) for number in cell.strip("()").split(",")]
    if column.datatype == "boolean":
        return {"true": True, "false": False}[cell]
    return float(cell) if column.datatype in ("float", "double") else int(cell)
