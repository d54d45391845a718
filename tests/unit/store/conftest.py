"""Rows of a small table, with a region or without."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from lsst.sphgeom import Angle, Circle, LonLat, UnitVector3d

from lsst.dax.vo.dali import Column
from lsst.dax.vo.store import HIDDEN_SCHEMA, StoreLocation, StoreWriter

COLUMNS = (
    Column("obs_id", "char", "Observation", arraysize="*", utype="obscore:DataID.observationID", std=True),
    Column("s_ra", "double", "Longitude", unit="deg", ref="icrs", indexed=True),
    Column("lsst_visit", "long"),
    Column("flags", "int", arraysize="*"),
)


@pytest.fixture(scope="session")
def columns() -> tuple[Column, ...]:
    """Return the public columns."""
    return COLUMNS


@pytest.fixture(scope="session")
def make_rows() -> Callable[..., pa.RecordBatch]:
    """Make rows at some longitudes; `None` is a row without a region."""

    def make(*places: float | None) -> pa.RecordBatch:
        cells: list[dict[str, Any]] = [
            {
                "obs_id": f"o{number}",
                "s_ra": place,
                "lsst_visit": number,
                "flags": [number, 2],
                "_repo": "here",
                "_id": uuid.UUID(int=number).bytes,
                "_region": None if place is None else _circle(place).encode(),
            }
            for number, place in enumerate(places)
        ]
        fields = [
            pa.field("obs_id", pa.string()),
            pa.field("s_ra", pa.float64()),
            pa.field("lsst_visit", pa.int64()),
            pa.field("flags", pa.list_(pa.int32())),
            *HIDDEN_SCHEMA,
        ]
        return pa.RecordBatch.from_pylist(cells, pa.schema(fields))

    return make


@pytest.fixture(scope="session")
def write(columns: tuple[Column, ...], make_rows: Callable[..., pa.RecordBatch]) -> Callable[..., None]:
    """Write a store with rows at some longitudes."""

    def run(path: Path, *places: float | None) -> None:
        with StoreWriter(StoreLocation(path), columns, {"label": "here"}) as writer:
            writer.write(make_rows(*places))

    return run


def _circle(ra_deg: float) -> Circle:
    return Circle(UnitVector3d(LonLat.fromDegrees(ra_deg, 10.0)), Angle.fromDegrees(0.1))
