"""SIAv2 over HTTP: how long clients wait for images of a place.

``bin/dax-vo bench sia`` prints one page; ``--help`` tells what can be chosen.
A server of its own answers one client, who keeps the connection, asks about
places all over the table, and reads each answer to its end.  A test run asks
everything once, about few rows, so that this never rots.
"""

import argparse
import contextlib
import csv
import http.client
import io
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata, resources
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from lsst.dax.vo.sample._tour_server import RunningServer, running_server

DATASETS = os.environ.get("DAX_VO_BENCH_DATASETS")
CONFIG = resources.files("lsst.dax.vo.sample") / "obscore" / "registry.yaml"
PACKAGES = ("lsst-dax-vo", "lsst-sphgeom", "duckdb", "pyarrow", "sqlglot", "starlette", "uvicorn")
TARGET_MS = 20
INTRODUCTION = f"""\
What `bin/dax-vo bench sia` printed.  One client asks a running `butler vo serve`, over one connection, and
reads each answer, with all columns, to its end; each question is asked about several places all over the
table, in turns, after one round that does not count.  Times are in milliseconds; those of CPUs are of all
threads of the server together, which other work on the machine does not lengthen much.  To be reached: a
median of {TARGET_MS} ms on the full table, 8,475,974 rows."""

type Params = list[tuple[str, str]]


class Place(NamedTuple):
    """A dataset, about whose neighbourhood is asked."""

    ra: float
    dec: float
    t_min: float
    em_min: float
    did: str

    @property
    def band(self) -> str:
        return f"{self.em_min + 1e-8} {self.em_min + 2e-8}"


def cone(place: Place, radius: float) -> tuple[str, str]:
    return "POS", f"CIRCLE {place.ra} {place.dec} {radius}"


def square(place: Place, half: float) -> tuple[str, str]:
    west, east, south, north = place.ra - half, place.ra + half, place.dec - half, place.dec + half
    return "POS", f"POLYGON {west} {south} {east} {south} {east} {north} {west} {north}"


def edges(place: Place, half: float) -> tuple[str, str]:
    return "POS", f"RANGE {place.ra - half} {place.ra + half} {place.dec - half} {place.dec + half}"


def narrow(place: Place) -> Params:
    return [("BAND", place.band), ("TIME", f"{place.t_min - 100} {place.t_min + 100}"), ("CALIB", "2")]


QUESTIONS: dict[str, tuple[str, Callable[[Place], Params]]] = {
    "point": ("a point", lambda place: [cone(place, 0)]),
    "cone": ("a circle of 0.1°", lambda place: [cone(place, 0.1)]),
    "cone-narrow": (
        "the same, of one band, level and 200 days",
        lambda place: [cone(place, 0.1), *narrow(place)],
    ),
    "cone-subtype": (
        "the same, of one kind",
        lambda place: [cone(place, 0.1), ("DPSUBTYPE", "lsst.deepCoadd_calexp")],
    ),
    "polygon": (
        "a polygon of 0.2° x 0.2°, one level",
        lambda place: [square(place, 0.1), ("CALIB", "2")],
    ),
    "range": ("a range of 0.2° x 0.2°, one level", lambda place: [edges(place, 0.1), ("CALIB", "2")]),
    "many": (
        "100 circles of 0.01°, one level and band",
        lambda place: [
            *(cone(place._replace(ra=place.ra + i % 10, dec=place.dec + i // 10), 0.01) for i in range(100)),
            *narrow(place)[::2],
            ("MAXREC", "1000"),
        ],
    ),
    "id": ("one by its identifier", lambda place: [("ID", place.did)]),
    "sky": ("all sky, MAXREC=1000", lambda _place: [("MAXREC", "1000")]),
    "fields": ("MAXREC=0", lambda _place: [("MAXREC", "0")]),
}
"""What is asked, by name."""


class Answer(NamedTuple):
    """One answer."""

    seconds: float
    cpu_seconds: float
    rows: int
    size: int


def cpu_seconds(process_id: int) -> float:
    """Return how long a process has been at work; NaN where the system does not tell."""
    try:
        text = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return math.nan
    # Behind the name, which may hold blanks: state and 10 numbers, then the ticks of user and system.
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class Client:
    """Asks a server over one connection.

    Parameters
    ----------
    server
        The server.
    """

    def __init__(self, server: RunningServer) -> None:
        parts = urlsplit(server.base_url)
        self._process_id = server.process_id
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)

    def close(self) -> None:
        self._connection.close()

    def get(self, path: str) -> bytes:
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} is answered with {answer.status}: {body[:500]!r}")
        return body

    def ask(self, params: Params) -> Answer:
        path = f"/api/sia/query?{urlencode(params)}"
        start, cpu_start = time.perf_counter(), cpu_seconds(self._process_id)
        body = self.get(path)
        seconds = time.perf_counter() - start
        return Answer(seconds, cpu_seconds(self._process_id) - cpu_start, body.count(b"<TR>"), len(body))

    def query(self, adql: str) -> list[dict[str, str]]:
        words = {"LANG": "ADQL", "RESPONSEFORMAT": "csv", "QUERY": adql}
        body = self.get(f"/api/tap/sync?{urlencode(words)}")
        return list(csv.DictReader(io.StringIO(body.decode(), newline="")))


def choose_places(client: Client, count: int) -> list[Place]:
    """Take datasets from all over the table."""
    where = "FROM ivoa.ObsCore WHERE calib_level = 2 AND s_ra IS NOT NULL"
    total = int(client.query(f"SELECT COUNT(*) AS n {where}")[0]["n"])
    places = []
    for number in range(count):
        shown = "s_ra, s_dec, t_min, em_min, obs_publisher_did"
        (row,) = client.query(
            f"SELECT TOP 1 {shown} {where} OFFSET {total * (2 * number + 1) // (2 * count)}"
        )
        ra, dec, t_min, em_min = (float(row[name]) for name in ("s_ra", "s_dec", "t_min", "em_min"))
        places.append(Place(round(ra, 5), round(dec, 5), t_min, em_min, row["obs_publisher_did"]))
    return places


def measure(client: Client, names: Sequence[str], places: Sequence[Place], rounds: int) -> str:
    """Ask all about all places, in turns, and return a table."""
    answers: dict[str, list[Answer]] = {name: [] for name in names}
    for number in range(rounds + 1):
        for place in places:
            for name in names:
                answer = client.ask(QUESTIONS[name][1](place))
                if number:
                    answers[name].append(answer)
    lines = [
        "| what is asked for | rows | kB | p50, ms | p95, ms | least, ms | of CPUs, ms |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, found in answers.items():
        times = sorted(1000 * answer.seconds for answer in found)
        p95 = times[min(len(times) - 1, int(0.95 * len(times)))]
        rows, size = (
            statistics.median(items) for items in ([a.rows for a in found], [a.size for a in found])
        )
        lines.append(
            f"| {QUESTIONS[name][0]} | {rows:,.0f} | {size / 1000:,.0f} "
            f"| {statistics.median(times):.1f} | {p95:.1f} | {times[0]:.1f} "
            f"| {1000 * statistics.mean(answer.cpu_seconds for answer in found):.1f} |"
        )
    every = [1000 * answer.seconds for found in answers.values() for answer in found]
    lines.append(f"| all of these | | | {statistics.median(every):.1f} | | | |")
    return "\n".join(lines)


@contextlib.contextmanager
def making(repository: Path | None, store: Path | None, datasets: int) -> Iterator[tuple[Path, Path]]:
    """Make what is not there, and take it away after the run."""
    with tempfile.TemporaryDirectory(prefix="bench-sia-") as name, resources.as_file(CONFIG) as config:
        folder = Path(name)
        if repository is None:
            repository = folder / "repository"
            words = [f"--root={repository}", f"--datasets={datasets}"]
            command = [sys.executable, "-m", "lsst.dax.vo.sample", "registry", *words]
            subprocess.run(command, check=True, stdout=sys.stderr)
        store = folder / "store" if store is None else store
        if not store.exists():
            butler = str(Path(sys.executable).with_name("butler"))
            command = [butler, "vo", "export", str(repository), str(store), "--config", str(config)]
            subprocess.run(command, check=True, stdout=sys.stderr)
        yield repository, store


def run(repository: Path, store: Path, names: Sequence[str], places: int, rounds: int) -> str:
    """Serve a store, ask, and return a page."""
    with tempfile.TemporaryDirectory(prefix="bench-sia-") as folder:
        words = [str(repository), "--store", str(store)]
        with (
            running_server(words, log=Path(folder) / "log", environment={"no_proxy": "*"}) as server,
            contextlib.closing(Client(server)) as client,
        ):
            rows = int(client.query("SELECT COUNT(*) AS n FROM ivoa.ObsCore")[0]["n"])
            table = measure(client, names, choose_places(client, places), rounds)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    machine = (
        f"- {os.cpu_count()} cores, {platform.system()}\n- Python {platform.python_version()}, {versions}"
    )
    asked = f"{places} places, {rounds} times each"
    return f"# SIAv2\n\n{INTRODUCTION}\n\n{machine}\n\n## {rows:,} rows, {asked}\n\n{table}"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="dax-vo bench sia", description="Measure SIAv2 over HTTP.")
    add = parser.add_argument
    add(
        "--datasets",
        type=int,
        default=int(DATASETS or 100_000),
        help="of the generated repository (%(default)s)",
    )
    add("--repository", type=Path, metavar="ROOT", help="a repository generated before, instead")
    add("--store", type=Path, help="its store in a folder; made if it is not there, kept if it is named")
    add(
        "--questions",
        nargs="+",
        choices=QUESTIONS,
        default=list(QUESTIONS),
        metavar="NAME",
        help=" ".join(QUESTIONS),
    )
    add("--places", type=int, default=10, help="that are asked about (%(default)s)")
    add("--rounds", type=int, default=5, help="times that each place is asked about (%(default)s)")
    add("--output", type=Path, help="Markdown file for what is printed")
    chosen = parser.parse_args(words)
    with making(chosen.repository, chosen.store, chosen.datasets) as (repository, store):
        page = run(repository, store, chosen.questions, chosen.places, chosen.rounds)
    print(page)
    if chosen.output is not None:
        chosen.output.parent.mkdir(parents=True, exist_ok=True)
        chosen.output.write_text(page + "\n")


# --- In a test run.


def test_all_questions_are_answered() -> None:
    with making(None, None, int(DATASETS or 300)) as (repository, store):
        page = run(repository, store, list(QUESTIONS), places=2, rounds=1)
    cells = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")][1:]
    found = {line[0].removeprefix("| "): int(line[1].replace(",", "") or 0) for line in cells[:-1]}
    assert list(found) == [title for title, _ in QUESTIONS.values()]
    assert found["one by its identifier"] == 1
    assert found["a point"] >= 1
    assert found["MAXREC=0"] == 0


if __name__ == "__main__":
    from _sentence import in_one_sentence

    with in_one_sentence("sia"):
        main()
