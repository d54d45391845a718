"""From a row to its links with pyvo, whatever a query calls the columns."""

import pytest
import pyvo


@pytest.fixture(scope="module")
def tap(base_url: str) -> pyvo.dal.TAPService:
    return pyvo.dal.TAPService(f"{base_url}/api/tap")


@pytest.mark.parametrize(
    "select",
    [
        "*",
        "obs_publisher_did",
        "s_ra, obs_publisher_did AS who, s_dec",
        "obs_publisher_did AS ID, s_ra",
        # No XML ID can be made of these names.
        'obs_publisher_did AS "my id"',
        'obs_publisher_did AS "1st"',
        # Names that other elements of the document have.
        "obs_publisher_did AS datalink, t_min",
        "obs_publisher_did AS icrs, s_ra",
        "obs_publisher_did AS a, obs_publisher_did AS b",
        # Without an identifier, by the column with the URL and that with its type.
        "access_url, access_format",
        "access_url AS url, access_format AS type",
    ],
)
def test_rows_lead_to_their_links(tap: pyvo.dal.TAPService, select: str) -> None:
    query = f"SELECT TOP 2 {select} FROM ivoa.ObsCore WHERE dataproduct_type = 'image'"
    rows = tap.search(query)
    links = [next(found.bysemantics("#this", include_narrower=False)) for found in rows.iter_datalinks()]
    assert len(links) == len(rows) == 2
    assert len({link.access_url.partition("?")[0] for link in links}) == 2
    one = next(rows[0].getdatalink().bysemantics("#this", include_narrower=False))
    assert one.access_url.partition("?")[0] == links[0].access_url.partition("?")[0]


def test_rows_of_a_query_in_a_query_lead_to_their_links(tap: pyvo.dal.TAPService) -> None:
    rows = tap.search(
        "SELECT TOP 2 x.d FROM (SELECT obs_publisher_did AS d FROM ivoa.ObsCore) AS x JOIN ivoa.ObsCore AS o "
        "ON o.obs_publisher_did = x.d"
    )
    assert len(list(rows.iter_datalinks())) == 2


@pytest.mark.parametrize("select", ["s_ra, s_dec", "UPPER(obs_publisher_did) AS obs_publisher_did"])
def test_rows_that_name_no_dataset_have_no_links(tap: pyvo.dal.TAPService, select: str) -> None:
    rows = tap.search(f"SELECT TOP 2 {select} FROM ivoa.ObsCore")
    assert [item for item in rows.votable.resources if item.type == "meta"] == []
    assert list(rows.iter_datalinks()) == []


def test_rows_of_sia_lead_to_their_links(base_url: str) -> None:
    rows = pyvo.dal.SIA2Service(f"{base_url}/api/sia").search(maxrec=2)
    assert len([found for found in rows.iter_datalinks() if len(found)]) == 2
