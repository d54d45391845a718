"""``lsst.rsp``, as notebooks of the Rubin Science Platform use it, pointed at this server."""

import lsst.rsp
import pytest
from astropy import units as u
from pyvo.dal.adhoc import DatalinkResults


@pytest.fixture
def platform(base_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("EXTERNAL_TAP_URL", "TAP_ROUTE", "ACCESS_TOKEN", "RSP_SITE_TYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EXTERNAL_INSTANCE_URL", f"{base_url}/")
    monkeypatch.setenv("RSP_SITE_TYPE", "science")
    return base_url


def test_tap_service_answers(platform: str) -> None:
    service = lsst.rsp.get_tap_service("tap")
    assert service.baseurl == f"{platform}/api/tap"
    rows = service.search("SELECT COUNT(*) AS n FROM ivoa.ObsCore")
    assert int(rows[0]["n"]) > 0


@pytest.mark.parametrize("label", ["sample", "dp02"])
def test_sia_service_of_a_release_answers(platform: str, label: str) -> None:
    service = lsst.rsp.get_siav2_service(label)
    rows = service.search(calib_level=2, maxrec=100_000)
    assert len(rows) > 0
    assert {f"repo={label}&" in str(row["obs_publisher_did"]) for row in rows} == {True}
    assert str(rows[0]["access_url"]).startswith(platform)


def test_row_leads_to_its_image(platform: str, place: tuple[float, float]) -> None:
    rows = lsst.rsp.get_siav2_service("sample").search(
        pos=(place[0] * u.deg, place[1] * u.deg, 0.01 * u.deg), calib_level=3
    )
    links = DatalinkResults.from_result_url(rows[0].getdataurl())
    assert links.getrecord(0).access_url.startswith(f"{platform}/api/files/sample/")


def test_discovery_lists_the_datasets(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCESS_TOKEN", "of-nobody")
    discovery = lsst.rsp.RSPDiscovery("sample", discovery_url=platform, token="of-nobody")
    assert lsst.rsp.RSPDiscovery.list_datasets(discovery_url=platform) == ["sample", "dp02"]
    assert int(discovery.get_tap_client().search("SELECT COUNT(*) AS n FROM ivoa.ObsCore")[0]["n"]) > 0
    assert len(discovery.get_sia_client().search(calib_level=3, maxrec=5)) > 0
