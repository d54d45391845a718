"""Boxes and shapes of stencils against brute force: dense edges, every pixel asked."""

import functools
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import assume, given
from hypothesis import strategies as st
from lsst.resources import ResourcePath

from lsst.dax.vo.dali import Circle, Polygon, Range, Stencil, to_region
from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.soda import PixelBox, Projection, SkyBox, coverage, region_box, stencil_box
from lsst.dax.vo.soda.backends import open_image
from lsst.dax.vo.testing import make_image_header

WIDTH, HEIGHT = 41, 33
IMAGE = PixelBox(0, WIDTH - 1, 0, HEIGHT - 1)
SCALE_DEG = 0.2 / 3600

# Written by afw and by other software, with distortions of all kinds.
DATA = Path(os.environ.get("DAX_VO_TEST_DATA", Path(__file__).parents[3] / "shared/data"))
FILES = [
    path
    for pattern in ("afw-golden/exposure_[psrt]*[a-z0].fits", "fits/wcs/1904*", "fits/wcs/[pst]*")
    for path in sorted(DATA.glob(pattern))
    if "cutout" not in path.name and "rice" not in path.name and "gzip" not in path.name
]

# How far a box may be from the true edge, in pixels.
TOLERANCE = 0.01

type Points = np.ndarray[tuple[int, int], np.dtype[np.float64]]


@functools.lru_cache(maxsize=256)
def make_projection(ra: float, dec: float, turn: int, flip: int, sip: bool, kind: str) -> Projection:
    header = make_image_header(ra_deg=ra, dec_deg=dec, sip=sip and kind == "TAN")
    angle = math.radians(turn)
    header["CD1_1"], header["CD1_2"] = -SCALE_DEG * flip * math.cos(angle), SCALE_DEG * math.sin(angle)
    header["CD2_1"], header["CD2_2"] = SCALE_DEG * flip * math.sin(angle), SCALE_DEG * math.cos(angle)
    if kind != "TAN":
        header["CTYPE1"], header["CTYPE2"] = f"RA---{kind}", f"DEC--{kind}"
    if "A_2_0" in header:
        for key in ("A_2_0", "A_1_1", "B_0_2"):
            # As strong as the distortion at the edge of a large camera.
            header[key] = 300 * header[key]
    # Through a file, so that the WCS is read as any other.
    path = ResourcePath.temporary_uri(suffix=".fits")
    with path as uri:
        fits.PrimaryHDU(np.zeros((HEIGHT, WIDTH), "i2"), header).writeto(uri.ospath)
        return read_projection(uri)[0]


def read_projection(uri: ResourcePath) -> tuple[Projection, PixelBox]:
    with open_image(uri) as image:
        projection = image.projection()
        assert projection is not None
        return projection, image.box


@functools.cache
def read_file(path: Path) -> tuple[Projection, PixelBox]:
    return read_projection(ResourcePath(str(path)))


made = st.tuples(
    st.builds(
        make_projection,
        ra=st.sampled_from([0.0, 359.9999, 123.4]),
        dec=st.sampled_from([0.0, -32.3, 89.999, -90.0, 60.0]),
        turn=st.sampled_from([0, 30, 45, 90, 200, 359]),
        flip=st.sampled_from([1, -1]),
        sip=st.booleans(),
        kind=st.sampled_from(["TAN", "TAN", "STG", "ZEA"]),
    ),
    st.just(IMAGE),
)
images = st.one_of(made, st.sampled_from(FILES).map(read_file)) if FILES else made


@st.composite
def cases(draw: st.DrawFn) -> tuple[Projection, PixelBox, Stencil]:
    """Draw an image and a stencil with a part of its edge near it, of any size."""
    projection, image = draw(images)
    shares = st.floats(-0.3, 1.3)
    x = image.x0 + draw(shares) * image.width
    y = image.y0 + draw(shares) * image.height
    lon, lat = projection.to_sky(np.array([x, x + 1]), np.array([y, y]))
    place = unit_vectors(lon, lat)
    scale = float(np.linalg.norm(place[1] - place[0]))
    assume(0 < scale < 0.1)
    most = math.log10(math.radians(80) / scale)
    radius = scale * 10 ** draw(st.one_of(st.floats(-1.5, 3), st.floats(3, max(3, most))))
    assume(radius < math.radians(80))
    east = np.array([-math.sin(lon[0]), math.cos(lon[0]), 0.0])
    north = np.cross(place[0], east)

    def at(angle: float, distance: float) -> tuple[float, float]:
        way = math.cos(angle) * north + math.sin(angle) * east
        point = math.cos(distance) * place[0] + math.sin(distance) * way
        return to_degrees(point)

    match draw(st.sampled_from(["circle", "polygon", "range"])):
        case "circle":
            # With the place inside, or on the edge.
            center = at(draw(st.floats(0, 6.3)), radius * draw(st.sampled_from([0.0, 0.999, 1.0])))
            return projection, image, Circle(*center, math.degrees(radius))
        case "polygon":
            # Around a center, by angle, no polygon crosses itself.
            count = draw(st.integers(3, 9))
            radii = draw(st.lists(st.floats(0.2, 1), min_size=count, max_size=count))
            step = draw(st.sampled_from([1, -1])) * 2 * math.pi / count
            corners = [at(i * step, radius * share) for i, share in enumerate(radii)]
            polygon = Polygon(*zip(*corners, strict=True))
            try:
                to_region(polygon)
            except UsageError:
                assume(False)
            return projection, image, polygon
        case _:
            ra, dec = to_degrees(place[0])
            half = math.degrees(radius)
            wide = min(170.0, half / max(1e-3, math.cos(math.radians(dec))))
            west, width, south, height = (draw(st.floats(0.05, 1)) for _ in range(4))
            return (
                projection,
                image,
                Range(
                    (ra - west * wide) % 360,
                    (ra + width * wide) % 360,
                    max(-90.0, dec - south * half),
                    min(90.0, dec + height * half),
                ),
            )


def unit_vectors(lon: np.ndarray, lat: np.ndarray) -> Points:
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def to_degrees(point: np.ndarray) -> tuple[float, float]:
    ra = math.degrees(math.atan2(point[1], point[0])) % 360
    return ra % 360, math.degrees(math.atan2(point[2], math.hypot(point[0], point[1])))


def edge_parts(stencil: Stencil) -> list[Callable[[np.ndarray], Points]]:
    """Give each smooth part of an edge as a function from 0..1 to unit vectors."""
    match stencil:
        case Circle():
            (center,) = unit_vectors(*np.radians([[stencil.ra_deg], [stencil.dec_deg]]))
            side = np.cross(center, [0.6, 0.64, 0.48])
            side /= np.linalg.norm(side)
            other, radius = np.cross(center, side), math.radians(stencil.radius_deg)

            def around(t: np.ndarray) -> Points:
                angle = 2 * math.pi * t[:, np.newaxis]
                return math.cos(radius) * center + math.sin(radius) * (
                    np.cos(angle) * side + np.sin(angle) * other
                )

            return [around]
        case Polygon():
            corners = unit_vectors(np.radians(stencil.ra_deg), np.radians(stencil.dec_deg))

            def along(t: np.ndarray, begin: np.ndarray, end: np.ndarray) -> Points:
                points = np.outer(1 - t, begin) + np.outer(t, end)
                return points / np.linalg.norm(points, axis=1)[:, np.newaxis]

            sides = zip(corners, np.roll(corners, -1, axis=0), strict=True)
            return [functools.partial(along, begin=begin, end=end) for begin, end in sides]
        case Range():
            west, south, north = np.radians([stencil.ra_min_deg, stencil.dec_min_deg, stencil.dec_max_deg])
            width = math.radians((stencil.ra_max_deg - stencil.ra_min_deg) % 360 or 360)

            def parallel(t: np.ndarray, lat: float) -> Points:
                return unit_vectors(west + t * width, np.full(len(t), lat))

            def meridian(t: np.ndarray, lon: float) -> Points:
                return unit_vectors(np.full(len(t), lon), south + t * (north - south))

            parallels = [functools.partial(parallel, lat=lat) for lat in (south, north)]
            return parallels + [functools.partial(meridian, lon=lon) for lon in (west, west + width)]


def edge_points(projection: Projection, stencil: Stencil, image: PixelBox) -> tuple[Points, Points]:
    """Follow an edge through a WCS, densely near the image.

    Returns the points, and how far the edge may bend away between them.
    """
    low, high = np.array([image.x0, image.y0]), np.array([image.x1, image.y1])
    margin = high - low
    points, bends = [], []
    for part in edge_parts(stencil):
        t = np.linspace(0, 1, 800)
        coarse = to_pixels(projection, part(t))
        near = np.flatnonzero(np.all((coarse > low - margin) & (coarse < high + margin), axis=1))
        if len(near):
            # As many again between neighbours, fewer where many are near.
            count = max(2, 4000 // len(near))
            steps = (t[1] * np.linspace(-1, 1, 2 * count + 1)).ravel()
            near = near[:: max(1, len(near) // 800)]
            fine = np.unique(np.clip(t[near][:, np.newaxis] + steps, 0, 1).ravel())
            dense = to_pixels(projection, part(fine))
            points.append(dense)
            bends.append(np.full_like(dense, TOLERANCE / 10))
        bend = np.zeros_like(coarse)
        bend[1:-1] = np.abs(np.diff(coarse, n=2, axis=0)) / 8
        bend[near] = 0
        points.append(coarse)
        bends.append(bend)
    return np.concatenate(points), np.concatenate(bends)


def to_pixels(projection: Projection, vectors: Points) -> Points:
    """Map sky to pixels; NaN where these do not map back."""
    lon, lat = (
        np.arctan2(vectors[:, 1], vectors[:, 0]),
        np.arctan2(vectors[:, 2], np.hypot(*vectors[:, :2].T)),
    )
    points = np.column_stack(projection.to_pixel(lon, lat))
    points[~np.all(np.abs(points) < 1e12, axis=1)] = np.nan
    back = unit_vectors(*projection.to_sky(*points.T))
    off = np.linalg.norm(back - vectors, axis=1)
    step = unit_vectors(*projection.to_sky(points[:, 0] + 1.0, points[:, 1]))
    points[~(off < 1e-3 * np.linalg.norm(step - back, axis=1))] = np.nan
    return points


def inside_of(projection: Projection, stencil: Stencil, box: PixelBox, step: int = 1) -> np.ndarray:
    x, y = np.meshgrid(np.arange(box.x0, box.x1 + 1.0, step), np.arange(box.y0, box.y1 + 1.0, step))
    return to_region(stencil).contains(*projection.to_sky(x.ravel(), y.ravel())).reshape(x.shape)


@given(cases())
def test_box_is_that_of_brute_force(case: tuple[Projection, PixelBox, Stencil]) -> None:
    projection, image, stencil = case
    edge, bend = edge_points(projection, stencil, image)
    low, high = np.array([image.x0, image.y0]) - 0.5, np.array([image.x1, image.y1]) + 0.5
    step = max(1, image.width // 100)
    rows, columns = np.nonzero(inside_of(projection, stencil, image, step))
    centers = np.column_stack([step * columns + image.x0, step * rows + image.y0])
    seen = np.concatenate([edge[np.all((edge >= low) & (edge < high), axis=1)], centers])
    found = stencil_box(stencil, projection, image)
    if found is None:
        # Touched by less than can be told.
        assert not len(centers)
        assert np.all(np.minimum(seen - low, high - seen).min(axis=1, initial=0) < TOLERANCE)
        return
    first, last = np.array([found.x0, found.y0]) - 0.5, np.array([found.x1, found.y1]) + 0.5
    assert np.all(seen >= first - TOLERANCE)
    assert np.all(seen <= last + TOLERANCE)
    if not len(seen) or not np.all(np.isfinite(edge)):
        return
    reach = (edge - bend).min(axis=0), (edge + bend).max(axis=0)
    for begin, end, more in (
        (np.maximum(reach[0], low), np.minimum(reach[1], high), TOLERANCE),
        # The image's part alone, where the edge goes around all of the sky.
        (seen.min(axis=0), seen.max(axis=0), TOLERANCE + step - 1),
    ):
        if np.all(begin - more < first + 1) and np.all(end + more > last - 1):
            return
    raise AssertionError(f"{found} is larger than {stencil}")


@given(cases(), st.integers(0, 300), st.integers(0, 300))
def test_coverage_is_that_of_brute_force(
    case: tuple[Projection, PixelBox, Stencil], right: int, up: int
) -> None:
    projection, image, stencil = case
    found = stencil_box(stencil, projection, image)
    assume(found is not None)
    part = PixelBox(found.x0 + right, found.x0 + right + 150, found.y0 + up, found.y0 + up + 90)
    box = part.clipped_to(found) or found
    assume(box.size < 300_000)
    assert np.array_equal(coverage(stencil, projection, box), inside_of(projection, stencil, box))


@given(images, st.floats(-0.2, 1.2), st.floats(-0.2, 1.2), st.integers(1, 60), st.integers(1, 60))
def test_sizes_around_a_point(
    image: tuple[Projection, PixelBox], right: float, up: float, width: int, height: int
) -> None:
    """As many pixels as were asked for, with the point in the middle."""
    projection, full = image
    x, y = full.x0 + right * full.width, full.y0 + up * full.height
    ra, dec = to_degrees(unit_vectors(*projection.to_sky(np.array([x]), np.array([y])))[0])
    endless = PixelBox(full.x0 - 10**6, full.x1 + 10**6, full.y0 - 10**6, full.y1 + 10**6)
    box = region_box(SkyBox(ra, dec, width, height, "pixel"), projection, endless)
    assert (box.width, box.height) == (width, height)
    assert abs(0.5 * (box.x0 + box.x1) - x) <= 0.5 + TOLERANCE
    assert abs(0.5 * (box.y0 + box.y1) - y) <= 0.5 + TOLERANCE
    assert region_box(SkyBox(ra, dec, width, height, "pixel"), projection, full) == box.clipped_to(full)
    # The same in arcseconds: a pixel's sides are the distances between its
    # neighbours.
    lon, lat = projection.to_sky(np.array([x - 0.5, x + 0.5, x, x]), np.array([y, y, y - 0.5, y + 0.5]))
    places = unit_vectors(lon, lat)
    sides = [np.degrees(np.linalg.norm(places[i] - places[i + 1])) * 3600 for i in (0, 2)]
    sized = SkyBox(ra, dec, width * sides[0], height * sides[1], "arcsec")
    assert region_box(sized, projection, endless) == box


@pytest.mark.parametrize("dec", [0.0, 45.0, 89.0])
@pytest.mark.parametrize("radius", [0.01, 1.0, 20.0, 75.0, 89.9, 90.1, 140.0, 179.9])
def test_circles_of_every_size_hold_their_center(dec: float, radius: float) -> None:
    projection = make_projection(10.0, dec, 0.3, 1, False, "TAN")
    assert stencil_box(Circle(10.0, dec, radius), projection, IMAGE) == IMAGE
    assert stencil_box(Circle(190.0, -dec, 180 - radius - 0.005), projection, IMAGE) is None


@pytest.mark.parametrize("kind", ["CAR", "AIT", "MOL", "TSC", "HPX"])
def test_maps_of_the_whole_sky(kind: str) -> None:
    """Seams, poles that are lines, and corners that are no sky."""
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = f"RA---{kind}", f"DEC--{kind}"
    header["CRPIX1"], header["CRPIX2"] = 90.5, 45.5
    header["CDELT1"], header["CDELT2"] = -2.0, 2.0
    header["CRVAL1"], header["CRVAL2"] = 180.0, 0.0
    full = PixelBox(0, 179, 0, 89)
    with ResourcePath.temporary_uri(suffix=".fits") as uri:
        fits.PrimaryHDU(np.zeros((90, 180), "i2"), header).writeto(uri.ospath)
        with open_image(uri) as image:
            projection = image.projection()
    steps = np.arange(0, 1, 0.2) - 0.4
    columns, rows = ((np.arange(n)[:, None] + steps).ravel() for n in (180, 90))
    x, y = (grid.ravel() for grid in np.meshgrid(columns, rows))
    lon, lat = projection.to_sky(x, y)
    known = np.isfinite(lon)
    for stencil in (
        Circle(180.0, 0.0, 10.0),
        Circle(0.0, 0.0, 10.0),
        Circle(77.0, 85.0, 12.0),
        Circle(77.0, -80.0, 30.0),
        Circle(30.0, 20.0, 100.0),
        Range(350.0, 10.0, -20.0, 40.0),
        Range(0.0, 360.0, 60.0, 90.0),
        Polygon((170.0, 190.0, 180.0), (-5.0, -5.0, 10.0)),
    ):
        inside = np.zeros(len(x), dtype=bool)
        inside[known] = to_region(stencil).contains(lon[known], lat[known])
        limits = (x[inside].min(), x[inside].max(), y[inside].min(), y[inside].max())
        touched = PixelBox(*(math.floor(limit + 0.5) for limit in limits))
        found = stencil_box(stencil, projection, full)
        assert touched.clipped_to(found) == touched
        assert found.width - touched.width <= 3, stencil
        assert found.height - touched.height <= 3, stencil
