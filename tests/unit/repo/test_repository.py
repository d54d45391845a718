"""A repository: opening, many datasets at once, threads, and broken files."""

import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy
from lsst.daf.butler import Butler, DatasetType

from lsst.dax.vo.errors import NotFoundError, TransientError, UnsupportedError, UsageError
from lsst.dax.vo.repo import FileState, Repositories, _sqlite, open_repository


def test_present_file_has_its_size_and_type(repository, sample):
    dataset = repository.datasets([sample.ids["present"]])[sample.ids["present"]]
    assert (dataset.label, dataset.dataset_type, dataset.run) == ("metrics_repo", "metrics", "run")
    assert dataset.data_id == {"instrument": "Cam", "detector": 0}
    assert dataset.size_bytes == sample.size_bytes > 1000
    assert dataset.media_type == "application/yaml"
    assert dataset.file_error is None
    assert dataset.require_file().exists()


@pytest.mark.parametrize(
    ("state", "file_state", "error", "message"),
    [
        ("missing", FileState.MISSING, NotFoundError, "recorded in the datastore, but gone"),
        ("unstored", FileState.UNRECORDED, NotFoundError, "not in the datastore"),
        ("empty", FileState.EMPTY, UnsupportedError, "is empty"),
        ("pointer", FileState.POINTER, UnsupportedError, "git lfs pull"),
    ],
)
def test_file_that_cannot_be_read_says_why(repository, sample, state, file_state, error, message):
    dataset = repository.datasets([sample.ids[state]])[sample.ids[state]]
    assert dataset.file_state is file_state
    with pytest.raises(error, match=message) as caught:
        dataset.require_file()
    assert str(sample.ids[state]) in str(caught.value)
    assert str(sample.root) not in str(caught.value)


def test_unknown_datasets_are_left_out(repository, sample):
    known = sample.ids["present"]
    assert set(repository.datasets([uuid4(), known, known])) == {known}
    assert repository.datasets([]) == {}


def test_datasets_that_come_later_are_seen(tmp_path):
    root = str(tmp_path / "growing")
    Butler.makeRepo(root)
    Butler.from_config(root, writeable=True).close()
    repository = open_repository(root)
    assert repository.datasets([uuid4()]) == {}
    for run in ("one", "two"):
        with Butler.from_config(root, run=run) as butler:
            kind = DatasetType(f"metrics_{run}", butler.dimensions.empty, "StructuredDataDict")
            butler.registry.registerDatasetType(kind)
            ref = butler.put({"a": 1}, kind)
        assert repository.datasets([ref.id])[ref.id].run == run
    repository.close()


def test_repository_without_any_dataset(tmp_path):
    Butler.makeRepo(str(tmp_path / "empty"))
    repository = open_repository(tmp_path / "empty")
    assert repository.datasets([uuid4()]) == {}
    repository.close()


def test_region_is_none_without_one(repository, sample):
    assert repository.regions([sample.ids["present"], uuid4()]) == {}


def test_many_threads_use_one_repository(repository, sample):
    def look_up(_: int) -> int:
        return len(repository.datasets(sample.ids.values()))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(look_up, range(64))) == {len(sample.ids)}


def test_thousands_of_datasets_cost_few_queries(repository, sample):
    statements = []
    with repository.session() as butler:
        engine = butler._registry._db._engine
    sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    repository.datasets([*sample.ids.values(), *(uuid4() for _ in range(3000))])
    assert 0 < len(statements) <= 20


def test_session_after_failure_of_the_registry_is_transient(repository):
    with pytest.raises(TransientError, match="'metrics_repo' does not answer"), repository.session():
        raise sqlite3.OperationalError("database is locked")


def test_registry_that_is_cut_short_is_told_and_may_come_back(tmp_path):
    root = tmp_path / "cut"
    Butler.makeRepo(str(root))
    repository = open_repository(str(root))
    assert repository.datasets([uuid4()]) == {}
    file = root / "gen3.sqlite3"
    content = file.read_bytes()
    for damaged in (content[:5000], b"no registry" * 1000):
        file.write_bytes(damaged)
        (found,) = Repositories([repository]).find([str(uuid4())])
        assert isinstance(found, TransientError)
        assert "'cut' is damaged" in str(found)
    file.write_bytes(content)
    assert repository.datasets([uuid4()]) == {}
    repository.close()


def test_registry_that_is_locked_keeps_no_thread_for_minutes(tmp_path, monkeypatch):
    root = tmp_path / "locked"
    Butler.makeRepo(str(root))
    repository = open_repository(str(root))
    with repository.session() as butler, butler._registry._db._engine.connect() as connection:
        assert 0 < connection.exec_driver_sql("PRAGMA busy_timeout").scalar() <= 10_000
    monkeypatch.setattr(_sqlite, "PATIENCE_MS", 50)
    lock = sqlite3.connect(root / "gen3.sqlite3", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    with pytest.raises(TransientError, match="'locked' does not answer"):
        repository.datasets([uuid4()])
    lock.execute("ROLLBACK")
    lock.close()
    assert repository.datasets([uuid4()]) == {}
    repository.close()


@pytest.mark.parametrize("name", ["nowhere", "no/such/folder", "/no/such/repo"])
def test_missing_repository_is_one_clear_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAF_BUTLER_REPOSITORIES", '{"dp02": "/data/dp02"}')
    with pytest.raises(NotFoundError, match=r"known: dp02") as caught:
        open_repository(name)
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "config",
    ["not: [yaml", "datastore: 3\nregistry: 4\n", "registry:\n  db: sqlite:///none.sqlite3\n", "", "[]"],
)
def test_broken_repository_is_one_clear_line(config, tmp_path):
    (tmp_path / "butler.yaml").write_text(config)
    with pytest.raises((UsageError, NotFoundError)) as caught:
        open_repository(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_label_is_that_of_the_index_or_of_the_folder(sample, monkeypatch):
    monkeypatch.setenv("DAF_BUTLER_REPOSITORIES", f'{{"dp02": "{sample.root}"}}')
    for repo, label, expected in (
        ("dp02", None, "dp02"),
        (sample.root, None, "metrics_repo"),
        (sample.root / "butler.yaml", None, "metrics_repo"),
        (str(sample.root), "mine", "mine"),
    ):
        repository = open_repository(repo, label=label)
        assert repository.label == expected
        repository.close()


def test_two_repositories_with_one_label_are_refused(sample):
    one, two = open_repository(sample.root), open_repository(sample.root)
    with pytest.raises(UsageError, match="'metrics_repo'; give one of them another label"):
        Repositories([one, two])
    one.close()
    two.close()


@pytest.mark.parametrize(
    ("folder", "label", "count", "state", "sky_images"),
    [
        ("jointcal_cfht_minimal/repo", "jointcal_cfht_minimal", 9, FileState.PRESENT, {"calexp"}),
        ("obs_lsst/lsstCamSim", "lsstCamSim", 2, FileState.PRESENT, {"raw"}),
        ("obs_lsst/imsim", "imsim", 194, FileState.MISSING, {"raw"}),
        ("prompt_processing", "prompt_processing", 82, FileState.EMPTY, {"template_coadd"}),
        ("testdata_image_cutouts", "testdata_image_cutouts", 3, FileState.POINTER, {"deepCoadd_calexp"}),
    ],
)
def test_real_repository_opens_without_its_formatters(
    shared_data, dataset_ids, folder, label, count, state, sky_images
):
    repository = open_repository(shared_data / "butler" / folder)
    ids = dataset_ids(repository)
    datasets = repository.datasets(ids)
    assert repository.label == label
    assert len(datasets) == len(ids) == count
    assert state in {dataset.file_state for dataset in datasets.values()}
    assert {dataset.dataset_type for dataset in datasets.values() if dataset.is_sky_image} == sky_images
    for dataset in datasets.values():
        if dataset.file_state is FileState.PRESENT:
            assert dataset.size_bytes == Path(dataset.require_file().ospath).stat().st_size
    repository.regions(ids)
    assert not any(name.startswith("lsst.obs.") for name in sys.modules)
    repository.close()


def test_real_calexp_has_its_detectors_region(shared_data, dataset_ids):
    repository = open_repository(shared_data / "butler/jointcal_cfht_minimal/repo")
    datasets = repository.datasets(dataset_ids(repository)).values()
    calexp = next(
        dataset for dataset in datasets if dataset.data_id.get("visit") == 849375 and dataset.is_sky_image
    )
    region = repository.regions([calexp.uuid])[calexp.uuid]
    # A MegaPrime chip is 0.11 x 0.24 degrees; regions are padded.
    assert 0.12 < region.getBoundingCircle().getOpeningAngle().asDegrees() < 0.16
    repository.close()
