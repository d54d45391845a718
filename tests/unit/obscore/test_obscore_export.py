"""Rows of a repository with every oddity, against ``lsst-dax-obscore``."""

from typing import Any

import pytest
import yaml
from lsst.daf.butler import Butler, DatasetType
from lsst.sphgeom import Region

from lsst.dax.vo.errors import NotFoundError, UsageError
from lsst.dax.vo.obscore import columns_of, infer_obscore_config, iter_rows, parse_obscore_config
from lsst.dax.vo.store import HIDDEN_SCHEMA, batch_schema

REGION_COLUMNS = ("s_ra", "s_dec", "s_fov", "s_region")


def _ids(rows: list[dict[str, Any]]) -> set[str]:
    return {row["obs_publisher_did"] for row in rows}


class TestIntendedDifferences:
    """The whole table of them; every other value is equal."""

    def test_regions_of_other_types_are_told(self, odd_rows: Any, differences: Any) -> None:
        rows, _, theirs = odd_rows
        coadds = {row["obs_publisher_did"][-36:] for row in rows if row["lsst_tract"] == 7}
        found = differences(rows, theirs)
        assert {name for _, name, _, _ in found} == set(REGION_COLUMNS)
        assert {value for _, _, _, value in found} == {None}
        # Three of four patches are no convex polygons, in two bands each.
        changed = {key for key, *_ in found}
        assert len(changed) == 6
        assert changed <= coadds

    def test_datasets_without_a_region_are_kept(self, odd_rows: Any) -> None:
        rows, report, theirs = odd_rows
        missing = [row for row in rows if row["obs_publisher_did"] not in _ids(theirs)]
        assert sorted(row["obs_id"] for row in missing) == ["E4", "E5", "E5", "E5", "V4"]
        assert all(row[name] is None for row in missing for name in (*REGION_COLUMNS, "_region"))
        assert report.without_region == {"raw": 4, "calexp": 1, "coadd": 0}
        assert "without a region on the sky: 1 calexp, 4 raw" in report.describe("x")

    def test_sizes_come_from_the_datastore(self, odd: Butler, odd_rows: Any) -> None:
        rows, _, theirs = odd_rows
        assert "access_estsize" not in theirs[0]
        for row in rows:
            path = odd.getURI(odd.get_dataset(row["obs_publisher_did"][-36:]))
            assert row["access_estsize"] == -(-path.size() // 1000)

    def test_polarization_is_configured(self, odd: Butler, config: Any, export: Any) -> None:
        config["dataset_types"]["coadd"]["pol_states"] = "/I/Q/"
        rows, _ = export(odd, config, dataset_types=["coadd"])
        assert {(row["pol_states"], row["pol_xel"]) for row in rows} == {("/I/Q/", 2)}

    def test_none_is_no_text(self, odd: Butler, config: Any, export: Any, oracle: Any) -> None:
        config["extra_columns"]["field"] = {"template": "{records[exposure].target_name}"}
        rows, _ = export(odd, config)
        assert "None" in {row["field"] for row in oracle(odd, config)}
        assert {row["field"] for row in rows if row["obs_id"] == "E3"} == {None}

    def test_open_times_in_templates(self, odd: Butler, config: Any, export: Any, oracle: Any) -> None:
        config["extra_columns"]["stop"] = {"template": "{records[exposure].timespan.end.utc.isot}"}
        with pytest.raises(AttributeError):
            oracle(odd, config)
        rows, _ = export(odd, config)
        assert {row["stop"] for row in rows if row["obs_id"] == "E4"} == {None}
        assert {row["stop"] for row in rows if row["obs_id"] == "E1"} == {"2025-01-01T01:01:33.000000"}

    def test_unregistered_types_are_told(self, odd: Butler, config: Any, export: Any, oracle: Any) -> None:
        config["dataset_types"]["visit_image"] = {"dataproduct_type": "image", "calib_level": 2}
        with pytest.raises(Exception, match="visit_image"):
            oracle(odd, config)
        rows, report = export(odd, config)
        assert len(rows) == 35
        assert report.describe("x").endswith("not in this repository: visit_image")

    def test_non_standard_filter_name_is_left_out(self, odd_rows: Any) -> None:
        rows, _, theirs = odd_rows
        assert set(theirs[0]) - set(rows[0]) == {"em_filter_name", "dataproduct_subtype"} - set(rows[0])


class TestChoices:
    def test_find_first(self, odd: Butler, config: Any, export: Any) -> None:
        rows, _ = export(odd, config, dataset_types=["raw"])
        assert {(row["obs_id"], row["run"]) for row in rows} == {
            ("E1", "new"),
            ("E2", "new"),
            ("E3", "old"),
            ("E4", "old"),
            ("E5", "old"),
        }
        rows, _ = export(odd, config, dataset_types=["raw"], collections=["old", "new"])
        assert {row["run"] for row in rows} == {"old"}

    @pytest.mark.parametrize(
        "where", ["exposure > 2", "instrument='Cam' AND detector = 1", "exposure.exposure_time < 33"]
    )
    def test_where(
        self, odd: Butler, config: Any, export: Any, oracle: Any, differences: Any, where: str
    ) -> None:
        full = where if "instrument" in where else f"instrument='Cam' AND {where}"
        config["where"] = {"where": full}
        config["dataset_types"] = {"raw": config["dataset_types"]["raw"]}
        theirs = oracle(odd, config)
        rows, _ = export(odd, config)
        assert theirs
        assert differences(rows, theirs) == []
        assert {row["obs_publisher_did"] for row in rows if row["_region"]} == _ids(theirs)
        # The same as a choice of the caller, beside a constraint.
        config["where"] = {"where": "instrument = 'Cam'"}
        assert _ids(export(odd, config, where=full)[0]) == _ids(rows)

    def test_constraints_of_one_type_make_each_dataset_once(
        self, odd: Butler, config: Any, export: Any, oracle: Any
    ) -> None:
        config["dataset_type_constraints"] = {
            "calexp": [
                {"where": "instrument = 'Cam' AND visit < limit", "bind": {"limit": 3}},
                {"where": "instrument = 'Cam' AND detector = 0"},
            ]
        }
        rows, _ = export(odd, config, dataset_types=["calexp"])
        assert sorted(row["obs_id"] for row in rows) == ["V1"] * 3 + ["V2"] * 3 + ["V3", "V4"]
        config["dataset_types"] = {"calexp": config["dataset_types"]["calexp"]}
        assert len(oracle(odd, config)) == len(rows) + 2

    @pytest.mark.parametrize("limit", [3, 7, 8, 20])
    def test_limit_counts_what_constraints_share_once(
        self, odd: Butler, config: Any, export: Any, limit: int
    ) -> None:
        same = {"where": "instrument = 'Cam' AND visit < 3"}
        config["dataset_type_constraints"] = {"calexp": [same, same, {"where": "instrument = 'Cam'"}]}
        rows, _ = export(odd, config, dataset_types=["calexp"])
        everything = _ids(rows)
        rows, _ = export(odd, config, dataset_types=["calexp"], limit=limit)
        assert len(rows) == len(_ids(rows)) == min(limit, len(everything))
        assert _ids(rows) <= everything

    def test_extra_dimensions(
        self, odd: Butler, config: Any, export: Any, oracle: Any, differences: Any
    ) -> None:
        config["where"] = {"where": "instrument='Cam' AND skymap='sky' AND tract=7", "extra_dims": ["tract"]}
        config["dataset_types"] = {"calexp": config["dataset_types"]["calexp"]}
        theirs = oracle(odd, config)
        rows, _ = export(odd, config)
        assert {row["obs_id"] for row in theirs} == {"V3"}
        assert _ids(rows) == _ids(theirs)
        assert differences(rows, theirs) == []

    @pytest.mark.parametrize("limit", [1, 5, 13, 100])
    def test_limit(self, odd: Butler, config: Any, export: Any, limit: int) -> None:
        rows, report = export(odd, config, limit=limit)
        assert len(rows) == min(limit, 35)
        assert report.total == len(rows)

    @pytest.mark.parametrize("size", [1, 2, 7, 10_000])
    def test_rows_do_not_depend_on_the_batch_size(
        self, odd: Butler, config: Any, export: Any, size: int
    ) -> None:
        rows, _ = export(odd, config)
        config["batch_size"] = size
        again, _ = export(odd, config)
        assert sorted(again, key=repr) == sorted(rows, key=repr)

    def test_run_patterns_of_the_live_table(self, odd: Butler, config: Any, export: Any) -> None:
        config |= {"collection_type": "RUN", "collections": ["ol.*", "nothing"]}
        rows, report = export(odd, config)
        assert {row["run"] for row in rows} == {"old"}
        assert report.rows == {"raw": 15, "calexp": 12, "coadd": 0}
        config["collections"] = []
        assert export(odd, config)[1].rows == {"raw": 21, "calexp": 12, "coadd": 8}

    def test_sizes_can_be_left_out(self, odd: Butler, config: Any, export: Any) -> None:
        config["access_estsize"] = False
        assert {row["access_estsize"] for row in export(odd, config)[0]} == {None}


class TestBatches:
    def test_schema_and_hidden_columns(self, odd: Butler, config: Any) -> None:
        parsed = parse_obscore_config(yaml.safe_dump(config), "the test")
        columns = columns_of(parsed)
        for batch in iter_rows(odd, parsed, label="lab"):
            assert batch.schema.names == [*(column.name for column in columns), *HIDDEN_SCHEMA.names]
            assert batch.schema == batch_schema(columns)
            for row in batch.to_pylist():
                assert row["_repo"] == "lab"
                assert row["_id"].hex() == row["obs_publisher_did"][-36:].replace("-", "")
                if row["_region"] is not None:
                    circle = Region.decode(row["_region"]).getBoundingCircle()
                    assert 2 * circle.getOpeningAngle().asDegrees() == row["s_fov"]

    def test_everything_from_the_configuration(self, odd: Butler, config: Any, export: Any) -> None:
        rows, _ = export(odd, config)
        calexp = next(row for row in rows if row["obs_id"] == "V1")
        wanted = {
            "obs_collection": "OTHER",
            "facility_name": "Somewhere",
            "instrument_name": "Cam",
            "t_exptime": 31.0,
            "target_name": 'field, 1 "a"',
            "em_min": 6.0e-7,
            "em_max": None,
            "t_xel": 1,
            "weight": 0.5,
            "good": True,
            "lsst_visit": 1,
            "lsst_tract": None,
        }
        assert {name: calexp[name] for name in wanted} == wanted


class TestBadInput:
    @pytest.mark.parametrize(
        ("change", "choice", "error", "message"),
        [
            ({}, {"collections": ["nope"]}, NotFoundError, "no collection 'nope' .* there are: "),
            ({"collections": None}, {}, UsageError, "No collections are given.*all"),
            ({}, {"dataset_types": ["bias"]}, UsageError, "'bias' is not configured; configured: calexp"),
            ({"dataset_types": {}}, {}, UsageError, "names no dataset types"),
            ({}, {"where": "nonsense = 1"}, UsageError, "refuses the query"),
            ({}, {"where": "visit >"}, UsageError, "refuses the query"),
            ({"collection_type": "RUN", "collections": ["x.*"]}, {}, UsageError, "no RUN collection matches"),
            ({"collection_type": "RUN", "collections": ["("]}, {}, UsageError, "no regular expression"),
            (
                {"dataset_types": {"nope": {"dataproduct_type": "image", "calib_level": 1}}},
                {},
                NotFoundError,
                "no dataset type 'nope'",
            ),
            (
                {"obs_publisher_did_fmt": "{tract}-{id}"},
                {"dataset_types": ["raw"]},
                UsageError,
                "obs_publisher_did of raw.* names 'tract', which raw does not have; there are .*exposure",
            ),
            ({"obs_publisher_did_fmt": "{id"}, {}, UsageError, "no format string"),
            ({"obs_publisher_did_fmt": "{}"}, {}, UsageError, "names nothing; give a dimension"),
            (
                {"extra_columns": {"n": {"template": "{band}", "type": "int"}}},
                {},
                UsageError,
                "n of .*: '[gr]' is no value of type long",
            ),
            (
                {"extra_columns": {"n": {"template": "{records[detector].nope}"}}},
                {},
                UsageError,
                "'{records\\[detector\\].nope}' cannot be formatted",
            ),
            ({"extra_columns": {"t_xel": "many"}}, {}, UsageError, "'many' is no value of type long"),
        ],
    )
    def test_is_told(
        self,
        odd: Butler,
        config: Any,
        export: Any,
        change: Any,
        choice: Any,
        error: type[Exception],
        message: str,
    ) -> None:
        with pytest.raises(error, match=message):
            export(odd, config | change, **choice)


class TestInferred:
    def test_images_of_the_sky_are_found(self, tmp_path: Any) -> None:
        Butler.makeRepo(str(tmp_path / "repo"))
        with Butler.from_config(str(tmp_path / "repo"), writeable=True) as butler:
            with pytest.raises(NotFoundError, match="holds no images of the sky"):
                infer_obscore_config(butler, "lab")
            _register_images(butler)
            config = infer_obscore_config(butler, "lab")
        assert {name: kind.calib_level for name, kind in config.dataset_types.items()} == {
            "calexp": 2,
            "deepCoadd_calexp": 3,
            "goodSeeingDiff_differenceExp": 3,
            "raw": 1,
        }
        assert config.collections == ("w_2", "w_1")
        assert config.facility_map == {"HSC": "Subaru"}
        assert list(config.extra_columns or {}) == [
            "lsst_visit",
            "lsst_detector",
            "lsst_tract",
            "lsst_patch",
            "lsst_band",
            "lsst_filter",
        ]
        assert parse_obscore_config(config.to_yaml(), "again") == config


def _register_images(butler: Butler) -> None:
    registry = butler.registry
    insert = registry.insertDimensionData
    insert("instrument", {"name": "HSC", "class_name": "x", "detector_max": 9})
    insert("physical_filter", {"instrument": "HSC", "name": "HSC-G", "band": "g"})
    insert("detector", {"instrument": "HSC", "id": 1, "full_name": "x"})
    insert("day_obs", {"instrument": "HSC", "id": 1})
    insert("group", {"instrument": "HSC", "name": "g"})
    common = {"instrument": "HSC", "id": 1, "physical_filter": "HSC-G", "day_obs": 1}
    insert("exposure", {**common, "obs_id": "e", "group": "g"})
    insert("visit", {**common, "name": "v"})
    insert("skymap", {"name": "s", "hash": b"h", "tract_max": 1, "patch_nx_max": 1, "patch_ny_max": 1})
    insert("tract", {"skymap": "s", "id": 0})
    insert("patch", {"skymap": "s", "tract": 0, "id": 0, "cell_x": 0, "cell_y": 0})
    visit = {"instrument": "HSC", "detector": 1, "visit": 1}
    patch = {"skymap": "s", "tract": 0, "patch": 0, "band": "g"}
    for name, storage_class, data_id, run in (
        ("raw", "Exposure", {"instrument": "HSC", "detector": 1, "exposure": 1}, "w_1"),
        ("calexp", "ExposureF", visit, "w_2"),
        ("calexp_catalog", "ArrowTable", visit, "w_3"),
        ("bias", "ExposureF", {"instrument": "HSC", "detector": 1}, "w_3"),
        ("goodSeeingDiff_differenceExp", "ExposureF", visit, "w_2"),
        ("deepCoadd_calexp", "ExposureF", patch, "w_2"),
    ):
        kind = DatasetType(name, butler.dimensions.conform(data_id), storage_class)
        registry.registerDatasetType(kind)
        registry.registerRun(run)
        registry.insertDatasets(kind, [data_id], run=run)
