"""The links of a service as it is built: all families, for one dataset and for very many."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
import sqlalchemy
from astropy.io import fits
from lsst.daf.butler import Butler, DatasetType, FileDataset
from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

from lsst.dax.vo.config import Limits, LinksConfig, RepositoryConfig, ServiceConfig
from lsst.dax.vo.dali import ParamSet
from lsst.dax.vo.errors import NotFoundError, UsageError
from lsst.dax.vo.services import Services, build_services, link_datasets
from lsst.dax.vo.services._coverage import _region_of

NS = "{http://www.ivoa.net/xml/VOTable/v1.3}"
BASE = "http://vo.example.org"
VISITS, DETECTORS = 60, 10
FORMATTER = "lsst.daf.butler.formatters.file.FileFormatter"


def square(ra_deg: float, dec_deg: float) -> ConvexPolygon:
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return ConvexPolygon(
        [UnitVector3d(LonLat.fromDegrees(ra_deg + 0.1 * x, dec_deg + 0.1 * y)) for x, y in corners]
    )


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[UUID]]:
    """Return a repository of many images and tables, all in one file, and the images' identifiers."""
    root = tmp_path_factory.mktemp("links") / "survey"
    Butler.makeRepo(str(root))
    path = root / "one.fits"
    fits.HDUList([fits.PrimaryHDU(np.zeros((40, 50), "f4"))]).writeto(path)
    with Butler.from_config(str(root), run="run") as butler:
        insert = butler.registry.insertDimensionData
        insert("instrument", {"name": "Cam", "detector_max": 99, "class_name": "lsst.obs.base.Instrument"})
        insert("physical_filter", {"instrument": "Cam", "name": "r1", "band": "r"})
        insert(
            "detector",
            *({"instrument": "Cam", "id": number, "full_name": f"d{number}"} for number in range(DETECTORS)),
        )
        insert("day_obs", {"instrument": "Cam", "id": 20250101})
        insert(
            "visit",
            *(
                {
                    "instrument": "Cam",
                    "id": number,
                    "name": f"v{number}",
                    "physical_filter": "r1",
                    "day_obs": 20250101,
                }
                for number in range(VISITS)
            ),
        )
        places = [(visit, detector) for visit in range(VISITS) for detector in range(DETECTORS)]
        insert(
            "visit_detector_region",
            *(
                {"instrument": "Cam", "visit": v, "detector": d, "region": square(50 + d, -30 + 0.2 * v)}
                for v, d in places
            ),
        )
        dimensions = butler.dimensions.conform(["visit", "detector"])
        ids: list[UUID] = []
        for name, storage_class in (("visit_image", "ExposureF"), ("source", "ArrowAstropy")):
            kind = DatasetType(name, dimensions, storage_class)
            butler.registry.registerDatasetType(kind)
            refs = butler.registry.insertDatasets(
                kind, [{"instrument": "Cam", "visit": v, "detector": d} for v, d in places], run="run"
            )
            butler.ingest(FileDataset(path=str(path), refs=refs, formatter=FORMATTER), transfer="direct")
            ids += [ref.id for ref in refs]
    return root, ids


def serve(root: Path, *, remember_s: float = 0, **options: object) -> Services:
    entry = RepositoryConfig(repo=str(root), **options)
    limits = Limits(cutout_workers=0)
    return build_services(ServiceConfig(repositories=(entry,), limits=limits, remember_s=remember_s))


@pytest.fixture(scope="module")
def services(repository: tuple[Path, list[UUID]]) -> Iterator[Services]:
    with closing(serve(repository[0])) as built:
        yield built


def ask(services: Services, *ids: UUID) -> ET.Element:
    response = services.links.links(ParamSet.from_pairs(("ID", str(text)) for text in ids), BASE)
    assert response.status == 200
    return ET.fromstring(response.body)


def rows_of(root: ET.Element) -> list[dict[str, str | None]]:
    names = [str(item.get("name")) for item in root.iter(f"{NS}FIELD")]
    return [dict(zip(names, [cell.text for cell in row], strict=True)) for row in root.iter(f"{NS}TR")]


def limits_of(root: ET.Element, xml_id: str) -> dict[str, list[str | None]]:
    resource = next(item for item in root.iter(f"{NS}RESOURCE") if item.get("ID") == xml_id)
    return {
        str(param.get("name")): [
            item.get("value") for item in param.iter() if item.tag in (f"{NS}MIN", f"{NS}MAX")
        ]
        for param in resource.iter(f"{NS}PARAM")
    }


@contextmanager
def statements(services: Services) -> Iterator[list[str]]:
    """Note what the registry is sent."""
    with services.repositories["survey"].session() as butler:
        engine = butler._registry._db._engine
    seen: list[str] = []

    def note(*args: object) -> None:
        seen.append(str(args[2]))

    sqlalchemy.event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sqlalchemy.event.remove(engine, "before_cursor_execute", note)


def test_very_many_datasets_cost_a_few_queries(services, repository):
    images = repository[1]
    with statements(services) as seen:
        ask(services, images[0])
        for_one = len(seen)
        seen.clear()
        rows = rows_of(ask(services, *images))
    assert len(rows) >= len(images) == 2 * VISITS * DETECTORS
    assert not [row for row in rows if row["error_message"]]
    assert 0 < for_one <= 60
    assert len(seen) <= 2 * for_one + 10


def test_regions_of_very_many_datasets_cost_a_few_queries(services, repository):
    ids = repository[1]
    with statements(services) as seen:
        regions = services.repositories["survey"].regions(ids)
    assert 0 < len(seen) <= 20
    assert regions.keys() == set(ids)
    for number in (0, 11, VISITS * DETECTORS + 11):
        visit, detector = divmod(number % (VISITS * DETECTORS), DETECTORS)
        center = LonLat(regions[ids[number]].getCentroid())
        place = (center.getLon().asDegrees(), center.getLat().asDegrees())
        assert place == pytest.approx((50 + detector, -30 + 0.2 * visit), abs=1e-3)


@pytest.mark.parametrize(("remember_s", "asked"), [(0, 4), (600, 2)])
def test_rows_of_the_table_are_remembered_for_a_while(repository, monkeypatch, remember_s, asked):
    first, second = repository[1][:2]
    searches = []
    with closing(serve(repository[0], remember_s=remember_s)) as services:
        run = services.engine.run
        monkeypatch.setattr(services.engine, "run", lambda *a, **k: searches.append(a) or run(*a, **k))
        found = [limits_of(ask(services, *ids), "cutout-sync") for ids in ((first,), (first,), (second,))]
        ask(services, first, second)
    assert found[0] == found[1] != found[2]
    assert len(searches) == asked


@pytest.mark.parametrize(
    ("text", "area_deg"),
    [
        ("POLYGON ICRS 10 0 11 0 11 1 10 1", 1.0),
        ("POLYGON ICRS 10 1 11 1 11 0 10 0", 1.0),
        ("polygon ICRS 10 0 11 0 10.5 0.5 11 1 10 1", 1.0),
        ("CIRCLE ICRS 10 0 0.5", 0.785),
    ],
)
def test_region_of_a_row_covers_its_shape(text, area_deg):
    circle = _region_of(text).getBoundingCircle()
    center = LonLat(circle.getCenter())
    radius = circle.getOpeningAngle().asDegrees()
    assert center.getLat().asDegrees() == pytest.approx(0.0 if "CIRCLE" in text else 0.5, abs=0.01)
    assert radius == pytest.approx(0.5 if "CIRCLE" in text else (area_deg / 2) ** 0.5, rel=0.01)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "POLYGON ICRS 1 2 3 4",
        "POLYGON ICRS 1 2 3 4 5",
        "POLYGON ICRS 1 1 1 1 1 1",
        "POLYGON ICRS nan 2 3 4 5 6",
        "POLYGON ICRS 1 2 x 4 5 6",
        "CIRCLE ICRS 1 91 1",
        "CIRCLE ICRS 1 2 -1",
        "CIRCLE ICRS 1 2",
        "CIRCLE ICRS",
        "BOX ICRS 1 2 3 4",
        "POLYGON J2000 1 2 3 4 5 6",
    ],
)
def test_region_of_a_row_may_be_none(text):
    assert _region_of(text) is None


def test_limits_come_from_the_row_of_the_table(services, repository):
    """Of one dataset, and of each of several: those of the image itself."""
    for number in (0, 11):
        found = limits_of(ask(services, repository[1][number]), "cutout-sync")
        circle = [float(text) for text in str(found["CIRCLE"][0]).split()]
        visit, detector = divmod(number, DETECTORS)
        assert circle[:2] == pytest.approx([50 + detector, -30 + 0.2 * visit], abs=1e-4)
        assert found["POLYGON"]
    several = ask(services, *repository[1][:3])
    for number in range(3):
        alone = limits_of(ask(services, repository[1][number]), "cutout-sync")
        assert limits_of(several, f"cutout-sync-{number + 1}")["CIRCLE"] == alone["CIRCLE"]


@pytest.mark.parametrize(("count", "own"), [(16, 16), (17, 0)])
def test_of_very_many_datasets_none_has_its_own_descriptors(services, repository, count, own):
    root = ask(services, *repository[1][:count])
    named = {row["service_def"] for row in rows_of(root) if row["semantics"] == "#cutout"}
    assert named == ({f"cutout-sync-{number}" for number in range(1, own + 1)} or {"cutout-sync"})


def test_configuration_says_which_links_there_are(repository):
    links = {
        "*": LinksConfig(description="{dataset_type} of visit {visit}", metadata=False, preview=False),
        "visit_image": LinksConfig(cutout=False, psf=False, mask_planes=False, qualifier="#cube"),
        "source": LinksConfig(progenitor=False, coderived=False, auxiliary=False),
    }
    ids = repository[1]
    with closing(serve(repository[0], links=links)) as services:
        image, table = (rows_of(ask(services, dataset_id)) for dataset_id in (ids[0], ids[-1]))
    assert image[0]["description"] == "visit_image of visit 0"
    assert image[0]["content_qualifier"] == "#cube"
    assert table[0]["description"] == f"source of visit {VISITS - 1}"
    assert table[0]["content_qualifier"] == "#measurements"
    assert not [row for row in image if row["service_def"]]
    made = {"#cutout", "#preview", "#preview-image", "#thumbnail"}
    assert not made & {row["semantics"] for row in (*image, *table)}
    assert [row["semantics"] for row in table] == ["#this"]


def test_command_line_has_the_links_of_the_configuration(repository, tmp_path, monkeypatch):
    """Without a service: files have their own addresses, and what only a service makes is not there."""
    root, ids = repository
    monkeypatch.delenv("DAX_VO_BASE_URL", raising=False)
    config = tmp_path / "service.yaml"
    config.write_text(
        "base_url: https://vo.example.org/\n"
        f"repositories:\n  - repo: {root}\n    label: other\n"
        "    links: {visit_image: {description: 'Visit {visit}'}, source: {coderived: false}}\n"
    )
    texts = [f"butler://other/{ids[0]}", str(ids[-1])]
    document = ET.fromstring(b"".join(link_datasets(root, texts, config_path=config)))
    rows = rows_of(document)
    assert {row["ID"] for row in rows} == set(texts)
    assert rows[0]["access_url"] == (root / "one.fits").as_uri()
    assert rows[0]["description"] == "Visit 0"
    assert [row["semantics"] for row in rows if row["ID"] == texts[1]] == ["#this"]
    assert "#preview" not in {row["semantics"] for row in rows}
    urls = {param.get("value") for param in document.iter(f"{NS}PARAM") if param.get("name") == "accessURL"}
    assert urls == {"https://vo.example.org/api/cutout/sync", "https://vo.example.org/api/cutout/async"}


@pytest.mark.parametrize(
    ("text", "error", "word"),
    [
        ("00000000-0000-4000-8000-000000000000", NotFoundError, "NotFoundFault"),
        ("nonsense", UsageError, "UsageFault"),
        ("butler://elsewhere/00000000-0000-4000-8000-000000000000", NotFoundError, "NotFoundFault"),
    ],
)
def test_command_line_tells_a_bad_id_after_the_document(repository, text, error, word):
    root, ids = repository
    chunks = link_datasets(root, [str(ids[0]), text])
    told: list[bytes] = []
    with pytest.raises(error):
        told.extend(chunks)
    (row,) = [row for row in rows_of(ET.fromstring(b"".join(told))) if row["ID"] == text]
    assert str(row["error_message"]).startswith(word)
