"""Random geometry in ADQL: both engines say what sphgeom says of each row."""

import contextlib
import math
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsst.sphgeom import Angle, Box, Ellipse, LonLat, Region, UnionRegion, UnitVector3d

from lsst.dax.vo.config import Limits
from lsst.dax.vo.dali import Column
from lsst.dax.vo.query import Engine, open_engine, plan_query
from lsst.dax.vo.query.geometry._exact import decide
from lsst.dax.vo.query.geometry._geometry import (
    box_region,
    circle_region,
    encode_point,
    encode_region,
    polygon_region,
)
from lsst.dax.vo.store import ParquetLocation, StoreLocation, open_store, open_writer, parse_store
from lsst.dax.vo.testing import NoServerError, running_postgres

type Dice = np.random.Generator
type Truth = bool | None

COLUMNS = (
    Column("obs_id", "char", arraysize="*"),
    Column("s_ra", "double", unit="deg"),
    Column("s_dec", "double", unit="deg"),
    Column("s_region", "char", arraysize="*", xtype="adql:REGION"),
)
# All around these, so that shapes meet; near poles, longitude 0 and elsewhere.
PLACES = [(0.0, 0.0), (0.0, 90.0), (123.0, -89.5), (359.99, -30.0), (180.0, 45.0)]
SIZES = [0.003, 0.2, 3.0, 40.0]
# What databases and sphgeom compute of a distance differs by less.
_NEAR_DEG = 1e-9


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    name: str
    ra: float | None
    dec: float | None
    region: Region | None


@dataclass(frozen=True)
class Shape:
    """A geometry in ADQL, and what it is for a row; nothing where it is NULL."""

    text: str
    kind: str
    of: Callable[[Row], bytes | None]


def _place(dice: Dice, place: tuple[float, float], size: float) -> tuple[float, float]:
    center = UnitVector3d(LonLat.fromDegrees(*place))
    away = Angle.fromDegrees(min(float(dice.exponential(0.8)) * size, 170.0))
    moved = center.rotatedAround(UnitVector3d.orthogonalTo(center), away)
    found = LonLat(moved.rotatedAround(center, Angle(float(dice.uniform(0, 6.28)))))
    return found.getLon().asDegrees() % 360.0, found.getLat().asDegrees()


def _corners(
    dice: Dice, place: tuple[float, float], size: float, count: int, *, concave: bool
) -> list[float]:
    center = UnitVector3d(LonLat.fromDegrees(*place))
    side = UnitVector3d.orthogonalTo(center)
    numbers = []
    start = float(dice.uniform(0, 6.28))
    for corner in range(count):
        reach = size * (0.35 if concave and corner % 2 else 1.0) * float(dice.uniform(0.9, 1.1))
        moved = center.rotatedAround(side, Angle.fromDegrees(min(reach, 80.0)))
        found = LonLat(moved.rotatedAround(center, Angle(start + corner * 2 * math.pi / count)))
        numbers += [found.getLon().asDegrees() % 360.0, found.getLat().asDegrees()]
    return numbers


def _region(dice: Dice, place: tuple[float, float], size: float) -> Region | None:
    ra, dec = _place(dice, place, size)
    match int(dice.integers(8)):
        case 0:
            return None
        case 1 | 2:
            return circle_region(ra, dec, min(size * float(dice.uniform(0.1, 1.5)), 180.0))
        case 3:
            return polygon_region(_corners(dice, (ra, dec), size, 6, concave=True))
        case 4:
            return Ellipse(
                UnitVector3d(LonLat.fromDegrees(ra, dec)),
                Angle.fromDegrees(size),
                Angle.fromDegrees(size / 3),
                Angle(float(dice.uniform(0, 3))),
            )
        case 5:
            width = min(size / max(math.cos(math.radians(dec)), 0.05), 179.0)
            low, high = max(dec - size, -90.0), min(dec + size, 90.0)
            return Box.fromDegrees((ra - width) % 360.0, low, (ra + width) % 360.0, high)
    return polygon_region(_corners(dice, (ra, dec), size, int(dice.integers(3, 7)), concave=False))


def _rows() -> list[Row]:
    dice = np.random.default_rng(11)
    rows = []
    for number in range(100):
        place, size = PLACES[number % len(PLACES)], SIZES[number // len(PLACES) % len(SIZES)]
        ra, dec = _place(dice, place, size)
        known = number % 13 > 0
        rows.append(
            Row(f"o{number:03}", ra if known else None, dec if known else None, _region(dice, place, size))
        )
    return rows


ROWS = _rows()


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Engine]]:
    """Engines on stores of the same rows: DuckDB on files of both kinds, PostgreSQL where installed."""
    with contextlib.ExitStack() as stack:
        folder = tmp_path_factory.mktemp("geometry")
        locations = [StoreLocation(folder / "store"), ParquetLocation(folder / "files")]
        with contextlib.suppress(NoServerError):
            server = stack.enter_context(running_postgres())
            locations.append(parse_store(stack.enter_context(server.database())))
        opened = []
        for location in locations:
            with open_writer(location, columns=COLUMNS, properties={}) as writer:
                cells = [
                    {
                        "obs_id": row.name,
                        "s_ra": row.ra,
                        "s_dec": row.dec,
                        "s_region": None if row.region is None else "a region",
                        "_repo": "a",
                        "_id": uuid.UUID(int=number).bytes,
                        "_region": None if row.region is None else row.region.encode(),
                        "_print": 0,
                    }
                    for number, row in enumerate(ROWS)
                ]
                writer.write(pa.RecordBatch.from_pylist(cells, writer.schema))
            opened.append(
                stack.enter_context(contextlib.closing(open_engine([open_store(location)], limits=Limits())))
            )
        yield opened


def _ask(engine: Engine, query: str) -> list[tuple[str, ...]]:
    batches = engine.run(plan_query(query, engine.catalog), maxrec=None).batches
    return sorted(tuple(row.values()) for batch in batches for row in batch.to_pylist())


def _made(dice: Dice) -> Shape:
    place, size = PLACES[int(dice.integers(len(PLACES)))], SIZES[int(dice.integers(len(SIZES)))]
    ra, dec = _place(dice, place, size)
    match int(dice.integers(9)):
        case 0:
            data = encode_point(ra, dec)
            return Shape(f"POINT('ICRS', {ra!r}, {dec!r})", "point", lambda _: data)
        case 1 | 2:
            radius = min(size * float(dice.uniform(0.2, 3)), 180.0)
            encoding = encode_region(circle_region(ra, dec, radius))
            return Shape(f"CIRCLE({ra!r}, {dec!r}, {radius!r})", "circle", lambda _: encoding)
        case 3:
            width, height = (min(size * float(dice.uniform(0.5, 2)), 170.0) for _ in range(2))
            box = encode_region(box_region(ra, dec, width, height))
            return Shape(f"BOX({ra!r}, {dec!r}, {width!r}, {height!r})", "box", lambda _: box)
        case 4 | 5:
            numbers = _corners(
                dice, (ra, dec), size * 1.5, int(dice.integers(3, 9)), concave=dice.random() < 0.6
            )
            polygon = encode_region(polygon_region(numbers))
            return Shape(f"POLYGON({', '.join(map(repr, numbers))})", "polygon", lambda _: polygon)
        case 6:
            parts = [(ra, dec, size), (*_place(dice, place, size), size / 2)]
            union = encode_region(UnionRegion(*[circle_region(*part) for part in parts]))
            text = " ".join(f"CIRCLE {a!r} {b!r} {r!r}" for a, b, r in parts)
            return Shape(f"REGION('UNION ICRS ({text})')", "region", lambda _: union)
    return Shape("s_region", "region", lambda row: None if row.region is None else row.region.encode())


def _of_row(dice: Dice) -> Shape:
    """Return a shape whose numbers are columns, or another one."""
    size = SIZES[int(dice.integers(len(SIZES)))]
    # Less than one, so that latitudes stay on the sky.
    factor = 1.0 - float(dice.uniform(0, 1)) * size / 100
    match int(dice.integers(4)):
        case 0:
            return Shape(
                f"POINT(s_ra, s_dec * {factor!r})",
                "point",
                lambda row: (
                    None if row.ra is None or row.dec is None else encode_point(row.ra, row.dec * factor)
                ),
            )
        case 1:
            return Shape(
                f"CIRCLE(s_ra, s_dec, {size!r})",
                "circle",
                lambda row: (
                    None
                    if row.ra is None or row.dec is None
                    else encode_region(circle_region(row.ra, row.dec, size))
                ),
            )
    return _made(dice)


def _relate(name: str, first: Shape, second: Shape, row: Row, other: Row) -> Truth | str:
    a, b = first.of(row), second.of(other)
    if a is None or b is None:
        return None
    if first.kind == "point" or second.kind == "point":
        if name == "INTERSECTS" and first.kind != "point":
            a, b = b, a
        if {first.kind, second.kind} == {"point", "circle"} and b[:1] == b"c":
            center, angle = Region.decode(b).getCenter(), Region.decode(b).getOpeningAngle()
            ra, dec = np.frombuffer(a[1:], "<f8").tolist()
            away = UnitVector3d(LonLat.fromDegrees(ra, dec)) - center
            distance = math.degrees(2 * math.asin(min(away.getNorm() / 2, 1.0)))
            # To a database that is a distance, which has no error but rounding.
            return "either" if abs(distance - angle.asDegrees()) < _NEAR_DEG else distance < angle.asDegrees()
    return decide("contains" if name == "CONTAINS" else "intersects", a, b)


@dataclass(frozen=True)
class Condition:
    """A condition in ADQL, and what it says of a row."""

    text: str
    of: Callable[[Row], Truth | str]


def _predicate(dice: Dice) -> Condition:
    name = "CONTAINS" if dice.random() < 0.5 else "INTERSECTS"
    first, second = (_of_row(dice), _made(dice)) if dice.random() < 0.5 else (_made(dice), _of_row(dice))
    call = f"{name}({first.text}, {second.text})"
    forms = [("{} = 1", True), ("1 = {}", True), ("{} = 0", False), ("0 = {}", False), ("{} <> 0", True)]
    form, wanted = forms[int(dice.integers(len(forms)))]

    def of(row: Row) -> Truth | str:
        found = _relate(name, first, second, row, row)
        return found if found is None or found == "either" else found is wanted

    return Condition(form.format(call), of)


def _distance(dice: Dice) -> Condition:
    place, size = PLACES[int(dice.integers(len(PLACES)))], SIZES[int(dice.integers(len(SIZES)))]
    point = _place(dice, place, size)
    text = f"DISTANCE(POINT(s_ra, s_dec), POINT({point[0]!r}, {point[1]!r})) < {size!r}"

    def of(row: Row) -> Truth | str:
        if row.ra is None or row.dec is None:
            return None
        away = UnitVector3d(LonLat.fromDegrees(row.ra, row.dec)) - UnitVector3d(LonLat.fromDegrees(*point))
        found = math.degrees(2 * math.asin(min(away.getNorm() / 2, 1.0)))
        return "either" if abs(found - size) < _NEAR_DEG else found < size

    return Condition(text, of)


def _condition(dice: Dice, depth: int = 0) -> Condition:
    kind = int(dice.integers(6)) if depth < 2 else 5
    if kind == 0:
        inner = _condition(dice, depth + 1)

        def deny(row: Row) -> Truth | str:
            found = inner.of(row)
            return found if found is None or isinstance(found, str) else not found

        return Condition(f"NOT ({inner.text})", deny)
    if kind in (1, 2):
        first, second = _condition(dice, depth + 1), _condition(dice, depth + 1)
        decisive = kind == 1

        def join(row: Row) -> Truth | str:
            values = (first.of(row), second.of(row))
            if decisive in values:
                return decisive
            if "either" in values:
                return "either"
            return None if None in values else not decisive

        return Condition(f"({first.text} {'OR' if decisive else 'AND'} {second.text})", join)
    return _distance(dice) if kind == 3 else _predicate(dice)


@given(st.integers(0, 2**32))
def test_where(engines: list[Engine], seed: int) -> None:
    condition = _condition(np.random.default_rng(seed))
    query = f"SELECT obs_id FROM ivoa.ObsCore WHERE {condition.text}"
    values = {row.name: condition.of(row) for row in ROWS}
    wanted = {name for name, value in values.items() if value is True}
    open_ = {name for name, value in values.items() if value == "either"}
    for engine in engines:
        found = {name for (name,) in _ask(engine, query)}
        assert found - open_ == wanted, query


@given(st.integers(0, 2**32))
def test_joins(engines: list[Engine], seed: int) -> None:
    dice = np.random.default_rng(seed)
    name = "CONTAINS" if dice.random() < 0.5 else "INTERSECTS"
    region = Shape("{}.s_region", "region", lambda row: None if row.region is None else row.region.encode())
    point = Shape(
        "POINT({0}.s_ra, {0}.s_dec)",
        "point",
        lambda row: None if row.ra is None or row.dec is None else encode_point(row.ra, row.dec),
    )
    first = point if dice.random() < 0.4 else region
    wanted = int(dice.integers(2))
    some, others = ([ROWS[i] for i in dice.choice(len(ROWS), size, replace=False)] for size in (8, 12))
    names = ["', '".join(row.name for row in rows) for rows in (some, others)]
    test = f"{name}({first.text.format('a')}, {region.text.format('b')}) = {wanted}"
    query = (
        "SELECT a.obs_id AS x, b.obs_id AS y FROM ivoa.ObsCore AS a JOIN ivoa.ObsCore AS b "
        f"ON {test} WHERE a.obs_id IN ('{names[0]}') AND b.obs_id IN ('{names[1]}')"
    )
    pairs = [
        (a.name, b.name) for a in some for b in others if _relate(name, first, region, a, b) is bool(wanted)
    ]
    for engine in engines:
        assert _ask(engine, query) == sorted(pairs), query
