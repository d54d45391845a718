"""The same files in an object store, with some way to it."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lsst.resources import ResourcePath

from lsst.dax.vo.soda import Detail, PixelBox
from lsst.dax.vo.soda.backends import open_image
from lsst.dax.vo.testing import RangeServer

from ._service import format_requests

LATENCY_MS = 20


def serve(folder: str, latency_s: float, pipe: Any) -> None:
    """Serve files, and tell of requests when asked."""
    server = RangeServer(Path(folder), latency_s=latency_s)
    with server.running():
        pipe.send(server.url)
        while pipe.recv() != "stop":
            pipe.send((len(server.requests), server.bytes_sent, server.most_at_once))
            server.clear()


@contextmanager
def serving(folder: Path, latency_s: float) -> Iterator[tuple[str, Callable[[], tuple[int, int, int]]]]:
    """Run the server in a process of its own, whose work is not ours."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(str(folder), latency_s, there), daemon=True)
    process.start()

    def report() -> tuple[int, int, int]:
        here.send("report")
        found: tuple[int, int, int] = here.recv()
        return found

    try:
        yield here.recv(), report
    finally:
        here.send("stop")
        process.join(10)


def measure_remote(
    url: str, report: Callable[[], tuple[int, int, int]], layout: str, side: int, size: int, rounds: int
) -> list[tuple[str, ...]]:
    """Cut cold and warm."""
    uri = ResourcePath(f"s3://bucket/{layout}.fits")
    found: dict[str, list[tuple[int, int, int, float]]] = {"cold": [], "warm": []}
    for turn in range(rounds):
        key = f"{layout} {side} {turn} {url}"
        for number, state in enumerate(found):
            start = (size // 4 + 300 * number + 37 * turn) % max(size - side, 1)
            box = PixelBox(start, start + side - 1, start, start + side - 1)
            report()
            began = time.perf_counter()
            with open_image(uri, key) as image:
                image.cut(box, Detail.EXPOSURE, ())
            took = time.perf_counter() - began
            found[state].append((*report(), took))
    return [format_requests(f"{layout}, {side}², {state}", values) for state, values in found.items()]
