"""What belongs to a dataset, by observation, place and time: in both ways of asking a registry."""

import gc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy
from astropy.time import Time
from lsst.daf.butler import Butler, CollectionType, Config, DatasetType, Timespan
from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

from lsst.dax.vo.errors import TransientError
from lsst.dax.vo.repo import Choice, Dataset, RelatedDatasets, Relations, Repository, open_repository
from lsst.dax.vo.repo.related import _registry_tables
from lsst.dax.vo.repo.related import _related as module
from lsst.dax.vo.testing import running_butler_server

_TYPES: dict[str, tuple[list[str], str]] = {
    "raw": (["instrument", "exposure", "detector"], "ExposureF"),
    "calexp": (["instrument", "visit", "detector"], "ExposureF"),
    "calexpBackground": (["instrument", "visit", "detector"], "Background"),
    "src": (["instrument", "visit", "detector"], "SourceCatalog"),
    "calexp_log": (["instrument", "visit", "detector"], "ButlerLogRecords"),
    "calexp_metadata": (["instrument", "visit", "detector"], "TaskMetadata"),
    "differenceExp": (["instrument", "visit", "detector"], "ExposureF"),
    "visitSummary": (["instrument", "visit"], "ExposureCatalog"),
    "directWarp": (["skymap", "tract", "patch", "instrument", "visit"], "ExposureF"),
    "deepCoadd": (["skymap", "tract", "patch", "band"], "ExposureF"),
    "deepCoadd_meas": (["skymap", "tract", "patch", "band"], "SourceCatalog"),
    "template_coadd": (["skymap", "tract", "patch", "band"], "ExposureF"),
    "objectTable": (["skymap", "tract", "patch"], "DataFrame"),
    "bias": (["instrument", "detector"], "ExposureF"),
    "flat": (["instrument", "detector", "physical_filter"], "ExposureF"),
}
_OF_DETECTOR = [name for name, (names, _) in _TYPES.items() if names == ["instrument", "visit", "detector"]]
_CALIBRATIONS = ("bias", "flat")
# Visits, of one and of two exposures, with the patch that each lies in.
_VISITS = {200: ((100, 101), "r_1", 0), 102: ((102,), "i_1", 1), 103: ((103,), "r_1", 3)}


def _time(exposure: float) -> Time:
    return Time(60_000.0 + exposure, format="mjd", scale="tai")


def _square(ra_deg: float, size_deg: float) -> ConvexPolygon:
    half = size_deg / 2
    corners = [(ra_deg - half, -half), (ra_deg + half, -half), (ra_deg + half, half), (ra_deg - half, half)]
    return ConvexPolygon([UnitVector3d(LonLat.fromDegrees(ra, dec)) for ra, dec in corners])


def _build(root: Path, database: str | None = None) -> Path:
    config = Config()
    if database is not None:
        config["registry", "db"] = database
    Butler.makeRepo(str(root), config=config)
    with Butler.from_config(str(root), writeable=True) as butler:
        _insert_dimensions(butler)
        for run in ("raw/all", "one", "two", "alone", "calib/run"):
            butler.collections.register(run)
        butler.collections.register("calib", CollectionType.CALIBRATION)
        butler.collections.register("main", CollectionType.CHAINED)
        butler.collections.redefine_chain("main", ["two", "one", "calib", "raw/all"])
        _insert_datasets(butler)
    return root


def _insert_dimensions(butler: Butler) -> None:
    insert = butler.registry.insertDimensionData
    insert("instrument", {"name": "Cam", "detector_max": 9, "visit_max": 999, "exposure_max": 999})
    insert("physical_filter", *({"instrument": "Cam", "name": f"{band}_1", "band": band} for band in "ri"))
    insert("detector", *({"instrument": "Cam", "id": number, "full_name": f"d{number}"} for number in (0, 1)))
    insert("day_obs", {"instrument": "Cam", "id": 20230101})
    insert("skymap", {"name": "S", "hash": b"0" * 20, "tract_max": 9, "patch_nx_max": 4, "patch_ny_max": 1})
    insert("tract", {"skymap": "S", "id": 1, "region": _square(1.5, 4.0)})
    insert(
        "patch",
        *(
            {
                "skymap": "S",
                "tract": 1,
                "id": patch,
                "cell_x": patch,
                "cell_y": 0,
                "region": _square(patch, 1.0),
            }
            for patch in range(4)
        ),
    )
    for visit, (exposures, physical_filter, patch) in _VISITS.items():
        common = {"instrument": "Cam", "physical_filter": physical_filter, "day_obs": 20230101}
        for exposure in exposures:
            insert("group", {"instrument": "Cam", "name": str(exposure)})
            insert(
                "exposure",
                common
                | {
                    "id": exposure,
                    "obs_id": str(exposure),
                    "group": str(exposure),
                    "timespan": Timespan(_time(exposure), _time(exposure + 0.001)),
                },
            )
        span = Timespan(_time(exposures[0]), _time(exposures[-1] + 0.001))
        insert(
            "visit",
            common | {"id": visit, "name": str(visit), "timespan": span, "region": _square(patch, 0.4)},
        )
        for exposure in exposures:
            insert("visit_definition", {"instrument": "Cam", "exposure": exposure, "visit": visit})
        for detector in (0, 1):
            region = _square(patch - 0.1 + 0.2 * detector, 0.2)
            insert(
                "visit_detector_region",
                {"instrument": "Cam", "visit": visit, "detector": detector, "region": region},
            )


def _insert_datasets(butler: Butler) -> None:
    kinds = {}
    for name, (dimensions, storage_class) in _TYPES.items():
        kind = DatasetType(
            name,
            butler.dimensions.conform(dimensions),
            storage_class,
            isCalibration=name in _CALIBRATIONS,
        )
        butler.registry.registerDatasetType(kind)
        kinds[name] = kind

    def insert(name: str, run: str, *data_ids: dict[str, Any]) -> list[Any]:
        return butler.registry.insertDatasets(kinds[name], data_ids, run=run)

    for visit, (exposures, _, patch) in _VISITS.items():
        for detector in (0, 1):
            chip = {"instrument": "Cam", "detector": detector}
            insert("raw", "raw/all", *({**chip, "exposure": exposure} for exposure in exposures))
            for name in (
                "calexp",
                "calexpBackground",
                "src",
                "calexp_log",
                "calexp_metadata",
                "differenceExp",
            ):
                insert(name, "one", {**chip, "visit": visit})
        insert("visitSummary", "one", {"instrument": "Cam", "visit": visit})
        tile = {"skymap": "S", "tract": 1, "patch": patch}
        insert("directWarp", "one", {**tile, "instrument": "Cam", "visit": visit})
    # One image was made again, twice: in a later RUN of the chain, and by somebody.
    for run in ("two", "alone"):
        insert("calexp", run, {"instrument": "Cam", "detector": 0, "visit": 200})
    for patch in range(4):
        tile = {"skymap": "S", "tract": 1, "patch": patch}
        insert("objectTable", "one", tile)
        for name in ("deepCoadd", "deepCoadd_meas", "template_coadd"):
            insert(name, "one", *({**tile, "band": band} for band in "ri"))
    for detector in (0, 1):
        early, late = ({"instrument": "Cam", "detector": detector} for _ in range(2))
        (first,) = insert("bias", "calib/run", early)
        butler.registry.certify("calib", [first], Timespan(None, _time(101 + 0.5)))
        (second,) = insert("bias", "two", late)
        butler.registry.certify("calib", [second], Timespan(_time(101 + 0.5), None))
        for name in ("r_1", "i_1"):
            flats = insert(
                "flat", "calib/run", {"instrument": "Cam", "detector": detector, "physical_filter": name}
            )
            butler.registry.certify("calib", flats, Timespan(None, None))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("related") / "repo")


@pytest.fixture(params=["tables", "queries"])
def repository(
    root: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Repository]:
    if request.param == "queries":
        monkeypatch.setattr(module, "open_tables", lambda *_: None)
    opened = open_repository(root)
    yield opened
    opened.close()


def one(repository: Repository, name: str, run: str = "one", **data_id: Any) -> Dataset:
    with repository.session() as butler:
        (ref,) = butler.query_datasets(name, run, data_id=data_id)
    return repository.datasets([ref.id])[ref.id]


def relations(
    repository: Repository, dataset: Dataset, choice: Choice | None = None, **options: Any
) -> Relations:
    related = RelatedDatasets(repository, choose=lambda _dataset: choice or Choice(), **options)
    return related.find([dataset])[dataset.uuid]


def told(repository: Repository, found: Sequence[Any]) -> list[str]:
    """Return type, RUN and data ID of each, in order."""
    known = repository.datasets(item.uuid for item in found)
    texts = []
    for item in found:
        dataset = known[item.uuid]
        assert item.dataset_type == dataset.dataset_type
        assert item.is_image == dataset.is_image
        values = [
            f"{dataset.data_id[name]}"
            for name in dataset.data_id
            if name not in ("instrument", "skymap", "tract")
        ]
        texts.append(f"{dataset.dataset_type} {dataset.run} {' '.join(values)}")
    return texts


def test_calibrated_image_of_two_exposures(repository: Repository) -> None:
    calexp = one(repository, "calexp", instrument="Cam", visit=200, detector=0)
    found = relations(repository, calexp)
    assert told(repository, found.coderived) == [
        "raw raw/all 0 100",
        "raw raw/all 0 101",
        "differenceExp one 0 200",
        "calexpBackground one 0 200",
        "src one 0 200",
        "visitSummary one 200",
    ]
    assert told(repository, found.auxiliary) == ["visitSummary one 200"]


def test_own_run_comes_first_then_the_order_of_the_chain(repository: Repository) -> None:
    data_id = {"instrument": "Cam", "visit": 200, "detector": 0}
    difference = one(repository, "differenceExp", **data_id)
    assert "calexp one 0 200" in told(repository, relations(repository, difference).coderived)
    raw = one(repository, "raw", "raw/all", instrument="Cam", exposure=100, detector=0)
    found = told(repository, relations(repository, raw).coderived)
    # The chain has the image of the RUN "two" first.
    assert [text for text in found if text.startswith("calexp ")] == ["calexp two 0 200"]
    # Raw data of the other exposure are another observation.
    assert [text for text in found if text.startswith("raw")] == []


def test_collections_are_those_configured(repository: Repository) -> None:
    raw = one(repository, "raw", "raw/all", instrument="Cam", exposure=100, detector=0)
    found = relations(repository, raw, collections=["alone"])
    assert told(repository, found.coderived) == ["calexp alone 0 200"]
    assert told(repository, relations(repository, raw, collections=["o*"]).coderived)[0] == "calexp one 0 200"
    # One that is gone is not an error.
    assert told(repository, relations(repository, raw, collections=["gone"]).coderived) == []


def test_run_in_no_chain_finds_everything(repository: Repository) -> None:
    calexp = one(repository, "calexp", "alone", instrument="Cam", visit=200, detector=0)
    found = told(repository, relations(repository, calexp).coderived)
    assert found[:2] == ["raw raw/all 0 100", "raw raw/all 0 101"]
    assert "visitSummary one 200" in found


def test_statements_are_written_once(root: Path) -> None:
    repository = open_repository(root)
    related = RelatedDatasets(repository)
    early, late = (
        one(repository, "calexp", instrument="Cam", visit=visit, detector=1) for visit in (102, 103)
    )
    before = related.find([early])
    written = _registry_tables._select_for_sqlite.cache_info()
    assert related.find([late]) != before
    after = _registry_tables._select_for_sqlite.cache_info()
    assert after.misses == written.misses
    assert after.hits > written.hits
    repository.close()


def test_candidates_by_observation_and_place(repository: Repository) -> None:
    calexp = one(repository, "calexp", instrument="Cam", visit=102, detector=1)
    found = told(repository, relations(repository, calexp).candidates)
    assert sorted(found) == [
        "deepCoadd one i 1",
        "deepCoadd_meas one i 1",
        "differenceExp one 1 102",
        "directWarp one 1 102",
        "objectTable one 1",
        "src one 1 102",
        "template_coadd one i 1",
        "visitSummary one 102",
    ]


def test_candidates_of_coadds(repository: Repository) -> None:
    coadd = one(repository, "deepCoadd", skymap="S", tract=1, patch=0, band="r")
    found = told(repository, relations(repository, coadd).candidates)
    assert sorted(found) == ["deepCoadd_meas one r 0", "objectTable one 0", "template_coadd one r 0"]
    template = one(repository, "template_coadd", skymap="S", tract=1, patch=0, band="r")
    found = told(repository, relations(repository, template).candidates)
    # Images of visits in the same band that overlap it, and no others.
    assert [text for text in found if text.startswith("differenceExp")] == [
        "differenceExp one 0 200",
        "differenceExp one 1 200",
    ]
    chosen = relations(repository, coadd, Choice(candidates=("difference*",)))
    assert told(repository, chosen.candidates) == ["differenceExp one 0 200", "differenceExp one 1 200"]


def test_products_of_a_patch(repository: Repository) -> None:
    coadd = one(repository, "deepCoadd", skymap="S", tract=1, patch=2, band="i")
    assert told(repository, relations(repository, coadd).coderived) == [
        "template_coadd one i 2",
        "deepCoadd_meas one i 2",
        "objectTable one 2",
    ]
    table = one(repository, "objectTable", skymap="S", tract=1, patch=2)
    assert told(repository, relations(repository, table).coderived) == []
    # Further dimensions only where they are asked for.
    chosen = relations(repository, table, Choice(coderived=("deepCoadd",)))
    assert told(repository, chosen.coderived) == ["deepCoadd one i 2", "deepCoadd one r 2"]


@pytest.mark.parametrize(("exposure", "run"), [(100, "calib/run"), (102, "two")])
def test_calibrations_of_the_time(repository: Repository, exposure: int, run: str) -> None:
    raw = one(repository, "raw", "raw/all", instrument="Cam", exposure=exposure, detector=1)
    found = told(repository, relations(repository, raw).calibrations)
    name = "r_1" if exposure == 100 else "i_1"
    assert found == [f"bias {run} 1", f"flat calib/run 1 {name}"]
    chosen = relations(repository, raw, Choice(calibrations=("f*",)))
    assert told(repository, chosen.calibrations) == [f"flat calib/run 1 {name}"]
    assert relations(repository, raw, Choice(calibrations=False)).calibrations == ()


def test_calibrations_are_of_images_alone(repository: Repository) -> None:
    source = one(repository, "src", instrument="Cam", visit=102, detector=1)
    assert relations(repository, source).calibrations == ()
    bias = one(repository, "bias", "two", instrument="Cam", detector=1)
    assert relations(repository, bias) == Relations()


def test_types_are_chosen(repository: Repository) -> None:
    calexp = one(repository, "calexp", instrument="Cam", visit=102, detector=0)
    chosen = relations(repository, calexp, Choice(coderived=("calexp_*",), auxiliary=("src", "nothing")))
    assert told(repository, chosen.coderived) == ["calexp_log one 0 102", "calexp_metadata one 0 102"]
    assert told(repository, chosen.auxiliary) == ["src one 0 102"]
    nothing = Choice(coderived=False, auxiliary=False, candidates=False, calibrations=False)
    assert relations(repository, calexp, nothing) == Relations()


def test_most_are_kept(repository: Repository) -> None:
    calexp = one(repository, "calexp", instrument="Cam", visit=200, detector=0)
    found = relations(repository, calexp, most=2)
    assert told(repository, found.coderived) == ["raw raw/all 0 100", "raw raw/all 0 101"]


def test_answers_are_remembered_for_a_while(repository: Repository) -> None:
    now = [0.0]
    related = RelatedDatasets(repository, keep_s=60, clock=lambda: now[0])
    calexp = one(repository, "calexp", instrument="Cam", visit=103, detector=0)
    first = related.find([calexp])[calexp.uuid]
    assert related.find([calexp])[calexp.uuid] is first
    now[0] = 61.0
    again = related.find([calexp])[calexp.uuid]
    assert again == first
    assert again is not first


def test_images_of_detectors(repository: Repository) -> None:
    coadd = one(repository, "deepCoadd", skymap="S", tract=1, patch=0, band="r")
    related = RelatedDatasets(repository)
    wanted = [(None, 200, 1), ("Cam", 200, 0), (None, 999, 0), ("Other", 103, 0), (None, 103, 0)]
    found = related.detector_images({coadd.uuid: wanted}, [coadd])[coadd.uuid]
    assert told(repository, found) == ["calexp one 1 200", "calexp one 0 200", "calexp one 0 103"]
    chosen = RelatedDatasets(repository, choose=lambda _dataset: Choice(inputs=("differenceExp", "calexp")))
    (only,) = chosen.detector_images({coadd.uuid: [(None, 200, 0)]}, [coadd])[coadd.uuid]
    assert only.dataset_type == "differenceExp"


def test_calibration_types(repository: Repository) -> None:
    assert RelatedDatasets(repository).calibration_types() == set(_CALIBRATIONS)


def _all(repository: Repository) -> list[Dataset]:
    with repository.session() as butler:
        refs = [ref for name in _TYPES for ref in butler.query_datasets(name, "*", find_first=False)]
    return list(repository.datasets(ref.id for ref in refs).values())


def _compare(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[UUID, Relations]:
    """Return what belongs to each dataset, after asking in all ways."""
    repository = open_repository(root)
    try:
        datasets = _all(repository)
        assert len(datasets) > 80
        related = RelatedDatasets(repository, ["main"], keep_s=0)
        together = related.find(datasets)
        assert {item.uuid: related.find([item])[item.uuid] for item in datasets} == together
        monkeypatch.setattr(module, "open_tables", lambda *_: None)
        assert related.find(datasets) == together
        return together
    finally:
        repository.close()


def test_both_ways_are_the_same_for_each_dataset(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _compare(root, monkeypatch)
    assert sum(len(item.coderived) for item in found.values()) > 100


def test_both_ways_are_the_same_in_postgresql(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sqlalchemy.make_url(postgres).set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        # The Butler wants this of its database.
        connection.execute(sqlalchemy.text("CREATE EXTENSION btree_gist"))
    engine.dispose()
    found = _compare(_build(tmp_path / "repo", url.render_as_string(hide_password=False)), monkeypatch)
    assert sum(len(item.candidates) for item in found.values()) > 100


def test_butler_server_gives_the_same(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    direct = open_repository(root)
    datasets = _all(direct)
    calibrated = [item for item in datasets if item.dataset_type == "raw"][:2]
    few = [*calibrated, *(item for item in datasets if item.dataset_type in ("calexp", "deepCoadd"))][:8]
    with running_butler_server({"repo": root}, log=tmp_path / "server.log", environment={}) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        served = open_repository(server.url("repo"), label=direct.label)
        found = RelatedDatasets(served, ["main"]).find(few)
        with served.session() as butler:
            served.close()
            # What is in use is closed when it is given back.
            assert butler.get_dataset(few[0].uuid) is not None
        with pytest.raises(TransientError, match="closed"):
            served.datasets([few[0].uuid])
        del butler, served
        # A socket that was left open is a warning now, and so an error.
        gc.collect()
    assert found == RelatedDatasets(direct, ["main"]).find(few)
    assert all(found[item.uuid].coderived for item in few)
    assert all(found[item.uuid].calibrations for item in calibrated)
    direct.close()
