"""What pyvo makes of our documents, without a socket between."""

import io
import os
from pathlib import Path

import pytest
from astropy import units as u
from astropy.io.votable import parse as parse_votable
from pyvo.dal.adhoc import DatalinkResults, SodaQuery

from lsst.dax.vo.dali import ParamSet, parse_circle, parse_polygon, parse_pos
from lsst.dax.vo.repo import Repositories, open_repository

BASE_URL = "https://vo.example.org/rubin"
SERVICES = ("cutout-sync", "cutout-sync-maskedimage", "cutout-sync-exposure")


def to_results(body: bytes) -> DatalinkResults:
    votable = parse_votable(io.BytesIO(body))
    return DatalinkResults(votable, url=f"{BASE_URL}/api/datalink/links")


def sent(query: SodaQuery) -> ParamSet:
    """Return the parameters that pyvo would send."""
    pairs = [
        (name, str(item))
        for name, value in query.items()
        for item in (value if isinstance(value, list) else [value])
    ]
    return ParamSet.from_pairs(pairs)


@pytest.mark.parametrize("ids", [("coadd",), ("table", "coadd"), ("other", "blah", "coadd")])
def test_bysemantics_and_columns(world, ids):
    results = to_results(world.links(*ids).response.body)
    wanted = [row for row in results if row.id == str(world.ids["coadd"])]
    assert [row.semantics for row in wanted][:2] == ["#this", "#cutout"]
    first = wanted[0]
    assert first.access_url.startswith(f"{BASE_URL}/api/files/coadds/")
    assert (first.content_type, first.content_length) == ("application/fits", 11520)
    this = list(results.bysemantics("#this", include_narrower=False))
    assert [row.id for row in this] == [str(world.ids.get(name, name)) for name in ids]
    assert [row.error_message or "" for row in this if row.id == "blah"] in (
        [],
        [
            row.error_message
            for row in this
            if row.id == "blah" and row.error_message.startswith("UsageFault: ")
        ],
    )


@pytest.mark.parametrize(
    ("service", "detail"), list(zip(SERVICES, ("Image", "MaskedImage", "Exposure"), strict=True))
)
def test_soda_query_from_a_document_of_one(world, service, detail):
    results = to_results(world.links("coadd").response.body)
    query = SodaQuery.from_resource(results, results.get_adhocservice_by_id(service))
    assert query.baseurl == f"{BASE_URL}/api/cutout/sync"
    # Nothing is sent that the user did not choose.
    assert sorted(query) == ["CUTOUTDETAIL", "ID"]
    query.circle = (55.7467 * u.deg, -32.2862 * u.deg, 0.01 * u.deg)
    params = sent(query)
    assert params.single("ID") == str(world.ids["coadd"])
    assert params.single("CUTOUTDETAIL") == detail
    circle = parse_circle(params.single("CIRCLE"))
    assert (circle.ra_deg, circle.dec_deg, circle.radius_deg) == (55.7467, -32.2862, 0.01)


def test_soda_query_from_a_row_of_several(world):
    results = to_results(world.links("coadd", "raw", "other").response.body)
    resource = results.get_adhocservice_by_id("cutout-sync")
    found = []
    for row in results.bysemantics("#cutout", include_narrower=False):
        params = sent(SodaQuery.from_resource(row, resource))
        found.append(params.values("ID"))
    assert found == [(str(world.ids["coadd"]),), (str(world.ids["other"]),)]


def test_first_proc_and_clone(world):
    results = to_results(world.links("raw", "coadd").response.body)
    assert results.get_first_proc().service_def == "cutout-sync"
    clone = results.clone_byid(str(world.ids["coadd"]))
    assert len(clone) == 4
    resource = clone.get_adhocservice_by_ivoid("ivo://ivoa.net/std/SODA#sync-1")
    assert resource.ID == "cutout-sync"


@pytest.mark.parametrize("count", [3, 4, 5, 6])
def test_polygon_of_any_count_of_vertices(world, count):
    results = to_results(world.links("coadd").response.body)
    query = SodaQuery.from_resource(results, results.get_adhocservice_by_id("cutout-sync"))
    vertices = [(56.0 + 0.01 * i, -32.0 + 0.01 * i * i) for i in range(count)]
    query.polygon = tuple(value * u.deg for vertex in vertices for value in vertex)
    polygon = parse_polygon(sent(query).single("POLYGON"))
    assert polygon.ra_deg == pytest.approx([ra for ra, _ in vertices])


def test_keywords_of_from_resource(world):
    # pyvo's converter for the xtype "polygon" takes multiples of three
    # numbers only (pyvo 1.9.1, dal/params.py): six are three vertices.
    results = to_results(world.links("coadd").response.body)
    resource = results.get_adhocservice_by_id("cutout-sync")
    triangle = [56.0, -32.0, 56.1, -32.0, 56.0, -31.9] * u.deg
    params = sent(SodaQuery.from_resource(results, resource, POLYGON=triangle, cutoutdetail="MaskedImage"))
    assert parse_polygon(params.single("POLYGON")).ra_deg == (56.0, 56.1, 56.0)
    assert params.single("CUTOUTDETAIL") == "MaskedImage"
    params = sent(SodaQuery.from_resource(results, resource, CIRCLE=[56.0, -32.0, 0.1] * u.deg))
    assert parse_circle(params.single("CIRCLE")).radius_deg == 0.1


def test_range_goes_into_pos(world):
    results = to_results(world.links("coadd").response.body)
    query = SodaQuery.from_resource(results, results.get_adhocservice_by_id("cutout-sync"))
    query.range = (56.0 * u.deg, 56.1 * u.deg, -32.1 * u.deg, -32.0 * u.deg)
    shape = parse_pos(sent(query).single("POS"))
    assert (shape.ra_min_deg, shape.dec_max_deg) == (56.0, -32.0)


def test_document_without_rows(world):
    assert len(to_results(world.links().response.body)) == 0


def test_real_cfht_repository(world):
    default = Path(__file__).parents[4] / "shared" / "data"
    root = Path(os.environ.get("DAX_VO_TEST_DATA", default)) / "butler/jointcal_cfht_minimal/repo"
    if not root.is_dir():
        pytest.skip(f"the real repository is not at {root}; set DAX_VO_TEST_DATA")
    repositories = Repositories([open_repository(root, label="cfht")])
    files = type(world.files)(repositories, world.files._signer)
    service = world.build(repositories, files)
    uuid = "aaa3b40e-0f82-4e61-a612-5e7f41e1feda"
    text = f"ivo://org.example/cfht?repo=cfht&id={uuid}"
    results = to_results(service.links(ParamSet.from_pairs([("ID", text)]), BASE_URL).body)
    assert [row.semantics for row in results][:2] == ["#this", "#cutout"]
    assert results[0].description == "calexp: instrument MegaPrime, detector 12, visit 849375"
    assert results[0].content_length == 1558080
    query = SodaQuery.from_resource(results, results.get_adhocservice_by_id("cutout-sync"))
    assert sent(query).single("ID") == text
    # The circle of the descriptor, sent back, covers the detector.
    param = next(
        entry
        for group in results.get_adhocservice_by_id("cutout-sync").groups
        for entry in group.entries
        if entry.name == "CIRCLE"
    )
    assert list(param.values.max) == pytest.approx([215.0529476, 52.7747765, 0.148646])
    repositories.close()
