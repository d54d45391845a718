"""Rows of references, as tasks make them, are those of an export."""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from lsst.daf.butler import Butler, DatasetType

from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.obscore import chosen_ids, parse_obscore_config, rows_of_refs, visits_of_exposures
from lsst.dax.vo.repo import recorded_sizes

DETECTORS = (0, 1, 2)
FIRST, SECOND = (f"instrument = 'Cam' AND exposure = {number}" for number in (1, 2))


def parse(config: dict[str, Any]) -> Any:
    return parse_obscore_config(yaml.safe_dump(config), "the test")


def rows_of(batches: Iterator[pa.RecordBatch]) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.to_pylist()]


def export_refs(butler: Butler, config: dict[str, Any]) -> list[dict[str, Any]]:
    """Make rows of all references: raw images visit by visit, the others together."""
    # A query for records leaves out datasets without some.
    refs = [
        ref.expanded(butler.registry.expandDataId(ref.dataId))
        for name in config["dataset_types"]
        for ref in butler.query_datasets(name, config["collections"], limit=None)
    ]
    exposures = {("Cam", ref.dataId["exposure"]) for ref in refs if "exposure" in ref.dataId}
    visits = visits_of_exposures(butler, exposures, with_detectors=False)
    by_visit = defaultdict(list)
    for ref in refs:
        by_visit[visits[("Cam", ref.dataId["exposure"])] if "exposure" in ref.dataId else None].append(ref)
    found = []
    for visit, some in by_visit.items():
        places = []
        if visit is not None:
            data_id = {"instrument": "Cam", "visit": visit}
            expand = butler.registry.expandDataId
            places = [expand(data_id), *(expand(data_id, detector=number) for number in DETECTORS)]
        rows = rows_of_refs(
            some,
            parse(config),
            label="test",
            visits=places,
            sizes=lambda uuids: recorded_sizes(butler, uuids),
        )
        found += rows_of(rows)
    return found


@pytest.fixture
def copied(odd_repository: Path, tmp_path: Path) -> Iterator[Butler]:
    """Return the repository with images that lie where a visit and a patch overlap."""
    shutil.copytree(odd_repository, tmp_path / "odd")
    with Butler.from_config(str(tmp_path / "odd"), writeable=True) as butler:
        kind = DatasetType("warp", butler.dimensions.conform(("patch", "visit")), "StructuredDataDict")
        butler.registry.registerDatasetType(kind)
        for patch in (0, 3):
            butler.put({}, kind, instrument="Cam", visit=3, skymap="sky", tract=7, patch=patch, run="new")
        yield butler


def by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: bytes(row["_id"]))


def test_all_rows_are_those_of_an_export(
    odd: Butler, config: dict[str, Any], export: Callable[..., Any]
) -> None:
    rows, _ = export(odd, config)
    # Templates may name the visit that places an exposure.
    assert by_id(export_refs(odd, config)) == by_id(rows)


def test_overlaps_are_those_of_an_export(
    copied: Butler, config: dict[str, Any], export: Callable[..., Any]
) -> None:
    config["dataset_types"] = {"warp": {"dataproduct_type": "image", "calib_level": 3}}
    rows, _ = export(copied, config)
    assert len(rows) == 2
    assert all(row["_region"] for row in rows)
    assert by_id(export_refs(copied, config)) == by_id(rows)


def test_templates_name_the_visit_of_an_exposure(
    odd: Butler, config: dict[str, Any], export: Callable[..., Any]
) -> None:
    config["dataset_types"] = {"raw": config["dataset_types"]["raw"]}
    config["dataset_types"]["raw"]["extra_columns"] = {"name": {"template": "{records[visit].name}"}}
    rows, _ = export(odd, config)
    assert {row["name"] for row in rows} == {"V1", "V2", "V3", "V4", None}
    # Where no visit is given, as for exposures without one, there is no name.
    assert by_id(export_refs(odd, config)) == by_id(rows)


def test_rows_come_in_batches(odd: Butler, config: dict[str, Any]) -> None:
    config["batch_size"] = 5
    refs = odd.query_datasets("coadd", "all", with_dimension_records=True, limit=None)
    batches = list(rows_of_refs(refs, parse(config), label="test"))
    assert [batch.num_rows for batch in batches] == [5, 3]


def test_visit_of_an_exposure(odd: Butler) -> None:
    exposures = [("Cam", number) for number in range(1, 7)]
    # Exposure 1 is in visit 900, too; 5 is in none, and 6 does not exist.
    expected = {
        ("Cam", 1): 1,
        ("Cam", 2): 2,
        ("Cam", 3): 3,
        ("Cam", 4): 4,
        ("Cam", 5): None,
        ("Cam", 6): None,
    }
    assert visits_of_exposures(odd, exposures, with_detectors=False) == expected
    assert visits_of_exposures(odd, exposures, with_detectors=True) == expected
    assert visits_of_exposures(odd, [], with_detectors=True) == {}


def test_visit_without_regions_of_detectors_places_nothing(odd_repository: Path, tmp_path: Path) -> None:
    shutil.copytree(odd_repository, tmp_path / "odd")
    with Butler.from_config(str(tmp_path / "odd"), writeable=True) as butler:
        record = next(iter(butler.query_dimension_records("visit", instrument="Cam", visit=4)))
        butler.registry.insertDimensionData(
            "visit", record.toDict() | {"id": 901, "name": "V901", "physical_filter": "white"}
        )
        butler.registry.insertDimensionData(
            "visit_definition", {"instrument": "Cam", "visit": 901, "exposure": 5}
        )
        assert visits_of_exposures(butler, [("Cam", 5)], with_detectors=False) == {("Cam", 5): 901}
        assert visits_of_exposures(butler, [("Cam", 5)], with_detectors=True) == {("Cam", 5): None}


def test_expressions_choose_ids(odd: Butler, config: dict[str, Any]) -> None:
    assert chosen_ids(odd, parse(config), "coadd", ["all"]) is None
    config["where"] = "band = 'g'"
    config["dataset_type_constraints"] = {"raw": [{"where": FIRST}, {"where": SECOND}]}
    coadds = odd.query_datasets("coadd", "all", where="band = 'g'", limit=None)
    assert chosen_ids(odd, parse(config), "coadd", ["all"]) == {ref.id for ref in coadds}
    raws = odd.query_datasets("raw", "all", where=f"({FIRST}) OR ({SECOND})", limit=None)
    # Those that hide behind others are not chosen.
    assert chosen_ids(odd, parse(config), "raw", ["all"]) == {ref.id for ref in raws}
    config["dataset_type_constraints"] = {"raw": [{"where": FIRST}, {"where": ""}]}
    assert chosen_ids(odd, parse(config), "raw", ["all"]) is None
    assert chosen_ids(odd, parse(config), "nothing", ["all"]) == set()


def test_expression_that_is_not_accepted(odd: Butler, config: dict[str, Any]) -> None:
    config["where"] = "bond = 'g'"
    with pytest.raises(UsageError, match="coadd: the registry refuses the query: "):
        chosen_ids(odd, parse(config), "coadd", ["all"])
