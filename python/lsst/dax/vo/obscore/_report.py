"""What an export did."""

from __future__ import annotations

__all__ = ["ExportReport"]

from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(slots=True)
class ExportReport:
    """What an export did, counted while its rows go by."""

    rows: dict[str, int] = field(default_factory=dict)
    """Rows by dataset type."""

    without_region: dict[str, int] = field(default_factory=dict)
    """Rows without a region, by dataset type, of those types whose datasets
    lie on the sky."""

    not_registered: list[str] = field(default_factory=list)
    """Dataset types of the configuration that the repository does not have."""

    problems: list[str] = field(default_factory=list)
    """What was wrong with single rows, which have NULL for it."""

    unreadable_summaries: int = 0
    """Summaries of visits that could not be read."""

    empty_collections: list[str] = field(default_factory=list)
    """Collections that hold no dataset of these types."""

    looked_at: int = 0
    """Datasets of which it is known what they are; rows of finished parts
    included."""

    resumed: dict[str, int] = field(default_factory=dict)
    """Rows by dataset type that an earlier export had finished."""

    expected: int | None = None
    """How many rows there will be at most, if they were counted."""

    seconds: float = 0.0
    """Time from the first row asked for to the last one made."""

    def begin(self, name: str, *, on_the_sky: bool) -> None:
        """Begin to count the rows of a dataset type.

        Parameters
        ----------
        name
            Its name.
        on_the_sky
            Whether its datasets have regions.
        """
        self.rows[name] = 0
        if on_the_sky:
            self.without_region[name] = 0

    def count(self, name: str, batch: pa.RecordBatch, *, resumed: bool) -> None:
        """Count rows.

        Parameters
        ----------
        name
            Their dataset type.
        batch
            The rows.
        resumed
            Whether an earlier export had made them.
        """
        self.rows[name] += batch.num_rows
        if resumed:
            self.resumed[name] = self.resumed.get(name, 0) + batch.num_rows
            self.looked_at += batch.num_rows
        if name in self.without_region:
            self.without_region[name] += batch["_region"].null_count

    @property
    def total(self) -> int:
        """Number of rows."""
        return sum(self.rows.values())

    def describe(self, destination: str) -> str:
        """Say in a few lines what was done.

        Parameters
        ----------
        destination
            Where the rows went.

        Returns
        -------
        text : `str`
            For a person, without an end of line.
        """
        kinds = ", ".join(f"{count:,} {name}" for name, count in self.rows.items())
        rate = f" ({self.total / self.seconds:,.0f}/s)" if self.seconds > 0 and self.total else ""
        lines = [
            f"{self.total:,} rows in {self.seconds:.1f} s{rate} to {destination}"
            + (f": {kinds}" if kinds else "")
        ]
        return "\n".join([*lines, *self.remarks()])

    def remarks(self) -> list[str]:
        """Say what a person may want to look at.

        Returns
        -------
        lines : `list` [`str`]
        """
        lines = []
        if any(self.without_region.values()):
            counts = ", ".join(f"{count:,} {name}" for name, count in self.without_region.items() if count)
            lines.append(f"without a region on the sky: {counts}")
        if self.not_registered:
            lines.append(f"not in this repository: {', '.join(self.not_registered)}")
        if self.empty_collections:
            lines.append(f"no such datasets in: {', '.join(self.empty_collections)}")
        if self.resumed:
            counts = ", ".join(f"{count:,} {name}" for name, count in self.resumed.items())
            lines.append(f"taken from finished parts: {counts}")
        if self.unreadable_summaries:
            lines.append(f"summaries of visits that could not be read: {self.unreadable_summaries:,}")
        return [*lines, *self.problems]
