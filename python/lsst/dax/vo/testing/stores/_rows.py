"""A small store: its columns and rows, written and brought up to date."""

from __future__ import annotations

__all__ = ["STORE_COLUMNS", "make_store_rows", "rows_by_id", "update_store", "write_store"]

import uuid
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from lsst.sphgeom import (
    Angle,
    Box,
    Circle,
    ConvexPolygon,
    Ellipse,
    LonLat,
    Region,
    UnionRegion,
    UnitVector3d,
)

from ...dali import Column, arrow_type
from ...store import (
    HIDDEN_SCHEMA,
    Changes,
    OwnLocation,
    open_updater,
    open_writer,
)

STORE_COLUMNS = (
    Column("obs_id", "char", "Observation", arraysize="*", utype="obscore:DataID.observationID", std=True),
    Column("s_ra", "double", "Longitude", unit="deg", ref="icrs", indexed=True),
    Column("s_dec", "double", "Latitude", unit="deg", ref="icrs", indexed=True),
    Column("lsst_visit", "long"),
    Column("flags", "int", arraysize="*"),
    Column("s_region", "char", arraysize="*", xtype="adql:REGION"),
    Column("access_url", "char", arraysize="*"),
)
"""Public columns of a small table."""


def make_store_rows(*places: float | None) -> pa.RecordBatch:
    """Make rows of `STORE_COLUMNS`.

    Parameters
    ----------
    *places
        Longitude of each row; `None` for a row without a region.

    Returns
    -------
    rows : `pyarrow.RecordBatch`
        With regions of all kinds.
    """
    cells: list[dict[str, Any]] = [
        {
            "obs_id": f"o{number}",
            "s_ra": place,
            "s_dec": None if place is None else 10.0,
            "lsst_visit": number,
            "flags": [number, 2],
            "s_region": None if place is None else f"at {place}",
            "access_url": f"https://example.org/{uuid.UUID(int=number)}",
            "_repo": "here",
            "_id": uuid.UUID(int=number).bytes,
            "_region": None if place is None else _region(number, place).encode(),
            "_print": number * 7 - 3,
        }
        for number, place in enumerate(places)
    ]
    fields = [*(pa.field(column.name, arrow_type(column)) for column in STORE_COLUMNS), *HIDDEN_SCHEMA]
    return pa.RecordBatch.from_pylist(cells, pa.schema(fields))


def write_store(location: OwnLocation, *places: float | None) -> None:
    """Write a small store.

    Parameters
    ----------
    location
        Where it will be.
    *places
        As for `make_store_rows`.
    """
    with open_writer(location, columns=STORE_COLUMNS, properties={"label": "here"}) as writer:
        writer.write(make_store_rows(*places))


def update_store(
    location: OwnLocation, rows: pa.RecordBatch, *, columns: Sequence[Column] = STORE_COLUMNS
) -> Changes:
    """Bring a small store up to date.

    Parameters
    ----------
    location
        Where it is.
    rows
        All rows that it is to have.
    columns
        Its public columns.

    Returns
    -------
    changes : `~lsst.dax.vo.store.Changes`
        What was done.
    """
    with open_updater(location, columns=columns, properties={"label": "here"}) as updater:
        for start in range(0, rows.num_rows, 25):
            batch = rows.slice(start, 25)
            fresh = updater.find_fresh(b"".join(batch["_id"].to_pylist()), batch["_print"])
            updater.write(batch.filter(pa.array(fresh)))
    return updater.changes


def rows_by_id(rows: pa.RecordBatch) -> list[dict[str, Any]]:
    """Return rows as a store gives them back.

    Parameters
    ----------
    rows
        Rows of a small store.

    Returns
    -------
    cells : `list` [`dict`]
        In the order of ``obs_id``.
    """
    return sorted(rows.to_pylist(), key=lambda row: str(row["obs_id"]))


def _region(number: int, place: float) -> Region:
    # Wider than half of the sky, and nothing at all, are regions too.
    center = UnitVector3d(LonLat.fromDegrees(place, 10.0))
    corners = [(place - 0.1, 9.9), (place + 0.1, 9.9), (place + 0.1, 10.1), (place - 0.1, 10.1)]
    circle = Circle(center, Angle.fromDegrees(0.1))
    kinds: list[Region] = [
        circle,
        ConvexPolygon([UnitVector3d(LonLat.fromDegrees(*corner)) for corner in corners]),
        Box.fromDegrees((place - 0.1) % 360, 9.9, (place + 0.1) % 360, 10.1),
        Ellipse(center, Angle.fromDegrees(0.2), Angle.fromDegrees(0.1), Angle(1.0)),
        UnionRegion(circle, Circle(UnitVector3d.Z(), Angle.fromDegrees(1.0))),
        Circle(center, Angle.fromDegrees(120.0)),
        Circle.empty(),
    ]
    return kinds[number % len(kinds)]
