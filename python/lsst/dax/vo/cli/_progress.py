"""How an export shows that it goes on."""

__all__ = ["watched"]

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..obscore import ExportReport, Watch

_LOG = logging.getLogger(__name__)
# Between lines of a log, where nobody looks at a bar.
_SECONDS = 10.0


@contextmanager
def watched(shown: bool | None) -> Iterator[Watch | None]:
    """Show the progress of an export.

    Parameters
    ----------
    shown
        `True` for a bar with rate and time left, `False` for nothing; by
        default the bar on a terminal, elsewhere a line in the log from time
        to time.

    Yields
    ------
    watch : `~lsst.dax.vo.obscore.Watch` or `None`
        Shows it.
    """
    console = Console(stderr=True)
    if shown is False:
        yield None
    elif shown or console.is_terminal:
        with _bar(console) as progress:
            task = progress.add_task("counting", total=None, rate="")
            yield Watch(
                lambda report: progress.update(
                    task,
                    description=_kind(report),
                    total=report.expected,
                    completed=report.looked_at,
                    rate=f"{_rate(report):,.0f}/s",
                ),
                count=True,
            )
    else:
        yield Watch(_Lines())


class _Lines:
    """Writes a line from time to time."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, report: ExportReport) -> None:
        now = time.monotonic()
        if now - self._last < _SECONDS:
            return
        self._last = now
        _LOG.info(
            "%s: %s datasets (%s/s)",
            _kind(report),
            f"{report.looked_at:,}",
            f"{_rate(report):,.0f}",
        )


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def _kind(report: ExportReport) -> str:
    return next((name for name, count in reversed(report.rows.items()) if count), "")


def _rate(report: ExportReport) -> float:
    return report.looked_at / report.seconds if report.seconds > 0 else 0.0
