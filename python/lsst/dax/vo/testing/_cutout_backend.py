"""What every backend of the cutout kernel must do."""

from __future__ import annotations

__all__ = ["CutoutBackendTests", "CutoutSample"]

import datetime as dt
import io
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from ..dali import Circle, Polygon, Range, Stencil, to_region
from ..errors import NotFoundError, UnsupportedError, UsageError, VoError
from ..soda import Cutout, Detail, PixelBox, Provenance, cut

type Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]


@dataclass(frozen=True, slots=True)
class CutoutSample:
    """A file to cut, and the truth about it."""

    path: Path
    """The file."""

    planes: Mapping[str, Array]
    """Pixels by the name of the HDU that a complete cutout has them in,
    lower case: at least ``image``."""

    x0: int
    """Parent coordinate of the first column."""

    y0: int
    """Parent coordinate of the first row."""

    wcs: WCS
    """Exact WCS of the whole image, 0-based within the file."""

    @property
    def box(self) -> PixelBox:
        """All pixels, in parent coordinates."""
        rows, columns = self.planes["image"].shape
        return PixelBox(self.x0, self.x0 + columns - 1, self.y0, self.y0 + rows - 1)


class CutoutBackendTests:
    """The contract of backends; subclass it and give the fixture ``sample``.

    The image of the sample is at least 60 pixels long on both axes and has
    a mask and a variance.
    """

    @pytest.fixture
    def sample(self) -> CutoutSample:
        """Return the sample of the backend under test."""
        raise NotImplementedError("subclasses give the fixture 'sample'")

    @pytest.mark.parametrize("detail", Detail)
    @pytest.mark.parametrize("part", ["inside", "first pixel", "last pixel", "row", "everything"])
    def test_pixels_are_those_of_the_file(self, sample: CutoutSample, detail: Detail, part: str) -> None:
        """Every plane equals the slice of its parent."""
        full = sample.box
        box = {
            "inside": PixelBox(full.x0 + 7, full.x0 + 31, full.y0 + 11, full.y0 + 52),
            "first pixel": PixelBox(full.x0, full.x0, full.y0, full.y0),
            "last pixel": PixelBox(full.x1, full.x1, full.y1, full.y1),
            "row": PixelBox(full.x0, full.x1, full.y0 + 5, full.y0 + 5),
            "everything": full,
        }[part]
        cutout = _existing(cut(str(sample.path), box, detail=detail))
        assert (cutout.box, cutout.detail, cutout.media_type) == (box, detail, "application/fits")
        planes = ["image"] if detail is Detail.IMAGE else list(sample.planes)
        with fits.open(io.BytesIO(cutout.content)) as hdus:
            for name in planes:
                found = hdus[name.upper()].data
                wanted = _sliced(sample, name, box)
                assert np.array_equal(found, wanted, equal_nan=wanted.dtype.kind == "f"), name

    def test_image_alone_has_no_mask(self, sample: CutoutSample) -> None:
        """CUTOUTDETAIL=Image sends the image and nothing else of its size."""
        cutout = _existing(cut(str(sample.path), sample.box, detail=Detail.IMAGE))
        with fits.open(io.BytesIO(cutout.content)) as hdus:
            assert not {"MASK", "VARIANCE"} & {hdu.name for hdu in hdus}

    @pytest.mark.parametrize("detail", Detail)
    def test_header_wcs_of_the_cut(self, sample: CutoutSample, detail: Detail) -> None:
        """A FITS reader finds each pixel where it was on the sky."""
        box = PixelBox(sample.x0 + 20, sample.x0 + 45, sample.y0 + 9, sample.y0 + 57)
        cutout = _existing(cut(str(sample.path), box, detail=detail))
        x, y = np.meshgrid(np.arange(0, box.width, 5.0), np.arange(0, box.height, 6.0))
        with fits.open(io.BytesIO(cutout.content)) as hdus:
            found = WCS(hdus["IMAGE"].header).all_pix2world(np.column_stack([x.ravel(), y.ravel()]), 0)
        parent = np.column_stack([x.ravel() + 20, y.ravel() + 9])
        assert np.abs(found - sample.wcs.all_pix2world(parent, 0)).max() < 1e-8

    @pytest.mark.parametrize("detail", Detail)
    def test_cut_of_a_cut(self, sample: CutoutSample, detail: Detail, tmp_path: Path) -> None:
        """Cuts keep their parent's coordinates, in pixels and on the sky."""
        outer = PixelBox(sample.x0 + 3, sample.x0 + 58, sample.y0 + 2, sample.y0 + 55)
        path = tmp_path / "outer.fits"
        path.write_bytes(_existing(cut(str(sample.path), outer, detail=detail)).content)
        inner = PixelBox(sample.x0 + 10, sample.x0 + 20, sample.y0 + 30, sample.y0 + 44)
        stencil = self._circle(sample, 15.2, 37.4, 4.3)
        for region in (inner, stencil):
            first = _existing(cut(str(sample.path), region))
            second = _existing(cut(str(path), region))
            assert first.box == second.box
            with fits.open(io.BytesIO(second.content)) as hdus:
                assert np.array_equal(hdus["IMAGE"].data, _sliced(sample, "image", first.box), equal_nan=True)

    @pytest.mark.parametrize("shape", ["circle", "polygon", "clockwise", "concave", "range"])
    def test_box_of_stencil_holds_its_pixels(self, sample: CutoutSample, shape: str) -> None:
        """The box is that of the pixels that the stencil touches."""
        stencil = self._stencil(sample, shape)
        cutout = _existing(cut(str(sample.path), stencil))
        # Five by five points in each pixel say what is touched to 0.2.
        steps = np.arange(0, 5) * 0.2 - 0.4
        x, y = np.meshgrid(
            (np.arange(sample.box.width)[:, None] + steps).ravel(),
            (np.arange(sample.box.height)[:, None] + steps).ravel(),
        )
        sky = np.radians(sample.wcs.all_pix2world(np.column_stack([x.ravel(), y.ravel()]), 0))
        inside = np.reshape(to_region(stencil).contains(*np.ascontiguousarray(sky.T)), x.shape)
        touched = PixelBox(
            *(
                int(np.floor(limit + 0.5)) + first
                for values, first in ((x[inside], sample.x0), (y[inside], sample.y0))
                for limit in (values.min(), values.max())
            )
        )
        found = cutout.box
        assert touched.clipped_to(found) == touched
        assert found.width - touched.width <= 2
        assert found.height - touched.height <= 2

    def test_partly_outside_is_clipped(self, sample: CutoutSample) -> None:
        """SODA 1.0, 3.3: what overlaps is delivered."""
        cutout = _existing(cut(str(sample.path), self._circle(sample, -0.4, 20.3, 5.2)))
        assert (cutout.box.x0, cutout.box.x1) == (sample.x0, sample.x0 + 5)
        wide = PixelBox(sample.x0 - 100, sample.x0 + 4, sample.y0 - 7, sample.y0 + 6)
        cutout = _existing(cut(str(sample.path), wide))
        assert cutout.box == PixelBox(sample.x0, sample.x0 + 4, sample.y0, sample.y0 + 6)

    def test_everything_inside_a_huge_stencil(self, sample: CutoutSample) -> None:
        """A hemisphere, whose edge has no image, holds the whole image."""
        ra, dec = self._sky(sample, 30, 30)
        for stencil in (Circle(ra, dec, 89.0), Circle(ra, dec, 180.0), Range(0.0, 360.0, -90.0, 90.0)):
            assert _existing(cut(str(sample.path), stencil)).box == sample.box

    def test_no_pixel_is_no_cutout(self, sample: CutoutSample) -> None:
        """SODA 1.0, 4.1: nothing there is no error, and no file."""
        ra, dec = self._sky(sample, 30, 30)
        assert cut(str(sample.path), Circle((ra + 180) % 360, -dec, 10.0)) is None
        assert cut(str(sample.path), self._circle(sample, -50.0, 20.0, 10.0)) is None
        # The box of this circle holds the corner pixel, the circle does not.
        assert cut(str(sample.path), self._circle(sample, -5.0, -5.0, 6.0)) is None
        away = PixelBox(sample.box.x1 + 1, sample.box.x1 + 9, sample.y0, sample.y0 + 9)
        assert cut(str(sample.path), away) is None

    def test_tiny_stencil_is_one_pixel(self, sample: CutoutSample) -> None:
        """However small, a stencil inside the image touches a pixel."""
        cutout = _existing(cut(str(sample.path), self._circle(sample, 17.2, 23.8, 1e-4)))
        assert cutout.box == PixelBox(sample.x0 + 17, sample.x0 + 17, sample.y0 + 24, sample.y0 + 24)

    @pytest.mark.parametrize("detail", Detail)
    def test_provenance_is_in_the_primary_header(self, sample: CutoutSample, detail: Detail) -> None:
        """The cards that Rubin's service writes."""
        provenance = Provenance(
            time=dt.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=dt.timezone(dt.timedelta(hours=1))),
            version="1.2.3",
            dataset_id=uuid.UUID("0123456789abcdef0123456789abcdef"),
            dataset_type="visit_image",
            data_id={"instrument": "LSSTCam", "visit": 2026010200003, "detector": 94},
        )
        stencil = self._circle(sample, 30, 30, 5)
        cutout = _existing(cut(str(sample.path), stencil, detail=detail, provenance=provenance))
        with fits.open(io.BytesIO(cutout.content)) as hdus:
            header = hdus[0].header
            found = {key: header[key] for key in ("BTLRUUID", "BTLRNAME", "BTLRK001", "BTLRV001")}
            assert found == {
                "BTLRUUID": "0123456789abcdef0123456789abcdef",
                "BTLRNAME": "visit_image",
                "BTLRK001": "visit",
                "BTLRV001": 2026010200003,
            }
            assert (header["ST_TYPE"], header["ST_RA"], header["ST_DEC"], header["ST_RAD"]) == (
                "CIRCLE",
                stencil.ra_deg,
                stencil.dec_deg,
                stencil.radius_deg,
            )
            assert (header["DATE-CUT"], header["CUTVERS"]) == ("2026-01-02T02:04:05.678", "1.2.3")

    @pytest.mark.parametrize("detail", Detail)
    def test_cutout_is_a_valid_fits_file(self, sample: CutoutSample, detail: Detail) -> None:
        """Whole blocks, cards in order, sums that hold where there are any."""
        cutout = _existing(
            cut(str(sample.path), PixelBox(sample.x0, sample.x0 + 9, sample.y0, sample.y0 + 9), detail=detail)
        )
        assert cutout.size == len(cutout.content)
        assert cutout.size % 2880 == 0
        with fits.open(io.BytesIO(cutout.content), checksum=True) as hdus:
            hdus.verify("exception")

    def test_too_many_pixels(self, sample: CutoutSample) -> None:
        """A limit says what it is."""
        with pytest.raises(UsageError, match=r"covers 100 pixels of the image; at most 99"):
            cut(
                str(sample.path),
                PixelBox(sample.x0, sample.x0 + 9, sample.y0, sample.y0 + 9),
                max_pixels=99,
            )

    def test_file_is_missing(self, sample: CutoutSample) -> None:
        """The message names the file, not its folder."""
        with pytest.raises(NotFoundError, match=r"no file 'missing\.fits'") as caught:
            cut(str(sample.path.with_name("missing.fits")), sample.box)
        assert str(sample.path.parent) not in str(caught.value)

    @pytest.mark.parametrize("detail", Detail)
    def test_file_is_cut_short(self, sample: CutoutSample, detail: Detail, tmp_path: Path) -> None:
        """Nothing half done: a complete cutout or an error that says so."""
        content = sample.path.read_bytes()
        path = tmp_path / "short.fits"
        for size in (3000, len(content) // 3, len(content) // 2, len(content) - 2880 * 3):
            path.write_bytes(content[:size])
            with pytest.raises(VoError, match=r"'short\.fits'"):
                cut(str(path), sample.box, detail=Detail.EXPOSURE)
            outcome = _cut_or_refuse(path, sample.box, detail)
            if isinstance(outcome, UnsupportedError):
                assert "'short.fits'" in str(outcome)
            else:
                assert outcome.size % 2880 == 0

    def _sky(self, sample: CutoutSample, x: float, y: float) -> tuple[float, float]:
        ra, dec = sample.wcs.all_pix2world([[x, y]], 0)[0]
        return float(ra) % 360, float(dec)

    def _circle(self, sample: CutoutSample, x: float, y: float, radius: float) -> Circle:
        # Radius in pixels, of a WCS with square ones.
        ra, dec = self._sky(sample, x, y)
        ra2, dec2 = self._sky(sample, x + 1, y)
        scale = float(np.hypot((ra2 - ra) * np.cos(np.radians(dec)), dec2 - dec))
        return Circle(ra, dec, radius * scale)

    def _stencil(self, sample: CutoutSample, shape: str) -> Stencil:
        if shape == "circle":
            return self._circle(sample, 25.3, 31.7, 9.6)
        if shape == "range":
            corners = [self._sky(sample, x, y) for x, y in ((22, 31), (35, 33))]
            (ra1, ra2), (dec1, dec2) = (sorted(pair) for pair in zip(*corners, strict=True))
            return Range(ra1, ra2, dec1, dec2)
        points = [(12.1, 14.2), (44.3, 19.9), (39.8, 48.7), (20.4, 41.2)]
        if shape == "concave":
            points.insert(2, (31.0, 28.0))
        vertices = [self._sky(sample, x, y) for x, y in points]
        if shape == "clockwise":
            vertices.reverse()
        ra, dec = zip(*vertices, strict=True)
        return Polygon(ra, dec)


def _existing(cutout: Cutout | None) -> Cutout:
    assert cutout is not None, "there are pixels in this region"
    return cutout


def _sliced(sample: CutoutSample, name: str, box: PixelBox) -> Array:
    rows = slice(box.y0 - sample.y0, box.y1 - sample.y0 + 1)
    columns = slice(box.x0 - sample.x0, box.x1 - sample.x0 + 1)
    return sample.planes[name][rows, columns]


def _cut_or_refuse(path: Path, box: PixelBox, detail: Detail) -> Cutout | UnsupportedError:
    try:
        return _existing(cut(str(path), box, detail=detail))
    except UnsupportedError as err:
        return err
