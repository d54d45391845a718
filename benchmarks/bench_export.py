"""ObsCore rows of a generated registry: our readers, and ``lsst-dax-obscore``.

``bin/dax-vo bench export`` prints one table for each repository; ``--help``
tells what can be chosen.  Every case runs in a process of its own, on the same
repository and with the same columns; cases take turns, so that whatever else
the machine does falls on all of them.  A test run measures everything once, on
few datasets, so that this never rots.
"""

import argparse
import importlib
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from importlib import metadata, resources
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest

DATASETS = os.environ.get("DAX_VO_BENCH_DATASETS")
CONFIG = resources.files("lsst.dax.vo.sample") / "obscore" / "registry.yaml"
LABEL = "survey"
PEER = "lsst-dax-obscore"
TARGETS = {"public": 25, "bulk": 100}
"""How many times the peer's rate they are to reach."""

INTRODUCTION = f"""\
What `bin/dax-vo bench export` printed.  Rows are made and dropped, unless they are written; each
run is a process of its own, and its time begins when modules are imported and the repository is
open.  {PEER} does not look up sizes of files; the readers of the second and third row do not, either."""

PACKAGES = (
    "lsst-dax-vo",
    "lsst-daf-butler",
    "lsst-dax-obscore",
    "lsst-sphgeom",
    "adbc-driver-sqlite",
    "adbc-driver-postgresql",
    "duckdb",
    "numpy",
    "pyarrow",
    "sqlalchemy",
)

type Counts = Generator[int]


# --- What is measured.  The packages are imported only in the process that
# measures: its peak of memory counts what its parent had when it was started.


def read_as_the_peer(repository: Path, _: Path) -> Counts:
    import yaml
    from lsst.daf.butler import Butler
    from lsst.dax.obscore import ExporterConfig
    from lsst.dax.obscore.obscore_exporter import ObscoreExporter

    config = ExporterConfig.model_validate(yaml.safe_load(CONFIG.read_text()))
    with Butler.from_config(str(repository)) as butler:
        yield 0
        for batch, _ in ObscoreExporter(butler, config)._make_record_batches(config.batch_size):
            yield batch.num_rows


def read_as_we_do(pages: Any, *, sizes: bool) -> Callable[[Path, Path], Counts]:
    def read(repository: Path, _: Path) -> Counts:
        from lsst.daf.butler import Butler

        from lsst.dax.vo.obscore import ExportChoice, iter_rows, load_obscore_config

        # What is imported when it is used, as the peer's is from the start.
        driver = "sqlite" if files_of(repository) else "postgresql"
        for module in ("lsst.dax.vo.obscore.readers._reader", f"adbc_driver_{driver}.dbapi"):
            importlib.import_module(module)
        with resources.as_file(CONFIG) as path:
            config = load_obscore_config(path).model_copy(update={"access_estsize": sizes})
        with (
            Butler.from_config(str(repository)) as butler,
            closing(iter_rows(butler, config, ExportChoice(reader=pages), label=LABEL)) as batches,
        ):
            yield 0
            for batch in batches:
                yield batch.num_rows

    return read


def write(name: str) -> Callable[[Path, Path], Counts]:
    def read_and_write(repository: Path, folder: Path) -> Counts:
        from lsst.dax.vo.services import export_repository

        with resources.as_file(CONFIG) as path:
            yield 0
            report = export_repository(repository, folder / name, config_path=path, label=LABEL)
        yield report.total

    return read_and_write


def files_of(repository: Path) -> list[Path]:
    """Return the files of an SQLite registry; there are none in PostgreSQL."""
    return list(repository.glob("*.sqlite3"))


CASES: dict[str, tuple[str, Callable[[Path, Path], Counts]]] = {
    "peer": (PEER, read_as_the_peer),
    "public": ("public reader", read_as_we_do("public", sizes=False)),
    "bulk": ("bulk reader", read_as_we_do("bulk", sizes=False)),
    "public-sizes": ("public reader, with file sizes", read_as_we_do("public", sizes=True)),
    "bulk-sizes": ("bulk reader, with file sizes", read_as_we_do("bulk", sizes=True)),
    "parquet": ("bulk reader, with file sizes, into Parquet", write("table.parquet")),
    "duckdb": ("bulk reader, with file sizes, into a DuckDB store", write("table.store")),
}
"""What each is called, and how it reads a repository: it yields nothing when
it is ready, and then how many rows came at a time; it may write into a folder."""


class Run(NamedTuple):
    """One case, measured once."""

    rows: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    complete: bool


def measure(name: str, repository: Path, limit_s: float, *, ready: Callable[[], None] = lambda: None) -> Run:
    """Measure a case in this process, from when it is ready until its end or the limit."""
    _, read = CASES[name]
    rows, complete = 0, True
    with (
        tempfile.TemporaryDirectory(prefix="bench-export-") as folder,
        closing(read(repository, Path(folder))) as counts,
    ):
        next(counts)
        ready()
        start, cpu_start = time.perf_counter(), time.process_time()
        for number in counts:
            rows += number
            if time.perf_counter() - start > limit_s and (more := next(counts, None)) is not None:
                rows, complete = rows + more, False
                break
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(
        rows, seconds, cpu_seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, complete
    )


def measure_apart(name: str, repository: Path, limit_s: float) -> Run:
    """Measure a case in a process of its own."""
    words = ["--measure", name, "--limit", str(limit_s), "--repository", str(repository)]
    return Run(*json.loads(run_myself(words)))


def run_myself(words: Sequence[str]) -> str:
    command = [sys.executable, __file__, *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]


def profile(name: str, repository: Path, limit_s: float) -> list[tuple[float, str]]:
    """Return the functions that a case spends its time in, and the shares.

    They are samples of all threads.  A profiler that traces would see one, and
    make calls of Python look dearer than they are.
    """
    found: Counter[str] = Counter()
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(0.005):
            frames = [frame for thread, frame in sys._current_frames().items() if thread != sampler.ident]
            # A thread that waits for work is in nobody's function.
            found.update(function for frame in frames if (function := innermost(frame)))

    sampler = threading.Thread(target=sample)
    try:
        measure(name, repository, limit_s, ready=sampler.start)
    finally:
        ended.set()
        if sampler.ident is not None:
            sampler.join()
    return [(count / found.total(), function) for function, count in found.most_common(12)]


def innermost(frame: FrameType | None) -> str | None:
    """Return the innermost function of the Butler, or of ours, in a stack."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module.startswith("lsst."):
            return f"{module}.{frame.f_code.co_qualname}"
        frame = frame.f_back
    return None


# --- What is shown.


@dataclass(slots=True)
class Result:
    """Some runs of a case."""

    runs: list[Run] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return max(run.rows for run in self.runs)

    @property
    def complete(self) -> bool:
        return all(run.complete for run in self.runs)

    @property
    def seconds(self) -> float:
        return statistics.median(run.seconds for run in self.runs)

    @property
    def cpu_seconds(self) -> float:
        return statistics.median(run.cpu_seconds for run in self.runs)

    @property
    def rate(self) -> float:
        return statistics.median(run.rows / run.seconds for run in self.runs)

    @property
    def peak_mib(self) -> float:
        return max(run.peak_bytes for run in self.runs) / 2**20


def compare(
    names: Sequence[str],
    repository: Path,
    *,
    rounds: int,
    limit_s: float,
    run: Callable[[str, Path, float], Run] = measure_apart,
    log: Callable[[str], None] = lambda _: None,
) -> dict[str, Result]:
    """Measure cases in turns."""
    results = {name: Result() for name in names}
    for number in range(rounds):
        for name, result in results.items():
            latest = run(name, repository, limit_s)
            log(f"{number + 1}/{rounds} {CASES[name][0]}: {latest.rows:,} rows in {latest.seconds:.2f} s")
            result.runs.append(latest)
    totals = {result.rows for result in results.values() if result.complete}
    if len(totals) > 1:
        raise AssertionError(f"The cases do not make as many rows: {totals}")
    return results


def format_table(results: dict[str, Result]) -> str:
    """Return the table, in Markdown that is read as it stands."""
    rows = [("what", "rows", "time, s", "of CPUs, s", "rows/s", f"times {PEER}", "peak memory, MiB")]
    peer = results.get("peer")
    for name, result in results.items():
        rows.append(
            (
                CASES[name][0],
                f"{'' if result.complete else 'first '}{result.rows:,}",
                f"{result.seconds:,.2f}",
                f"{result.cpu_seconds:,.2f}",
                f"{result.rate:,.0f}",
                f"{result.rate / peer.rate:.1f}" if peer else "–",
                f"{result.peak_mib:,.0f}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        [text.rjust(width) if column else text.ljust(width) for column, (text, width) in enumerate(cells)]
        for cells in (zip(row, widths, strict=True) for row in rows)
    ]
    lines.insert(1, ["-" * (width - 1) + (":" if column else "-") for column, width in enumerate(widths)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


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


def describe_results(repository: Path, results: dict[str, Result]) -> str:
    name, size = json.loads(run_myself(["--describe", "--repository", str(repository)]))
    total = max(result.rows for result in results.values())
    rounds = max(len(result.runs) for result in results.values())
    return (
        f"## {total:,} datasets in {name} ({size / 2**20:,.0f} MiB)\n\n"
        f"Medians of {rounds}.\n\n{format_table(results)}"
    )


def describe_registry(repository: Path) -> tuple[str, int]:
    """Return what database it is in, and how many bytes it has there."""
    if files := files_of(repository):
        return "SQLite", sum(file.stat().st_size for file in files)
    import sqlalchemy
    from lsst.daf.butler import Butler

    ask = sqlalchemy.text(
        "SELECT current_setting('server_version'), sum(pg_total_relation_size(t.oid)) FROM pg_class t "
        "JOIN pg_namespace n ON n.oid = t.relnamespace WHERE t.relkind = 'r' AND n.nspname = :schema"
    )
    with Butler.from_config(str(repository)) as butler:
        database = butler._registry._db
        with database._engine.connect() as connection:
            ((version, size),) = connection.execute(ask, {"schema": database.namespace})
    return f"PostgreSQL {version.split()[0]}", int(size)


def explain(results: dict[str, Result], repository: Path, limit_s: float) -> str:
    """Say where the time goes, of what does not reach its target."""
    parts = []
    for name, target in TARGETS.items():
        if {name, "peer"} <= results.keys() and results[name].rate < target * results["peer"].rate:
            words = ["--profile", name, "--limit", str(limit_s), "--repository", str(repository)]
            shares = [f"| {share:.0%} | `{function}` |" for share, function in json.loads(run_myself(words))]
            parts.append(
                f"\n\nThe {CASES[name][0]} is to reach {target} times {PEER}.  Its threads were in\n\n"
                "| share of the time | function |\n|---:|---|\n" + "\n".join(shares)
            )
    return "".join(parts)


def warm(repository: Path) -> None:
    """Let nobody be the first to read a file."""
    for path in files_of(repository):
        with path.open("rb") as file:
            while file.read(2**24):
                pass


def generate(folder: Path, datasets: int, database: str | None) -> Path:
    """Generate a repository; not in this process, which is to stay small."""
    root = folder / f"datasets_{datasets}"
    command = [
        sys.executable,
        "-m",
        "lsst.dax.vo.sample",
        "registry",
        f"--root={root}",
        f"--datasets={datasets}",
    ]
    if database is not None:
        command += [f"--database={database}", f"--schema={root.name}"]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return root


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="dax-vo bench export",
        description="Compare exports of the ObsCore tables of generated repositories.",
    )
    add = parser.add_argument
    sizes = [int(DATASETS or 100_000)]
    add("--datasets", type=int, nargs="+", default=sizes, help="how many each repository has (%(default)s)")
    add("--database", metavar="URL", help="PostgreSQL database for the registries, instead of SQLite")
    add("--repository", type=Path, nargs="+", metavar="ROOT", help="repositories generated before, instead")
    add("--rounds", type=int, default=3, help="of which medians are taken (%(default)s)")
    add("--limit", type=float, default=300.0, help="seconds after which a reader is stopped (%(default)s)")
    add("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE", help=" ".join(CASES))
    add("--output", type=Path, help="Markdown file for what is printed")
    add("--profile", choices=CASES, metavar="CASE", help="print where the time of a case goes, as JSON")
    add("--measure", choices=CASES, help=argparse.SUPPRESS)
    add("--describe", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(words)
    if chosen.describe:
        print(json.dumps(describe_registry(*chosen.repository)))
        return
    if chosen.measure or chosen.profile:
        run: Callable[[str, Path, float], Any] = measure if chosen.measure else profile
        (repository,) = chosen.repository
        print(json.dumps(run(chosen.measure or chosen.profile, repository, chosen.limit)))
        return
    page = ["# ObsCore export", INTRODUCTION, describe_machine()]
    print("\n\n".join(page), flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-export-") as folder:
        for target in chosen.repository or chosen.datasets:
            made = isinstance(target, int)
            repository = generate(Path(folder), target, chosen.database) if made else target
            warm(repository)
            results = compare(
                chosen.cases,
                repository,
                rounds=chosen.rounds,
                limit_s=chosen.limit,
                log=lambda line: print(line, file=sys.stderr),
            )
            page.append(describe_results(repository, results) + explain(results, repository, chosen.limit))
            print(f"\n{page[-1]}", flush=True)
            if made:
                shutil.rmtree(repository)
    if chosen.output is not None:
        chosen.output.parent.mkdir(parents=True, exist_ok=True)
        chosen.output.write_text("\n\n".join(page) + "\n")


# --- In a test run.


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from lsst.dax.vo.sample import build_registry

    root = tmp_path_factory.mktemp("export") / "generated"
    build_registry(root, datasets=int(DATASETS or 300))
    return root


def test_every_case_makes_all_rows(repository: Path) -> None:
    results = compare(list(CASES), repository, rounds=1, limit_s=300.0, run=measure)
    assert {result.rows for result in results.values()} == {int(DATASETS or 300)}
    table = format_table(results)
    assert len({len(line) for line in table.splitlines()}) == 1, table


def test_page_of_results(repository: Path, tmp_path: Path) -> None:
    words = ["--rounds", "1", "--cases", "bulk", "--repository", str(repository)]
    main([*words, "--output", str(tmp_path / "results" / "export.md")])
    page = (tmp_path / "results" / "export.md").read_text()
    assert f"## {int(DATASETS or 300):,} datasets in SQLite" in page
    assert "| bulk reader | " in page


def test_registry_in_postgresql(tmp_path: Path) -> None:
    from lsst.dax.vo.testing import NoServerError, running_postgres

    output = tmp_path / "export.md"
    words = ["--datasets", "300", "--rounds", "1", "--cases", "bulk", "--output", str(output)]
    try:
        with running_postgres() as server, server.database() as url:
            main([*words, "--database", url])
    except NoServerError as err:
        pytest.skip(str(err))
    assert "## 300 datasets in PostgreSQL " in output.read_text()
    assert "| bulk reader | " in output.read_text()


def test_profile_names_functions(repository: Path) -> None:
    assert any(function.startswith("lsst.") for _, function in profile("public", repository, 300.0))


if __name__ == "__main__":
    from _sentence import in_one_sentence

    with in_one_sentence("export"):
        main()
