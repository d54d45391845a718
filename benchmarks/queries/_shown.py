"""What is shown: tables in Markdown, and where they come from."""

import contextlib
import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from ._measured import Crowd, Results
from ._questions import PEER_TABLE, QUESTIONS

PEER = "plain pgSphere"

PACKAGES = (
    "lsst-dax-vo",
    "lsst-sphgeom",
    "adbc-driver-postgresql",
    "duckdb",
    "pyarrow",
    "sqlglot",
    "starlette",
    "uvicorn",
)


def format_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table, in Markdown that is read as it stands."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        [text.rjust(width) if column else text.ljust(width) for column, (text, width) in enumerate(cells)]
        for cells in (zip(row, widths, strict=True) for row in (head, *rows))
    ]
    lines.insert(1, ["-" * (width - 1) + (":" if column else "-") for column, width in enumerate(widths)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def show_results(results: Results, *, reach: bool) -> str:
    who = list(next(iter(results.values())))
    head = ["question", "rows", *(f"{name}{end}" for name in who for end in (", ms", " least", " p95"))]
    times = [name for name in who if name != PEER] if PEER in who else []
    head += [f"{name}, times {PEER}" for name in times]
    head += ["to reach, ms"] if reach else []
    rows = []
    for name, found in results.items():
        cells = [QUESTIONS[name].title, f"{next(iter(found.values())).median_rows:,.0f}"]
        for result in found.values():
            cells += [
                f"{number:,.1f}" for number in (result.median_ms, result.least_ms, result.percentile_ms(95))
            ]
        cells += [f"{found[PEER].median_ms / found[other].median_ms:,.1f}" for other in times]
        if reach:
            wanted = QUESTIONS[name].reach_ms
            cells.append("–" if wanted is None else f"{wanted:.0f}")
        rows.append(cells)
    return format_table(head, rows)


def show_crowds(crowds: Mapping[str, Crowd]) -> str:
    head = ["who is asked", "answers", "errors", "answers/s", "p50, ms", "p95, ms", "p99, ms"]
    rows = [
        [
            who,
            f"{len(crowd.answers.seconds):,}",
            str(crowd.errors),
            f"{len(crowd.answers.seconds) / crowd.seconds:,.1f}",
            *(f"{crowd.answers.percentile_ms(percent):,.0f}" for percent in (50, 95, 99)),
        ]
        for who, crowd in crowds.items()
    ]
    return format_table(head, rows)


def describe_machine() -> str:
    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
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


def describe_database(url: str, schema: str) -> str:
    import psycopg

    sizes = "SELECT pg_size_pretty(sum(pg_total_relation_size(oid))) FROM pg_class WHERE relkind = 'r' AND"
    with psycopg.connect(url) as connection:
        ((version,),) = connection.execute("SHOW server_version").fetchall()
        ((buffers,),) = connection.execute("SHOW shared_buffers").fetchall()
        ((sphere,),) = connection.execute("SELECT pg_sphere_version()").fetchall()
        ours, theirs = (
            connection.execute(f"{sizes} relnamespace = %s::regnamespace".encode(), [name]).fetchall()[0][0]
            for name in (schema, PEER_TABLE.partition(".")[0])
        )
    return (
        f"- PostgreSQL {version.split()[0]}, pgSphere {sphere}, shared_buffers {buffers}; "
        f"our store there has {ours}, the peer's table {theirs}, with indexes"
    )
