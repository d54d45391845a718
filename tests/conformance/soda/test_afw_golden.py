"""Cutouts of files written by the real lsst.afw, against what it made of them.

`README.json` of the data folder says how the numbers were made: pixel
hashes with every non-finite value as one NaN, WCS points, boxes by the
boundary's range, coverage by pixel centers.
"""

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from lsst.resources import ResourcePath

from lsst.dax.vo.dali import Circle, Polygon, Range, Stencil
from lsst.dax.vo.soda import Detail, PixelBox, coverage, cut, stencil_box
from lsst.dax.vo.soda.backends import open_image

GOLDEN = Path(os.environ.get("DAX_VO_TEST_DATA", Path(__file__).parents[4] / "shared/data")) / "afw-golden"

if not GOLDEN.is_dir():
    pytest.skip(f"no golden files of afw in {GOLDEN}; set DAX_VO_TEST_DATA", allow_module_level=True)

TRUTHS = {
    path.stem: truth
    for path in sorted(GOLDEN.glob("exposure_*.json"))
    if "cutouts" in (truth := json.loads(path.read_text()))
}
CUTOUTS = [
    pytest.param(truth, cutout, id=f"{name}-{cutout['label']}")
    for name, truth in TRUTHS.items()
    for cutout in truth["cutouts"]
]
WRITTEN = [param for param in CUTOUTS if "header_cards" in param.values[1]]
STENCILS = [
    pytest.param(name, stencil, id=f"{name}-{number}-{stencil['kind']}")
    for name, entry in json.loads((GOLDEN / "stencils.json").read_text()).items()
    for number, stencil in enumerate(entry["stencils"])
]


def canonical_hash(array: np.ndarray) -> str:
    native = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    if native.dtype.kind == "f":
        bits = native.view(f"u{native.itemsize}").copy()
        bits[~np.isfinite(native)] = 0x7FC00000 if native.itemsize == 4 else 0x7FF8000000000000
        return hashlib.sha256(bits.tobytes()).hexdigest()
    return hashlib.sha256(native.tobytes()).hexdigest()


def truth_hash(plane: dict[str, Any]) -> str:
    return plane.get("sha256_canon", plane["sha256"])


def to_box(bbox: dict[str, int] | None) -> PixelBox | None:
    if bbox is None:
        return None
    return PixelBox(bbox["x0"], bbox["x0"] + bbox["width"] - 1, bbox["y0"], bbox["y0"] + bbox["height"] - 1)


def to_stencil(truth: dict[str, Any]) -> Stencil:
    params = truth["params"]
    match truth["kind"]:
        case "CIRCLE":
            return Circle(params["ra_deg"], params["dec_deg"], params["r_deg"])
        case "RANGE":
            return Range(params["ra1_deg"], params["ra2_deg"], params["dec1_deg"], params["dec2_deg"])
    ra, dec = zip(*params["vertices_deg"], strict=True)
    return Polygon(ra, dec)


@pytest.mark.parametrize("detail", Detail)
@pytest.mark.parametrize(("truth", "expected"), CUTOUTS)
def test_pixels_equal_those_of_afw(truth: dict[str, Any], expected: dict[str, Any], detail: Detail) -> None:
    box = to_box(expected["bbox"])
    cutout = cut(str(GOLDEN / truth["file"]), box, detail=detail)
    assert cutout.box == box
    with fits.open(io.BytesIO(cutout.content)) as hdus:
        planes = ["image", "mask", "variance"] if detail is not Detail.IMAGE else ["image"]
        assert [hdu.name for hdu in hdus[1:4] if hdu.name in ("IMAGE", "MASK", "VARIANCE")] == [
            name.upper() for name in planes
        ]
        for number, name in enumerate(planes, start=1):
            assert hdus[number].data.shape == tuple(expected[name]["shape"])
            assert canonical_hash(hdus[number].data) == truth_hash(expected[name]), name


@pytest.mark.parametrize(("truth", "expected"), WRITTEN)
def test_cards_equal_those_of_afw(truth: dict[str, Any], expected: dict[str, Any]) -> None:
    """The WCS and origin of the cut, and the mask planes by name."""
    cutout = cut(str(GOLDEN / truth["file"]), to_box(expected["bbox"]), detail=Detail.EXPOSURE)
    cards = {key: value for key, value in expected["header_cards"].items() if not key.endswith("_ID")}
    with (
        fits.open(io.BytesIO(cutout.content)) as ours,
        fits.open(GOLDEN / truth["file"]) as parent,
    ):
        found = {key: ours[1].header.get(key) for key in cards}
        assert found == {
            key: pytest.approx(value, rel=1e-14) if isinstance(value, float) else value
            for key, value in cards.items()
        }
        planes = {key: value for key, value in ours[2].header.items() if key.startswith("MP_")}
        assert planes == {key: value for key, value in parent[2].header.items() if key.startswith("MP_")}
        assert planes


@pytest.mark.parametrize(("truth", "expected"), CUTOUTS)
def test_archive_is_the_parents_byte_for_byte(truth: dict[str, Any], expected: dict[str, Any]) -> None:
    parent = (GOLDEN / truth["file"]).read_bytes()
    content = cut(str(GOLDEN / truth["file"]), to_box(expected["bbox"]), detail=Detail.EXPOSURE).content
    with fits.open(io.BytesIO(content), disable_image_compression=True) as hdus:
        ours = content[hdus[4]._header_offset :]
        primary = content[: hdus[1]._header_offset]
    with fits.open(GOLDEN / truth["file"], disable_image_compression=True) as hdus:
        assert ours == parent[hdus[4]._header_offset :]
        assert primary == parent[: hdus[1]._header_offset]


@pytest.mark.parametrize("name", TRUTHS)
def test_wcs_is_that_of_afw(name: str) -> None:
    truth = TRUTHS[name]
    points = truth["wcs"]["points"]
    x, y, ra_deg, dec_deg = (np.array([p[key] for p in points]) for key in ("x", "y", "ra_deg", "dec_deg"))
    with open_image(ResourcePath(str(GOLDEN / truth["file"]))) as image:
        assert image.box == to_box(truth["exposure"]["bbox"])
        projection = image.projection()
        ra, dec = projection.to_sky(x, y)
        east = (np.degrees(ra) - ra_deg + 180) % 360 - 180
        assert np.abs(east * np.cos(dec)).max() < 1e-8
        assert np.abs(np.degrees(dec) - dec_deg).max() < 1e-8
        x_back, y_back = projection.to_pixel(np.radians(ra_deg), np.radians(dec_deg))
        assert np.abs(x_back - x).max() < 1e-6
        assert np.abs(y_back - y).max() < 1e-6


@pytest.mark.parametrize(("truth", "expected"), CUTOUTS)
@pytest.mark.parametrize("detail", Detail)
def test_wcs_of_the_cut_is_the_parents(
    truth: dict[str, Any], expected: dict[str, Any], detail: Detail, tmp_path: Path
) -> None:
    """In parent pixels, which the cut's origin keeps."""
    box = to_box(expected["bbox"])
    path = tmp_path / "cut.fits"
    path.write_bytes(cut(str(GOLDEN / truth["file"]), box, detail=detail).content)
    x, y = (
        grid.ravel() for grid in np.meshgrid(np.linspace(box.x0, box.x1, 7), np.linspace(box.y0, box.y1, 7))
    )
    with (
        open_image(ResourcePath(str(path))) as ours,
        open_image(ResourcePath(str(GOLDEN / truth["file"]))) as parent,
    ):
        assert ours.box == box
        found, wanted = ours.projection().to_sky(x, y), parent.projection().to_sky(x, y)
    assert np.degrees(np.abs(np.sin(found[0] - wanted[0]) * np.cos(wanted[1]))).max() < 1e-8
    assert np.degrees(np.abs(found[1] - wanted[1])).max() < 1e-8


@pytest.mark.parametrize(("name", "truth"), STENCILS)
def test_box_of_stencil(name: str, truth: dict[str, Any]) -> None:
    with open_image(ResourcePath(str(GOLDEN / f"{name}.fits"))) as image:
        found = stencil_box(to_stencil(truth), image.projection(), image.box)
    assert found == to_box(truth["bbox_touch_clipped"])


@pytest.mark.parametrize(("name", "truth"), STENCILS)
def test_coverage_is_that_of_afw(name: str, truth: dict[str, Any]) -> None:
    """Of the stencil's own box, and of the image, most of which is outside."""
    touched = to_box(truth["bbox_touch_clipped"])
    with open_image(ResourcePath(str(GOLDEN / f"{name}.fits"))) as image:
        projection, full = image.projection(), image.box
    for box in (full, touched) if touched else (full,):
        inside = coverage(to_stencil(truth), projection, box)
        spans = np.zeros_like(inside)
        for row, first, last in truth.get("spans_y_x0_x1", ()):
            spans[row - box.y0, first - box.x0 : last - box.x0 + 1] = True
        assert np.array_equal(inside, spans)
    if touched:
        digest = hashlib.sha256(inside.astype(np.uint8).tobytes()).hexdigest()
        assert digest == truth["coverage_sha256_uint8_over_bbox_touch_clipped"]
