"""Pictures are where the sky is, and as bright as the formula says; read by others' readers."""

from __future__ import annotations

import io
import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io.fits import Header
from astropy.visualization import AsinhStretch, LinearStretch, LogStretch, SqrtStretch
from astropy.wcs import WCS
from PIL import Image

from lsst.dax.vo.dali import ParamSet
from lsst.dax.vo.errors import UnsupportedError, UsageError
from lsst.dax.vo.soda import PixelBox, Projection
from lsst.dax.vo.soda.picture import (
    COLOR_MAPS,
    Layer,
    Limits,
    Percentage,
    PictureOptions,
    Stretch,
    Values,
    Zscale,
    draw,
    parse_picture,
)

PNG, JPEG = "image/png", "image/jpeg"
CENTER = (123.4, -56.7)
SCALE = 0.2 / 3600


def tan(
    *, box: PixelBox, angle_deg: float = 0.0, mirrored: bool = False, center: tuple[float, float] = CENTER
) -> WCS:
    """Return astropy's WCS of a box, in pixels that count from its first one."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = center
    wcs.wcs.crpix = [(box.width + 1) / 2, (box.height + 1) / 2]
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    turn = np.array([[-c, s], [s, c]]) if not mirrored else np.array([[c, s], [-s, c]])
    wcs.wcs.cd = SCALE * turn
    wcs.wcs.set()
    return wcs


def projection_of(wcs: WCS, box: PixelBox) -> Projection:
    def to_sky(x: Any, y: Any) -> Any:
        lon, lat = wcs.wcs_pix2world(x - box.x0, y - box.y0, 0)
        return np.radians(lon), np.radians(lat)

    def to_pixel(lon: Any, lat: Any) -> Any:
        x, y = wcs.wcs_world2pix(np.degrees(lon), np.degrees(lat), 0)
        return x + box.x0, y + box.y0

    return Projection(to_sky, to_pixel)


def star(wcs: WCS, box: PixelBox, sky: tuple[float, float], *, flux: float = 1000.0) -> np.ndarray:
    """Return an image of one star, four pixels wide."""
    x, y = wcs.wcs_world2pix(*sky, 0)
    rows, columns = np.mgrid[: box.height, : box.width]
    return (flux * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 2.0**2))).astype(np.float32)


def layer_of(box: PixelBox, sky: tuple[float, float], **kwargs: Any) -> Layer:
    wcs = tan(box=box, **kwargs)
    return Layer(star(wcs, box, sky), box, projection_of(wcs, box))


def opened(picture: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(picture))
    image.load()
    return image


def brightest(image: Image.Image) -> tuple[float, float]:
    """Return FITS pixel coordinates of the star's center in a picture."""
    levels = np.asarray(image.convert("L"), dtype=float)[::-1]
    rows, columns = np.mgrid[: levels.shape[0], : levels.shape[1]]
    return float((columns * levels).sum() / levels.sum()) + 1, float((rows * levels).sum() / levels.sum()) + 1


def avm_wcs(picture: bytes, tmp_path: Path, suffix: str) -> WCS:
    pyavm = pytest.importorskip("pyavm")
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(picture)
    return pyavm.AVM.from_image(str(path)).to_wcs()


@pytest.mark.parametrize(
    ("angle", "mirrored", "north", "media_type"),
    [
        *itertools.product((0.0, 30.0, 200.0), (False, True), (False, True), (PNG,)),
        (77.0, False, True, JPEG),
    ],
)
def test_star_is_where_avm_says(
    angle: float, mirrored: bool, north: bool, media_type: str, tmp_path: Path
) -> None:
    box = PixelBox(1000, 1119, 2000, 2089)
    sky = (CENTER[0] + 0.003, CENTER[1] - 0.001)
    layer = layer_of(box, sky, angle_deg=angle, mirrored=mirrored)
    options = PictureOptions(Stretch.LINEAR, Values(0.0, 1000.0), north_up=north)
    picture = draw([layer], options, media_type, title="A star & <its> field")
    image = opened(picture)
    wcs = avm_wcs(picture, tmp_path, ".png" if media_type == PNG else ".jpg")
    x, y = brightest(image)
    found = wcs.wcs_pix2world(x, y, 1)
    assert np.hypot((found[0] - sky[0]) * np.cos(np.radians(sky[1])), found[1] - sky[1]) < 0.1 * SCALE
    if north:
        assert wcs.wcs.cd[0, 0] < 0 < wcs.wcs.cd[1, 1]
        assert wcs.wcs.cd[0, 1] == wcs.wcs.cd[1, 0] == 0.0
    else:
        assert image.size == (box.width, box.height)


@pytest.mark.parametrize("media_type", [PNG, JPEG])
def test_comment_is_a_fits_header(media_type: str) -> None:
    box = PixelBox(0, 39, 0, 29)
    cards = [("BTLRUUID", "0123", "Butler UUID of the full image")]
    picture = draw([layer_of(box, CENTER, angle_deg=15.0)], PictureOptions(), media_type, cards=cards)
    info = opened(picture).info
    text = info["Comment"] if media_type == PNG else info["comment"].decode("ascii")
    header = Header.fromstring(text, sep="\n")
    assert header["BTLRUUID"] == "0123"
    expected = tan(box=box, angle_deg=15.0)
    found = WCS(header)
    assert found.wcs.radesys == "ICRS"
    for x, y in [(1, 1), (40, 30), (7.5, 21)]:
        assert np.allclose(found.wcs_pix2world(x, y, 1), expected.wcs_pix2world(x, y, 1), rtol=0, atol=1e-9)


def test_row_zero_is_lowest() -> None:
    pixels = np.zeros((5, 4), dtype=np.float32)
    pixels[0, 1] = 1.0
    options = PictureOptions(Stretch.LINEAR, Values(0.0, 1.0))
    levels = np.asarray(opened(draw([Layer(pixels, PixelBox(0, 3, 0, 4), None)], options, PNG)))
    assert levels.shape == (5, 4)
    assert levels[4, 1] == 255
    assert levels.sum() == 255


def test_north_up_holds_every_corner() -> None:
    # All pixels of a turned image are in the picture, none twice: the sum of
    # opaque pixels is the area.
    box = PixelBox(0, 99, 0, 59)
    layer = layer_of(box, CENTER, angle_deg=33.0)
    image = opened(draw([layer], PictureOptions(north_up=True), PNG))
    opaque = np.asarray(image)[..., -1] > 0
    assert abs(np.count_nonzero(opaque) - 6000) < 60
    angle = np.radians(33.0)
    assert abs(image.size[0] - (100 * np.cos(angle) + 60 * np.sin(angle))) <= 1.5
    assert abs(image.size[1] - (100 * np.sin(angle) + 60 * np.cos(angle))) <= 1.5


def test_sky_of_a_logarithm_is_grey() -> None:
    """Not black and white: its noise is far from where the logarithm is steepest."""
    rng = np.random.default_rng(8)
    pixels = rng.normal(100.0, 10.0, size=(90, 80))
    pixels[40:44, 40:44] += 3000.0
    layer = Layer(pixels, PixelBox(0, 79, 0, 89), None)
    levels = np.asarray(opened(draw([layer], PictureOptions(Stretch.LOG), PNG)))
    assert np.count_nonzero(levels == 0) < 0.005 * levels.size
    assert 30 < np.median(levels) < 130
    assert np.std(levels[levels < 200]) < 30


def test_north_up_is_no_larger_than_what_it_shows() -> None:
    """Around what a shape left transparent, nothing is drawn; the WCS knows."""
    box = PixelBox(0, 99, 0, 99)
    layer = layer_of(box, CENTER, angle_deg=40.0)
    y, x = np.indices((100, 100)) - 49.5
    pixels = np.where(np.hypot(x, y) <= 40.0, layer.pixels, np.nan)
    options = PictureOptions(Stretch.LINEAR, Values(0.0, 1000.0), north_up=True)
    whole, cut = (
        opened(draw([Layer(values, box, layer.projection)], options, PNG))
        for values in (layer.pixels, pixels)
    )
    assert whole.size[0] > 130
    assert all(79 <= side <= 81 for side in cut.size)
    assert (np.asarray(cut)[..., -1] > 0).any(axis=0).all()
    for image in (whole, cut):
        found = WCS(Header.fromstring(image.info["Comment"], sep="\n")).wcs_pix2world(*brightest(image), 1)
        assert (
            np.hypot((found[0] - CENTER[0]) * np.cos(np.radians(CENTER[1])), found[1] - CENTER[1])
            < 0.1 * SCALE
        )


def test_north_up_of_nothing_is_transparent() -> None:
    box = PixelBox(0, 9, 0, 9)
    layer = layer_of(box, CENTER, angle_deg=40.0)
    empty = Layer(np.full_like(layer.pixels, np.nan), box, layer.projection)
    image = opened(draw([empty], PictureOptions(north_up=True), PNG))
    assert not np.asarray(image)[..., -1].any()


def test_upright_image_keeps_its_pixels() -> None:
    rng = np.random.default_rng(4)
    box = PixelBox(10, 72, 20, 60)
    wcs = tan(box=box)
    layer = Layer(rng.normal(size=(41, 63)).astype(np.float32), box, projection_of(wcs, box))
    lying, upright = (opened(draw([layer], PictureOptions(north_up=up), PNG)) for up in (False, True))
    assert np.array_equal(np.asarray(lying), np.asarray(upright))


@pytest.mark.parametrize("north", [False, True])
def test_three_images_are_laid_over_each_other(north: bool) -> None:
    sky = (CENTER[0] - 0.002, CENTER[1] + 0.0005)
    layers = [
        layer_of(PixelBox(0, 99, 0, 79), sky),
        layer_of(PixelBox(500, 649, 100, 249), sky, angle_deg=120.0),
        layer_of(PixelBox(-50, 99, 7, 156), sky, angle_deg=10.0, mirrored=True),
    ]
    options = PictureOptions(Stretch.LINEAR, Values(0.0, 1000.0), north_up=north)
    image = opened(draw(layers, options, PNG))
    centers = [brightest(band) for band in image.convert("RGB").split()]
    assert np.allclose(centers[1:], centers[:1], rtol=0, atol=0.05)


def test_images_of_one_grid_keep_their_values() -> None:
    # Boxes of one patch that differ by whole pixels, as coadds of three bands.
    rng = np.random.default_rng(5)
    whole = PixelBox(0, 199, 0, 199)
    wcs = tan(box=whole)
    values = rng.uniform(0, 1, size=(200, 200))
    boxes = [PixelBox(50, 89, 60, 99), PixelBox(40, 99, 50, 109), PixelBox(45, 95, 55, 105)]
    layers = [
        Layer(values[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1], box, projection_of(wcs, whole))
        for box in boxes
    ]
    levels = np.asarray(
        opened(draw(layers, PictureOptions(Stretch.LINEAR, Values(0.0, 1.0)), PNG)).convert("RGB")
    )
    expected = np.rint(255 * values[60:100, 50:90])[::-1]
    for band in range(3):
        assert np.abs(levels[..., band] - expected).max() <= 1


def test_colours_of_lupton_do_not_depend_on_brightness() -> None:
    box = PixelBox(0, 99, 0, 79)
    wcs = tan(box=box)
    faint = star(wcs, box, CENTER)
    layers = [Layer(faint * share, box, projection_of(wcs, box)) for share in (1.0, 0.5, 0.25)]
    levels = np.asarray(opened(draw(layers, PictureOptions(limits=Values(0.0, 4000.0)), PNG))).astype(float)
    seen = levels[levels[..., 0] > 60]
    assert len(seen) > 20
    assert np.allclose(seen[:, 1] / seen[:, 0], 0.5, atol=0.03)
    assert np.allclose(seen[:, 2] / seen[:, 0], 0.25, atol=0.03)


def test_colours_of_images_that_are_not_as_deep_are_balanced() -> None:
    """Halfway between fluxes as they are and equal noise; LIMITS are in the unit of the image."""
    box = PixelBox(0, 99, 0, 79)
    rng = np.random.default_rng(9)
    wcs = tan(box=box)
    # All have the same star; the noise of the last is a fourth of that of the first.
    layers = [
        Layer(star(wcs, box, CENTER) + rng.normal(0, noise, (80, 100)), box, projection_of(wcs, box))
        for noise in (16.0, 8.0, 4.0)
    ]

    def color_of_star(options: PictureOptions) -> np.ndarray:
        levels = np.asarray(opened(draw(layers, options, PNG))).astype(float)
        red, _, blue = np.moveaxis(levels[levels.min(axis=-1) > 100], -1, 0)
        return blue / red

    assert np.median(color_of_star(PictureOptions())) == pytest.approx(2.0, rel=0.05)
    assert np.median(color_of_star(PictureOptions(limits=Values(0.0, 4000.0)))) == pytest.approx(
        1.0, rel=0.05
    )


@pytest.mark.parametrize(
    ("stretch", "formula"),
    [
        (Stretch.LINEAR, LinearStretch()),
        (Stretch.LOG, LogStretch(100.0)),
        (Stretch.SQRT, SqrtStretch()),
        (Stretch.ZSCALE, LinearStretch()),
        (Stretch.ASINH, None),
    ],
)
def test_brightness_is_that_of_the_formula(stretch: Stretch, formula: Any) -> None:
    rng = np.random.default_rng(6)
    pixels = rng.normal(0.0, 10.0, size=(60, 70))
    pixels[30, 30:] = np.linspace(0, 900, 40)
    options = PictureOptions(stretch, Values(-10.0, 1000.0))
    levels = np.asarray(opened(draw([Layer(pixels, PixelBox(0, 69, 0, 59), None)], options, PNG)))
    if formula is None:
        # In proportion up to three sigma of the noise, here 10.
        noise = 1.4826 * np.median(np.abs(pixels - np.median(pixels)))
        formula = AsinhStretch(3 * noise / 1010.0)
    expected = np.rint(255 * formula(np.clip((pixels + 10.0) / 1010.0, 0, 1)))[::-1]
    assert np.abs(levels - expected).max() <= 1


def test_limits_follow_the_request() -> None:
    pixels = np.linspace(0.0, 1.0, 10_000).reshape(100, 100)
    layer = Layer(pixels, PixelBox(0, 99, 0, 99), None)

    def black_and_white(limits: Limits) -> tuple[float, float]:
        levels = np.asarray(opened(draw([layer], PictureOptions(Stretch.LINEAR, limits), PNG)))[::-1]
        return float(pixels[levels > 0].min()), float(pixels[levels < 255].max())

    assert black_and_white(Percentage(90.0)) == pytest.approx((0.05, 0.95), abs=5e-3)
    assert black_and_white(Percentage(100.0)) == pytest.approx((0.0, 1.0), abs=5e-3)
    assert black_and_white(Values(0.2, 0.3)) == pytest.approx((0.2, 0.3), abs=5e-3)


@pytest.mark.parametrize("name", COLOR_MAPS)
def test_colour_maps(name: str) -> None:
    pixels = np.linspace(0.0, 1.0, 256)[None, :].repeat(2, axis=0)
    options = PictureOptions(Stretch.LINEAR, Values(0.0, 1.0), name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = opened(draw([Layer(pixels, PixelBox(0, 255, 0, 1), None)], options, PNG))
    levels = np.asarray(image.convert("RGB"))[0].astype(int)
    assert len(np.unique(levels, axis=0)) > 150
    if name == "gray":
        assert image.mode == "L"
        assert np.array_equal(levels[:, 0], np.arange(256))


def test_missing_values_are_transparent_or_black() -> None:
    pixels = np.ones((4, 6))
    pixels[1, 2] = np.nan
    pixels[2, 3] = np.inf
    options = PictureOptions(Stretch.LINEAR, Values(0.0, 1.0))
    layer = Layer(pixels, PixelBox(0, 5, 0, 3), None)
    png = opened(draw([layer], options, PNG))
    assert png.mode == "LA"
    alpha = np.asarray(png)[::-1, :, 1]
    assert np.array_equal(alpha == 0, ~np.isfinite(pixels))
    jpeg = opened(draw([layer], options, JPEG))
    assert jpeg.mode == "L"


@pytest.mark.parametrize("stretch", list(Stretch))
@pytest.mark.parametrize("media_type", [PNG, JPEG])
@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((3, 4)),
        np.full((3, 4), np.nan),
        np.full((1, 1), 7.0),
        np.array([[-1e308, 1e308]]),
        np.array([[np.inf, -np.inf, 1.0]]),
        np.array([[0.0, 5e-324]]),
        np.full((2, 2), 1e300),
        np.full((2, 2), 3e38, dtype=np.float32),
        np.zeros((3, 2, 2)),
    ],
    ids=["zeros", "nan", "one", "huge", "inf", "tiny", "1e300", "float32", "colours"],
)
def test_odd_pixels_make_pictures(pixels: np.ndarray, media_type: str, stretch: Stretch) -> None:
    box = PixelBox(0, pixels.shape[-1] - 1, 0, pixels.shape[-2] - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = opened(draw([Layer(pixels, box, None)], PictureOptions(stretch), media_type))
    assert image.size == (box.width, box.height)


def test_colour_image_is_a_picture_by_itself() -> None:
    pixels = np.zeros((3, 5, 4))
    pixels[0, 0, 0], pixels[2, 4, 3] = 1.0, 1.0
    options = PictureOptions(Stretch.LINEAR, Values(0.0, 1.0))
    levels = np.asarray(opened(draw([Layer(pixels, PixelBox(0, 3, 0, 4), None)], options, PNG)))
    assert tuple(levels[4, 0]) == (255, 0, 0)
    assert tuple(levels[0, 3]) == (0, 0, 255)


def test_what_cannot_be_drawn_is_said() -> None:
    box = PixelBox(0, 3, 0, 4)
    plain = Layer(np.zeros((5, 4)), box, None)
    with pytest.raises(UsageError, match="NORTHUP"):
        draw([plain], PictureOptions(north_up=True), PNG)
    with pytest.raises(UsageError, match="not of 2"):
        draw([plain, plain], PictureOptions(), PNG)
    with pytest.raises(UsageError, match="one size"):
        draw([plain, plain, Layer(np.zeros((2, 2)), PixelBox(0, 1, 0, 1), None)], PictureOptions(), PNG)
    with pytest.raises(UsageError, match="no celestial WCS"):
        draw([layer_of(box, CENTER), plain, plain], PictureOptions(), PNG)
    with pytest.raises(UsageError, match="three colours"):
        draw([Layer(np.zeros((3, 5, 4)), box, None)] * 3, PictureOptions(), PNG)
    with pytest.raises(UnsupportedError, match="65500"):
        draw([Layer(np.zeros((1, 65_501)), PixelBox(0, 65_500, 0, 0), None)], PictureOptions(), JPEG)


def test_image_over_the_edge_of_the_sky_map_is_drawn() -> None:
    # A projection that knows only a part of the plane.
    box = PixelBox(0, 63, 0, 63)
    known = projection_of(tan(box=box, angle_deg=45.0), box)

    def to_pixel(lon: Any, lat: Any) -> Any:
        x, y = known.to_pixel(lon, lat)
        return np.where(x < 32, x, np.nan), np.where(x < 32, y, np.nan)

    layer = Layer(np.ones((64, 64)), box, Projection(known.to_sky, to_pixel))
    image = opened(draw([layer], PictureOptions(north_up=True), PNG))
    opaque = np.asarray(image)[..., 1] > 0
    assert abs(np.count_nonzero(opaque) - 32 * 64) < 100


def parse(**params: str) -> PictureOptions:
    return parse_picture(ParamSet.from_pairs(list(params.items())))


def test_parameters() -> None:
    assert parse() == PictureOptions()
    assert parse(stretch="LOG", limits="-1 2e3", colormap="Viridis", northup="TRUE") == PictureOptions(
        Stretch.LOG, Values(-1.0, 2000.0), "viridis", True
    )
    assert parse(LIMITS="99.5%").limits == Percentage(99.5)
    assert parse(LIMITS="minmax").limits == Percentage(100.0)
    assert parse(LIMITS="ZScale").limits == Zscale()
    assert parse(LIMITS="1,2").limits == Values(1.0, 2.0)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("STRETCH", "cubic", "asinh, linear, log, sqrt, zscale"),
        ("LIMITS", "2 1", "low high"),
        ("LIMITS", "1 nan", "low high"),
        ("LIMITS", "-inf 1", "low high"),
        ("LIMITS", "-1e308 1e308", "low high"),
        ("LIMITS", "0 1e39", "low high"),
        ("LIMITS", "0%", "99.5%"),
        ("LIMITS", "101%", "99.5%"),
        ("LIMITS", "nan%", "99.5%"),
        ("LIMITS", "1 2 3", "low high"),
        ("LIMITS", "٣ ٤", "low high"),
        ("COLORMAP", "jet", "viridis"),
        ("NORTHUP", "maybe", "true"),
    ],
)
def test_values_that_are_not_accepted(name: str, value: str, says: str) -> None:
    with pytest.raises(UsageError, match=name) as caught:
        parse(**{name: value})
    assert says in str(caught.value)
