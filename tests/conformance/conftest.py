"""A small sky of ObsCore rows in two repositories, and documents taken apart.

The rows are made up, from a seed, so that every search parameter meets
matches, misses and empty cells; their regions lie on poles, across longitude
0 and elsewhere.  What a search must find is computed row by row with
`lsst.sphgeom`, without any SQL.
"""

import io
import shutil
import subprocess
import uuid
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import astropy.io.votable
import numpy as np
import pyarrow as pa
import pytest
import requests
import urllib3
from lsst.sphgeom import Angle, ConvexPolygon, LonLat, Region, UnitVector3d

from lsst.dax.vo.config import Limits
from lsst.dax.vo.dali import DataOrigin, ParamSet, Response
from lsst.dax.vo.obscore import MANDATORY_COLUMNS, OBSCORE_COLUMNS
from lsst.dax.vo.query import Engine, open_engine
from lsst.dax.vo.sia import SiaService
from lsst.dax.vo.store import open_store, open_writer, parse_store
from lsst.dax.vo.tap import TapService

BASE_URL = "https://vo.example.org/rubin"
NOW_S = 1_800_000_000.0
VOT = "{http://www.ivoa.net/xml/VOTable/v1.3}"
LABELS = ("alpha", "beta")

# The table of many services: the mandatory columns, and one optional one.
_COLUMNS = [
    *MANDATORY_COLUMNS,
    next(column for column in OBSCORE_COLUMNS if column.name == "dataproduct_subtype"),
]
_PLACES = ((55.7, -32.3), (0.0, 0.1), (359.95, -10.0), (120.0, 89.95), (200.0, -89.9), (180.0, 45.0))
_BANDS = ((3.0e-7, 3.9e-7), (4.0e-7, 5.5e-7), (5.5e-7, 6.9e-7), (9.2e-7, 1.1e-6), (None, None))


@dataclass(frozen=True)
class SkyRow:
    """One dataset: its public cells, and what only the store knows."""

    label: str
    dataset_id: uuid.UUID
    cells: dict[str, Any]
    region: Region | None

    def __getitem__(self, name: str) -> Any:
        return self.cells[name]


@dataclass(frozen=True)
class Document:
    """A VOTable that a service answered."""

    response: Response
    content: bytes
    root: ET.Element = field(repr=False)

    def find_all(self, tag: str) -> list[ET.Element]:
        return list(self.root.iter(VOT + tag))

    @property
    def statuses(self) -> list[tuple[str, bool, str]]:
        """Each QUERY_STATUS: its value, whether it follows the table, its text."""
        found = []
        after = False
        for element in self.root.iter():
            after = after or element.tag == f"{VOT}TABLEDATA"
            if element.tag == f"{VOT}INFO" and element.get("name") == "QUERY_STATUS":
                found.append((element.get("value", ""), after, element.text or ""))
        return found

    @property
    def overflow(self) -> bool:
        """Whether rows were left out."""
        return ("OVERFLOW", True, "") in self.statuses

    @property
    def infos(self) -> dict[str, str]:
        return {item.get("name", ""): item.get("value", "") for item in self.find_all("INFO")}

    @property
    def names(self) -> list[str]:
        return [item.get("name", "") for item in self.find_all("FIELD")]

    @property
    def rows(self) -> list[dict[str, str]]:
        return [
            dict(zip(self.names, [cell.text or "" for cell in row], strict=True))
            for row in self.find_all("TR")
        ]

    def column(self, name: str) -> list[str]:
        return [row[name] for row in self.rows]


def read_response(response: Response) -> bytes:
    """Return the whole body."""
    return response.body if isinstance(response.body, bytes) else b"".join(response.body)


@pytest.fixture(scope="session")
def document() -> Callable[[Response], Document]:
    """Take a VOTable apart; a document that astropy warns about fails."""

    def parse(response: Response) -> Document:
        content = read_response(response)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            astropy.io.votable.parse(io.BytesIO(content), verify="exception")
        return Document(response, content, ET.fromstring(content))

    return parse


@pytest.fixture(scope="session")
def stilts() -> Callable[..., str]:
    """Run a STILTS task and return what it prints."""
    path = shutil.which("stilts")
    if path is None:
        pytest.skip("stilts is not installed (Debian package 'stilts')")

    def run(*arguments: str) -> str:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def votlint(stilts: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], str]:
    """Check a VOTable and return the complaints."""

    def check(content: bytes) -> str:
        path = tmp_path_factory.mktemp("votlint") / "document.vot"
        path.write_bytes(content)
        return stilts("votlint", str(path), "validate=true", "ucd=true", "unit=true")

    return check


@pytest.fixture(scope="session")
def sky() -> tuple[SkyRow, ...]:
    """All rows of both repositories."""
    random = np.random.default_rng(20260101)
    return tuple(_make_row(random, index) for index in range(240))


def _make_row(random: np.random.Generator, index: int) -> SkyRow:
    label = LABELS[index % 3 == 0]
    dataset_id = uuid.UUID(bytes=random.bytes(16), version=4)
    region = None if index % 17 == 5 else _make_region(random, *_PLACES[index % len(_PLACES)])
    em_min, em_max = _BANDS[index % len(_BANDS)]
    coadd = index % 4 == 0
    t_min = None if coadd else 60_000.0 + float(random.integers(0, 50)) + 0.25
    exptime = None if coadd else float(random.choice([15.0, 30.0, 300.0]))
    cells: dict[str, Any] = {
        "dataproduct_type": ("image", "image", "cube", "spectrum", "image", None)[index % 6],
        "dataproduct_subtype": "lsst.deep_coadd" if coadd else "lsst.visit_image",
        "calib_level": 3 if coadd else int(random.integers(0, 3)),
        "obs_collection": f"LSST.{label.upper()}",
        "obs_id": f"o{index // 2}",
        "obs_publisher_did": f"ivo://org.Example/{label}?repo={label}&id={dataset_id}",
        "access_url": f"https://elsewhere.example.org/links?ID={dataset_id}",
        "access_format": "application/x-votable+xml;content=datalink" if index % 5 else "image/fits",
        "access_estsize": None if index % 9 == 0 else 1000 + index,
        "target_name": None if coadd else f"field {index % 7}",
        "s_resolution": None if index % 8 == 1 else round(float(random.uniform(0.4, 1.6)), 3),
        "s_xel1": 4000,
        "s_xel2": 4000,
        "t_min": t_min,
        "t_max": None if t_min is None or exptime is None else t_min + exptime / 86400,
        "t_exptime": exptime,
        "t_resolution": None if index % 6 else 0.5,
        "em_min": em_min,
        "em_max": em_max,
        "em_res_power": None if index % 7 else 5.0,
        "pol_states": (None, "/I/", "/I/Q/U/", "/RR/LL/")[index % 4],
        "facility_name": "Rubin:Simonyi" if index % 2 else "Rubin:1.2m",
        "instrument_name": "LSSTCam" if index % 2 else "LATISS",
        "o_ucd": "phot.count",
    }
    if region is not None:
        circle = region.getBoundingCircle()
        center = LonLat(circle.getCenter())
        cells["s_ra"] = center.getLon().asDegrees() % 360.0
        cells["s_dec"] = center.getLat().asDegrees()
        cells["s_fov"] = 2 * circle.getOpeningAngle().asDegrees()
        cells["s_region"] = "POLYGON ICRS " + " ".join(
            f"{vertex.getLon().asDegrees():.9f} {vertex.getLat().asDegrees():.9f}"
            for vertex in map(LonLat, region.getVertices())
        )
    return SkyRow(label, dataset_id, cells, region)


def _make_region(random: np.random.Generator, ra_deg: float, dec_deg: float) -> ConvexPolygon:
    place = UnitVector3d(LonLat.fromDegrees(ra_deg, dec_deg))
    center = place.rotatedAround(UnitVector3d.orthogonalTo(place), Angle.fromDegrees(random.normal(0, 0.4)))
    center = center.rotatedAround(place, Angle.fromDegrees(random.uniform(0, 360)))
    first = center.rotatedAround(
        UnitVector3d.orthogonalTo(center), Angle.fromDegrees(random.uniform(0.05, 0.4))
    )
    turn = random.uniform(0, 360)
    corners = [first.rotatedAround(center, Angle.fromDegrees(turn + 90 * i)) for i in range(4)]
    return ConvexPolygon(corners)


@dataclass(frozen=True)
class _SkyServices:
    """What is served of a sky, in stores of its own."""

    engine: Engine
    tap: TapService
    sia: SiaService


def _serve(rows: Iterable[SkyRow], folder: Path) -> _SkyServices:
    """Write one store for each repository, and serve them together."""
    stores = []
    for label in LABELS:
        location = parse_store(str(folder / f"{label}.store"))
        with open_writer(location, columns=_COLUMNS, properties={"label": label}) as writer:
            cells = [
                row.cells
                | {
                    "_repo": label,
                    "_id": row.dataset_id.bytes,
                    "_region": None if row.region is None else row.region.encode(),
                    "_print": 0,
                }
                for row in rows
                if row.label == label
            ]
            writer.write(pa.RecordBatch.from_pylist(cells, writer.schema))
        stores.append(open_store(location))
    few = Limits(maxrec=50, maxrec_hard=200)
    engine = open_engine(stores, limits=few, access_url="service")
    origin = DataOrigin("Example Observatory")
    return _SkyServices(
        engine,
        TapService(engine, limits=few, origin=origin, clock=lambda: NOW_S),
        # What a parameter finds is compared whole.
        SiaService(engine, labels=LABELS, limits=Limits(), origin=origin, clock=lambda: NOW_S),
    )


@pytest.fixture(scope="session")
def services(sky: tuple[SkyRow, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[_SkyServices]:
    """Serve the sky."""
    served = _serve(sky, tmp_path_factory.mktemp("stores"))
    yield served
    served.engine.close()


@pytest.fixture(scope="session")
def services_down(
    sky: tuple[SkyRow, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[_SkyServices]:
    """Serve a sky whose stores are lost after the start."""
    folder = tmp_path_factory.mktemp("lost")
    served = _serve(sky[:9], folder)
    for label in LABELS:
        shutil.rmtree(folder / f"{label}.store")
    yield served
    served.engine.close()


@pytest.fixture(scope="session")
def tap(services: _SkyServices) -> TapService:
    """Return TAP on the sky."""
    return services.tap


@pytest.fixture(scope="session")
def sia(services: _SkyServices) -> SiaService:
    """Return SIAv2 on the sky."""
    return services.sia


@pytest.fixture(scope="session")
def tap_down(services_down: _SkyServices) -> TapService:
    """Return TAP on stores that are lost."""
    return services_down.tap


@pytest.fixture(scope="session")
def sia_down(services_down: _SkyServices) -> SiaService:
    """Return SIAv2 on stores that are lost."""
    return services_down.sia


class _InProcess(requests.adapters.BaseAdapter):
    """Carries requests to the services without a socket."""

    def __init__(self, routes: dict[str, Callable[[ParamSet], Response]]) -> None:
        super().__init__()
        self._routes = routes

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        url = urlsplit(request.url or "")
        body = request.body or b""
        form = body.decode() if isinstance(body, bytes) else body
        pairs = parse_qsl(url.query, keep_blank_values=True) + parse_qsl(form, keep_blank_values=True)
        route = self._routes.get(url.path, lambda _params: Response(404, "text/plain", b"not here"))
        answer = route(ParamSet.from_pairs(pairs))
        response = requests.Response()
        response.status_code = answer.status
        response.url = request.url or ""
        response.request = request
        response.headers["Content-Type"] = answer.media_type
        response.raw = urllib3.HTTPResponse(
            io.BytesIO(read_response(answer)), status=answer.status, preload_content=False
        )
        return response

    def close(self) -> None:
        pass


@pytest.fixture
def session(tap: TapService, sia: SiaService) -> requests.Session:
    """Return a session whose requests go to the services."""
    none = ParamSet()
    routes: dict[str, Callable[[ParamSet], Response]] = {
        "/rubin/api/tap/sync": lambda params: tap.sync(params, BASE_URL),
        "/rubin/api/tap/capabilities": lambda _: tap.capabilities(BASE_URL),
        "/rubin/api/tap/availability": lambda _: tap.availability(),
        "/rubin/api/tap/examples": lambda _: tap.examples(BASE_URL),
        "/rubin/api/tap/tables": lambda params: tap.tables(params),
    }
    for table in ("ivoa.ObsCore", "TAP_SCHEMA.columns"):
        routes[f"/rubin/api/tap/tables/{table}"] = lambda _, table=table: tap.tables(none, table)
    for path, label in (("", None), *((f"/{label}", label) for label in (*LABELS, "query"))):
        routes |= {
            f"/rubin/api/sia{path}/query": partial(sia.query, base_url=BASE_URL, label=label),
            f"/rubin/api/sia{path}/capabilities": lambda _, label=label: sia.capabilities(
                BASE_URL, label=label
            ),
            f"/rubin/api/sia{path}/availability": lambda _, label=label: sia.availability(label=label),
        }
    session = requests.Session()
    session.mount("https://vo.example.org/", _InProcess(routes))
    return session
