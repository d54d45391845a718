"""Regions as texts (STC-S), and constants under short names."""

import math

import pyarrow as pa
import pytest
from lsst.sphgeom import Box, Circle, ConvexPolygon, Ellipse, LonLat, Region, UnitVector3d

from lsst.dax.vo.errors import TransientError, UsageError
from lsst.dax.vo.query.geometry import _large
from lsst.dax.vo.query.geometry._geometry import (
    box_region,
    circle_region,
    encode_point,
    encode_region,
    polygon_region,
)
from lsst.dax.vo.query.geometry._kernels import area, centroid, contains, intersects
from lsst.dax.vo.query.geometry._large import lengthen, shorten
from lsst.dax.vo.query.geometry._regions import encode_texts, parse_region
from lsst.dax.vo.query.lowering._constants import fold_region


def _vector(ra_deg: float, dec_deg: float) -> UnitVector3d:
    return UnitVector3d(LonLat.fromDegrees(ra_deg, dec_deg))


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("CIRCLE ICRS 10 -20 1.5", circle_region(10, -20, 1.5)),
        ("circle 370 -20 15e-1", circle_region(370, -20, 1.5)),
        ("Circle ICRS GEOCENTER SPHERICAL2 10 -20 +1.5", circle_region(10, -20, 1.5)),
        ("  Circle\tUNKNOWNFRAME\nBARYCENTER 10 -20. 1.5 ", circle_region(10, -20, 1.5)),
        ("BOX ICRS 10 20 3 2", box_region(10, 20, 3, 2)),
        ("POLYGON ICRS 1 2 3 2 2 4", polygon_region([1, 2, 3, 2, 2, 4])),
        ("PositionInterval ICRS 350 -5 10 5", Box.fromDegrees(350, -5, 10, 5)),
        ("PositionInterval ICRS 0 -5 360 5", Box.fromDegrees(0, -5, 360, 5)),
        ("AllSky ICRS", Circle.full()),
    ],
)
def test_shapes(text: str, region: Region) -> None:
    assert parse_region(text) == encode_region(region)


def test_position_is_a_point() -> None:
    assert parse_region("POSITION ICRS 10 20") == encode_point(10, 20)


def test_ellipse_is_turned_from_north_to_east() -> None:
    ellipse = Region.decode(parse_region("ELLIPSE ICRS 10 0 5 1 90"))
    assert isinstance(ellipse, Ellipse)
    assert ellipse.contains(_vector(14.9, 0))
    assert not ellipse.contains(_vector(10, 1.1))


COMPOUNDS = [
    ("UNION ICRS (CIRCLE 10 0 1 CIRCLE 12 0 1)", [(10, 0.5), (12, 0.5)], [(11, 0.5), (190, 0)]),
    ("Union (Circle ICRS 10 0 1 Box ICRS 20 0 2 2)", [(10, 0.5), (20.9, 0.9)], [(15, 0)]),
    ("INTERSECTION ICRS (CIRCLE 10 0 1 CIRCLE 11 0 1)", [(10.5, 0.5)], [(9.5, 0), (11.5, 0)]),
    ("NOT ICRS (CIRCLE 10 0 1)", [(10, 1.1), (190, 0)], [(10, 0.9)]),
    ("NOT (POLYGON 0 0 10 0 10 10 0 10)", [(11, 5), (5, -1), (185, -5)], [(5, 5), (1, 1)]),
    ("NOT (UNION (CIRCLE 10 0 1 CIRCLE 12 0 1))", [(11, 0.5), (0, 0)], [(10, 0), (12, 0)]),
    ("INTERSECTION (CIRCLE 10 0 3 NOT (CIRCLE 10 0 1))", [(12, 0), (10, -2)], [(10, 0.5), (14, 0)]),
    ("UNION (INTERSECTION (CIRCLE 1 0 2 CIRCLE 2 0 2) NOT (CIRCLE 0 0 90))", [(1.5, 1), (180, 0)], [(30, 0)]),
]


@pytest.mark.parametrize(("text", "inside", "outside"), COMPOUNDS)
def test_compounds(text: str, inside: list[tuple[float, float]], outside: list[tuple[float, float]]) -> None:
    region = parse_region(text)
    places = [*inside, *outside]
    column = pa.array([encode_point(*place) for place in places], pa.binary())
    constant = pa.array([region] * len(places), pa.binary())
    expected = [True] * len(inside) + [False] * len(outside)
    assert contains(column, constant).to_pylist() == expected
    around = pa.array([encode_region(circle_region(*place, 0.01)) for place in places], pa.binary())
    assert contains(around, constant).to_pylist() == expected
    assert intersects(constant, around).to_pylist() == expected


def test_rest_of_a_region_has_the_rest_of_the_sky() -> None:
    for text in ("CIRCLE 10 20 30", "POLYGON 0 0 40 0 30 50", "UNION (CIRCLE 1 0 10 CIRCLE 9 0 10)"):
        values = pa.array([parse_region(text), parse_region(f"NOT ({text})")], pa.binary())
        assert sum(area(values).to_pylist()) == pytest.approx(4 * math.pi * math.degrees(1) ** 2, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it ends too early"),
        ("CIRCLE", "CIRCLE has 0 numbers; give 3"),
        ("CIRCLE ICRS 1 2", "CIRCLE has 2 numbers; give 3"),
        ("CIRCLE ICRS 1 2 3 4", "CIRCLE has 4 numbers; give 3"),
        ("CIRCLE FK5 1 2 3", "the frame FK5 is not served; give positions in ICRS"),
        ("CIRCLE ICRS GALACTIC 1 2 3", "the frame GALACTIC is not served"),
        ("CIRCLE ICRS 1 2 3 unit deg", "'UNIT' follows the region"),
        ("SQUARE ICRS 1 2 3", "'SQUARE' is no shape; give one of POSITION, CIRCLE"),
        ("UNION ICRS CIRCLE 1 2 3", "stand in parentheses"),
        ("UNION ICRS (CIRCLE 1 2 3)", "UNION needs two or more regions"),
        ("UNION ICRS (CIRCLE 1 2 3 CIRCLE 2 3 4", "it ends too early"),
        ("UNION ICRS (POSITION 1 2 CIRCLE 2 3 4)", "POSITION is a point and cannot be a part of a region"),
        ("NOT (CIRCLE 1 2 3 CIRCLE 1 2 3)", "NOT needs one region"),
        ("NOT (POSITIONINTERVAL 1 2 3 4)", "NOT of a POSITIONINTERVAL is not supported"),
        ("POLYGON ICRS 1 2 3 4", "POLYGON has 4 numbers; give 6 or more"),
        ("CIRCLE ICRS 1 2 3; DROP", "'; DROP' is no word, number or parenthesis"),
        ("CIRCLE ICRS 1 2 \u0663", "is no word, number or parenthesis"),
        ("NOT (" * 30 + "CIRCLE 1 2 3" + ")" * 30, "more than 20 levels"),
    ],
)
def test_other_texts_are_refused(text: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        fold_region(text)
    assert reason in str(caught.value)
    assert "Regions are such as 'CIRCLE ICRS 10 20 1'" in str(caught.value)
    assert encode_texts(pa.array([text, None])).to_pylist() == [None, None]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("CIRCLE ICRS 1 91 3", "is not on the sky"),
        ("CIRCLE ICRS 1 2 -3", "give 0 to 180 degrees"),
        ("POLYGON ICRS 0 0 2 2 2 0 0 1", "sides that cross or touch"),
        ("ELLIPSE ICRS 1 2 95 3 0", "less than 90 degrees"),
        ("POSITIONINTERVAL ICRS 1 5 2 4", "give the lower one first"),
    ],
)
def test_shapes_that_are_none_are_refused(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        fold_region(text)


def test_areas_and_centroids_of_known_shapes() -> None:
    octant = ConvexPolygon([UnitVector3d.X(), UnitVector3d.Y(), UnitVector3d.Z()])
    sky = 4 * math.pi * math.degrees(1) ** 2
    shapes: list[tuple[bytes, float, list[float] | None]] = [
        (encode_region(octant), sky / 8, [45.0, math.degrees(math.atan(math.sqrt(0.5)))]),
        (
            encode_region(Box.fromDegrees(350, -10, 10, 10)),
            20 * math.degrees(2 * math.sin(math.radians(10))),
            [0, 0],
        ),
        (encode_region(Box.fromDegrees(0, 30, 360, 90)), sky / 4, [0, 90]),
        (encode_region(Box.fromDegrees(0, -10, 360, 10)), sky * math.sin(math.radians(10)), None),
        (encode_region(Circle.full()), sky, None),
        (encode_region(Circle.empty()), 0.0, None),
        (encode_region(circle_region(20, 30, 0)), 0.0, [20, 30]),
        (encode_point(20, 30), 0.0, [20, 30]),
        (parse_region("UNION (CIRCLE 10 0 90 CIRCLE 190 0 90)"), sky, None),
        (parse_region("UNION (CIRCLE 10 0 1 CIRCLE 20 0 1)"), 2 * math.pi * 0.999974616, [15, 0]),
        (parse_region("INTERSECTION (CIRCLE 10 0 1 CIRCLE 20 0 1)"), 0.0, None),
        (parse_region("INTERSECTION (CIRCLE 10 0 5 CIRCLE 10 0 1)"), math.pi * 0.999974616, [10, 0]),
    ]
    for value, size, place in shapes:
        column = pa.array([value], pa.binary())
        assert area(column).to_pylist() == [pytest.approx(size, rel=1e-8, abs=1e-15)]
        (found,) = centroid(column).to_pylist()
        if place is None or found is None:
            assert found is place
        else:
            away = _vector(*found) - _vector(*place)
            assert away.getNorm() < 1e-12


def test_large_constants_have_short_names() -> None:
    small = encode_region(circle_region(1, 2, 3))
    numbers = [n for i in range(200) for n in (10 + math.cos(i / 31.9), math.sin(i / 31.9))]
    large = encode_region(polygon_region(numbers))
    assert shorten(small) == small
    assert len(shorten(large)) < 40
    assert lengthen(shorten(large)) == large
    points = pa.array([encode_point(10, 0), encode_point(10, 1.5)], pa.binary())
    names = pa.array([shorten(large)] * 2, pa.binary())
    assert contains(points, names).to_pylist() == [True, False]
    assert intersects(names, points).to_pylist() == [True, False]
    # Beside others in one column.
    mixed = pa.array([shorten(large), small], pa.binary())
    assert contains(points, mixed).to_pylist() == [True, False]
    assert area(names).to_pylist() == area(pa.array([large] * 2, pa.binary())).to_pylist()


def test_constant_that_was_forgotten_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_large, "_MOST_BYTES", 1500)
    names = [shorten(bytes([65 + i]) * 1000) for i in range(2)]
    assert lengthen(names[1]) == b"B" * 1000
    with pytest.raises(TransientError, match="has been forgotten; send the query again"):
        lengthen(names[0])
