"""A result of ObsCore rows in every format: our writers, and astropy's.

``bin/dax-vo bench votable`` prints one page; ``--help`` tells what can be
chosen.  Every case runs in a process of its own and writes the same rows, into
nowhere; cases take turns, so that whatever else the machine does falls on all
of them.  A test run writes everything once, with few rows, so that this never
rots.
"""

import argparse
import io
import json
import os
import pickle
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata, resources
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROWS = os.environ.get("DAX_VO_BENCH_DATASETS")
TARGET = 20
"""How many times astropy's rate TABLEDATA and BINARY2 are to reach."""

INTRODUCTION = """\
What `bin/dax-vo bench votable` printed.  Rows with all columns of the ObsCore table are read as Arrow from a
file, written in a format, and dropped; each run is a process of its own, whose time begins when modules are
imported and the file is open.  astropy gets the same columns with the same metadata, and its time begins when
its table is filled; it writes fewer rows.  What is compared is the time of a CPU for a row: both use one CPU,
and others on the machine have the least influence on it.  Memory is the peak of the process, libraries
included; of astropy's, most is the table itself."""

PACKAGES = ("lsst-dax-vo", "astropy", "numpy", "pyarrow")


# --- What is measured.  The packages are imported only in the process that
# measures: its peak of memory counts what its parent had when it was started.


class Source(NamedTuple):
    """Rows in a file."""

    path: Path
    rows: int

    def columns(self) -> Any:
        return pickle.loads(self.path.with_suffix(".columns").read_bytes())  # noqa: S301

    def batches(self) -> Iterator[Any]:
        import pyarrow as pa

        left = self.rows
        # Not mapped into memory: pages of the file would count as ours.
        with pa.OSFile(str(self.path)) as file, pa.ipc.open_file(file) as reader:
            for place in range(reader.num_record_batches):
                batch = reader.get_batch(place).slice(0, left)
                left -= batch.num_rows
                yield batch
                if not left:
                    return


type Case = Callable[[Source], Iterator[int]]


def write_as_we_do(name: str) -> Case:
    def write(source: Source) -> Iterator[int]:
        from lsst.dax.vo.dali import ParamSet, ResultTable, parse_format, write_table

        answer = parse_format(ParamSet.from_pairs([("RESPONSEFORMAT", name)]))
        table = ResultTable(source.columns(), source.batches())
        yield 0
        for chunk in write_table(table, answer):
            yield len(chunk)

    return write


def write_as_astropy_does(form: str) -> Case:
    def write(source: Source) -> Iterator[int]:
        import numpy as np
        import pyarrow as pa
        from astropy.io import votable

        from lsst.dax.vo.dali import ResultTable, write_votable

        # Its own reader makes the fields, so that they are the same.
        empty = b"".join(write_votable(ResultTable(source.columns(), iter(()))))
        document = votable.parse(io.BytesIO(empty))
        rows = pa.Table.from_batches(source.batches())
        table = document.get_first_table()
        table.create_arrays(rows.num_rows)
        for name in rows.column_names:
            values = rows[name]
            if pa.types.is_string(values.type):
                table.array[name] = np.array(values.fill_null("").to_pylist(), object)
                continue
            table.array.mask[name] = values.is_null().to_numpy()
            table.array[name] = values.fill_null(0).to_numpy()
        yield 0
        sink = Counter()
        document.to_xml(sink, tabledata_format=form)
        yield sink.count

    return write


class Counter(io.RawIOBase):
    """A file that only counts."""

    def __init__(self) -> None:
        self.count = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.count += len(data)
        return len(data)


CASES: dict[str, tuple[str, Case]] = {
    "astropy-tabledata": ("astropy, TABLEDATA", write_as_astropy_does("tabledata")),
    "astropy-binary2": ("astropy, BINARY2", write_as_astropy_does("binary2")),
    "tabledata": ("TABLEDATA", write_as_we_do("votable")),
    "binary2": ("BINARY2", write_as_we_do("votable/b2")),
    "binary": ("BINARY", write_as_we_do("votable/b")),
    "csv": ("CSV", write_as_we_do("csv")),
    "tsv": ("TSV", write_as_we_do("tsv")),
    "json": ("JSON", write_as_we_do("json")),
    "html": ("HTML", write_as_we_do("html")),
    "arrow": ("Arrow", write_as_we_do("arrow")),
    "parquet": ("Parquet", write_as_we_do("parquet")),
    "fits": ("FITS", write_as_we_do("fits")),
}
PEERS = {"tabledata": "astropy-tabledata", "binary2": "astropy-binary2"}


# --- How it is measured.


class Run(NamedTuple):
    """One run of one case."""

    rows: int
    seconds: float
    cpu_seconds: float
    size: int
    peak_bytes: int


def measure(name: str, source: Source) -> Run:
    chunks = CASES[name][1](source)
    next(chunks)
    start, cpu_start = time.perf_counter(), time.process_time()
    size = sum(chunks)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return Run(source.rows, seconds, cpu_seconds, size, peak)


def measure_apart(name: str, source: Source) -> Run:
    """Measure a case in a process of its own."""
    command = [sys.executable, __file__, "--measure", name]
    command += ["--source", str(source.path), "--rows", str(source.rows)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Run(*json.loads(done.stdout))


@dataclass(slots=True)
class Result:
    """The runs of a case: with all rows, and one with fewer."""

    runs: list[Run] = field(default_factory=list)
    small: Run | None = None

    @property
    def seconds(self) -> float:
        return statistics.median(run.seconds for run in self.runs)

    @property
    def cpu_seconds(self) -> float:
        return statistics.median(run.cpu_seconds for run in self.runs)

    @property
    def rows(self) -> int:
        return self.runs[0].rows

    @property
    def microseconds(self) -> float:
        return 1e6 * self.cpu_seconds / self.rows

    @property
    def peak_mib(self) -> float:
        return max(run.peak_bytes for run in self.runs) / 2**20


def compare(
    names: Sequence[str],
    source: Source,
    *,
    peer_rows: int,
    rounds: int,
    run: Callable[[str, Source], Run] = measure_apart,
    log: Callable[[str], None] = lambda _: None,
) -> dict[str, Result]:
    """Measure cases in turns."""
    results = {name: Result() for name in names}
    few = source._replace(rows=min(peer_rows, source.rows))
    for number in range(rounds):
        for name, result in results.items():
            latest = run(name, few if name in PEERS.values() else source)
            log(f"{number + 1}/{rounds} {CASES[name][0]}: {latest.rows:,} rows in {latest.seconds:.2f} s")
            result.runs.append(latest)
    for name, result in results.items():
        if name not in PEERS.values():
            result.small = run(name, few)
    return results


# --- What is shown.


def format_table(results: dict[str, Result]) -> str:
    """Return the table, in Markdown that is read as it stands."""
    few = min(result.small.rows for result in results.values() if result.small is not None)
    rows = [
        (
            "what",
            "rows",
            "time, s",
            "of CPUs, s",
            "CPU µs/row",
            "bytes/row",
            "MB/s",
            "times astropy",
            "peak, MiB",
            f"peak with {few:,} rows",
        )
    ]
    for name, result in results.items():
        peer = results.get(PEERS.get(name, ""))
        size = result.runs[0].size
        rows.append(
            (
                CASES[name][0],
                f"{result.rows:,}",
                f"{result.seconds:,.2f}",
                f"{result.cpu_seconds:,.2f}",
                f"{result.microseconds:,.2f}",
                f"{size / result.rows:,.0f}",
                f"{size / result.seconds / 1e6:,.0f}",
                f"{peer.microseconds / result.microseconds:,.1f}" if peer else "–",
                f"{result.peak_mib:,.0f}",
                f"{result.small.peak_bytes / 2**20:,.0f}" if result.small else "–",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        [text.rjust(width) if column else text.ljust(width) for column, (text, width) in enumerate(cells)]
        for cells in (zip(row, widths, strict=True) for row in rows)
    ]
    lines.insert(1, ["-" * (width - 1) + (":" if column else "-") for column, width in enumerate(widths)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def judge(results: dict[str, Result]) -> str:
    """Say whether what was aimed at is reached."""
    parts = []
    for name, peer_name in PEERS.items():
        if {name, peer_name} <= results.keys():
            times = results[peer_name].microseconds / results[name].microseconds
            reached = "as aimed at" if times >= TARGET else f"{TARGET} times were aimed at"
            parts.append(f"{CASES[name][0]}: {times:.0f} times as fast as astropy; {reached}.")
    return "  ".join(parts)


def describe_machine() -> str:
    processor = platform.processor() or platform.machine()
    with suppress(OSError):
        known = dict(
            line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line
        )
        processor = {name.strip(): text.strip() for name, text in known.items()}.get("model name", processor)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    system = f"{platform.system()} {platform.release()}"
    return (
        f"- {os.cpu_count()} cores ({processor}), {memory:.0f} GiB, {system}\n"
        f"- Python {platform.python_version()}, {versions}"
    )


def fetch(store: str, rows: int, folder: Path) -> Source:
    """Keep rows of a store in a file."""
    import pyarrow as pa

    from lsst.dax.vo.services import query_store

    path = folder / "rows.arrow"
    count = 0
    with query_store(store, f"SELECT TOP {rows} * FROM ivoa.ObsCore", maxrec=None) as table:
        path.with_suffix(".columns").write_bytes(pickle.dumps(table.columns))
        first = next(table.batches)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, first.schema) as writer:
            writer.write_batch(first)
            count += first.num_rows
            for batch in table.batches:
                writer.write_batch(batch)
                count += batch.num_rows
    return Source(path, count)


def fetch_apart(store: str | None, rows: int, folder: Path) -> Source:
    """Fetch rows in a process of its own: those that measure begin with the peak of ours."""
    command = [sys.executable, __file__, "--rows", str(rows), "--fetch", str(folder)]
    if store is not None:
        command += ["--store", store]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    path, count = json.loads(done.stdout)
    return Source(Path(path), count)


def generate(rows: int, folder: Path) -> str:
    """Make a store of a generated registry; not in a process that measures others, which is to stay small."""
    from lsst.dax.vo.sample import build_registry
    from lsst.dax.vo.services import export_repository

    root, store = folder / "registry", folder / "rows.store"
    build_registry(root, datasets=rows)
    with resources.as_file(resources.files("lsst.dax.vo.sample") / "obscore" / "registry.yaml") as path:
        export_repository(root, store, config_path=path, label="survey")
    return str(store)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="dax-vo bench votable", description="Compare writers of tables on rows of an ObsCore table."
    )
    add = parser.add_argument
    add("--rows", type=int, default=int(ROWS or 1_000_000), help="how many are written (%(default)s)")
    add("--peer-rows", type=int, default=100_000, help="how many astropy writes (%(default)s)")
    add("--store", help="store whose rows are written, instead of those of a generated repository")
    add("--rounds", type=int, default=3, help="of which medians are taken (%(default)s)")
    add("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE", help=" ".join(CASES))
    add("--output", type=Path, help="Markdown file for what is printed")
    add("--measure", choices=CASES, help=argparse.SUPPRESS)
    add("--source", type=Path, help=argparse.SUPPRESS)
    add("--fetch", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args(words)
    if chosen.measure:
        print(json.dumps(measure(chosen.measure, Source(chosen.source, chosen.rows))))
        return
    if chosen.fetch:
        store = chosen.store or generate(chosen.rows, chosen.fetch)
        path, count = fetch(store, chosen.rows, chosen.fetch)
        print(json.dumps([str(path), count]))
        return
    page = ["# Tables in every format", INTRODUCTION, describe_machine()]
    print("\n\n".join(page), flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-votable-") as name:
        folder = Path(name)
        source = fetch_apart(chosen.store, chosen.rows, folder)
        results = compare(
            chosen.cases,
            source,
            peer_rows=chosen.peer_rows,
            rounds=chosen.rounds,
            log=lambda line: print(line, file=sys.stderr),
        )
        page += [
            f"## {source.rows:,} rows of {len(source.columns())} columns\n\nMedians of {chosen.rounds}.",
            format_table(results),
            judge(results),
        ]
    print("\n" + "\n\n".join(page[3:]), flush=True)
    if chosen.output is not None:
        chosen.output.parent.mkdir(parents=True, exist_ok=True)
        chosen.output.write_text("\n\n".join(page) + "\n")


# --- In a test run.


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return generate(int(ROWS or 300), tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def source(store: str, tmp_path_factory: pytest.TempPathFactory) -> Source:
    return fetch(store, int(ROWS or 300), tmp_path_factory.mktemp("rows"))


def test_every_case_writes_all_rows(source: Source) -> None:
    results = compare(list(CASES), source, peer_rows=100, rounds=1, run=measure)
    assert {result.rows for name, result in results.items() if name not in PEERS.values()} == {source.rows}
    table = format_table(results)
    assert len({len(line) for line in table.splitlines()}) == 1, table
    assert judge(results).count("times as fast as astropy") == 2


def test_case_in_a_process_of_its_own(source: Source) -> None:
    alone = measure_apart("binary2", source)
    assert (alone.rows, alone.size) == (source.rows, measure("binary2", source).size)


def test_page_of_results(store: str, tmp_path: Path) -> None:
    words = ["--store", store, "--rounds", "1", "--rows", "50", "--cases", "astropy-tabledata", "tabledata"]
    main([*words, "--output", str(tmp_path / "results" / "votable.md")])
    page = (tmp_path / "results" / "votable.md").read_text()
    assert "## 50 rows of 37 columns" in page
    assert "TABLEDATA: " in page


if __name__ == "__main__":
    from _sentence import in_one_sentence

    with in_one_sentence("votable"):
        main()
