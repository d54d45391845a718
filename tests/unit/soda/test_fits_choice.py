"""Which HDU of a file is cut: by rule, by choice, or all amplifiers as one."""

import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from lsst.resources import ResourcePath

from lsst.dax.vo.errors import UnsupportedError, UsageError
from lsst.dax.vo.soda import Coverage, Detail, Outside, PixelBox, cut
from lsst.dax.vo.soda.backends import Backend, open_image
from lsst.dax.vo.testing import make_image_header, make_image_planes, write_afw_file

# A detector of 40 x 30 pixels, read by four amplifiers from its corners,
# each with 3 columns of prescan, 2 of overscan and a row of overscan.
DETECTOR = np.arange(30 * 40, dtype="i4").reshape(30, 40) + 1000
PRESCAN, OVERSCAN = 3, 2


def write_raw(
    path: Path,
    *,
    wcs: fits.Header | None = None,
    wrong_wcs: bool = False,
    binning: int = 1,
    compressed: bool = False,
    gap: int = 0,
    dtype: str = "i4",
) -> None:
    """Write a raw image with an HDU for each amplifier."""
    hdus = [fits.PrimaryHDU()]
    hdus[0].header["OBSID"] = "MC_O_1"
    for number, (x, y, flip_x, flip_y) in enumerate(
        [(0, 0, False, False), (20, 0, True, False), (0, 15, False, True), (20, 15, True, True)]
    ):
        data = DETECTOR[y : y + 15, x : x + 20][:: -1 if flip_y else 1, :: -1 if flip_x else 1]
        padded = np.pad(data, ((0, 1), (PRESCAN, OVERSCAN)), constant_values=7).astype(dtype)
        make = fits.CompImageHDU if compressed else fits.ImageHDU
        hdu = make(padded, name=f"Segment{number:02d}")
        hdu.header["DATASEC"] = f"[{PRESCAN + 1}:{PRESCAN + 20},1:15]"
        columns = [x * binning + 1 + gap * (x > 0), (x + 20) * binning + gap * (x > 0)]
        rows = [y * binning + 1, (y + 15) * binning]
        columns, rows = (columns[::-1] if flip_x else columns), (rows[::-1] if flip_y else rows)
        hdu.header["DETSEC"] = f"[{columns[0]}:{columns[1]},{rows[0]}:{rows[1]}]"
        hdu.header["CCDSUM"] = f"{binning} {binning}"
        hdu.header["GAIN"] = 1.5
        if wcs is not None:
            for card in wcs.cards:
                hdu.header[card.keyword] = card.value
            sx, sy = (-1 if flip_x else 1), (-1 if flip_y else 1)
            # FITS pixel of the amplifier to that of the detector.
            x_shift = (x + 20 + 1 + PRESCAN) if flip_x else (x - PRESCAN)
            y_shift = (y + 15 + 1) if flip_y else y
            hdu.header["CRPIX1"] = sx * (wcs["CRPIX1"] - x_shift) + (5 if wrong_wcs and number else 0)
            hdu.header["CRPIX2"] = sy * (wcs["CRPIX2"] - y_shift)
            for axis in (1, 2):
                hdu.header[f"CD{axis}_1"] = sx * wcs[f"CD{axis}_1"]
                hdu.header[f"CD{axis}_2"] = sy * wcs[f"CD{axis}_2"]
        hdus.append(hdu)
    fits.HDUList(hdus).writeto(path)


def apart(first: np.ndarray, second: np.ndarray) -> float:
    """Return the largest difference of places in degrees, across 360."""
    return float(np.abs((first - second + 180) % 360 - 180).max())


def opened(parts: tuple[bytes, ...]) -> fits.HDUList:
    return fits.open(io.BytesIO(b"".join(parts)))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["i4", "u2", "f4"])
@pytest.mark.parametrize("binning", [1, 2])
def test_amplifiers_are_put_together(tmp_path: Path, compressed: bool, dtype: str, binning: int) -> None:
    """Trimmed, and each the right way round."""
    path = tmp_path / "raw.fits"
    write_raw(path, compressed=compressed, binning=binning, dtype=dtype)
    exact = not (compressed and dtype == "f4")
    with open_image(ResourcePath(str(path))) as image:
        assert image.box == PixelBox(0, 39, 0, 29)
        assert image.projection() is None
        for box in (PixelBox(0, 39, 0, 29), PixelBox(15, 24, 10, 19), PixelBox(22, 22, 3, 5)):
            wanted = DETECTOR[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1]
            assert np.allclose(image.pixels(box), wanted, atol=0 if exact else 1)
            for detail in (Detail.IMAGE, Detail.EXPOSURE):
                with opened(image.cut(box, detail, (("ST_TYPE", "PIXELS", ""),))) as hdus:
                    assert np.allclose(hdus[1].data, wanted, atol=0 if exact else 1)
                    assert hdus[0].header["OBSID"] == "MC_O_1"
                    assert hdus[0].header["ST_TYPE"] == "PIXELS"
                    header = hdus[1].header
                    assert (header["LTV1"], header["LTV2"]) == (-box.x0, -box.y0)
                    assert header["GAIN"] == 1.5
                    assert not {"DATASEC", "DETSEC"} & set(header)


def test_wcs_of_amplifiers_that_agree(tmp_path: Path) -> None:
    path = tmp_path / "raw.fits"
    wcs = make_image_header()
    write_raw(path, wcs=wcs)
    x, y = np.array([0.0, 39.0, 21.0]), np.array([0.0, 29.0, 7.0])
    wanted = WCS(wcs).all_pix2world(np.column_stack([x, y]), 0)
    with open_image(ResourcePath(str(path))) as image:
        lon, lat = image.projection().to_sky(x, y)
        assert apart(np.degrees([lon, lat]).T, wanted) < 1e-10
        back = image.projection().to_pixel(lon, lat)
        assert np.allclose(back, [x, y], atol=1e-8)
        with opened(image.cut(PixelBox(5, 39, 4, 29), Detail.IMAGE, ())) as hdus:
            found = WCS(hdus[1].header).all_pix2world(np.column_stack([x - 5, y - 4]), 0)
    assert apart(found, wanted) < 1e-9


def test_wcs_of_amplifiers_that_disagree_is_none(tmp_path: Path) -> None:
    """Simulated raws whose WCS forget the prescan are not on the sky."""
    path = tmp_path / "raw.fits"
    write_raw(path, wcs=make_image_header(), wrong_wcs=True)
    with open_image(ResourcePath(str(path))) as image:
        assert image.projection() is None
        with opened(image.cut(PixelBox(5, 9, 4, 9), Detail.IMAGE, ())) as hdus:
            assert "CTYPE1" not in hdus[1].header
    # One amplifier has the place on the sky that it claims.
    with open_image(ResourcePath(str(path)), hdu="segment01") as image:
        assert image.box == PixelBox(0, 24, 0, 15)
        assert image.projection() is not None


def test_amplifiers_with_a_gap_are_images_of_their_own(tmp_path: Path) -> None:
    """As the detectors of a camera in one file are."""
    path = tmp_path / "camera.fits"
    write_raw(path, gap=10)
    with open_image(ResourcePath(str(path))) as image:
        assert image.box == PixelBox(0, 24, 0, 15)


def test_raw_of_several_detectors_is_not_cut(tmp_path: Path) -> None:
    """Which of them a dataset is, the file does not tell; a wrong one would be no error."""
    path, whole = tmp_path / "camera.fits", tmp_path / "raw.fits"
    write_raw(path, gap=10)
    write_raw(whole)
    with (
        pytest.raises(UnsupportedError, match=r"'camera\.fits' has several images.*--hdu"),
        open_image(ResourcePath(str(path)), is_raw=True),
    ):
        pass
    with open_image(ResourcePath(str(path)), is_raw=True, hdu=2) as image:
        assert image.box == PixelBox(0, 24, 0, 15)
    with open_image(ResourcePath(str(whole)), is_raw=True) as image:
        assert image.box == PixelBox(0, 39, 0, 29)


def test_raw_of_one_image_is_cut(tmp_path: Path) -> None:
    """As those of cameras that write a file for each detector, overscan included."""
    path = tmp_path / "ccd.fits"
    fits.PrimaryHDU(DETECTOR).writeto(path)
    with open_image(ResourcePath(str(path)), is_raw=True) as image:
        assert np.array_equal(image.pixels(image.box), DETECTOR)


def test_raw_that_is_an_exposure_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "exposure.fits"
    write_afw_file(path)
    with open_image(ResourcePath(str(path)), is_raw=True) as image:
        assert np.array_equal(image.pixels(image.box), make_image_planes()["image"], equal_nan=True)


@pytest.mark.parametrize(
    ("backend", "told"),
    [
        (Backend.IMAGES, r"no file of lsst\.images"),
        (Backend.AFW, "takes the image that it finds, not HDU 'MASK'; use the backend 'fits'"),
    ],
)
def test_backends_that_take_no_choice_of_hdu(tmp_path: Path, backend: Backend, told: str) -> None:
    """None cuts another HDU than the one asked for."""
    path = tmp_path / "cut.fits"
    write_afw_file(path)
    with (
        pytest.raises(UnsupportedError, match=told),
        open_image(ResourcePath(str(path)), hdu="MASK", backend=backend),
    ):
        pass


@pytest.mark.parametrize(("hdu", "number"), [(1, 1), (3, 3), ("MASK", 2), ("variance", 3), (" Mask ", 2)])
def test_hdu_is_chosen(tmp_path: Path, hdu: int | str, number: int) -> None:
    path = tmp_path / "afw.fits"
    write_afw_file(path)
    plane = list(make_image_planes().values())[number - 1]
    with open_image(ResourcePath(str(path)), hdu=hdu) as image:
        box = PixelBox(1010, 1019, -30, -25)
        with opened(image.cut(box, Detail.IMAGE, ())) as hdus:
            assert np.array_equal(hdus[1].data, plane[10:16, 10:20])
        with pytest.raises(UnsupportedError, match="has no mask and variance"):
            image.cut(box, Detail.MASKED_IMAGE, ())


@pytest.mark.parametrize("hdu", [0, 4, -1, 10**9, "SKY", ""])
def test_hdu_that_is_no_image(tmp_path: Path, hdu: int | str) -> None:
    """The message names those that are."""
    path = tmp_path / "afw.fits"
    write_afw_file(path)
    with (
        pytest.raises(UnsupportedError, match="is no image; its images are: 1 IMAGE, 2 MASK, 3 VARIANCE"),
        open_image(ResourcePath(str(path)), hdu=hdu),
    ):
        pass


def test_remembered_files_remember_the_choice(tmp_path: Path) -> None:
    path = tmp_path / "afw.fits"
    write_afw_file(path)
    planes = make_image_planes()
    for hdu, name in ((None, "image"), (3, "variance"), (None, "image")):
        with open_image(ResourcePath(str(path)), "choice", hdu=hdu) as image:
            assert np.array_equal(image.pixels(image.box), planes[name], equal_nan=True)


def test_first_image_of_several(tmp_path: Path) -> None:
    """A table and an empty HDU before it are none."""
    path = tmp_path / "several.fits"
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1])])
    images = [fits.ImageHDU(np.full((4, 5), n, "i2"), name=f"N{n}") for n in (1, 2)]
    fits.HDUList([fits.PrimaryHDU(), table, fits.ImageHDU(), *images]).writeto(path)
    with fits.open(io.BytesIO(cut(str(path), PixelBox(0, 1, 0, 1)).content)) as hdus:
        assert hdus[1].name == "N1"
        assert hdus[1].data.tolist() == [[1, 1], [1, 1]]


def test_whole_numbers_have_no_nan(tmp_path: Path) -> None:
    """Nor has an image without a mask a plane for the shape."""
    path = tmp_path / "plain.fits"
    fits.PrimaryHDU(np.arange(36, dtype="i2").reshape(6, 6)).writeto(path)
    inside = np.eye(3, dtype=np.bool_)
    box = PixelBox(1, 3, 2, 4)
    with open_image(ResourcePath(str(path))) as image:
        with pytest.raises(
            UsageError, match=r"whole numbers, of which none is NaN; send OUTSIDE=keep"
        ) as nan:
            image.cut(box, Detail.IMAGE, (), Coverage(inside, Outside.NAN))
        with pytest.raises(UsageError, match=r"has no mask that could hold the shape; send OUTSIDE=nan$"):
            image.cut(box, Detail.EXPOSURE, (), Coverage(inside, Outside.MASK))
    assert (nan.value.parameter, nan.value.value) == ("OUTSIDE", "nan")


def test_plane_of_the_shape_is_the_first_free_one(tmp_path: Path) -> None:
    path = tmp_path / "afw.fits"
    write_afw_file(path)
    inside = np.eye(3, dtype=np.bool_)
    box = PixelBox(1001, 1003, -38, -36)
    for taken, wanted in ((range(2), 3), (range(31), None), ([*range(20), 30], 20)):
        with fits.open(path) as hdus:
            for number in taken:
                hdus[2].header[f"MP_P{number}"] = number
            hdus.writeto(tmp_path / "named.fits", overwrite=True)
        with open_image(ResourcePath(str(tmp_path / "named.fits"))) as image:
            if wanted is None:
                with pytest.raises(UnsupportedError, match=r"All planes of the mask.*OUTSIDE=nan"):
                    image.cut(box, Detail.EXPOSURE, (), Coverage(inside, Outside.MASK))
                continue
            with opened(image.cut(box, Detail.EXPOSURE, (), Coverage(inside, Outside.MASK))) as hdus:
                assert hdus[2].header["MP_OUTSIDE_STENCIL"] == wanted


@pytest.mark.parametrize(("dtype", "bit"), [("u1", 7), ("i2", 14), ("u4", 30), ("i8", 30)])
def test_masks_of_every_type_have_room_for_the_shape(tmp_path: Path, dtype: str, bit: int) -> None:
    """Without names, the last plane is the one that is least likely used."""
    planes = make_image_planes()
    path = tmp_path / "masked.fits"
    fits.HDUList(
        [
            fits.PrimaryHDU(),
            *(
                fits.ImageHDU(data.astype(dtype) if name == "mask" else data, name=name.upper())
                for name, data in planes.items()
            ),
        ]
    ).writeto(path)
    box = PixelBox(5, 24, 2, 11)
    inside = np.zeros((10, 20), dtype=np.bool_)
    inside[3:5, 4:9] = True
    with (
        open_image(ResourcePath(str(path))) as image,
        opened(image.cut(box, Detail.MASKED_IMAGE, (), Coverage(inside, Outside.MASK))) as hdus,
    ):
        mask = hdus["MASK"].data
        assert hdus["MASK"].header["MP_OUTSIDE_STENCIL"] == bit
    assert np.array_equal((mask >> bit) & 1, ~inside)
    assert np.array_equal(mask & ~np.array(1 << bit).astype(mask.dtype), planes["mask"][2:12, 5:25])
