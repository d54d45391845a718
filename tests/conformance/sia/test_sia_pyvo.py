"""What pyvo makes of SIAv2, without a socket between."""

from typing import Any

import pytest
import pyvo
import requests
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.time import Time

SIA_URL = "https://vo.example.org/rubin/api/sia"


@pytest.mark.parametrize("path", ["", "/query", "/alpha", "/alpha/query"])
def test_endpoint_is_found_from_any_of_its_urls(session: requests.Session, path: str) -> None:
    service = pyvo.dal.SIA2Service(SIA_URL + path, session=session)
    results = service.search(calib_level=3, maxrec=2)
    assert len(results) == 2
    if "alpha" in path:
        assert set(results["obs_collection"]) == {"LSST.ALPHA"}


def test_all_that_pyvo_can_ask_for(session: requests.Session, sky: Any) -> None:
    service = pyvo.dal.SIA2Service(SIA_URL, session=session)
    wanted = next(
        row
        for row in sky
        if row["dataproduct_type"] == "image"
        and row.region is not None
        and all(
            row[name] is not None for name in ("t_min", "em_min", "s_resolution", "pol_states", "target_name")
        )
    )
    results = service.search(
        pos=(SkyCoord(wanted["s_ra"], wanted["s_dec"], unit="deg"), 0.01 * u.deg),
        band=((wanted["em_min"] * 1e9) * u.nm, (wanted["em_max"] * 1e9) * u.nm),
        time=(Time(wanted["t_min"], format="mjd"), Time(wanted["t_max"], format="mjd")),
        pol=wanted["pol_states"].split("/")[1],
        field_of_view=(0, 10),
        spatial_resolution=(0 * u.arcsec, wanted["s_resolution"] * u.arcsec),
        exptime=(0, wanted["t_exptime"]),
        publisher_did=wanted["obs_publisher_did"],
        collection=wanted["obs_collection"],
        facility=wanted["facility_name"],
        instrument=wanted["instrument_name"],
        data_type="image",
        calib_level=wanted["calib_level"],
        target_name=wanted["target_name"],
        res_format=wanted["access_format"],
        dpsubtype=wanted["dataproduct_subtype"],
    )
    assert list(results["obs_publisher_did"]) == [wanted["obs_publisher_did"]]
    assert results[0].obs_publisher_did == wanted["obs_publisher_did"]


def test_error_is_the_service_s_own(session: requests.Session) -> None:
    service = pyvo.dal.SIA2Service(SIA_URL, session=session)
    # What pyvo knows to be wrong it does not send.
    with pytest.raises(pyvo.dal.DALQueryError, match="UsageFault: COLLECTION has no value"):
        service.search(collection=" ")


def test_overflow_is_told(session: requests.Session) -> None:
    service = pyvo.dal.SIA2Service(SIA_URL, session=session)
    assert service.search(maxrec=1).status[0] == "OVERFLOW"
    assert service.search(calib_level=3, maxrec=200).status[0] == "OK"


def test_rows_lead_to_their_links(session: requests.Session) -> None:
    results = pyvo.dal.SIA2Service(SIA_URL, session=session).search(calib_level=3, maxrec=200)
    links = results.get_adhocservice_by_ivoid("ivo://ivoa.net/std/datalink")
    query = pyvo.dal.adhoc.DatalinkQuery.from_resource(list(results), links)
    assert query["ID"] == list(results["obs_publisher_did"])
