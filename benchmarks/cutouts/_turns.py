"""All cut the same, in turns, and what comes out of it."""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lsst.dax.vo.soda import PixelBox

from ._cases import CASES, available
from ._floor import floor, touched_tiles, write_floor

FACTOR, EXTRA_MS = 1.5, 5.0
"""How near to the floor a cutout of three planes is to come, with this much more for everything else."""


class Times(NamedTuple):
    """Times of one case, seconds."""

    read: list[float]
    total: list[float]
    cpu: list[float]

    def format(self) -> tuple[str, str]:
        read, total = statistics.median(self.read) * 1e3, statistics.median(self.total) * 1e3
        return f"{read:,.2f}", f"{total:,.2f} ({min(self.cpu) * 1e3:,.2f})"


def measure(folder: Path, output: Path, layout: str, side: int, size: int, rounds: int) -> dict[str, Times]:
    """Let all cut the same square, in turns, after one round that does not count."""
    start = 0 if side == size else min(1000, size // 4)
    box = PixelBox(start, start + side - 1, start, start + side - 1)
    cases = available(CASES)
    results = {name: Times([], [], []) for name in ("floor", *(case.name for case in cases))}
    for turn in range(rounds + 1):
        for case in (None, *cases):
            path = folder / f"{layout}{case.suffix if case else '.fits'}"
            if case is None:
                touched_tiles(path, box)
            # Each begins without a file of another, whose pages it would get.
            for old in output.iterdir():
                old.unlink()
            began, cpu = time.perf_counter(), time.process_time()
            found = floor(path, box) if case is None else case.read(path, box)
            read = time.perf_counter()
            (write_floor if case is None else case.write)(found, output / "cutout.fits")
            del found
            ended, used = time.perf_counter(), time.process_time() - cpu
            if turn:
                times = results[case.name if case else "floor"]
                times.read.append(read - began)
                times.total.append(ended - began)
                times.cpu.append(used)
    return results


def format_results(results: dict[str, Times]) -> str:
    lowest = statistics.median(results["floor"].read)
    rows = [("what", "read", "read and write (of CPUs)", "times the floor")]
    for name, times in results.items():
        read, total = times.format()
        rows.append((name, read, total, f"{statistics.median(times.total) / lowest:,.1f}"))
    return format_table(rows)


def format_table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| "
        + " | ".join(
            word.ljust(width) if i == 0 else word.rjust(width)
            for i, (word, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in rows
    ]
    dashes = ["-" * width if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join([lines[0], "| " + " | ".join(dashes) + " |", *lines[1:]])


def judge(results: dict[str, Times]) -> str:
    """Say whether what is to be reached is reached."""
    ours = statistics.median(results["ours, MaskedImage"].total)
    peers = {
        name: statistics.median(times.total) for name, times in results.items() if not name.startswith("ours")
    }
    del peers["floor"]
    lowest, written = statistics.median(results["floor"].read), statistics.median(results["floor"].total)
    best = min(peers, key=peers.__getitem__)
    allowed = FACTOR * lowest + EXTRA_MS / 1e3
    return (
        f"Three planes, read and written: {peers[best] / ours:.1f} times as fast as the next, {best}; "
        f"{ours * 1e3:.2f} ms of {allowed * 1e3:.2f} ms allowed by the floor, and {ours / written:.1f} times "
        "the floor where that writes, too."
    )
