"""The rows that tasks make of references, and how tables are put together."""

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

pytest.importorskip("lsst.pipe.base", reason="the tasks need the extra 'pipelines'")

from lsst.daf.butler import Butler, DataCoordinate, DatasetRef
from lsst.pipe.base import NoWorkFound

from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.obscore import ExportChoice, iter_rows, parse_obscore_config
from lsst.dax.vo.repo import recorded_sizes
from lsst.dax.vo.services import consolidate_tables, query_store
from lsst.dax.vo.store import open_store, parse_store
from lsst.dax.vo.tasks import (
    ConsolidateObsCoreConfig,
    ConsolidateObsCoreConnections,
    ConsolidateObsCoreTask,
    ExportObsCoreConfig,
    ExportObsCoreConnections,
    ExportObsCoreTask,
)

type Refs = dict[str, list[DatasetRef]]

STORAGE_CLASSES = dict.fromkeys(("raw", "calexp", "deepCoadd"), "StructuredDataDict")


def configure(obscore: str, quantum: str = "visit", **fields: Any) -> ExportObsCoreConfig:
    config = ExportObsCoreConfig()
    config.update(obscore=obscore, quantum=quantum, storage_classes=STORAGE_CLASSES)
    config.update(**fields)
    return config


def export(
    obscore: str, refs: list[DatasetRef], butler: Butler, label: str = "test", **inputs: Any
) -> pa.Table:
    task = ExportObsCoreTask(config=configure(obscore, label=label))
    sizes = lambda uuids: recorded_sizes(butler, uuids)  # noqa: E731
    table: pa.Table = task.run(refs=refs, sizes=sizes, **inputs).table
    return table


def visit_of(butler: Butler) -> list[DataCoordinate]:
    """Return the data IDs of the visit and of its two detectors that have a region."""
    expand = butler.registry.expandDataId
    visit = {"instrument": "Cam", "visit": 5}
    return [expand(visit), *(expand(visit, detector=detector) for detector in (1, 2))]


def raws_of(refs: Refs, exposure: int) -> list[DatasetRef]:
    return [ref for ref in refs["raw"] if ref.dataId["exposure"] == exposure]


@pytest.fixture(scope="module")
def parts(task_butler: Butler, refs: Refs, obscore: str) -> list[pa.Table]:
    return [
        export(obscore, refs["calexp"], task_butler),
        export(obscore, raws_of(refs, 5), task_butler, visits=visit_of(task_butler)),
        export(obscore, raws_of(refs, 6), task_butler),
        export(obscore, refs["deepCoadd"], task_butler),
    ]


@pytest.fixture(scope="module")
def exported(task_butler: Butler, obscore: str) -> pa.Table:
    """Return the rows that an export makes, with hidden columns."""
    config = parse_obscore_config(obscore, "the test")
    rows = list(iter_rows(task_butler, config, ExportChoice(collections=["run"]), label="test"))
    schema = pa.schema(
        [
            (field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
            for field in rows[0].schema
        ]
    )
    return pa.Table.from_batches([batch.cast(schema) for batch in rows])


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.to_pylist(), key=lambda row: str(row["obs_publisher_did"]))


def test_parts_hold_what_an_export_makes(parts: list[pa.Table], exported: pa.Table) -> None:
    # Hidden columns, too.
    assert rows_of(pa.concat_tables(parts)) == rows_of(exported)
    regions = {(row["obs_id"], row["lsst_detector"]): row["s_region"] for row in rows_of(exported)}
    assert len(regions) == 6 + 2 + 1
    # No visit, and a detector of a visit without a region.
    missing = {("E6", 1), ("E6", 2), ("E6", 3), ("E5", 3)}
    assert {key for key, region in regions.items() if region is None} == missing


def test_sizes_are_left_out_where_nobody_knows_them(refs: Refs, obscore: str) -> None:
    table = ExportObsCoreTask(config=configure(obscore)).run(refs=refs["calexp"]).table
    assert table["access_estsize"].to_pylist() == [None, None]


def test_nothing_makes_an_empty_table(obscore: str, parts: list[pa.Table]) -> None:
    table = ExportObsCoreTask(config=configure(obscore)).run(refs=[]).table
    assert (table.num_rows, table.schema) == (0, parts[0].schema)


def test_data_ids_without_records_are_refused(task_butler: Butler, obscore: str) -> None:
    refs = task_butler.query_datasets("calexp", "run", with_dimension_records=False)
    with pytest.raises(UsageError) as caught:
        ExportObsCoreTask(config=configure(obscore)).run(refs=refs)
    assert "of calexp" in str(caught.value)
    assert "has no dimension records; give references with expanded data IDs" in str(caught.value)


def test_consolidated_table_has_the_public_columns_along_the_sky(
    parts: list[pa.Table], exported: pa.Table
) -> None:
    table = ConsolidateObsCoreTask(config=ConsolidateObsCoreConfig()).run(tables=parts).table
    public = [name for name in exported.schema.names if not name.startswith("_")]
    assert table.schema.names == public
    assert rows_of(table) == rows_of(exported.select(public))
    assert [row["s_region"] is None for row in table.to_pylist()] == [False] * 5 + [True] * 4
    assert b"IVOA.VOTable-Parquet.content" in table.schema.metadata


def test_dataset_in_two_tables_counts_once(parts: list[pa.Table]) -> None:
    table = consolidate_tables([parts[0], *parts, parts[3]])
    assert table.num_rows == 9


@pytest.mark.parametrize("rows", [1, 3, 50_000])
def test_dataset_twice_in_one_table_counts_once(
    parts: list[pa.Table], exported: pa.Table, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsst.dax.vo.services._tables._GROUP_ROWS", rows)
    twice = pa.concat_tables([parts[0], parts[0].slice(1)])
    table = consolidate_tables([twice, *parts[1:], twice, parts[1].slice(0, 0)])
    assert rows_of(table) == rows_of(exported.select(table.schema.names))


def test_store_of_all_parts_has_formats_of_few(
    parts: list[pa.Table], exported: pa.Table, tmp_path: Path
) -> None:
    store = str(tmp_path / "test.store")
    consolidate_tables(parts, store=store)
    names = ["obs_publisher_did", "access_url", "obs_id", "s_region"]
    with query_store(store, f"SELECT {', '.join(names)} FROM ivoa.ObsCore") as result:
        found = pa.Table.from_batches(result.batches)
    assert rows_of(found) == rows_of(exported.select(names))
    (database,) = (tmp_path / "test.store").glob("*.duckdb")
    with duckdb.connect(database, read_only=True) as connection:
        ((count,),) = connection.execute(
            "SELECT count(DISTINCT _format_obs_publisher_did) FROM obscore"
        ).fetchall()
    assert count == 1


def test_consolidation_writes_a_store(parts: list[pa.Table], tmp_path: Path) -> None:
    config = ConsolidateObsCoreConfig()
    config.store = str(tmp_path / "test.store")
    ConsolidateObsCoreTask(config=config).run(tables=parts)
    told = open_store(parse_store(config.store)).properties
    assert (told["rows"], told["label"]) == ("9", "test")


def test_failing_consolidation_leaves_no_store(parts: list[pa.Table], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="A table is no part of an ObsCore table"):
        consolidate_tables([*parts, pa.table({"x": [1]})], store=str(tmp_path / "test.store"))
    assert list(tmp_path.iterdir()) == []


def test_no_tables_are_refused() -> None:
    with pytest.raises(UsageError, match="There are no tables to put together; run the exporting tasks"):
        consolidate_tables([])


def test_tables_of_two_configurations_are_refused(
    parts: list[pa.Table], refs: Refs, obscore: str, task_butler: Butler
) -> None:
    other = export(obscore.replace("TEST", "OTHER"), refs["calexp"], task_butler)
    with pytest.raises(UsageError, match="The tables were exported with different configurations; export"):
        consolidate_tables([*parts, other])
    other = export(obscore, refs["calexp"], task_butler, label="other")
    with pytest.raises(UsageError, match="The tables were exported with different labels; export all"):
        consolidate_tables([*parts, other])


def test_store_needs_a_label(refs: Refs, obscore: str, task_butler: Butler, tmp_path: Path) -> None:
    table = export(obscore, refs["calexp"], task_butler, label="")
    assert consolidate_tables([table]).num_rows == 2
    with pytest.raises(UsageError, match="The tables were exported without a label, and a store tells"):
        consolidate_tables([table], store=str(tmp_path / "test.store"))


def test_quantum_without_datasets_is_no_work(task_butler: Butler, obscore: str) -> None:
    connections = ExportObsCoreConnections(config=configure(obscore))
    inputs = {name: (getattr(connections, name), ()) for name in connections.prerequisiteInputs}
    data_id = visit_of(task_butler)[0]
    with pytest.raises(NoWorkFound, match=r"mine has nothing to export for .*visit: 5"):
        connections.adjustQuantum(inputs, {}, "mine", data_id)


def test_consolidation_without_tables_is_an_error(task_butler: Butler) -> None:
    connections = ConsolidateObsCoreConnections(config=ConsolidateObsCoreConfig())
    inputs = {name: (getattr(connections, name), ()) for name in connections.prerequisiteInputs}
    data_id = DataCoordinate.make_empty(task_butler.dimensions)
    with pytest.raises(FileNotFoundError, match=r"mine finds no tables .*; run the exporting tasks first"):
        connections.adjustQuantum(inputs, {}, "mine", data_id)
