"""Point spread functions: those of afw computed without it, and never by what a file would have run."""

import hashlib
import json
import math
import os
import pickle
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.wcs import WCS
from lsst.images.cells import CellGridBounds, CellIJ, CellPointSpreadFunction
from lsst.images.serialization import open_archive, write_archive
from lsst.resources import ResourcePath

from lsst.dax.vo.errors import UnsupportedError
from lsst.dax.vo.soda import Derived, Facts, parse_facts
from lsst.dax.vo.soda.backends import open_file, open_image
from lsst.dax.vo.soda.backends._afw_archive import read_archive
from lsst.dax.vo.soda.backends.psf import PsfImage, PsfKind, compute_psf, find_psf
from lsst.dax.vo.soda.derived import make_derived
from lsst.dax.vo.testing import IMAGE_SHAPE, IMAGE_XY0, write_afw_file
from lsst.dax.vo.testing.lsst_images import make_cell_coadd, make_visit_image

DATA = Path(os.environ.get("DAX_VO_TEST_DATA", Path(__file__).parents[4] / "shared/data"))
GOLDEN = DATA / "afw-golden"
# Files of the pipelines with a PSFEx model and the summary that they made of
# it, and the size of the whole image.
PSFEX = {
    "fits/dp02_soda_cutouts/cutout_1.fits": (4072, 4000),
    "butler/jointcal_cfht_minimal/repo/calexp/06AL01/D3/2006-05-20/r/calexp-849375-12.fits.fz": (2048, 4612),
    "butler/jointcal_cfht_minimal/repo/calexp/06AL01/D3/2006-06-02/r/calexp-850587-12.fits.fz": (2048, 4612),
}
CENTER = (IMAGE_XY0[0] + (IMAGE_SHAPE[1] - 1) / 2, IMAGE_XY0[1] + (IMAGE_SHAPE[0] - 1) / 2)

needs_data = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason=f"no files of others in {DATA}; set DAX_VO_TEST_DATA"
)


def compute(path: Path, x: float = CENTER[0], y: float = CENTER[1]) -> PsfImage:
    with open_file(ResourcePath(str(path))) as file:
        return compute_psf(file, x, y)


def find(path: Path) -> PsfKind | None:
    with open_file(ResourcePath(str(path))) as file:
        return find_psf(file)


def write_archive_file(path: Path, objects: list[tuple[str, list[dict[str, Any]]]]) -> None:
    """Write a file as afw does; the last object is the PSF, ids count from 1."""
    write_afw_file(path)
    with fits.open(path) as hdus:
        index, tables = [], []
        for number, (name, parts) in enumerate(objects, start=1):
            for part, row in enumerate(parts):
                tables.append(fits.BinTableHDU.from_columns([_column(*item) for item in row.items()]))
                index.append((number, len(tables), part, 0, 1, name, "some.module"))
        names = ("id", "cat.archive", "cat.persistable", "row0", "nrows", "name", "module")
        columns = [
            fits.Column(column, "J" if column not in ("name", "module") else "64A", array=list(values))
            for column, values in zip(names, zip(*index, strict=True), strict=True)
        ]
        first = fits.BinTableHDU.from_columns(columns)
        first.header["EXTTYPE"] = "ARCHIVE_INDEX"
        hdus[0].header["AR_HDU"], hdus[0].header["ARCHIVE_ID_PSF"] = 5, len(objects)
        fits.HDUList([*hdus, first, *tables]).writeto(path, overwrite=True)


def _column(name: str, value: Any) -> fits.Column:
    if isinstance(value, bytes):
        heap = np.empty(1, dtype=object)
        heap[0] = np.frombuffer(value, "u1")
        return fits.Column(name, "QB()", array=heap)
    values = np.atleast_1d(value)
    kind = {"i": "J", "f": "D"}[values.dtype.kind]
    if values.dtype == np.float32:
        kind = "E"
    return fits.Column(
        name, f"{values.size}{kind}", array=values.reshape(1, -1) if values.size > 1 else values
    )


def kernel(width: int = 5, height: int = 3, **further: Any) -> dict[str, Any]:
    return {
        "dimensions_x": width,
        "dimensions_y": height,
        "center_x": (width - 1) // 2,
        "center_y": (height - 1) // 2,
        **further,
    }


@needs_data
@pytest.mark.parametrize("path", sorted(GOLDEN.glob("exposure_*.json")), ids=lambda path: path.stem)
def test_gaussian_is_the_one_of_afw_to_the_last_bit(path: Path) -> None:
    wanted = json.loads(path.read_text())["exposure"]["psf"]
    if wanted is None:
        assert find(path.with_suffix(".fits")) is None
        return
    found = compute(path.with_suffix(".fits"), *wanted["position"])
    box = wanted["kernel_bbox"]
    assert (-found.x, -found.y) == (box["x0"], box["y0"])
    assert found.values.shape == (box["height"], box["width"])
    assert hashlib.sha256(found.values.tobytes()).hexdigest() == wanted["kernel_sha256"]


@needs_data
@pytest.mark.parametrize("name", PSFEX, ids=lambda name: Path(name).name)
def test_psfex_is_the_one_of_the_pipelines(name: str) -> None:
    """They wrote its effective area at the center of the detector into the file."""
    width, height = PSFEX[name]
    with open_file(ResourcePath(str(DATA / name))) as file:
        archive = read_archive(file)
        (number,) = {
            int(row["id"]) for row in archive._index if row["name"].strip(b"\0 ") == b"ExposureSummaryStats"
        }
        ((row,),) = archive.get(number).parts
        stats = yaml.safe_load(row["bytes"].tobytes())
        found = compute_psf(file, (width - 1) / 2, (height - 1) / 2).values
    assert found.sum() / np.square(found).sum() == stats["psfArea"]


@needs_data
@pytest.mark.parametrize("name", ["calexp-005646-r4-0694.fits.gz", "meas_modelfit_calexp.fits"])
def test_kernels_of_real_files_have_a_peak_in_the_middle(name: str) -> None:
    """Written in 2013 and later, with polynomials of two kinds."""
    path = DATA / "fits/afw" / name
    assert find(path) == PsfKind("PcaPsf")
    found = compute(path, 500, 500)
    y, x = np.unravel_index(found.values.argmax(), found.values.shape)
    assert (x, y) == (found.x, found.y)
    assert found.values.sum() == pytest.approx(1)


def test_double_gaussian(tmp_path: Path) -> None:
    row = {"dimensions_x": 11, "dimensions_y": 9, "sigma1": 1.5, "sigma2": 3.0, "b": 0.1}
    write_archive_file(tmp_path / "x.fits", [("DoubleGaussianPsf", [row])])
    found = compute(tmp_path / "x.fits")
    y, x = np.mgrid[-4:5, -5:6]
    wanted = np.exp(-(x**2 + y**2) / 4.5) + 0.1 * np.exp(-(x**2 + y**2) / 18)
    assert np.allclose(found.values, wanted / wanted.sum(), rtol=1e-13)
    assert (found.x, found.y) == (5, 4)


@pytest.mark.parametrize("surface", ["PolynomialFunction2D", "Chebyshev1Function2D"])
def test_combination_of_kernels_that_varies(tmp_path: Path, surface: str) -> None:
    rng = np.random.default_rng(3)
    first, second = rng.random((2, 3, 5))
    box = {"min_x": 900.0, "min_y": -100.0, "max_x": 1200.0, "max_y": 60.0}
    a, b, c, d, e, f = coefficients = [0.3, 2e-4, -1e-4, 3e-7, 2e-7, 1e-7]
    more = box if surface.startswith("Cheb") else {}
    objects = [
        ("FixedKernel", [kernel(image=first.ravel())]),
        ("FixedKernel", [kernel(image=second.ravel())]),
        (surface, [{"coefficients": np.array([1.0]), **more}]),
        (surface, [{"coefficients": np.array(coefficients), **more}]),
        (
            "LinearCombinationKernel",
            [kernel(spatialfunctions=np.array([3, 4]), components=np.array([1, 2]))],
        ),
        ("PcaPsf", [{"kernel": 5, "averagePosition_x": 0.0, "averagePosition_y": 0.0}]),
    ]
    write_archive_file(tmp_path / "x.fits", objects)
    found = compute(tmp_path / "x.fits", 1010.5, -7.25)
    x, y = (1010.5, -7.25)
    if more:
        x, y = (x - 1050) / 150, (y + 20) / 80
        weight = a + b * x + c * y + d * (2 * x * x - 1) + e * x * y + f * (2 * y * y - 1)
    else:
        weight = a + b * x + c * y + d * x * x + e * x * y + f * y * y
    wanted = first + weight * second
    assert np.allclose(found.values, wanted / wanted.sum(), rtol=1e-12)


def test_analytic_kernel_and_single_pixel(tmp_path: Path) -> None:
    sigma1, sigma2, angle = 2.0, 1.0, 0.5
    objects = [
        ("GaussianFunction2D", [{"sigma1": sigma1, "sigma2": sigma2, "angle": angle}]),
        ("AnalyticKernel", [kernel(9, 7, kernelfunction=1)]),
        ("DeltaFunctionKernel", [kernel(9, 7, pixel_x=6, pixel_y=2)]),
        (
            "LinearCombinationKernel",
            [kernel(9, 7, components=np.array([2, 3]), amplitudes=np.array([2.0, 0.25]))],
        ),
        ("KernelPsf", [{"kernel": 4, "averagePosition_x": 0.0, "averagePosition_y": 0.0}]),
    ]
    write_archive_file(tmp_path / "x.fits", objects)
    found = compute(tmp_path / "x.fits")
    y, x = np.mgrid[-3:4, -4:5]
    along = math.cos(angle) * x + math.sin(angle) * y
    across = math.cos(angle) * y - math.sin(angle) * x
    wanted = np.exp(-(along**2) / (2 * sigma1**2) - across**2 / (2 * sigma2**2)) / (
        2 * math.pi * sigma1 * sigma2
    )
    wanted *= 2.0
    wanted[2, 6] += 0.25
    assert np.allclose(found.values, wanted / wanted.sum(), rtol=1e-12)


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_no_pickle_is_read(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    row = {"bytes": pickle.dumps(Trap(trap))}
    write_archive_file(tmp_path / "x.fits", [("PiffPsf", [row])])
    kind = find(tmp_path / "x.fits")
    assert kind.name == "PiffPsf"
    assert "pickle" in kind.obstacle
    with pytest.raises(UnsupportedError, match=r"a PiffPsf, cannot be computed here: .* pickle"):
        compute(tmp_path / "x.fits")
    for derived in Derived:
        if derived is not Derived.PSF:
            make_derived(ResourcePath(str(tmp_path / "x.fits")), derived)
    assert not trap.exists()
    pickle.loads(row["bytes"])  # noqa: S301 (our own: the trap works)
    assert trap.exists()


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        pytest.param([("OtherPsf", [{"x": 1}])], "pipelines only|also holds a OtherPsf", id="class"),
        pytest.param(
            [("SomeKernel", [kernel()]), ("KernelPsf", [{"kernel": 1}])], "a SomeKernel", id="kernel"
        ),
        pytest.param(
            [
                ("SomeFunction", [{"x": 1.0}]),
                ("AnalyticKernel", [kernel(kernelfunction=1)]),
                ("KernelPsf", [{"kernel": 2}]),
            ],
            "a SomeFunction",
            id="function",
        ),
    ],
)
def test_what_is_not_known_is_not_promised(tmp_path: Path, objects: list[Any], reason: str) -> None:
    write_archive_file(tmp_path / "x.fits", objects)
    assert re.search(reason, find(tmp_path / "x.fits").obstacle)
    with pytest.raises(UnsupportedError, match=reason):
        compute(tmp_path / "x.fits")


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param(
            [("GaussianPsf", [{"dimensions_x": 10**6, "dimensions_y": 3, "sigma": 1.0}])], id="size"
        ),
        pytest.param(
            [("GaussianPsf", [{"dimensions_x": 3, "dimensions_y": 3, "sigma": math.nan}])], id="sigma"
        ),
        pytest.param([("GaussianPsf", [{"sigma": 1.0}])], id="column"),
        pytest.param(
            [("FixedKernel", [kernel(image=np.zeros(15))]), ("KernelPsf", [{"kernel": 1}])], id="sum"
        ),
        pytest.param(
            [("FixedKernel", [kernel(image=np.ones(7))]), ("KernelPsf", [{"kernel": 1}])], id="pixels"
        ),
        pytest.param(
            [
                ("LinearCombinationKernel", [kernel(components=np.array([1, 1]), amplitudes=np.ones(2))]),
                ("KernelPsf", [{"kernel": 1}]),
            ],
            id="itself",
        ),
        pytest.param(
            [
                (
                    "PsfexPsf",
                    [
                        {"_pixstep": np.float32(0.5)},
                        {
                            "group": np.array([0, 0]),
                            "degree": 40_000,
                            "_size": np.array([9, 9, 1]),
                            "_comp": np.ones(81, "f4"),
                            "_context_first": np.zeros(2),
                            "_context_second": np.ones(2),
                        },
                    ],
                )
            ],
            id="degree",
        ),
    ],
)
def test_damage_is_told(tmp_path: Path, objects: list[Any]) -> None:
    write_archive_file(tmp_path / "x.fits", objects)
    with pytest.raises(UnsupportedError):
        compute(tmp_path / "x.fits")


def test_file_without_one(tmp_path: Path) -> None:
    write_afw_file(tmp_path / "x.fits")
    assert find(tmp_path / "x.fits") is None
    with pytest.raises(UnsupportedError, match="has no point spread function"):
        compute(tmp_path / "x.fits")


def test_gaussian_of_lsst_images(tmp_path: Path) -> None:
    path = tmp_path / "visit.fits"
    visit = make_visit_image()
    write_archive(visit, path)
    assert find(path) == PsfKind("gaussian_psf")
    wanted = visit.psf.compute_kernel_image(x=CENTER[0], y=CENTER[1])
    found = compute(path)
    assert np.array_equal(found.values, wanted.array)
    assert (found.x, found.y) == (-wanted.bbox.x.min, -wanted.bbox.y.min)


def test_coadd_with_a_hole_in_the_middle_has_that_of_a_neighbour(tmp_path: Path) -> None:
    coadd = make_cell_coadd()
    grid = coadd.psf.grid
    middle = grid.index_of(x=round(CENTER[0]), y=round(CENTER[1]))
    kernels = np.random.default_rng(1).random(coadd.psf._array.shape)
    kernels /= kernels.sum(axis=(2, 3), keepdims=True)
    bounds = CellGridBounds(grid=grid, bbox=coadd.bbox, missing=frozenset({middle}))
    coadd._psf = CellPointSpreadFunction(kernels, bounds)
    write_archive(coadd, tmp_path / "coadd.fits")
    found = compute(tmp_path / "coadd.fits")
    cell = grid.index_of(x=round(found.place[0]), y=round(found.place[1]))
    assert cell != middle
    assert cell in {CellIJ(i=middle.i + i, j=middle.j + j) for i, j in ((0, 1), (0, -1), (1, 0), (-1, 0))}
    assert np.array_equal(found.values, coadd.psf[cell].array)


@needs_data
def test_piff_needs_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real one, of DP2, minified by the authors of lsst.images."""
    pytest.importorskip("piff", reason="piff is not installed (extra 'psf')")
    fixture = DATA / "fits/lsst_images/schemas/visit_image/visit_image-1.0.0-dp2.json"
    with open_archive(fixture) as reader:
        visit = reader.read()
    path = tmp_path / "visit.fits"
    write_archive(visit, path)
    assert find(path) == PsfKind("piff_psf")
    found = compute(path, 7.5, 7.5)
    assert np.allclose(found.values, visit.psf.compute_kernel_image(x=7.5, y=7.5).array, rtol=1e-12)
    monkeypatch.setitem(sys.modules, "piff", None)
    assert find(path) == PsfKind("piff_psf", "the package piff is not installed")
    facts = parse_facts(make_derived(ResourcePath(str(path)), Derived.FACTS).content)
    assert facts == Facts(has_mask=True, psf=None)


@needs_data
def test_coadd_needs_afw() -> None:
    """A real one, of 119 exposures."""
    path = DATA / "fits/afw/coadd-r-0-319,4.fits.gz"
    if find_spec("lsst.afw") is None:
        assert find(path).name == "CoaddPsf"
        assert "lsst.afw is not installed" in find(path).obstacle
        with pytest.raises(UnsupportedError, match="cannot be computed here"):
            compute(path)
        return
    assert find(path) == PsfKind("CoaddPsf")
    with open_image(ResourcePath(str(path))) as image:
        box = image.box
    found = compute(path, (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
    assert found.values.sum() == pytest.approx(1)
    assert np.unravel_index(found.values.argmax(), found.values.shape) == (found.y, found.x)


@needs_data
def test_afw_is_not_asked_to_read_a_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where one is hidden among the parts of another class."""
    monkeypatch.setattr("lsst.dax.vo.soda.backends.psf._with_afw.is_installed", lambda _: True)
    parts = [("PiffPsf", [{"bytes": b"x"}]), ("CoaddPsf", [{"coaddwcs": 1}])]
    write_archive_file(tmp_path / "x.fits", parts)
    assert "also holds a PiffPsf" in find(tmp_path / "x.fits").obstacle


@pytest.mark.parametrize("make", [make_visit_image, make_cell_coadd])
def test_file_says_where_the_star_is(tmp_path: Path, make: Any) -> None:
    write_archive(make(), tmp_path / "x.fits")
    content = make_derived(ResourcePath(str(tmp_path / "x.fits")), Derived.PSF).content
    (tmp_path / "psf.fits").write_bytes(content)
    with fits.open(tmp_path / "psf.fits") as hdus:
        assert len(hdus) == 1
        header, values = hdus[0].header, hdus[0].data
    with open_file(ResourcePath(str(tmp_path / "x.fits"))) as file:
        found = compute_psf(file, *CENTER)
    assert np.array_equal(values, found.values)
    assert (header["PSF_X"], header["PSF_Y"]) == (found.place or CENTER)
    with open_image(ResourcePath(str(tmp_path / "x.fits"))) as image:
        lon, lat = image.projection().to_sky(np.array([header["PSF_X"]]), np.array([header["PSF_Y"]]))
    assert header["PSF_RA"] == pytest.approx(math.degrees(lon[0]), abs=1e-10)
    assert header["PSF_DEC"] == pytest.approx(math.degrees(lat[0]), abs=1e-10)
    # Its center is there, and its pixels are as large as those of the image.
    wcs = WCS(header)
    assert wcs.all_pix2world([[found.x, found.y]], 0)[0] == pytest.approx(
        [header["PSF_RA"], header["PSF_DEC"]]
    )
    assert math.sqrt(abs(np.linalg.det(wcs.wcs.cd))) * 3600 == pytest.approx(0.2, rel=1e-3)
