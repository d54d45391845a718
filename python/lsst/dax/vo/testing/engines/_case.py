"""What the tests of engines need: of a kind of store, and of rows."""

from __future__ import annotations

__all__ = [
    "ENGINE_COLUMNS",
    "EXTRA",
    "EngineCase",
    "Open",
    "Place",
    "engine_rows",
    "vector",
    "write_engine_store",
]

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest
from lsst.sphgeom import Angle, Circle, LonLat, UnitVector3d

from ...config import Limits
from ...dali import Column, Table
from ...query import Engine, Plan, open_engine, plan_query
from ...store import OwnLocation, Store, open_store, open_writer

type Place = Callable[[str], OwnLocation]
"""From a name to where a store can be."""

type Open = Callable[..., Engine]
"""From stores and limits to an engine on them."""

ENGINE_COLUMNS = (
    Column("obs_id", "char", arraysize="*"),
    Column("obs_publisher_did", "char", arraysize="*"),
    Column("access_url", "char", arraysize="*"),
    Column("s_ra", "double", unit="deg"),
    Column("s_dec", "double", unit="deg"),
    Column("s_region", "char", arraysize="*", xtype="adql:REGION"),
)
"""Public columns of a small table."""

EXTRA = Column("lsst_visit", "long")
"""A column that not all stores have."""


def write_engine_store(location: OwnLocation, label: str, count: int, *extra: Column) -> Store:
    """Write a store of `ENGINE_COLUMNS`.

    Parameters
    ----------
    location
        Where it will be.
    label
        Label of its repository.
    count
        Rows.
    *extra
        More columns, which hold the number of the row.

    Returns
    -------
    store : `~lsst.dax.vo.store.Store`
    """
    with open_writer(location, columns=[*ENGINE_COLUMNS, *extra], properties={"label": label}) as writer:
        for start in range(0, count, 10_000):
            numbers = range(start, min(start + 10_000, count))
            rows = [
                {
                    "obs_id": f"{label}{number}",
                    "obs_publisher_did": None if number == 3 else f"ivo://x/y?repo={label}&id={number}",
                    "access_url": f"exported {number}",
                    "s_ra": float(number % 360),
                    "s_dec": float(number % 60),
                    "_repo": label,
                    "_id": uuid.UUID(int=number).bytes,
                    "_region": Circle(vector(number % 360, number % 60), Angle.fromDegrees(0.4)).encode(),
                    "_print": number,
                }
                | {column.name: number for column in extra}
                for number in numbers
            ]
            writer.write(pa.RecordBatch.from_pylist(rows, writer.schema))
    return open_store(location)


def engine_rows(
    engine: Engine,
    query: str | Plan,
    maxrec: int | None = None,
    base_url: str | None = None,
    uploads: Mapping[str, tuple[Sequence[Column], pa.Table]] | None = None,
) -> list[dict[str, Any]]:
    """Run a query.

    Parameters
    ----------
    engine
        What runs it.
    query
        ADQL, or a plan.
    maxrec, base_url
        As for `~lsst.dax.vo.query.Engine.run`.
    uploads
        Columns and rows of tables that come with the query, by name.

    Returns
    -------
    rows : `list` [`dict`]
        All that are fetched.
    """
    sent = uploads or {}
    catalog = engine.catalog.with_uploads(
        [Table("TAP_UPLOAD", f"TAP_UPLOAD.{name}", tuple(columns)) for name, (columns, _) in sent.items()]
    )
    plan = plan_query(query, catalog) if isinstance(query, str) else query
    tables = {name: table for name, (_, table) in sent.items()}
    found = engine.run(plan, maxrec=maxrec, base_url=base_url, uploads=tables)
    return [row for batch in found.batches for row in batch.to_pylist()]


class EngineCase:
    """What tests need to know of a kind of store; subclasses give what raises `NotImplementedError`."""

    @pytest.fixture
    def place(self) -> Place:
        """Return a function from a name to where a store can be."""
        raise NotImplementedError("subclasses give the fixture 'place'")

    @pytest.fixture(scope="class")
    @classmethod
    def class_place(cls) -> Place:
        """Return the same, for stores that several tests read."""
        raise NotImplementedError("subclasses give the fixture 'class_place'")

    def lost(self, location: OwnLocation) -> contextlib.AbstractContextManager[None]:
        """Take a store away, and bring it back in the end."""
        raise NotImplementedError("subclasses give the method 'lost'")

    @pytest.fixture
    def open_on(self) -> Iterator[Open]:
        """Open engines, and close them afterwards."""
        opened: list[Engine] = []

        def run(*stores: Store, access_url: Any = "service", **limits: Any) -> Engine:
            opened.append(open_engine(stores, limits=Limits(**limits), access_url=access_url))
            return opened[-1]

        yield run
        for engine in opened:
            engine.close()


def vector(ra_deg: float, dec_deg: float) -> UnitVector3d:
    """Return a place on the sphere.

    Parameters
    ----------
    ra_deg, dec_deg
        Its coordinates.

    Returns
    -------
    vector : `lsst.sphgeom.UnitVector3d`
    """
    return UnitVector3d(LonLat.fromDegrees(ra_deg, dec_deg))
