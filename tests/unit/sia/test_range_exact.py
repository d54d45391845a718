"""RANGE and POLYGON in POS: meridians and parallels against great circles.

What must be found is told by many points along both edges: where a point of one
lies in the other, they meet; where all points are farther from one another than
from their neighbours, they do not.  The few pairs between are not judged.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

from lsst.dax.vo.dali import parse_pos, to_region
from lsst.dax.vo.query.geometry._kernels import intersects

type Points = np.ndarray[Any, np.dtype[np.float64]]

_STEPS = 240
"""Points along one edge, or more along a long parallel."""


def _vectors(ra_deg: Points, dec_deg: Points) -> Points:
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.stack([np.cos(ra) * np.cos(dec), np.sin(ra) * np.cos(dec), np.sin(dec)], axis=-1)


def _box_edges(ra1: float, ra2: float, dec1: float, dec2: float) -> list[Points]:
    width = 360.0 if (ra1, ra2) == (0.0, 360.0) else (ra2 - ra1) % 360.0
    along = ra1 + np.linspace(0.0, width, max(_STEPS, int(6 * width)))
    up = np.linspace(dec1, dec2, _STEPS)
    edges = [_vectors(along, np.full(len(along), dec)) for dec in (dec1, dec2)]
    if width < 360.0:
        edges += [_vectors(np.full(_STEPS, ra), up) for ra in (ra1, ra1 + width)]
    return edges


def _polygon_edges(vertices: Points) -> list[Points]:
    edges = []
    for first, second in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        line = first + np.linspace(0.0, 1.0, _STEPS)[:, None] * (second - first)
        edges.append(line / np.linalg.norm(line, axis=1, keepdims=True))
    return edges


def _in_box(points: Points, ra1: float, ra2: float, dec1: float, dec2: float) -> bool:
    ra = np.degrees(np.arctan2(points[:, 1], points[:, 0])) % 360.0
    dec = np.degrees(np.arcsin(np.clip(points[:, 2], -1.0, 1.0)))
    width = 360.0 if (ra1, ra2) == (0.0, 360.0) else (ra2 - ra1) % 360.0
    # A pole has all longitudes.
    inside = ((ra - ra1) % 360.0 <= width) | (np.abs(dec) > 90.0 - 1e-9)
    return bool(np.any(inside & (dec >= dec1) & (dec <= dec2)))


def _in_polygon(points: Points, vertices: Points) -> bool:
    normals = np.cross(vertices, np.roll(vertices, -1, axis=0))
    return bool(np.any((points @ normals.T >= 0).all(axis=1)))


def _judge(box: tuple[float, float, float, float], vertices: Points) -> bool | None:
    """Return whether they meet; `None` where it is too close."""
    box_points = np.concatenate(_box_edges(*box))
    polygon_points = np.concatenate(_polygon_edges(vertices))
    if _in_box(polygon_points, *box) or _in_polygon(box_points, vertices):
        return True
    edges = [*_box_edges(*box), *_polygon_edges(vertices)]
    step = max(float(np.linalg.norm(np.diff(edge, axis=0), axis=1).max()) for edge in edges)
    nearest = float(np.sqrt(max(2.0 - 2.0 * (box_points @ polygon_points.T).max(), 0.0)))
    return False if nearest > 2 * step else None


def _square(ra_deg: float, dec_deg: float, size_deg: float, turn_deg: float, stretch: float = 1.0) -> Points:
    """Return a rectangle on the plane that touches the sphere, its vertices to the left of its inside."""
    center = _vectors(np.array(ra_deg), np.array(dec_deg))
    east = np.array([-np.sin(np.radians(ra_deg)), np.cos(np.radians(ra_deg)), 0.0])
    north = np.cross(center, east)
    turn = np.radians(turn_deg)
    first = np.tan(np.radians(size_deg)) * (np.cos(turn) * east + np.sin(turn) * north)
    second = np.tan(np.radians(size_deg * stretch)) * (np.cos(turn) * north - np.sin(turn) * east)
    corners = np.stack(
        [center - first - second, center + first - second, center + first + second, center - first + second]
    )
    square: Points = corners / np.linalg.norm(corners, axis=1, keepdims=True)
    return square


def _meets(box: tuple[float, float, float, float], vertices: Points) -> bool:
    region = ConvexPolygon([UnitVector3d(*map(float, vertex)) for vertex in vertices])
    asked = to_region(parse_pos("RANGE " + " ".join(map(repr, box)), sia_bounds=True))
    first, second = (pa.array([item.encode()], pa.binary()) for item in (asked, region))
    (there,), (back,) = intersects(first, second).to_pylist(), intersects(second, first).to_pylist()
    assert there is back
    return bool(there)


BOXES = [
    (10.0, 12.0, -1.0, 1.0),
    (359.0, 1.0, -1.0, 1.0),
    (0.0, 360.0, -2.0, 2.0),
    (0.0, 360.0, 85.0, 90.0),
    (0.0, 360.0, -90.0, -80.0),
    (20.0, 260.0, 30.0, 60.0),
    (100.0, 170.0, 50.0, 88.0),
    (300.0, 60.0, -89.0, -70.0),
    (40.0, 41.0, -90.0, 90.0),
]


def _pairs(box: tuple[float, float, float, float]) -> Iterator[Points]:
    """Yield polygons that are near the edge of a box."""
    dice = np.random.default_rng(20260101)
    points = np.concatenate(_box_edges(*box))
    for _ in range(25):
        x, y, z = points[dice.integers(len(points))]
        size = 10 ** dice.uniform(-1.0, 1.2)
        place = LonLat(UnitVector3d(float(x), float(y), float(z)))
        yield _square(
            place.getLon().asDegrees() + dice.normal(0.0, 2 * size),
            float(np.clip(place.getLat().asDegrees() + dice.normal(0.0, 2 * size), -89.9, 89.9)),
            size,
            dice.uniform(0.0, 360.0),
            float(dice.choice([1.0, 0.05])),
        )


@pytest.mark.parametrize("box", BOXES, ids=lambda box: "-".join(f"{end:g}" for end in box))
def test_range_meets_what_its_points_meet(box: tuple[float, float, float, float]) -> None:
    judged = [(vertices, _judge(box, vertices)) for vertices in _pairs(box)]
    clear = [(vertices, meets) for vertices, meets in judged if meets is not None]
    assert len(clear) > 0.8 * len(judged)
    assert {meets for _, meets in clear} == {True, False}
    wrong = [vertices for vertices, meets in clear if _meets(box, vertices) is not meets]
    assert wrong == []


def test_diagonal_passes_a_box_within_its_own_bounds() -> None:
    sliver = [UnitVector3d(LonLat.fromDegrees(ra, dec)) for ra, dec in ((10, 0), (10.1, 0), (20, 10))]
    vertices = np.array([(vertex.x(), vertex.y(), vertex.z()) for vertex in sliver])
    assert not _meets((17.0, 18.0, 1.0, 2.0), vertices)
    assert _meets((14.0, 15.0, 4.0, 5.0), vertices)


def test_side_of_a_polygon_bulges_over_a_parallel() -> None:
    # Both ends of the northern side lie at 60 degrees, its middle at 67.8.
    wide = [UnitVector3d(LonLat.fromDegrees(ra, dec)) for ra, dec in ((0, 50), (90, 50), (90, 60), (0, 60))]
    vertices = np.array([(vertex.x(), vertex.y(), vertex.z()) for vertex in wide])
    assert _meets((40.0, 50.0, 65.0, 67.0), vertices)
    assert not _meets((40.0, 50.0, 68.0, 69.0), vertices)
    assert not _meets((0.0, 5.0, 62.0, 67.0), vertices)


def test_region_may_lie_around_a_box_or_in_it() -> None:
    assert _meets((10.0, 10.1, 0.0, 0.1), _square(10.0, 0.0, 5.0, 30.0))
    assert _meets((0.0, 30.0, -20.0, 20.0), _square(10.0, 0.0, 0.5, 30.0))
    assert _meets((0.0, 360.0, 89.9, 90.0), _square(77.0, 89.0, 3.0, 30.0))
    assert _meets((0.0, 360.0, -90.0, 90.0), _square(77.0, 12.0, 0.1, 30.0))
