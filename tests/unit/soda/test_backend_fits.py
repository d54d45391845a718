"""The contract of backends, for afw and plain FITS files."""

import gzip
import io
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from lsst.dax.vo.dali import Circle
from lsst.dax.vo.errors import UnsupportedError
from lsst.dax.vo.services import write_cutouts
from lsst.dax.vo.soda import Detail, PixelBox, cut
from lsst.dax.vo.testing import (
    IMAGE_SHAPE,
    IMAGE_XY0,
    CutImageTests,
    CutoutBackendTests,
    CutoutSample,
    make_image_header,
    make_image_planes,
    write_afw_file,
)

BOX = PixelBox(IMAGE_XY0[0] + 11, IMAGE_XY0[0] + 40, IMAGE_XY0[1] + 3, IMAGE_XY0[1] + 22)
SLICE = np.s_[3:23, 11:41]


class TestAfw(CutoutBackendTests):
    """An uncompressed file in the layout of afw."""

    compression: str | None = None

    @pytest.fixture
    def sample(self, tmp_path: Path) -> CutoutSample:
        path = tmp_path / "afw.fits"
        write_afw_file(path, self.compression)
        return CutoutSample(path, make_image_planes(), *IMAGE_XY0, WCS(make_image_header(sip=True)))


class TestAfwGzip1(TestAfw):
    compression = "GZIP_1"


class TestAfwGzip2(TestAfw):
    compression = "GZIP_2"


class TestAfwImage(CutImageTests):
    """The contract of open images, uncompressed and compressed."""

    @pytest.fixture(params=[None, "GZIP_2"])
    def sample(self, request: pytest.FixtureRequest, tmp_path: Path) -> CutoutSample:
        path = tmp_path / "afw.fits"
        write_afw_file(path, request.param)
        return CutoutSample(path, make_image_planes(), *IMAGE_XY0, WCS(make_image_header(sip=True)))


# HCOMPRESS needs tiles of four rows or more.
TILES = [
    (compression, tile)
    for compression in ("GZIP_1", "GZIP_2", "RICE_1", "HCOMPRESS_1")
    for tile in ((1, 80), (16, 16), (17, 23), (72, 80))
    if compression != "HCOMPRESS_1" or min(tile) >= 4
]


@pytest.mark.parametrize(("compression", "tile"), TILES)
@pytest.mark.parametrize("dither", [-1, 1, 2])
def test_lossy_tiles_are_decoded_as_by_astropy(
    tmp_path: Path, compression: str, tile: tuple[int, int], dither: int
) -> None:
    """FITS 4.0, 10: quantized floats, with and without dithering."""
    path = tmp_path / "afw.fits"
    write_afw_file(
        path, compression, quantize_level=16, tile_shape=tile, quantize_method=dither, dither_seed=1234
    )
    with (
        fits.open(path) as parent,
        fits.open(io.BytesIO(cut(str(path), BOX, detail=Detail.EXPOSURE).content)) as ours,
    ):
        for number in (1, 2, 3):
            assert np.array_equal(ours[number].data, parent[number].data[SLICE], equal_nan=True)


# What each compression holds without loss.
TYPES = {
    None: ("u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"),
    "GZIP_1": ("u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"),
    "GZIP_2": ("u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"),
    "RICE_1": ("u1", "i2", "u2", "i4", "u4"),
    "HCOMPRESS_1": ("u1", "i2", "u2", "i4", "u4"),
    "PLIO_1": ("u1", "i2", "i4"),
}


@pytest.mark.parametrize(
    ("compression", "dtype"), [(compression, dtype) for compression in TYPES for dtype in TYPES[compression]]
)
def test_every_type_of_pixel(tmp_path: Path, dtype: str, compression: str | None) -> None:
    rng = np.random.default_rng(1)
    data = rng.integers(0, 200, IMAGE_SHAPE).astype(dtype)
    path = tmp_path / "plain.fits"
    if compression is None:
        fits.PrimaryHDU(data, make_image_header()).writeto(path)
    else:
        fits.HDUList(
            [
                fits.PrimaryHDU(),
                fits.CompImageHDU(data, make_image_header(), compression_type=compression, quantize_level=0),
            ]
        ).writeto(path)
    box = PixelBox(11, 40, 3, 22)
    with fits.open(io.BytesIO(cut(str(path), box).content)) as hdus:
        hdu = hdus[0] if compression is None else hdus[1]
        assert hdu.data.dtype.newbyteorder("=") == np.dtype(dtype)
        assert np.array_equal(hdu.data, data[SLICE])
        assert not any(key.startswith("Z") for key in hdu.header)
        # Plain files keep where they were in IRAF's way.
        assert (hdu.header["LTV1"], hdu.header["LTV2"]) == (-11.0, -3.0)
        assert (hdu.header["CRPIX1"], hdu.header["CRPIX2"]) == (26.25, 27.5)


@pytest.mark.parametrize("dtype", ["u4", "i8"])
def test_masks_are_written_as_afw_reads_them(tmp_path: Path, dtype: str) -> None:
    """Unsigned masks of 32 bits and masks of 64 are zeros to afw."""
    planes = make_image_planes()
    hdus = [fits.PrimaryHDU()]
    for name, data in planes.items():
        hdus.append(fits.ImageHDU(data.astype(dtype) if name == "mask" else data, name=name.upper()))
    path = tmp_path / "masked.fits"
    fits.HDUList(hdus).writeto(path)
    with fits.open(
        io.BytesIO(cut(str(path), PixelBox(11, 40, 3, 22), detail=Detail.MASKED_IMAGE).content)
    ) as ours:
        assert ours["MASK"].header["BITPIX"] == 32
        assert "BZERO" not in ours["MASK"].header
        assert np.array_equal(ours["MASK"].data, planes["mask"][SLICE])


def test_cards_that_no_library_reads_stay_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "afw.fits"
    write_afw_file(path)
    with fits.open(path) as hdus:
        at = hdus[1]._header_offset
        header = hdus[1].header
    strange = b"CONTINUE =                    1 / not a continuation".ljust(80)
    content = bytearray(path.read_bytes())
    end = content.index(b"END" + b" " * 77, at)
    content[end : end + 160] = strange + b"END".ljust(80)
    path.write_bytes(content)
    ours = cut(str(path), BOX, detail=Detail.EXPOSURE).content
    assert strange in ours
    assert header["EXTTYPE"] == "IMAGE"


def test_compressed_as_a_whole(tmp_path: Path) -> None:
    plain = tmp_path / "afw.fits"
    write_afw_file(plain)
    packed = tmp_path / "afw.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert cut(str(packed), BOX).content == cut(str(plain), BOX).content
    packed.write_bytes(gzip.compress(plain.read_bytes())[:-3000])
    with pytest.raises(UnsupportedError, match=r"'afw\.fits\.gz' is cut short or damaged"):
        cut(str(packed), BOX)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "is a Git LFS pointer"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 9000, "is not FITS"),
        (b"SIMPLE", "is not FITS"),
        (b"SIMPLE  =                    T".ljust(80) + b" " * 2800, "is cut short or damaged"),
    ],
    ids=["empty", "lfs", "png", "six bytes", "no end"],
)
def test_files_that_are_no_images(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "strange.fits"
    path.write_bytes(content)
    with pytest.raises(UnsupportedError, match=rf"'strange\.fits' {message}"):
        cut(str(path), PixelBox(0, 1, 0, 1))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("NAXIS1", 2**40),
        ("NAXIS2", 2**62),
        ("NAXIS1", -5),
        ("NAXIS", -1),
        ("NAXIS", 10**9),
        ("BITPIX", 7),
        ("NAXIS2", "'many'"),
        ("NAXIS2", "1E400"),
    ],
)
def test_sizes_that_cannot_be(tmp_path: Path, key: str, value: object) -> None:
    """Compared with the file before memory is asked for."""
    path = tmp_path / "strange.fits"
    fits.PrimaryHDU(np.zeros((9, 9), "f4")).writeto(path)
    content = path.read_bytes()
    at = content.index(key.ljust(8).encode() + b"= ")
    path.write_bytes(content[:at] + f"{key:8}= {value!s:>20}".encode().ljust(80) + content[at + 80 :])
    with pytest.raises(UnsupportedError, match=r"'strange\.fits' is cut short or damaged"):
        cut(str(path), PixelBox(0, 2**41, 0, 2**63))


def test_tables_are_no_images(tmp_path: Path) -> None:
    path = tmp_path / "table.fits"
    fits.HDUList(
        [fits.PrimaryHDU(), fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1])])]
    ).writeto(path)
    with pytest.raises(UnsupportedError, match="holds no image"):
        cut(str(path), PixelBox(0, 1, 0, 1))


def test_pipe_is_no_file(tmp_path: Path) -> None:
    """Nobody writes into it, so that reading would wait for ever."""
    os.mkfifo(tmp_path / "pipe.fits")
    with pytest.raises(UnsupportedError, match="is no file"):
        cut(str(tmp_path / "pipe.fits"), PixelBox(0, 1, 0, 1))


def test_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=f"'{tmp_path.name}' is no file"):
        cut(str(tmp_path), PixelBox(0, 1, 0, 1))


def test_image_without_wcs(tmp_path: Path) -> None:
    path = tmp_path / "blank.fits"
    fits.PrimaryHDU(np.zeros((9, 9))).writeto(path)
    with pytest.raises(UnsupportedError, match=r"no celestial WCS.*cut it by pixels"):
        cut(str(path), Circle(0, 0, 1))
    assert cut(str(path), PixelBox(1, 2, 3, 4)).box == PixelBox(1, 2, 3, 4)


def test_plain_image_has_no_mask(tmp_path: Path) -> None:
    path = tmp_path / "plain.fits"
    fits.PrimaryHDU(np.zeros((9, 9), "f4"), make_image_header()).writeto(path)
    with pytest.raises(UnsupportedError, match="has no mask and variance; send CUTOUTDETAIL=Image"):
        cut(str(path), PixelBox(1, 2, 3, 4), detail=Detail.MASKED_IMAGE)


def test_mask_that_was_cut_off_is_not_said_never_to_have_been(tmp_path: Path) -> None:
    path = tmp_path / "short.fits"
    write_afw_file(path, None)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(UnsupportedError, match="is cut short or damaged"):
        cut(str(path), PixelBox(1003, 1009, -30, -20), detail=Detail.MASKED_IMAGE)


def test_cube_keeps_its_planes(tmp_path: Path) -> None:
    path = tmp_path / "cube.fits"
    data = np.arange(2 * 3 * 20 * 30, dtype="i2").reshape(2, 3, 20, 30)
    header = make_image_header()
    header["CTYPE3"] = "FREQ"
    fits.PrimaryHDU(data, header).writeto(path)
    with fits.open(io.BytesIO(cut(str(path), PixelBox(3, 9, 4, 5)).content)) as hdus:
        assert np.array_equal(hdus[0].data, data[:, :, 4:6, 3:10])
    center = WCS(make_image_header()).all_pix2world([[5, 5]], 0)[0]
    assert cut(str(path), Circle(*center, 1e-7)).box == PixelBox(5, 5, 5, 5)


def write_lookup_file(path: Path) -> None:
    """Write an image whose WCS has distortions in tables."""
    table = np.full((3, 3), 4.0, dtype="f4")
    hdus = [fits.PrimaryHDU(np.zeros(IMAGE_SHAPE, "f4"), make_image_header())]
    for axis in (1, 2):
        hdus[0].header[f"CPDIS{axis}"] = "LOOKUP"
        for text in (f"EXTVER: {axis}.0", "NAXES: 2.0", "AXIS.1: 1.0", "AXIS.2: 2.0"):
            hdus[0].header.append((f"DP{axis}", text))
        hdu = fits.ImageHDU(table * axis, name="WCSDVARR", ver=axis)
        for i in (1, 2):
            hdu.header[f"CRPIX{i}"], hdu.header[f"CRVAL{i}"], hdu.header[f"CDELT{i}"] = 1.0, 1.0, 50.0
        hdus.append(hdu)
    fits.HDUList(hdus).writeto(path)


def test_distortion_tables_are_followed(tmp_path: Path) -> None:
    """A WCS with lookup tables, which AST does not read."""
    path = tmp_path / "lookup.fits"
    write_lookup_file(path)
    with fits.open(path) as opened:
        wcs = WCS(opened[0].header, opened)
        ra, dec = wcs.all_pix2world([[40, 30]], 0)[0]
    plain_ra, plain_dec = WCS(make_image_header()).all_pix2world([[40, 30]], 0)[0]
    assert cut(str(path), Circle(ra, dec, 1e-7)).box == PixelBox(40, 40, 30, 30)
    assert cut(str(path), Circle(plain_ra, plain_dec, 1e-7)).box == PixelBox(36, 36, 22, 22)
    # The tables go along, so that the cutout has a WCS, too.
    with fits.open(io.BytesIO(cut(str(path), PixelBox(20, 60, 10, 50)).content)) as hdus:
        cutout_wcs = WCS(hdus[0].header, hdus)
    pixels = np.array([[0.0, 0.0], [40.0, 40.0], [7.0, 31.0]])
    assert np.allclose(
        wcs.all_world2pix(cutout_wcs.all_pix2world(pixels, 0), 0),
        pixels + np.array([20, 10]),
        rtol=0,
        atol=1e-6,
    )


def test_distortion_tables_of_several_cutouts_in_one_file(tmp_path: Path) -> None:
    path, output = tmp_path / "lookup.fits", tmp_path / "all.fits"
    write_lookup_file(path)
    pairs = [
        ("ID", str(path)),
        ("PIXELS", "20 60 10 50"),
        ("PIXELS", "30 40 5 15"),
        ("RESPONSEFORMAT", "mef"),
    ]
    list(write_cutouts(output, pairs))
    with fits.open(path) as whole, fits.open(output) as hdus:
        wcs = WCS(whole[0].header, whole)
        for number, corner in ((1, [20, 10]), (2, [30, 5])):
            found = WCS(hdus["IMAGE", number].header, hdus).all_pix2world([[3, 5]], 0)
            assert np.allclose(wcs.all_world2pix(found, 0), np.add(corner, [3, 5]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("key", "value"), [("DP1", "EXTVER: x"), ("D2IMDIS1", "X")])
def test_distortion_tables_that_are_damaged(tmp_path: Path, key: str, value: str) -> None:
    path = tmp_path / "lookup.fits"
    header = make_image_header()
    header["CPDIS1"] = "OTHER"
    header[key] = value
    fits.PrimaryHDU(np.zeros(IMAGE_SHAPE, "f4"), header).writeto(path)
    with pytest.raises(UnsupportedError, match="cannot be read, it is damaged; cut the image by pixels"):
        cut(str(path), Circle(1, 2, 3))


@pytest.mark.parametrize("value", ["1E308", "1E400", "-1.7E308"])
def test_distortions_that_overflow(tmp_path: Path, value: str) -> None:
    """AST looked for their inverse for ever."""
    path = tmp_path / "sip.fits"
    fits.PrimaryHDU(np.zeros(IMAGE_SHAPE, "f4"), make_image_header(sip=True)).writeto(path)
    content = path.read_bytes()
    at = content.index(b"A_2_0 ")
    path.write_bytes(content[:at] + f"A_2_0   = {value:>20}".ljust(80).encode() + content[at + 80 :])
    with pytest.raises(UnsupportedError, match="no celestial WCS"):
        cut(str(path), Circle(1, 2, 3))


def test_reference_pixels_that_are_not_told_are_zero(tmp_path: Path) -> None:
    path = tmp_path / "corner.fits"
    header = make_image_header()
    for key in ("CRPIX1", "CRPIX2"):
        del header[key]
    fits.PrimaryHDU(np.zeros(IMAGE_SHAPE, "f4"), header).writeto(path)
    wcs = WCS(fits.getheader(path))
    with fits.open(io.BytesIO(cut(str(path), PixelBox(20, 60, 10, 50)).content)) as hdus:
        found = WCS(hdus[0].header).all_pix2world([[3, 5]], 0)
    assert np.allclose(wcs.all_world2pix(found, 0), [[23, 15]], rtol=0, atol=1e-6)


def test_plates_of_the_sky_survey_begin_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "plate.fits"
    hdu = fits.PrimaryHDU(np.zeros((50, 50), "i2"))
    hdu.header.update({"AMDX1": 67.2, "AMDY1": 67.2, "CNPIX1": 8080, "CNPIX2": 9090})
    hdu.writeto(path)
    with fits.open(io.BytesIO(cut(str(path), PixelBox(20, 30, 10, 15)).content)) as hdus:
        assert (hdus[0].header["CNPIX1"], hdus[0].header["CNPIX2"]) == (8100, 9100)


def test_chosen_hdu_does_not_bring_the_primary_image(tmp_path: Path) -> None:
    path = tmp_path / "two.fits"
    small = np.arange(600, dtype="f4").reshape(20, 30)
    fits.HDUList([fits.PrimaryHDU(np.ones((500, 400), "u2")), fits.ImageHDU(small)]).writeto(path)
    cutout = cut(str(path), PixelBox(3, 5, 7, 8), hdu=1)
    assert cutout.size == 3 * 2880
    with fits.open(io.BytesIO(cutout.content)) as hdus:
        hdus.verify("exception")
        assert hdus[0].data is None
        assert "BZERO" not in hdus[0].header
        assert np.array_equal(hdus[1].data, small[7:9, 3:6])
