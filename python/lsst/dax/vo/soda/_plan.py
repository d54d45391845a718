"""From a request to the work that answers it, ordered by files."""

from __future__ import annotations

__all__ = ["Locate", "PlannedProduct", "plan_cutouts", "run_planned"]

import datetime as dt
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from ..dali import Hangup
from ..errors import VoError
from ._cache import SpooledCutout
from ._provenance import Provenance
from ._region import format_region
from ._request import CutoutRequest, Product
from ._result import Cutout
from ._runner import CutoutRunner, Outcome
from ._source import CutoutSource
from ._work import CutoutWork, ImageFile

type Locate = Callable[[Sequence[str], bool], Sequence[CutoutSource | VoError]]
"""From identifiers, as clients send them, to what is cut, or why there is
nothing; the second argument tells whether extents are needed."""

# Red, green and blue.
_COLORS = 3


@dataclass(frozen=True, slots=True)
class PlannedProduct:
    """One product of a request."""

    number: int
    """Its place among all of them, from 0."""

    ids: tuple[str, ...]
    """Its datasets, as sent: one, or three of a picture in colour."""

    product: Product
    """What is cut."""

    def label(self, count: int) -> str:
        """Return its place as people count, in digits.

        Parameters
        ----------
        count
            Number of products of the request.

        Returns
        -------
        label : `str`
            From 1, with as many digits as ``count`` has, so that labels are
            in order as texts.
        """
        return f"{self.number + 1:0{len(str(count))}d}"

    def describe(self) -> str:
        """Say what it is, in the words of the request.

        Returns
        -------
        text : `str`
            For example ``ID=… CIRCLE 55.7 -32.3 0.01``.
        """
        item = self.product
        words = [f"ID={one}" for one in self.ids]
        if item.region is not None:
            words.append(format_region(item.region))
        words += [
            f"{name} {interval.low!r} {interval.high!r}"
            for name, interval in (("BAND", item.band), ("TIME", item.time))
            if interval is not None
        ]
        words += [f"POL {state}" for state in item.pols]
        return " ".join(words)


def plan_cutouts(request: CutoutRequest) -> list[PlannedProduct]:
    """List the products of a request.

    Parameters
    ----------
    request
        The request.

    Returns
    -------
    products : `list` [`PlannedProduct`]
        In their order.  Of pictures of three datasets each has all three:
        they are its red, green and blue.
    """
    if not is_color(request):
        return [PlannedProduct(number, (item.id,), item) for number, item in enumerate(request.products())]
    one = replace(request, ids=request.ids[:1])
    return [PlannedProduct(number, request.ids, item) for number, item in enumerate(one.products())]


def is_color(request: CutoutRequest) -> bool:
    """Tell whether the datasets of a request are colours of one picture.

    Parameters
    ----------
    request
        The request.

    Returns
    -------
    is_color : `bool`
    """
    return request.form.is_picture and len(request.ids) == _COLORS


def run_planned(
    products: Sequence[PlannedProduct],
    request: CutoutRequest,
    *,
    locate: Locate,
    runner: CutoutRunner,
    version: str,
    time_s: float,
    max_pixels: int | None,
    hangup: Hangup,
    background: bool = False,
) -> Generator[tuple[PlannedProduct, Outcome]]:
    """Cut the products of a request, one file after the other.

    Parameters
    ----------
    products
        The products.
    request
        The request that they are of.
    locate
        Finds what is cut.
    runner
        Cuts.
    version
        Version of the software, for the headers.
    time_s
        Seconds since 1970, for the headers.
    max_pixels
        Most pixels of one plane.
    hangup
        Tells when nobody waits any more.
    background
        Whether they belong to a job.

    Yields
    ------
    product : `PlannedProduct`
        Each product once; those of one file together.
    outcome : `Outcome`
        What became of it; a cutout is the caller's, to be closed.

    Raises
    ------
    TransientError
        Raised if they cannot be cut now, or nobody waits any more.
    """
    needs_extent = bool(request.bands or request.times or request.pols)
    found = dict(zip(request.ids, locate(request.ids, needs_extent), strict=True))
    groups: dict[tuple[str, ...], list[PlannedProduct]] = defaultdict(list)
    for item in products:
        groups[item.ids].append(item)
    works: list[tuple[CutoutWork, list[PlannedProduct]]] = []
    for ids, members in groups.items():
        sources = [found[one] for one in ids]
        errors = [source for source in sources if isinstance(source, VoError)]
        if errors:
            for item in members:
                yield item, errors[0]
            continue
        files = tuple(
            _to_file(source, version, time_s) for source in sources if isinstance(source, CutoutSource)
        )
        work = CutoutWork(
            files,
            tuple(item.product for item in members),
            request.detail,
            request.outside,
            request.form.member,
            request.picture,
            max_pixels,
        )
        works.append((work, members))
    if runner.width == 1 or len(works) <= 1:
        for work, members in works:
            yield from zip(members, runner.run(work, hangup, background=background), strict=True)
    else:
        yield from _run_together(works, runner, hangup, background=background)


def _to_file(source: CutoutSource, version: str, time_s: float) -> ImageFile:
    provenance = Provenance(
        dt.datetime.fromtimestamp(time_s, dt.UTC),
        version,
        source.dataset_id,
        source.dataset_type,
        source.data_id,
    )
    key = None if source.dataset_id is None else str(source.dataset_id)
    return ImageFile(
        str(source.uri), key, provenance, source.extent, source.hdu, source.backend, source.is_raw
    )


def _run_together(
    works: Sequence[tuple[CutoutWork, list[PlannedProduct]]],
    runner: CutoutRunner,
    hangup: Hangup,
    *,
    background: bool,
) -> Iterator[tuple[PlannedProduct, Outcome]]:
    """Run several works at once; what is done first comes first."""
    done: queue.Queue[tuple[PlannedProduct, Outcome] | BaseException | None] = queue.Queue(runner.width)
    is_over = threading.Event()

    def run(work: CutoutWork, members: list[PlannedProduct]) -> None:
        try:
            if not is_over.is_set():
                for pair in zip(members, runner.run(work, hangup, background=background), strict=True):
                    put(pair)
        except BaseException as err:  # raised by the reader
            put(err)
        finally:
            put(None)

    def put(item: tuple[PlannedProduct, Outcome] | BaseException | None) -> None:
        while not is_over.is_set():
            try:
                done.put(item, timeout=0.25)
            except queue.Full:
                continue
            return
        _close(item)

    with ThreadPoolExecutor(runner.width, thread_name_prefix="cutouts") as threads:
        try:
            for work, members in works:
                threads.submit(run, work, members)
            left = len(works)
            while left:
                item = done.get()
                if item is None:
                    left -= 1
                elif isinstance(item, BaseException):
                    raise item
                else:
                    yield item
        finally:
            is_over.set()
            while not done.empty():
                _close(done.get())


def _close(item: tuple[PlannedProduct, Outcome] | BaseException | None) -> None:
    if isinstance(item, tuple) and isinstance(item[1], Cutout | SpooledCutout):
        item[1].close()
