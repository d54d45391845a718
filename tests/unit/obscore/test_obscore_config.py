"""Configurations: all that exist load, and what is wrong is named."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from lsst.dax.obscore import ExporterConfig

from lsst.dax.vo.errors import NotFoundError, UsageError
from lsst.dax.vo.obscore import (
    MANDATORY_COLUMNS,
    OBSCORE_COLUMNS,
    OPTIONAL_COLUMNS,
    ObscoreConfig,
    columns_of,
    identifier_formats,
    load_obscore_config,
    parse_obscore_config,
)

OURS = sorted((Path(__file__).parents[3] / "config" / "obscore").glob("*.yaml"))
THEIRS = [
    "ci_hsc_gen3",
    "dc2",
    "dp02",
    "dp1",
    "dp2",
    "edp2",
    "embargo-sia",
    "example",
    "prompt",
    "usdf-embargo-live",
]


def _parse(**values: Any) -> ObscoreConfig:
    return parse_obscore_config(yaml.safe_dump(values), "x.yaml")


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_ours_load(path: Path) -> None:
    config = load_obscore_config(path)
    assert columns_of(config)[:30] == MANDATORY_COLUMNS
    assert parse_obscore_config(config.to_yaml(), "again") == config


@pytest.mark.parametrize("name", THEIRS)
def test_theirs_load_unmodified(shared_data: Path, name: str) -> None:
    path = shared_data / "obscore" / "dax_obscore" / f"{name}.yaml"
    config = load_obscore_config(path)
    assert parse_obscore_config(config.to_yaml(), "again") == config
    theirs = ExporterConfig.model_validate(yaml.safe_load(path.read_text()))
    assert list(config.dataset_types) == list(theirs.dataset_types)
    assert list(config.collections or ()) == theirs.collections
    assert config.spectral_ranges == theirs.spectral_ranges
    assert (config.origin is None) == (theirs.origin is None)


def test_no_file_of_theirs_is_forgotten(shared_data: Path) -> None:
    found = {path.stem for path in (shared_data / "obscore" / "dax_obscore").glob("*.yaml")}
    assert found == {*THEIRS, "obscore_nominal"}


def test_live_table_of_others_loads(shared_data: Path) -> None:
    config = load_obscore_config(shared_data / "obscore" / "other" / "daf_butler_tests_obscore.yaml")
    assert config.collection_type == "RUN"


def test_older_expression_is_a_text() -> None:
    assert _parse(where="visit > 3").where.where == "visit > 3"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"dataset_type": {}},
            "x.yaml: dataset_type: unknown key here, did you mean 'dataset_types' at the top",
        ),
        (
            {"dataset_types": {"raw": {"dataproduct_type": "image", "calib_level": 1, "obs_id_fm": ""}}},
            "x.yaml: dataset_types.raw.obs_id_fm: unknown key here, "
            "did you mean 'obs_id_fmt' in an entry of 'dataset_types'",
        ),
        (
            {"extra_columns": {"a": {"templat": "{visit}"}}},
            "x.yaml: extra_columns.a.template: Field required; "
            "extra_columns.a.templat: unknown key here, "
            "did you mean 'template' in an entry of 'extra_columns'",
        ),
        ({"extra_columns": {"a": [1]}}, "x.yaml: extra_columns.a"),
        ({"extra_columns": {"_id": 1}}, "'_id' is no name of a column"),
        ({"dataset_types": {"raw": {"dataproduct_type": "picture", "calib_level": 1}}}, "'image', 'cube'"),
        ({"dataset_types": {"raw": {"dataproduct_type": "image", "calib_level": 5}}}, "raw.calib_level"),
        ({"spatial_plugins": {"a": {"cls": "x.Y"}}}, "spatial_plugins: the plugin 'x.Y' of 'a' is not known"),
        ({"dataset_type_constraints": {"raw": []}}, "'raw' is not one of dataset_types"),
        ({"spectral_ranges": {"g": [1]}}, "spectral_ranges.g.1: Field required"),
        ({"zzz": 1}, "zzz: unknown key here; known: access_estsize"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        _parse(**values)
    assert message in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no exporter configuration .*nope\.yaml; give the path"):
        load_obscore_config(tmp_path / "nope.yaml")
    with pytest.raises(UsageError, match="cannot be read"):
        load_obscore_config(tmp_path)
    for text, message in (("a: [", "is not YAML"), ("- 1", "holds no mapping")):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(UsageError, match=f"bad.yaml {message}"):
            load_obscore_config(tmp_path / "bad.yaml")


def test_identifier_formats() -> None:
    kind = {"dataproduct_type": "image", "calib_level": 1}
    config = _parse(
        obs_publisher_did_fmt="ivo://a/b?id={id}",
        dataset_types={
            name: kind | {"datalink_url_fmt": url} for name, url in zip("abc", "xyx", strict=True)
        },
    )
    assert identifier_formats(config) == (("ivo://a/b?id={id}",), ("x", "y"))
    assert identifier_formats(ObscoreConfig()) == ((), ())


class TestColumns:
    def test_mandatory_ones_are_those_of_the_standard(self, shared_data: Path) -> None:
        lines = (shared_data / "obscore" / "sdm_schemas" / "ObsCore-v1.1-descriptions.csv").read_text()
        told = {line.split(",")[0]: line for line in lines.splitlines()[1:]}
        mandatory = {name for name, line in told.items() if line.endswith(",YES")}
        assert {column.name for column in MANDATORY_COLUMNS} == mandatory
        assert {column.name for column in OPTIONAL_COLUMNS} == set(told) - mandatory
        for column in (*MANDATORY_COLUMNS, *OPTIONAL_COLUMNS):
            parts = told[column.name].split(",")
            assert column.utype == f"obscore:{parts[1]}"
            assert column.std
            if column.name != "o_stat_error":
                assert (column.unit or "unitless") == parts[2]

    def test_references_and_forms(self) -> None:
        columns = {column.name: column for column in OBSCORE_COLUMNS}
        assert len(columns) == 32
        assert [name for name, column in columns.items() if column.ref == "icrs"] == [
            "s_ra",
            "s_dec",
            "s_region",
        ]
        assert [name for name, column in columns.items() if column.ref == "utc"] == ["t_min", "t_max"]
        assert (columns["s_region"].datatype, columns["s_region"].xtype) == ("char", "adql:REGION")
        assert (columns["access_estsize"].datatype, columns["access_estsize"].unit) == ("long", "kbyte")

    def test_extra_ones(self, config: dict[str, Any]) -> None:
        columns = {column.name: column for column in columns_of(_parse(**config))}
        assert list(columns)[30:] == [
            "dataproduct_subtype",
            "lsst_band",
            "lsst_filter",
            "lsst_tract",
            "lsst_visit",
            "run",
            "good",
            "weight",
            "obs_title",
        ]
        band = columns["lsst_band"]
        assert (band.arraysize, band.description, band.ucd) == ("8*", "The band.", "meta.id;instr.bandpass")
        assert (columns["lsst_visit"].datatype, columns["lsst_visit"].ucd) == ("long", "meta.id;obs")
        assert columns["obs_title"] in OPTIONAL_COLUMNS
        assert (columns["good"].datatype, columns["weight"].datatype) == ("boolean", "double")
        assert not columns["run"].std

    def test_one_name_has_one_meaning(self) -> None:
        kind = {"dataproduct_type": "image", "calib_level": 1, "extra_columns": {"a": 1.5}}
        with pytest.raises(UsageError, match="'a' is long in one place and double in another"):
            columns_of(_parse(extra_columns={"a": 1}, dataset_types={"raw": kind}))
        with pytest.raises(UsageError, match="'s_ra' and 'S_RA' differ in the case"):
            columns_of(_parse(extra_columns={"S_RA": 1.0}))
