"""Files made by others: cut like any, or refused in one sentence."""

import io
import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame
from lsst.resources import ResourcePath

from lsst.dax.vo.dali import Circle
from lsst.dax.vo.errors import UnsupportedError
from lsst.dax.vo.soda import Detail, PixelBox, cut
from lsst.dax.vo.soda.backends import open_image

DATA = Path(os.environ.get("DAX_VO_TEST_DATA", Path(__file__).parents[4] / "shared/data"))
FILES = sorted((DATA / "fits").rglob("*.fits*")) + sorted(
    (DATA / "butler/jointcal_cfht_minimal").rglob("calexp-*.fits*")
)

if not FILES:
    pytest.skip(f"no files of others in {DATA}; set DAX_VO_TEST_DATA", allow_module_level=True)

NOT_IMAGES = {
    "empty-v0.fits": "holds no image",
    "multi_extension_metadata.fits": "holds no image",
    "oldTanSipWcs.fits": "holds no image",
    "DECam_00154912_12_header.fits": "holds no image",
}
WITHOUT_WCS = {
    "hsc_crs.fits",
    "ip_diffim_scienceMI.fits",
    "small_MI_corrupt_img.fits",
    "ticketdm26260.fits",
    "ticketdm26260.fits.fz",
    "reproject_image_with_distortion_map.fits",
}
IMAGES = [pytest.param(path, id=path.name) for path in FILES if path.name not in NOT_IMAGES]
WITH_WCS = [param for param in IMAGES if param.id not in WITHOUT_WCS]


def read_parent(path: Path) -> tuple[np.ndarray, fits.Header]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        with fits.open(path) as hdus:
            hdu = next(
                hdu for hdu in hdus if hdu.is_image and hdu.header["NAXIS"] >= 2 and hdu.data is not None
            )
            header = hdu.header if "CTYPE1" in hdu.header else hdus[0].header
            return np.array(hdu.data), header


@pytest.mark.parametrize("path", IMAGES)
def test_pixels_equal_the_slice(path: Path) -> None:
    data, _ = read_parent(path)
    with open_image(ResourcePath(str(path))) as image:
        full = image.box
    assert (full.height, full.width) == data.shape[-2:]
    rng = np.random.default_rng(len(path.name))
    for detail in (Detail.IMAGE, Detail.EXPOSURE):
        width, height = (int(rng.integers(1, 1 + min(n, 50))) for n in (full.width, full.height))
        dx, dy = int(rng.integers(full.width - width + 1)), int(rng.integers(full.height - height + 1))
        box = PixelBox(full.x0 + dx, full.x0 + dx + width - 1, full.y0 + dy, full.y0 + dy + height - 1)
        cutout = cut(str(path), box, detail=detail)
        assert cutout.box == box
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            with fits.open(io.BytesIO(cutout.content)) as hdus:
                found = next(hdu for hdu in hdus if hdu.is_image and hdu.data is not None).data
        wanted = data[..., dy : dy + height, dx : dx + width]
        assert np.array_equal(found, wanted, equal_nan=wanted.dtype.kind == "f")


@pytest.mark.parametrize("path", WITH_WCS)
def test_sky_agrees_with_wcslib(path: Path, tmp_path: Path) -> None:
    """AST against another reader of WCS, on the parent and on the cut."""
    _, header = read_parent(path)
    with open_image(ResourcePath(str(path))) as image:
        full, projection = image.box, image.projection()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        wcs = WCS(header)
    rng = np.random.default_rng(2)
    x, y = rng.uniform(full.x0, full.x1, 50), rng.uniform(full.y0, full.y1, 50)
    lon, lat = projection.to_sky(x, y)
    world = wcs.all_pix2world(np.column_stack([x - full.x0, y - full.y0]), 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        frame = wcs_to_celestial_frame(wcs)
    sky = SkyCoord(world[:, wcs.wcs.lng], world[:, wcs.wcs.lat], unit="deg", frame=frame).icrs
    apart = np.degrees(np.hypot(np.sin(sky.ra.rad - lon) * np.cos(lat), sky.dec.rad - lat)) * 3600
    # Headers of afw files approximate to a milliarcsecond; the archive is
    # exact.  AST takes galactic coordinates from FK5 without its bias.
    assert apart.max() < (0.03 if frame.name == "galactic" else 1e-3)
    box = PixelBox(full.x0 + full.width // 3, full.x1, full.y0 + full.height // 4, full.y1)
    for detail in (Detail.IMAGE, Detail.EXPOSURE):
        cutout = cut(str(path), box, detail=detail)
        copy = tmp_path / "cut.fits"
        copy.write_bytes(cutout.content)
        with open_image(ResourcePath(str(copy))) as image:
            inner = image.projection()
            at_x, at_y = rng.uniform(0, box.width - 1, 20), rng.uniform(0, box.height - 1, 20)
            found = inner.to_sky(at_x + image.box.x0, at_y + image.box.y0)
        wanted = projection.to_sky(at_x + box.x0, at_y + box.y0)
        moved = np.hypot(np.sin(found[0] - wanted[0]) * np.cos(wanted[1]), found[1] - wanted[1])
        assert np.degrees(moved.max()) < 1e-8


@pytest.mark.parametrize(
    ("name", "width", "height"), [("7024032100720", 4096, 4004), ("00204595", 4072, 4000)]
)
def test_raws_of_the_lsst_camera_are_whole_detectors(name: str, width: int, height: int) -> None:
    """Sixteen amplifiers, put together as astropy's pixels say."""
    path = next((DATA / "butler/obs_lsst").rglob(f"raw/**/{name}*.fits*"), None)
    if path is None:
        pytest.skip(f"no raw files in {DATA}; set DAX_VO_TEST_DATA")
    with open_image(ResourcePath(str(path))) as image:
        assert image.box == PixelBox(0, width - 1, 0, height - 1)
        box = PixelBox(width // 8 - 9, width // 8 + 9, height // 2 - 9, height // 2 + 9)
        found = image.pixels(box)
    wanted = np.full((height, width), np.nan)
    with fits.open(path) as hdus:
        for hdu in hdus[1:]:
            x0, x1, y0, y1 = (int(word) for word in re.findall(r"\d+", hdu.header["DATASEC"]))
            column0, column1, row0, row1 = (int(word) for word in re.findall(r"\d+", hdu.header["DETSEC"]))
            columns = np.linspace(column0, column1, x1 - x0 + 1).astype(int) - 1
            rows = np.linspace(row0, row1, y1 - y0 + 1).astype(int) - 1
            wanted[np.ix_(rows, columns)] = hdu.data[y0 - 1 : y1, x0 - 1 : x1]
    assert np.array_equal(found, wanted[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1])


@pytest.mark.parametrize("path", WITH_WCS)
def test_circle_around_a_pixel(path: Path) -> None:
    with open_image(ResourcePath(str(path))) as image:
        full, projection = image.box, image.projection()
    x, y = full.x0 + full.width // 2, full.y0 + full.height // 3
    lon, lat = projection.to_sky(np.array([x, x + 0.3]), np.array([y, y]))
    radius = float(np.degrees(np.hypot(np.sin(lon[1] - lon[0]) * np.cos(lat[0]), lat[1] - lat[0])))
    circle = Circle(float(np.degrees(lon[0])) % 360, float(np.degrees(lat[0])), radius)
    box = cut(str(path), circle).box
    assert box.x0 <= x <= box.x1
    assert box.y0 <= y <= box.y1
    # Pixels that are not square spread a circle over several.
    assert box.width <= 5
    assert box.height <= 5


@pytest.mark.parametrize("path", [p for p in FILES if p.name in NOT_IMAGES], ids=lambda p: p.name)
def test_files_without_an_image(path: Path) -> None:
    with pytest.raises(UnsupportedError, match=f"'{path.name}' {NOT_IMAGES[path.name]}"):
        cut(str(path), PixelBox(0, 0, 0, 0))


@pytest.mark.parametrize("path", [p for p in FILES if p.name in WITHOUT_WCS], ids=lambda p: p.name)
def test_images_without_wcs(path: Path) -> None:
    with pytest.raises(UnsupportedError, match="has no celestial WCS"):
        cut(str(path), Circle(0, 0, 1))


@pytest.mark.parametrize(
    "path",
    sorted((DATA / "butler/testdata_image_cutouts").rglob("deepCoadd*.fits")),
    ids=lambda p: p.name[:26],
)
def test_git_lfs_pointers(path: Path) -> None:
    with pytest.raises(UnsupportedError, match="is a Git LFS pointer, not the image; run 'git lfs pull'"):
        cut(str(path), Circle(0, 0, 1))


def test_calexp_of_cfht_is_cut_at_its_sky_position() -> None:
    """Real afw file, tile-compressed, with a WCS of astrometry."""
    path = next(p for p in FILES if p.name == "calexp-849375-12.fits.fz")
    with open_image(ResourcePath(str(path))) as image:
        lon, lat = (
            float(np.degrees(v[0])) for v in image.projection().to_sky(np.array([1000.0]), np.array([2000.0]))
        )
    # MegaPrime has 0.187 arcseconds a pixel.
    cutout = cut(str(path), Circle(lon, lat, 50 * 0.187 / 3600), detail=Detail.EXPOSURE)
    assert abs(cutout.box.x0 - 950) <= 2
    assert abs(cutout.box.y1 - 2050) <= 2
    with fits.open(io.BytesIO(cutout.content)) as hdus, fits.open(path) as parent:
        assert [hdu.name for hdu in hdus] == [hdu.name for hdu in parent]
        assert hdus[2].header["HIERARCH MP_DETECTED"] == parent[2].header["HIERARCH MP_DETECTED"]


@pytest.mark.parametrize("number", [1, 2, 5])
def test_cutouts_of_rubins_service_cut_again(number: int, tmp_path: Path) -> None:
    """The circle that was asked for then is inside what was delivered."""
    path = DATA / f"fits/dp02_soda_cutouts/cutout_{number}.fits"
    circle = Circle(72.5383603, -44.4248533, 0.005)
    cutout = cut(str(path), circle, detail=Detail.EXPOSURE)
    copy = tmp_path / "cut.fits"
    copy.write_bytes(cutout.content)
    with open_image(ResourcePath(str(copy))) as image:
        x, y = image.projection().to_pixel(np.radians([circle.ra_deg]), np.radians([circle.dec_deg]))
        assert image.box == cutout.box
    # 0.005 degrees are 90 pixels of 0.2 arcseconds.
    assert abs(cutout.box.y1 - y[0] - 90) < 1.5
    assert abs(y[0] - cutout.box.y0 - 90) < 1.5
    assert cutout.box.x0 <= x[0] <= cutout.box.x1
    assert cutout.box.width <= 183
