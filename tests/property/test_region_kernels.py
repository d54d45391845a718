"""Columns of geometries: the answers are those of sphgeom where it is exact, and boxes rule nothing out.

Of what it is not, test_region_exact.py tells.
"""

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsst.sphgeom import (
    CONTAINS,
    DISJOINT,
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

from lsst.dax.vo.query.geometry._geometry import box_of, encode_point, encode_region
from lsst.dax.vo.query.geometry._kernels import contains, intersects
from lsst.dax.vo.store._bounds import bound_regions

type Geometry = tuple[float, float] | Region

# Around these, so that shapes meet: poles, longitude 0, an axis, elsewhere.
PLACES = st.sampled_from(
    [(0.0, 0.0), (0.0, 90.0), (123.0, -90.0), (359.99, -30.0), (55.7, -32.3), (180.0, 45.0)]
)
SIZES = st.sampled_from([1e-6, 0.003, 0.2, 3.0, 40.0])


def _move(ra_deg: float, dec_deg: float, distance_deg: float, angle_deg: float) -> UnitVector3d:
    place = UnitVector3d(LonLat.fromDegrees(ra_deg, dec_deg))
    moved = place.rotatedAround(UnitVector3d.orthogonalTo(place), Angle.fromDegrees(distance_deg))
    return moved.rotatedAround(place, Angle.fromDegrees(angle_deg))


@st.composite
def centers(draw: Callable, size: float) -> UnitVector3d:
    distance = draw(st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0]) | st.floats(0, 3))
    return _move(*draw(PLACES), min(distance * size, 179.0), draw(st.floats(0, 360)))


@st.composite
def points(draw: Callable) -> tuple[float, float]:
    place = LonLat(draw(centers(draw(SIZES))))
    return place.getLon().asDegrees() % 360.0, place.getLat().asDegrees()


@st.composite
def circles(draw: Callable) -> Region:
    size = draw(SIZES | st.just(100.0))
    radius = draw(st.sampled_from([0.0, 1.0, 1.8])) * size
    return Circle(draw(centers(size)), Angle.fromDegrees(min(radius, 180.0)))


@st.composite
def polygons(draw: Callable) -> Region:
    size = draw(SIZES)
    center = LonLat(draw(centers(size)))
    count = draw(st.integers(3, 7))
    turn = draw(st.floats(0, 360))
    at = center.getLon().asDegrees(), center.getLat().asDegrees()
    return ConvexPolygon([_move(*at, size, turn + 360.0 / count * i) for i in range(count)])


@st.composite
def tiles(draw: Callable) -> Region:
    """Polygons that share sides and corners."""
    x, y = draw(st.integers(-2, 2)), draw(st.integers(-2, 2))
    corners = [(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)]
    return ConvexPolygon([UnitVector3d(LonLat.fromDegrees(a * 0.5, b * 0.5)) for a, b in corners])


@st.composite
def boxes(draw: Callable) -> Region:
    ra, dec = draw(PLACES)
    size = draw(SIZES)
    low, high = max(dec - size, -90.0), min(dec + size, 90.0)
    return Box.fromDegrees((ra - size) % 360.0, low, (ra + size) % 360.0, high)


@st.composite
def ellipses(draw: Callable) -> Region:
    size = draw(SIZES)
    return Ellipse(draw(centers(size)), Angle.fromDegrees(size), Angle.fromDegrees(size / 2), Angle(1.0))


PLAIN = circles() | polygons() | tiles()
# sphgeom is exact for these; of a union inside of one, by the parts.
KNOWN = points() | PLAIN | st.builds(UnionRegion, PLAIN, PLAIN)
HOLDERS = points() | PLAIN
REGIONS = PLAIN | boxes() | ellipses() | st.builds(UnionRegion, PLAIN, PLAIN)
GEOMETRIES = points() | REGIONS


def _encode(geometry: Geometry) -> bytes:
    return encode_point(*geometry) if isinstance(geometry, tuple) else encode_region(geometry)


def _vector(point: tuple[float, float]) -> UnitVector3d:
    return UnitVector3d(LonLat.fromDegrees(*point))


def _is_inside(a: Geometry, b: Geometry) -> bool:
    if isinstance(b, tuple):
        return a == b
    if isinstance(a, tuple):
        return bool(b.contains(_vector(a)))
    if isinstance(a, UnionRegion):
        # By its parts: to sphgeom, not even a union itself would hold it.
        return all(_is_inside(a.cloneOperand(i), b) for i in range(a.nOperands()))
    return bool(b.relate(a) & CONTAINS)


def _meets(a: Geometry, b: Geometry) -> bool:
    if isinstance(a, tuple):
        return _is_inside(a, b)
    if isinstance(b, tuple):
        return _is_inside(b, a)
    return not a.relate(b) & DISJOINT


def _column(geometries: list[Geometry]) -> pa.Array:
    return pa.array([_encode(item) for item in geometries], pa.binary())


@given(st.lists(st.tuples(KNOWN, HOLDERS), min_size=1, max_size=12))
def test_column_with_column(pairs: list[tuple[Geometry, Geometry]]) -> None:
    a, b = (list(side) for side in zip(*pairs, strict=True))
    assert contains(_column(a), _column(b)).to_pylist() == [_is_inside(*pair) for pair in pairs]
    assert intersects(_column(a), _column(b)).to_pylist() == [_meets(*pair) for pair in pairs]
    assert intersects(_column(b), _column(a)).to_pylist() == [_meets(*pair) for pair in pairs]


@given(HOLDERS, st.lists(HOLDERS, min_size=2, max_size=12), st.integers(1, 3))
def test_constant_with_column(one: Geometry, some: list[Geometry], times: int) -> None:
    # Equal neighbours are asked about once.
    many = [item for item in some for _ in range(times)]
    column, constant = _column(many), _column([one] * len(many))
    assert contains(column, constant).to_pylist() == [_is_inside(item, one) for item in many]
    assert contains(constant, column).to_pylist() == [_is_inside(one, item) for item in many]
    assert intersects(column, constant).to_pylist() == [_meets(item, one) for item in many]
    assert intersects(constant, column).to_pylist() == [_meets(one, item) for item in many]


@given(st.lists(PLAIN, min_size=1, max_size=6), st.lists(KNOWN, min_size=2, max_size=8))
def test_constant_union_with_column(parts: list[Region], many: list[Geometry]) -> None:
    union = UnionRegion(*parts)
    column, constant = _column(many), _column([union] * len(many))
    meets = [any(_meets(item, part) for part in parts) for item in many]
    assert intersects(column, constant).to_pylist() == meets
    assert intersects(constant, column).to_pylist() == meets
    holds = [
        not isinstance(item, UnionRegion) and all(_is_inside(part, item) for part in parts) for item in many
    ]
    found = contains(constant, column).to_pylist()
    assert [
        answer for answer, item in zip(found, many, strict=True) if not isinstance(item, UnionRegion)
    ] == [answer for answer, item in zip(holds, many, strict=True) if not isinstance(item, UnionRegion)]


@given(GEOMETRIES, st.lists(points() | PLAIN, min_size=1, max_size=8))
def test_what_meets_has_boxes_that_overlap(one: Geometry, many: list[Geometry]) -> None:
    # sphgeom knows less of boxes and ellipses: there, "meets" may be "perhaps".
    sure = isinstance(one, tuple | Circle | ConvexPolygon)
    regions = [item for item in many if not isinstance(item, tuple)]
    bounds = bound_regions(pa.array([item.encode() for item in regions], pa.binary()))
    box = np.array(box_of(_encode(one)))
    for item, low, high in zip(regions, bounds.low, bounds.high, strict=True):
        if (sure and _meets(one, item)) or (isinstance(one, Region) and item.relate(one) & CONTAINS):
            assert np.all(low <= box[3:])
            assert np.all(high >= box[:3])


@given(REGIONS, st.floats(0, 360), st.floats(0, 1.2))
def test_box_holds_all_points_of_a_region(region: Region, turn: float, part: float) -> None:
    bounds = bound_regions(pa.array([region.encode(), None], pa.binary()))
    circle = region.getBoundingCircle()
    center = LonLat(circle.getCenter())
    radius = min(circle.getOpeningAngle().asDegrees() * part, 180.0)
    place = _move(center.getLon().asDegrees(), center.getLat().asDegrees(), radius, turn)
    if region.contains(place):
        vector = np.array([place.x(), place.y(), place.z()])
        assert np.all(bounds.low[0] <= vector)
        assert np.all(vector <= bounds.high[0])
    assert bounds.pixel[0] >= 0
    assert np.isnan(bounds.low[1]).all()
    assert bounds.pixel[1] == -1


@pytest.mark.parametrize("count", [1, 3, 5000])
def test_long_columns_are_cut_without_a_seam(count: int) -> None:
    random = np.random.default_rng(1)
    polygons_ = [
        ConvexPolygon([_move(10.0, 20.0, 0.5 + x, 120.0 * i) for i in range(3)])
        for x in random.uniform(0, 1, count)
    ]
    rim = ConvexPolygon([_move(10.0, 20.0, 1.0, 360.0 / 60 * i) for i in range(60)])
    found = contains(_column(list(polygons_)), _column([rim] * count))
    assert found.to_pylist() == [_is_inside(item, rim) for item in polygons_]


def test_empty_column_is_answered() -> None:
    assert intersects(_column([]), _column([])).to_pylist() == []


def test_huge_and_empty_circles_are_sphgeoms() -> None:
    whole, nothing = Circle.full(), Circle.empty()
    half = Circle(UnitVector3d.X(), Angle(math.pi / 2))
    most = Circle(UnitVector3d.Z(), Angle(3.0))
    items: list[Geometry] = [whole, nothing, half, most, (0.0, 0.0), (180.0, 0.0)]
    for one in items:
        column = _column([one] * len(items))
        assert contains(_column(items), column).to_pylist() == [_is_inside(item, one) for item in items]
        assert intersects(_column(items), column).to_pylist() == [_meets(item, one) for item in items]
