"""What is wrong with a configuration: all of it, in lines that say how to mend it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from lsst.daf.butler import Butler

from lsst.dax.vo.obscore import Finding, check_config, parse_obscore_config

OURS = sorted((Path(__file__).parents[3] / "config" / "obscore").glob("*.yaml"))
GOOD: dict[str, Any] = {
    "facility_name": "Somewhere",
    "fallback_instrument": "Cam",
    "obs_collection": "TEST",
    "collections": ["all"],
    "obs_publisher_did_fmt": "ivo://org.rubinobs/test?repo=test&id={id}",
    "spectral_ranges": {"g": [4.0e-7, 5.5e-7], "r": [5.5e-7, 7.0e-7], "w": [3.0e-7, 9.0e-7]},
    "dataset_types": {
        "raw": {
            "dataproduct_type": "image",
            "calib_level": 1,
            "obs_id_fmt": "{records[exposure].obs_id}",
            "access_format": "application/x-votable+xml;content=datalink",
        },
    },
}


def told(values: dict[str, Any] | str, **more: Any) -> list[str]:
    text = values if isinstance(values, str) else yaml.safe_dump(values, sort_keys=False)
    return [finding.describe() for finding in check_config(text, "x.yaml", **more)]


def changed(**changes: Any) -> dict[str, Any]:
    """Return the good configuration with other keys; those of the dataset type begin with raw_."""
    values: dict[str, Any] = {**GOOD, "dataset_types": {"raw": dict(GOOD["dataset_types"]["raw"])}}
    for name, value in changes.items():
        into = values["dataset_types"]["raw"] if name.startswith("raw_") else values
        name = name.removeprefix("raw_")
        if value is None:
            del into[name]
        else:
            into[name] = value
    return values


def test_nothing_is_wrong_with_a_good_one(odd: Butler) -> None:
    assert told(GOOD) == []
    assert told(GOOD, butler=odd, label="test") == []


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_ours_have_no_errors(path: Path) -> None:
    assert [item for item in check_config(path.read_text(), "x") if item.severity == "error"] == []


def test_those_of_others(shared_data: Path) -> None:
    found: dict[str, list[str]] = {}
    for path in sorted((shared_data / "obscore" / "dax_obscore").glob("*.yaml")):
        if path.stem != "obscore_nominal":
            findings = check_config(path.read_text(), path.name)
            found[path.stem] = [item.describe() for item in findings if item.severity == "error"]
    # A slip that was published: it is no word of the UCD vocabulary.
    assert found.pop("dp1") == [
        "error: dp1.yaml:51: dataset_types.template_coadd.o_ucd: 'phot.flux_density' is no UCD; "
        "write phot.flux.density"
    ]
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_all_mistakes_of_form_are_found_at_once() -> None:
    text = """\
facilty_name: Somewhere
obs_collection: [1]
dataset_types:
  raw: &image
    dataproduct_type: picture
    calib_level: 9
    obs_id_fm: "{visit}"
  calexp:
    <<: *image
    calib_level: 2
  calexp2:
    calib_level: 2
    extra_columns:
      2x: 1
      "3x": {template: "{visit}"}
      ok: [1]
dataset_type_constraints:
  nothing: [{where: "visit > 1"}]
spectral_ranges:
  g: [1]
  r: [4.0e-7, wide]
extra_columns:
  lsst_visit: {templat: "{visit}"}
spatial_plugins: {a: {cls: x.Y}}
batch_size: 0
"""
    lines = told(text)
    for wanted in (
        "error: x.yaml:1: facilty_name: unknown key here; did you mean 'facility_name' at the top?",
        "error: x.yaml:2: obs_collection: [1] is not accepted; input should be a valid string",
        "error: x.yaml:5: dataset_types.raw.dataproduct_type: 'picture' is not accepted; "
        "input should be 'image', 'cube', 'spectrum', 'sed', 'timeseries', 'visibility', 'event' or "
        "'measurements'",
        "error: x.yaml:6: dataset_types.raw.calib_level: 9 is not accepted; "
        "input should be less than or equal to 4",
        "error: x.yaml:7: dataset_types.raw.obs_id_fm: unknown key here; "
        "did you mean 'obs_id_fmt' in an entry of 'dataset_types'?",
        # What is merged in is told where it stands.
        "error: x.yaml:5: dataset_types.calexp.dataproduct_type: 'picture' is not accepted; "
        "input should be 'image', 'cube', 'spectrum', 'sed', 'timeseries', 'visibility', 'event' or "
        "'measurements'",
        "error: x.yaml:11: dataset_types.calexp2.dataproduct_type: the key is missing; "
        "add it: One of the legal words of ObsCore.",
        "error: x.yaml:18: dataset_type_constraints.nothing: 'nothing' is not one of dataset_types; "
        "constrain one that is exported, or leave it out",
        "error: x.yaml:20: spectral_ranges.g.1: the key is missing; add it",
        "error: x.yaml:21: spectral_ranges.r.1: 'wide' is not accepted; "
        "input should be a valid number, unable to parse string as a number",
        "error: x.yaml:23: extra_columns.lsst_visit.template: the key is missing; "
        "add it: Format string, as in '{visit}' or '{records[exposure].obs_id}'.",
        "error: x.yaml:23: extra_columns.lsst_visit.templat: unknown key here; "
        "did you mean 'template' in an entry of 'extra_columns'?",
        "error: x.yaml:24: spatial_plugins: {'a': {'cls': 'x.Y'}} is not accepted; "
        "the plugin 'x.Y' of 'a' is not known; known: "
        "lsst.daf.butler.registry.obscore.default_spatial.DefaultSpatialObsCorePlugin, "
        "lsst.daf.butler.registry.obscore.pgsphere.PgSphereObsCorePlugin",
        "error: x.yaml:25: batch_size: 0 is not accepted; input should be greater than or equal to 1",
    ):
        assert wanted in lines, lines
    # A key that was told once is not told again as missing.
    assert not any("facility_name: no facility" in line and "error" in line for line in lines)
    assert len(lines) == len(set(lines))


def test_names_of_columns() -> None:
    lines = told(changed(extra_columns={"3x": 1, "a-b": "x", "good": 2}))
    assert lines == [
        f"error: x.yaml:{line}: extra_columns.{name}: {name!r} is no name of a column; "
        "begin with a letter, and go on with letters, digits and underscores"
        for line, name in ((24, "3x"), (25, "a-b"))
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "error: x.yaml: it is not YAML: while parsing a flow node"),
        ("- 1", "error: x.yaml: it holds no mapping; give keys such as"),
        ("a: 1\na: 2\n", "error: x.yaml:2: a: the key is there twice, only the last counts"),
        ("use_butler_uri: true\n", "warning: x.yaml:1: use_butler_uri: a key of older exporters"),
        ("", "error: x.yaml: dataset_types: no dataset types are named, nothing is exported"),
        ("", "error: x.yaml: obs_publisher_did_fmt: the key is missing"),
        ("", "warning: x.yaml: collections: no collections are named"),
        ("", "warning: x.yaml: facility_name: no facility is named"),
        ("1: 2\n", "error: x.yaml:1: 1: "),
    ],
)
def test_files_that_are_hardly_any(text: str, message: str) -> None:
    assert any(line.startswith(message) for line in told(text)), told(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"obs_publisher_did_fmt": "ivo://a/b?{visit}"}, "error: .*'ivo://a/b.*' has no {id}"),
        ({"obs_publisher_did_fmt": "ivo://a/b?{visti}{id}"}, "error: .* names 'visti', .* mean 'visit'"),
        ({"obs_publisher_did_fmt": "http://a/{id}"}, "warning: .* is no IVOID"),
        ({"obs_publisher_did_fmt": "ivo://x-unregistered/{id}"}, "warning: .*authority 'x-unregistered'"),
        ({"obs_collection": None}, "error: .*raw.obs_collection: no name of the data collection"),
        ({"raw_obs_id_fmt": None}, "error: .*raw.obs_id_fmt: the key is missing, no row has the obs_id"),
        ({"raw_obs_id_fmt": "{visit"}, "error: .*is no format string: expected '}'"),
        ({"raw_obs_id_fmt": "{}"}, "error: .*names nothing; give a dimension"),
        (
            {"raw_obs_id_fmt": "{vist}"},
            "error: .*names 'vist', which raw does not have; did you mean 'visit'",
        ),
        ({"raw_obs_id_fmt": "{records[expsure].id}"}, "error: .*did you mean 'exposure'"),
        ({"raw_obs_id_fmt": "{records[exposure].obs_idd}"}, "error: .*no record of exposure has; .*'obs_id'"),
        (
            {"raw_datalink_url_fmt": "https://x/links"},
            "error: .*has no field, all rows lead to the same place",
        ),
        ({"raw_datalink_url_fmt": "https://x/{obs_id}"}, "warning: .*does not say which dataset it leads to"),
        ({"raw_datalink_url_fmt": "https://x/?ID=ivo://a?r=b&id={id}"}, "warning: .*not percent-encoded"),
        ({"raw_access_format": None}, "warning: .*access_format: the key is missing"),
        ({"raw_access_format": "application/x-votable+xml; content=datalink"}, "error: .*has a space"),
        ({"raw_access_format": "fits"}, "error: .*'fits' is no media type"),
        ({"raw_access_format": "image/x-foo"}, "warning: .*not among the values of the standard"),
        ({"raw_o_ucd": "phot.flux_density"}, "error: .*is no UCD; write phot.flux.density"),
        ({"raw_pol_states": "/I/W/"}, "error: .*'W' is no polarization state; choose among I, Q"),
        ({"raw_s_xel": [0, 9]}, r"error: .*\[0, 9\] is no size in pixels"),
        ({"facility_name": None}, "warning: .*facility_name is empty"),
        ({"collections": None}, "warning: .*no collections are named"),
        ({"spectral_ranges": {"g": [402, 548]}}, "error: .*402 is no wavelength in meters"),
        ({"spectral_ranges": {"g": [0.402, 0.548]}}, "warning: .*0.402 m is not visible light"),
        ({"spectral_ranges": {"g": [5e-7, 4e-7]}}, "error: .*5e-07, is above the second"),
        ({"extra_columns": {"t_xel": "one"}}, "error: .*ObsCore's 't_xel' is long, not str"),
        ({"extra_columns": {"t_xel": 1.5}}, "error: .*ObsCore's 't_xel' is long, not float"),
        ({"extra_columns": {"obs_title": 1}}, "error: .*ObsCore's 'obs_title' is char, not int"),
        (
            {"extra_columns": {"t_xel": {"template": "{visit}"}}},
            "error: .*ObsCore's 't_xel' is long, not string; give it the type long",
        ),
        ({"extra_columns": {"obs_titel": "x"}}, "warning: .*no column of ObsCore; did you mean 'obs_title'"),
        ({"extra_columns": {"S_RA": 1.0}}, "error: .*'s_ra' and 'S_RA' differ in the case"),
        ({"extra_columns": {"a": {"template": "{nope}"}}}, "error: .*'nope', which no dataset type has"),
    ],
)
def test_meaning(changes: dict[str, Any], message: str) -> None:
    lines = told(changed(**changes))
    assert len(lines) == 1 or "IVOID" in message or "field" in message, lines
    matched = [line for line in lines if re.match(message, line)]
    assert matched, lines
    # Place, what, and how to mend it.
    assert matched[0].count(": ") >= 3
    assert "; " in matched[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"collections": ["al"]},
            "error: collections.0: there is no collection 'al'; did you mean 'all'",
        ),
        (
            {"collections": ["nothing/like/it"]},
            "error: collections.0: there is no collection 'nothing/like/it'; there are all, new, old",
        ),
        (
            {"dataset_types": {"row": GOOD["dataset_types"]["raw"]}},
            "error: dataset_types.row: the repository 'test' has no dataset type 'row'; did you mean 'raw'?",
        ),
        (
            {"dataset_types": {**GOOD["dataset_types"], "callexp": GOOD["dataset_types"]["raw"]}},
            "warning: dataset_types.callexp: the repository 'test' has no dataset type 'callexp'; "
            "did you mean 'calexp'?",
        ),
        (
            {"raw_obs_id_fmt": "{tract}"},
            "error: dataset_types.raw.obs_id_fmt: '{tract}' names 'tract', which raw does not have; "
            "there are access_format, band, calib_level,",
        ),
        (
            {"raw_obs_id_fmt": "{records[patch].cell_x}"},
            "error: dataset_types.raw.obs_id_fmt: '{records[patch].cell_x}' names "
            "'records[patch]', which raw does not have; there are band, day_obs,",
        ),
        (
            {"extra_columns": {"lsst_tract": {"template": "{tract}", "type": "int"}}},
            "warning: extra_columns.lsst_tract: no configured dataset type has 'tract', "
            "the column will be empty; leave the column out",
        ),
        (
            {"spectral_ranges": {"g": [4e-7, 5e-7]}},
            "warning: spectral_ranges: no limits for r, w, where em_min and em_max stay empty",
        ),
        (
            {"facility_name": None},
            "warning: facility_map: no facility for the instrument 'Cam'; name it here",
        ),
        (
            {"facility_map": {"Kam": "x"}},
            "warning: facility_map.Kam: the repository 'test' has no instrument 'Kam'; did you mean 'Cam'?",
        ),
        (
            {"visit_summary": ["visitSummary"]},
            "warning: visit_summary: the repository 'test' has no dataset type 'visitSummary'; there are",
        ),
        (
            {"where": "nodimension = 1"},
            "error: dataset_types.raw: raw: the registry refuses the query: ",
        ),
        (
            {"raw_obs_id_fmt": "{records[exposure].obs_id:d}"},
            "error: dataset_types.raw: The configuration of obs_id of raw: the field "
            "{records[exposure].obs_id} of '{records[exposure].obs_id:d}' cannot be formatted",
        ),
        (
            {"collection_type": "RUN", "collections": ["(", "nothing.*", "n.*"]},
            "error: collections.0: '(' is no regular expression",
        ),
        (
            {"collection_type": "RUN", "collections": ["nothing.*", "n.*"]},
            "warning: collections.0: no RUN collection matches 'nothing.*'; there are new, old",
        ),
    ],
)
def test_against_a_repository(odd: Butler, changes: dict[str, Any], message: str) -> None:
    lines = [
        re.sub(r"x\.yaml(:\d+)?: ", "", line) for line in told(changed(**changes), butler=odd, label="test")
    ]
    assert any(line.startswith(message) for line in lines), lines


def test_a_type_that_the_collections_do_not_hold(odd: Butler) -> None:
    lines = told(changed(collections=["old"]), butler=odd, label="test")
    assert lines == []
    kinds = {"coadd": GOOD["dataset_types"]["raw"] | {"obs_id_fmt": "{patch}"}}
    lines = told(changed(collections=["old"], dataset_types=kinds), butler=odd, label="test")
    assert lines == [
        "warning: x.yaml:18: dataset_types.coadd: the collections hold no 'coadd'; "
        "name another collection, or leave the dataset type out"
    ]


def test_coadds_need_an_instrument(odd: Butler) -> None:
    kinds = {"coadd": GOOD["dataset_types"]["raw"] | {"obs_id_fmt": "{patch}"}}
    values = changed(fallback_instrument=None, dataset_types=kinds)
    (line,) = told(values, butler=odd, label="test")
    assert line.startswith("warning: x.yaml: fallback_instrument: datasets without an instrument")


def test_raw_images_may_name_their_visit(odd: Butler) -> None:
    text = "{visit} {records[visit].name} {records[visit_detector_region].detector}"
    assert told(changed(raw_extra_columns={"a": {"template": text}}), butler=odd, label="test") == []


def test_what_is_not_refused_exports(odd: Butler, export: Callable[..., Any]) -> None:
    rows, _ = export(odd, GOOD)
    assert len(rows) == 15
    assert parse_obscore_config(yaml.safe_dump(GOOD), "x").dataset_types


def test_a_finding_is_one_line() -> None:
    finding = Finding("error", "", "two\nlines", "do\tthis")
    assert finding.describe() == "error: two lines; do this"
