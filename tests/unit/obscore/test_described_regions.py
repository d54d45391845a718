"""Regions are fetched and described once, and kept in a file."""

import gc
import itertools
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from lsst.daf.butler import Butler
from lsst.sphgeom import Angle, Box, Circle, ConvexPolygon, LonLat, Region, UnionRegion, UnitVector3d

from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.obscore import ExportChoice, iter_rows, parse_obscore_config
from lsst.dax.vo.obscore._collector import spared_collector
from lsst.dax.vo.obscore._config import Where
from lsst.dax.vo.obscore.readers import _described
from lsst.dax.vo.obscore.readers._keys import SortedKeys
from lsst.dax.vo.obscore.readers._pages import Search
from lsst.dax.vo.obscore.readers._reader import Reader
from lsst.dax.vo.obscore.readers._region_file import DESCRIBED, RegionFile
from lsst.dax.vo.obscore.rows._fingerprints import hash_binaries
from lsst.dax.vo.obscore.rows._regions import describe_regions
from lsst.dax.vo.sample import build_registry

READERS = ["bulk", "public"]
GENERATED = (resources.files("lsst.dax.vo.sample") / "obscore" / "registry.yaml").read_text()


def polygon(ra_deg: float, corners: int) -> bytes:
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    points = [LonLat.fromDegrees(ra_deg + np.cos(angle), np.sin(angle)) for angle in angles]
    return bytes(ConvexPolygon([UnitVector3d(point) for point in points]).encode())


CIRCLE = Circle(UnitVector3d(1, 0, 0), Angle(0.1))
ENCODED: list[bytes | None] = [
    *(polygon(ra_deg, 4) for ra_deg in (0, 9, 10, 123.456, 359)),
    None,
    b"",
    b"nonsense",
    polygon(77, 4)[:-1],
    polygon(5, 3),
    bytes(CIRCLE.encode()),
    bytes(Circle.empty().encode()),
    bytes(Box.full().encode()),
    bytes(UnionRegion(CIRCLE, Region.decode(polygon(2, 7))).encode()),
    polygon(6, 7),
]


def assert_describes(found: pa.Array, encoded: list[bytes | None]) -> None:
    found.validate(full=True)
    assert found.type == DESCRIBED
    column = pa.array(encoded, pa.binary())
    wanted, damaged = describe_regions(column)
    columns = dict(zip(found.type.names, found.flatten(), strict=True))
    for name, values in wanted.items():
        assert columns[name].equals(values), name
    assert np.array_equal(columns["_print"].to_numpy(), hash_binaries(column))
    assert np.flatnonzero(columns["_damaged"].to_numpy(zero_copy_only=False)).tolist() == damaged.tolist()


@pytest.mark.parametrize("size", [1, 3, 100])
def test_what_is_kept_is_what_was_found(size: int) -> None:
    file = RegionFile()
    places = np.concatenate(
        [file.append(pa.array(block, pa.binary())) for block in itertools.batched(ENCODED, size)]
    )
    order = [*range(len(ENCODED)), 3, 3, 0, *reversed(range(len(ENCODED)))]
    assert_describes(file.take(places[order]), [ENCODED[place] for place in order])
    for place, encoded in zip(places, ENCODED, strict=True):
        assert_describes(file.take(np.array([place])), [encoded])
    assert file.take(places[:0]).equals(pa.array([], DESCRIBED))


def test_nothing_is_kept_yet() -> None:
    assert RegionFile().take(np.empty(0, np.int64)).equals(pa.array([], DESCRIBED))


def test_folder_of_temporary_files_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "there is none"))
    with pytest.raises(UsageError, match=r"there is none cannot be written: .*; name a larger one in TMPDIR"):
        RegionFile().append(pa.array(ENCODED, pa.binary()))


def test_sorted_keys() -> None:
    """Many additions of any size, with as many finds."""
    rng = np.random.default_rng(3)
    every = rng.permutation(5000).astype(np.uint64)
    keys, known = SortedKeys(), 0
    while known < len(every):
        block = every[known : known + int(rng.integers(0, 200))]
        keys.add((block, block + np.uint64(7)), block.astype(np.int64) * 3)
        known += len(block)
        places = np.full(len(every), -1)
        for rows, (more,) in keys.find((every, every + np.uint64(7))):
            assert (places[rows] == -1).all()
            places[rows] = more
        assert np.array_equal(places[:known], every[:known].astype(np.int64) * 3)
        assert (places[known:] == -1).all()
    # Half of a key is none.
    assert list(keys.find((every, every))) == []


@pytest.fixture
def appended(monkeypatch: pytest.MonkeyPatch) -> Counter[bytes]:
    """Count what is described."""
    found: Counter[bytes] = Counter()

    class Counting(RegionFile):
        def append(self, encoded: pa.Array) -> np.ndarray:
            found.update(encoded.to_pylist())
            return super().append(encoded)

    monkeypatch.setattr(_described, "RegionFile", Counting)
    return found


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Butler]:
    root = tmp_path_factory.mktemp("generated") / "repo"
    build_registry(root, datasets=3000)
    with Butler.from_config(str(root)) as butler:
        yield butler


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("size", [150, 20_000])
@pytest.mark.parametrize("backwards", [False, True])
def test_regions_of_three_dataset_types_are_described_once(
    generated: Butler, appended: Counter[bytes], reader: Any, size: int, backwards: bool
) -> None:
    settings = yaml.safe_load(GENERATED) | {"batch_size": size, "access_estsize": False}
    kinds = settings["dataset_types"]
    settings["dataset_types"] = dict(reversed(kinds.items())) if backwards else kinds
    config = parse_obscore_config(yaml.safe_dump(settings, sort_keys=False), "the test")
    rows = [
        (row["dataproduct_subtype"], row["_region"])
        for batch in iter_rows(generated, config, ExportChoice(reader=reader), label="x")
        for row in batch.to_pylist()
    ]
    assert len(rows) == 3000
    shared = Counter(region for _, region in rows)
    assert max(shared.values()) >= 3
    # The regions of the repository differ, so that each stands for its record.
    assert set(shared) <= set(appended)
    assert set(appended.values()) == {1}
    records = generated.query_dimension_records("visit_detector_region", explain=False, limit=None)
    patches = generated.query_dimension_records("patch", explain=False, limit=None)
    assert len(appended) <= len(records) + len(patches)


@pytest.mark.parametrize("reader", READERS)
def test_only_what_is_wanted_is_fetched(generated: Butler, appended: Counter[bytes], reader: Any) -> None:
    """Not all detectors of each visit, where one of them is exported."""
    config = parse_obscore_config(GENERATED, "the test").model_copy(update={"access_estsize": False})
    choice = ExportChoice(
        reader=reader, dataset_types=["raw"], where="instrument = 'SimCam' AND detector = 5"
    )
    rows = sum(batch.num_rows for batch in iter_rows(generated, config, choice, label="x"))
    assert 0 < rows == appended.total()


@pytest.mark.parametrize("reader", READERS)
def test_nothing_waits_for_the_collector(generated: Butler, reader: Any) -> None:
    """Connections and the file are closed when the reader goes."""
    made = Reader(generated, page_size=100, sizes=False, pages=reader)
    search = Search(generated.get_dataset_type("raw"), ("survey/raw",), Where())
    assert sum(chunk.size for chunk in made.iter_chunks(search, set()))
    known = weakref.ref(made)
    gc.disable()
    try:
        del made
        assert known() is None
    finally:
        gc.enable()


class TestSparedCollector:
    def test_all_is_as_before(self) -> None:
        assert gc.get_freeze_count() == 0
        with spared_collector():
            assert gc.get_freeze_count() > 0
            with spared_collector():
                assert gc.get_freeze_count() > 0
            assert gc.get_freeze_count() > 0
        assert gc.get_freeze_count() == 0

    def test_after_an_error(self) -> None:
        with pytest.raises(KeyError), spared_collector():
            raise KeyError
        assert gc.get_freeze_count() == 0

    def test_where_it_is_off(self) -> None:
        gc.disable()
        try:
            with spared_collector():
                assert gc.get_freeze_count() == 0
        finally:
            gc.enable()

    def test_an_export_that_is_given_up(self, odd: Butler, config: dict[str, Any]) -> None:
        parsed = parse_obscore_config(yaml.safe_dump(config | {"batch_size": 1}), "the test")
        with closing(iter_rows(odd, parsed, label="x")) as batches:
            next(batches)
            assert gc.get_freeze_count() > 0
        assert gc.get_freeze_count() == 0
