"""The table that daf_butler keeps in its registry, served as it is."""

import csv
import io
import math
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import astropy.time
import astropy.units as u
import numpy as np
import psycopg
import pyarrow as pa
import pytest
import sqlalchemy
import yaml
from astropy.io.votable import parse_single_table
from click.testing import CliRunner
from lsst.daf.butler import Butler, Config, DatasetRef, DatasetType, Timespan
from lsst.daf.butler.registry.obscore import ObsCoreManagerConfig
from lsst.sphgeom import Angle, Circle, ConvexPolygon, LonLat, Region, UnitVector3d

from lsst.dax.vo.cli import vo
from lsst.dax.vo.config import Limits, RepositoryConfig, ServiceConfig, load_service_config
from lsst.dax.vo.dali import ParamSet
from lsst.dax.vo.errors import UnsupportedError, UsageError
from lsst.dax.vo.obscore import MANDATORY_COLUMNS, columns_of, parse_obscore_config
from lsst.dax.vo.query import open_engine, plan_query
from lsst.dax.vo.query.engines.postgres._tables import PublishedTables
from lsst.dax.vo.query.settling._settle import settle_predicates
from lsst.dax.vo.repo._live import _to_yaml
from lsst.dax.vo.services import Services, build_services, export_repository, query_store, update_store
from lsst.dax.vo.services._stores import open_named_store
from lsst.dax.vo.store import LiveLocation
from lsst.dax.vo.testing import PostgresServer, engine_rows

BASE = "https://vo.example.org"
PASSWORD = "s3cr/t"
DETECTORS = 2
VISITS = 60
START = astropy.time.Time("2025-01-01T01:00:00", scale="tai")
PLUGIN = "lsst.daf.butler.registry.obscore.pgsphere.PgSphereObsCorePlugin"
CONFIG: dict[str, Any] = {
    "namespace": "test",
    "version": 1,
    "collection_type": "RUN",
    "collections": ["run.*"],
    "facility_name": "Nowhere",
    "obs_collection": "LIVE",
    "dataset_types": {
        "raw": {
            "dataproduct_type": "image",
            "dataproduct_subtype": "lsst.raw",
            "calib_level": 1,
            "obs_id_fmt": "{records[exposure].obs_id}-{records[detector].full_name}",
            "access_format": "application/x-votable+xml;content=datalink",
            "datalink_url_fmt": "https://example.org/links?ID=butler%3A//elsewhere/{id}",
        },
        "calexp": {
            "dataproduct_type": "image",
            "dataproduct_subtype": "lsst.calexp",
            "calib_level": 2,
            "obs_id_fmt": "{records[visit].name}",
            "s_xel": [100, 200],
        },
    },
    "extra_columns": {
        "lsst_visit": {"template": "{visit}", "type": "int"},
        "lsst_exposure": {"template": "{exposure}", "type": "int"},
        "lsst_detector": {"template": "{detector}", "type": "int"},
        "lsst_filter": {"template": "{physical_filter}", "type": "string", "length": 32},
        "Weight": 1e-06,
    },
    "indices": {"lsst_visit_idx": "lsst_visit", "instrument_idx": "instrument_name"},
    "spectral_ranges": {"g": [4.0e-7, 5.5e-7], "white": [None, None]},
}


def _vector(ra_deg: float, dec_deg: float) -> UnitVector3d:
    return UnitVector3d(LonLat.fromDegrees(ra_deg, dec_deg))


def _polygon(rng: np.random.Generator) -> ConvexPolygon:
    # Anywhere, at the poles and across the meridian, of all sizes.
    dec = rng.choice([rng.uniform(-90, 90), 90, -89.9, rng.normal(0, 1)])
    center = _vector(rng.choice([rng.uniform(0, 360), rng.normal(0, 1)]), dec)
    east = UnitVector3d.orthogonalTo(center)
    north = UnitVector3d(center.cross(east))
    size = math.radians(10 ** rng.uniform(-2, 1.3))
    corners = rng.integers(3, 7)
    points = []
    for corner in range(corners):
        angle = 2 * math.pi * (corner + rng.uniform(0, 0.8)) / corners
        points.append(
            UnitVector3d(center + east * (size * math.cos(angle)) + north * (size * math.sin(angle)))
        )
    return ConvexPolygon(points)


@dataclass
class Live:
    """A repository with a live table; it is read as somebody who may only read."""

    root: Path
    reader: Path
    url: str
    has_polygons: bool
    regions: dict[uuid.UUID, Region | None] = field(default_factory=dict)

    @property
    def store(self) -> str:
        return f"live:{self.reader}"

    def catalogue(self) -> list[Any]:
        """Return all that there is in the database."""
        with psycopg.connect(self.url) as connection:
            return [
                connection.execute(query).fetchall()
                for query in (
                    "SELECT oid, relname, relkind, relfilenode, relacl::text FROM pg_class ORDER BY oid",
                    "SELECT oid, nspname FROM pg_namespace ORDER BY oid",
                    "SELECT oid, proname FROM pg_proc ORDER BY oid",
                    "SELECT oid, typname FROM pg_type ORDER BY oid",
                )
            ]


@pytest.fixture(scope="module", params=[True, False], ids=["pgsphere", "text"])
def live(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    with postgres_server.database() as url:
        made = Live(folder / "survey", folder / "reader", url, request.param)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION btree_gist")
            if made.has_polygons:
                connection.execute("CREATE SCHEMA registry")
                _let_find_pgsphere(connection)
            else:
                # Such a registry need not have it.
                connection.execute("DROP EXTENSION IF EXISTS pg_sphere CASCADE")
        _make(made)
        with psycopg.connect(url, autocommit=True) as connection:
            schema = "registry" if made.has_polygons else "public"
            connection.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
            connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO reader")
            connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader")
            connection.execute(f"REVOKE CREATE, TEMPORARY ON DATABASE {connection.info.dbname} FROM PUBLIC")
            connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        try:
            yield made
        finally:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("DROP OWNED BY reader CASCADE")
                connection.execute("DROP ROLE reader")


def _let_find_pgsphere(connection: psycopg.Connection[Any]) -> None:
    # Where its statements had to be run one by one, daf_butler looks for the
    # extension in vain.
    connection.execute("SET allow_system_table_mods = on")
    connection.execute(
        "INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion) "
        "SELECT 999999, 'pg_sphere', 10, 'public'::regnamespace, true, '1.2.0' "
        "WHERE NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_sphere')"
    )


def _make(made: Live) -> None:
    config = Config()
    url = sqlalchemy.make_url(made.url).set(drivername="postgresql+psycopg")
    config["registry", "db"] = url.render_as_string(hide_password=False)
    own: dict[str, Any] = {**CONFIG}
    if made.has_polygons:
        config["registry", "namespace"] = "registry"
        own["obs_publisher_did_fmt"] = "ivo://org.example/live?id={id}"
        own["table_name"] = "own_obscore"
        columns = {"region_column": "pgs_region", "position_column": "pgs_center"}
        own["spatial_plugins"] = {"pgsphere": {"cls": PLUGIN, "config": columns}}
    config["registry", "managers", "obscore"] = {
        "cls": "lsst.daf.butler.registry.obscore.ObsCoreLiveTableManager",
        "config": own,
    }
    Butler.makeRepo(str(made.root), config=config)
    with Butler.from_config(str(made.root), writeable=True) as butler:
        _fill(made, butler)
    # The same repository for somebody who may read alone.
    made.reader.mkdir()
    text = (made.root / "butler.yaml").read_text().replace("<butlerRoot>", str(made.root))
    values = yaml.safe_load(text)
    url = url.set(username="reader", password=PASSWORD)
    values["registry"]["db"] = url.render_as_string(hide_password=False)
    (made.reader / "butler.yaml").write_text(yaml.safe_dump(values))


def _fill(made: Live, butler: Butler) -> None:
    rng = np.random.default_rng(3)
    insert = butler.registry.insertDimensionData
    insert(
        "instrument",
        {"name": "Cam", "class_name": "x.Cam", "detector_max": 9, "visit_max": 999, "exposure_max": 999},
    )
    for name, band in (("g_main", "g"), ("white", "white")):
        insert("physical_filter", {"instrument": "Cam", "name": name, "band": band})
    for detector in range(DETECTORS):
        insert("detector", {"instrument": "Cam", "id": detector, "full_name": f"R{detector}"})
    insert("day_obs", {"instrument": "Cam", "id": 20250101})
    for name, dimensions in (("raw", ("exposure", "detector")), ("calexp", ("visit", "detector"))):
        butler.registry.registerDatasetType(
            DatasetType(name, butler.dimensions.conform(dimensions), "StructuredDataDict")
        )
    for run in ("run1", "other"):
        butler.registry.registerRun(run)
    for number in range(1, VISITS + 1):
        _insert_exposure(butler, number)
        refs = _insert(butler, "raw", "exposure", number)
        made.regions |= {ref.id: None for ref in refs}
        if number % 10 == 0:
            # Its visit is never defined.
            continue
        regions = _insert_visit(butler, number, rng)
        # As obs_base does it when it has defined visits.
        butler.registry.obsCoreTableManager.update_exposure_regions(
            "Cam", [(number, detector, region) for detector, region in enumerate(regions)]
        )
        refs += _insert(butler, "calexp", "visit", number)
        made.regions |= {ref.id: regions[ref.dataId["detector"]] for ref in refs}
    # A region that the table cannot hold, and a run that it does not want.
    _insert_visit(butler, 200, rng, Circle(_vector(10, 10), Angle.fromDegrees(1)))
    with pytest.warns(Warning, match="Failed to convert region"):
        refs = _insert(butler, "calexp", "visit", 200)
    made.regions |= {ref.id: None for ref in refs}
    _insert(butler, "calexp", "visit", 1, run="other")


def _insert_exposure(butler: Butler, number: int) -> None:
    butler.registry.insertDimensionData("group", {"instrument": "Cam", "name": f"group{number}"})
    butler.registry.insertDimensionData(
        "exposure", {**_common(number), "obs_id": f"E{number}", "group": f"group{number}"}
    )


def _insert_visit(
    butler: Butler, number: int, rng: np.random.Generator, region: Region | None = None
) -> list[Region]:
    insert = butler.registry.insertDimensionData
    regions = [region or _polygon(rng) for _ in range(DETECTORS)]
    insert("visit", {**_common(number), "name": f"V{number}", "region": regions[0]})
    if number < 200:
        insert("visit_definition", {"instrument": "Cam", "visit": number, "exposure": number})
    for detector, own in enumerate(regions):
        insert(
            "visit_detector_region",
            {"instrument": "Cam", "visit": number, "detector": detector, "region": own},
        )
    return regions


def _common(number: int) -> dict[str, Any]:
    begin = START + number * 100 * u.s
    return {
        "instrument": "Cam",
        "id": number,
        "physical_filter": "g_main" if number % 2 else "white",
        "day_obs": 20250101,
        "target_name": f"field {number}",
        "exposure_time": 30.0,
        "timespan": Timespan(begin, begin + 30 * u.s),
    }


def _insert(butler: Butler, name: str, dimension: str, number: int, run: str = "run1") -> list[DatasetRef]:
    data_ids = [{"instrument": "Cam", dimension: number, "detector": item} for item in range(DETECTORS)]
    return butler.registry.insertDatasets(name, data_ids, run=run)


@pytest.fixture
def services(live: Live) -> Iterator[Services]:
    entry = RepositoryConfig(repo=str(live.reader), store="live", label="survey")
    with closing(build_services(ServiceConfig(repositories=(entry,)))) as built:
        yield built


def _ask(live: Live, adql: str) -> list[dict[str, Any]]:
    with query_store(live.store, adql) as result:
        return [row for batch in result.batches for row in batch.to_pylist()]


def _id_in(text: str) -> uuid.UUID:
    return uuid.UUID(re.findall(r"[0-9a-f-]{36}", text)[-1])


def test_columns_are_those_of_obscore(live: Live) -> None:
    store = open_named_store(live.store)
    names = [column.name for column in store.columns]
    assert names[:30] == [column.name for column in MANDATORY_COLUMNS]
    assert store.columns[:30] == MANDATORY_COLUMNS
    extra = ["lsst_visit", "lsst_exposure", "lsst_detector", "lsst_filter", "Weight"]
    assert names[30:] == ["dataproduct_subtype", *extra]
    assert store.is_current
    assert str(store.location) == live.store
    assert PASSWORD.replace("/", "%2F") not in repr(store)
    assert PASSWORD not in repr(store)


def test_rows_are_those_of_the_table(live: Live) -> None:
    rows = {_id_in(row["obs_publisher_did"]): row for row in _ask(live, "SELECT * FROM ivoa.ObsCore")}
    assert rows.keys() == live.regions.keys()
    with Butler.from_config(str(live.root)) as butler:
        manager = butler.registry.obsCoreTableManager
        own = manager.schema.dataset_fk.name
        with manager.query() as result:
            wanted = {row._mapping[own]: row._mapping for row in result}
    for key, row in rows.items():
        for name, value in row.items():
            if name == "obs_publisher_did" and not live.has_polygons:
                assert value == f"ivo://x-unregistered/reader?repo=reader&id={key}"
            else:
                assert value == wanted[key].get(name), name
    first = next(iter(rows.values()))
    assert first["Weight"] == 1e-6
    assert first["access_estsize"] is None
    assert {(row["t_xel"], row["pol_states"]) for row in rows.values()} == {(None, None)}


def test_texts_are_ordered_by_their_bytes(live: Live) -> None:
    rows = _ask(live, "SELECT obs_id FROM ivoa.ObsCore ORDER BY obs_id")
    assert [row["obs_id"] for row in rows] == sorted(row["obs_id"] for row in rows)


@pytest.mark.parametrize("form", ["INTERSECTS", "CONTAINS", "point", "NOT"])
def test_regions_are_searched_as_by_sphgeom(live: Live, form: str) -> None:
    rng = np.random.default_rng(list(form.encode()))
    known = {key: region for key, region in live.regions.items() if region is not None}
    with closing(open_engine([open_named_store(live.store)], limits=Limits())) as engine:
        total = 0
        for _ in range(20):
            # Around what is there, so that much is found.
            place = LonLat(list(known.values())[rng.integers(len(known))].getCentroid())
            ra = place.getLon().asDegrees() + rng.normal(0, 0.1)
            dec = max(-90.0, min(90.0, place.getLat().asDegrees() + rng.normal(0, 0.1)))
            radius = 10 ** rng.uniform(-3, 1.9)
            circle = Circle(_vector(ra, dec), Angle.fromDegrees(radius))
            shape = f"CIRCLE({ra}, {dec}, {radius})"
            match form:
                case "INTERSECTS":
                    where = f"INTERSECTS({shape}, s_region) = 1"
                    wanted = {key for key, region in known.items() if region.intersects(circle)}
                case "CONTAINS":
                    where = f"CONTAINS(s_region, {shape}) = 1"
                    wanted = {key for key, region in known.items() if region.isWithin(circle)}
                case "point":
                    where = f"CONTAINS(POINT({ra}, {dec}), s_region) = 1"
                    wanted = {key for key, region in known.items() if region.contains(_vector(ra, dec))}
                case _:
                    where = f"INTERSECTS({shape}, s_region) = 0"
                    wanted = {key for key, region in known.items() if not region.intersects(circle)}
            rows = engine_rows(engine, f"SELECT obs_publisher_did AS d FROM ivoa.ObsCore WHERE {where}")
            assert {_id_in(row["d"]) for row in rows} == wanted
            total += len(wanted)
        assert total > 20


def test_positions_are_searched(live: Live) -> None:
    row = _ask(live, "SELECT TOP 1 s_ra, s_dec FROM ivoa.ObsCore WHERE s_dec BETWEEN -60 AND 60")[0]
    rows = _ask(
        live,
        "SELECT s_ra, s_dec FROM ivoa.ObsCore WHERE "
        f"CONTAINS(POINT(s_ra, s_dec), CIRCLE({row['s_ra']!r}, {row['s_dec']!r}, 0.0001)) = 1",
    )
    assert row in rows


def test_regions_are_joined(live: Live) -> None:
    rows = _ask(
        live,
        "SELECT a.obs_publisher_did AS a, b.obs_publisher_did AS b FROM ivoa.ObsCore AS a "
        "JOIN ivoa.ObsCore AS b ON INTERSECTS(a.s_region, b.s_region) = 1 "
        "WHERE a.calib_level = 2 AND b.calib_level = 2 AND a.lsst_visit < 20",
    )
    with Butler.from_config(str(live.root)) as butler:
        refs = butler.query_datasets("calexp", "run1")
    visits = {ref.id: ref.dataId["visit"] for ref in refs}
    known = {key: live.regions[key] for key in visits if live.regions[key] is not None}
    wanted = {
        (a, b)
        for a, first in known.items()
        for b, second in known.items()
        if visits[a] < 20 and first.intersects(second)
    }
    assert {(_id_in(row["a"]), _id_in(row["b"])) for row in rows} == wanted
    assert len(wanted) > len(known) / 4


def test_searches_use_the_indexes_of_the_table(live: Live, services: Services) -> None:
    world = services.engine._watch.look()
    assert world.is_indexed == live.has_polygons
    if not live.has_polygons:
        return
    tables = PublishedTables(world, None)
    for where, index in (
        ("INTERSECTS(CIRCLE(10, 20, 0.1), s_region) = 1", "pgs_region"),
        ("CONTAINS(POINT(s_ra, s_dec), CIRCLE(10, 20, 0.1)) = 1", "pgs_center"),
        ("lsst_visit = 7", "lsst_visit"),
    ):
        plan = plan_query(f"SELECT obs_id FROM ivoa.ObsCore WHERE {where}", services.engine.catalog)
        texts: list[str] = []

        def ask(query: Any, texts: list[str] = texts) -> Any:
            texts.append(tables.render(query))
            return pa.table({"_region": pa.array([], pa.binary())})

        texts.append(tables.render(settle_predicates(plan.tree, ask)))
        with psycopg.connect(live.url) as connection:
            connection.execute("SET enable_seqscan = off")
            for text in texts:
                lines = [line for (line,) in connection.execute(f"EXPLAIN {text}").fetchall()]
                assert any("Index Cond" in line and index in line for line in lines), "\n".join(lines)


def test_sia_finds_places(live: Live, services: Services) -> None:
    key, region = next((key, region) for key, region in live.regions.items() if region is not None)
    place = LonLat(region.getCentroid())
    text = f"CIRCLE {place.getLon().asDegrees()} {place.getLat().asDegrees()} 0.001"
    response = services.sia.query(ParamSet.from_pairs([("POS", text)]), BASE)
    table = parse_single_table(io.BytesIO(_body(response))).to_table()
    assert str(key) in "".join(table["obs_publisher_did"])
    circle = Circle(_vector(place.getLon().asDegrees(), place.getLat().asDegrees()), Angle.fromDegrees(0.001))
    wanted = {key for key, region in live.regions.items() if region is not None and region.intersects(circle)}
    assert {_id_in(did) for did in table["obs_publisher_did"]} == wanted
    did = str(table["obs_publisher_did"][0])
    again = services.sia.query(ParamSet.from_pairs([("ID", did)]), BASE)
    assert len(parse_single_table(io.BytesIO(_body(again))).to_table()) == 1


def _body(response: Any) -> bytes:
    body = response.body
    return body if isinstance(body, bytes) else b"".join(body)


def test_links_lead_to_the_dataset(services: Services) -> None:
    params = ParamSet.from_pairs(
        [("LANG", "ADQL"), ("RESPONSEFORMAT", "csv"), ("QUERY", "SELECT TOP 3 * FROM ivoa.ObsCore")]
    )
    response = services.tap.sync(params, BASE)
    for row in csv.DictReader(io.StringIO(_body(response).decode())):
        assert row["access_url"].startswith(f"{BASE}/api/datalink/links?ID=")
        links = services.links.links(ParamSet.from_pairs([("ID", row["obs_publisher_did"])]), BASE)
        table = parse_single_table(io.BytesIO(_body(links))).to_table()
        # The dataset is known; that it has no file is the test's own doing.
        assert set(table["ID"]) == {row["obs_publisher_did"]}
        assert "NotFoundFault: There is no" not in "".join(table["error_message"])


def test_new_datasets_are_seen_at_once(live: Live, services: Services) -> None:
    def count() -> int:
        return services.engine.count_rows()["survey"]

    before = count()
    assert before == len(live.regions)
    with Butler.from_config(str(live.root), writeable=True) as butler:
        _insert_exposure(butler, 150)
        refs = _insert(butler, "raw", "exposure", 150)
        assert count() == before + len(refs)
        region = ConvexPolygon([_vector(5, 70), _vector(5.1, 70), _vector(5, 70.1)])
        where = "CONTAINS(POINT(5.01, 70.01), s_region) = 1 AND lsst_exposure = 150"
        query = f"SELECT obs_id FROM ivoa.ObsCore WHERE {where}"
        assert engine_rows(services.engine, query) == []
        _insert_visit(butler, 150, np.random.default_rng(1), region)
        butler.registry.obsCoreTableManager.update_exposure_regions("Cam", [(150, 0, region)])
        assert engine_rows(services.engine, query) == [{"obs_id": "E150-R0"}]
        butler.pruneDatasets(refs, disassociate=True, unstore=True, purge=True)
    assert count() == before


def test_nothing_is_made_in_the_database(live: Live) -> None:
    before = live.catalogue()
    entry = RepositoryConfig(repo=str(live.reader), store="live")
    with closing(build_services(ServiceConfig(repositories=(entry,)))) as services:
        engine_rows(services.engine, "SELECT * FROM ivoa.ObsCore WHERE CONTAINS(POINT(1, 1), s_region) = 1")
        services.engine.count_rows()
    assert live.catalogue() == before


def test_writing_is_refused(live: Live) -> None:
    message = "is the table that the Butler keeps itself, and can only be read"
    with pytest.raises(UsageError, match=message):
        export_repository(live.reader, live.store)
    with pytest.raises(UsageError, match=message):
        update_store(live.reader, live.store)
    result = CliRunner().invoke(vo, ["update", str(live.reader), live.store])
    assert result.exit_code != 0
    assert message in " ".join(result.output.split())


def test_commands_read_it(live: Live) -> None:
    result = CliRunner().invoke(
        vo, ["query", live.store, "SELECT COUNT(*) AS n FROM ivoa.ObsCore", "--format", "csv"]
    )
    assert result.exit_code == 0, result.output
    assert result.output.split() == ["n", str(len(live.regions))]
    result = CliRunner().invoke(vo, ["check", live.store])
    assert f"{len(live.regions):,} rows ({len(live.regions):,} of 'reader')" in result.output
    # Its datasets are registered, and have no files.
    errors = [line for line in result.output.splitlines() if line.startswith("error:")]
    assert [line.partition(": the file")[0] for line in errors] == [
        f"error: files: {len(live.regions)} of {len(live.regions)} rows"
    ]
    assert "s3cr" not in result.output
    path = "/api/sia/query?MAXREC=1&RESPONSEFORMAT=csv"
    result = CliRunner().invoke(vo, ["serve", str(live.reader), "--store", "live", "--get", path])
    assert result.exit_code == 0, result.output
    assert len(list(csv.reader(io.StringIO(result.output)))) == 2
    assert "s3cr" not in result.output


def test_configuration_names_it_beside_its_file(live: Live) -> None:
    path = live.reader.parent / "service.yaml"
    path.write_text(
        "repositories:\n  - {repo: reader, store: live}\n  - {repo: reader, store: live:reader}\n"
    )
    config = load_service_config(path, environment={})
    assert [entry.store for entry in config.repositories] == ["live", live.store]
    with closing(
        build_services(config.model_copy(update={"repositories": config.repositories[1:]}))
    ) as built:
        assert built.engine.count_rows() == {"reader": len(live.regions)}


def test_another_repository_is_refused(live: Live) -> None:
    entry = RepositoryConfig(repo=str(live.reader), store="live:elsewhere")
    with pytest.raises(UsageError, match="is in another repository than the one that is served"):
        build_services(ServiceConfig(repositories=(entry,)))
    with pytest.raises(UsageError, match="does not say of which repository; give live:REPO"):
        open_named_store("live")


def test_table_without_right_to_read_is_named(live: Live) -> None:
    table = "registry.own_obscore" if live.has_polygons else "obscore"
    with psycopg.connect(live.url, autocommit=True) as connection:
        connection.execute(f"REVOKE SELECT ON {table} FROM reader")
        try:
            with pytest.raises(UsageError, match=r"does not let its table '.*obscore' be read.*GRANT SELECT"):
                open_named_store(live.store)
        finally:
            connection.execute(f"GRANT SELECT ON {table} TO reader")


def test_table_beside_an_exported_one(live: Live, tmp_path: Path) -> None:
    if not live.has_polygons:
        pytest.skip("a store needs pgSphere")
    config = tmp_path / "config.yaml"
    values = {key: value for key, value in CONFIG.items() if key not in ("collection_type", "collections")}
    config.write_text(yaml.safe_dump({**values, "collections": ["run1"], "facility_name": "Nowhere"}))
    with Butler.from_config(str(live.root)) as butler:
        url = butler.registry.obsCoreTableManager.db._engine.url.set(drivername="postgresql")
    copy = f"{url.render_as_string(hide_password=False)}&schema=copy"
    export_repository(live.root, copy, config_path=config, label="copy")
    try:
        stores = [open_named_store(copy), open_named_store(f"live:{live.root}")]
        with closing(open_engine(stores, limits=Limits())) as engine:
            circle = Circle(_vector(30, 0), Angle.fromDegrees(60))
            # The exported one has the circle, too, that daf_butler does not take.
            rows = engine_rows(
                engine,
                "SELECT obs_id FROM ivoa.ObsCore WHERE INTERSECTS(CIRCLE(30, 0, 60), s_region) = 1 "
                "AND lsst_visit < 200",
            )
            known = [region for region in live.regions.values() if region is not None]
            assert len(rows) == 2 * sum(region.intersects(circle) for region in known) > 0
            assert set(engine.count_rows()) == {"copy", "survey"}
    finally:
        with psycopg.connect(live.url) as connection:
            connection.execute("DROP SCHEMA copy CASCADE")


def test_tables_of_several_repositories(live: Live) -> None:
    first = open_named_store(live.store)
    second = replace(first, label="second", location=LiveLocation("second"))
    query = "SELECT obs_id FROM ivoa.ObsCore WHERE INTERSECTS(CIRCLE(30, 0, 60), s_region) = 1"
    with closing(open_engine([first, second], limits=Limits())) as engine:
        assert engine.count_rows() == {"reader": len(live.regions), "second": len(live.regions)}
        assert len(engine_rows(engine, query)) == 2 * len(_ask(live, query)) > 0


@pytest.mark.parametrize("name", ["daf_butler_tests_obscore.yaml", "prompt_processing_db_butler.yaml"])
def test_configurations_of_others_are_understood(name: str) -> None:
    default = Path(__file__).parents[3] / "shared" / "data"
    path = Path(os.environ.get("DAX_VO_TEST_DATA", default)) / "obscore" / "other" / name
    if not path.exists():
        pytest.skip(f"{path} is not there; set DAX_VO_TEST_DATA")
    values = yaml.safe_load(path.read_text())
    values = values["registry"]["managers"]["obscore"]["config"] if "registry" in values else values
    told = ObsCoreManagerConfig.model_validate(values)
    config = parse_obscore_config(_to_yaml(told.model_dump_json()), name)
    assert config.spectral_ranges == told.spectral_ranges
    assert [column.name for column in columns_of(config)][31:] == list(told.extra_columns or ())


def test_registry_in_sqlite_is_refused(tmp_path: Path) -> None:
    config = Config()
    config["registry", "managers", "obscore"] = {
        "cls": "lsst.daf.butler.registry.obscore.ObsCoreLiveTableManager",
        "config": CONFIG,
    }
    Butler.makeRepo(str(tmp_path / "repo"), config=config)
    with pytest.raises(
        UnsupportedError, match=r"registry in sqlite.*served from PostgreSQL alone; make a store"
    ):
        open_named_store(f"live:{tmp_path / 'repo'}")


def test_repository_without_such_a_table_is_refused(tmp_path: Path) -> None:
    Butler.makeRepo(str(tmp_path / "repo"))
    with pytest.raises(UsageError, match=r"has no ObsCore table of the Butler's own.*butler vo export"):
        open_named_store(f"live:{tmp_path / 'repo'}")
