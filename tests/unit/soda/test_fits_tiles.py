"""Tile-compressed images, against what astropy reads; and damaged tables."""

import io
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from lsst.resources import ResourcePath

from lsst.dax.vo.errors import UnsupportedError
from lsst.dax.vo.soda import Detail, PixelBox, cut
from lsst.dax.vo.soda.backends import open_image


def write_tiled(path: Path, data: np.ndarray, **options: Any) -> np.ndarray:
    """Write a compressed image; return what astropy reads of it."""
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data, **options)]).writeto(path, overwrite=True)
    with fits.open(path) as hdus:
        return np.array(hdus[1].data)


def read_cut(path: Path, box: PixelBox) -> np.ndarray:
    with fits.open(io.BytesIO(cut(str(path), box).content)) as hdus:
        return np.array(hdus[1].data)


def noise(shape: tuple[int, ...], dtype: str = "f4") -> np.ndarray:
    data = np.random.default_rng(3).normal(100, 10, shape).astype(dtype)
    if data.dtype.kind == "f":
        data[..., 2:5, 7:60] = np.nan
        data[..., 9, :] = 0.0
    return data


# Boxes of one pixel, of a corner, of a part, and of all of a tile.
BOXES = [PixelBox(130, 130, 3, 3), PixelBox(0, 5, 0, 12), PixelBox(30, 150, 1, 140), PixelBox(0, 179, 0, 159)]


@pytest.mark.parametrize("method", [-1, 1, 2])
@pytest.mark.parametrize("tile", [(160, 180), (128, 128), (1, 180), (1, 50), (3, 180)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_parts_of_dithered_tiles(tmp_path: Path, method: int, tile: tuple[int, int], dtype: str) -> None:
    """Tiles of more than 10000 pixels begin the random numbers again."""
    data = noise((160, 180), dtype)
    wanted = write_tiled(
        tmp_path / "tiled.fits",
        data,
        compression_type="RICE_1",
        tile_shape=tile,
        quantize_method=method,
        # The last but one of them, which the tiles go beyond.
        dither_seed=9999,
    )
    assert np.isnan(wanted[3, 10])
    for box in BOXES:
        found = read_cut(tmp_path / "tiled.fits", box)
        assert found.dtype.newbyteorder("=") == dtype
        part = wanted[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1]
        assert np.array_equal(found, part, equal_nan=True)


@pytest.mark.parametrize("compression", ["GZIP_1", "GZIP_2"])
@pytest.mark.parametrize("method", [-1, 2])
def test_rows_of_quantized_numbers(tmp_path: Path, compression: str, method: int) -> None:
    """Whatever packs them."""
    wanted = write_tiled(
        tmp_path / "tiled.fits",
        noise((160, 180)),
        compression_type=compression,
        quantize_level=16,
        quantize_method=method,
        dither_seed=9999,
        tile_shape=(1, 180),
    )
    for box in BOXES:
        part = wanted[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1]
        assert np.array_equal(read_cut(tmp_path / "tiled.fits", box), part, equal_nan=True)


@pytest.mark.parametrize("tile", [(1, 180), (40, 50)])
@pytest.mark.parametrize("blank", [-(2**31), 2**40])
def test_blank_that_no_number_is(tmp_path: Path, tile: tuple[int, int], blank: int) -> None:
    """Pixels are what their numbers say, and none of them NaN."""
    data = np.random.default_rng(3).normal(100, 10, (160, 180)).astype("f4")
    path = tmp_path / "tiled.fits"
    options = {"quantize_method": 2, "dither_seed": 7, "tile_shape": tile}
    wanted = write_tiled(path, data, compression_type="RICE_1", **options)
    with fits.open(path, mode="update", disable_image_compression=True) as hdus:
        assert "ZBLANK" not in hdus[1].header
        hdus[1].header["ZBLANK"] = blank
    for box in BOXES:
        assert np.array_equal(read_cut(path, box), wanted[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1])


@pytest.mark.parametrize("compression", ["GZIP_1", "GZIP_2", "NOCOMPRESS"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("tile", [(1, 180), (40, 50)])
def test_parts_of_lossless_tiles(tmp_path: Path, compression: str, dtype: str, tile: tuple[int, int]) -> None:
    wanted = write_tiled(
        tmp_path / "tiled.fits",
        noise((160, 180), dtype),
        compression_type=compression,
        tile_shape=tile,
        quantize_level=0,
    )
    for box in BOXES:
        part = wanted[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1]
        assert np.array_equal(read_cut(tmp_path / "tiled.fits", box), part, equal_nan=True)


def test_many_tiles_are_decoded_in_parallel(tmp_path: Path) -> None:
    """Enough pixels for threads, which fill one array."""
    data = np.random.default_rng(5).normal(0, 30, (700, 900)).astype("f4")
    wanted = write_tiled(tmp_path / "tiled.fits", data, compression_type="RICE_1", tile_shape=(1, 900))
    assert np.array_equal(read_cut(tmp_path / "tiled.fits", PixelBox(3, 890, 2, 699)), wanted[2:, 3:891])


@pytest.mark.parametrize("number", [0, 350, 699])
def test_damaged_tile_among_many(tmp_path: Path, number: int) -> None:
    """Whichever thread comes to it."""
    path = tmp_path / "tiled.fits"
    data = np.random.default_rng(5).normal(0, 30, (700, 900)).astype("f4")
    write_tiled(path, data, compression_type="GZIP_2", quantize_level=0, tile_shape=(1, 900))
    content = bytearray(path.read_bytes())
    with fits.open(path, disable_image_compression=True) as hdus:
        width, heap = hdus[1].header["NAXIS1"], hdus[1].header["NAXIS1"] * hdus[1].header["NAXIS2"]
        table = hdus[1].fileinfo()["datLoc"]
    _, offset = struct.unpack_from(">ii", content, table + number * width)
    content[table + heap + offset + 20 : table + heap + offset + 40] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(UnsupportedError, match=r"'tiled.fits' is cut short or damaged"):
        read_cut(path, PixelBox(0, 899, 0, 699))
    # All other rows are there.
    rows = (0, number - 1) if number else (1, 699)
    assert np.array_equal(read_cut(path, PixelBox(0, 899, *rows)), data[rows[0] : rows[1] + 1])


def test_tiles_that_would_not_quantize(tmp_path: Path) -> None:
    """They stand as floats in the column beside (FITS 4.0, 10.2.2)."""
    data = noise((40, 180))
    data[5] = np.linspace(0, 1e30, 180)
    data[6] = np.inf
    wanted = write_tiled(tmp_path / "tiled.fits", data, compression_type="RICE_1", tile_shape=(1, 180))
    with fits.open(tmp_path / "tiled.fits", disable_image_compression=True) as hdus:
        assert sum(map(len, hdus[1].data["GZIP_COMPRESSED_DATA"])) > 0
    for box in (PixelBox(10, 20, 3, 9), PixelBox(0, 179, 0, 39)):
        part = wanted[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1]
        assert np.array_equal(read_cut(tmp_path / "tiled.fits", box), part, equal_nan=True)


def test_compressed_cube_keeps_its_planes(tmp_path: Path) -> None:
    data = np.random.default_rng(5).integers(0, 99, (3, 40, 60)).astype("i4")
    write_tiled(tmp_path / "tiled.fits", data, compression_type="RICE_1", tile_shape=(1, 7, 20))
    assert np.array_equal(read_cut(tmp_path / "tiled.fits", PixelBox(15, 44, 5, 21)), data[:, 5:22, 15:45])


def test_cube_compressed_across_its_planes_is_refused(tmp_path: Path) -> None:
    data = np.zeros((3, 40, 60), "i4")
    write_tiled(tmp_path / "tiled.fits", data, compression_type="GZIP_1", tile_shape=(3, 8, 8))
    with pytest.raises(UnsupportedError, match=r"compressed across its planes.*extract the planes"):
        cut(str(tmp_path / "tiled.fits"), PixelBox(0, 1, 0, 1))


@pytest.mark.parametrize("compression", [None, "RICE_1"])
def test_values_of_blank_and_scaled_pixels(tmp_path: Path, compression: str | None) -> None:
    """BLANK is NaN, and BSCALE and BZERO apply, to what looks at values."""
    data = np.arange(600, dtype="i2").reshape(20, 30)
    data[4, 5] = -7
    path = tmp_path / "blank.fits"
    if compression is None:
        hdus = [fits.PrimaryHDU(), fits.ImageHDU(data)]
    else:
        hdus = [fits.PrimaryHDU(), fits.CompImageHDU(data, compression_type=compression)]
    fits.HDUList(hdus).writeto(path)
    content = path.read_bytes()
    at = content.rindex(b"END" + b" " * 77)
    cards = [("BSCALE", 0.5), ("BZERO", 10.0), ("BLANK", -7)]
    text = b"".join(f"{key:8}= {value:>20}".encode().ljust(80) for key, value in cards) + b"END"
    path.write_bytes(content[:at] + text + content[at + len(text) :])
    box = PixelBox(3, 9, 2, 6)
    wanted = data[2:7, 3:10] * 0.5 + 10
    wanted[2, 2] = np.nan
    with open_image(ResourcePath(str(path))) as image:
        found = image.pixels(box)
        assert found.dtype == np.float32
        assert np.array_equal(found, wanted, equal_nan=True)
        content = b"".join(image.cut(box, Detail.IMAGE, ()))
    with fits.open(io.BytesIO(content)) as cutout:
        assert np.array_equal(cutout[1].data, wanted, equal_nan=True)


def table_at(content: bytes) -> tuple[int, int]:
    """Return where the table begins, and the number of its rows."""
    at = content.index(b"XTENSION= 'BINTABLE'")
    end = content.index(b"END" + b" " * 77, at)
    rows = re.search(rb"NAXIS2  = +(\d+)", content[at:end])
    return end + 80 + (-(end + 80) % 2880), int(rows[1])


@pytest.mark.parametrize(
    "descriptor",
    [(-1, 0), (0, 0), (10**9, 0), (100, -8), (100, 2**31 - 1), (100, 10**6), (2**31 - 1, 2**31 - 1)],
)
def test_tables_that_point_outside_of_the_heap(tmp_path: Path, descriptor: tuple[int, int]) -> None:
    path = tmp_path / "tiled.fits"
    write_tiled(path, noise((40, 180)), compression_type="RICE_1", tile_shape=(8, 60))
    content = bytearray(path.read_bytes())
    at, _ = table_at(content)
    content[at : at + 8] = struct.pack(">ii", *descriptor)
    path.write_bytes(content)
    with pytest.raises(UnsupportedError, match=r"'tiled\.fits' is cut short or damaged"):
        cut(str(path), PixelBox(0, 9, 0, 9))
    # Other tiles are as good as they were.
    assert cut(str(path), PixelBox(60, 69, 8, 9)).box.width == 10


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ZNAXIS1", 2**40),
        ("ZNAXIS2", 2**40),
        ("ZTILE1", 2**40),
        ("ZTILE1", 0),
        ("ZTILE2", -5),
        ("NAXIS2", 2**50),
        ("NAXIS1", 2**50),
        ("PCOUNT", 2**60),
        ("THEAP", -3),
        ("TFIELDS", 10**9),
        ("ZVAL1", 0),
        ("ZVAL2", 3),
        ("ZBITPIX", 7),
        ("ZNAXIS", 10**9),
    ],
)
def test_headers_that_promise_the_moon(tmp_path: Path, key: str, value: int) -> None:
    """Sizes are compared with the file before memory is asked for."""
    path = tmp_path / "tiled.fits"
    write_tiled(path, noise((40, 180)), compression_type="RICE_1", tile_shape=(8, 60))
    content = path.read_bytes()
    at = content.index(b"XTENSION= 'BINTABLE'")
    card = f"{key:8}= {value:>20}".encode().ljust(80)
    place = content.find(key.ljust(8).encode() + b"= ", at)
    if place < 0:
        place = content.index(b"GCOUNT  =", at)
    path.write_bytes(content[:place] + card + content[place + 80 :])
    try:
        cutout = cut(str(path), PixelBox(0, 2**41, 0, 2**41))
    except UnsupportedError as err:
        outcome = str(err)
    else:
        outcome = f"{cutout.box.size} pixels"
    assert re.search(rf"tiled\.fits|Rice|^{40 * 180} pixels$", outcome)


def test_bomb_of_gzip(tmp_path: Path) -> None:
    """A tile that unpacks to a thousand times its pixels is not unpacked."""
    path = tmp_path / "tiled.fits"
    write_tiled(path, noise((40, 180)), compression_type="GZIP_1", tile_shape=(40, 180), quantize_level=0)
    content = bytearray(path.read_bytes())
    at, rows = table_at(content)
    count, offset = struct.unpack_from(">ii", content, at)
    packer = zlib.compressobj(9, wbits=31)
    bomb = packer.compress(bytes(20_000_000)) + packer.flush()
    assert len(bomb) < count
    row = int(re.search(rb"NAXIS1  = +(\d+)", content[content.index(b"XTENSION= 'BINTABLE'") :])[1])
    heap = at + row * rows + offset
    content[heap : heap + len(bomb)] = bomb
    content[at : at + 4] = struct.pack(">i", len(bomb))
    # The trailer may lie about the size.
    for size in (20_000_000, 40 * 180 * 4):
        content[heap + len(bomb) - 4 : heap + len(bomb)] = struct.pack("<I", size)
        path.write_bytes(content)
        with pytest.raises(UnsupportedError, match="is cut short or damaged"):
            cut(str(path), PixelBox(0, 9, 0, 9))


def test_tile_of_hcompress_that_says_it_is_larger(tmp_path: Path) -> None:
    """The decoder would write past the end of the tile."""
    path = tmp_path / "tiled.fits"
    data = np.random.default_rng(1).integers(0, 99, (40, 60)).astype("i4")
    write_tiled(path, data, compression_type="HCOMPRESS_1", tile_shape=(8, 60))
    content = bytearray(path.read_bytes())
    magic = content.index(b"\xdd\x99\0\0")
    content[magic + 2 : magic + 10] = struct.pack(">II", 4000, 6000)
    path.write_bytes(content)
    with pytest.raises(UnsupportedError, match="is cut short or damaged"):
        cut(str(path), PixelBox(0, 59, 0, 7))


def test_tile_of_plio_that_says_it_is_longer(tmp_path: Path) -> None:
    path = tmp_path / "tiled.fits"
    data = np.random.default_rng(1).integers(0, 9, (40, 60)).astype("i2")
    wanted = write_tiled(path, data, compression_type="PLIO_1", tile_shape=(8, 60))
    assert np.array_equal(read_cut(path, PixelBox(5, 50, 3, 30)), wanted[3:31, 5:51])
    content = bytearray(path.read_bytes())
    at, rows = table_at(content)
    row = int(re.search(rb"NAXIS1  = +(\d+)", content[content.index(b"XTENSION= 'BINTABLE'") :])[1])
    heap = at + row * rows
    content[heap + 6 : heap + 10] = struct.pack(">hh", 32767, 32767)
    path.write_bytes(content)
    with pytest.raises(UnsupportedError, match="is cut short or damaged"):
        cut(str(path), PixelBox(0, 59, 0, 7))


@pytest.mark.parametrize("algorithm", ["NOCOMPRESS", "GZIP_1", "GZIP_2"])
@pytest.mark.parametrize("size", [10, 481, 480 * 3, 480 * 16])
def test_tiles_of_pixels_that_no_number_has(tmp_path: Path, algorithm: str, size: int) -> None:
    """Bytes that are not one, two, four or eight for each of 480 pixels."""
    path = tmp_path / "tiled.fits"
    write_tiled(path, noise((40, 60), "i4"), compression_type="GZIP_1", tile_shape=(8, 60))
    content = bytearray(path.read_bytes())
    at, _ = table_at(content)
    plain = bytes(size)
    stored = plain if algorithm == "NOCOMPRESS" else zlib.compress(plain, wbits=31)
    # At the end of the heap, which is made longer.
    heap = int(re.search(rb"PCOUNT  = +(\d+)", content[content.index(b"XTENSION") :])[1])
    row, rows = (
        int(re.search(key + rb"  = +(\d+)", content[content.index(b"XTENSION") :])[1])
        for key in (b"NAXIS1", b"NAXIS2")
    )
    del content[at + row * rows + heap :]
    content += stored + bytes(-(len(content) + len(stored)) % 2880)
    struct.pack_into(">ii", content, at, len(stored), heap)
    header = bytes(content[:at]).replace(
        f"PCOUNT  = {heap:>20}".encode(), f"PCOUNT  = {heap + len(stored):>20}".encode()
    )
    header = header.replace(b"ZCMPTYPE= 'GZIP_1  '".ljust(30), f"ZCMPTYPE= '{algorithm}'".encode().ljust(30))
    path.write_bytes(header + content[at:])
    with pytest.raises(UnsupportedError, match=r"'tiled\.fits' is cut short or damaged"):
        cut(str(path), PixelBox(0, 9, 0, 7))
