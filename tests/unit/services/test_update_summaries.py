"""Summaries of visits that come, change and go after their rows were made."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
import yaml
from lsst.daf.butler import Butler, CollectionType, DatasetType

from lsst.dax.vo.obscore import iter_rows, parse_obscore_config, rows_of_refs, summaries_of_refs
from lsst.dax.vo.repo import recorded_sizes
from lsst.dax.vo.services import export_repository, query_store, update_store

VISITS, DETECTORS = (1, 2), (0, 1)
CONFIG: dict[str, Any] = {
    "collections": ["all"],
    "obs_publisher_did_fmt": "ivo://org.example/test?id={id}",
    "dataset_types": {
        "calexp": {"dataproduct_type": "image", "calib_level": 2, "obs_id_fmt": "{visit}-{detector}"}
    },
    "visit_summary": ["finalVisitSummary", "visitSummary"],
}


@pytest.fixture
def butler(tmp_path: Path) -> Iterator[Butler]:
    root = tmp_path / "repo"
    Butler.makeRepo(str(root))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    with Butler.from_config(str(root), writeable=True) as butler:
        insert = butler.registry.insertDimensionData
        insert("instrument", {"name": "Cam", "class_name": "x"})
        insert("physical_filter", {"instrument": "Cam", "name": "r", "band": "r"})
        insert("day_obs", {"instrument": "Cam", "id": 20250101})
        for detector in DETECTORS:
            insert("detector", {"instrument": "Cam", "id": detector, "full_name": f"{detector}"})
        common = {"instrument": "Cam", "physical_filter": "r", "day_obs": 20250101}
        for visit in VISITS:
            insert("visit", {**common, "id": visit, "name": f"V{visit}"})
        for name, dimensions, kind in (
            ("calexp", ("visit", "detector"), "StructuredDataDict"),
            ("visitSummary", ("visit",), "ArrowTable"),
            ("finalVisitSummary", ("visit",), "ArrowTable"),
        ):
            butler.registry.registerDatasetType(
                DatasetType(name, butler.dimensions.conform(dimensions), kind)
            )
        for run in ("new", "old"):
            butler.registry.registerRun(run)
        butler.registry.registerCollection("all", CollectionType.CHAINED)
        butler.registry.setCollectionChain("all", ["new", "old"])
        for visit in VISITS:
            for detector in DETECTORS:
                butler.put({}, "calexp", instrument="Cam", visit=visit, detector=detector, run="old")
        yield butler


def _summarize(butler: Butler, name: str, run: str, visit: int, seeing: float) -> None:
    table = pa.table({"detector": [*DETECTORS], "visit": [visit] * 2, "seeing": [seeing] * 2})
    key = {"instrument": "Cam", "visit": visit}
    if (ref := butler.find_dataset(name, key, collections=run)) is not None:
        butler.pruneDatasets([ref], disassociate=True, unstore=True, purge=True)
    butler.put(table, name, key, run=run)


def _resolutions(store: Path) -> dict[str, float | None]:
    with query_store(store, "SELECT obs_id, s_resolution FROM ivoa.ObsCore") as result:
        return {row["obs_id"]: row["s_resolution"] for batch in result.batches for row in batch.to_pylist()}


def test_update_brings_in_summaries(butler: Butler, tmp_path: Path) -> None:
    root, store, config = tmp_path / "repo", tmp_path / "s.store", tmp_path / "config.yaml"
    export_repository(root, store, config_path=config, label="lab")

    def update() -> int:
        _, changes = update_store(root, store)
        fresh = tmp_path / "fresh.store"
        export_repository(root, fresh, config_path=config, label="lab")
        assert _resolutions(store) == _resolutions(fresh)
        assert (changes.added, changes.removed, changes.kept) == (0, 0, 4 - changes.changed)
        assert not update_store(root, store)[1]
        return changes.changed

    assert update() == 0
    # One appears,
    _summarize(butler, "visitSummary", "old", 1, 0.5)
    assert update() == 2
    assert _resolutions(store) == {"1-0": 0.5, "1-1": 0.5, "2-0": None, "2-1": None}
    # is replaced,
    _summarize(butler, "visitSummary", "old", 1, 0.75)
    assert update() == 2
    assert _resolutions(store) == {"1-0": 0.75, "1-1": 0.75, "2-0": None, "2-1": None}
    # hides behind that of another run,
    _summarize(butler, "visitSummary", "new", 1, 1.0)
    assert update() == 2
    # and behind that of a better type;
    _summarize(butler, "finalVisitSummary", "old", 1, 1.25)
    assert update() == 2
    assert _resolutions(store) == {"1-0": 1.25, "1-1": 1.25, "2-0": None, "2-1": None}
    # then all are gone.
    for name in ("visitSummary", "finalVisitSummary"):
        refs = butler.query_datasets(name, "all", find_first=False)
        butler.pruneDatasets(refs, disassociate=True, unstore=True, purge=True)
    assert update() == 2
    assert set(_resolutions(store).values()) == {None}


def test_rows_of_references_have_the_fingerprints_of_an_export(butler: Butler) -> None:
    config = parse_obscore_config(yaml.safe_dump(CONFIG), "the test")

    def prints(batches: Iterator[pa.RecordBatch]) -> dict[bytes, int]:
        return {row["_id"]: row["_print"] for batch in batches for row in batch.to_pylist()}

    # A query for records leaves out datasets without some.
    refs = [
        ref.expanded(butler.registry.expandDataId(ref.dataId))
        for ref in butler.query_datasets("calexp", "all")
    ]

    def made(**choice: Any) -> dict[bytes, int]:
        def sizes(uuids: Sequence[UUID]) -> Mapping[UUID, int]:
            return recorded_sizes(butler, uuids)

        return prints(rows_of_refs(refs, config, label="lab", sizes=sizes, **choice))

    without = prints(iter_rows(butler, config, label="lab"))
    # A quantum without summaries has nobody to ask.
    assert made() == without
    _summarize(butler, "visitSummary", "old", 1, 0.5)
    found = made(summaries=summaries_of_refs(butler, config, butler.query_datasets("visitSummary", "all")))
    assert found == prints(iter_rows(butler, config, label="lab"))
    assert sum(found[key] != without[key] for key in found) == 2
