"""The services on repositories and files that others made.

Nothing of the LSST stack is installed that could read them: the Butler names
formatters that do not exist here, and the files are afw Exposures.
"""

import io
import os
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import pyvo
import requests
from astropy import units as u
from astropy.io import fits
from astropy.time import Time, TimeDelta
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS
from lsst.daf.butler import Butler, DatasetRef, DatasetType, FileDataset, Timespan
from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d
from pyvo.dal.adhoc import DatalinkResults, SodaQuery
from starlink import Ast

from lsst.dax.vo.sample._tour_server import RunningServer, running_server

DATA = Path(os.environ.get("DAX_VO_TEST_DATA", Path(__file__).parents[3] / "shared/data"))
CFHT = DATA / "butler/jointcal_cfht_minimal/repo"
DP02 = DATA / "fits/dp02_soda_cutouts"

# What a public export of the repository would name; it need not be importable here.
FORMATTER = "lsst.images.formatters.GenericFormatter"
# 6.5 arcseconds: inside all images around their middle.
RADIUS_DEG = 0.0018

DP02_CONFIG = DATA / "obscore/dax_obscore/dp02.yaml"
CFHT_CONFIG = """
facility_name: CFHT
obs_collection: CFHT.D3
collections: ["singleFrame"]
obs_publisher_did_fmt: "ivo://org.example/cfht?repo=cfht&id={id}"
dataset_types:
  calexp:
    dataproduct_type: image
    dataproduct_subtype: lsst.calexp
    calib_level: 2
    obs_id_fmt: "{records[visit].name}"
    o_ucd: phot.count
    access_format: "application/x-votable+xml;content=datalink"
    datalink_url_fmt: "https://data.example.org/api/datalink/links?ID=butler%3A//cfht/{id}"
extra_columns:
  lsst_visit: {template: "{visit}", type: int}
  lsst_detector: {template: "{detector}", type: int}
  lsst_band: {template: "{band}", type: string}
spectral_ranges:
  r: [550.0e-9, 690.0e-9]
"""


def needs(path: Path) -> None:
    if not path.exists():
        pytest.skip(f"{path.name} is not in {DATA}; set DAX_VO_TEST_DATA")


@dataclass(frozen=True)
class Truth:
    """An afw Exposure, read with astropy and AST alone."""

    image: np.ndarray
    mask: np.ndarray
    variance: np.ndarray
    x0: int
    y0: int
    wcs: Any

    def sky_to_pixel(self, ra_deg: float, dec_deg: float) -> tuple[float, float]:
        """Return parent pixel coordinates by the exact WCS of the archive."""
        (x,), (y,) = self.wcs.tran([[np.radians(ra_deg)], [np.radians(dec_deg)]], False)
        return float(x), float(y)

    def pixel_to_sky(self, x: float, y: float) -> tuple[float, float]:
        (ra,), (dec,) = self.wcs.tran([[x], [y]])
        return float(np.degrees(ra)) % 360.0, float(np.degrees(dec))


def read_exposure(content: bytes) -> Truth:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        with fits.open(io.BytesIO(content)) as hdus:
            image, mask, variance = (np.array(hdus[number].data) for number in (1, 2, 3))
            header = hdus[1].header
            x0, y0 = -int(header.get("LTV1", 0)), -int(header.get("LTV2", 0))
            index = hdus[hdus[0].header["AR_HDU"] - 1].data
            place = next(row for row in index if row["id"] == hdus[0].header["ARCHIVE_ID_SKYWCS"])
            table = hdus[hdus[0].header["AR_HDU"] - 1 + int(place["cat.archive"])].data
            text = bytes(table["wcs"][int(place["row0"])]).decode()
    return Truth(image, mask, variance, x0, y0, read_ast(text))


def read_ast(text: str) -> Any:
    # "<version> SkyWcs <has approximation> " stands before the AST object.
    return Ast.Channel(_Lines(text[text.index("Begin FrameSet") :].splitlines())).read()


class _Lines:
    def __init__(self, lines: list[str]) -> None:
        self._lines = iter(lines)

    def astsource(self) -> str | None:
        return next(self._lines, None)


def build_dp02(root: Path) -> dict[UUID, bytes]:
    """Put the DP0.2 files into a repository, under the ids that they carry."""
    truths = {}
    Butler.makeRepo(str(root))
    with Butler.from_config(str(root), run="2.2i/runs/DP0.2") as butler:
        registry = butler.registry
        registry.insertDimensionData(
            "instrument",
            {
                "name": "LSSTCam-imSim",
                "visit_max": 10**7,
                "exposure_max": 10**7,
                "detector_max": 200,
                "visit_system": 0,
            },
        )
        kind = DatasetType("calexp", butler.dimensions.conform(["visit", "detector"]), "ExposureF")
        registry.registerDatasetType(kind)
        for path in sorted(DP02.glob("cutout_*.fits")):
            content = path.read_bytes()
            header = fits.getheader(path)
            band = str(header["FILTER"]).partition("_")[0]
            visit, detector = int(header["BTLRV002"]), int(header["BTLRV001"])
            insert_records(butler, header, band, visit, detector, read_exposure(content))
            ref = DatasetRef(
                kind,
                registry.expandDataId(instrument="LSSTCam-imSim", visit=visit, detector=detector),
                run="2.2i/runs/DP0.2",
                id=UUID(header["BTLRUUID"]),
            )
            butler.ingest(FileDataset(str(path), [ref], formatter=FORMATTER), transfer="copy")
            truths[ref.id] = content
    return truths


def insert_records(
    butler: Butler, header: fits.Header, band: str, visit: int, detector: int, truth: Truth
) -> None:
    registry = butler.registry
    instrument = "LSSTCam-imSim"
    physical = f"{band}_sim_1.4"
    registry.syncDimensionData("physical_filter", {"instrument": instrument, "name": physical, "band": band})
    registry.syncDimensionData(
        "detector", {"instrument": instrument, "id": detector, "full_name": header["DETNAME"]}
    )
    middle = Time(header["DATE-AVG"], scale="tai")
    half = TimeDelta(header["EXPTIME"] / 2, format="sec")
    region = padded_region(truth)
    registry.syncDimensionData("day_obs", {"instrument": instrument, "id": int(middle.strftime("%Y%m%d"))})
    registry.insertDimensionData(
        "visit",
        {
            "instrument": instrument,
            "id": visit,
            "name": str(visit),
            "physical_filter": physical,
            "day_obs": int(middle.strftime("%Y%m%d")),
            "exposure_time": header["EXPTIME"],
            "target_name": "UNKNOWN",
            "timespan": Timespan(middle - half, middle + half),
            "region": region,
        },
    )
    registry.insertDimensionData(
        "visit_detector_region",
        {"instrument": instrument, "visit": visit, "detector": detector, "region": region},
    )


def padded_region(truth: Truth) -> ConvexPolygon:
    height, width = truth.image.shape
    low_x, low_y = truth.x0 - 50, truth.y0 - 50
    high_x, high_y = truth.x0 + width + 50, truth.y0 + height + 50
    corners = [(low_x, low_y), (high_x, low_y), (high_x, high_y), (low_x, high_y)]
    return ConvexPolygon([UnitVector3d(LonLat.fromDegrees(*truth.pixel_to_sky(x, y))) for x, y in corners])


@dataclass(frozen=True)
class Served:
    """A server on a repository of others, and what is in its files."""

    server: RunningServer
    label: str
    files: dict[UUID, bytes]

    @property
    def tap(self) -> pyvo.dal.TAPService:
        return pyvo.dal.TAPService(f"{self.server.base_url}/api/tap")


@pytest.fixture(scope="module")
def cfht(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    needs(CFHT)
    folder = tmp_path_factory.mktemp("cfht")
    # Opened read-only, but SQLite wants to lock what it reads.
    shutil.copytree(CFHT, folder / "cfht", copy_function=shutil.copyfile)
    (folder / "cfht.yaml").write_text(CFHT_CONFIG)
    with Butler.from_config(str(folder / "cfht"), writeable=False) as butler:
        refs = butler.query_datasets("calexp", "singleFrame")
        files = {ref.id: Path(butler.getURI(ref).ospath).read_bytes() for ref in refs}
    arguments = [str(folder / "cfht"), "--obscore", str(folder / "cfht.yaml")]
    with running_server(arguments, log=folder / "server.log") as server:
        yield Served(server, "cfht", files)


@pytest.fixture(scope="module")
def dp02(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    needs(DP02)
    folder = tmp_path_factory.mktemp("dp02")
    files = build_dp02(folder / "dp02")
    with running_server(
        [str(folder / "dp02"), "--obscore", str(DP02_CONFIG)], log=folder / "server.log"
    ) as server:
        yield Served(server, "dp02", files)


@pytest.fixture(params=["cfht", "dp02"])
def served(request: pytest.FixtureRequest) -> Served:
    found: Served = request.getfixturevalue(request.param)
    return found


def follow(row: Any) -> DatalinkResults:
    return DatalinkResults.from_result_url(row["access_url"])


def test_all_datasets_are_found(served: Served) -> None:
    rows = served.tap.search("SELECT * FROM ivoa.ObsCore WHERE dataproduct_subtype = 'lsst.calexp'")
    assert {UUID(str(row["obs_publisher_did"])[-36:]) for row in rows} == set(served.files)
    assert {int(row["calib_level"]) for row in rows} == {2}


def test_rows_are_found_at_the_place_of_their_image(served: Served) -> None:
    for dataset, content in served.files.items():
        truth = read_exposure(content)
        height, width = truth.image.shape
        ra, dec = truth.pixel_to_sky(truth.x0 + width / 2, truth.y0 + height / 2)
        rows = served.tap.search(
            f"SELECT obs_publisher_did FROM ivoa.ObsCore WHERE CONTAINS(POINT({ra!r}, {dec!r}), s_region) = 1"
        )
        assert dataset in {UUID(str(row["obs_publisher_did"])[-36:]) for row in rows}
        away = served.tap.search(
            f"SELECT COUNT(*) AS n FROM ivoa.ObsCore WHERE CONTAINS(POINT({ra!r}, {-dec!r}), s_region) = 1"
        )
        assert int(away[0]["n"]) == 0


def test_siav2_finds_the_same(served: Served) -> None:
    truth = read_exposure(next(iter(served.files.values())))
    ra, dec = truth.pixel_to_sky(truth.x0 + 10.0, truth.y0 + 10.0)
    sia = pyvo.dal.SIA2Service(f"{served.server.base_url}/api/sia/{served.label}")
    found = sia.search(pos=(ra * u.deg, dec * u.deg, 1 * u.arcsec))
    assert {UUID(str(row["obs_publisher_did"])[-36:]) for row in found} & set(served.files)


def test_this_is_the_file_byte_for_byte(served: Served) -> None:
    for row in served.tap.search("SELECT * FROM ivoa.ObsCore"):
        this = follow(row).getrecord(0)
        assert this.semantics == "#this"
        content = served.files[UUID(str(row["obs_publisher_did"])[-36:])]
        assert int(this.content_length) == len(content)
        answer = requests.get(this.access_url, timeout=60)
        assert answer.content == content
        part = requests.get(this.access_url, headers={"Range": "bytes=2880-5759"}, timeout=60)
        assert (part.status_code, part.content) == (206, content[2880:5760])


@pytest.mark.parametrize("service", ["cutout-sync", "cutout-sync-maskedimage", "cutout-sync-exposure"])
def test_cutouts_are_the_pixels_at_the_right_place(served: Served, service: str) -> None:
    for row in served.tap.search("SELECT * FROM ivoa.ObsCore"):
        parent = read_exposure(served.files[UUID(str(row["obs_publisher_did"])[-36:])])
        height, width = parent.image.shape
        links = follow(row)
        for fx, fy in ((0.5, 0.5), (0.02, 0.97), (0.9, 0.1)):
            x, y = parent.x0 + fx * width, parent.y0 + fy * height
            ra, dec = parent.pixel_to_sky(x, y)
            query = SodaQuery.from_resource(links, links.get_adhocservice_by_id(service))
            query.circle = (ra * u.deg, dec * u.deg, RADIUS_DEG * u.deg)
            with query.execute_stream() as stream:
                check_cutout(stream.read(), service, parent, ra, dec)


def check_cutout(content: bytes, service: str, parent: Truth, ra_deg: float, dec_deg: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        with fits.open(io.BytesIO(content)) as hdus:
            planes = [np.array(hdu.data) for hdu in hdus[1:] if hdu.is_image]
            header = hdus[1].header
            x0, y0 = int(header["CRVAL1A"]), int(header["CRVAL2A"])
            # The box of the circle by the exact WCS, clipped: not the cutout's own word.
            expected = expected_box(parent, ra_deg, dec_deg)
            height, width = planes[0].shape
            assert (x0, x0 + width, y0, y0 + height) == expected
            assert (header["LTV1"], header["LTV2"]) == (-x0, -y0)
            header_wcs = WCS(header)
    assert len(planes) == (1 if service == "cutout-sync" else 3)
    for plane, whole in zip(planes, (parent.image, parent.mask, parent.variance), strict=False):
        wanted = whole[y0 - parent.y0 :, x0 - parent.x0 :][:height, :width]
        np.testing.assert_array_equal(plane, wanted)
    if service == "cutout-sync-exposure":
        x, y = read_exposure(content).sky_to_pixel(ra_deg, dec_deg)
        assert (x, y) == pytest.approx(parent.sky_to_pixel(ra_deg, dec_deg), abs=1e-9)
    # The header's WCS is an approximation in afw files: good to a fraction of a pixel.
    in_header = header_wcs.world_to_pixel_values(ra_deg, dec_deg)
    exact = parent.sky_to_pixel(ra_deg, dec_deg)
    assert np.hypot(in_header[0] + x0 - exact[0], in_header[1] + y0 - exact[1]) < 0.5


def expected_box(parent: Truth, ra_deg: float, dec_deg: float) -> tuple[int, int, int, int]:
    """Return the half-open pixel box of the circle, from 20,000 points on it."""
    angles = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    lon, lat = np.radians(ra_deg), np.radians(dec_deg)
    radius = np.radians(RADIUS_DEG)
    sin_lat = np.sin(lat) * np.cos(radius) + np.cos(lat) * np.sin(radius) * np.cos(angles)
    turned = lon + np.arctan2(
        np.sin(angles) * np.sin(radius) * np.cos(lat), np.cos(radius) - np.sin(lat) * sin_lat
    )
    x, y = parent.wcs.tran([turned, np.arcsin(sin_lat)], False)
    height, width = parent.image.shape
    # A pixel reaches half its width to either side of its center.
    low_x, high_x = (int(np.floor(value + 0.5)) for value in (x.min(), x.max()))
    low_y, high_y = (int(np.floor(value + 0.5)) for value in (y.min(), y.max()))
    return (
        max(low_x, parent.x0),
        min(high_x, parent.x0 + width - 1) + 1,
        max(low_y, parent.y0),
        min(high_y, parent.y0 + height - 1) + 1,
    )


def test_dp02_repeats_what_the_real_service_cut(dp02: Served) -> None:
    # The files are themselves cutouts: of the same circle, they are all there is.
    for dataset, content in dp02.files.items():
        answer = requests.get(
            f"{dp02.server.base_url}/api/cutout/sync",
            params={
                "id": f"butler://dp02/{dataset}",
                "circle": "72.5383603 -44.4248533 0.00800555555555556",
                "cutoutdetail": "Exposure",
            },
            timeout=60,
        )
        assert answer.status_code == 200
        theirs, ours = read_exposure(content), read_exposure(answer.content)
        # Rubin's polygon of 64 points is up to 0.12 % of the radius inside
        # the circle, and clipped files have no more to give.
        assert (ours.x0, ours.y0, ours.image.shape) == (theirs.x0, theirs.y0, theirs.image.shape)
        np.testing.assert_array_equal(ours.image, theirs.image)
        np.testing.assert_array_equal(ours.mask, theirs.mask)
        np.testing.assert_array_equal(ours.variance, theirs.variance)


def test_dp02_header_provenance_is_of_the_dataset(dp02: Served) -> None:
    dataset, content = next(iter(dp02.files.items()))
    answer = requests.get(
        f"{dp02.server.base_url}/api/cutout/sync",
        params={"ID": str(dataset), "CIRCLE": f"72.5383603 -44.4248533 {RADIUS_DEG}"},
        timeout=60,
    )
    ours, theirs = (fits.Header.fromstring(text) for text in (answer.content, content))
    assert ours["BTLRUUID"] == theirs["BTLRUUID"] == dataset.hex
    assert ours["BTLRNAME"] == "calexp"
    named = {ours[f"BTLRK{n:03d}"]: ours[f"BTLRV{n:03d}"] for n in range(3)}
    assert named == {theirs[f"BTLRK{n:03d}"]: theirs[f"BTLRV{n:03d}"] for n in range(3)}
    assert (ours["ST_TYPE"], ours["ST_RAD"]) == ("CIRCLE", RADIUS_DEG)


def test_dp02_queries_of_the_tutorials_find_the_rows(dp02: Served) -> None:
    rows = dp02.tap.search(
        "SELECT obs_id, lsst_visit, lsst_detector, lsst_band, t_min, access_url FROM ivoa.ObsCore "
        "WHERE calib_level = 2 AND lsst_visit = 184843 AND lsst_detector = 22"
    )
    assert len(rows) == 1
    assert (rows[0]["lsst_band"], int(rows[0]["lsst_visit"])) == ("i", 184843)
    # The header says when: the middle of the exposure, TAI.
    header = fits.Header.fromstring(
        next(c for c in dp02.files.values() if fits.Header.fromstring(c)["BTLRV002"] == 184843)
    )
    begin = Time(header["DATE-AVG"], scale="tai") - TimeDelta(15, format="sec")
    assert float(rows[0]["t_min"]) == pytest.approx(begin.utc.mjd, abs=1e-9)
