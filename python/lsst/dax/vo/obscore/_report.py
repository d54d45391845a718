"""What an export did."""

from __future__ import annotations

__all__ = ["ExportReport"]

from dataclasses import dataclass, field


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

    seconds: float = 0.0
    """Time from the first row asked for to the last one made."""

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
        if any(self.without_region.values()):
            counts = ", ".join(f"{count:,} {name}" for name, count in self.without_region.items() if count)
            lines.append(f"without a region on the sky: {counts}")
        if self.not_registered:
            lines.append(f"not in this repository: {', '.join(self.not_registered)}")
        return "\n".join(lines)
