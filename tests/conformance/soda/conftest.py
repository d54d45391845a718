"""All services on a small repository of exposures, asked without a socket."""

import asyncio
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from lsst.daf.butler import Butler, DataCoordinate, DatasetRef, DatasetType, FileDataset
from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

from lsst.dax.vo.config import Limits, RepositoryConfig, ServiceConfig
from lsst.dax.vo.http import create_app
from lsst.dax.vo.services import Services, build_services
from lsst.dax.vo.testing import make_image_header, write_afw_file

BASE_URL = "https://vo.example.org/rubin"
RA_DEG, DEC_DEG = (float(value) for value in WCS(make_image_header(sip=True)).all_pix2world([[40, 30]], 0)[0])
UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
# Patch and band.
DATASETS = {
    "g": (1, "g"),
    "r": (1, "r"),
    "i": (1, "i"),
    "table": (1, "g"),
    "lost": (2, "i"),
    "empty": (3, "i"),
    "pointer": (4, "i"),
    "text": (5, "i"),
    "short": (6, "i"),
    "bare": (7, "i"),
}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


def _spoil(name: str, path: Path) -> None:
    """Make a file what its name says."""
    match name:
        case "lost":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "pointer":
            path.write_bytes(POINTER)
        case "text":
            path.write_text("This is no FITS file.\n" * 1000)
        case "short":
            path.write_bytes(path.read_bytes()[:12000])
        case "bare":
            path.unlink()
            fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((9, 9), "f4"))]).writeto(path)


OBSCORE = """
collections: [run]
facility_name: Rubin:Simonyi
obs_collection: TEST
obs_publisher_did_fmt: "ivo://example.org/soda?repo=coadds&id={id}"
spectral_ranges: {g: [402.0e-9, 552.0e-9], r: [552.0e-9, 691.0e-9], i: [691.0e-9, 818.0e-9]}
dataset_types:
  deepCoadd_calexp:
    dataproduct_type: image
    calib_level: 3
    obs_id_fmt: "{tract}-{patch}-{band}"
    o_ucd: phot.count
    access_format: image/fits
"""


@dataclass
class Site:
    """The services, and requests to them."""

    services: Services
    ids: dict[str, str]

    def __post_init__(self) -> None:
        self._app = create_app(self.services)

    def __call__(self, method: str, path: str, /, **options: Any) -> httpx.Response:
        """Send a request; its path is below the base URL, or a whole URL."""

        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="https://vo.example.org") as session:
                return await session.request(method, path.removeprefix(BASE_URL), **options)

        return asyncio.run(run())

    def pairs(self, *pairs: tuple[str, str]) -> list[tuple[str, str]]:
        """Write the names of datasets as identifiers."""
        return [(name, self.ids.get(value, value) if name == "ID" else value) for name, value in pairs]

    def sync(self, *pairs: tuple[str, str], method: str = "GET") -> httpx.Response:
        sent = self.pairs(*pairs)
        if method == "GET":
            return self("GET", "/api/cutout/sync", params=sent)
        content = str(httpx.QueryParams(sent)).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self("POST", "/api/cutout/sync", content=content, headers=headers)

    def make(self, path: str, *pairs: tuple[str, str]) -> str:
        """Make a job, and return its URL."""
        content = str(httpx.QueryParams(self.pairs(*pairs))).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self("POST", path, content=content, headers=headers)
        assert answer.status_code == 303
        return answer.headers["location"]

    def wait(self, url: str) -> ET.Element:
        """Wait for the end of a job."""
        for _ in range(60):
            job = ET.fromstring(self("GET", f"{url}?WAIT=2").content)
            if job.findtext(f"{UWS}phase") not in ("QUEUED", "EXECUTING"):
                return job
        raise AssertionError(ET.tostring(job))


def _square(ra_deg: float, dec_deg: float, half_deg: float) -> ConvexPolygon:
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return ConvexPolygon(
        [UnitVector3d(LonLat.fromDegrees(ra_deg + x * half_deg, dec_deg + y * half_deg)) for x, y in corners]
    )


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    root = tmp_path_factory.mktemp("soda") / "coadds"
    Butler.makeRepo(str(root))
    ids = {}
    with Butler.from_config(str(root), run="run") as butler:
        registry = butler.registry
        registry.insertDimensionData(
            "skymap", {"name": "sky", "hash": b"1", "tract_max": 9, "patch_nx_max": 9, "patch_ny_max": 9}
        )
        # A band is one of the filters of an instrument.
        registry.insertDimensionData("instrument", {"name": "Cam"})
        for band in "gri":
            registry.insertDimensionData(
                "physical_filter", {"instrument": "Cam", "name": f"{band}_1", "band": band}
            )
        region = _square(RA_DEG, DEC_DEG, 0.01)
        registry.insertDimensionData("tract", {"skymap": "sky", "id": 1, "region": region})
        for patch in range(1, 8):
            registry.insertDimensionData(
                "patch",
                {"skymap": "sky", "tract": 1, "id": patch, "cell_x": patch, "cell_y": 0, "region": region},
            )
        dimensions = butler.dimensions.conform(["skymap", "tract", "patch", "band"])
        for name, (patch, band) in DATASETS.items():
            is_table = name == "table"
            kind = DatasetType(
                "objectTable" if is_table else "deepCoadd_calexp",
                dimensions,
                "ArrowAstropy" if is_table else "ExposureF",
            )
            registry.registerDatasetType(kind)
            data_id = DataCoordinate.standardize(
                skymap="sky", tract=1, patch=patch, band=band, universe=butler.dimensions
            )
            ref = DatasetRef(kind, data_id, run="run")
            path = root / "run" / f"{name}.{'parq' if is_table else 'fits'}"
            path.parent.mkdir(exist_ok=True)
            write_afw_file(path, "GZIP_2")
            formatter = "lsst.daf.butler.formatters.file.FileFormatter"
            butler.ingest(FileDataset(path=str(path), refs=[ref], formatter=formatter), transfer=None)
            ids[name] = str(ref.id)
            _spoil(name, path)
    return root, ids


@pytest.fixture(scope="session")
def config(
    repository: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> ServiceConfig:
    obscore = tmp_path_factory.mktemp("obscore") / "obscore.yaml"
    obscore.write_text(OBSCORE)
    return ServiceConfig(
        repositories=(RepositoryConfig(repo=str(repository[0]), obscore=obscore),),
        base_url=BASE_URL,
        jobs_folder=tmp_path_factory.mktemp("jobs"),
        limits=Limits(cutout_pixels=5760, cutout_products=50, cutout_workers=2, jobs_running=2),
    )


@pytest.fixture(scope="session")
def site(config: ServiceConfig, repository: tuple[Path, dict[str, str]]) -> Iterator[Site]:
    services = build_services(config)
    services.start()
    yield Site(services, repository[1])
    services.close()
