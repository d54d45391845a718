"""Cutouts of raw files of the LSST camera's simulators: found, described, and cut by every way."""

import io
import re
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from lsst.dax.vo.cli import vo
from lsst.dax.vo.config import Limits, RepositoryConfig, ServiceConfig
from lsst.dax.vo.dali import ParamSet
from lsst.dax.vo.services import Services, build_services, cut_dataset
from lsst.dax.vo.soda import Backend

from .test_real_repositories import DATA, needs

VOTABLE = "{http://www.ivoa.net/xml/VOTable/v1.3}"


@dataclass(frozen=True)
class Raw:
    """A raw in a repository."""

    name: str
    id: UUID
    path: str
    width: int
    height: int

    @property
    def pixels(self) -> np.ndarray:
        """The whole detector, as astropy and the cards of each amplifier have it."""
        found = np.full((self.height, self.width), np.nan)
        with fits.open(DATA / "butler/obs_lsst" / self.name / self.path) as hdus:
            for hdu in hdus[1:]:
                x0, x1, y0, y1 = numbers(hdu.header["DATASEC"])
                column0, column1, row0, row1 = numbers(hdu.header["DETSEC"])
                columns = np.linspace(column0, column1, x1 - x0 + 1).astype(int) - 1
                rows = np.linspace(row0, row1, y1 - y0 + 1).astype(int) - 1
                found[np.ix_(rows, columns)] = hdu.data[y0 - 1 : y1, x0 - 1 : x1]
        return found


def numbers(section: str) -> list[int]:
    return [int(word) for word in re.findall(r"\d+", section)]


RAWS = [
    Raw(
        "lsstCamSim",
        UUID("ae8a93a4-76ae-54db-8595-5ba150b4071b"),
        "raw/2024-03-21/7024032100720/7024032100720-R22-S11-det094.fits.fz",
        4096,
        4004,
    ),
    Raw(
        "imsim",
        UUID("c63dd0e7-6930-5edf-aabd-b0ce3c49d434"),
        "raw/204595/R11/00204595-R11-S20-det042.fits",
        4072,
        4000,
    ),
]


@pytest.fixture(scope="module", params=RAWS, ids=lambda raw: raw.name)
def raw(request: pytest.FixtureRequest) -> Raw:
    found: Raw = request.param
    needs(DATA / "butler/obs_lsst" / found.name / found.path)
    return found


@pytest.fixture(scope="module")
def root(raw: Raw, tmp_path_factory: pytest.TempPathFactory) -> Path:
    # SQLite wants to lock what it reads.
    path = tmp_path_factory.mktemp("raws") / raw.name
    shutil.copytree(DATA / "butler/obs_lsst" / raw.name, path, copy_function=shutil.copyfile)
    return path


@pytest.fixture(scope="module")
def services(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    config = ServiceConfig(
        repositories=(RepositoryConfig(repo=str(root)),),
        base_url="https://vo.example.org",
        jobs_folder=tmp_path_factory.mktemp("jobs"),
        limits=Limits(cutout_workers=0),
    )
    built = build_services(config)
    yield built
    built.close()


def cut(services: Services, raw: Raw, **params: str) -> tuple[int, bytes]:
    pairs = [("ID", f"butler://{raw.name}/{raw.id}"), *params.items()]
    answer = services.cutouts.sync(ParamSet.from_pairs(pairs))
    return answer.status, answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)


def test_links_offer_the_pixels_and_no_mask(services: Services, raw: Raw) -> None:
    params = ParamSet.from_pairs([("ID", f"butler://{raw.name}/{raw.id}")])
    response = services.links.links(params, "https://vo.example.org")
    document = ET.fromstring(response.body)
    names = [field.get("name") for field in document.iter(f"{VOTABLE}FIELD")]
    rows = [
        dict(zip(names, [cell.text for cell in row], strict=True)) for row in document.iter(f"{VOTABLE}TR")
    ]
    cutouts = [row["service_def"] for row in rows if row["service_def"]]
    assert cutouts == ["cutout-sync"]
    described = {item.get("ID"): item for item in document.iter(f"{VOTABLE}RESOURCE") if item.get("ID")}
    assert "cutout-async" in described
    params_of = {item.get("name") for item in described["cutout-sync"].iter(f"{VOTABLE}PARAM")}
    assert {"PIXELS", "CIRCLE"} <= params_of


def test_pixels_are_those_of_the_detector(services: Services, raw: Raw) -> None:
    """Across the middle, where four amplifiers meet, each read from another corner."""
    x, y = raw.width // 2 - 20, raw.height // 2 - 10
    status, content = cut(services, raw, PIXELS=f"{x} {x + 39} {y} {y + 19}")
    assert status == 200
    with fits.open(io.BytesIO(content)) as hdus:
        np.testing.assert_array_equal(hdus[1].data, raw.pixels[y : y + 20, x : x + 40])
        assert hdus[0].header["BTLRNAME"] == "raw"
        assert (hdus[1].header["LTV1"], hdus[1].header["LTV2"]) == (-x, -y)


def test_command_and_function_give_the_same(services: Services, raw: Raw, root: Path, tmp_path: Path) -> None:
    _, served = cut(services, raw, PIXELS="0 99 0 49")
    found = cut_dataset(root, str(raw.id), [("PIXELS", "0 99 0 49")])
    assert found is not None
    path = tmp_path / "cut.fits"
    done = CliRunner().invoke(
        vo, ["cutout", str(root), str(raw.id), "--pixels", "0 99 0 49", "-o", str(path)]
    )
    assert done.exit_code == 0, done.output
    for content in (found.content, path.read_bytes()):
        assert without_date(content) == without_date(served)


def without_date(content: bytes) -> bytes:
    return re.sub(rb"DATE-CUT= '[^']*'", b"", content)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        # Both simulators forgot the prescan in the WCS of the amplifiers.
        (
            {"CIRCLE": "55.8 -29.4 0.001"},
            "no celestial WCS, so no place on the sky; cut it by pixels instead",
        ),
        ({"PIXELS": "0 9 0 9", "CUTOUTDETAIL": "MaskedImage"}, "has no mask and variance"),
    ],
    ids=["sky", "mask"],
)
def test_what_a_raw_has_not(services: Services, raw: Raw, params: dict[str, str], told: str) -> None:
    status, content = cut(services, raw, **params)
    assert status == 400
    assert content.startswith(b"UsageError: ")
    assert told in content.decode()


@pytest.mark.parametrize(
    ("backend", "told"),
    [(Backend.IMAGES, "no file of lsst.images"), (Backend.AFW, "does not put together")],
    ids=lambda value: value.value if isinstance(value, Backend) else "",
)
def test_backends_that_cannot(raw: Raw, root: Path, backend: Backend, told: str) -> None:
    with pytest.raises(Exception, match=told):
        cut_dataset(root, str(raw.id), [("PIXELS", "0 9 0 9")], backend=backend)
