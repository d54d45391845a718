"""What an exporter configuration says about files reaches the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from lsst.dax.vo.obscore import ExportChoice, columns_of, load_obscore_config
from lsst.dax.vo.services import _export
from lsst.dax.vo.store import batch_schema

CONFIG = """
collections: [run]
parquet_compression: gzip
csv_null_string: nothing
origin: {publisher: The Observatory, publication_date: 2026-01-31}
dataset_types:
  raw: {dataproduct_type: image, calib_level: 1}
"""


class _Repository:
    label = "here"
    origin = ""

    @contextmanager
    def session(self) -> Iterator[None]:
        yield None


@pytest.fixture
def config_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a configuration; an export with it makes one row."""
    path = tmp_path / "raw.yaml"
    path.write_text(CONFIG)
    schema = batch_schema(columns_of(load_obscore_config(path)))
    row = {"_repo": "here", "_id": bytes(16), "_print": 0, "obs_id": "one"}
    monkeypatch.setattr(
        _export, "iter_rows", lambda *_, **__: (row for row in [pa.RecordBatch.from_pylist([row], schema)])
    )
    return path


def _export_to(path: Path, config_path: Path) -> Path:
    repository: Any = _Repository()
    _export.export_rows(repository, str(path), ExportChoice(), config_path=config_path)
    return path


def test_compression_and_origin_of_parquet(tmp_path: Path, config_path: Path) -> None:
    metadata = pyarrow.parquet.read_metadata(_export_to(tmp_path / "a.parquet", config_path))
    assert metadata.row_group(0).column(0).compression == "GZIP"
    described = metadata.metadata[b"IVOA.VOTable-Parquet.content"].decode()
    assert 'name="publisher" value="The Observatory"' in described
    assert 'name="publication_date" value="2026-01-31"' in described


def test_missing_values_of_csv(tmp_path: Path, config_path: Path) -> None:
    _, row = _export_to(tmp_path / "a.csv", config_path).read_text().splitlines()
    assert row.split(",").count("nothing") == row.count(",") + 1 - row.count('"one"')
