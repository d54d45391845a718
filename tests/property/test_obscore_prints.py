"""Fingerprints of datasets depend on nothing but the dataset."""

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from lsst.daf.butler import DimensionUniverse

from lsst.dax.vo.obscore.rows._chunk import Chunk, Coded
from lsst.dax.vo.obscore.rows._fingerprints import Fingerprints

Row = tuple[Any, ...]

_DETECTOR = DimensionUniverse()["detector"].RecordClass
NUMBERS = st.none() | st.integers(-1, 3) | st.integers(-(2**63), 2**63 - 1)
SIZES = st.none() | st.integers(0, 2**40)
ROWS = st.tuples(
    st.sampled_from(["run", "other"]),
    NUMBERS,
    st.none() | st.text(max_size=2),
    st.none() | st.integers(0, 3),
    st.none() | st.binary(max_size=2) | st.binary(min_size=8, max_size=17),
    SIZES,
    SIZES,
    SIZES,
    st.just(0) | st.integers(0, 2**64 - 1),
)


def _make(rows: list[Row], *, shared: bool) -> tuple[Chunk, list[Any]]:
    runs, numbers, texts, records, regions, begins, ends, sizes, also = zip(*rows, strict=True)
    encoded = pa.array(regions, pa.binary())
    known = Coded.of(list(records))
    chunk = Chunk(
        dataset_type="raw",
        ids=bytes(16 * len(rows)),
        run=Coded.of(list(runs)),
        dimensions={"visit": Coded.of(list(numbers)), "band": Coded.of(list(texts))},
        records={"detector": Coded(known.codes, [_record(number) for number in known.values])},
        regions=encoded.dictionary_encode() if shared else encoded,
        times_ns=(pa.array(begins, pa.int64()), pa.array(ends, pa.int64())),
        sizes=pa.array(sizes, pa.int64()),
    )
    return chunk, [np.array(also, np.uint64)]


def _record(number: int | None) -> Any:
    return None if number is None else _DETECTOR(instrument="Cam", id=number, full_name=f"D{number}")


@given(st.lists(ROWS, min_size=1, max_size=8), st.data())
def test_cutting_and_choosing_change_nothing(rows: list[Row], data: st.DataObject) -> None:
    whole, also = _make(rows, shared=data.draw(st.booleans()))
    prints = Fingerprints("seed").of(whole, also).to_pylist()
    # Equal where all is equal, and there alone.
    assert len(set(prints)) == len(set(rows))
    cuts = sorted({0, len(rows), *data.draw(st.lists(st.integers(0, len(rows)), max_size=3))})
    fingerprints, found = Fingerprints("seed"), []
    for first, last in pairwise(cuts):
        part, more = _make(rows[first:last], shared=data.draw(st.booleans()))
        found += fingerprints.of(part, more).to_pylist()
    assert found == prints
    chosen = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8)), np.int64)
    taken = fingerprints.of(whole.take(chosen), [words[chosen] for words in also]).to_pylist()
    assert taken == [prints[index] for index in chosen]
