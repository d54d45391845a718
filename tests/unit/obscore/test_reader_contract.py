"""Both readers of pages, on SQLite and PostgreSQL, and when one of them does not fit."""

import logging
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from lsst.daf.butler import Butler
from lsst.daf.butler.tests.utils import create_populated_sqlite_registry

from lsst.dax.vo.errors import UnsupportedError
from lsst.dax.vo.obscore import ExportChoice, iter_rows, parse_obscore_config
from lsst.dax.vo.obscore._config import Where
from lsst.dax.vo.obscore.readers import _bulk
from lsst.dax.vo.obscore.readers._bulk import BulkReader
from lsst.dax.vo.obscore.readers._public import PublicReader
from lsst.dax.vo.obscore.readers._reader import Reader
from lsst.dax.vo.sample import build_registry
from lsst.dax.vo.testing import ReaderTests, assert_falls_back

GENERATED = (resources.files("lsst.dax.vo.sample") / "obscore" / "registry.yaml").read_text()


class OfTheOddRepository(ReaderTests):
    @pytest.fixture
    def butler(self, odd: Butler) -> Butler:
        return odd

    @pytest.fixture
    def dataset_types(self) -> tuple[str, ...]:
        return ("raw", "calexp", "coadd")

    @pytest.fixture
    def where(self) -> Where:
        return Where(where="instrument = 'Cam' AND exposure < limit", bind={"limit": 3})


class OfAGeneratedOne(ReaderTests):
    @pytest.fixture
    def dataset_types(self) -> tuple[str, ...]:
        return ("raw", "calexp", "deepCoadd_calexp")

    @pytest.fixture
    def where(self) -> Where:
        return Where(where="instrument = 'SimCam' AND detector IN (dets)", bind={"dets": [10, 40, 94]})


class _Bulk:
    def open(self, butler: Butler, *, page_size: int) -> BulkReader:
        return BulkReader(butler, page_size=page_size, sizes=True)


class _Public:
    def open(self, butler: Butler, *, page_size: int) -> PublicReader:
        return PublicReader(butler, page_size=page_size)


class TestBulkReader(_Bulk, OfTheOddRepository):
    """Of SQLite."""


class TestPublicReader(_Public, OfTheOddRepository):
    """Of SQLite."""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Butler]:
    root = tmp_path_factory.mktemp("generated") / "repo"
    build_registry(root, datasets=300)
    with Butler.from_config(str(root)) as butler:
        yield butler


@pytest.fixture(scope="module")
def in_postgres(postgres_module: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Butler]:
    root = tmp_path_factory.mktemp("in_postgres") / "repo"
    build_registry(root, datasets=300, database=postgres_module)
    with Butler.from_config(str(root)) as butler:
        yield butler


class TestBulkReaderOfPostgres(_Bulk, OfAGeneratedOne):
    """Another dialect and driver."""

    @pytest.fixture
    def butler(self, in_postgres: Butler) -> Butler:
        return in_postgres


class TestPublicReaderOfPostgres(_Public, OfAGeneratedOne):
    """Another dialect."""

    @pytest.fixture
    def butler(self, in_postgres: Butler) -> Butler:
        return in_postgres


def _rows(butler: Butler, **choice: Any) -> list[dict[str, Any]]:
    config = parse_obscore_config(GENERATED, "the test")
    batches = iter_rows(butler, config, ExportChoice(**choice), label="x")
    return sorted((row for batch in batches for row in batch.to_pylist()), key=lambda row: row["_id"])


def test_rows_of_postgres_are_those_of_sqlite(in_postgres: Butler, generated: Butler) -> None:
    """Every column, the hidden ones included, and with both readers."""
    bulk = _rows(in_postgres, reader="bulk")
    assert len(bulk) == 300
    assert bulk == _rows(in_postgres, reader="public")
    assert bulk == _rows(generated, reader="bulk") == _rows(generated, reader="public")


class TestFallingBack:
    def test_expression_that_python_decides(self, odd: Butler, caplog: pytest.LogCaptureFixture) -> None:
        where = Where(where="instrument = 'Cam' AND skymap = 'sky' AND tract = 7", extra_dims={"tract"})
        search = OfTheOddRepository().search(odd, "calexp", ["old"], constraint=where)
        assert_falls_back(odd, search, caplog, "a part of 'where' is decided outside the database")

    def test_another_release(
        self, odd: Butler, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_bulk, "_RELEASES", ("1", "2"))
        search = OfTheOddRepository().search(odd, "calexp", ["old"])
        assert_falls_back(odd, search, caplog, "is not one of the releases 1, 2")

    def test_registry_in_memory(self, odd: Butler, caplog: pytest.LogCaptureFixture) -> None:
        with create_populated_sqlite_registry() as butler:
            search = OfTheOddRepository().search(odd, "calexp", ["old"])
            del search
            caplog.set_level(logging.INFO, "lsst.dax.vo")
            Reader(butler, page_size=10, sizes=False)
            assert "in memory or unknown" in caplog.text
            with pytest.raises(UnsupportedError, match="this repository cannot be read in bulk: "):
                Reader(butler, page_size=10, sizes=False, pages="bulk")

    def test_insides_that_have_moved(
        self, odd: Butler, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_bulk, "_driver_of", lambda url: url.there_is_no_such_thing)
        search = OfTheOddRepository().search(odd, "raw", ["old"])
        assert_falls_back(odd, search, caplog, "this Butler has no registry of its own")

    def test_fitting_search_says_nothing(self, odd: Butler, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "lsst.dax.vo")
        search = OfTheOddRepository().search(odd, "raw", ["old"])
        assert list(Reader(odd, page_size=100, sizes=True).iter_chunks(search, set()))
        assert caplog.records == []

    def test_only_the_search_that_does_not_fit(
        self, odd: Butler, config: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "lsst.dax.vo")
        spatial = {"where": "instrument = 'Cam' AND skymap = 'sky' AND tract = 7", "extra_dims": ["tract"]}
        config["dataset_type_constraints"] = {"calexp": [spatial]}
        parsed = parse_obscore_config(yaml.safe_dump(config), "the test")
        assert sum(batch.num_rows for batch in iter_rows(odd, parsed, label="x"))
        lines = {record.getMessage().split(" is read through")[0] for record in caplog.records}
        assert lines == {"calexp"}
        with pytest.raises(UnsupportedError, match="calexp cannot be read in bulk: a part of 'where'"):
            list(iter_rows(odd, parsed, ExportChoice(reader="bulk"), label="x"))


@pytest.mark.parametrize("name", ["a b", "100%", "it's"])
def test_folder_with_any_name(odd_repository: Path, tmp_path: Path, config: Any, name: str) -> None:
    """SQLite takes a path for a URI, in which some characters mean something."""
    root = tmp_path / name
    shutil.copytree(odd_repository, root)
    parsed = parse_obscore_config(yaml.safe_dump(config), "the test")
    with Butler.from_config(str(root)) as butler:
        assert (
            sum(batch.num_rows for batch in iter_rows(butler, parsed, ExportChoice(reader="bulk"), label="x"))
            == 35
        )


def test_registry_is_only_read(odd_repository: Path, tmp_path: Path, config: Any) -> None:
    root = tmp_path / "repo"
    shutil.copytree(odd_repository, root)
    for path in (root / "gen3.sqlite3", root):
        path.chmod(path.stat().st_mode & ~0o222)
    before = (root / "gen3.sqlite3").stat().st_mtime_ns
    parsed = parse_obscore_config(yaml.safe_dump(config), "the test")
    with Butler.from_config(str(root)) as butler:
        assert (
            sum(batch.num_rows for batch in iter_rows(butler, parsed, ExportChoice(reader="bulk"), label="x"))
            == 35
        )
    assert (root / "gen3.sqlite3").stat().st_mtime_ns == before
    root.chmod(0o755)
