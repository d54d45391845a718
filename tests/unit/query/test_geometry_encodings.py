"""Geometries as bytes, one by one and as columns."""

import math

import pyarrow as pa
import pytest
from lsst.sphgeom import Angle, Circle, ConvexPolygon, LonLat, Region, UnionRegion, UnitVector3d

from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.query.geometry._geometry import (
    box_of,
    box_region,
    circle_region,
    decode,
    encode_circles,
    encode_point,
    encode_points,
    encode_region,
    encode_shapes,
    polygon_region,
)
from lsst.dax.vo.query.geometry._kernels import contains


def _vector(ra_deg: float, dec_deg: float) -> UnitVector3d:
    return UnitVector3d(LonLat.fromDegrees(ra_deg, dec_deg))


@pytest.mark.parametrize("point", [(0.0, 0.0), (359.999999999, -90.0), (123.4567890123456, 1e-300)])
def test_point_comes_back(point: tuple[float, float]) -> None:
    assert decode(encode_point(*point)) == point


def test_longitude_is_folded() -> None:
    assert encode_point(-10.0, 5.0) == encode_point(350.0, 5.0) == encode_point(710.0, 5.0)


@pytest.mark.parametrize("point", [(0.0, 90.1), (math.nan, 0.0), (math.inf, 0.0), (0.0, math.nan)])
def test_no_point(point: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="is not on the sky; give longitude and latitude"):
        encode_point(*point)


def test_columns_of_points_and_circles_are_those_of_single_ones() -> None:
    ra = [10.0, -1.0, None, 400.0, math.nan, 0.0]
    dec = [-90.0, 5.5, 1.0, 91.0, 0.0, 0.0]
    radius = [0.0, 0.25, 1.0, 1.0, 1.0, 180.0]
    columns = [pa.array(values, pa.float64()) for values in (ra, dec, radius)]
    points = encode_points(*columns[:2]).to_pylist()
    assert points[:2] == [encode_point(10.0, -90.0), encode_point(-1.0, 5.5)]
    assert points[2:5] == [None, None, None]
    circles = encode_circles(*columns).to_pylist()
    assert circles[2:5] == [None, None, None]
    for place in (0, 1, 5):
        encoding = circles[place]
        assert encoding is not None
        found, exact = Region.decode(encoding), circle_region(ra[place] or 0.0, dec[place], radius[place])
        assert isinstance(found, Circle)
        assert found.getOpeningAngle() == exact.getOpeningAngle()
        assert found.getSquaredChordLength() == pytest.approx(exact.getSquaredChordLength(), rel=1e-15)
        assert (found.getCenter() - exact.getCenter()).getNorm() < 1e-15
    assert encode_circles(*columns[:2], pa.array([-1.0] * 6)).null_count == 6


def test_box_has_great_circles_around_its_cross() -> None:
    region = box_region(30.0, 60.0, 20.0, 10.0)
    assert isinstance(region, ConvexPolygon)
    # The arms end on the sides, which run on along great circles.
    for ra, dec, inside in (
        (30.0, 64.99, True),
        (30.0, 65.01, False),
        (30.0, 55.01, True),
        (30.0, 54.99, False),
    ):
        assert region.contains(_vector(ra, dec)) is inside
    center = _vector(30.0, 60.0)
    north = UnitVector3d(*(-0.5 * math.sqrt(3) * c for c in (0.5 * math.sqrt(3), 0.5)), 0.5)
    for angle_deg, inside in ((9.99, True), (10.01, False), (-9.99, True), (-10.01, False)):
        assert region.contains(center.rotatedAround(north, Angle.fromDegrees(angle_deg))) is inside


@pytest.mark.parametrize("sides", [(0.0, 1.0), (1.0, -1.0), (180.0, 1.0), (math.nan, 1.0)])
def test_no_box(sides: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="give more than 0 and less than 180 degrees"):
        box_region(0.0, 0.0, *sides)


def test_polygon_closes_itself_and_may_be_concave() -> None:
    square = [0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]
    for numbers in (square, [*square, 360.0, 0.0]):
        region = polygon_region(numbers)
        assert isinstance(region, ConvexPolygon)
        assert {(v.x(), v.y()) for v in region.getVertices()} == {
            (v.x(), v.y()) for v in (_vector(0, 0), _vector(1, 0), _vector(1, 1), _vector(0, 1))
        }
    arrow = polygon_region([0.0, 0.0, 2.0, 0.0, 0.5, 0.5, 0.0, 2.0])
    assert isinstance(arrow, UnionRegion)
    for numbers in ([0.0, 0.0, 1.0, 0.0], [*square, 3.0], [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]):
        with pytest.raises(UsageError, match="give three or more pairs"):
            polygon_region(numbers)


def test_columns_of_shapes_leave_out_what_is_none() -> None:
    numbers = pa.array([[0.0, 0.0, 1.0, 0.0, 1.0, 1.0], None, [0.0, 0.0, None, 0.0, 1.0, 1.0], [1.0]])
    found = encode_shapes(polygon_region, numbers).to_pylist()
    assert found[0] == encode_region(polygon_region([0.0, 0.0, 1.0, 0.0, 1.0, 1.0]))
    assert found[1:] == [None, None, None]
    sides = pa.array([1.0, None, 200.0])
    found = encode_shapes(box_region, pa.array([5.0] * 3), pa.array([6.0] * 3), sides, sides).to_pylist()
    assert found == [encode_region(box_region(5.0, 6.0, 1.0, 1.0)), None, None]


def test_box_of_nothing_overlaps_nothing() -> None:
    box = box_of(encode_region(Circle.empty()))
    assert box[0] > 1 > -1 > box[3]


def test_union_lies_in_itself_as_a_constant_and_in_a_column() -> None:
    union = UnionRegion(circle_region(0.0, 0.0, 1.0), circle_region(10.0, 0.0, 1.0))
    part = encode_region(circle_region(10.0, 0.0, 0.5))
    whole = encode_region(union)
    column = pa.array([whole, part], pa.binary())
    assert contains(pa.array([whole, whole]), column).to_pylist() == [True, False]
    assert contains(column, pa.array([whole, whole])).to_pylist() == [True, True]
    assert contains(pa.array([whole, part]), pa.array([part, whole])).to_pylist() == [False, True]
