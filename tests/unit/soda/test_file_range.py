"""Bytes that stay in their file until somebody needs them, and rows with gaps."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from lsst.resources import ResourcePath

from lsst.dax.vo.errors import UnsupportedError, VoError
from lsst.dax.vo.soda import Coverage, Cutout, Detail, Outside, PixelBox, cut
from lsst.dax.vo.soda._file_range import FileRange
from lsst.dax.vo.soda.backends import open_image
from lsst.dax.vo.soda.backends._source import LocalSource

SIZE = 3_000_007


@pytest.fixture
def content() -> bytes:
    return np.random.default_rng(1).bytes(SIZE)


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "file"
    path.write_bytes(content)
    return path


@pytest.fixture
def descriptor(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize(
    ("offset", "count"), [(0, SIZE), (11, 2**18), (11, 2**18 + 1), (SIZE - 1, 1), (7, 0)]
)
def test_is_a_buffer_and_comes_in_pieces(descriptor: int, content: bytes, offset: int, count: int) -> None:
    found = FileRange(descriptor, offset, count, "file")
    wanted = content[offset : offset + count]
    assert len(found) == count
    assert memoryview(found) == wanted
    assert b"".join([found]) == wanted
    if count:
        # The array is all that is left of it.
        pixels = np.frombuffer(FileRange(descriptor, offset, count, "file"), dtype=np.uint8)
        assert pixels.tobytes() == wanted
        assert not pixels.flags.writeable
    pieces = [bytes(piece) for piece in found.pieces()]
    assert b"".join(pieces) == wanted
    assert max(map(len, pieces), default=0) <= 2**18


def test_outlives_whoever_opened_the_file(path: Path, content: bytes) -> None:
    """And its name; it closes the file itself."""
    before = len(list(Path("/dev/fd").iterdir()))
    descriptor = os.open(path, os.O_RDONLY)
    found = FileRange(descriptor, 5, 100, "file")
    os.close(descriptor)
    path.unlink()
    assert memoryview(found) == content[5:105]
    del found
    assert len(list(Path("/dev/fd").iterdir())) == before


@pytest.mark.parametrize("read", [memoryview, lambda found: list(found.pieces())])
def test_file_that_shrinks_meanwhile(
    path: Path, descriptor: int, read: Callable[[FileRange], object]
) -> None:
    found = FileRange(descriptor, 5, 10_000, "file")
    os.truncate(path, 9_000)
    with pytest.raises(UnsupportedError, match="'file' is cut short or damaged"):
        read(found)


@pytest.mark.parametrize("stride", [40, 5000, 70_000, 1_200_000])
@pytest.mark.parametrize("part", [1, 0.9, 0.5, 0.03, 0])
def test_rows_with_gaps(descriptor: int, content: bytes, stride: int, part: float) -> None:
    """Whatever is read along with them; the last row ends with the file."""
    count = max(1, int(part * stride))
    rows = (SIZE - count) // stride + 1
    offset = SIZE - (rows - 1) * stride - count
    found = LocalSource("file", descriptor).read_rows(offset, count, stride, rows)
    # A reader of its own, which knows nothing of blocks.
    wanted = b"".join(
        content[start : start + count] for start in range(offset, offset + rows * stride, stride)
    )
    assert memoryview(found) == wanted
    with pytest.raises(UnsupportedError, match="cut short"):
        LocalSource("file", descriptor).read_rows(offset + 1, count, stride, rows)


@pytest.fixture(scope="module")
def exposure(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an exposure whose planes are large enough to stay in the file."""
    path = tmp_path_factory.mktemp("exposure") / "large.fits"
    hdus: list[fits.PrimaryHDU | fits.ImageHDU] = [fits.PrimaryHDU()]
    rng = np.random.default_rng(2)
    for name, dtype in {"IMAGE": "f4", "MASK": "i4", "VARIANCE": "f4"}.items():
        data = rng.normal(100, 10, (1100, 1024)).astype(dtype)
        hdu = fits.ImageHDU(data & 1 if name == "MASK" else data, name=name)
        hdu.header["EXTTYPE"] = name
        hdu.header["MP_BAD"] = 0
        hdus.append(hdu)
    fits.HDUList(hdus).writeto(path)
    return path


BOX = PixelBox(0, 1023, 10, 1093)


def whole(path: Path) -> Cutout:
    cutout = cut(str(path), BOX, detail=Detail.MASKED_IMAGE)
    assert cutout is not None
    return cutout


def test_cutout_of_whole_rows(exposure: Path) -> None:
    """Planes of whole rows stay in the file, whichever way they are read."""
    cutout = whole(exposure)
    assert sum(isinstance(part, FileRange) for part in cutout.parts) == 3
    content = cutout.content
    assert b"".join(cutout.chunks()) == content
    assert cutout.size == len(content)
    with fits.open(exposure) as wanted, fits.HDUList.fromstring(content) as found:
        for name in ("IMAGE", "MASK", "VARIANCE"):
            assert np.array_equal(found[name].data, wanted[name].data[10:1094])


def test_pixels_of_whole_rows_may_be_changed(exposure: Path) -> None:
    """In a copy; the file stays as it is."""
    before = exposure.read_bytes()
    inside = np.zeros((BOX.height, BOX.width), dtype=bool)
    inside[5:9, 7:300] = True
    with open_image(ResourcePath(str(exposure))) as image:
        parts = image.cut(BOX, Detail.MASKED_IMAGE, (), Coverage(inside, Outside.NAN))
        masked = image.cut(BOX, Detail.MASKED_IMAGE, (), Coverage(inside, Outside.MASK))
        pixels = image.pixels(BOX)
    with fits.open(exposure) as wanted, fits.HDUList.fromstring(b"".join(parts)) as found:
        plane = wanted["IMAGE"].data[10:1094]
        assert np.array_equal(pixels, plane)
        assert np.array_equal(found["IMAGE"].data, np.where(inside, plane, np.nan), equal_nan=True)
    with fits.HDUList.fromstring(b"".join(masked)) as found:
        bit = 1 << found["MASK"].header["MP_OUTSIDE_STENCIL"]
        assert np.array_equal(found["MASK"].data & bit != 0, ~inside)
    assert exposure.read_bytes() == before


def test_cutout_of_a_file_that_shrinks_meanwhile(exposure: Path, tmp_path: Path) -> None:
    """A sentence, and not the end of the process, as of a file that is mapped."""
    path = tmp_path / "short.fits"
    path.write_bytes(exposure.read_bytes())
    cutout = whole(path)
    os.truncate(path, 6_000_000)
    for read in (lambda: cutout.content, lambda: list(cutout.chunks())):
        with pytest.raises(VoError, match=r"'short.fits' is cut short or damaged; fetch it again"):
            read()
