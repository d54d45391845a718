"""Generated registries: the tables are those that the Butler itself writes."""

import contextlib
import sqlite3
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy
import yaml
from click.testing import CliRunner
from lsst.daf.butler import Butler, CollectionType, Config, DatasetRef
from lsst.dax.obscore import ExporterConfig
from lsst.dax.obscore.obscore_exporter import ObscoreExporter
from lsst.sphgeom import DISJOINT, HtmPixelization, LonLat, UnitVector3d

from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.obscore import iter_rows, parse_obscore_config
from lsst.dax.vo.sample import build_registry
from lsst.dax.vo.sample.__main__ import main
from lsst.dax.vo.sample._registry._counts import KINDS, Counts
from lsst.dax.vo.sample._registry._overlaps import PixelFinder
from lsst.dax.vo.sample._registry._sky import Camera, Visits, polygon

DATASETS = 1500
CHAIN = "survey/dr1"
CONFIG = resources.files("lsst.dax.vo.sample") / "obscore" / "registry.yaml"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("registry") / "generated"
    build_registry(root, datasets=DATASETS)
    return root


@pytest.fixture
def butler(generated: Path) -> Iterator[Butler]:
    with Butler.from_config(str(generated)) as butler:
        yield butler


def find(butler: Butler, name: str, where: str = "") -> list[DatasetRef]:
    return butler.query_datasets(
        name, collections=CHAIN, where=where, limit=None, explain=False, with_dimension_records=True
    )


def copy_through_the_public_interface(source: Butler, root: Path, config: Config) -> None:
    """Make the repository again, as anybody would."""
    Butler.makeRepo(str(root), config=config)
    with Butler.from_config(str(root), writeable=True) as copy:
        registry = copy.registry
        for element in source.dimensions.elements:
            if element.has_own_table:
                records = source.query_dimension_records(element.name, limit=None, explain=False)
                if records:
                    registry.insertDimensionData(element.name, *records)
        for kind in KINDS:
            registry.registerDatasetType(source.get_dataset_type(kind.name))
        chain = source.collections.get_info(CHAIN).children
        for run in reversed(chain):
            copy.collections.register(run)
        copy.collections.register(CHAIN, CollectionType.CHAINED)
        copy.collections.redefine_chain(CHAIN, chain)
        for kind in KINDS:
            refs = find(source, kind.name)
            for run in kind.runs:
                # As insertDatasets, with identifiers that are given.
                registry._importDatasets([ref for ref in refs if ref.run == run])
            copy._datastore.import_records(source._datastore.export_records(refs))


def read_tables(butler: Butler) -> dict[str, list[tuple[Any, ...]]]:
    database: Any = butler._registry._db  # type: ignore[attr-defined]
    metadata = sqlalchemy.MetaData(schema=database.namespace)
    with database._engine.connect() as connection:
        metadata.reflect(connection)
        tables = {}
        for table in metadata.tables.values():
            # When a dataset came in is for each to say.
            columns = sorted(table.columns, key=lambda column: column.name)
            rows = connection.execute(
                sqlalchemy.select(*(column for column in columns if column.name != "ingest_date"))
            )
            tables[table.name] = sorted((tuple(row) for row in rows), key=repr)
    return tables


def check_same_tables(generated: Path, copied: Path, config: Config) -> None:
    with Butler.from_config(str(generated)) as butler:
        copy_through_the_public_interface(butler, copied, config)
        ours = read_tables(butler)
    with Butler.from_config(str(copied)) as butler:
        theirs = read_tables(butler)
    assert ours.keys() == theirs.keys()
    assert len(ours["dataset"]) == DATASETS
    assert len(ours["visit_detector_region_skypix_overlap"]) > len(ours["visit_detector_region"])
    for name, rows in ours.items():
        assert rows == theirs[name], name


def test_tables_are_those_of_the_public_interface(generated: Path, tmp_path: Path) -> None:
    check_same_tables(generated, tmp_path / "copied", Config())


def test_tables_of_postgres_are_those_of_the_public_interface(postgres: str, tmp_path: Path) -> None:
    build_registry(tmp_path / "generated", datasets=DATASETS, database=postgres, schema="ours")
    with pytest.raises(
        UsageError, match=r"has a registry in the schema ours; drop it, or name another schema$"
    ):
        build_registry(tmp_path / "again", datasets=5, database=postgres, schema="ours")
    config = Config()
    config["registry", "db"] = Config(str(tmp_path / "generated" / "butler.yaml"))["registry", "db"]
    config["registry", "namespace"] = "theirs"
    check_same_tables(tmp_path / "generated", tmp_path / "copied", config)


def test_sqlite_file_keeps_its_keys_and_indexes(generated: Path, tmp_path: Path) -> None:
    Butler.makeRepo(str(tmp_path / "empty"))
    indexes = []
    for root in (generated, tmp_path / "empty"):
        with contextlib.closing(sqlite3.connect(root / "gen3.sqlite3")) as connection:
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index'")
            indexes.append(set(found.fetchall()))
    # An empty repository has no tables of tags yet.
    assert indexes[1] < indexes[0]


def test_numbers_are_those_of_dp02() -> None:
    counts = Counts.scale(8_475_974)
    assert counts.datasets == {kind.name: kind.dp02 for kind in KINDS}
    assert (counts.patches, counts.tracts) == (7693, 157)


@pytest.mark.parametrize("datasets", [1, 2, 3, 7, 50, 999_999])
def test_any_number_of_datasets_can_be_divided(datasets: int) -> None:
    counts = Counts.scale(datasets)
    assert sum(counts.datasets.values()) == datasets
    assert counts.datasets["raw"] >= counts.datasets["calexp"]


@pytest.mark.parametrize("datasets", [1, 5])
def test_smallest_registries_can_be_built(tmp_path: Path, datasets: int) -> None:
    build_registry(tmp_path / "small", datasets=datasets)
    with Butler.from_config(str(tmp_path / "small")) as butler:
        assert sum(len(find(butler, kind.name)) for kind in KINDS) == datasets


def test_butler_finds_every_dataset(butler: Butler) -> None:
    counts = Counts.scale(DATASETS)
    for kind in KINDS:
        refs = find(butler, kind.name)
        assert len(refs) == counts.datasets[kind.name]
        assert {ref.run for ref in refs} == set(kind.runs)
        assert len({ref.id for ref in refs}) == len(refs)
        assert {ref.id.version for ref in refs} == {7}


def test_detectors_of_a_patch_are_those_that_overlap_it(butler: Butler) -> None:
    (patch,) = butler.query_dimension_records(
        "patch", where="skymap = 'sim_grid' AND tract = 0 AND patch = 1"
    )
    found = {ref.id for ref in find(butler, "calexp", "skymap = 'sim_grid' AND tract = 0 AND patch = 1")}
    everything = find(butler, "calexp")
    overlapping = {ref.id for ref in everything if not ref.dataId.region.relate(patch.region) & DISJOINT}
    assert found == overlapping


def test_regions_and_times_are_plausible(butler: Butler) -> None:
    for ref in find(butler, "goodSeeingDiff_differenceExp"):
        region, timespan = ref.dataId.region, ref.dataId.timespan
        assert len(region.getVertices()) == 4
        assert region.getBoundingCircle().getOpeningAngle().asDegrees() == pytest.approx(0.1585, abs=1e-3)
        center = LonLat(region.getCentroid())
        assert 45 < center.getLon().asDegrees() < 80
        assert -48 < center.getLat().asDegrees() < -24
        assert timespan.nsec[1] - timespan.nsec[0] == 30 * 10**9
        assert 2022 <= timespan.begin.utc.datetime.year <= 2026
        assert ref.dataId.records["visit"].region.contains(region.getCentroid())


def test_exporters_make_one_row_of_each_dataset(butler: Butler) -> None:
    text = CONFIG.read_text()
    theirs = list(ObscoreExporter(butler, ExporterConfig.model_validate(yaml.safe_load(text))).iter_records())
    batches = iter_rows(butler, parse_obscore_config(text, "the test"), label="survey")
    ours = {row["obs_publisher_did"]: row for row in pa.Table.from_batches(list(batches)).to_pylist()}
    assert len(theirs) == len(ours) == DATASETS
    for row in theirs:
        mine = ours[row["obs_publisher_did"]]
        assert {name: mine[name] for name in row if name in mine} == {
            name: value for name, value in row.items() if name in mine
        }
        assert mine["s_region"] is not None
        assert 10_000 < mine["access_estsize"] < 200_000


def test_overlaps_of_detectors_can_be_left_out(tmp_path: Path) -> None:
    build_registry(tmp_path / "bare", datasets=20, overlaps=False)
    with Butler.from_config(str(tmp_path / "bare")) as butler:
        tables = read_tables(butler)
    assert len(tables["visit_detector_region"]) == len(find_raws(tables))
    assert tables["visit_detector_region_skypix_overlap"] == []
    assert tables["visit_skypix_overlap"] != []


def find_raws(tables: dict[str, list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
    return tables["dataset_tags_00000001"]


def test_pixels_are_those_of_the_pixelization() -> None:
    rng = np.random.default_rng(5)
    visits, camera = Visits.scatter(20, 300.0, rng), Camera()
    pixelization = HtmPixelization(7)
    finder = PixelFinder(pixelization)
    index = np.repeat(np.arange(20), 189)
    corners = camera.corners(visits.frames[index], np.tile(np.arange(189), 20))
    candidates = [finder.pixels_of(polygon(outline)) for outline in camera.outlines(visits.frames)]
    offsets = np.concatenate([[0], np.cumsum([len(candidates[visit]) for visit in index])])
    owners, pixels = finder.find(corners, np.concatenate([candidates[visit] for visit in index]), offsets)
    expected = {
        (number, pixel)
        for number, shape in enumerate(corners)
        for begin, end in pixelization.envelope(polygon(shape))
        for pixel in range(begin, end)
    }
    assert len(owners) == len(expected)
    assert set(zip(owners.tolist(), pixels.tolist(), strict=True)) == expected


def test_detectors_lie_within_their_visit_and_apart() -> None:
    visits, camera = Visits.scatter(1, 300.0, np.random.default_rng(6)), Camera()
    corners = camera.corners(np.repeat(visits.frames, 189, axis=0), np.arange(189))
    shapes = [polygon(shape) for shape in corners]
    whole = polygon(camera.outlines(visits.frames)[0])
    assert all(
        whole.contains(UnitVector3d(*map(float, corner * 0.999999 + visits.frames[0, 2] * 1e-6)))
        for shape in corners
        for corner in shape
    )
    assert all(
        shapes[first].relate(shapes[second]) & DISJOINT
        for first in range(0, 189, 10)
        for second in range(first)
    )


def test_same_seed_gives_the_same_registry(generated: Path, tmp_path: Path) -> None:
    build_registry(tmp_path / "again", datasets=DATASETS)
    build_registry(tmp_path / "other", datasets=DATASETS, seed=2)
    tables = []
    for root in (generated, tmp_path / "again", tmp_path / "other"):
        with Butler.from_config(str(root)) as butler:
            tables.append(read_tables(butler))
    assert tables[0] == tables[1]
    assert tables[0]["dataset"] != tables[2]["dataset"]


def test_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"^{tmp_path} exists; name a folder that does not, or remove it$"):
        build_registry(tmp_path, datasets=5)
    assert list(tmp_path.iterdir()) == []


def test_number_of_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^A registry of 0 datasets cannot be built; ask for 1 or more$"):
        build_registry(tmp_path / "new", datasets=0)


@pytest.mark.parametrize("database", ["sqlite:///file", "nothing at all"])
def test_other_databases_are_refused(tmp_path: Path, database: str) -> None:
    with pytest.raises(UsageError, match=f"^'{database}' is no PostgreSQL database; write postgresql://"):
        build_registry(tmp_path / "new", datasets=5, database=database)
    assert list(tmp_path.iterdir()) == []


def test_database_that_does_not_answer_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^The database nowhere cannot hold a registry: .*connection"):
        build_registry(tmp_path / "new", datasets=5, database=f"postgresql:///nowhere?host={tmp_path}")


def test_command_builds_a_registry(tmp_path: Path) -> None:
    words = ["registry", "--root", str(tmp_path / "new"), "--datasets", "12"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("Building 12 datasets of 1 visits and 0 patches")
    assert done.output.endswith("registry.yaml\n")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 1
    assert "new exists; name a folder that does not, or remove it" in again.output
