"""DataLink 1.1, clause by clause."""

import io
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import astropy.io.votable
import pytest
from astropy.io.votable.dataorigin import extract_data_origin

from lsst.dax.vo.dali import DataOrigin, ParamSet, parse_circle, parse_polygon, to_region
from lsst.dax.vo.datalink import DATALINK_MEDIA_TYPE, Coverage
from lsst.dax.vo.soda import Extent

BASE_URL = "https://vo.example.org/rubin"
FIELDS = {
    # DataLink 1.1, table 1: datatype, arraysize, UCD, unit.
    "ID": ("char", "*", "meta.id;meta.main", None),
    "access_url": ("char", "*", "meta.ref.url", None),
    "service_def": ("char", "*", "meta.ref", None),
    "error_message": ("char", "*", "meta.code.error", None),
    "description": ("char", "*", "meta.note", None),
    "semantics": ("char", "*", "meta.code", None),
    "content_type": ("char", "*", "meta.code.mime", None),
    "content_length": ("long", None, "phys.size;meta.file", "byte"),
    "content_qualifier": ("char", "*", None, None),
    "local_semantics": ("char", "*", "meta.id.assoc", None),
    "link_auth": ("char", "*", "meta.code", None),
    "link_authorized": ("boolean", None, "meta.code", None),
    # Ours.
    "stable_url": ("char", "*", None, None),
}
UNKNOWN = "00000000-0000-4000-8000-000000000000"
REQUESTS = {
    "none": (),
    "one": ("coadd",),
    "several": ("coadd", "raw", "other", "table"),
    "unknown": (UNKNOWN,),
    "malformed": ("blah-blah",),
    "mixed": ("coadd", UNKNOWN, "gone", "blah-blah", "other"),
    "too many": tuple(f"{i:032x}" for i in range(20)),
    "hostile": ("<script>&\"'", "a\0b\x1f", "ñ" * 10, "' OR 1=1 --", "x" * 5000),
}


@pytest.mark.parametrize("ids", REQUESTS.values(), ids=[f"3-{name}" for name in REQUESTS])
class TestShape:
    """What holds for every document."""

    def test_3_status_and_type(self, world, ids):
        response = world.links(*ids).response
        assert (response.status, response.media_type) == (200, "application/x-votable+xml;content=datalink")

    def test_3_one_results_resource_with_standard_id(self, world, ids):
        links = world.links(*ids)
        results = [item for item in links.find_all("RESOURCE") if item.get("type") == "results"]
        assert len(results) == len(links.find_all("TABLE")) == len(links.find_all("TABLEDATA")) == 1
        infos = {info.get("name"): info.get("value") for info in results[0] if info.tag.endswith("INFO")}
        assert infos["standardID"] == "ivo://ivoa.net/std/DataLink#links-1.1"

    def test_3_2_fields(self, world, ids):
        fields = world.links(*ids).find_all("FIELD")
        names = ("datatype", "arraysize", "ucd", "unit")
        assert {field.get("name"): tuple(map(field.get, names)) for field in fields} == FIELDS
        assert (fields[0].get("name"), fields[0].get("ID")) == ("ID", "ID")

    def test_3_2_exactly_one_of_three(self, world, ids):
        for row in world.links(*ids).rows:
            assert sum(bool(row[name]) for name in ("access_url", "service_def", "error_message")) == 1
            assert row["semantics"]

    def test_3_2_rows_of_an_id_are_consecutive_and_this_is_first(self, world, ids):
        seen = []
        for row in world.links(*ids).rows:
            if not seen or seen[-1] != row["ID"]:
                assert row["semantics"] == "#this"
                seen.append(row["ID"])
        assert len(seen) == len(set(seen)) == min(len(ids), 7)

    def test_3_2_service_def_is_in_the_document(self, world, ids):
        links = world.links(*ids)
        named = {row["service_def"] for row in links.rows if row["service_def"]}
        described = {item.get("ID") for item in links.descriptors if item.get("ID")}
        # That of jobs is found by its standard ID, and has no row; nor have those
        # for all, where each dataset has its own.
        common = {text for text in described if not text[-1].isdigit()}
        assert named <= described
        assert described <= named | common
        assert ("cutout-async" in common) == ("cutout-sync" in common) == bool(named)

    def test_3_4_error_message_has_its_label(self, world, ids):
        for row in world.links(*ids).rows:
            if row["error_message"]:
                assert re.match(r"(NotFoundFault|UsageFault): \S", row["error_message"])
                assert row["content_type"] == row["content_length"] == row["link_auth"] == ""

    def test_4_xml_ids_and_refs(self, world, ids):
        links = world.links(*ids)
        xml_ids = [item.get("ID") for item in links.root.iter() if item.get("ID")]
        assert len(xml_ids) == len(set(xml_ids))
        assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", text) for text in xml_ids)
        assert {item.get("ref") for item in links.root.iter() if item.get("ref")} <= set(xml_ids)
        for descriptor in links.descriptors:
            assert descriptor.get("utype") == "adhoc:service"

    @pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed")
    @pytest.mark.parametrize("task", ["datalinklint", "votlint"])
    def test_stilts_has_nothing_to_say(self, world, ids, task):
        document = world.links(*ids).response.body
        command = [shutil.which("stilts"), task, "-"]
        done = subprocess.run(command, input=document, capture_output=True, check=False)
        said = (done.stdout + done.stderr).decode()
        assert not re.search(r"^\s*([EWF]-|ERROR|WARNING)", said, re.MULTILINE), said


def test_2_1_no_id_gives_an_empty_table_and_says_how_to_ask(world):
    links = world.links()
    assert links.rows == []
    (descriptor,) = links.descriptors
    params = {item.get("name"): item.get("value") for item in descriptor.iter() if item.get("name")}
    assert params["accessURL"] == f"{BASE_URL}/api/datalink/links"
    assert params["standardID"] == "ivo://ivoa.net/std/DataLink#links-1.1"
    statuses = [info.get("value") for info in links.find_all("INFO") if info.get("name") == "QUERY_STATUS"]
    assert statuses == ["OK"]


@pytest.mark.parametrize(("count", "overflow"), [(6, False), (7, False), (8, True), (20, True)])
def test_2_1_overflow_keeps_whole_groups(world, count, overflow):
    ids = ["coadd", *(f"{i:032x}" for i in range(count - 2)), "other"]
    links = world.links(*ids)
    statuses = [info.get("value") for info in links.find_all("INFO") if info.get("name") == "QUERY_STATUS"]
    assert statuses == (["OK", "OVERFLOW"] if overflow else ["OK"])
    groups = list(dict.fromkeys(row["ID"] for row in links.rows))
    assert len(groups) == min(count, 7)
    assert [row["ID"] for row in links.rows].count(str(world.ids["coadd"])) == 4


def test_2_1_overflow_after_an_image_keeps_its_cutouts(world):
    service = world.build(max_ids=1)
    ids = ParamSet.from_pairs([("ID", str(world.ids["coadd"])), ("ID", str(world.ids["other"]))])
    document = service.links(ids, BASE_URL).body.decode()
    assert document.count("<TR>") == 4
    assert document.count('value="OVERFLOW"') == 1


def test_2_1_repeated_id_is_answered_once(world):
    assert len(world.links("coadd", "coadd").rows) == len(world.links("coadd").rows) == 4


def test_2_1_unknown_parameters_are_ignored(world):
    assert len(world.links("coadd", MAXREC="0", FOO="bar", RUNID="x").rows) == 4


@pytest.mark.parametrize(
    ("wanted", "media_type"),
    [
        ("votable", DATALINK_MEDIA_TYPE),
        ("VOTable", DATALINK_MEDIA_TYPE),
        ("", DATALINK_MEDIA_TYPE),
        ("application/x-votable+xml", DATALINK_MEDIA_TYPE),
        ("application/x-votable xml", DATALINK_MEDIA_TYPE),
        ("application/x-votable+xml;content=datalink", DATALINK_MEDIA_TYPE),
        ("application/x-votable+xml; serialization=tabledata", DATALINK_MEDIA_TYPE),
        ("APPLICATION/X-VOTABLE+XML", DATALINK_MEDIA_TYPE),
        ("text/xml", "text/xml"),
    ],
)
def test_2_1_responseformat_accepted(world, wanted, media_type):
    links = world.links("coadd", RESPONSEFORMAT=wanted)
    assert (links.response.status, links.response.media_type) == (200, media_type)
    assert len(links.rows) == 4


@pytest.mark.parametrize("wanted", ["foo", "json", "text/html", "csv", "application/fits", "x" * 1000])
def test_3_4_responseformat_refused(world, wanted):
    links = world.links("coadd", RESPONSEFORMAT=wanted)
    assert (links.response.status, links.response.media_type) == (400, "application/x-votable+xml")
    (info,) = links.find_all("INFO")
    assert (info.get("name"), info.get("value")) == ("QUERY_STATUS", "ERROR")
    assert info.text.startswith(f"UsageFault: RESPONSEFORMAT='{wanted[:200]}")
    assert "give votable or application/x-votable+xml" in info.text


def test_3_4_repeated_responseformat_is_refused(world):
    params = ParamSet.from_pairs([("RESPONSEFORMAT", "votable"), ("responseformat", "votable")])
    response = world.links_service.links(params, BASE_URL)
    assert response.status == 400
    assert b"UsageFault: RESPONSEFORMAT takes one value, 2 were given" in response.body


def test_3_signed_links_are_not_cached(world):
    assert world.links("coadd").response.headers["Cache-Control"] == "no-store"


def test_3_2_this_row(world):
    row = world.links("coadd").rows[0]
    url = urlsplit(row["access_url"])
    assert url.path == f"/rubin/api/files/coadds/{world.ids['coadd']}/coadd_2_.fits"
    assert re.fullmatch(r"expires=1800003600&key=k1&signature=[A-Za-z0-9_-]{43}", url.query)
    assert row | {"access_url": ""} == {
        "ID": str(world.ids["coadd"]),
        "access_url": "",
        "service_def": "",
        "error_message": "",
        "description": "deepCoadd_calexp: skymap sky, tract 4431, patch 2",
        "semantics": "#this",
        "content_type": "application/fits",
        "content_length": "11520",
        "content_qualifier": "#image",
        "local_semantics": "deepCoadd_calexp",
        "link_auth": "false",
        "link_authorized": "true",
        "stable_url": f"{BASE_URL}/api/datalink/file?ID=butler://coadds/{world.ids['coadd']}",
    }


def test_3_2_access_url_leaves_cfitsio_nothing_to_interpret(world):
    for name in ("coadd", "table", "raw"):
        assert not set(world.links(name).rows[0]["access_url"]) & set("+[]()'\" ;,#")


@pytest.mark.parametrize(
    ("name", "semantics", "content_type"),
    [
        (
            "coadd",
            [
                "#this",
                "#cutout",
                "https://rsp.lsst.io/guides/api/soda.html#MaskedImage",
                "https://rsp.lsst.io/guides/api/soda.html#Exposure",
            ],
            "application/fits",
        ),
        ("plane", ["#this", "#cutout"], "application/fits"),
        ("raw", ["#this"], "application/fits"),
        ("table", ["#this"], "application/vnd.apache.parquet"),
    ],
)
def test_3_2_semantics_by_kind_of_dataset(world, name, semantics, content_type):
    rows = world.links(name).rows
    assert [row["semantics"] for row in rows] == semantics
    assert rows[0]["content_type"] == content_type
    assert [row["service_def"] for row in rows[1:]] == [
        "cutout-sync",
        "cutout-sync-maskedimage",
        "cutout-sync-exposure",
    ][: len(semantics) - 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blah-blah", "UsageFault: ID='blah-blah' is no identifier of a dataset; give a UUID"),
        ("", "UsageFault: ID='' is no identifier of a dataset"),
        (UNKNOWN, f"NotFoundFault: ID='{UNKNOWN}': no repository here has such a dataset"),
        (f"butler://coadds/{UNKNOWN}", "NotFoundFault: ID='butler://coadds/"),
        (f"butler://invalid-repo/{UNKNOWN}", "NotFoundFault: ID='butler://invalid-repo/"),
        ("gone", "NotFoundFault: The file of deepCoadd_calexp"),
    ],
)
def test_3_4_error_row(world, text, message):
    (row,) = world.links(text).rows
    assert row["error_message"].startswith(message)
    assert row["semantics"] == "#this"
    assert row["ID"] == str(world.ids.get(text, text))


@pytest.mark.parametrize(
    ("content", "label"),
    [
        (b"", "FatalFault: .* is empty"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "FatalFault: .* Git LFS pointer",
        ),
    ],
)
def test_3_4_file_that_is_none_is_an_error_row(copied_world, content, label):
    uuid = copied_world.ids["coadd"]
    Path(copied_world.repositories["coadds"].datasets([uuid])[uuid].uri.ospath).write_bytes(content)
    (row,) = copied_world.links("coadd").rows
    assert re.match(label, row["error_message"])


def test_3_4_registry_that_is_down_is_a_transient_fault(copied_world):
    copied_world.repositories.close()
    (row,) = copied_world.links("coadd").rows
    assert row["error_message"].startswith("TransientFault: The repository 'coadds' is closed")


@pytest.mark.parametrize(
    "form",
    [
        "{id}",
        "{hex}",
        "butler://coadds/{id}",
        "ivo://Org.Example/x?repo=coadds&id={id}",
        "https://other.example/api/datalink/links?ID=butler%3A//coadds/{id}",
    ],
)
def test_3_2_id_is_echoed_as_it_was_asked(world, form):
    uuid = world.ids["coadd"]
    text = form.format(id=uuid, hex=uuid.hex)
    assert {row["ID"] for row in world.links(text).rows} == {text}


def _params(descriptor):
    return {item.get("name"): item for item in descriptor.iter() if item.tag.endswith("PARAM")}


def test_4_one_id_is_fixed_and_limits_are_its_own(world):
    text = f"butler://coadds/{world.ids['coadd']}"
    links = world.links(text)
    region = world.repositories["coadds"].regions([world.ids["coadd"]])[world.ids["coadd"]]
    assert [item.get("ID") for item in links.descriptors] == [
        "cutout-sync",
        "cutout-sync-maskedimage",
        "cutout-sync-exposure",
        "cutout-async",
    ]
    for descriptor in links.descriptors:
        params = _params(descriptor)
        kind = "async" if descriptor.get("ID") == "cutout-async" else "sync"
        assert params["accessURL"].get("value") == f"{BASE_URL}/api/cutout/{kind}"
        assert params["standardID"].get("value") == f"ivo://ivoa.net/std/SODA#{kind}-1.0"
        assert (params["ID"].get("value"), params["ID"].get("ref")) == (text, None)
        (circle,) = [item.get("value") for item in params["CIRCLE"].iter() if item.tag.endswith("MAX")]
        (polygon,) = [item.get("value") for item in params["POLYGON"].iter() if item.tag.endswith("MAX")]
        covering = to_region(parse_circle(circle))
        assert all(covering.contains(vertex) for vertex in region.getVertices())
        assert to_region(parse_polygon(polygon)).contains(region.getCentroid())


def _limits(descriptor):
    return [item.get("value") for item in descriptor.iter() if item.tag.endswith("MAX")]


@pytest.mark.parametrize(
    "ids", [("coadd", "other"), ("coadd", "plane", "table"), ("blah", "coadd"), ("coadd", UNKNOWN)]
)
def test_4_several_ids_come_from_the_rows(world, ids):
    for descriptor in world.links(*ids).descriptors:
        params = _params(descriptor)
        assert (params["ID"].get("value"), params["ID"].get("ref")) == ("", "ID")


@pytest.mark.parametrize(
    ("ids", "kinds"), [(("coadd", "other"), (3, 3)), (("plane", "table", "coadd"), (1, 3))]
)
def test_4_each_of_several_has_its_own_limits(world, ids, kinds):
    links = world.links(*ids)
    found = {item.get("ID"): item for item in links.descriptors}
    common = [text for text in found if not text[-1].isdigit()]
    assert common == ["cutout-sync", "cutout-sync-maskedimage", "cutout-sync-exposure", "cutout-async"]
    assert len(found) == len(common) + sum(kinds)
    assert next(iter(found)) == "cutout-sync"
    assert not [value for text in common for value in _limits(found[text])]
    for name in set(ids) - {"table"}:
        rows = [row for row in links.rows if row["ID"] == str(world.ids[name]) and row["service_def"]]
        alone = world.links(name).descriptors[0]
        assert [_limits(found[row["service_def"]]) for row in rows] == [_limits(alone)] * len(rows)
        assert [row["local_semantics"] for row in rows] == ["Image", "MaskedImage", "Exposure"][: len(rows)]


def test_4_one_that_can_be_cut_needs_no_number(world):
    links = world.links("coadd", "table", UNKNOWN, "blah")
    assert [item.get("ID") for item in links.descriptors] == [
        "cutout-sync",
        "cutout-sync-maskedimage",
        "cutout-sync-exposure",
        "cutout-async",
    ]
    assert [_limits(item) for item in links.descriptors] == [_limits(world.links("coadd").descriptors[0])] * 4


def test_4_no_descriptor_without_a_row(world):
    assert world.links("raw", "table").descriptors == []
    found = [item.get("ID") for item in world.links("plane").descriptors]
    assert found == ["cutout-sync", "cutout-async"]


def test_4_filters_have_the_limits_of_the_dataset(world):
    """Those of which nothing is known are left out (SODA 1.0, 4)."""
    known = Extent(4e-7, 5.5e-7, 60000.0, 60000.5, ("I", "Q"))
    for extent, names in ((known, {"BAND", "TIME", "POL"}), (Extent(4e-7, 5.5e-7), {"BAND"})):
        service = world.build(
            find_coverage=lambda found, extent=extent: {item.uuid: Coverage(extent=extent) for item in found}
        )
        response = service.links(ParamSet.from_pairs([("ID", str(world.ids["coadd"]))]), BASE_URL)
        resources = [item for item in ET.fromstring(response.body) if item.get("type") == "meta"]
        for resource in resources:
            params = _params(resource)
            assert params.keys() & {"BAND", "TIME", "POL"} == names
            limits = {
                name: [item.get("value") for item in params[name].iter() if item.get("value")]
                for name in names
            }
            assert limits["BAND"] == ["4e-07", "5.5e-07"]
            if extent is known:
                assert limits["TIME"] == ["60000.0", "60000.5"]
                assert limits["POL"] == ["I", "Q"]


def test_bulk_of_a_thousand_ids_costs_few_queries(world, statements):
    service = world.build(max_ids=2000)
    ids = [("ID", str(world.ids["coadd"])), ("ID", str(world.ids["other"]))]
    ids += [("ID", str(uuid4())) for _ in range(1000)]
    response = service.links(ParamSet.from_pairs(ids), BASE_URL)
    assert response.body.count(b"<TR>") == 1008
    assert 0 < len(statements) <= 20


def test_data_origin_is_told(world):
    origin = DataOrigin(
        "Example Observatory",
        service_ivoid="ivo://example.org/links",
        datasets={"coadds": [("creator", "A. Nobody")], "other": [("creator", "B. Nobody")]},
    )
    service = world.build(origin=origin, clock=lambda: 1_800_000_000.0)
    for given, creators in (([world.ids["coadd"]], ["A. Nobody"]), ([UNKNOWN], None)):
        params = ParamSet.from_pairs([("id", str(text)) for text in given] + [("token", "secret")])
        body = service.links(params, BASE_URL).body
        document = astropy.io.votable.parse(io.BytesIO(body), verify="exception")
        found = extract_data_origin(document)
        assert found.query.publisher == "Example Observatory"
        assert found.query.service_ivoid == "ivo://example.org/links"
        assert found.query.request == f"{BASE_URL}/api/datalink/links?ID={given[0]}"
        assert found.query.request_date == "2027-01-15T08:00:00"
        assert [item.creator for item in found.origin if item.creator] == ([creators] if creators else [])
        assert b"secret" not in body
