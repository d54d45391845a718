"""Cutouts over HTTP: latency for one client and for many, with and without processes.

``bin/dax-vo bench soda`` serves the sample and lets 1, 8 and 64 clients ask
for cutouts.  Times are those of the clients; processor time is that of the
server and all its processes, which tells more where a machine has other work.
"""

import argparse
import http.client
import os
import random
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import requests

from lsst.dax.vo.sample import Sample, build_sample
from lsst.dax.vo.sample._tour_server import running_server
from lsst.dax.vo.services import export_repository

# A place that coadds and visits of the sample contain, and the radius of a
# cutout of 109 pixels a side.
RA_DEG, DEC_DEG, RADIUS_DEG = 55.7467, -32.2862, 0.003
SETTINGS = {
    "in the server": "{cutout_workers: 0}",
    "processes": "{cutout_cache_mb: 0}",
    "processes, kept": "{}",
}
KINDS = ("lsst.visit_image", "lsst.calexp")


def main() -> None:
    """Run all settings, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=Path, help="folder of a sample that is there")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 64])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sample = _prepare(options.sample or Path(folder) / "sample")
        print("| setting | dataset | clients | answers/s | p50, ms | p99, ms | of CPUs, ms |")
        print("|---|---|---:|---:|---:|---:|---:|")
        for name, limits in SETTINGS.items():
            arguments = [str(path) for path in sample.repositories.values()]
            arguments += [
                item for label in sample.repositories for item in ("--store", str(sample.store(label)))
            ]
            log = Path(folder) / "server.log"
            with running_server(arguments, log=log, environment={"DAX_VO_LIMITS": limits}) as server:
                for kind in KINDS:
                    paths = _paths(server.base_url, kind)
                    _ask(server.base_url, paths, clients=2, seconds=2.0)
                    for clients in options.clients:
                        before = _processor_s(server.process_id)
                        times = _ask(server.base_url, paths, clients=clients, seconds=options.seconds)
                        used = (_processor_s(server.process_id) - before) / len(times)
                        _print(name, kind, clients, options.seconds, times, used)


def _prepare(root: Path) -> Sample:
    sample = build_sample(root)
    for label, repository in sample.repositories.items():
        if not sample.store(label).exists():
            export_repository(
                repository, sample.store(label), config_path=sample.configurations[label], label=label
            )
    return sample


def _paths(base_url: str, kind: str) -> list[str]:
    query = (
        f"SELECT TOP 8 obs_publisher_did FROM ivoa.ObsCore WHERE dataproduct_subtype = '{kind}' "
        f"AND CONTAINS(POINT({RA_DEG}, {DEC_DEG}), s_region) = 1 ORDER BY obs_publisher_did"
    )
    params = {"LANG": "ADQL", "RESPONSEFORMAT": "tsv", "QUERY": query}
    answer = requests.get(f"{base_url}/api/tap/sync", params=params, timeout=60)
    answer.raise_for_status()
    circle = f"{RA_DEG} {DEC_DEG} {RADIUS_DEG}"
    return [
        f"/api/cutout/sync?{urlencode({'ID': identifier, 'CIRCLE': circle})}"
        for identifier in answer.text.split()[1:]
    ]


def _ask(base_url: str, paths: Sequence[str], *, clients: int, seconds: float) -> list[float]:
    """Return the times of all answers, sorted."""
    times: list[float] = []
    lock, end = threading.Lock(), time.perf_counter() + seconds

    def run(seed: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=120)
        choose, mine = random.Random(seed), []
        while time.perf_counter() < end:
            begin = time.perf_counter()
            connection.request("GET", choose.choice(paths))
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                raise RuntimeError(content[:200])
            mine.append(time.perf_counter() - begin)
        connection.close()
        with lock:
            times.extend(mine)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(times)


def _processor_s(root: int) -> float:
    """Return the processor time of a process and its descendants."""
    parents, used = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        number = int(path.parent.name)
        # proc(5): parent, user and system time, and those of children waited for.
        parents[number] = int(fields[1])
        used[number] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    members, changed = {root}, True
    while changed:
        more = {number for number, parent in parents.items() if parent in members} - members
        changed = bool(more)
        members |= more
    return sum(used.get(number, 0.0) for number in members)


def _print(name: str, kind: str, clients: int, seconds: float, times: Sequence[float], used: float) -> None:
    p50, p99 = times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.99))]
    print(
        f"| {name} | {kind} | {clients} | {len(times) / seconds:.0f} | {p50 * 1e3:.1f} | {p99 * 1e3:.1f} "
        f"| {used * 1e3:.1f} |",
        flush=True,
    )


if __name__ == "__main__":
    from _sentence import in_one_sentence

    with in_one_sentence("soda"):
        main()
