"""What datasets cover, from their rows in the ObsCore table."""

from __future__ import annotations

__all__ = ["StoreCoverage"]

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from lsst.sphgeom import Angle, Circle, ConvexPolygon, LonLat, Region, UnitVector3d

from ..datalink import Coverage
from ..query import Engine, Identified, Search, plan_search
from ..repo import Dataset, Memory
from ..soda import Extent
from ._identifiers import PublisherDids

_DID = "obs_publisher_did"
_COLUMNS = (_DID, "em_min", "em_max", "t_min", "t_max", "pol_states", "s_region")
# Identifiers of one search: each is several texts.
_AT_ONCE = 200


class StoreCoverage:
    """Where, at which wavelengths and when datasets are.

    Parameters
    ----------
    engine
        Holds the rows.
    dids
        Tells what a dataset may be called there.
    remember_s
        Seconds for which a row is remembered.
    """

    def __init__(self, engine: Engine, dids: PublisherDids, *, remember_s: float = 0) -> None:
        self._engine = engine
        self._dids = dids
        self._memory: Memory[UUID, Coverage] = Memory(remember_s)

    def __call__(self, datasets: Sequence[Dataset]) -> dict[UUID, Coverage]:
        """Look for rows.

        Parameters
        ----------
        datasets
            The datasets.

        Returns
        -------
        coverages : `dict` [`uuid.UUID`, `~lsst.dax.vo.datalink.Coverage`]
            Of those that have a row.

        Raises
        ------
        TransientError
            Raised if the store cannot be read.
        """
        found = self._memory.recall(dataset.uuid for dataset in datasets)
        missing = [dataset for dataset in datasets if dataset.uuid not in found]
        for start in range(0, len(missing), _AT_ONCE):
            some = dict(self._search(missing[start : start + _AT_ONCE]))
            self._memory.keep(some)
            found |= some
        return found

    def extents(self, datasets: Sequence[Dataset]) -> Mapping[str, Extent]:
        """Look for wavelengths, times and polarization alone.

        Parameters
        ----------
        datasets
            The datasets.

        Returns
        -------
        extents : `~collections.abc.Mapping` [`str`, `~lsst.dax.vo.soda.Extent`]
            By dataset id, of those that have a row.

        Raises
        ------
        TransientError
            Raised if the store cannot be read.
        """
        return {
            str(uuid): coverage.extent
            for uuid, coverage in self(datasets).items()
            if coverage.extent is not None
        }

    def _search(self, datasets: Sequence[Dataset]) -> Iterator[tuple[UUID, Coverage]]:
        owners = {
            text.lower(): dataset.uuid
            for dataset in datasets
            for text in self._dids.expand(dataset.butler_uri)
        }
        search = Search(_COLUMNS, (Identified(_DID, tuple(owners)),))
        for batch in self._engine.run(plan_search(search, self._engine.catalog), maxrec=None).batches:
            for row in batch.to_pylist():
                owner = owners.get(row[_DID].lower())
                if owner is not None:
                    yield owner, _coverage_of(row)


def _coverage_of(row: Mapping[str, Any]) -> Coverage:
    states = tuple(filter(None, (row["pol_states"] or "").split("/")))
    extent = Extent(row["em_min"], row["em_max"], row["t_min"], row["t_max"], states or None)
    return Coverage(_region_of(row["s_region"]), extent)


def _region_of(text: str | None) -> Region | None:
    # As exporters write it: six decimals, which suffice for limits.  Of a
    # polygon the hull is enough, too, and takes a tenth of the time that it
    # takes to find out whether it crosses itself.
    shape, _, rest = (text or "").partition(" ICRS ")
    try:
        numbers = [float(word) for word in rest.split()]
        if not all(map(math.isfinite, numbers)):
            return None
        points = [
            UnitVector3d(LonLat.fromDegrees(*pair)) for pair in zip(numbers[::2], numbers[1::2], strict=False)
        ]
        match shape.upper():
            case "POLYGON" if len(numbers) % 2 == 0:
                return ConvexPolygon(points)
            case "CIRCLE" if len(numbers) == 3 and numbers[2] >= 0:
                return Circle(points[0], Angle.fromDegrees(numbers[2]))
    except (ValueError, RuntimeError):
        # A table of others may hold anything.
        return None
    return None
