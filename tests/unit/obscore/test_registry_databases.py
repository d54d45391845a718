"""The registry in each kind of database: rows in bulk are those of the public interface, and of others."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from lsst.daf.butler import Butler, Config, DatasetType

from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.obscore._config import Where
from lsst.dax.vo.obscore.readers._bulk import BulkReader
from lsst.dax.vo.testing import PostgresServer, ReaderTests

# Names that SQL, drivers or SQLAlchemy could give a meaning.
NAMES = (
    "50%",
    "50%%",
    "%(name)s",
    "%s",
    "it's",
    "it''s",
    'a "b"',
    "a\\b",
    "a\\\\b",
    "\\'",
    ":name",
    "$1",
    "?",
    "{x}",
    "ü✓",
)
DAMAGES: dict[str, Callable[[str], str]] = {
    "truncated": lambda text: text[:-3],
    "no base64": lambda text: "!" + text[1:],
    "no ASCII": lambda text: "é" + text[1:],
    "wrong type": lambda text: base64.b64encode(b"?" + base64.b64decode(text)[1:]).decode(),
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "postgresql in a schema"])
def registry(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    build_odd: Callable[[Path, Config | None], None],
) -> Iterator[Path]:
    """Make the odd repository, and datasets with odd names."""
    root = tmp_path_factory.mktemp("registry") / "repo"
    if request.param == "sqlite":
        build_odd(root, None)
        _name_oddly(root)
        yield root
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database() as text:
        url = sqlalchemy.make_url(text).set(drivername="postgresql+psycopg")
        config = Config()
        config["registry", "db"] = url.render_as_string(hide_password=False)
        engine = sqlalchemy.create_engine(url)
        with engine.begin() as connection:
            # The Butler wants this of its database.
            connection.execute(sqlalchemy.text("CREATE EXTENSION btree_gist"))
            if "schema" in request.param:
                connection.execute(sqlalchemy.text("CREATE SCHEMA ours"))
                config["registry", "namespace"] = "ours"
        engine.dispose()
        build_odd(root, config)
        _name_oddly(root)
        yield root


def _name_oddly(root: Path) -> None:
    with Butler.from_config(str(root), writeable=True) as butler:
        kind = DatasetType(
            "flat", butler.dimensions.conform(["physical_filter", "detector"]), "StructuredDataDict"
        )
        butler.registry.registerDatasetType(kind)
        butler.registry.registerRun("flats")
        for name in NAMES:
            butler.registry.insertDimensionData(
                "physical_filter", {"instrument": "Cam", "name": name, "band": "g"}
            )
            butler.put({}, kind, instrument="Cam", physical_filter=name, detector=0, run="flats")


@pytest.fixture
def butler(registry: Path) -> Iterator[Butler]:
    with Butler.from_config(str(registry)) as butler:
        yield butler


@pytest.fixture
def spoil(butler: Butler) -> Iterator[Callable[..., None]]:
    """Damage the region of one record behind the Butler's back; mend it in the end."""
    with butler.query() as query:
        driver: Any = query._driver
        database, tables = driver.db, driver.managers.dimensions._tables
    # The Butler's own engine reads alone.
    engine = sqlalchemy.create_engine(database._engine.url)
    before: list[tuple[Any, Any]] = []

    def update(table: Any, where: Any, text: str) -> None:
        plain = sqlalchemy.type_coerce(sqlalchemy.literal(text), sqlalchemy.Text)
        with engine.begin() as connection:
            done = connection.execute(table.update().where(where).values(region=plain))
            assert done.rowcount == 1

    def run(element: str, change: Callable[[str], str], **key: int) -> None:
        table = tables[element]
        where = sqlalchemy.and_(*(table.c[name] == value for name, value in key.items()))
        with engine.begin() as connection:
            (text,) = connection.execute(
                sqlalchemy.select(sqlalchemy.type_coerce(table.c.region, sqlalchemy.Text)).where(where)
            ).scalars()
        before.append((table, where, text))
        update(table, where, change(text))

    yield run
    for table, where, text in before:
        update(table, where, text)
    engine.dispose()


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str(row["obs_publisher_did"]))


def test_readers_and_oracle_agree(
    butler: Butler, config: Any, export: Any, oracle: Any, differences: Any
) -> None:
    bulk, report = export(butler, config, reader="bulk")
    public, again = export(butler, config, reader="public")
    assert _sorted(bulk) == _sorted(public)
    assert (report.rows, report.without_region) == (again.rows, again.without_region)
    assert len(bulk) == 35
    theirs = oracle(butler, config)
    names = {name for _, name, _, _ in differences(bulk, theirs)}
    # Of regions that are no convex polygons it tells nothing.
    assert names == {"s_ra", "s_dec", "s_fov", "s_region"}
    config["dataset_types"].pop("coadd")
    theirs = oracle(butler, config)
    assert len(theirs) > 20
    assert differences(bulk, theirs) == []


@pytest.fixture
def flats(config: Any) -> Any:
    """Return the configuration of the datasets with odd names."""
    kind = {"dataproduct_type": "image", "calib_level": 1, "obs_id_fmt": "{physical_filter}"}
    return config | {"collections": ["flats"], "dataset_types": {"flat": kind}}


@pytest.mark.parametrize("reader", ["bulk", "public"])
def test_names_mean_themselves(butler: Butler, flats: Any, export: Any, reader: str) -> None:
    for name in NAMES:
        flats["where"] = {"where": "instrument = 'Cam' AND physical_filter = name", "bind": {"name": name}}
        rows, _ = export(butler, flats, reader=reader)
        assert [row["obs_id"] for row in rows] == [name]


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("physical_filter = '50%'", {"50%"}),
        ("physical_filter != '50%'", {*NAMES} - {"50%"}),
        ("physical_filter IN ('50%', '%s', 'a\\b', '?')", {"50%", "%s", "a\\b", "?"}),
        ("GLOB(physical_filter, '50%*')", {"50%", "50%%"}),
    ],
)
@pytest.mark.parametrize("reader", ["bulk", "public"])
def test_literals_mean_themselves(
    butler: Butler, flats: Any, export: Any, reader: str, where: str, names: set[str]
) -> None:
    rows, _ = export(butler, flats, reader=reader, where=f"instrument = 'Cam' AND {where}")
    assert {row["obs_id"] for row in rows} == names


@pytest.mark.parametrize("reader", ["bulk", "public"])
def test_remainder_is_an_operator(butler: Butler, config: Any, export: Any, reader: str) -> None:
    rows, _ = export(
        butler,
        config,
        dataset_types=["calexp"],
        reader=reader,
        where="instrument = 'Cam' AND visit % 3 = 1",
    )
    assert {row["obs_id"] for row in rows} == {"V1", "V4"}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_regions_are_the_same_for_both(
    butler: Butler, spoil: Any, export: Any, config: Any, damage: str
) -> None:
    spoil("visit_detector_region", DAMAGES[damage], visit=2, detector=1)
    spoil("patch", DAMAGES[damage], id=0)
    found = {}
    for reader in ("bulk", "public"):
        with pytest.raises(UsageError, match="the region in the registry is damaged"):
            export(butler, config, reader=reader)
        rows, report = export(butler, config, reader=reader, on_error="null")
        # Of what is damaged, only one of them knows what it is.
        known = [{**row, "_print": row["_region"] and row["_print"]} for row in rows]
        found[reader] = _sorted(known), report.without_region, sorted(report.problems)
    assert found["bulk"] == found["public"]
    rows, _, problems = found["bulk"]
    gone = [row for row in rows if row["_region"] is None]
    # A raw image and the calibrated one; the patch in two bands; those that have none anyway.
    assert len(gone) == 1 + 1 + 2 + 5
    assert len(problems) == 3


class TestBulkReader(ReaderTests):
    """The contract."""

    @pytest.fixture
    def butler(self, butler: Butler) -> Butler:
        return butler

    @pytest.fixture
    def dataset_types(self) -> tuple[str, ...]:
        return ("calexp",)

    @pytest.fixture
    def where(self) -> Where:
        return Where(where="instrument = 'Cam' AND visit > least", bind={"least": 2})

    def open(self, butler: Butler, *, page_size: int) -> BulkReader:
        return BulkReader(butler, page_size=page_size, sizes=True)
