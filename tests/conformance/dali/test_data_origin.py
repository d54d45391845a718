"""DataOrigin 1.2: each answer tells who made it, and what is known of its data."""

import io
from collections.abc import Callable
from typing import Any

import astropy.io.votable
import pytest
from astropy.io.votable.dataorigin import extract_data_origin

from lsst.dax.vo.config import Limits
from lsst.dax.vo.dali import DataOrigin, ParamSet, Response
from lsst.dax.vo.sia import SiaService
from lsst.dax.vo.tap import TapService

BASE_URL = "https://vo.example.org/rubin"
NOW_S = 1_800_000_000.0
OBSCORE = "SELECT obs_id, s_ra FROM ivoa.ObsCore WHERE s_ra < 100"
ORIGIN = DataOrigin(
    "Example Observatory",
    "mailto:vo@example.org",
    "lsst-dax-vo/1.0",
    "ivo://example.org/rubin",
    {
        "alpha": (
            ("data_ivoid", "ivo://example.org/alpha"),
            ("citation", "doi:10.1000/alpha"),
            ("rights_uri", "https://spdx.org/licenses/CC-BY-4.0.html"),
            ("creator", "A. Nobody"),
            ("creator", "B. <Somebody> & others"),
            ("publication_date", "2025-06-30"),
        ),
        "beta": (("citation", "doi:10.1000/beta"), ("creator", "A. Nobody")),
    },
)
ALPHA = {
    "data_ivoid": ["ivo://example.org/alpha"],
    "citation": ["doi:10.1000/alpha"],
    "rights_uri": ["https://spdx.org/licenses/CC-BY-4.0.html"],
    "creator": ["A. Nobody", "B. <Somebody> & others"],
    "publication_date": ["2025-06-30"],
}
BOTH = ALPHA | {"citation": ["doi:10.1000/alpha", "doi:10.1000/beta"]}
BETA = {"citation": ["doi:10.1000/beta"], "creator": ["A. Nobody"]}


@pytest.fixture(scope="module")
def tap(services: Any) -> TapService:
    """Return TAP with all that can be said of its data."""
    return TapService(services.engine, limits=Limits(), origin=ORIGIN, clock=lambda: NOW_S)


@pytest.fixture(scope="module")
def sia(services: Any) -> SiaService:
    """Return SIAv2 with all that can be said of its data."""
    return SiaService(
        services.engine, labels=("alpha", "beta"), limits=Limits(), origin=ORIGIN, clock=lambda: NOW_S
    )


def content_of(response: Response) -> bytes:
    assert response.status == 200
    return response.body if isinstance(response.body, bytes) else b"".join(response.body)


def told(content: bytes) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return what astropy finds: about the query, and about the data."""
    found = extract_data_origin(astropy.io.votable.parse(io.BytesIO(content), verify="exception"))
    query = {name: value for name, value in vars(found.query).items() if name != "infos" and value}
    data: dict[str, list[str]] = {}
    for origin in found.origin:
        data |= {name: value for name, value in vars(origin).items() if isinstance(value, list) and value}
    data.pop("infos", None)
    return query, data


@pytest.mark.parametrize("name", ["votable", "votable/b", "votable/b2"])
@pytest.mark.parametrize("maxrec", ["0", "3", "1000"])
def test_3_tap(tap: TapService, votlint: Callable[[bytes], str], name: str, maxrec: str) -> None:
    params = ParamSet.from_pairs([("QUERY", OBSCORE), ("MAXREC", maxrec), ("RESPONSEFORMAT", name)])
    content = content_of(tap.sync(params, BASE_URL))
    query, data = told(content)
    assert query == {
        "publisher": "Example Observatory",
        "contact": "mailto:vo@example.org",
        "server_software": "lsst-dax-vo/1.0",
        "service_protocol": "ivo://ivoa.net/std/TAP",
        "service_ivoid": "ivo://example.org/rubin",
        "query": OBSCORE,
        "request_date": "2027-01-15T08:00:00",
    }
    assert data == BOTH
    assert votlint(content) == ""


def test_3_2_tables_about_tables_have_no_creator(tap: TapService) -> None:
    params = ParamSet.from_pairs([("QUERY", "SELECT * FROM TAP_SCHEMA.schemas")])
    query, data = told(content_of(tap.sync(params, BASE_URL)))
    assert (query["publisher"], data) == ("Example Observatory", {})


@pytest.mark.parametrize(("label", "expected"), [(None, BOTH), ("alpha", ALPHA), ("beta", BETA)])
def test_3_sia(
    sia: SiaService,
    votlint: Callable[[bytes], str],
    label: str | None,
    expected: dict[str, list[str]],
) -> None:
    pairs = [("POS", "CIRCLE 55.7 -32.3 0.1"), ("maxrec", "3"), ("token", "secret")]
    content = content_of(sia.query(ParamSet.from_pairs(pairs), BASE_URL, label=label))
    query, data = told(content)
    path = "api/sia" if label is None else f"api/sia/{label}"
    assert query["request"] == f"{BASE_URL}/{path}/query?POS=CIRCLE+55.7+-32.3+0.1&MAXREC=3"
    assert query["service_protocol"] == "ivo://ivoa.net/std/SIA#query-2.0"
    assert data == expected
    # What is no parameter of SIAv2 is not published.
    assert b"secret" not in content
    assert votlint(content) == ""


def test_3_1_search_of_thousands_of_places_is_not_repeated(sia: SiaService) -> None:
    pairs = [("POS", f"CIRCLE {i / 10} 0 0.1") for i in range(200)]
    query, _ = told(content_of(sia.query(ParamSet.from_pairs(pairs), BASE_URL)))
    assert "request" not in query


def test_3_3_items_of_the_query_are_at_the_root(tap: TapService, document: Any) -> None:
    found = document(tap.sync(ParamSet.from_pairs([("QUERY", OBSCORE), ("MAXREC", "1")]), BASE_URL))
    root = [item.get("name") for item in found.root if item.tag.endswith("INFO")]
    resource = next(item for item in found.root if item.tag.endswith("RESOURCE"))
    inside = [item.get("name") for item in resource if item.tag.endswith("INFO")]
    assert root == [
        "publisher",
        "server_software",
        "service_protocol",
        "service_ivoid",
        "query",
        "request_date",
        "contact",
    ]
    assert inside[0] == "QUERY_STATUS"
    assert {"citation", "creator"} <= set(inside)
    # A text for people is recommended.
    infos = [item for item in found.find_all("INFO") if item.get("name") != "QUERY_STATUS"]
    assert all(item.text for item in infos)


def test_3_nothing_is_told_of_what_nobody_has_said(services: Any) -> None:
    silent = TapService(services.engine, limits=Limits(), clock=lambda: NOW_S)
    query, data = told(content_of(silent.sync(ParamSet.from_pairs([("QUERY", OBSCORE)]), BASE_URL)))
    assert set(query) == {"service_protocol", "query", "request_date"}
    assert data == {}
