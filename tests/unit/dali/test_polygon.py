"""Polygons as regions of sphgeom."""

import tracemalloc

import numpy as np
import pytest
from lsst.sphgeom import ConvexPolygon, Region, UnionRegion

from lsst.dax.vo.dali import Polygon, parse_polygon, to_interior, to_region
from lsst.dax.vo.errors import UsageError

CONCAVE = Polygon((0, 2, 2, 1, 0), (0, 0, 2, 0.5, 2))


def contains(region: Region, points: list[tuple[float, float]]) -> list[bool]:
    ra, dec = np.radians(points).T
    return list(region.contains(np.ascontiguousarray(ra), np.ascontiguousarray(dec)))


@pytest.mark.parametrize("step", [1, -1], ids=["counterclockwise", "clockwise"])
@pytest.mark.parametrize(("ra", "dec"), [(0.5, 0.5), (359.5, 0.5), (10, 89.9), (10, -89.0)])
@pytest.mark.parametrize("size", [1e-7, 1e-3, 0.2])
def test_either_winding_is_the_smaller_side(step: int, ra: float, dec: float, size: float) -> None:
    dec = min(dec, 89.9 - size)
    wide = size / np.cos(np.radians(dec))
    corners = [
        (ra - wide, dec - size),
        (ra + wide, dec - size),
        (ra + wide, dec + size),
        (ra - wide, dec + size),
    ]
    ras, decs = zip(*corners[::step], strict=True)
    region = to_region(Polygon(tuple(r % 360 for r in ras), decs))
    assert isinstance(region, ConvexPolygon)
    assert contains(region, [(ra, dec), (ra + 180, -dec), (ra + 2 * wide, dec), (ra, dec - 2 * size)]) == [
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("start", range(5))
def test_concave(step: int, start: int) -> None:
    order = [(start + step * i) % 5 for i in range(5)]
    region = to_region(
        Polygon(tuple(CONCAVE.ra_deg[i] for i in order), tuple(CONCAVE.dec_deg[i] for i in order))
    )
    assert isinstance(region, UnionRegion)
    assert contains(region, [(1, 0.4), (1, 0.6), (0.1, 1.5), (1.9, 1.5), (1, 1.5), (3, 0), (1, -0.1)]) == [
        True,
        False,
        True,
        True,
        False,
        False,
        False,
    ]
    assert Region.decode(region.encode()).contains(0.01, 0.001)


def test_flat_corner_is_no_corner() -> None:
    region = to_region(Polygon((0, 1, 2, 2, 0), (0, 0, 0, 2, 2)))
    assert isinstance(region, ConvexPolygon)
    assert contains(region, [(1, 0.001), (1, 1.999), (1, -0.001)]) == [True, True, False]


def test_star_with_many_points() -> None:
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    radius = np.where(np.arange(200) % 2, 0.1, 0.04)
    dec = 80 + radius * np.sin(angle)
    ra = (radius * np.cos(angle) / np.cos(np.radians(dec))) % 360
    region = to_region(Polygon(tuple(ra), tuple(dec)))
    # Halfway out, points of the star are inside and gaps are not.
    middle_dec = 80 + 0.08 * np.sin(angle)
    middle = list(zip(0.08 * np.cos(angle) / np.cos(np.radians(middle_dec)), middle_dec, strict=True))
    assert contains(region, middle[1::2]) == [True] * 100
    assert contains(region, middle[::2]) == [False] * 100


@pytest.mark.parametrize(
    ("ra", "dec", "message"),
    [
        ((0, 1, 0, 1), (0, 1, 1, 0), "sides that cross or touch .*after vertices 1 and 3"),
        ((0, 2, 1, 1.5, 0.5), (0, 0, 0, 1, 1), "sides that cross or touch"),
        ((0, 2, 1, 1, 1, 0), (0, 0, 0, 2, 0, 2), "sides that cross or touch"),
        ((0, 1, 2), (0, 0, 0), "no area"),
        ((10, 11, 10, 11), (80, 80, 80, 80), "no area"),
        ((0, 120, 240), (0, 0, 0), "no area"),
        ((5e-324, 1e-323, 0), (0, 0, 5e-324), "no area"),
        ((1e-310, 2e-310, 0), (0, 0, 1e-310), "no area"),
        ((0, 90, 180, 270), (-40, 80, -40, 80), "more than half of the sky"),
        (tuple(i / 10 for i in range(2001)), tuple(i % 2 for i in range(2001)), "at most 2000"),
    ],
)
def test_lines_that_enclose_nothing(ra: tuple[float, ...], dec: tuple[float, ...], message: str) -> None:
    with pytest.raises(UsageError, match=f"The polygon has .*{message}") as caught:
        to_region(Polygon(ra, dec))
    assert caught.value.parameter == "POLYGON"


def test_crossings_are_not_all_collected() -> None:
    """Of vertices at random a quarter of all pairs of sides cross: a gigabyte of them."""
    ra, dec = np.random.default_rng(1).uniform(0, 1, (2, 4000))
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match="sides that cross"):
            to_interior(Polygon(tuple(ra), tuple(dec)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**28


def test_a_pole_is_one_point_whatever_its_longitude() -> None:
    stencil = parse_polygon("0 -90 0 -80 10 -80 10 -90")
    assert sorted(zip(stencil.ra_deg, stencil.dec_deg, strict=True)) == [(0, -90), (0, -80), (10, -80)]
    assert contains(to_region(stencil), [(5.0, -85.0), (5.0, -79.0), (20.0, -85.0)]) == [True, False, False]
