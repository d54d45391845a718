"""Random histories of a repository: a store that was updated is the one that an export makes."""

import itertools
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import astropy.time
import astropy.units as u
import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st
from lsst.daf.butler import Butler, CollectionType, DatasetType, Timespan
from lsst.daf.butler.ddl import Base64Region
from lsst.sphgeom import Angle, Circle, ConvexPolygon, LonLat, UnitVector3d
from sqlalchemy.dialects import sqlite

from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.services import export_repository, update_store
from lsst.dax.vo.store import HIDDEN_SCHEMA, ParquetLocation, Store, StoreLocation, open_store, parse_store

START = astropy.time.Time("2025-01-01T01:00:00", scale="tai")
KINDS = {"raw": ("exposure", "detector"), "calexp": ("visit", "detector"), "coadd": ("patch", "band")}
VISITS, DETECTORS, PATCHES = range(1, 7), range(3), range(3)
CONFIG: dict[str, Any] = {
    "facility_name": "Nowhere",
    "fallback_instrument": "Cam",
    "obs_collection": "TEST",
    "collections": ["all"],
    "obs_publisher_did_fmt": "ivo://org.example/test?id={id}",
    "dataset_types": {
        name: {
            "dataproduct_type": "image",
            "calib_level": level,
            "obs_id_fmt": text,
            "datalink_url_fmt": "https://example.org/{id}",
        }
        for level, (name, text) in enumerate(
            [
                ("raw", "{records[exposure].obs_id}"),
                ("calexp", "{records[visit].name}"),
                ("coadd", "{skymap}-{patch}"),
            ],
            start=1,
        )
    },
    "extra_columns": {
        "run": {"template": "{run}"},
        "reason": {"template": "{records[visit].science_program}"},
    },
    "spectral_ranges": {"g": [4.0e-7, 5.5e-7]},
    "visit_summary": ["visit_summary", "visit_table"],
}
SUMMARIES: dict[str, tuple[str, ...]] = {"visit_summary": ("visit",), "visit_table": ("instrument",)}
CHANGES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "another constant": {"facility_name": "Elsewhere"},
    "another column": {"extra_columns": {"more": {"template": "{visit}", "type": "int"}}},
    "other links": {"obs_publisher_did_fmt": "ivo://org.example/{run}?id={id!s:>40}"},
    "fewer": {"dataset_types": {"calexp": CONFIG["dataset_types"]["calexp"]}},
    "some": {"dataset_type_constraints": {"raw": [{"where": "instrument = 'Cam' AND detector > 0"}]}},
    "no sizes": {"access_estsize": False},
    "other summaries": {"visit_summary": ["visit_table"]},
    "no summaries": {"visit_summary": []},
    "small batches": {"batch_size": 4},
}
_PREFIXES = itertools.count()


def _place(ra: float, dec: float) -> UnitVector3d:
    return UnitVector3d(LonLat.fromDegrees(ra, dec))


def _square(ra: float, dec: float, size: float) -> ConvexPolygon:
    return ConvexPolygon(
        [_place(ra, dec), _place(ra + size, dec), _place(ra + size, dec + size), _place(ra, dec + size)]
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with dimension records and a few datasets."""
    root = tmp_path_factory.mktemp("template") / "repo"
    Butler.makeRepo(str(root))
    with Butler.from_config(str(root), writeable=True) as butler:
        registry = butler.registry
        insert = registry.insertDimensionData
        insert("instrument", {"name": "Cam", "class_name": "x", "detector_max": 9})
        insert("physical_filter", {"instrument": "Cam", "name": "g1", "band": "g"})
        insert("day_obs", {"instrument": "Cam", "id": 1})
        insert("group", {"instrument": "Cam", "name": "o"})
        for detector in DETECTORS:
            insert("detector", {"instrument": "Cam", "id": detector, "full_name": f"{detector}"})
        for number in VISITS:
            begin = START + number * 100 * u.s
            common = {"instrument": "Cam", "id": number, "physical_filter": "g1", "day_obs": 1}
            common |= {"exposure_time": 30.0, "timespan": Timespan(begin, begin + 30 * u.s)}
            insert("exposure", {**common, "obs_id": f"E{number}", "group": "o"})
            insert("visit", {**common, "name": f"V{number}", "region": _square(number, 0, 0.2)})
            insert("visit_definition", {"instrument": "Cam", "visit": number, "exposure": number})
            for detector in DETECTORS:
                key = {"instrument": "Cam", "visit": number, "detector": detector}
                insert("visit_detector_region", {**key, "region": _square(number, detector * 0.1, 0.1)})
        insert("skymap", {"name": "S", "hash": b"h", "tract_max": 9, "patch_nx_max": 9, "patch_ny_max": 9})
        insert("tract", {"skymap": "S", "id": 0, "region": _square(0, 0, 0.5)})
        for patch in PATCHES:
            key = {"skymap": "S", "tract": 0, "id": patch, "cell_x": patch, "cell_y": 0}
            insert("patch", {**key, "region": _square(patch * 0.1, 0, 0.1)})
        for name, dimensions in KINDS.items():
            kind = DatasetType(name, butler.dimensions.conform(dimensions), "StructuredDataDict")
            registry.registerDatasetType(kind)
        for name, dimensions in SUMMARIES.items():
            kind = DatasetType(name, butler.dimensions.conform(dimensions), "ArrowTable")
            registry.registerDatasetType(kind)
        registry.registerRun("run0")
        registry.registerCollection("all", CollectionType.CHAINED)
        registry.setCollectionChain("all", ["run0"])
        for name, number in (("raw", 1), ("raw", 2), ("calexp", 1), ("coadd", 0)):
            for key in _data_ids(name, number):
                butler.put({"x": "y" * 900}, name, key, run="run0")
    return root


def _data_ids(kind: str, number: int) -> list[dict[str, Any]]:
    match kind:
        case "raw":
            return [{"instrument": "Cam", "exposure": number, "detector": one} for one in DETECTORS]
        case "calexp":
            return [{"instrument": "Cam", "visit": number, "detector": one} for one in DETECTORS]
    return [{"skymap": "S", "tract": 0, "patch": patch, "band": "g"} for patch in PATCHES]


class Repository:
    """A copy that is changed step by step."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs = ["run0"]

    def edit(self, sql: str, *values: Any) -> None:
        connection = sqlite3.connect(self.root / "gen3.sqlite3")
        with connection:
            connection.execute(sql, values)
        connection.close()

    def apply(self, draw: Callable[..., Any]) -> str:
        """Change something; return what."""
        kind = draw(st.sampled_from([*KINDS]))
        number, detector = draw(st.sampled_from(VISITS)), draw(st.sampled_from(DETECTORS))
        action = draw(st.sampled_from([*ACTIONS]))
        ACTIONS[action](self, draw, kind, number, detector)
        return action

    def ingest(self, draw: Callable[..., Any], kind: str, number: int, detector: int) -> None:
        del detector
        with Butler.from_config(
            str(self.root), writeable=True, run=draw(st.sampled_from(self.runs))
        ) as butler:
            for key in _data_ids(kind, number):
                if butler.find_dataset(kind, key, collections=butler.run) is None:
                    butler.put({"x": "y" * draw(st.integers(0, 3000))}, kind, key)

    def remove(self, draw: Callable[..., Any], kind: str, number: int, detector: int) -> None:
        del number, detector
        with Butler.from_config(str(self.root), writeable=True) as butler:
            refs = sorted(butler.query_datasets(kind, "all", explain=False), key=lambda ref: ref.id)
            chosen = [ref for ref in refs if draw(st.booleans())]
            butler.pruneDatasets(chosen, disassociate=True, unstore=True, purge=True)

    def begin_run(self, draw: Callable[..., Any], kind: str, number: int, detector: int) -> None:
        run = f"run{len(self.runs)}"
        self.runs = draw(st.permutations([*self.runs, run]))
        with Butler.from_config(str(self.root), writeable=True) as butler:
            butler.registry.registerRun(run)
            butler.registry.setCollectionChain("all", self.runs)
        self.ingest(draw, kind, number, detector)

    def reorder(self, draw: Callable[..., Any], *_: Any) -> None:
        self.runs = draw(st.permutations(self.runs))
        with Butler.from_config(str(self.root), writeable=True) as butler:
            butler.registry.setCollectionChain("all", self.runs)

    def summarize(self, draw: Callable[..., Any], _kind: str, number: int, _detector: int) -> None:
        """Write a summary, or another one in the place of that of before."""
        name = draw(st.sampled_from([*SUMMARIES]))
        visits = [number] if name == "visit_summary" else [*VISITS]
        key = {"instrument": "Cam"} | ({"visit": number} if name == "visit_summary" else {})
        rows = [(visit, detector) for visit in visits for detector in DETECTORS[: draw(st.integers(1, 3))]]
        table = pa.table(
            {
                "visit": pa.array([visit for visit, _ in rows], pa.int64()),
                "detector": pa.array([detector for _, detector in rows], pa.int64()),
                "seeing": [draw(st.sampled_from([0.5, 0.75]))] * len(rows),
                "xSize": [99] * len(rows),
                "ySize": [199] * len(rows),
            }
        )
        with Butler.from_config(
            str(self.root), writeable=True, run=draw(st.sampled_from(self.runs))
        ) as butler:
            if (ref := butler.find_dataset(name, key, collections=butler.run)) is not None:
                butler.pruneDatasets([ref], disassociate=True, unstore=True, purge=True)
            butler.put(table, name, key)

    def unsummarize(self, draw: Callable[..., Any], *_: Any) -> None:
        with Butler.from_config(str(self.root), writeable=True) as butler:
            name = draw(st.sampled_from([*SUMMARIES]))
            refs = butler.query_datasets(name, "all", find_first=False, explain=False)
            butler.pruneDatasets(refs, disassociate=True, unstore=True, purge=True)

    def change_visit(self, draw: Callable[..., Any], _kind: str, number: int, _detector: int) -> None:
        name, value = draw(
            st.sampled_from(
                [
                    ("exposure_time", 31.5),
                    ("target_name", "there"),
                    ("science_program", "p1"),
                    ("timespan_begin", 1_700_000_000_000_000_001),
                    ("timespan_end", 1_900_000_000_000_000_001),
                ]
            )
        )
        self.edit(f"UPDATE visit SET {name} = ? WHERE id = ?", value, number)
        if name != "science_program":
            self.edit(f"UPDATE exposure SET {name} = ? WHERE id = ?", value, number)

    def change_region(self, draw: Callable[..., Any], kind: str, number: int, detector: int) -> None:
        circle = Circle(_place(number, 5.0), Angle.fromDegrees(0.1))
        region = draw(st.sampled_from([None, circle, _square(number, 0.05, 0.1)]))
        text = Base64Region().process_bind_param(region, sqlite.dialect())
        if kind == "coadd":
            self.edit("UPDATE patch SET region = ? WHERE id = ?", text, detector)
        else:
            where = "visit = ? AND detector = ?"
            self.edit(f"UPDATE visit_detector_region SET region = ? WHERE {where}", text, number, detector)

    def change_sizes(self, draw: Callable[..., Any], *_: Any) -> None:
        size = draw(st.sampled_from([-1, 5_000, 999_999]))
        self.edit(
            "UPDATE file_datastore_records SET file_size = ? WHERE dataset_id IN "
            "(SELECT dataset_id FROM file_datastore_records ORDER BY dataset_id LIMIT 2)",
            size,
        )

    def nothing(self, *_: Any) -> None:
        """Leave all as it is."""


ACTIONS: dict[str, Callable[..., None]] = {
    "ingest": Repository.ingest,
    "remove": Repository.remove,
    "begin a run": Repository.begin_run,
    "reorder": Repository.reorder,
    "write a summary": Repository.summarize,
    "remove summaries": Repository.unsummarize,
    "change a visit": Repository.change_visit,
    "change a region": Repository.change_region,
    "change sizes": Repository.change_sizes,
    "do nothing": Repository.nothing,
}


def _read(store: Store) -> list[tuple[Any, ...]]:
    """Read what counts of a table: all that the writers were given."""
    names = ", ".join([*(f'"{column.name}"' for column in store.columns), *HIDDEN_SCHEMA.names])
    if isinstance(store.location, StoreLocation):
        query = f"SELECT {names}, _x0, _z1, _hpx FROM obscore ORDER BY _id"
        with duckdb.connect(str(store.path), read_only=True) as connection:  # type: ignore[attr-defined]
            return connection.execute(query).fetchall()
    if isinstance(store.location, ParquetLocation):
        # With the formats, which stand in the place of texts.
        rows = pq.read_table(store.path).sort_by("_hpx")  # type: ignore[attr-defined]
        return sorted(map(tuple, map(dict.values, rows.to_pylist())), key=repr)
    query = f'SELECT {names} FROM "{store.location.schema}".obscore ORDER BY _id'
    with psycopg.connect(store.location.conninfo) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.fixture(scope="module", params=["folder", "parquet", "postgres"])
def locate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Return where a new store can be."""
    if request.param != "postgres":
        folder = tmp_path_factory.mktemp("stores")
        kind = "parquet:" if request.param == "parquet" else ""
        return lambda name: f"{kind}{folder / name}"
    url = request.getfixturevalue("postgres_module")
    return lambda name: f"{url}&schema={name}"


def _identity(store: Store) -> Any:
    return getattr(store, "path", None) or store.table  # type: ignore[attr-defined]


@settings(
    max_examples=max(settings.default.max_examples // 10, 5),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data())
def test_updated_store_is_a_fresh_export(
    template: Path, locate: Callable[[str], str], data: st.DataObject
) -> None:
    prefix = f"s{next(_PREFIXES)}"
    root = template.parent / prefix
    shutil.copytree(template, root)
    repository = Repository(root)
    config = dict(CONFIG)
    path = root / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    store = locate(prefix)
    export_repository(root, store, config_path=path, label="lab")
    for step in range(data.draw(st.integers(1, 2), "steps")):
        for _ in range(data.draw(st.integers(1, 4), "actions")):
            event(repository.apply(data.draw))
        # Under another configuration nearly all rows are others: mostly, it stays.
        change = data.draw(st.sampled_from([*["as it is"] * len(CHANGES), *CHANGES]), "configuration")
        choice: dict[str, Any] = {}
        if change != "as it is":
            config = CONFIG | CHANGES[change]
            path.write_text(yaml.safe_dump(config))
            choice = {"config_path": path}
        reader = data.draw(st.sampled_from(["bulk", "public"]), "reader")
        before = len(_read(open_store(parse_store(store))))
        # Beyond it, all rows are sorted again; else a few are put behind the others.
        most = data.draw(st.sampled_from([0.0, 0.1, 1.0]), "rows that may be unsorted")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("lsst.dax.vo.store._known._MOST_UNSORTED", most)
            report, changes = update_store(root, store, reader=reader, **choice)
        updated = open_store(parse_store(store))
        fresh = locate(f"{prefix}f{step}")
        whole = export_repository(root, fresh, config_path=path, label="lab")
        wanted = open_store(parse_store(fresh))
        rows = _read(updated)
        assert rows == _read(wanted)
        assert updated.columns == wanted.columns
        assert updated.properties == wanted.properties
        # What it says is what it did.
        assert changes.added + changes.changed + changes.kept == whole.total == len(rows)
        assert before == changes.changed + changes.kept + changes.removed
        assert report.total == changes.added + changes.changed
        # Again, there is nothing to do.
        again, nothing = update_store(root, store)
        assert not nothing
        assert again.total == 0
        assert _identity(open_store(parse_store(store))) == _identity(updated)
    shutil.rmtree(root)


class TestChoices:
    """An update knows what the table was made of."""

    @pytest.fixture
    def repository(self, template: Path, tmp_path: Path) -> Repository:
        shutil.copytree(template, tmp_path / "repo")
        (tmp_path / "repo" / "config.yaml").write_text(yaml.safe_dump(CONFIG))
        return Repository(tmp_path / "repo")

    @pytest.mark.parametrize(
        "choice",
        [
            {"where": "instrument = 'Cam' AND detector = 1", "dataset_types": ["raw", "calexp"]},
            {"collections": ["run0"]},
            {"dataset_types": ["coadd"]},
        ],
    )
    def test_are_those_of_the_export(self, repository: Repository, tmp_path: Path, choice: Any) -> None:
        config_path, store = repository.root / "config.yaml", str(tmp_path / "store")
        export_repository(repository.root, store, config_path=config_path, label="lab", **choice)
        rows = _read(open_store(parse_store(store)))
        _, changes = update_store(repository.root, store)
        assert not changes
        assert _read(open_store(parse_store(store))) == rows
        for kind, number in (("raw", 5), ("calexp", 4)):
            with Butler.from_config(str(repository.root), writeable=True, run="run0") as butler:
                for key in _data_ids(kind, number):
                    butler.put({}, kind, key)
        update_store(repository.root, store)
        fresh = str(tmp_path / "fresh")
        export_repository(repository.root, fresh, config_path=config_path, label="lab", **choice)
        assert _read(open_store(parse_store(store))) == _read(open_store(parse_store(fresh)))

    def test_store_of_another_repository_is_refused(self, repository: Repository, tmp_path: Path) -> None:
        store = str(tmp_path / "store")
        export_repository(repository.root, store, config_path=repository.root / "config.yaml", label="lab")
        with pytest.raises(UsageError, match="was exported under the label 'lab', not 'other'"):
            update_store(repository.root, store, label="other")

    def test_damaged_region_leaves_the_table(self, repository: Repository, tmp_path: Path) -> None:
        store = str(tmp_path / "store")
        export_repository(repository.root, store, config_path=repository.root / "config.yaml", label="lab")
        before = open_store(parse_store(store))
        rows = _read(before)
        repository.edit("UPDATE visit_detector_region SET region = 'AAAA' WHERE visit = 1 AND detector = 0")
        with pytest.raises(UsageError, match=r"the region in the registry is damaged \(dataset "):
            update_store(repository.root, store)
        assert _identity(open_store(parse_store(store))) == _identity(before)
        report, changes = update_store(repository.root, store, on_error="null")
        assert (changes.changed, report.total) == (2, 2)
        assert len(report.problems) == 2
        after = _read(open_store(parse_store(store)))
        assert len(set(after) - set(rows)) == 2
        # Mended, it is as before.
        with Butler.from_config(str(repository.root)) as butler:
            (record,) = butler.query_dimension_records(
                "visit_detector_region", instrument="Cam", visit=1, detector=1
            )
        text = Base64Region().process_bind_param(record.region, sqlite.dialect())
        repository.edit("UPDATE visit_detector_region SET region = ? WHERE visit = 1 AND detector = 0", text)
        assert update_store(repository.root, store)[1].changed == 2

    def test_everything_removed(self, repository: Repository, tmp_path: Path) -> None:
        store = str(tmp_path / "store")
        export_repository(repository.root, store, config_path=repository.root / "config.yaml", label="lab")
        with Butler.from_config(str(repository.root), writeable=True) as butler:
            for kind in KINDS:
                refs = butler.query_datasets(kind, "all", explain=False)
                butler.pruneDatasets(refs, disassociate=True, unstore=True, purge=True)
        _, changes = update_store(repository.root, store)
        assert (changes.added, changes.changed, changes.kept, changes.removed) == (0, 0, 0, 12)
        assert _read(open_store(parse_store(store))) == []
