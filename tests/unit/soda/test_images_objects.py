"""Cutouts of objects of lsst.images equal those that the library makes."""

import io
import json
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from lsst.daf.butler import DataCoordinate, DatasetRef, DatasetType, DimensionUniverse
from lsst.images import Box, Image, MaskedImage, MaskPlane, MaskSchema
from lsst.images.fits import FitsCompressionOptions
from lsst.images.psfs import PiffSerializationModel
from lsst.images.serialization import ButlerInfo, open_archive, read_archive, write_archive
from lsst.resources import ResourcePath

from lsst.dax.vo.errors import UnsupportedError, UsageError
from lsst.dax.vo.soda import Coverage, Detail, Outside, PixelBox
from lsst.dax.vo.soda.backends import open_image
from lsst.dax.vo.soda.backends._fits_file import FitsFile
from lsst.dax.vo.soda.backends._source import Source
from lsst.dax.vo.soda.backends.images import _archive, _cut, _library
from lsst.dax.vo.soda.backends.images import open_image as open_images
from lsst.dax.vo.testing import (
    IMAGE_XY0,
    CutImageTests,
    CutoutSample,
    make_image_header,
    make_image_planes,
)
from lsst.dax.vo.testing.lsst_images import (
    make_cell_coadd,
    make_color_image,
    make_difference_image,
    make_lsst_image,
    make_masked_image,
    make_visit_image,
)

pytestmark = pytest.mark.filterwarnings("ignore:Writing a file with development schema")

MAKERS: dict[str, Callable[[], Any]] = {
    "Image": make_lsst_image,
    "MaskedImage": make_masked_image,
    "VisitImage": make_visit_image,
    "DifferenceImage": make_difference_image,
    "CellCoadd": make_cell_coadd,
    "ColorImage": make_color_image,
}
BOXES = {
    "inside": PixelBox(1020, 1055, -30, 4),
    "cell": PixelBox(1020, 1039, -16, 7),
    "pixel": PixelBox(1041, 1041, -20, -20),
    "everything": PixelBox(1000, 1079, -40, 31),
}


def bbox_of(box: PixelBox) -> Box:
    return Box.factory[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1]


def cut_to(path: Path, source: Path, box: PixelBox, detail: Detail, coverage: Coverage | None = None) -> Path:
    with open_image(ResourcePath(str(source))) as image:
        path.write_bytes(b"".join(image.cut(box, detail, (), coverage)))
    return path


def library_cutout(path: Path, box: PixelBox, detail: Detail) -> Any:
    with open_archive(path) as reader:
        whole = ("image", "color_image") + (("masked_image",) if detail is Detail.MASKED_IMAGE else ())
        if detail is Detail.EXPOSURE or reader.info.schema_name in whole:
            return reader.read(bbox=bbox_of(box))
        name = "image" if detail is Detail.IMAGE else "masked_image"
        component = reader.get_component(name, bbox=bbox_of(box))
        return (
            component.view(sky_projection=reader.get_component("sky_projection"))
            if name == "image"
            else component
        )


def everything_in(found: Any, folder: Path) -> dict[str, Any]:
    """Return all that an object is, arrays and tables included, as JSON."""
    path = folder / "object.json"
    path.unlink(missing_ok=True)
    write_archive(found, path)
    # Texts, since NaN is not equal to itself.
    return {name: json.dumps(value) for name, value in json.loads(path.read_text()).items()}


@pytest.fixture(scope="module", params=MAKERS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("objects") / f"{request.param}.fits"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_archive(MAKERS[request.param](), path)
    return path


@pytest.mark.parametrize("detail", Detail)
@pytest.mark.parametrize("part", BOXES)
def test_object_equals_that_of_the_library(path: Path, part: str, detail: Detail, tmp_path: Path) -> None:
    box = BOXES[part]
    if detail is Detail.MASKED_IMAGE and path.stem in ("Image", "ColorImage"):
        with pytest.raises(UnsupportedError, match="has no mask and variance"):
            cut_to(tmp_path / "cut.fits", path, box, detail)
        return
    found = read_archive(cut_to(tmp_path / "cut.fits", path, box, detail))
    wanted = library_cutout(path, box, detail)
    assert type(found) is type(wanted)
    assert found.bbox == bbox_of(box)
    ours, theirs = everything_in(found, tmp_path), everything_in(wanted, tmp_path)
    if "provenance" in theirs:
        # The library repeats an input for every cell that it went into.
        ours.pop("provenance")
        theirs.pop("provenance")
        for name in ("inputs", "contributions"):
            tables = [getattr(one.provenance, name) for one in (found, wanted)]
            columns = sorted(tables[0].colnames)
            rows = [[tuple(str(row[column]) for column in columns) for row in table] for table in tables]
            assert sorted(tables[1].colnames) == columns
            assert len(set(rows[0])) == len(rows[0])
            assert set(rows[0]) == set(rows[1])
    assert ours == theirs


def test_no_library_is_asked_for_known_schemas(path: Path) -> None:
    with open_image(ResourcePath(str(path))) as image:
        assert isinstance(image, _cut.ImagesImage)


@pytest.mark.parametrize("detail", Detail)
def test_index_says_where_everything_is(path: Path, detail: Detail, tmp_path: Path) -> None:
    if detail is Detail.MASKED_IMAGE and path.stem in ("Image", "ColorImage"):
        detail = Detail.IMAGE
    cut = cut_to(tmp_path / "cut.fits", path, BOXES["inside"], detail)
    with fits.open(cut, disable_image_compression=True) as hdus:
        hdus.verify("exception")
        primary, index = hdus[0].header, hdus["INDEX"]
        places = {name: hdus[name].fileinfo() for name in ("JSON", "INDEX")}
        assert [primary["JSONADDR"], primary["INDXADDR"]] == [place["hdrLoc"] for place in places.values()]
        assert [primary["JSONSIZE"], primary["INDXSIZE"]] == [
            place["datLoc"] + place["datSpan"] - place["hdrLoc"] for place in places.values()
        ]
        assert len(index.data) == len(hdus) - 1
        for row, hdu in zip(index.data, hdus, strict=False):
            info = hdu.fileinfo()
            found = (row["EXTNAME"], row["HDRADDR"], row["DATADDR"], row["DATSIZE"], bool(row["ZIMAGE"]))
            name = hdu.header.get("EXTNAME", "")
            assert found == (
                name,
                info["hdrLoc"],
                info["datLoc"],
                info["datSpan"],
                hdu.header.get("ZIMAGE", False),
            )


def test_butler_info_and_cards_go_along(tmp_path: Path) -> None:
    universe = DimensionUniverse()
    dataset_type = DatasetType(
        "visit_image", ["instrument", "visit", "detector"], "VisitImage", universe=universe
    )
    data_id = DataCoordinate.standardize(
        instrument="SimCam", visit=7, detector=4, band="r", physical_filter="r_57", day_obs=20260102,
        universe=universe,
    )  # fmt: skip
    info = ButlerInfo(dataset=DatasetRef(dataset_type, data_id, run="runs/a").to_simple())
    path = tmp_path / "visit.fits"

    def add(header: fits.Header) -> None:
        header["TELESCOP"] = "Simonyi"

    write_archive(make_visit_image(), path, butler_info=info, update_header=add)
    for detail in Detail:
        cut = cut_to(tmp_path / "cut.fits", path, BOXES["inside"], detail)
        with open_archive(cut) as reader:
            assert reader.butler_info == info
        with fits.open(cut) as hdus:
            assert hdus[0].header["TELESCOP"] == "Simonyi"
            assert hdus[0].header["DATAMODL"].startswith("https://images.lsst.io/schemas/")


def test_date_is_that_of_the_cut(tmp_path: Path) -> None:
    path = tmp_path / "visit.fits"
    write_archive(make_visit_image(), path)
    with open_image(ResourcePath(str(path))) as image:
        content = b"".join(
            image.cut(BOXES["inside"], Detail.EXPOSURE, (("DATE-CUT", "2026-01-02T03:04:05", ""),))
        )
    with fits.open(io.BytesIO(content)) as hdus:
        for name in ("PRIMARY", "IMAGE", "MASK", "VARIANCE", "JSON"):
            assert hdus[name].header["DATE"] == "2026-01-02T03:04:05"


def edited(path: Path, edit: Callable[[dict[str, Any], list[_archive.Part]], None], target: Path) -> Path:
    """Write a file with another tree, and perhaps more HDUs."""
    content = path.read_bytes()
    file = FitsFile(Memory(path.name, content))
    layout = _archive.read_layout(file)
    parts = [
        _archive.Part(hdu.header, (file.read_all(hdu)[hdu.data_offset - hdu.offset :],))
        for hdu in file.hdus()[1:-2]
    ]
    tree = json.loads(json.dumps(layout.tree))
    edit(tree, parts)
    parts.append(_archive.make_tree_part(layout, tree))
    target.write_bytes(b"".join(_archive.join_parts(file.primary.header, parts, layout.index_header)))
    return target


class Memory(Source):
    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(name, len(data))
        self.data = data
        self.count = 0

    def _read(self, offset: int, count: int) -> bytes:
        self.count += count
        return self.data[offset : offset + count]


def test_parts_whose_library_is_missing_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PSF of Piff needs no Piff to be cut along."""
    # As if it were not installed.
    monkeypatch.setitem(sys.modules, "piff", None)
    path = tmp_path / "visit.fits"
    write_archive(make_visit_image(), path)
    table = fits.BinTableHDU.from_columns([fits.Column("a", "D", array=[1.0, 2.0])], name="PSF/PIFF")
    model = {
        "schema_version": "1.0.0",
        "min_read_version": 1,
        "piff": {"structs": {"piff": {"type": "Simple"}}},
        "stars": [],
        "stamp_size": 25,
        "bounds": {"y": {"start": -40, "stop": 32}, "x": {"start": 1000, "stop": 1080}},
        "schema_url": "https://images.lsst.io/schemas/piff_psf-1.0.0",
    }

    def edit(tree: dict[str, Any], parts: list[_archive.Part]) -> None:
        tree["psf"] = model
        stream = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(stream)
        file = FitsFile(Memory("table", stream.getvalue()))
        hdu = file.hdus()[1]
        parts.append(_archive.Part(hdu.header, (file.read_all(hdu)[hdu.data_offset - hdu.offset :],)))

    psf = edited(path, edit, tmp_path / "psf.fits")
    cut = cut_to(tmp_path / "cut.fits", psf, BOXES["inside"], Detail.EXPOSURE)
    with open_archive(cut) as ours, open_archive(psf) as parent:
        assert isinstance(ours.get_tree().psf, PiffSerializationModel)
        assert ours.get_tree().psf == parent.get_tree().psf
    with fits.open(cut) as hdus:
        assert hdus["PSF/PIFF"].data["a"].tolist() == [1.0, 2.0]
    # The image can be read; its PSF where its library is.
    assert read_archive(cut).bbox == bbox_of(BOXES["inside"])


def test_box_in_which_nothing_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "visit.fits"
    write_archive(make_visit_image(), path)
    corner = PixelBox(1000, 1004, 20, 31)
    with pytest.raises(
        UnsupportedError, match=r"'visit\.fits' cannot be cut here .*CUTOUTDETAIL=MaskedImage"
    ):
        cut_to(tmp_path / "cut.fits", path, corner, Detail.EXPOSURE)
    found = read_archive(cut_to(tmp_path / "cut.fits", path, corner, Detail.MASKED_IMAGE))
    assert type(found) is MaskedImage


def test_cells_without_a_psf(tmp_path: Path) -> None:
    """The library cannot cut a missing cell, nor beyond the cells."""
    path = tmp_path / "coadd.fits"
    write_archive(make_cell_coadd(), path)
    missing = PixelBox(1041, 1050, -15, 5)
    found = read_archive(cut_to(tmp_path / "cut.fits", path, missing, Detail.EXPOSURE))
    assert found.bbox == bbox_of(missing)
    assert np.isnan(found.psf._array).all()
    with pytest.raises(AttributeError, match="no provenance"):
        _ = found.provenance
    with fits.open(tmp_path / "cut.fits") as hdus:
        assert not [hdu.name for hdu in hdus if "PROVENANCE" in hdu.name]

    def edit(tree: dict[str, Any], _: list[_archive.Part]) -> None:
        box = {"y": {"start": -16, "stop": 32}, "x": {"start": 1000, "stop": 1080}}
        tree["psf"]["bounds"]["bbox"] = box
        tree["psf"]["array"]["shape"][0] = 2

    beyond = edited(path, edit, tmp_path / "beyond.fits")
    # Three rows of cells in the file, two in the tree.
    with pytest.raises(UnsupportedError, match="cut short or damaged"):
        cut_to(tmp_path / "cut.fits", beyond, BOXES["inside"], Detail.EXPOSURE)


@pytest.mark.parametrize("tile", [(1, 1, 1, 7), (1, 1, 5, 7), (1, 4, 5, 7), None])
def test_kernels_in_tiles_of_any_shape(tmp_path: Path, tile: tuple[int, ...] | None) -> None:
    path, box = tmp_path / "coadd.fits", PixelBox(1030, 1050, -39, -10)
    options = {"psf": None if tile is None else FitsCompressionOptions(tile_shape=tile)}
    write_archive(make_cell_coadd(), path, compression_options=options)
    found = read_archive(cut_to(tmp_path / "cut.fits", path, box, Detail.EXPOSURE))
    wanted = library_cutout(path, box, Detail.EXPOSURE)
    assert found.psf.bounds == wanted.psf.bounds
    assert found.psf._array.shape == (2, 2, 5, 7)
    assert np.array_equal(found.psf._array, wanted.psf._array, equal_nan=True)


@pytest.mark.parametrize("count", [3, 31, 40, 62])
def test_mask_of_many_planes_gets_one_more(tmp_path: Path, count: int) -> None:
    planes = [MaskPlane(name, name) for name in ("BAD", "SAT", "DETECTED")]
    planes += [MaskPlane(f"P{i}", f"plane {i}") for i in range(count - 3)]
    whole = make_masked_image(MaskSchema([planes[0], None, *planes[1:]]))
    if count > 3:
        whole.mask.set(f"P{count - 4}", whole.image.array > 100)
    path = tmp_path / "masked.fits"
    write_archive(whole, path)
    box = BOXES["inside"]
    inside = np.random.default_rng(8).random((box.height, box.width)) < 0.7
    cut = cut_to(tmp_path / "cut.fits", path, box, Detail.EXPOSURE, Coverage(inside, Outside.MASK))
    found, wanted = read_archive(cut), whole[bbox_of(box)]
    assert list(found.mask.schema.names) == [*whole.mask.schema.names, "OUTSIDE_STENCIL"]
    assert np.array_equal(found.mask.get("OUTSIDE_STENCIL"), ~inside)
    for plane in whole.mask.schema.names:
        assert np.array_equal(found.mask.get(plane), wanted.mask.get(plane)), plane
    again = read_archive(cut_to(tmp_path / "again.fits", cut, box, Detail.MASKED_IMAGE))
    assert again.mask == found.mask


def test_colors_are_three_planes(tmp_path: Path) -> None:
    path, box = tmp_path / "color.fits", BOXES["inside"]
    whole = make_color_image()
    write_archive(whole, path)
    with open_image(ResourcePath(str(path))) as image:
        found = image.pixels(box)
        with pytest.raises(UsageError, match="OUTSIDE=keep"):
            image.cut(box, Detail.IMAGE, (), Coverage(np.zeros((box.height, box.width), bool), Outside.NAN))
        with pytest.raises(UsageError, match="has no mask"):
            image.cut(box, Detail.IMAGE, (), Coverage(np.zeros((box.height, box.width), bool), Outside.MASK))
    assert (found.shape, found.dtype) == ((3, box.height, box.width), np.float32)
    assert np.array_equal(np.moveaxis(found, 0, -1), whole[bbox_of(box)].array)


def test_only_what_is_needed_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "large.fits"
    options = {"image": FitsCompressionOptions(tile_shape=(100, 100))}
    write_archive(Image(rng.random((1500, 1500)), unit=u.nJy), path, compression_options=options)
    source = Memory("large.fits", path.read_bytes())
    with open_images(FitsFile(source)) as image:
        content = b"".join(image.cut(PixelBox(405, 480, 710, 790), Detail.EXPOSURE, ()))
    assert len(content) > 8 * 76 * 81
    # One tile of 225, and headers.
    assert source.count < 0.02 * source.size


def relabelled(content: bytes, old: bytes, new: bytes) -> bytes:
    assert old in content
    assert len(old) == len(new)
    return content.replace(old, new)


class TestLibrary(CutImageTests):
    """An object of a version that is not known here, but to the library."""

    @pytest.fixture
    def sample(self, tmp_path: Path) -> CutoutSample:
        path = tmp_path / "masked.fits"
        write_archive(make_masked_image(), path)
        path.write_bytes(relabelled(path.read_bytes(), b"masked_image-1.0.0", b"masked_image-1.7.3"))
        sample = CutoutSample(path, make_image_planes(), *IMAGE_XY0, WCS(make_image_header()))
        with open_image(ResourcePath(str(sample.path))) as image:
            assert isinstance(image, _library._LibraryImage)
        return sample


def test_schema_that_nobody_knows(tmp_path: Path) -> None:
    path = tmp_path / "masked.fits"
    write_archive(make_masked_image(), path)
    path.write_bytes(relabelled(path.read_bytes(), b"schemas/masked_image-1", b"schemas/muskrat_imag-1"))
    with (
        pytest.raises(
            UnsupportedError, match=r"muskrat_imag-1\.0\.0', which the installed lsst\.images does not"
        ),
        open_image(ResourcePath(str(path))),
    ):
        pass


def test_many_threads_share_what_is_remembered_of_a_file(tmp_path: Path) -> None:
    """AST, one to a process, is locked where it is used, and not longer."""
    path = tmp_path / "visit.fits"
    write_archive(make_visit_image(), path)

    def make(_: int) -> bytes:
        with open_image(ResourcePath(str(path)), key=str(path)) as image:
            x, y = image.projection().to_pixel(np.array([6.28317]), np.array([-0.5637]))
            content = b"".join(image.cut(BOXES["inside"], Detail.EXPOSURE, ()))
            return np.array([x, y]).tobytes() + content

    alone = make(0)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(make, range(40))) == {alone}
    finally:
        sys.setswitchinterval(interval)
