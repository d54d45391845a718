"""What is asked about: a repository, its stores, and the table of the peer."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from lsst.dax.vo.sample import build_registry
from lsst.dax.vo.testing import NoServerError, running_postgres

from ._questions import PEER_TABLE

LABEL = "survey"
CONFIG = resources.files("lsst.dax.vo.sample") / "obscore" / "registry.yaml"

PEER_COLUMNS = """\
dataproduct_type dataproduct_subtype calib_level obs_collection obs_id obs_publisher_did access_url
access_format access_estsize target_name s_ra s_dec s_fov s_resolution s_xel1 s_xel2 t_min t_max t_exptime
t_resolution t_xel em_min em_max em_res_power em_xel o_ucd pol_states pol_xel facility_name instrument_name
lsst_visit lsst_detector lsst_tract lsst_patch lsst_band lsst_filter"""
# POLYGON ICRS 1 2 3 4 5 6 as pgSphere writes it: {(1d,2d),(3d,4d),(5d,6d)}.
PEER_REGION = (
    "('{' || replace(regexp_replace(substr(s_region, 14), '(\\S+) (\\S+)', '(\\1d,\\2d)', 'g'), "
    "') (', '),(') || '}')::spoly"
)
PEER_INDEXES = (
    "USING gist (s_region)",
    "USING gist (spoint(radians(s_ra), radians(s_dec)))",
    "(obs_publisher_did)",
    "(lsst_visit)",
    "(lsst_tract, lsst_patch)",
)


def export(repository: Path, target: str) -> None:
    from lsst.dax.vo.services import export_repository

    print(f"exporting to a store in {target.partition(':')[0]}", file=sys.stderr)
    with resources.as_file(CONFIG) as path:
        export_repository(repository, target, config_path=path, label=LABEL)


def has_table(url: str, name: str) -> bool:
    import psycopg

    with psycopg.connect(url) as connection:
        return connection.execute("SELECT to_regclass(%s)", [name]).fetchall() != [(None,)]


def make_peer(url: str, schema: str) -> None:
    """Copy the rows of a store into a table as others have it."""
    import psycopg

    print("copying the rows into the table of the peer", file=sys.stderr)
    shown = ", ".join((*PEER_COLUMNS.split(), f"{PEER_REGION} AS s_region"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {PEER_TABLE.partition('.')[0]}".encode())
        connection.execute(f'CREATE TABLE {PEER_TABLE} AS SELECT {shown} FROM "{schema}".obscore'.encode())
        for index in PEER_INDEXES:
            connection.execute(f"CREATE INDEX ON {PEER_TABLE} {index}".encode())
        connection.execute(f"VACUUM ANALYZE {PEER_TABLE}".encode())


class Made(NamedTuple):
    """Where everything is."""

    repository: Path
    store: Path
    database: str | None
    schema: str


@contextmanager
def making(
    repository: Path | None, store: Path | None, database: str | None, schema: str, datasets: int
) -> Iterator[Made]:
    """Make what is not there, and take away what was made for this run alone."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-query-")))
        if repository is None:
            repository = folder / "repository"
            build_registry(repository, datasets=datasets)
        if store is None:
            store = folder / "store"
        if not store.exists():
            export(repository, str(store))
        if database is None:
            try:
                # A new database has pgSphere, the one that comes with a cluster may not.
                database = stack.enter_context(stack.enter_context(running_postgres()).database())
            except NoServerError as err:
                print(f"PostgreSQL is left out: {err}", file=sys.stderr)
        if database is not None:
            if not has_table(database, f'"{schema}".obscore'):
                export(repository, f"{database}{'&' if '?' in database else '?'}schema={schema}")
            if not has_table(database, PEER_TABLE):
                make_peer(database, schema)
        yield Made(repository, store, database, schema)
