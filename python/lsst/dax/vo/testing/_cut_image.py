"""What every image that is open for cutting must do."""

from __future__ import annotations

__all__ = ["CutImageTests"]

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from lsst.resources import ResourcePath

from ..errors import UsageError, VoError
from ..soda import Coverage, Detail, Outside, PixelBox
from ..soda._image import Buffer, CutImage
from ..soda.backends import Backend, open_image
from ._cutout_backend import CutoutSample

type Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]

CARDS = (("ST_TYPE", "CIRCLE", "a stencil"), ("ST_RA", 12.25, ""), ("BTLRUUID", "0" * 32, "an id"))


class CutImageTests:
    """The contract of `CutImage`; subclass it and give the fixture ``sample``.

    The image of the sample is at least 60 pixels long on both axes, of
    floats, and has a mask and a variance.
    """

    backend: ClassVar[Backend] = Backend.AUTO
    """The backend under test."""

    @pytest.fixture
    def sample(self) -> CutoutSample:
        """Return the sample of the backend under test."""
        raise NotImplementedError("subclasses give the fixture 'sample'")

    @pytest.fixture
    def image(self, sample: CutoutSample) -> Iterator[CutImage]:
        """Open the sample."""
        with open_image(ResourcePath(str(sample.path)), backend=self.backend) as image:
            yield image

    def test_box(self, image: CutImage, sample: CutoutSample) -> None:
        """All pixels, where the parent counts them."""
        assert image.box == sample.box

    def test_projection(self, image: CutImage, sample: CutoutSample) -> None:
        """Both ways, exact, and NaN where there is no image."""
        projection = image.projection()
        assert projection is not None
        x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(-5, 90, 7), np.linspace(-3, 70, 5)))
        sky = np.radians(sample.wcs.all_pix2world(np.column_stack([x, y]), 0))
        lon, lat = projection.to_sky(x + sample.x0, y + sample.y0)
        assert np.degrees(np.abs(np.sin(lon - sky[:, 0]) * np.cos(lat))).max() < 1e-8
        assert np.degrees(np.abs(lat - sky[:, 1])).max() < 1e-8
        back_x, back_y = projection.to_pixel(lon, lat)
        assert np.abs(back_x - x - sample.x0).max() < 1e-6
        assert np.abs(back_y - y - sample.y0).max() < 1e-6
        some = projection.to_sky(np.array([np.nan, sample.x0]), np.array([sample.y0, sample.y0 + 1.0]))
        assert np.isnan(some[0][0])
        assert np.isfinite(some[0][1])
        some = projection.to_pixel(np.array([np.nan, lon[0]]), np.array([0.1, lat[0]]))
        assert np.isnan(some[0][0])
        assert np.isfinite(some[0][1])

    @pytest.mark.parametrize("detail", Detail)
    def test_cut_is_a_slice(self, image: CutImage, sample: CutoutSample, detail: Detail) -> None:
        """In every detail, every plane of it, of every part of the image."""
        full = sample.box
        names = ["image"] if detail is Detail.IMAGE else list(sample.planes)
        for box in _boxes(full):
            with fits.open(io.BytesIO(b"".join(image.cut(box, detail, ())))) as hdus:
                for name in names:
                    found, wanted = hdus[name.upper()].data, _sliced(sample, name, box)
                    assert found.shape == wanted.shape
                    assert np.array_equal(found, wanted, equal_nan=wanted.dtype.kind == "f")

    @pytest.mark.parametrize("detail", Detail)
    def test_cut_keeps_its_place(
        self, image: CutImage, sample: CutoutSample, detail: Detail, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """Opened again, a cut is where it was, in pixels and on the sky."""
        box = PixelBox(sample.x0 + 13, sample.x0 + 44, sample.y0 + 8, sample.y0 + 21)
        path = tmp_path_factory.mktemp("cut") / "cut.fits"
        path.write_bytes(b"".join(image.cut(box, detail, ())))
        x, y = np.array([box.x0 - 0.5, box.x1 + 0.5]), np.array([box.y0, box.y1 + 0.25])
        wanted = _projected(image, x, y)
        with open_image(ResourcePath(str(path)), backend=self.backend) as inner:
            assert inner.box == box
            found = _projected(inner, x, y)
            assert np.array_equal(inner.pixels(box), _sliced(sample, "image", box), equal_nan=True)
        assert np.degrees(np.abs(found - wanted)).max() < 1e-8
        with fits.open(path) as hdus:
            header = WCS(hdus["IMAGE"].header)
        sky = header.all_pix2world(np.column_stack([x - box.x0, y - box.y0]), 0)
        assert np.degrees(np.abs(np.sin(np.radians(sky.T) - wanted))).max() < 1e-8

    def test_planes_keep_their_names(self, image: CutImage, sample: CutoutSample) -> None:
        """Bits and names of the mask are those of the file."""
        with fits.open(sample.path) as hdus:
            wanted = _plane_bits(hdus["MASK"].header)
        assert wanted
        for detail in (Detail.MASKED_IMAGE, Detail.EXPOSURE):
            with fits.open(io.BytesIO(b"".join(image.cut(sample.box, detail, ())))) as hdus:
                assert _plane_bits(hdus["MASK"].header) == wanted

    @pytest.mark.parametrize("detail", Detail)
    def test_cards_are_in_the_primary_header(
        self, image: CutImage, sample: CutoutSample, detail: Detail
    ) -> None:
        """Provenance, as it was given, once."""
        content = b"".join(image.cut(sample.box, detail, CARDS))
        with fits.open(io.BytesIO(content), checksum=True) as hdus:
            hdus.verify("exception")
            for key, value, _ in CARDS:
                assert hdus[0].header.count(key) == 1
                assert hdus[0].header[key] == value

    @pytest.mark.parametrize("detail", [Detail.MASKED_IMAGE, Detail.EXPOSURE])
    def test_outside_is_marked(self, image: CutImage, sample: CutoutSample, detail: Detail) -> None:
        """Pixels outside get a bit of their own; nothing else changes."""
        box, inside = _shape(sample)
        content = b"".join(image.cut(box, detail, (), Coverage(inside, Outside.MASK)))
        with fits.open(io.BytesIO(content)) as hdus:
            bits = _plane_bits(hdus["MASK"].header)
            mask = hdus["MASK"].data
            assert np.array_equal(hdus["IMAGE"].data, _sliced(sample, "image", box), equal_nan=True)
        bit = bits.pop("OUTSIDE_STENCIL")
        assert 1 << bit not in {1 << other for other in bits.values()}
        assert np.array_equal((mask >> bit) & 1, ~inside)
        assert np.array_equal(mask & ~(1 << bit), _sliced(sample, "mask", box))

    def test_outside_is_marked_once(
        self, image: CutImage, sample: CutoutSample, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """A cut of a cut marks in the same plane, beside what was marked."""
        box, inside = _shape(sample)
        path = tmp_path_factory.mktemp("cut") / "cut.fits"
        path.write_bytes(b"".join(image.cut(box, Detail.EXPOSURE, (), Coverage(inside, Outside.MASK))))
        part = PixelBox(box.x0 + 1, box.x1, box.y0, box.y1 - 2)
        also = np.ones((part.height, part.width), dtype=np.bool_)
        also[0, :3] = False
        with open_image(ResourcePath(str(path)), backend=self.backend) as inner:
            content = b"".join(inner.cut(part, Detail.EXPOSURE, (), Coverage(also, Outside.MASK)))
        with fits.open(io.BytesIO(content)) as hdus:
            bits = _plane_bits(hdus["MASK"].header)
            marked = (hdus["MASK"].data >> bits["OUTSIDE_STENCIL"]) & 1
        assert np.array_equal(marked, ~(inside[:-2, 1:] & also))

    @pytest.mark.parametrize("detail", Detail)
    def test_outside_is_blank(self, image: CutImage, sample: CutoutSample, detail: Detail) -> None:
        """Image and variance are NaN outside; the mask stays as it is."""
        box, inside = _shape(sample)
        names = ["image"] if detail is Detail.IMAGE else ["image", "variance"]
        content = b"".join(image.cut(box, detail, (), Coverage(inside, Outside.NAN)))
        with fits.open(io.BytesIO(content)) as hdus:
            for name in names:
                wanted = np.where(inside, _sliced(sample, name, box), np.nan)
                assert np.array_equal(hdus[name.upper()].data, wanted, equal_nan=True)
            if detail is not Detail.IMAGE:
                assert np.array_equal(hdus["MASK"].data, _sliced(sample, "mask", box))

    def test_image_alone_has_no_plane_to_mark(self, image: CutImage, sample: CutoutSample) -> None:
        """The message says what to send instead."""
        box, inside = _shape(sample)
        with pytest.raises(UsageError, match=r"has no mask.*(OUTSIDE=nan|CUTOUTDETAIL=MaskedImage)"):
            image.cut(box, Detail.IMAGE, (), Coverage(inside, Outside.MASK))

    def test_pixels(self, image: CutImage, sample: CutoutSample) -> None:
        """Native floats, first row first, as the file means them."""
        for box in _boxes(sample.box):
            found = image.pixels(box)
            assert found.dtype in (np.float32, np.float64)
            assert found.dtype.isnative
            assert np.array_equal(found, _sliced(sample, "image", box), equal_nan=True)

    def test_image_cuts_again(self, image: CutImage, sample: CutoutSample) -> None:
        """One open image makes any number of cutouts, each the same as ever."""
        box, inside = _shape(sample)
        first = [_without_times(image.cut(box, detail, CARDS)) for detail in Detail]
        image.cut(box, Detail.EXPOSURE, (), Coverage(inside, Outside.MASK))
        whole = Coverage(np.ones((sample.box.height, sample.box.width), dtype=np.bool_), Outside.NAN)
        image.cut(sample.box, Detail.EXPOSURE, (), whole)
        assert [_without_times(image.cut(box, detail, CARDS)) for detail in Detail] == first

    @pytest.mark.parametrize("detail", Detail)
    def test_damage_is_found(
        self, sample: CutoutSample, detail: Detail, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """Half a file is an error of ours when it is opened or cut, or cuts."""
        content = sample.path.read_bytes()
        path = tmp_path_factory.mktemp("short") / "short.fits"
        for size in (len(content) // 2, len(content) - 2880 * 3, 1000):
            path.write_bytes(content[:size])
            outcome = _cut_or_refuse(path, self.backend, sample.box, detail)
            if isinstance(outcome, VoError):
                assert "'short.fits'" in str(outcome)
            else:
                assert outcome % 2880 == 0


def _cut_or_refuse(path: Path, backend: Backend, box: PixelBox, detail: Detail) -> int | VoError:
    try:
        with open_image(ResourcePath(str(path)), backend=backend) as image:
            return sum(len(part) for part in image.cut(box, detail, ()))
    except VoError as err:
        return err


def _without_times(parts: tuple[Buffer, ...]) -> bytes:
    return re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", b"", b"".join(parts))


def _boxes(full: PixelBox) -> list[PixelBox]:
    return [
        full,
        PixelBox(full.x0 + 7, full.x0 + 31, full.y0 + 11, full.y0 + 52),
        PixelBox(full.x0, full.x0, full.y0, full.y0),
        PixelBox(full.x1 - 1, full.x1, full.y0 + 3, full.y1),
        PixelBox(full.x0, full.x1, full.y1, full.y1),
    ]


def _shape(sample: CutoutSample) -> tuple[PixelBox, np.ndarray[tuple[int, int], np.dtype[np.bool_]]]:
    box = PixelBox(sample.x0 + 5, sample.x0 + 34, sample.y0 + 20, sample.y0 + 44)
    y, x = np.mgrid[: box.height, : box.width]
    return box, np.hypot(x - 14.2, y - 11.7) < 11


def _sliced(sample: CutoutSample, name: str, box: PixelBox) -> Array:
    rows = slice(box.y0 - sample.y0, box.y1 - sample.y0 + 1)
    columns = slice(box.x0 - sample.x0, box.x1 - sample.x0 + 1)
    return sample.planes[name][rows, columns]


def _projected(image: CutImage, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    projection = image.projection()
    assert projection is not None
    return np.array(projection.to_sky(x, y))


def _plane_bits(header: fits.Header) -> dict[str, int]:
    # As afw writes them, and as lsst.images does.
    bits = {key.removeprefix("MP_"): int(value) for key, value in header.items() if key.startswith("MP_")}
    for key, value in header.items():
        if key.startswith("MSKN"):
            bits[value] = int(header[f"MSKM{key[4:]}"]).bit_length() - 1
    return bits
