"""Functions that are computed by us, against others that do."""

import numpy as np
import pyarrow as pa
import pytest
from lsst.sphgeom import HealpixPixelization, LonLat, UnitVector3d

from lsst.dax.vo.query._udfs import MOST_ORDER, healpix_center, healpix_index


def _orders(order: int, count: int) -> pa.Array:
    return pa.array([order] * count, pa.int64())


@pytest.mark.parametrize("order", [0, 1, 3, 8, 13, 17])
def test_pixels_are_those_of_sphgeom(order: int) -> None:
    dice = np.random.default_rng(order)
    lon = dice.uniform(-360, 720, 1000)
    lat = np.concatenate(
        [
            np.degrees(np.arcsin(dice.uniform(-1, 1, 800))),
            90 - 10.0 ** dice.uniform(-6, 0, 100),
            -90 + 10.0 ** dice.uniform(-6, 0, 100),
        ]
    )
    found = healpix_index(_orders(order, 1000), pa.array(lon), pa.array(lat)).to_pylist()
    others = HealpixPixelization(order)
    assert found == [
        others.index(UnitVector3d(LonLat.fromDegrees(ra % 360, dec)))
        for ra, dec in zip(lon, lat, strict=True)
    ]


@pytest.mark.parametrize("order", [0, 1, 5, 17, 24, MOST_ORDER])
def test_center_is_in_its_pixel(order: int) -> None:
    dice = np.random.default_rng(order)
    last = 12 * 4**order
    pixels = np.unique(np.concatenate([[0, last - 1, last // 2, 1 % last], dice.integers(0, last, 500)]))
    centers = healpix_center(_orders(order, len(pixels)), pa.array(pixels))
    lon, lat = (pa.array([point[place] for point in centers.to_pylist()]) for place in (0, 1))
    assert healpix_index(_orders(order, len(pixels)), lon, lat).to_pylist() == pixels.tolist()
    assert min(lon.to_pylist()) >= 0
    assert max(lon.to_pylist()) < 360


def test_centers_of_the_base_pixels() -> None:
    centers = healpix_center(_orders(0, 12), pa.array(range(12), pa.int64())).to_pylist()
    edge = np.degrees(np.arcsin(2 / 3))
    expected = [
        *([lon, edge] for lon in (45, 135, 225, 315)),
        *([lon, 0] for lon in (0, 90, 180, 270)),
        *([lon, -edge] for lon in (45, 135, 225, 315)),
    ]
    assert np.allclose(centers, expected, rtol=0, atol=1e-12)


def test_what_is_no_position_is_null() -> None:
    orders = pa.array([3, None, -1, 30, 3, 3, 3, 3], pa.int64())
    lon = pa.array([1, 2, 3, 4, None, float("nan"), float("inf"), 5], pa.float64())
    lat = pa.array([90.5, 1, 1, 1, 1, 1, 1, None], pa.float64())
    assert healpix_index(orders, lon, lat).to_pylist() == [None] * 8
    indexes = pa.array([768, 1, 1, 1, None, -1, 0, 767], pa.int64())
    found = healpix_center(orders, indexes).to_pylist()
    assert found[:6] == [None] * 6
    assert None not in found[6:]


def test_nothing_is_nothing() -> None:
    nothing = pa.array([], pa.int64())
    assert healpix_index(nothing, pa.array([], pa.float64()), pa.array([], pa.float64())).to_pylist() == []
    assert healpix_center(nothing, nothing).to_pylist() == []
