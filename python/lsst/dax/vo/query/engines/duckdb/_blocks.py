"""Where in a store regions are: the bounds of each stretch of rows.

The rows lie along the sky, so that a shape meets the regions of few stretches.
DuckDB rules out its row groups by itself where a query has constants; it
cannot where each row of another table has a shape of its own.
"""

from __future__ import annotations

__all__ = ["BLOCK_ROWS", "STORE_ROWS", "Blocks"]

from collections.abc import Iterator

import duckdb
import numpy as np
import pyarrow as pa

from ...lowering._hidden import HIDDEN_ENDINGS

type Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
type Ints = np.ndarray[tuple[int], np.dtype[np.int64]]

BLOCK_ROWS = 2048
"""Rows of a stretch: what DuckDB takes at a time."""

STORE_ROWS = BLOCK_ROWS << 36
"""What the numbers of rows of one store lie behind those of the one before."""

# Shapes times stretches: what a cache holds.
_MOST_PAIRS = 500_000


class Blocks:
    """Bounds of the regions of all stretches.

    Parameters
    ----------
    cursor
        Of an instance that has the tables.
    count
        How many stores there are.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, count: int) -> None:
        names = [f"_{ending}" for ending in HIDDEN_ENDINGS[1:]]
        bounds = [f"{'min' if name.endswith('0') else 'max'}({name}) AS {name}" for name in names]
        parts = [
            f"SELECT rowid // {BLOCK_ROWS} + {number * STORE_ROWS // BLOCK_ROWS} AS block, "
            f"{', '.join(bounds)} FROM s{number}.obscore GROUP BY block"
            for number in range(count)
        ]
        found: pa.Table = cursor.sql(" UNION ALL ".join(parts)).to_arrow_table()
        self._numbers: Ints = found["block"].to_numpy()
        # NaN, where a stretch has no regions, meets nothing.
        columns = [found[name].to_numpy(zero_copy_only=False) for name in names]
        self._low: Floats = np.stack(columns[:3], axis=1)
        self._high: Floats = np.stack(columns[3:], axis=1)

    def find(self, low: Floats, high: Floats) -> tuple[Ints, Ints]:
        """Find the stretches that may hold what meets shapes.

        Parameters
        ----------
        low, high
            Bounds of the shapes, shape ``(n, 3)``; NaN for none.

        Returns
        -------
        shapes : `numpy.ndarray`
            Index of a shape; as often as there are stretches for it.
        blocks : `numpy.ndarray`
            Number of the stretch.
        """
        pairs = list(self._iter_pairs(low, high))
        shapes, places = (
            np.concatenate([pair[side] for pair in pairs] or [np.zeros(0, np.int64)]) for side in (0, 1)
        )
        return shapes, self._numbers[places]

    def _iter_pairs(self, low: Floats, high: Floats) -> Iterator[tuple[Ints, Ints]]:
        step = max(1, _MOST_PAIRS // max(len(self._numbers), 1))
        for start in range(0, len(low), step):
            part = slice(start, start + step)
            meets = np.ones((len(low[part]), len(self._numbers)), np.bool_)
            for axis in range(3):
                meets &= low[part, None, axis] <= self._high[None, :, axis]
                meets &= high[part, None, axis] >= self._low[None, :, axis]
            shapes, places = np.nonzero(meets)
            yield shapes + start, places
