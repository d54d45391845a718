"""The products of a job as its results."""

from __future__ import annotations

__all__ = ["JobContext", "write_results"]

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from ..errors import UsageError, VoError
from ._cache import SpooledCutout
from ._plan import PlannedProduct
from ._result import Cutout
from ._runner import Delivery, Outcome


class JobContext(Protocol):
    """The way of a job to its results, as `lsst.dax.vo.uws.JobContext` has it."""

    def open_result(self, result_id: str, media_type: str) -> AbstractContextManager[BinaryIO]:
        """Write a result."""

    def link_result(self, result_id: str, media_type: str, path: Path) -> bool:
        """Make a result of a file that is there."""


def write_results(
    outcomes: Iterator[tuple[PlannedProduct, Outcome]],
    context: JobContext,
    *,
    count: int,
    describe_error: Callable[[Exception], tuple[str, str]],
) -> None:
    """Write each product as a result of its own.

    Parameters
    ----------
    outcomes
        The products and what became of them; cutouts are closed.
    context
        Where results go: ``cutout``, or ``cutout-1``, ``cutout-2``, … in the
        order of the products.  One that has no pixels, or has failed, is a
        text that says so.
    count
        Number of products.
    describe_error
        From an error to the media type of that text, and the text.

    Raises
    ------
    VoError
        Raised in the end if all products have failed: the first reason.

    References
    ----------
    SODA 1.0, 5.2: every product is a result.
    """
    failures: dict[int, VoError] = {}
    for product, outcome in outcomes:
        name = "cutout" if count == 1 else f"cutout-{product.label(count)}"
        if isinstance(outcome, Cutout | SpooledCutout):
            _write_cutout(context, name, outcome)
            continue
        error: VoError
        if outcome is None:
            error = UsageError("No pixel is left of the image; ask for another place or interval")
        else:
            error = outcome
            failures[product.number] = outcome
        media_type, text = describe_error(error)
        with context.open_result(name, media_type) as stream:
            stream.write(f"{text} ({product.describe()})\n".encode())
    if len(failures) == count:
        raise failures[min(failures)]


def _write_cutout(context: JobContext, name: str, cutout: Delivery) -> None:
    # The same file under another name, which lives as long as the job.
    path = cutout.path if isinstance(cutout, SpooledCutout) else None
    if path is not None and context.link_result(name, cutout.media_type, path):
        cutout.close()
        return
    with context.open_result(name, cutout.media_type) as stream:
        for chunk in cutout.chunks():
            stream.write(chunk)
