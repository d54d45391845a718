"""Files: what others read in them, and that they appear whole or not at all."""

import csv
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import astropy.io.votable
import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml
from astropy.table import Table
from lsst.daf.butler import Butler
from lsst.dax.obscore import ExporterConfig
from lsst.dax.obscore.obscore_exporter import ObscoreExporter

from lsst.dax.vo.dali import Column, arrow_type
from lsst.dax.vo.errors import TransientError, UsageError
from lsst.dax.vo.obscore import FILE_FORMATS, columns_of, iter_rows, parse_obscore_config, write_file


@pytest.fixture
def rows(odd: Butler, config: dict[str, Any]) -> tuple[tuple[Column, ...], list[pa.RecordBatch]]:
    config["batch_size"] = 7
    parsed = parse_obscore_config(yaml.safe_dump(config), "the test")
    return columns_of(parsed), list(iter_rows(odd, parsed, label="test"))


def _public(rows: Any) -> pa.Table:
    columns, batches = rows
    schema = pa.schema([pa.field(column.name, arrow_type(column)) for column in columns])
    return pa.Table.from_batches(batches).select(schema.names).cast(schema)


def test_parquet(rows: Any, tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    write_file(path, *rows, "parquet")
    assert pyarrow.parquet.read_table(path).equals(_public(rows))
    group = pyarrow.parquet.ParquetFile(path).metadata.row_group(0)
    assert group.column(0).compression == "ZSTD"
    # As astropy's "parquet.votable" does it, which needs pandas for the rows.
    content = pyarrow.parquet.ParquetFile(path).metadata.metadata[b"IVOA.VOTable-Parquet.content"]
    table = Table.read(astropy.io.votable.parse(io.BytesIO(content), verify="ignore"))
    assert table.colnames == _public(rows).column_names
    assert str(table["s_ra"].unit) == "deg"
    assert table["s_ra"].meta["ucd"] == "pos.eq.ra"
    assert table["lsst_band"].description == "The band."


def test_arrow(rows: Any, tmp_path: Path) -> None:
    write_file(tmp_path / "out.arrow", *rows, "arrow")
    assert pa.ipc.open_file(tmp_path / "out.arrow").read_all().equals(_public(rows))


def test_votable(rows: Any, tmp_path: Path) -> None:
    write_file(tmp_path / "out.vot", *rows, "votable")
    table = astropy.io.votable.parse_single_table(tmp_path / "out.vot", verify="exception")
    assert len(table.array) == 35
    assert [field.name for field in table.fields] == _public(rows).column_names


def test_csv_is_what_lsst_dax_obscore_writes(odd: Butler, config: dict[str, Any], tmp_path: Path) -> None:
    exporter = ObscoreExporter(odd, ExporterConfig.model_validate(config))
    theirs, ours = tmp_path / "theirs.csv", tmp_path / "ours.csv"
    with warnings.catch_warnings():
        # Regions of other types.
        warnings.simplefilter("ignore")
        exporter.to_csv(str(theirs))
        batches = [batch for batch, _ in exporter._make_record_batches()]
    kinds = {pa.string(): "char", pa.float64(): "double", pa.bool_(): "boolean"}
    kinds |= {pa.int16(): "short", pa.int32(): "int", pa.int64(): "long"}
    columns = [Column(field.name, kinds[field.type]) for field in exporter.schema]
    write_file(ours, columns, batches, "csv")
    assert ours.read_bytes() == theirs.read_bytes()


def test_csv_of_anything(tmp_path: Path) -> None:
    texts = ["", 'a "b"', "c,d", "e\nf", None, "\x1f", "\\N"]
    batch = pa.record_batch({"t": pa.array(texts), "x": pa.array([1.0, -0.0, 1e-9, 1e22, None, 0.1, 5e-324])})
    columns = [Column("t", "char", arraysize="*"), Column("x", "double")]
    write_file(tmp_path / "out.csv", columns, [batch], "csv", csv_null="NULL")
    with (tmp_path / "out.csv").open(newline="") as stream:
        lines = list(csv.reader(stream))
    assert lines[0] == ["t", "x"]
    assert [line[0] for line in lines[1:]] == [text if text is not None else "NULL" for text in texts]
    assert [float(line[1]) if line[1] != "NULL" else None for line in lines[1:]] == batch["x"].to_pylist()


def _broken(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield batches[0]
    raise TransientError("gone")


@pytest.mark.parametrize("file_format", FILE_FORMATS)
class TestAllOrNothing:
    def test_error_leaves_what_was_there(self, rows: Any, tmp_path: Path, file_format: str) -> None:
        path = tmp_path / "out"
        path.write_text("before")
        with pytest.raises(TransientError, match="gone"):
            write_file(path, rows[0], _broken(rows[1]), file_format)
        assert path.read_text() == "before"
        assert [item.name for item in tmp_path.iterdir()] == ["out"]

    def test_no_rows(self, rows: Any, tmp_path: Path, file_format: str) -> None:
        write_file(tmp_path / "out", rows[0], [], file_format)
        assert (tmp_path / "out").stat().st_size > 100

    def test_mode_is_that_of_any_file(self, rows: Any, tmp_path: Path, file_format: str) -> None:
        write_file(tmp_path / "out", *rows, file_format)
        (tmp_path / "other").touch()
        assert (tmp_path / "out").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize(
    ("name", "file_format", "message"),
    [("", "csv", "is a folder"), ("no/where", "csv", "No such file"), ("out", "xlsx", "'xlsx' is not known")],
)
def test_bad_destination(rows: Any, tmp_path: Path, name: str, file_format: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        write_file(tmp_path / name, *rows, file_format)
