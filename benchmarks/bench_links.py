"""Links and delivery over HTTP: beside nginx and ``python -m http.server``.

``bin/dax-vo bench links`` asks a running ``butler vo serve`` for the links of
one dataset, over and over, and of a thousand in one POST; then it fetches a
file of 100 MB, whole and by ranges of 64 kB, from that server, from nginx
where it is installed, and from ``python -m http.server``, in turn.  All are on
the same loopback and send the same file; the clients are the same code.
"""

from __future__ import annotations

import argparse
import http.client
import os
import platform
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import numpy as np
from _sentence import in_one_sentence
from astropy.io import fits
from lsst.daf.butler import Butler, DataCoordinate, DatasetRef, DatasetType, FileDataset

from lsst.dax.vo import __version__
from lsst.dax.vo.sample._tour_server import running_server

# The standard file of the comparison: 5,000 x 5,000 pixels of 4 bytes.
SIDE = 5_000
RANGE_BYTES = 2**16
DATASETS = 1_000
_FORMATTER = "lsst.daf.butler.formatters.file.FileFormatter"
_NGINX = """\
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; {user}
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; default_type application/fits;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


@dataclass
class Peer:
    """A server of the same file, and what was measured of it."""

    name: str
    url: str
    process_id: int
    whole_s: list[float] = field(default_factory=list)
    range_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(prog="dax-vo bench links", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="times that the file is fetched from each")
    parser.add_argument("--requests", type=int, default=1_000, help="requests for one dataset's links")
    parser.add_argument("--ranges", type=int, default=1_000, help="ranges of 64 kB from each")
    options = parser.parse_args()
    with (
        in_one_sentence("links"),
        tempfile.TemporaryDirectory(prefix="dax-vo-bench-") as name,
        ExitStack() as stack,
    ):
        folder = Path(name)
        repository, large, others = make_repository(folder / "archive")
        server = stack.enter_context(
            running_server([str(repository)], log=folder / "server.log", patience_s=120)
        )
        print(machine())
        print("\n| links | p50, ms | p99, ms |\n|---|---:|---:|")
        measure_links(server.base_url, large, others, options.requests)
        peers = [Peer("butler vo serve", signed_url(server.base_url, large), server.process_id)]
        path = repository / "run" / "large.fits"
        peers.append(stack.enter_context(running_python(path)))
        if nginx := shutil.which("nginx", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"):
            peers.append(stack.enter_context(running_nginx(nginx, path, folder)))
        else:
            print("nginx is not installed, and not compared", file=sys.stderr)
        measure_delivery(peers, path.stat().st_size, options.rounds, options.ranges)
        print_delivery(peers, path.stat().st_size)


def make_repository(root: Path) -> tuple[Path, UUID, list[UUID]]:
    """Make a repository with a file of 100 MB, and a thousand small ones."""
    Butler.makeRepo(str(root))
    (root / "run").mkdir()
    pixels = np.random.default_rng(1).standard_normal((SIDE, SIDE)).astype("f4")
    fits.HDUList([fits.PrimaryHDU(pixels)]).writeto(root / "run" / "large.fits")
    fits.HDUList([fits.PrimaryHDU(pixels[:10, :10])]).writeto(root / "run" / "small.fits")
    with Butler.from_config(str(root), run="run") as butler:
        registry = butler.registry
        registry.insertDimensionData(
            "skymap",
            {"name": "sky", "hash": b"1", "tract_max": 1, "patch_nx_max": 100, "patch_ny_max": 100},
        )
        registry.insertDimensionData("tract", {"skymap": "sky", "id": 0})
        registry.insertDimensionData(
            "patch",
            *(
                {"skymap": "sky", "tract": 0, "id": i, "cell_x": i % 100, "cell_y": i // 100}
                for i in range(DATASETS + 1)
            ),
        )
        kind = DatasetType(
            "deepCoadd_calexp", butler.dimensions.conform(["skymap", "tract", "patch"]), "ExposureF"
        )
        registry.registerDatasetType(kind)
        datasets = []
        for i in range(DATASETS + 1):
            path = root / "run" / ("large.fits" if i == 0 else f"{i}.fits")
            if i:
                shutil.copy(root / "run" / "small.fits", path)
            data_id = DataCoordinate.standardize(skymap="sky", tract=0, patch=i, universe=butler.dimensions)
            ref = DatasetRef(kind, data_id, run="run")
            datasets.append(FileDataset(path=str(path), refs=[ref], formatter=_FORMATTER))
        butler.ingest(*datasets, transfer=None)
    ids = [item.refs[0].id for item in datasets]
    return root, ids[0], ids[1:]


def signed_url(base_url: str, uuid: UUID) -> str:
    """Return the URL of a file, as a links document has it."""
    body = fetch(f"{base_url}/api/datalink/links?ID={uuid}")[1]
    found = re.search(rb"<TD>(http[^<]*/api/files/[^<]*)</TD>", body)
    assert found is not None
    return found[1].decode().replace("&amp;", "&")


def measure_links(base_url: str, one: UUID, others: Sequence[UUID], requests: int) -> None:
    """Print how long links take."""
    target = f"/api/datalink/links?ID={one}"
    times = timed(base_url, requests, lambda connection: connection.request("GET", target), b"#this")
    print_times("1 ID, the same", times)
    each = iter(random.Random(1).choices(others, k=requests + 1))
    times = timed(
        base_url,
        requests,
        lambda connection: connection.request("GET", f"/api/datalink/links?ID={next(each)}"),
        b"#this",
    )
    print_times("1 ID, another each time", times)
    body = urlencode([("ID", str(uuid)) for uuid in others])
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    times = timed(
        base_url,
        max(5, requests // 50),
        lambda connection: connection.request("POST", "/api/datalink/links", body, headers),
        b"#this",
    )
    print_times(f"{len(others):,} IDs in one POST", times)


def timed(
    url: str, count: int, ask: Callable[[http.client.HTTPConnection], None], expected: bytes
) -> list[float]:
    """Ask many times over one connection; the first is not counted."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    times = []
    for _ in range(count + 1):
        begin = time.perf_counter()
        ask(connection)
        answer = connection.getresponse()
        body = answer.read()
        times.append(time.perf_counter() - begin)
        if answer.status != 200 or expected not in body:
            raise RuntimeError(f"HTTP status {answer.status}: {body[:200]!r}")
    connection.close()
    return sorted(times[1:])


def measure_delivery(peers: Sequence[Peer], size_bytes: int, rounds: int, ranges: int) -> None:
    """Fetch the file from each in turn, so that what else the machine does meets all."""
    for number in range(rounds + 1):
        for peer in peers:
            before = processor_s(peer.process_id)
            seconds, count = fetch_whole(peer.url)
            assert count == size_bytes
            if number:
                peer.whole_s.append(seconds)
                peer.cpu_s += processor_s(peer.process_id) - before
    for peer in peers:
        peer.range_s = fetch_ranges(peer.url, size_bytes, ranges)


def fetch(url: str) -> tuple[int, bytes]:
    """Return status and body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=120)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def fetch_whole(url: str) -> tuple[float, int]:
    """Return the seconds from the request to the last byte, and the bytes."""
    parts, buffer, count = urlsplit(url), bytearray(2**20), 0
    connection = http.client.HTTPConnection(parts.netloc, timeout=120)
    connection.connect()
    begin = time.perf_counter()
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    while got := answer.readinto(buffer):
        count += got
    seconds = time.perf_counter() - begin
    connection.close()
    return seconds, count


def fetch_ranges(url: str, size_bytes: int, count: int) -> list[float]:
    """Return sorted times; none if the server knows no ranges."""
    parts, places = urlsplit(url), random.Random(1)
    connection = http.client.HTTPConnection(parts.netloc, timeout=120)
    times = []
    for _ in range(count + 1):
        start = places.randrange(size_bytes - RANGE_BYTES)
        begin = time.perf_counter()
        headers = {"Range": f"bytes={start}-{start + RANGE_BYTES - 1}"}
        connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
        answer = connection.getresponse()
        if answer.status != 206:
            connection.close()
            return []
        assert len(answer.read()) == RANGE_BYTES
        times.append(time.perf_counter() - begin)
    connection.close()
    return sorted(times[1:])


@contextmanager
def running_python(path: Path) -> Iterator[Peer]:
    """Run the server of the standard library."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with running(command, port, cwd=path.parent) as process_id:
        yield Peer("python -m http.server", f"http://127.0.0.1:{port}/{path.name}", process_id)


@contextmanager
def running_nginx(program: str, path: Path, folder: Path) -> Iterator[Peer]:
    """Run nginx, with sendfile."""
    port = free_port()
    user = "user root;" if os.getuid() == 0 else ""
    settings = folder / "nginx.conf"
    settings.write_text(_NGINX.format(folder=folder, port=port, root=path.parent, user=user))
    command = [program, "-c", str(settings), "-e", str(folder / "nginx.log")]
    with running(command, port) as process_id:
        workers = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
        version = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
        name = version.strip().removeprefix("nginx version: ").replace("/", " ")
        yield Peer(name, f"http://127.0.0.1:{port}/{path.name}", int(workers[0]))


@contextmanager
def running(command: Sequence[str], port: int, **options: object) -> Iterator[int]:
    """Run a server until the block is left."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
    ) as process:  # type: ignore[call-overload]
        try:
            end = time.monotonic() + 30
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > end:
                        raise
                    time.sleep(0.05)
            yield process.pid
        finally:
            process.terminate()


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def processor_s(process_id: int) -> float:
    """Return the processor time of a process, with what it has done for others."""
    # proc(5): user and system time.
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def print_times(what: str, times: Sequence[float]) -> None:
    """Print a row of the table of links."""
    print(f"| {what} | {quantile(times, 0.5) * 1e3:.2f} | {quantile(times, 0.99) * 1e3:.2f} |", flush=True)


def print_delivery(peers: Sequence[Peer], size_bytes: int) -> None:
    """Print the table of delivery; rates are medians."""
    print(
        f"\n| {size_bytes / 1e6:.0f} MB | MB/s, median | best | ours / this | of CPUs, ms "
        "| 64 kB: p50, ms | p99, ms |\n|---|---:|---:|---:|---:|---:|---:|"
    )
    own = quantile(sorted(peers[0].whole_s), 0.5)
    for peer in peers:
        times = sorted(peer.whole_s)
        median = quantile(times, 0.5)
        ranges = (
            f"{quantile(peer.range_s, 0.5) * 1e3:.2f} | {quantile(peer.range_s, 0.99) * 1e3:.2f}"
            if peer.range_s
            else "no ranges | "
        )
        print(
            f"| {peer.name} | {size_bytes / median / 1e6:.0f} | {size_bytes / times[0] / 1e6:.0f} "
            f"| {median / own:.0%} | {peer.cpu_s / len(times) * 1e3:.1f} | {ranges} |"
        )


def quantile(times: Sequence[float], part: float) -> float:
    """Return a quantile of sorted times."""
    return times[min(len(times) - 1, int(len(times) * part))]


def machine() -> str:
    """Say on what this was measured."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"- {os.cpu_count()} cores ({model}), {memory:.0f} GiB, {platform.system()} {platform.release()}\n"
        f"- Python {platform.python_version()}, lsst-dax-vo {__version__}"
    )


if __name__ == "__main__":
    main()
