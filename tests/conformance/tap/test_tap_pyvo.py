"""What pyvo makes of TAP, without a socket between."""

import pytest
import pyvo
import requests
from astropy.utils.exceptions import AstropyDeprecationWarning

TAP_URL = "https://vo.example.org/rubin/api/tap"


@pytest.fixture
def service(session: requests.Session, monkeypatch: pytest.MonkeyPatch) -> pyvo.dal.TAPService:
    # pyvo 1.9 does not hand the session on to tables and examples.
    monkeypatch.setattr("pyvo.utils.http.create_session", lambda: session)
    return pyvo.dal.TAPService(TAP_URL, session=session)


def test_search(service: pyvo.dal.TAPService) -> None:
    results = service.search("SELECT TOP 3 obs_id, s_ra, access_url FROM ivoa.ObsCore WHERE s_ra > 300")
    assert len(results) == 3
    assert min(results["s_ra"]) > 300
    assert results.getdesc("s_ra").unit == "deg"


def test_overflow_is_a_warning(service: pyvo.dal.TAPService) -> None:
    with pytest.warns(pyvo.dal.exceptions.DALOverflowWarning):
        results = service.search("SELECT obs_id FROM ivoa.ObsCore")
    assert len(results) == 50
    # Who asks for five rows is not warned of five.
    assert service.search("SELECT obs_id FROM ivoa.ObsCore", maxrec=5).status[0] == "OVERFLOW"


def test_error_is_the_service_s_own(service: pyvo.dal.TAPService) -> None:
    with pytest.raises(pyvo.dal.DALQueryError, match="nosuch"):
        service.search("SELECT nosuch FROM ivoa.ObsCore")


def test_limits(service: pyvo.dal.TAPService) -> None:
    assert (service.maxrec, service.hardlimit) == (50, 200)


def test_capabilities(service: pyvo.dal.TAPService) -> None:
    capability = service.get_tap_capability()
    assert [model.ivo_id for model in capability.datamodels] == ["ivo://ivoa.net/std/ObsCore#core-1.1"]
    adql = capability.get_adql()
    assert {
        feature.form for feature in adql.get_feature_list("ivo://ivoa.net/std/TAPRegExt#features-adqlgeo")
    } >= {
        "POINT",
        "CIRCLE",
        "POLYGON",
        "CONTAINS",
        "INTERSECTS",
    }


def test_tables(service: pyvo.dal.TAPService) -> None:
    assert "ivoa.ObsCore" in service.tables
    columns = {column.name: column for column in service.tables["ivoa.ObsCore"].columns}
    assert columns["s_ra"].unit == "deg"
    # pyvo 1.9 reads the extended type and does not give it out.
    assert columns["s_region"].datatype.content == "char"


def test_examples(service: pyvo.dal.TAPService) -> None:
    queries = service.examples
    assert len(queries) >= 4
    assert len(queries[0].execute()) > 0


def test_availability(service: pyvo.dal.TAPService) -> None:
    with pytest.warns(AstropyDeprecationWarning):
        assert service.available
    with pytest.warns(AstropyDeprecationWarning):
        assert service.up_since is not None


def test_row_leads_to_its_links(service: pyvo.dal.TAPService) -> None:
    results = service.search("SELECT TOP 2 * FROM ivoa.ObsCore")
    links = results.get_adhocservice_by_ivoid("ivo://ivoa.net/std/datalink")
    query = pyvo.dal.adhoc.DatalinkQuery.from_resource(list(results), links)
    assert query.baseurl == "https://vo.example.org/rubin/api/datalink/links"
    assert query["ID"] == list(results["obs_publisher_did"])
