"""VOSI documents from typed input."""

import subprocess
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from lsst.dax.vo.dali import (
    TABLE_FORMATS,
    Availability,
    Capability,
    Column,
    ForeignKey,
    LanguageFeature,
    ParamSet,
    Table,
    TapCapability,
    parse_format,
    vosi_capabilities,
    write_availability,
    write_capabilities,
    write_table_description,
    write_tableset,
)
from lsst.dax.vo.errors import UsageError

XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
BASE = "https://vo.example.org/rubin/api/tap"
GEO = "ivo://ivoa.net/std/tapregext#features-adqlgeo"
UDF = "ivo://ivoa.net/std/tapregext#features-udf"

CAPABILITIES = (
    TapCapability(
        BASE,
        TABLE_FORMATS,
        (
            LanguageFeature(GEO, "POINT"),
            LanguageFeature(GEO, "CONTAINS"),
            LanguageFeature(UDF, "ivo_hasword(a VARCHAR, b VARCHAR) -> INTEGER", "Is <b> a word of a & c?"),
        ),
        maxrec=100,
        maxrec_hard=2000,
        execution_s=60,
        execution_hard_s=3600,
        uploads=("inline", "http"),
        upload_rows=5000,
        upload_bytes=10**6,
        retention_s=86400,
        retention_hard_s=604800,
        data_models=(("ivo://ivoa.net/std/ObsCore#core-1.1", "ObsCore-1.1"),),
    ),
    Capability("ivo://ivoa.net/std/DALI#examples", f"{BASE}/examples", for_people=True),
    Capability("ivo://ivoa.net/std/SIA#query-2.0", f"{BASE}/query", version="2.0", use="base"),
    Capability("ivo://ivoa.net/std/SODA#sync-1.0", f"{BASE}/sync"),
    Capability("ivo://ivoa.net/std/DataLink#links-1.1", f"{BASE}/links", version="1.1"),
    *vosi_capabilities(BASE),
)
TABLES = (
    Table(
        "ivoa",
        "ivoa.ObsCore",
        (
            Column(
                "s_ra",
                "double",
                "RA < 360 & more",
                unit="deg",
                ucd="pos.eq.ra",
                utype="obscore:Char.C1",
                std=True,
                principal=True,
                indexed=True,
            ),
            Column("s_region", "char", arraysize="*", xtype="adql:REGION"),
        ),
        "All <images>",
        utype="ivo://ivoa.net/std/ObsCore#core-1.1",
    ),
    Table("tap_schema", "tap_schema.tables", (Column("schema_name", "char", arraysize="*"),)),
    Table("ivoa", "ivoa.more", (Column('"size"', "int"),)),
)
KEYS = (
    ForeignKey("k1", "tap_schema.tables", "tap_schema.schemas", (("schema_name", "schema_name"),), "where"),
)


def children(parent: ET.Element, tag: str) -> list[ET.Element]:
    found = parent.find(tag)
    assert found is not None
    return list(found)


@pytest.mark.parametrize(
    ("document", "root"),
    [
        (write_capabilities(CAPABILITIES), "{http://www.ivoa.net/xml/VOSICapabilities/v1.0}capabilities"),
        (write_tableset(TABLES, keys=KEYS), "{http://www.ivoa.net/xml/VOSITables/v1.0}tableset"),
        (write_tableset(TABLES, detail="min"), "{http://www.ivoa.net/xml/VOSITables/v1.0}tableset"),
        (write_table_description(TABLES[0]), "{http://www.ivoa.net/xml/VOSITables/v1.0}table"),
        (
            write_availability(Availability(False, datetime(2026, 1, 1, tzinfo=UTC), ("a < b", "c"))),
            "{http://www.ivoa.net/xml/VOSIAvailability/v1.0}availability",
        ),
        (
            write_availability(Availability(True)),
            "{http://www.ivoa.net/xml/VOSIAvailability/v1.0}availability",
        ),
    ],
    ids=["capabilities", "tables", "tables-min", "table", "availability", "availability-bare"],
)
def test_document_is_valid(document: bytes, root: str, tmp_path: Path, stilts: str) -> None:
    path = tmp_path / "document.xml"
    path.write_bytes(document)
    done = subprocess.run(
        [stilts, "xsdvalidate", "uselocals=true", f"doc={path}", f"topel={root}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("", 0)


def test_capabilities_below_the_root_are_in_no_namespace() -> None:
    root = ET.fromstring(write_capabilities(CAPABILITIES))
    assert root.tag == "{http://www.ivoa.net/xml/VOSICapabilities/v1.0}capabilities"
    assert not [item.tag for item in root.iter() if item is not root and item.tag.startswith("{")]
    assert [item.get("standardID") for item in root] == [
        "ivo://ivoa.net/std/TAP",
        "ivo://ivoa.net/std/DALI#examples",
        "ivo://ivoa.net/std/SIA#query-2.0",
        "ivo://ivoa.net/std/SODA#sync-1.0",
        "ivo://ivoa.net/std/DataLink#links-1.1",
        "ivo://ivoa.net/std/VOSI#capabilities",
        "ivo://ivoa.net/std/VOSI#availability",
    ]


def test_tap_capability_says_what_works() -> None:
    document = write_capabilities(CAPABILITIES)
    tap = ET.fromstring(document)[0]
    assert tap.get(f"{XSI}type") == "tr:TableAccess"
    # A prefix inside an attribute's value is bound by nobody but us.
    assert b'xmlns:tr="http://www.ivoa.net/xml/TAPRegExt/v1.0"' in document
    assert [item.tag for item in tap] == [
        "interface",
        "dataModel",
        "language",
        *["outputFormat"] * 16,
        *["uploadMethod"] * 2,
        "retentionPeriod",
        "executionDuration",
        "outputLimit",
        "uploadLimit",
    ]
    assert tap.findtext("interface/accessURL") == BASE
    assert [item.text for item in tap.iterfind("language/version")] == ["2.0", "2.1"]
    features = {
        item.get("type"): [form.text for form in item.iter("form")] for item in tap.iter("languageFeatures")
    }
    assert features[GEO] == ["POINT", "CONTAINS"]
    assert features[UDF] == ["ivo_hasword(a VARCHAR, b VARCHAR) -> INTEGER"]
    told = [
        (item.get("ivo-id"), item.findtext("mime"), *(name.text for name in item.iter("alias")))
        for item in tap.iter("outputFormat")
    ]
    votable, prefix = "application/x-votable+xml", "ivo://ivoa.net/std/TAPRegExt#output-votable-"
    assert told[:6] == [
        (f"{prefix}td", votable, "votable", "votable/td"),
        (f"{prefix}td", "text/xml"),
        (f"{prefix}td", "application/xml"),
        (f"{prefix}td", f"{votable};serialization=TABLEDATA"),
        (f"{prefix}binary", f"{votable};serialization=BINARY", "votable/b"),
        (f"{prefix}binary2", f"{votable};serialization=BINARY2", "votable/b2"),
    ]
    assert {item[0] for item in told[6:]} == {None}
    # Whatever is declared is accepted, and answered as declared.
    for _, mime, *names in told:
        for name in (mime, *names):
            params = ParamSet.from_pairs([("RESPONSEFORMAT", str(name))])
            assert parse_format(params).media_type == mime
    limits = tap.find("outputLimit")
    assert limits is not None
    assert [(item.tag, item.get("unit"), item.text) for item in limits] == [
        ("default", "row", "100"),
        ("hard", "row", "2000"),
    ]
    assert [item.get("ivo-id") for item in tap.iter("uploadMethod")] == [
        "ivo://ivoa.net/std/TAPRegExt#upload-inline",
        "ivo://ivoa.net/std/TAPRegExt#upload-http",
    ]
    assert [(item.tag, item.text) for item in children(tap, "retentionPeriod")] == [
        ("default", "86400"),
        ("hard", "604800"),
    ]
    assert [(item.tag, item.text) for item in children(tap, "executionDuration")] == [
        ("default", "60"),
        ("hard", "3600"),
    ]
    assert [(item.get("unit"), item.text) for item in children(tap, "uploadLimit")] == [("row", "5000")]


def test_tap_without_jobs_and_uploads_says_nothing_of_them() -> None:
    tap = ET.fromstring(write_capabilities([TapCapability(BASE, TABLE_FORMATS[:1], (), 1, 1, 60)]))[0]
    assert {item.tag for item in tap} == {
        "interface",
        "language",
        "outputFormat",
        "executionDuration",
        "outputLimit",
    }
    assert [item.text for item in children(tap, "executionDuration")] == ["60", "60"]


def test_upload_limit_is_in_bytes_where_rows_have_none() -> None:
    capability = TapCapability(BASE, TABLE_FORMATS, (), 1, 1, 60, uploads=("inline",), upload_bytes=1000)
    tap = ET.fromstring(write_capabilities([capability]))[0]
    assert [(item.get("unit"), item.text) for item in children(tap, "uploadLimit")] == [("byte", "1000")]


def test_page_is_a_web_browser_interface() -> None:
    examples = ET.fromstring(write_capabilities(CAPABILITIES))[1]
    interface = examples.find("interface")
    assert interface is not None
    assert interface.attrib == {f"{XSI}type": "vr:WebBrowser"}


@pytest.mark.parametrize("url", ["http://a b/api/tap", "//host/api/tap", "nothing"])
def test_address_that_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="is no URL; send the request to a plain host name"):
        write_capabilities([Capability("ivo://ivoa.net/std/SODA#sync-1.0", url)])


@pytest.mark.parametrize(
    "since",
    [
        datetime(2026, 1, 1, 12, tzinfo=UTC),
        datetime(2026, 1, 1, 14, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_availability_counts_in_utc(since: datetime) -> None:
    root = ET.fromstring(write_availability(Availability(True, since, ("fine",))))
    assert [(item.tag.partition("}")[2], item.text) for item in root] == [
        ("available", "true"),
        ("upSince", "2026-01-01T12:00:00.000Z"),
        ("note", "fine"),
    ]


def test_tableset_keeps_schemas_together() -> None:
    root = ET.fromstring(write_tableset(TABLES, schemas=[("ivoa", "IVOA & friends")]))
    names = {
        schema.findtext("name"): [table.findtext("name") for table in schema.iter("table")] for schema in root
    }
    assert names == {"ivoa": ["ivoa.ObsCore", "ivoa.more"], "tap_schema": ["tap_schema.tables"]}
    assert root.findtext("schema/description") == "IVOA & friends"


def test_column_says_all_that_is_known() -> None:
    full, region = ET.fromstring(write_table_description(TABLES[0])).iter("column")
    assert full.get("std") == "true"
    assert [(item.tag, item.text) for item in full] == [
        ("name", "s_ra"),
        ("description", "RA < 360 & more"),
        ("unit", "deg"),
        ("ucd", "pos.eq.ra"),
        ("utype", "obscore:Char.C1"),
        ("dataType", "double"),
        ("flag", "indexed"),
        ("flag", "principal"),
    ]
    assert [item.tag for item in region] == ["name", "dataType"]
    assert region[1].attrib == {
        f"{XSI}type": "vs:VOTableType",
        "arraysize": "*",
        "extendedType": "adql:REGION",
    }


def test_foreign_key_stands_with_its_table() -> None:
    root = ET.fromstring(write_tableset(TABLES, keys=KEYS))
    owners = [table.findtext("name") for table in root.iter("table") if table.find("foreignKey") is not None]
    assert owners == ["tap_schema.tables"]
    assert root.findtext(".//foreignKey/targetTable") == "tap_schema.schemas"
    assert root.findtext(".//fkColumn/fromColumn") == "schema_name"


def test_least_detail_has_no_columns() -> None:
    root = ET.fromstring(write_tableset(TABLES, keys=KEYS, detail="min"))
    assert len(list(root.iter("table"))) == 3
    assert not list(root.iter("column"))
    assert not list(root.iter("foreignKey"))
