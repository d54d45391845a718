"""Summaries of visits, read from their files when rows ask for them.

The files are read as they are, without the Butler's formatters: those of
``lsst.afw`` catalogs come with the full stack alone.
"""

from __future__ import annotations

__all__ = ["RefSummaries", "Summaries", "VisitSummaries"]

import io
import logging
import re
import warnings
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import batched
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from lsst.daf.butler import Butler, DatasetRef, DatasetType, LimitedButler, MissingDatasetTypeError
from lsst.resources import ResourcePath

from ...errors import UsageError, VoError
from ...repo import recorded_uris
from ..rows._chunk import Coded
from ..rows._fingerprints import Words, hash_bytes
from ..rows._summaries import SUMMARY_COLUMNS, Floats, Integers, SummaryRows, merge_summaries, parse_summary
from ._pages import registry_errors

_LOG = logging.getLogger(__name__)

# Visits that are kept: 200 detectors of one take 6 kB.  Those of one page are
# kept in any case.
_MOST_VISITS = 2_000
_VALUES_PER_QUERY = 500
# The table is the first thing in a catalog's file; models of the PSF, which
# may take a hundred megabytes, come after it.
_HEAD_BYTES = 2 << 20
# Object stores answer many at once.
_THREADS = 8
# FITS 4.0, 3.1 and 4.4.1: blocks of 2880 bytes, cards of 80; the last is END.
_BLOCK = 2880
_END = re.compile(rb"END {77}(?: {80})*$")
_NO_DATA = b"NAXIS   =                    0"
_MOST_TOLD = 5
_DIMENSIONS = frozenset({"visit", "instrument"})
# What summaries tell about.
_NEEDED = frozenset({"instrument", "visit", "detector"})

type _Key = tuple[str, int | None]
"""Instrument, and visit where each has its own summary."""


@dataclass(slots=True)
class _Entry:
    """What one dataset type has about a visit, or about all of an instrument."""

    ids: bytes
    """UUIDs of the datasets, ascending."""

    refs: Sequence[DatasetRef]
    """The datasets, until they are read."""

    rows: SummaryRows | None = None
    """What they say, once they are read."""


@dataclass(slots=True)
class _Kind:
    """One dataset type of summaries, and what was found of it."""

    type: DatasetType
    entries: OrderedDict[_Key, _Entry]

    def keys_of(self, instrument: str, visits: Iterable[int]) -> list[_Key]:
        by_visit = "visit" in self.type.dimensions
        return [(instrument, visit if by_visit else None) for visit in visits]


class Summaries(ABC):
    """Looks up what summaries say about detectors of visits.

    Parameters
    ----------
    butler
        Knows where the files are; used by one thread at a time.
    kinds
        Dataset types of the summaries; the first that has a detector counts.
    """

    def __init__(self, butler: LimitedButler, kinds: Iterable[DatasetType]) -> None:
        self._files = butler
        self._kinds = [_Kind(kind, OrderedDict()) for kind in kinds]
        self.unreadable = 0
        """How many summaries could not be read; their rows are NULL."""

    def lookup(self, dimensions: Mapping[str, Coded]) -> dict[str, pa.Array]:
        """Look up what the summaries say about images of detectors.

        Parameters
        ----------
        dimensions
            Dimensions of the images.

        Returns
        -------
        columns : `dict` [`str`, `pyarrow.Array`]
            ``s_xel1``, ``s_xel2`` and ``s_resolution`` (arcseconds), one
            value for each image; NULL where no summary knows it.  Empty if
            the images are not of detectors of visits.
        """
        if not dimensions.keys() >= _NEEDED:
            return {}
        visits, detectors = (_values_of(dimensions[name]) for name in ("visit", "detector"))
        keys = SummaryRows.keys_of(visits, detectors)
        width, height = np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int64)
        fwhm_arcsec = np.full(len(keys), np.nan)
        for instrument, places in _by_value(dimensions["instrument"]):
            for kind in self._kinds:
                table = self._table(kind, instrument, np.unique(visits[places]).tolist())
                rows, there = table.find(keys[places])
                rows, found, places = rows[there], places[there], places[~there]
                width[found], height[found] = table.columns[rows], table.rows[rows]
                fwhm_arcsec[found] = table.fwhm_arcsec[rows]
                if not len(places):
                    break
        return _to_arrow(width, height, fwhm_arcsec)

    def prints(self, dimensions: Mapping[str, Coded]) -> tuple[Words, ...]:
        """Tell which summaries `lookup` consults, without reading any.

        Parameters
        ----------
        dimensions
            Dimensions of the images.

        Returns
        -------
        prints : `tuple` [`numpy.ndarray` [`uint64`]]
            For each image a hash of the ids of the summaries of its visit,
            the best dataset type first; 0 where there is none.  Empty if the
            images are not of detectors of visits.
        """
        if not dimensions.keys() >= _NEEDED:
            return ()
        visits = _values_of(dimensions["visit"])
        words: Words = np.zeros(len(visits), np.uint64)
        for instrument, places in _by_value(dimensions["instrument"]):
            numbers, codes = np.unique(visits[places], return_inverse=True)
            ids = [b""] * len(numbers)
            for kind in self._kinds:
                keys = kind.keys_of(instrument, numbers.tolist())
                entries = self._find(kind, keys)
                ids = [known + entries[key].ids for known, key in zip(ids, keys, strict=True)]
            words[places] = np.array([hash_bytes(item) if item else 0 for item in ids], np.uint64)[codes]
        return (words,)

    @abstractmethod
    def _query(
        self, kind: DatasetType, instrument: str, visits: Iterable[int] | None
    ) -> list[DatasetRef]: ...

    def _table(self, kind: _Kind, instrument: str, visits: Sequence[int]) -> SummaryRows:
        entries = self._find(kind, kind.keys_of(instrument, visits)).values()
        unread = [entry for entry in entries if entry.rows is None]
        for block in batched(unread, _VALUES_PER_QUERY):
            read = self._read(kind.type.name, [ref for entry in block for ref in entry.refs])
            for entry in block:
                entry.rows = merge_summaries([rows for ref in entry.refs if (rows := read[ref]) is not None])
                entry.refs = ()
        return merge_summaries([entry.rows for entry in entries if entry.rows is not None])

    def _find(self, kind: _Kind, keys: Iterable[_Key]) -> dict[_Key, _Entry]:
        """Return what there is of one instrument, with one query for many visits."""
        wanted = dict.fromkeys(keys)
        known = kind.entries
        for block in batched([key for key in wanted if key not in known], _VALUES_PER_QUERY):
            instrument = block[0][0]
            visits = [visit for _, visit in block if visit is not None]
            refs: dict[_Key, list[DatasetRef]] = {key: [] for key in block}
            with registry_errors(kind.type.name):
                found = self._query(kind.type, instrument, visits or None)
            for ref in sorted(found, key=lambda ref: ref.id):
                visit = ref.dataId.get("visit") if visits else None
                refs[instrument, None if visit is None else int(visit)].append(ref)
            known.update(
                (key, _Entry(b"".join(ref.id.bytes for ref in some), some)) for key, some in refs.items()
            )
        for key in wanted:
            known.move_to_end(key)
        while len(known) > max(_MOST_VISITS, len(wanted)):
            known.popitem(last=False)
        return {key: known[key] for key in wanted}

    def _read(self, name: str, refs: Sequence[DatasetRef]) -> dict[DatasetRef, SummaryRows | None]:
        if not refs:
            return {}
        uris = recorded_uris(self._files, refs)
        todo = [(ref, _uri_of(uris, ref)) for ref in refs]
        # For all threads at once: the filters are the process's.
        with warnings.catch_warnings(), ThreadPoolExecutor(_THREADS) as pool:
            warnings.simplefilter("ignore", AstropyWarning)
            loaded = list(pool.map(_try_to_load, todo))
        found: dict[DatasetRef, SummaryRows | None] = {}
        for ref, rows in zip(refs, loaded, strict=True):
            if isinstance(rows, VoError):
                self._tell(name, ref, rows)
                found[ref] = None
            else:
                found[ref] = rows
        return found

    def _tell(self, name: str, ref: DatasetRef, error: VoError) -> None:
        self.unreadable += 1
        if self.unreadable <= _MOST_TOLD:
            more = "; further ones are only counted" if self.unreadable == _MOST_TOLD else ""
            _LOG.warning(
                "%s %s cannot be read, its rows get no s_resolution: %s%s", name, ref.id, error, more
            )


class VisitSummaries(Summaries):
    """Looks up what the summaries of a repository say.

    Parameters
    ----------
    butler
        The repository; used by one thread at a time.
    names
        Dataset types of the summaries: of one visit each, or of all visits
        of an instrument.  The first that has a detector counts.  One that
        the repository does not have tells nothing.
    collections
        Collections, searched in order.
    """

    def __init__(self, butler: Butler, names: Sequence[str], collections: Sequence[str]) -> None:
        super().__init__(butler, _registered(butler, names))
        self._butler = butler
        self._collections = list(collections)

    def _query(self, kind: DatasetType, instrument: str, visits: Iterable[int] | None) -> list[DatasetRef]:
        with self._butler.query() as query:
            x = query.expression_factory
            constraints = [] if visits is None else [x.visit.in_iterable(list(visits))]
            if constraints or "instrument" in kind.dimensions:
                query = query.where(*constraints, instrument=instrument)
            return list(query.datasets(kind, self._collections, find_first=True))


class RefSummaries(Summaries):
    """Looks up what summaries say that somebody else has found.

    Parameters
    ----------
    butler
        Knows where the files are; needs no registry.
    names
        Dataset types of the summaries, the best first.
    refs
        Their references.
    """

    def __init__(self, butler: LimitedButler, names: Sequence[str], refs: Sequence[DatasetRef]) -> None:
        kinds = {ref.datasetType.name: ref.datasetType for ref in refs}
        super().__init__(butler, [kinds[name] for name in names if name in kinds])
        self._refs = refs

    def _query(self, kind: DatasetType, instrument: str, visits: Iterable[int] | None) -> list[DatasetRef]:
        wanted = None if visits is None else set(visits)
        return [
            ref
            for ref in self._refs
            if ref.datasetType == kind
            and ref.dataId["instrument"] == instrument
            and (wanted is None or ref.dataId["visit"] in wanted)
        ]


def _registered(butler: Butler, names: Sequence[str]) -> Iterator[DatasetType]:
    for name in names:
        try:
            kind = butler.get_dataset_type(name)
        except MissingDatasetTypeError:
            continue
        if not kind.dimensions.names & _DIMENSIONS and kind.dimensions.required:
            raise UsageError(
                f"visit_summary: {name!r} is neither of visits nor of instruments, but of "
                f"{', '.join(kind.dimensions.required)}; name a type such as 'visit_summary'"
            )
        yield kind


def _values_of(column: Coded) -> Integers:
    values: Integers = np.array(column.values, np.int64)[column.codes]
    return values


def _by_value(column: Coded) -> Iterator[tuple[Any, Integers]]:
    """Yield each value, and the numbers of the rows that have it."""
    for code, value in enumerate(column.values):
        places = np.flatnonzero(column.codes == code)
        if len(places):
            yield value, places


def _uri_of(uris: Mapping[DatasetRef, Any], ref: DatasetRef) -> ResourcePath | None:
    found = uris.get(ref)
    return None if found is None else found.primaryURI


def _try_to_load(item: tuple[DatasetRef, ResourcePath | None]) -> SummaryRows | VoError:
    ref, uri = item
    if uri is None:
        return UsageError("it has no file")
    try:
        with uri.open("rb") as stream:
            visit = ref.dataId.get("visit")
            return parse_summary(_columns_of(stream), None if visit is None else int(visit))
    except VoError as err:
        return err
    except Exception as err:  # Damaged files make readers raise anything.
        reason = " ".join(str(err).split())[:200]
        return UsageError(f"{type(err).__name__}: {reason}" if reason else type(err).__name__)


def _columns_of(stream: Any) -> dict[str, Any]:
    head = stream.read(_HEAD_BYTES)
    if head.startswith(b"SIMPLE"):
        try:
            return _columns_of_fits(head)
        except Exception:
            if len(head) < _HEAD_BYTES:
                raise
            return _columns_of_fits(head + stream.read())
    if head.startswith((b"PAR1", b"ARROW1")):
        return _columns_of_arrow(head + stream.read())
    raise UsageError("it is neither FITS nor Parquet nor Arrow")


def _columns_of_fits(content: bytes) -> dict[str, Any]:
    start = _end_of_header(content, 0)
    end = _end_of_header(content, start)
    layout = _layout_of(content[start:end]) if _NO_DATA in content[:start] else None
    if layout is None:
        # Whatever else FITS allows.
        with fits.open(io.BytesIO(content), memmap=False, lazy_load_hdus=True) as hdus:
            names = SUMMARY_COLUMNS.intersection(hdus[1].columns.names)
            return {name: np.array(hdus[1].data[name]) for name in names}
    dtype, rows = layout
    table = np.frombuffer(content, dtype, rows, end)
    return {name: table[name] for name in SUMMARY_COLUMNS.intersection(dtype.names or ())}


def _end_of_header(content: bytes, start: int) -> int:
    for end in range(start + _BLOCK, len(content) + 1, _BLOCK):
        if _END.search(content, end - _BLOCK, end):
            return end
    raise ValueError("a header has no end")


# The catalogs of a repository have all the same columns: to understand them
# takes ten times as long as to read them.
@lru_cache(32)
def _layout_of(header: bytes) -> tuple[np.dtype[Any], int] | None:
    """Return the type and number of the rows of a table, if they are stored as they are."""
    hdu = fits.BinTableHDU.fromstring(header)
    scaled = any(column.bscale or column.bzero for column in hdu.columns)
    if scaled:
        return None
    return hdu.columns.dtype.newbyteorder(">"), int(hdu.header["NAXIS2"])


def _columns_of_arrow(content: bytes) -> dict[str, Any]:
    source = pa.BufferReader(content)
    if content.startswith(b"PAR1"):
        file = pyarrow.parquet.ParquetFile(source)
        table = file.read(columns=sorted(SUMMARY_COLUMNS.intersection(file.schema_arrow.names)))
    else:
        table = pyarrow.feather.read_table(source)
        table = table.select(sorted(SUMMARY_COLUMNS.intersection(table.column_names)))
    # Corners are lists here; a table that has lists has a scale as well.
    return {
        field.name: table[field.name].to_numpy()
        for field in table.schema
        if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    }


def _to_arrow(width: Integers, height: Integers, fwhm_arcsec: Floats) -> dict[str, pa.Array]:
    return {
        "s_xel1": pa.array(width, mask=width == 0),
        "s_xel2": pa.array(height, mask=height == 0),
        "s_resolution": pa.array(fwhm_arcsec, mask=np.isnan(fwhm_arcsec)),
    }
