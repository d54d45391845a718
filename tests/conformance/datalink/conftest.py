"""Services on a small repository with images, a table, a raw and no file."""

import io
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
import sqlalchemy
from astropy.io import fits
from lsst.daf.butler import Butler, DataCoordinate, DatasetRef, DatasetType, FileDataset
from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

from lsst.dax.vo.config import LinksConfig
from lsst.dax.vo.dali import ParamSet, Response
from lsst.dax.vo.datalink import (
    CutoutLinks,
    FileService,
    HmacKey,
    LinkChoice,
    LinksService,
    Signer,
    ThisLinks,
)
from lsst.dax.vo.repo import Repositories, open_repository

BASE_URL = "https://vo.example.org/rubin"
NOW_S = 1_800_000_000
MAX_IDS = 7
_NS = "{http://www.ivoa.net/xml/VOTable/v1.3}"

# Dataset type, storage class and patch; patch 5 has no file.
DATASETS = {
    "coadd": ("deepCoadd_calexp", "ExposureF", 2),
    "other": ("deepCoadd_calexp", "ExposureF", 3),
    "gone": ("deepCoadd_calexp", "ExposureF", 5),
    "plane": ("deepCoadd_image", "ImageF", 2),
    "raw": ("raw", "Exposure", 2),
    "table": ("objectTable", "ArrowAstropy", 2),
}


@dataclass(frozen=True)
class Links:
    """A links document, taken apart."""

    response: Response
    root: ET.Element

    @property
    def rows(self) -> list[dict[str, str]]:
        names = [field.get("name") for field in self.root.iter(f"{_NS}FIELD")]
        return [
            dict(zip(names, [cell.text or "" for cell in row], strict=True))
            for row in self.root.iter(f"{_NS}TR")
        ]

    @property
    def descriptors(self) -> list[ET.Element]:
        return [item for item in self.find_all("RESOURCE") if item.get("type") == "meta"]

    def find_all(self, tag: str) -> list[ET.Element]:
        return list(self.root.iter(_NS + tag))


@dataclass
class World:
    """The services, and what they serve."""

    ids: dict[str, UUID]
    files: FileService
    links_service: LinksService
    repositories: Repositories
    clock_s: list[float]

    def links(self, *ids: str, **params: str) -> Links:
        """Ask for links; a name of a dataset stands for its UUID."""
        pairs = [("ID", str(self.ids.get(text, text))) for text in ids]
        response = self.links_service.links(ParamSet.from_pairs([*pairs, *params.items()]), BASE_URL)
        return Links(response, ET.fromstring(response.body))

    def build(
        self, repositories: Repositories | None = None, files: FileService | None = None, **options: object
    ) -> LinksService:
        """Build another service, by default on the same repositories."""
        return build_links(repositories or self.repositories, files or self.files, **options)


# Rubin's service offers no cutouts of raws.
RUBIN = LinkChoice({"coadds": {"raw": LinksConfig(cutout=False)}})


def build_links(repositories, files, *, find_coverage=lambda _: {}, choice=RUBIN, **options):
    """Build the service with the links that need no store."""
    sources = (ThisLinks(files, choice), CutoutLinks(repositories, find_coverage, choice))
    return LinksService(repositories, sources, **options)


def _square(ra_deg: float, dec_deg: float, half_deg: float) -> ConvexPolygon:
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return ConvexPolygon(
        [UnitVector3d(LonLat.fromDegrees(ra_deg + x * half_deg, dec_deg + y * half_deg)) for x, y in corners]
    )


@pytest.fixture(scope="session")
def coadd_repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, UUID]]:
    root = tmp_path_factory.mktemp("datalink") / "coadds"
    Butler.makeRepo(str(root))
    ids = {}
    with Butler.from_config(str(root), run="run") as butler:
        registry = butler.registry
        registry.insertDimensionData(
            "skymap", {"name": "sky", "hash": b"1", "tract_max": 9, "patch_nx_max": 9, "patch_ny_max": 9}
        )
        registry.insertDimensionData(
            "tract", {"skymap": "sky", "id": 4431, "region": _square(55.7, -32.3, 0.5)}
        )
        dimensions = butler.dimensions.conform(["skymap", "tract", "patch"])
        for patch in (2, 3, 5):
            region = _square(55.7 + 0.2 * patch, -32.3, 0.1)
            registry.insertDimensionData(
                "patch",
                {"skymap": "sky", "tract": 4431, "id": patch, "cell_x": patch, "cell_y": 0, "region": region},
            )
        for name, (type_name, storage_class, patch) in DATASETS.items():
            kind = DatasetType(type_name, dimensions, storage_class)
            registry.registerDatasetType(kind)
            data_id = DataCoordinate.standardize(
                skymap="sky", tract=4431, patch=patch, universe=butler.dimensions
            )
            ref = DatasetRef(kind, data_id, run="run")
            suffix = "parq" if name == "table" else "fits"
            path = root / "run" / f"{name}+({patch}).{suffix}"
            path.parent.mkdir(exist_ok=True)
            # The first pixel tells the files apart.
            pixels = np.full((40, 50), len(ids), dtype="f4")
            fits.HDUList([fits.PrimaryHDU(pixels)]).writeto(path)
            # The formatter is never asked: it is one that only a full stack has.
            formatter = "lsst.daf.butler.formatters.file.FileFormatter"
            butler.ingest(FileDataset(path=str(path), refs=[ref], formatter=formatter), transfer=None)
            ids[name] = ref.id
            if name == "gone":
                path.unlink()
    return root, ids


@pytest.fixture(scope="session")
def repositories(coadd_repository: tuple[Path, dict[str, UUID]]) -> Iterator[Repositories]:
    opened = Repositories([open_repository(coadd_repository[0])])
    yield opened
    opened.close()


@pytest.fixture
def world(coadd_repository: tuple[Path, dict[str, UUID]], repositories: Repositories) -> World:
    clock_s = [float(NOW_S)]
    signer = Signer([HmacKey("k1", b"sixteen characters")], lifetime_s=3600, clock=lambda: clock_s[0])
    files = FileService(repositories, signer)
    links_service = build_links(repositories, files, max_ids=MAX_IDS)
    return World(coadd_repository[1], files, links_service, repositories, clock_s)


@pytest.fixture
def copied_world(
    world: World, coadd_repository: tuple[Path, dict[str, UUID]], tmp_path: Path
) -> Iterator[World]:
    """Return the same on a copy whose files may be spoilt."""
    root, ids = coadd_repository
    shutil.copytree(root, tmp_path / "coadds")
    repositories = Repositories([open_repository(tmp_path / "coadds")])
    signer = Signer([HmacKey("k1", b"sixteen characters")], lifetime_s=3600, clock=lambda: world.clock_s[0])
    files = FileService(repositories, signer)
    yield World(ids, files, build_links(repositories, files, max_ids=MAX_IDS), repositories, world.clock_s)
    repositories.close()


def read_body(response: Response) -> bytes:
    if isinstance(response.body, bytes):
        return response.body
    stream = io.BytesIO()
    for chunk in response.body:
        stream.write(chunk)
    return stream.getvalue()


@pytest.fixture
def statements(repositories: Repositories) -> Iterator[list[str]]:
    """Return the SQL that the registry is sent during a test."""
    with repositories["coadds"].session() as butler:
        engine = butler._registry._db._engine
    seen: list[str] = []

    def note(*args: object) -> None:
        seen.append(str(args[2]))

    sqlalchemy.event.listen(engine, "before_cursor_execute", note)
    yield seen
    sqlalchemy.event.remove(engine, "before_cursor_execute", note)


@pytest.fixture(name="read_body")
def _read_body():
    return read_body
