"""What an update and an export with parts take for the same as before."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest
from lsst.daf.butler import Butler

import lsst.dax.vo.sample as sample
from lsst.dax.vo.errors import NotFoundError, TransientError, UsageError
from lsst.dax.vo.obscore import ExportChoice, iter_rows, load_obscore_config
from lsst.dax.vo.obscore._parts import Parts
from lsst.dax.vo.obscore._problems import Problems
from lsst.dax.vo.repo import open_repository
from lsst.dax.vo.services import export_repository, query_store, update_store

CONFIG = Path(sample.__file__).parent / "obscore" / "registry.yaml"


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("update") / "survey"
    sample.build_registry(root, datasets=400)
    return root


def _count(store: Path) -> int:
    with query_store(store, "SELECT COUNT(*) AS n FROM ivoa.ObsCore") as result:
        return int(next(iter(result.batches))["n"][0].as_py())


def test_update_takes_the_choice_of_the_export(survey: Path, tmp_path: Path) -> None:
    store = tmp_path / "some.store"
    report = export_repository(
        survey,
        store,
        config_path=CONFIG,
        dataset_types=["calexp"],
        where="instrument = 'SimCam' AND detector < 60",
    )
    before = sorted(store.iterdir())
    _, changes = update_store(survey, store)
    assert not changes
    assert changes.kept == report.total == _count(store)
    assert sorted(store.iterdir()) == before
    kept = changes.kept
    report, changes = update_store(survey, store, where="instrument = 'SimCam' AND detector < 120")
    assert (changes.kept, changes.changed, changes.removed) == (kept, 0, 0)
    assert changes.added == report.total > 0


def test_store_with_a_limit_is_not_updated(survey: Path, tmp_path: Path) -> None:
    store = tmp_path / "few.store"
    export_repository(survey, store, config_path=CONFIG, limit=10)
    with pytest.raises(UsageError, match="exported with --limit 10: which rows these are, nobody can tell"):
        update_store(survey, store)
    assert _count(store) == 10


def test_another_configuration_is_told_to_the_store(survey: Path, tmp_path: Path) -> None:
    store, config = tmp_path / "s.store", tmp_path / "new.yaml"
    total = export_repository(survey, store, config_path=CONFIG).total
    config.write_text(CONFIG.read_text().replace("obs_collection: Generated", "obs_collection: Renamed"))
    _, changes = update_store(survey, store, config_path=config)
    assert changes.changed == total
    # And is what the next one takes.
    assert not update_store(survey, store)[1]


def test_collections_that_hold_nothing(survey: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(survey, root)
    with Butler.from_config(str(root), writeable=True) as butler:
        butler.collections.register("empty")
    store = tmp_path / "s.store"
    total = export_repository(root, store, config_path=CONFIG).total
    for call in (export_repository, update_store):
        with pytest.raises(NotFoundError, match="There is nothing to export: 'empty' holds no dataset of"):
            call(root, store, config_path=CONFIG, collections=["empty"])
    assert _count(store) == total
    report = export_repository(root, store, config_path=CONFIG, collections=["empty", "survey/dr1"])
    assert "no such datasets in: empty" in report.describe("here")
    assert report.total == total


class TestParts:
    def test_those_of_another_repository_are_refused(self, survey: Path, tmp_path: Path) -> None:
        other, parts = tmp_path / "other", tmp_path / "parts"
        shutil.copytree(survey, other)
        with closing(open_repository(survey, label="x")) as repository, repository.session() as butler:
            rows = iter_rows(
                butler,
                load_obscore_config(CONFIG),
                ExportChoice(parts=parts),
                label="x",
                origin=repository.origin,
            )
            assert len(list(rows)) > 2
        assert any(parts.glob("*.arrows"))
        with pytest.raises(UsageError, match="holds parts of another export: its repository, config"):
            export_repository(other, tmp_path / "a.csv", config_path=CONFIG, parts=parts, label="x")
        report = export_repository(survey, tmp_path / "a.csv", config_path=CONFIG, parts=parts, label="x")
        assert report.resumed == {name: count for name, count in report.rows.items() if count}
        assert not parts.exists()

    def test_one_export_at_a_time(self, tmp_path: Path) -> None:
        first = Parts(tmp_path / "parts", "same", Problems())
        with pytest.raises(TransientError, match="is used by another export; try again when it is done"):
            Parts(tmp_path / "parts", "same", Problems())
        first.close()
        Parts(tmp_path / "parts", "same", Problems()).close()

    def test_folder_with_other_things_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").touch()
        with pytest.raises(UsageError, match="holds other things; name an empty folder"):
            Parts(tmp_path, "any", Problems())
