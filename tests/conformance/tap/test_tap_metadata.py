"""TAP 1.1, 4, VOSI and DALI-examples: the service tells the truth about itself."""

import io
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from lsst.dax.vo.config import Limits
from lsst.dax.vo.dali import ParamSet, Response
from lsst.dax.vo.tap import TapService

BASE_URL = "https://vo.example.org/rubin"
XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
LIMITS = Limits()
FOREIGN_KEYS = {
    ("TAP_SCHEMA.tables", "schema_name", "TAP_SCHEMA.schemas", "schema_name"),
    ("TAP_SCHEMA.columns", "table_name", "TAP_SCHEMA.tables", "table_name"),
    ("TAP_SCHEMA.keys", "from_table", "TAP_SCHEMA.tables", "table_name"),
    ("TAP_SCHEMA.keys", "target_table", "TAP_SCHEMA.tables", "table_name"),
    ("TAP_SCHEMA.key_columns", "key_id", "TAP_SCHEMA.keys", "key_id"),
}


def _query(tap: TapService, query: str, *pairs: tuple[str, str]) -> Response:
    return tap.sync(ParamSet.from_pairs([("QUERY", query), ("MAXREC", "200"), *pairs]), BASE_URL)


def _root(response: Response) -> ET.Element:
    assert isinstance(response.body, bytes)
    return ET.fromstring(response.body)


def _tables(tap: TapService, name: str | None = None, **params: str) -> Response:
    return tap.tables(ParamSet.from_pairs(params.items()), name)


@pytest.fixture(scope="module")
def columns(tap: TapService, document: Any) -> list[dict[str, str]]:
    """Return all rows of TAP_SCHEMA.columns."""
    rows: list[dict[str, str]] = document(_query(tap, "SELECT * FROM TAP_SCHEMA.columns")).rows
    return rows


def test_4_tables_that_are_published(tap: TapService, document: Any) -> None:
    names = document(_query(tap, "SELECT table_name FROM TAP_SCHEMA.tables")).column("table_name")
    suffixes = ("schemas", "tables", "columns", "keys", "key_columns")
    assert sorted(names) == sorted(["ivoa.ObsCore", *(f"TAP_SCHEMA.{suffix}" for suffix in suffixes)])


def test_4_foreign_keys_of_tap_schema_are_listed(tap: TapService, document: Any) -> None:
    rows = document(
        _query(
            tap,
            "SELECT k.from_table, c.from_column, k.target_table, c.target_column "
            "FROM TAP_SCHEMA.keys AS k JOIN TAP_SCHEMA.key_columns AS c ON k.key_id = c.key_id",
        )
    ).rows
    assert {tuple(row.values()) for row in rows} >= FOREIGN_KEYS


def test_4_columns_obey_the_rules(columns: list[dict[str, str]]) -> None:
    for row in columns:
        assert row["datatype"] in {"char", "int", "long", "double", "float", "short", "boolean"}
        assert {row["indexed"], row["principal"], row["std"]} <= {"0", "1"}
        assert row["arraysize"] != "1"
        digits = row["arraysize"].rstrip("*")
        assert row["size"] == (digits if digits.isdigit() else "")
        assert not row["column_name"].startswith("_")
    assert [row["table_name"] for row in columns if row["column_name"] == '"size"'] == ["TAP_SCHEMA.columns"]


def test_4_fields_of_a_query_are_what_tap_schema_says(
    tap: TapService, document: Any, columns: list[dict[str, str]]
) -> None:
    for table in dict.fromkeys(row["table_name"] for row in columns):
        found = document(_query(tap, f"SELECT TOP 1 * FROM {table}"))
        declared = [row for row in columns if row["table_name"] == table]
        assert found.names == [row["column_name"].strip('"') for row in declared]
        for field, row in zip(found.find_all("FIELD"), declared, strict=True):
            for key in ("datatype", "arraysize", "xtype", "unit", "ucd", "utype"):
                assert (field.get(key) or "") == row[key], (table, row["column_name"], key)


def test_vosi_6_tables_are_those_of_tap_schema(tap: TapService, columns: list[dict[str, str]]) -> None:
    response = _tables(tap)
    assert (response.status, response.media_type) == (200, "text/xml")
    told = []
    for table in _root(response).iter("table"):
        for column in table.iter("column"):
            kind = column.find("dataType")
            assert kind is not None
            flags = {flag.text for flag in column.iter("flag")}
            told.append(
                {
                    "table_name": table.findtext("name"),
                    "column_name": column.findtext("name"),
                    "datatype": kind.text,
                    "arraysize": kind.get("arraysize", ""),
                    "xtype": kind.get("extendedType", ""),
                    "description": column.findtext("description", ""),
                    "utype": column.findtext("utype", ""),
                    "unit": column.findtext("unit", ""),
                    "ucd": column.findtext("ucd", ""),
                    "indexed": str(int("indexed" in flags)),
                    "principal": str(int("principal" in flags)),
                    "std": str(int(column.get("std") == "true")),
                }
            )
    expected = [{key: row[key] for key in told[0]} for row in columns]
    assert sorted(told, key=repr) == sorted(expected, key=repr)


def test_vosi_6_foreign_keys_are_those_of_tap_schema(tap: TapService) -> None:
    told = {
        (
            table.findtext("name"),
            key.findtext("fkColumn/fromColumn"),
            key.findtext("targetTable"),
            key.findtext("fkColumn/targetColumn"),
        )
        for table in _root(_tables(tap)).iter("table")
        for key in table.iter("foreignKey")
    }
    assert told == FOREIGN_KEYS


@pytest.mark.parametrize("name", ["ivoa.ObsCore", "ivoa.obscore", "TAP_SCHEMA.columns"])
def test_vosi_6_one_table(tap: TapService, name: str) -> None:
    root = _root(_tables(tap, name))
    assert root.tag == "{http://www.ivoa.net/xml/VOSITables/v1.0}table"
    assert (root.findtext("name") or "").lower() == name.lower()
    assert root.find("column") is not None


def test_vosi_6_unknown_table_is_404(tap: TapService) -> None:
    response = _tables(tap, "ivoa.nosuch")
    assert (response.status, response.media_type) == (404, "text/plain; charset=utf-8")
    assert isinstance(response.body, bytes)
    assert response.body.startswith(b"There is no table 'ivoa.nosuch' here; there are: ")
    assert b"ivoa.ObsCore" in response.body


def test_vosi_6_detail(tap: TapService) -> None:
    least = _root(_tables(tap, detail="min"))
    assert len(list(least.iter("table"))) == 6
    assert not list(least.iter("column"))
    assert list(_root(_tables(tap, DETAIL="MAX")).iter("column"))
    refused = _tables(tap, detail="some")
    assert (refused.status, refused.body) == (400, b"DETAIL='some' is not accepted; give min or max\n")


@pytest.fixture(scope="module")
def capability(tap: TapService) -> ET.Element:
    """Return the capability of TAP itself."""
    (found,) = [
        item
        for item in _root(tap.capabilities(BASE_URL))
        if item.get("standardID") == "ivo://ivoa.net/std/TAP"
    ]
    return found


def test_tapregext_interface(capability: ET.Element) -> None:
    assert capability.get(f"{XSI}type") == "tr:TableAccess"
    interface = capability.find("interface")
    assert interface is not None
    assert (interface.get("role"), interface.get("version")) == ("std", "1.1")
    assert interface.findtext("accessURL") == f"{BASE_URL}/api/tap"


def test_tapregext_every_language_version_works(tap: TapService, capability: ET.Element) -> None:
    versions = [item.text for item in capability.iterfind("language/version")]
    assert versions == ["2.0", "2.1"]
    for version in versions:
        lang = f"ADQL-{version}"
        assert _query(tap, "SELECT TOP 1 obs_id FROM ivoa.ObsCore", ("LANG", lang)).status == 200


def test_tapregext_every_format_works(tap: TapService, capability: ET.Element) -> None:
    asked = [item.text or "" for tag in ("mime", "alias") for item in capability.iter(tag)]
    assert {"votable", "csv", "tsv", "application/x-votable+xml"} <= set(asked)
    for text in asked:
        response = _query(tap, "SELECT TOP 1 obs_id FROM ivoa.ObsCore", ("RESPONSEFORMAT", text))
        assert response.status == 200
        if "/" in text and not text.startswith("votable/"):
            assert response.media_type == text


def test_tapregext_limits_are_those_that_hold(capability: ET.Element) -> None:
    told = [(item.tag, item.get("unit"), item.text) for item in capability.iterfind("outputLimit/*")]
    assert told == [("default", "row", "50"), ("hard", "row", "200")]
    for tag, default, hard in (
        ("executionDuration", LIMITS.job_seconds, LIMITS.job_seconds_hard),
        ("retentionPeriod", LIMITS.job_retention_s, LIMITS.job_retention_hard_s),
    ):
        assert [item.text for item in capability.iterfind(f"{tag}/*")] == [str(default), str(hard)]
    (rows,) = capability.iterfind("uploadLimit/hard")
    assert (rows.get("unit"), rows.text) == ("row", str(LIMITS.upload_rows))


@pytest.mark.parametrize(
    ("hosts", "options", "methods"),
    [
        ((), {}, ["inline"]),
        (("*",), {}, ["inline", "http", "https"]),
        # Results of jobs are tables with URLs, too.
        ((), {"open_result": lambda *_: io.BytesIO()}, ["inline", "http", "https"]),
    ],
    ids=["no-urls", "hosts", "jobs"],
)
def test_tapregext_uploads_are_those_that_work(
    services: Any, hosts: tuple[str, ...], options: dict[str, Any], methods: list[str]
) -> None:
    tap = TapService(services.engine, limits=Limits(upload_hosts=hosts), **options)
    told = [item.get("ivo-id") for item in _root(tap.capabilities(BASE_URL)).iter("uploadMethod")]
    assert told == [f"ivo://ivoa.net/std/TAPRegExt#upload-{method}" for method in methods]


def test_vosi_4_all_endpoints_are_listed(tap: TapService) -> None:
    told = {
        item.get("standardID"): item.findtext("interface/accessURL")
        for item in _root(tap.capabilities(BASE_URL))
    }
    assert told == {
        "ivo://ivoa.net/std/TAP": f"{BASE_URL}/api/tap",
        "ivo://ivoa.net/std/VOSI#capabilities": f"{BASE_URL}/api/tap/capabilities",
        "ivo://ivoa.net/std/VOSI#availability": f"{BASE_URL}/api/tap/availability",
        "ivo://ivoa.net/std/VOSI#tables-1.1": f"{BASE_URL}/api/tap/tables",
        "ivo://ivoa.net/std/DALI#examples": f"{BASE_URL}/api/tap/examples",
    }


def test_vosi_5_availability(tap: TapService, tap_down: TapService) -> None:
    space = "{http://www.ivoa.net/xml/VOSIAvailability/v1.0}"
    up = _root(tap.availability())
    assert up.findtext(f"{space}available") == "true"
    assert up.findtext(f"{space}upSince") == "2027-01-15T08:00:00.000Z"
    response = tap_down.availability()
    assert response.status == 200
    assert _root(response).findtext(f"{space}available") == "false"


def test_dali_2_3_examples_work(tap: TapService, document: Any) -> None:
    response = tap.examples(BASE_URL)
    assert response.media_type == "application/xhtml+xml"
    root = _root(response)
    (body,) = [item for item in root.iter() if item.get("vocab") is not None]
    assert body.get("vocab") == "http://www.ivoa.net/rdf/examples#"
    found = [item for item in root.iter() if item.get("typeof") == "example"]
    assert len(found) >= 4
    tables = document(_query(tap, "SELECT table_name FROM TAP_SCHEMA.tables")).column("table_name")
    for example in found:
        assert example.get("resource") == f"#{example.get('id')}"
        parts = {key: example.findall(f".//*[@property='{key}']") for key in ("name", "query", "table")}
        assert [len(parts["name"]), len(parts["query"])] == [1, 1]
        assert {item.text for item in parts["table"]} <= set(tables)
        assert document(_query(tap, parts["query"][0].text or "")).rows, example.get("id")


def test_dali_2_3_examples_of_an_unreadable_store(tap_down: TapService) -> None:
    assert tap_down.examples(BASE_URL).status == 503
