"""What TOPCAT, STILTS and astropy need of a Parquet file to find units and UCDs.

Debian's STILTS has no Parquet: where one that has is installed, it reads files
in ``tests/endtoend/test_clients_stil_parquet.py``.  Here its rules are cited:
from the IVOA note `VOParquet 1.0`_, 2.2 and 2.3; from STIL 4.3,
``ParquetTableBuilder`` of ``uk.ac.starlink.parquet``, which drops all metadata
if the columns do not fit, and ``stilts parqlint``, which calls the rest errors
and warnings.

.. _VOParquet 1.0: https://www.ivoa.net/documents/Notes/VOParquet/20250116/
"""

import io
import shutil
import subprocess
import xml.etree.ElementTree as ET
from importlib import resources
from pathlib import Path

import astropy.io.votable
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.table import Table

from lsst.dax.vo.dali import Column, Info
from lsst.dax.vo.obscore import OBSCORE_COLUMNS, columns_of, load_obscore_config, write_file

VOT = "{http://www.ivoa.net/xml/VOTable/v1.3}"
KEYS = {b"IVOA.VOTable-Parquet.version", b"IVOA.VOTable-Parquet.content"}
# How STIL reads a Parquet column (``InputColumns``), and a FIELD.
CLASSES = {
    "BOOLEAN NONE": "Boolean",
    "INT32 INT": "Short",
    "INT32 NONE": "Integer",
    "INT64 NONE": "Long",
    "FLOAT NONE": "Float",
    "DOUBLE NONE": "Double",
    "BYTE_ARRAY STRING": "String",
}
DATATYPES = {
    "boolean": "Boolean",
    "short": "Short",
    "int": "Integer",
    "long": "Long",
    "float": "Float",
    "double": "Double",
    "char": "String",
    "unicodeChar": "String",
}
INFOS = [Info("publisher", "A & B"), Info("creator", "us", "in words")]


def _columns(name: str) -> tuple[Column, ...]:
    if name == "all of ObsCore":
        return OBSCORE_COLUMNS
    with resources.as_file(resources.files("lsst.dax.vo.sample") / "obscore" / name) as path:
        return columns_of(load_obscore_config(path))


@pytest.fixture(params=["registry.yaml", "sample.yaml", "dp02.yaml", "all of ObsCore"])
def columns(request: pytest.FixtureRequest) -> tuple[Column, ...]:
    return _columns(request.param)


@pytest.fixture
def file(columns: tuple[Column, ...], tmp_path: Path) -> pyarrow.parquet.ParquetFile:
    write_file(tmp_path / "rows.parquet", columns, [], "parquet", infos=INFOS)
    return pyarrow.parquet.ParquetFile(tmp_path / "rows.parquet")


@pytest.fixture
def content(file: pyarrow.parquet.ParquetFile) -> bytes:
    return bytes(file.metadata.metadata[b"IVOA.VOTable-Parquet.content"])


@pytest.fixture
def stilts() -> str:
    path = shutil.which("stilts")
    if path is None:
        pytest.skip("stilts is not installed (Debian package 'stilts')")
    return path


def _described(columns: tuple[Column, ...]) -> list[tuple[str, str, str]]:
    return [(column.name, column.unit or "", column.ucd or "") for column in columns]


def test_keys(file: pyarrow.parquet.ParquetFile) -> None:
    """2.2: both keys, the version is 1.0; ``parqlint`` warns of others in their name space."""
    metadata = file.metadata.metadata
    assert {key for key in metadata if key.lower().startswith(b"ivoa.votable-parquet.")} == KEYS
    assert metadata[b"IVOA.VOTable-Parquet.version"] == b"1.0"


def test_encoding(content: bytes) -> None:
    """2.2: UTF-8, and an XML declaration, if any, says nothing else."""
    declaration = content.decode("utf-8").partition("\n")[0]
    assert declaration == '<?xml version="1.0" encoding="UTF-8"?>'


def test_first_table_has_no_data(content: bytes) -> None:
    """2.2: the first TABLE describes the columns, and has no DATA child."""
    (table,) = ET.fromstring(content).iter(f"{VOT}TABLE")
    assert {child.tag for child in table} == {f"{VOT}FIELD"}
    # STIL calls a table without a name "votable", whatever the file's name.
    assert table.get("name") == "ObsCore"


def test_fields_are_the_columns(file: pyarrow.parquet.ParquetFile, content: bytes) -> None:
    """2.3, ``fixColumnTypes``: as many, of the same names, in order, and types."""
    fields = list(ET.fromstring(content).iter(f"{VOT}FIELD"))
    stored = [file.schema.column(number) for number in range(len(file.schema.names))]
    assert [field.get("name") for field in fields] == [column.name for column in stored]
    for field, column in zip(fields, stored, strict=True):
        kind = f"{column.physical_type} {column.logical_type.type}"
        assert (column.name, CLASSES[kind]) == (field.get("name"), DATATYPES[str(field.get("datatype"))])
        assert (field.get("arraysize") is None) == (CLASSES[kind] != "String")


def test_units_and_ucds(columns: tuple[Column, ...], content: bytes) -> None:
    fields = ET.fromstring(content).iter(f"{VOT}FIELD")
    assert [
        (field.get("name"), field.get("unit", ""), field.get("ucd", "")) for field in fields
    ] == _described(columns)


def test_astropy_has_nothing_to_say(columns: tuple[Column, ...], content: bytes) -> None:
    """It reads the document as its format ``parquet.votable`` does, but strictly."""
    document = astropy.io.votable.parse(io.BytesIO(content), verify="exception")
    table = Table.read(document)
    assert table.colnames == [column.name for column in columns]
    found = [(name, str(table[name].unit or ""), table[name].meta.get("ucd", "")) for name in table.colnames]
    assert found == _described(columns)
    (results,) = document.resources
    assert {(info.name, info.value) for info in results.infos} >= {(info.name, info.value) for info in INFOS}


@pytest.mark.parametrize("texts", [["ab", None, "Å"], ["ab", "c", "d"], [None, None, None], []])
def test_astropy_reads_the_file(
    texts: list[str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing texts are ``None`` spelled out, as in every file that astropy reads."""
    columns = (
        Column("name", "char", arraysize="*", ucd="meta.id"),
        Column("size", "long", unit="kbyte", ucd="phys.size"),
        Column("ra", "double", unit="deg", ucd="pos.eq.ra", description="Where"),
    )
    rows = pa.table(
        {"name": pa.array(texts, pa.string()), "size": range(len(texts)), "ra": [0.5] * len(texts)}
    )
    write_file(tmp_path / "rows.parquet", columns, rows.to_batches(max_chunksize=2), "parquet")
    # astropy 8.0 demands pandas, and does not use it.
    monkeypatch.setattr("astropy.io.misc.parquet.HAS_PANDAS", True)
    table = Table.read(tmp_path / "rows.parquet", format="parquet.votable")
    longest = max((len(text.encode()) for text in texts if text), default=1)
    assert table["name"].dtype == f"U{longest}"
    assert table["name"].tolist() == [str(text)[:longest] for text in texts]
    assert table["size"].tolist() == list(range(len(texts)))
    assert [(str(table[name].unit), table[name].info.meta["ucd"]) for name in ("size", "ra")] == [
        ("kbyte", "phys.size"),
        ("deg", "pos.eq.ra"),
    ]
    assert table["ra"].description == "Where"


def test_document_is_legal(content: bytes, stilts: str, tmp_path: Path) -> None:
    """2.2: "a schema-valid and legal VOTable instance"; ``parqlint`` runs ``votlint``."""
    path = tmp_path / "content.vot"
    path.write_bytes(content)
    command = [stilts, "votlint", str(path), "validate=true", "ucd=true", "unit=true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""


def test_stilts_knows_units_and_ucds(
    columns: tuple[Column, ...], content: bytes, stilts: str, tmp_path: Path
) -> None:
    """Of a VOTable ``tpipe`` only shows tables with DATA: they are there again, and empty."""
    path = tmp_path / "content.vot"
    path.write_bytes(content.replace(b"</TABLE>", b"<DATA><TABLEDATA></TABLEDATA></DATA></TABLE>"))
    command = [stilts, "tpipe", f"in={path}", "ifmt=votable", "cmd=meta name units ucd", "ofmt=csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line.split(",") for line in done.stdout.splitlines()]
    assert [cell.lower() for cell in lines[0]] == ["name", "units", "ucd"]
    assert [tuple(line) for line in lines[1:]] == _described(columns)
