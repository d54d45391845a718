"""Datasets of a generated registry, in the form of its own tables."""

__all__ = ["fill"]

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from lsst.daf.butler import Butler, StorageClassFactory
from lsst.daf.butler.datastore.stored_file_info import StoredFileInfo
from lsst.daf.butler.registry import CollectionSummary

from ._counts import (
    BANDS,
    DETECTORS,
    GOVERNORS,
    INSTRUMENT,
    KINDS,
    PATCHES,
    SKYMAP,
    Counts,
    DatasetKind,
)
from ._overlaps import PixelFinder
from ._sky import Camera, Integers, Visits, polygon
from ._tables import BulkLoader, open_loader
from ._text import base64_column, hex_column, make_ids

_VISITS_AT_ONCE = 200
_ROWS_AT_ONCE = 100_000
_FITS_BLOCK = 2880
_FORMATTER = "lsst.obs.base.formatters.fitsExposure.FitsExposureFormatter"
# When the first dataset came in, and how many did in a millisecond.
_FIRST_MS = 1_700_000_000_000
_PER_MS = 20
_TAI_MINUS_UTC_NS = 37 * 10**9
# First byte of what sphgeom makes of a convex polygon; then come the corners.
_POLYGON = ord("p")

type _Columns = dict[str, pa.Array]


def fill(
    butler: Butler,
    counts: Counts,
    camera: Camera,
    visits: Visits,
    rng: np.random.Generator,
    *,
    overlaps: bool,
) -> None:
    """Insert regions of detectors, and all datasets.

    Parameters
    ----------
    butler
        A repository that knows dimensions, collections and dataset types.
    counts
        How many of what.
    camera, visits
        Where the instrument looked.
    rng
        Source of chance.
    overlaps
        Whether to insert what detectors overlap.
    """
    kinds = [kind for kind in KINDS if counts.datasets[kind.name]]
    tables = _Tables.find(butler, kinds)
    names = sorted({run for kind in kinds for run in kind.runs})
    keys = {run: _summarize(butler, run, [kind for kind in kinds if run in kind.runs]) for run in names}
    with open_loader(tables.engine, tables.all()) as loader:
        pairs = _choose_pairs(counts, rng)
        _insert_regions(loader, tables, camera, visits, pairs["raw"], butler if overlaps else None)
        # Numbers of datasets go on from kind to kind: they become times.
        number = 0
        for kind in kinds:
            if kind.name in pairs:
                chunks = _iter_images(kind, camera, visits, pairs[kind.name])
            else:
                chunks = _iter_coadds(kind, counts.datasets[kind.name])
            for run, columns, paths in chunks:
                size = len(paths)
                order = np.arange(number, number + size)
                number += size
                _insert_datasets(loader, tables, kind, keys[run], columns, paths, order, rng)


@dataclass(frozen=True, slots=True)
class _Tables:
    """Tables of a registry, and what it calls things in them."""

    engine: Any
    regions: Any
    pixels: Any
    dataset: Any
    location: Any
    records: Any
    tags: dict[str, Any]
    types: dict[str, int]
    run_column: str
    collection_column: str
    datastore: str

    @classmethod
    def find(cls, butler: Butler, kinds: Sequence[DatasetKind]) -> "_Tables":
        internals: Any = butler
        managers = internals._registry._managers
        datasets, dimensions = managers.datasets, managers.dimensions
        storages = {kind.name: datasets._find_storage(kind.name) for kind in kinds}
        return cls(
            engine=internals._registry._db._engine,
            regions=dimensions._tables["visit_detector_region"],
            pixels=dimensions._overlap_tables["visit_detector_region"][1],
            dataset=datasets._static.dataset,
            location=managers.datastores._tables.dataset_location,
            records=managers.opaque.get(internals._datastore._opaque_table_name)._table,
            tags={name: datasets._get_tags_table(found.dynamic_tables) for name, found in storages.items()},
            types={name: found.dataset_type_id for name, found in storages.items()},
            run_column=datasets._run_key_column,
            collection_column=managers.collections.getCollectionForeignKeyName(),
            datastore=internals._datastore.name,
        )

    def all(self) -> list[Any]:
        """Return each table once."""
        tables = [self.regions, self.pixels, self.dataset, self.location, self.records, *self.tags.values()]
        return list({table.name: table for table in tables}.values())


def _summarize(butler: Butler, run: str, kinds: Sequence[DatasetKind]) -> int:
    """Tell the registry what a run will hold; return what it is called there."""
    internals: Any = butler
    managers = internals._registry._managers
    record = managers.collections.find(run)
    dimensions = {name for kind in kinds for name in butler.dimensions.conform(kind.dimensions).governors}
    summary = CollectionSummary()
    summary.governors.update({name: {GOVERNORS[name]} for name in dimensions})
    types = [managers.datasets._find_storage(kind.name).dataset_type_id for kind in kinds]
    managers.datasets._summaries.update(record, types, summary)
    key: int = record.key
    return key


def _choose_pairs(counts: Counts, rng: np.random.Generator) -> dict[str, Integers]:
    """Choose which detectors of which visits have raw images, and so on."""
    pairs: Integers = np.arange(counts.visits * DETECTORS)
    chosen: dict[str, Integers] = {}
    for kind in KINDS:
        if "detector" in kind.dimensions:
            pairs = np.sort(rng.choice(pairs, counts.datasets[kind.name], replace=False, shuffle=False))
            chosen[kind.name] = pairs
    return chosen


def _insert_regions(
    loader: BulkLoader,
    tables: _Tables,
    camera: Camera,
    visits: Visits,
    pairs: Integers,
    butler: Butler | None,
) -> None:
    if butler is not None:
        system = butler.dimensions.commonSkyPix
        pixelization: Any = system.pixelization
        finder = PixelFinder(pixelization)
        touched = [finder.pixels_of(polygon(outline)) for outline in camera.outlines(visits.frames)]
    for first in range(0, len(visits.ids), _VISITS_AT_ONCE):
        begin, end = np.searchsorted(pairs, [first * DETECTORS, (first + _VISITS_AT_ONCE) * DETECTORS])
        index, detectors = np.divmod(pairs[begin:end], DETECTORS)
        corners = camera.corners(visits.frames[index], detectors)
        encoded = np.empty((len(index), 1 + corners[0].nbytes), np.uint8)
        encoded[:, 0] = _POLYGON
        encoded[:, 1:] = np.ascontiguousarray(corners, "<f8").view(np.uint8).reshape(len(index), -1)
        columns = {
            "instrument": _same(INSTRUMENT, len(index)),
            "detector": detectors,
            "visit": visits.ids[index],
        }
        loader.append(tables.regions, pa.table(columns | {"region": base64_column(encoded)}))
        if butler is None:
            continue
        lengths = np.array([len(touched[visit]) for visit in index.tolist()])
        owners, pixels = finder.find(
            corners,
            np.concatenate([touched[visit] for visit in index.tolist()]),
            np.concatenate([[0], np.cumsum(lengths)]),
        )
        size = len(owners)
        columns = {
            "skypix_system": _same(system.system.name, size),
            "skypix_level": pa.array(np.full(size, system.level)),
            "instrument": _same(INSTRUMENT, size),
            "detector": detectors[owners],
            "visit": visits.ids[index[owners]],
            "skypix_index": pixels,
        }
        loader.append(tables.pixels, pa.table(columns))


def _iter_images(
    kind: DatasetKind, camera: Camera, visits: Visits, pairs: Integers
) -> Iterator[tuple[str, _Columns, pa.Array]]:
    """Yield run, data IDs and paths of images of detectors."""
    dimension = kind.dimensions[0]
    middles = [
        f"/{kind.name}/{day}/{BANDS[band]}/{BANDS[band]}_sim/{number}/"
        f"{kind.name}_{INSTRUMENT}_{BANDS[band]}_{BANDS[band]}_sim_{number}_"
        for day, band, number in zip(
            visits.days.tolist(), visits.bands.tolist(), visits.ids.tolist(), strict=True
        )
    ]
    before = pa.array(middles)
    after = pa.array(["_".join(name) for name in camera.names])
    for run, part in zip(kind.runs, np.array_split(pairs, len(kind.runs)), strict=True):
        for rows in _slices(part):
            index, detectors = np.divmod(rows, DETECTORS)
            columns = {
                "instrument": _same(INSTRUMENT, len(rows)),
                "detector": pa.array(detectors),
                dimension: pa.array(visits.ids[index]),
            }
            yield run, columns, _paths(run, before.take(pa.array(index)), after.take(pa.array(detectors)))


def _iter_coadds(kind: DatasetKind, size: int) -> Iterator[tuple[str, _Columns, pa.Array]]:
    """Yield run, data IDs and paths of images of patches."""
    (run,) = kind.runs
    bands = pa.array(list(BANDS))
    for rows in _slices(np.arange(size)):
        places, band = np.divmod(rows, len(BANDS))
        tracts, patches = np.divmod(places, PATCHES**2)
        columns = {
            "band": bands.take(pa.array(band)),
            "skymap": _same(SKYMAP, len(rows)),
            "tract": pa.array(tracts),
            "patch": pa.array(patches),
        }
        tract, patch = (columns[name].cast(pa.string()) for name in ("tract", "patch"))
        join = pc.binary_join_element_wise
        before = join(f"/{kind.name}", tract, patch, columns["band"], f"{kind.name}_", "/")
        yield run, columns, _paths(run, before, join(tract, patch, columns["band"], "_"))


def _slices(rows: Integers) -> Iterator[Integers]:
    return (rows[first : first + _ROWS_AT_ONCE] for first in range(0, len(rows), _ROWS_AT_ONCE))


def _paths(run: str, before: pa.Array, after: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(run, before, after, f"_{run.replace('/', '_')}.fits", "")


def _insert_datasets(
    loader: BulkLoader,
    tables: _Tables,
    kind: DatasetKind,
    run_key: int,
    columns: _Columns,
    paths: pa.Array,
    order: Integers,
    rng: np.random.Generator,
) -> None:
    size = len(paths)
    milliseconds = _FIRST_MS + order // _PER_MS
    ids = hex_column(make_ids(milliseconds, order % _PER_MS, rng))
    types = pa.array(np.full(size, tables.types[kind.name]))
    runs = pa.array(np.full(size, run_key))
    loader.append(
        tables.dataset,
        pa.table(
            {
                "id": ids,
                "dataset_type_id": types,
                "ingest_date": milliseconds * 10**6 + _TAI_MINUS_UTC_NS,
                tables.run_column: runs,
            }
        ),
    )
    keys = {"dataset_type_id": types, "dataset_id": ids, tables.collection_column: runs}
    loader.append(tables.tags[kind.name], pa.table(keys | columns))
    place = _same(tables.datastore, size)
    loader.append(tables.location, pa.table({"datastore_name": place, "dataset_id": ids}))
    sizes = rng.normal(kind.megabytes, 0.04 * kind.megabytes, size).clip(1) * 1e6 // _FITS_BLOCK * _FITS_BLOCK
    blank = StoredFileInfo(
        formatter=_FORMATTER,
        path="",
        storageClass=StorageClassFactory().getStorageClass(kind.storage_class),
        component=None,
        checksum=None,
        file_size=0,
    ).to_record()
    values = {name: _same(value, size) for name, value in blank.items() if value is not None}
    values |= {"dataset_id": ids, "path": paths, "file_size": sizes.astype(np.int64)}
    loader.append(tables.records, pa.table(values))


def _same(value: str | int, size: int) -> pa.Array:
    return pa.repeat(value, size)
