"""VOSI documents of the services are valid against the schemas of the IVOA."""

from collections.abc import Callable

import pytest

from lsst.dax.vo.dali import ParamSet, Response
from lsst.dax.vo.sia import SiaService
from lsst.dax.vo.tap import TapService

BASE_URL = "https://vo.example.org/rubin"
CAPABILITIES = "{http://www.ivoa.net/xml/VOSICapabilities/v1.0}capabilities"
AVAILABILITY = "{http://www.ivoa.net/xml/VOSIAvailability/v1.0}availability"
TABLESET = "{http://www.ivoa.net/xml/VOSITables/v1.0}tableset"
TABLE = "{http://www.ivoa.net/xml/VOSITables/v1.0}table"
NOTHING = ParamSet()

type Ask = Callable[[TapService, SiaService], Response]

ASKED: dict[str, tuple[Ask, str]] = {
    "vosi-4-tap": (lambda tap, _: tap.capabilities(BASE_URL), CAPABILITIES),
    "vosi-4-sia": (lambda _, sia: sia.capabilities(BASE_URL), CAPABILITIES),
    "vosi-4-sia-label": (lambda _, sia: sia.capabilities(BASE_URL, label="alpha"), CAPABILITIES),
    "vosi-5-tap": (lambda tap, _: tap.availability(), AVAILABILITY),
    "vosi-5-sia": (lambda _, sia: sia.availability(), AVAILABILITY),
    "vosi-6-tables": (lambda tap, _: tap.tables(NOTHING), TABLESET),
    "vosi-6-tables-min": (
        lambda tap, _: tap.tables(ParamSet.from_pairs([("detail", "min")])),
        TABLESET,
    ),
    "vosi-6-table": (lambda tap, _: tap.tables(NOTHING, "ivoa.ObsCore"), TABLE),
    "vosi-6-table-tap-schema": (lambda tap, _: tap.tables(NOTHING, "TAP_SCHEMA.tables"), TABLE),
}


@pytest.mark.parametrize(("ask", "root"), ASKED.values(), ids=ASKED)
def test_document_is_valid(
    tap: TapService, sia: SiaService, xsd_errors: Callable[..., str], ask: Ask, root: str
) -> None:
    response = ask(tap, sia)
    assert (response.status, response.media_type) == (200, "text/xml")
    assert isinstance(response.body, bytes)
    assert xsd_errors(response.body, root) == ""


def test_vosi_5_truth_is_valid_when_the_store_is_down(
    tap_down: TapService, sia_down: SiaService, xsd_errors: Callable[..., str]
) -> None:
    for service in (tap_down, sia_down):
        body = service.availability().body
        assert isinstance(body, bytes)
        assert b"<available>false</available>" in body
        assert xsd_errors(body, AVAILABILITY) == ""


def test_vosi_4_sia_capability_is_where_pyvo_looks(sia: SiaService) -> None:
    body = sia.capabilities(BASE_URL, label="beta").body
    assert isinstance(body, bytes)
    assert b'standardID="ivo://ivoa.net/std/SIA#query-2.0"' in body
    assert b'<accessURL use="base">https://vo.example.org/rubin/api/sia/beta/query</accessURL>' in body
    # Given the URL of the query, pyvo asks below it first and goes one level
    # up on a 404 alone.
    assert sia.capabilities(BASE_URL, label="query").status == 404
    assert sia.availability(label="query").status == 404
