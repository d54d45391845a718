"""Fingerprints: the same for the same dataset, whoever reads it and whatever is beside it."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from lsst.daf.butler import Butler, DimensionUniverse

from lsst.dax.vo.obscore import parse_obscore_config
from lsst.dax.vo.obscore._schema import columns_of
from lsst.dax.vo.obscore.rows import _fingerprints
from lsst.dax.vo.obscore.rows import _maker as _rows
from lsst.dax.vo.obscore.rows._chunk import Chunk, Coded
from lsst.dax.vo.obscore.rows._fingerprints import Fingerprints, hash_values
from lsst.dax.vo.obscore.rows._maker import RowMaker

KIND = {"dataproduct_type": "image", "calib_level": 1}


def make_chunk(
    detectors: Sequence[int], regions: pa.Array | None = None, records: dict[str, Coded] | None = None
) -> Chunk:
    size = len(detectors)
    return Chunk(
        dataset_type="raw",
        ids=b"".join(number.to_bytes(16) for number in detectors),
        run=Coded.of(["run"] * size),
        dimensions={"detector": Coded.of(detectors)},
        records=records or {},
        regions=pa.nulls(size, pa.binary()) if regions is None else regions,
        times_ns=(pa.nulls(size, pa.int64()), pa.nulls(size, pa.int64())),
        sizes=pa.nulls(size, pa.int64()),
    )


def maker_of(**more: Any) -> RowMaker:
    text = yaml.safe_dump({"dataset_types": {"raw": KIND}} | more)
    config = parse_obscore_config(text, "the test")
    return RowMaker(config, "raw", columns_of(config), "label")


def prints_of(**more: Any) -> list[int]:
    prints: list[int] = maker_of(**more).fingerprints(make_chunk([1, 2])).to_pylist()
    return prints


def test_readers_and_batches_make_no_difference(
    odd: Butler, config: dict[str, Any], export: Callable[..., Any]
) -> None:
    found = []
    for reader, size in product(["bulk", "public"], [1, 4, 10_000]):
        rows, _ = export(odd, config | {"batch_size": size}, reader=reader)
        found.append({row["_id"]: row["_print"] for row in rows})
    assert all(prints == found[0] for prints in found)
    assert len(set(found[0].values())) == len(found[0]) > 20


@pytest.mark.parametrize("beside", [6, "None", "text", -1, 2**63])
def test_hash_of_a_value_does_not_depend_on_its_neighbours(beside: Any) -> None:
    for value in (5, -7, "g", None):
        alone = hash_values(Coded(np.array([0]), [value]))
        pair = hash_values(Coded(np.array([1, 0, 1]), [beside, value]))
        assert pair[0] == pair[2] == alone[0]
        assert pair[1] != pair[0]


def test_damaged_region_is_not_a_missing_one() -> None:
    regions = pa.array([None, b"", b"\0"], pa.binary())
    plain = maker_of().fingerprints(make_chunk([1, 1, 1], regions)).to_pylist()
    assert len(set(plain)) == 3
    shared = maker_of().fingerprints(make_chunk([1, 1, 1], regions.dictionary_encode())).to_pylist()
    assert shared == plain
    for row, value in enumerate(regions.to_pylist()):
        alone = make_chunk([1], pa.array([value], pa.binary()))
        assert maker_of().fingerprints(alone).to_pylist() == [plain[row]]


def test_hashes_of_few_records_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fingerprints, "_MOST_RECORDS", 10)
    make = DimensionUniverse()["detector"].RecordClass
    records = [make(instrument="Cam", id=number, full_name=f"D{number}") for number in range(50)]
    fingerprints = Fingerprints("seed")

    def prints(first: int) -> list[int]:
        numbers = range(first, first + 5)
        some = Coded(np.arange(5), [records[number] for number in numbers])
        found: list[int] = fingerprints.of(make_chunk(numbers, records={"detector": some})).to_pylist()
        assert sum(map(len, fingerprints._records.values())) <= 15
        return found

    once = [prints(first) for first in range(0, 50, 5)]
    assert [prints(first) for first in range(0, 50, 5)] == once
    assert len({word for words in once for word in words}) == 50


def test_rows_have_the_fingerprints_that_are_told_beforehand() -> None:
    chunk, maker = make_chunk([1, 2, 3]), maker_of()
    also = [np.array([0, 7, 2**64 - 1], np.uint64)]
    prints = maker.fingerprints(chunk, also)
    assert maker.make(chunk, None, also)["_print"].equals(prints)
    assert maker.make(chunk)["_print"].equals(maker.fingerprints(chunk))
    same = np.asarray(prints) == np.asarray(maker.fingerprints(chunk))
    # 0 is nothing, as where nobody was asked.
    assert same.tolist() == [True, False, False]


@pytest.mark.parametrize(
    "choice",
    [
        {"csv_null_string": "-"},
        {"parquet_compression": "gzip"},
        {"batch_size": 3},
        {"collections": ["elsewhere"]},
        {"origin": {"publisher": "Somebody"}},
        {"dataset_types": {"raw": KIND, "other": KIND}},
    ],
)
def test_what_no_row_shows_changes_none(choice: dict[str, Any]) -> None:
    assert prints_of(**choice) == prints_of()


@pytest.mark.parametrize(
    "choice",
    [
        {"facility_name": "Somewhere"},
        {"access_estsize": False},
        {"dataset_types": {"raw": KIND | {"calib_level": 2}}},
    ],
)
def test_what_rows_show_changes_all(choice: dict[str, Any]) -> None:
    assert not set(prints_of(**choice)) & set(prints_of())


def test_another_way_to_make_rows_changes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    before = prints_of()
    monkeypatch.setattr(_rows, "_ROWS", _rows._ROWS + 1)
    assert not set(prints_of()) & set(before)
