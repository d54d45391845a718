"""What astronomers type: pyvo, astropy and lsst.images against the running server."""

import io
import warnings
from pathlib import Path
from uuid import UUID

import astropy.io.votable
import numpy as np
import pytest
import pyvo
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from lsst.daf.butler import Butler
from lsst.images.serialization import read_archive
from lsst.resources import ResourcePath
from pyvo.dal.adhoc import DatalinkResults, SodaQuery
from pyvo.dal.exceptions import DALQueryError

from lsst.dax.vo.sample import Sample

RADIUS_DEG = 0.002


@pytest.fixture(scope="module")
def tap(base_url: str) -> pyvo.dal.TAPService:
    return pyvo.dal.TAPService(f"{base_url}/api/tap")


@pytest.fixture(scope="module")
def sia(base_url: str) -> pyvo.dal.SIA2Service:
    return pyvo.dal.SIA2Service(f"{base_url}/api/sia")


@pytest.fixture(scope="module")
def links(tap: pyvo.dal.TAPService, image_id: str) -> DatalinkResults:
    (row,) = tap.search(f"SELECT * FROM ivoa.ObsCore WHERE obs_publisher_did = '{image_id}'")
    return row.getdatalink()


@pytest.fixture(scope="module")
def path(sample: Sample, image_id: str) -> str:
    with Butler.from_config(str(sample.repositories["sample"]), writeable=False) as butler:
        ref = butler.get_dataset(UUID(image_id[-36:]))
        assert ref is not None
        return str(butler.getURI(ref).ospath)


def test_tap_describes_its_tables(tap: pyvo.dal.TAPService) -> None:
    assert set(tap.tables.keys()) == {
        "ivoa.ObsCore",
        *(f"TAP_SCHEMA.{name}" for name in ("schemas", "tables", "columns", "keys", "key_columns")),
    }
    columns = {column.name: column for column in tap.tables["ivoa.ObsCore"].columns}
    assert (columns["s_ra"].unit, columns["s_ra"].ucd) == ("deg", "pos.eq.ra")


def test_tap_tells_its_limits(tap: pyvo.dal.TAPService) -> None:
    assert (tap.maxrec, tap.hardlimit) == (10_000, 10_000_000)


def test_tap_examples_all_find_something(tap: pyvo.dal.TAPService) -> None:
    examples = tap.examples
    assert len(examples) >= 5
    counts = [len(example.execute()) for example in examples]
    assert all(counts), counts


def test_tap_marks_what_is_left_out(tap: pyvo.dal.TAPService) -> None:
    for maxrec, status in ((3, "OVERFLOW"), (100_000, "OK")):
        rows = tap.search("SELECT obs_id FROM ivoa.ObsCore", maxrec=maxrec)
        infos = [info for resource in rows.votable.resources for info in resource.infos]
        assert [info.value for info in infos if info.name == "QUERY_STATUS"][-1] == status
        assert (len(rows) == maxrec) == (status == "OVERFLOW")


def test_tap_error_has_the_message_of_the_service(tap: pyvo.dal.TAPService) -> None:
    with pytest.raises(DALQueryError, match=r"nonsense.*line 1, column 8"):
        tap.search("SELECT nonsense FROM ivoa.ObsCore")


def test_results_are_votables_without_a_warning(tap: pyvo.dal.TAPService) -> None:
    stream = tap.create_query("SELECT * FROM ivoa.ObsCore", maxrec=50).execute_raw()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = astropy.io.votable.parse(io.BytesIO(stream), verify="exception").get_first_table()
    assert len(table.array) == 50


def test_column_compared_with_a_number_in_quotes(tap: pyvo.dal.TAPService) -> None:
    """Queries of tutorials, which PostgreSQL casts, are answered as written."""
    as_text = tap.search("SELECT COUNT(*) AS n FROM ivoa.ObsCore WHERE calib_level = '1'")
    as_number = tap.search("SELECT COUNT(*) AS n FROM ivoa.ObsCore WHERE calib_level = 1")
    assert int(as_text[0]["n"]) == int(as_number[0]["n"]) > 0


def test_row_is_found_by_the_end_of_its_access_url(tap: pyvo.dal.TAPService, image_id: str) -> None:
    rows = tap.search(f"SELECT obs_publisher_did FROM ivoa.ObsCore WHERE access_url LIKE '%{image_id[-36:]}'")
    assert [str(row["obs_publisher_did"]) for row in rows] == [image_id]


def test_sia_finds_what_tap_finds(
    sia: pyvo.dal.SIA2Service, tap: pyvo.dal.TAPService, place: tuple[float, float]
) -> None:
    ra, dec = place
    found = sia.search(pos=(SkyCoord(ra, dec, unit="deg"), 0.01 * u.deg), calib_level=3, maxrec=10_000)
    wanted = tap.search(
        "SELECT obs_publisher_did FROM ivoa.ObsCore WHERE calib_level = 3 AND "
        f"dataproduct_type IN ('image', 'cube') AND INTERSECTS(CIRCLE({ra}, {dec}, 0.01), s_region) = 1"
    )
    assert len(wanted) > 0
    assert {str(row["obs_publisher_did"]) for row in found} == {
        str(row["obs_publisher_did"]) for row in wanted
    }


def test_sia_parameters_as_pyvo_sends_them(sia: pyvo.dal.SIA2Service, place: tuple[float, float]) -> None:
    pos = (place[0] * u.deg, place[1] * u.deg, 0.01 * u.deg)
    everything = len(sia.search(pos=pos, maxrec=10_000))
    red = sia.search(pos=pos, band=(6.2e-7 * u.m, 6.3e-7 * u.m), maxrec=10_000)
    subtype = sia.search(pos=pos, dpsubtype="lsst.visit_image", maxrec=10_000)
    exposed = sia.search(pos=pos, exptime=(10 * u.s, np.inf * u.s), maxrec=10_000)
    for rows in (red, subtype, exposed):
        assert 0 < len(rows) < everything
    assert all(float(row["em_min"]) <= 6.3e-7 and float(row["em_max"]) >= 6.2e-7 for row in red)


def test_sia_of_a_label_and_of_its_query_path(base_url: str, image_id: str) -> None:
    for url in (f"{base_url}/api/sia/sample", f"{base_url}/api/sia/sample/query"):
        (row,) = pyvo.dal.SIA2Service(url).search(id=image_id.upper())
        assert str(row["obs_publisher_did"]) == image_id


def test_row_leads_to_its_links(links: DatalinkResults, image_id: str) -> None:
    assert links.getrecord(0).semantics == "#this"
    assert links.getrecord(0)["ID"] == image_id
    this = list(links.bysemantics("#this", include_narrower=False))
    assert [row.content_type for row in this] == ["application/fits"]


def test_links_of_many_rows_in_one_request(sia: pyvo.dal.SIA2Service, place: tuple[float, float]) -> None:
    rows = sia.search(pos=(place[0] * u.deg, place[1] * u.deg, 0.01 * u.deg), maxrec=10)
    found = list(rows.iter_datalinks(preserve_order=True))
    assert len(found) == len(rows)
    for row, document in zip(rows, found, strict=True):
        assert document.getrecord(0).semantics == "#this"
        assert document.getrecord(0)["ID"] == row["obs_publisher_did"]


def test_signed_url_opens_with_astropy(links: DatalinkResults, path: str) -> None:
    with fits.open(links.getrecord(0).access_url, cache=False) as ours, fits.open(path) as wanted:
        assert fits.FITSDiff(ours, wanted).identical


def test_signed_url_opens_with_lsst_images(links: DatalinkResults, path: str) -> None:
    ours = read_archive(ResourcePath(links.getrecord(0).access_url))
    whole = read_archive(ResourcePath(path))
    assert ours.bbox == whole.bbox
    np.testing.assert_array_equal(ours.image.array, whole.image.array)
    np.testing.assert_array_equal(ours.mask.array, whole.mask.array)


def cut(links: DatalinkResults, service: str, place: tuple[float, float]) -> bytes:
    query = SodaQuery.from_resource(links, links.get_adhocservice_by_id(service))
    query.circle = (place[0] * u.deg, place[1] * u.deg, RADIUS_DEG * u.deg)
    with query.execute_stream() as stream:
        content: bytes = stream.read()
    return content


@pytest.mark.parametrize("service", ["cutout-sync", "cutout-sync-maskedimage", "cutout-sync-exposure"])
def test_cutout_services_give_the_pixels_of_the_file(
    links: DatalinkResults, path: str, place: tuple[float, float], tmp_path: Path, service: str
) -> None:
    (tmp_path / "cut.fits").write_bytes(cut(links, service, place))
    ours = read_archive(ResourcePath(str(tmp_path / "cut.fits")))
    whole = read_archive(ResourcePath(path))
    if service == "cutout-sync":
        np.testing.assert_array_equal(ours.array, whole.image[ours.bbox].array)
        return
    np.testing.assert_array_equal(ours.image.array, whole.image[ours.bbox].array)
    np.testing.assert_array_equal(ours.mask.array, whole.mask[ours.bbox].array)
    np.testing.assert_array_equal(ours.variance.array, whole.variance[ours.bbox].array)


def test_header_of_a_cutout_knows_where_it_is(links: DatalinkResults, place: tuple[float, float]) -> None:
    with fits.open(io.BytesIO(cut(links, "cutout-sync", place))) as hdus:
        header = next(hdu.header for hdu in hdus if hdu.is_image and hdu.header.get("NAXIS") == 2)
        x, y = WCS(header).world_to_pixel_values(*place)
        height, width = header["NAXIS2"], header["NAXIS1"]
    # The circle is around the place, inside the image.
    assert (x, y) == (pytest.approx((width - 1) / 2, abs=1), pytest.approx((height - 1) / 2, abs=1))


def test_polygon_and_pos_cut_the_same_sky(links: DatalinkResults, place: tuple[float, float]) -> None:
    query = SodaQuery.from_resource(links, links.get_adhocservice_by_id("cutout-sync"))
    ra, dec = place
    step = 0.001
    corners = [ra - step, dec - step, ra + step, dec - step, ra + step, dec + step, ra - step, dec + step]
    query.polygon = np.array(corners) * u.deg
    with query.execute_stream() as stream:
        assert stream.read(6) == b"SIMPLE"


def test_descriptors_tell_how_large_the_image_is(links: DatalinkResults, place: tuple[float, float]) -> None:
    resource = links.get_adhocservice_by_id("cutout-sync")
    params = {param.name: param for group in resource.groups for param in group.entries}
    circle = np.ravel(params["CIRCLE"].values.max)
    here = SkyCoord(*place, unit="deg").separation(SkyCoord(*circle[:2], unit="deg"))
    assert here.deg < circle[2]
    assert params["ID"].value


def test_whole_circle_of_the_descriptor_is_the_whole_image(
    links: DatalinkResults, path: str, tmp_path: Path
) -> None:
    resource = links.get_adhocservice_by_id("cutout-sync-exposure")
    params = {param.name: param for group in resource.groups for param in group.entries}
    ra, dec, radius = map(float, np.ravel(params["CIRCLE"].values.max))
    query = SodaQuery.from_resource(links, resource)
    query.circle = (ra * u.deg, dec * u.deg, radius * u.deg)
    with query.execute_stream() as stream:
        (tmp_path / "whole.fits").write_bytes(stream.read())
    ours = read_archive(ResourcePath(str(tmp_path / "whole.fits")))
    whole = read_archive(ResourcePath(path))
    assert ours.bbox == whole.bbox
    np.testing.assert_array_equal(ours.image.array, whole.image.array)
