"""Queries on an ObsCore table: ours on DuckDB and PostgreSQL, and pgSphere as people run it today.

``bin/dax-vo bench query`` prints one page; ``--help`` tells what can be
chosen.  The same questions about the same rows are put to all in turns, so
that whatever else the machine does falls on all of them.  A test run asks
everything once, about few rows, so that this never rots.
"""

import argparse
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from queries._asked import Ask, ask_engine, asking_http, asking_peer
from queries._made import Made, making
from queries._measured import Crowd, Results, choose_places, measure, measure_crowd
from queries._questions import QUESTIONS, Place
from queries._shown import PEER, describe_database, describe_machine, show_crowds, show_results

from lsst.dax.vo.config import Limits
from lsst.dax.vo.query import Engine, open_engine
from lsst.dax.vo.sample._tour_server import running_server
from lsst.dax.vo.store import open_store, parse_store

DATASETS = os.environ.get("DAX_VO_BENCH_DATASETS")
DUCKDB, POSTGRES = "DuckDB", "PostgreSQL"
SCHEMA = "bench_store"

INTRODUCTION = f"""\
What `bin/dax-vo bench query` printed.  {DUCKDB} and {POSTGRES} are our two engines: an ADQL query is planned
and run, and its rows are fetched as Arrow, with texts as a service shows them.  *{PEER}* is a table as
archives keep it today, with a column of type `spoly`, indexes by GiST on regions and positions, and B-trees
on identifier, visit, and tract with patch; it is asked in SQL written by hand, and its rows are fetched as
Arrow by the same driver.  Each question is asked about several places, visits or identifiers, in turns.
Times are in milliseconds, warm: the median, the least, and what 95 of 100 stay below."""


@dataclass(slots=True)
class Options:
    """How much is asked."""

    names: Sequence[str]
    rounds: int
    places: int
    clients: int
    requests: int
    limit_s: float
    http: bool = True
    http_names: Sequence[str] = ()
    http_stores: Sequence[str] = (DUCKDB, POSTGRES)


def run(made: Made, options: Options, show: Callable[[str], None]) -> None:
    """Measure everything, and show one part after the other."""
    with ExitStack() as stack:
        asked: dict[str, Ask] = {}
        stores = {DUCKDB: str(made.store)}
        if made.database is not None:
            glue = "&" if "?" in made.database else "?"
            stores[POSTGRES] = f"{made.database}{glue}schema={made.schema}"
        engines: dict[str, Engine] = {}
        for name, store in stores.items():
            engine = open_engine([open_store(parse_store(store))], limits=Limits())
            engines[name] = stack.enter_context(closing(engine))
            asked[name] = ask_engine(engine)
        if made.database is not None:
            asked[PEER] = stack.enter_context(asking_peer(made.database))
        places = choose_places(engines[DUCKDB], options.places)
        totals = {name: sum(engine.count_rows().values()) for name, engine in engines.items()}
        if len(set(totals.values())) != 1:
            raise AssertionError(f"The stores do not have as many rows: {totals}")
        total = totals[DUCKDB]
        size = sum(file.stat().st_size for file in made.store.iterdir()) / 2**20
        machine = [describe_machine()]
        if made.database is not None:
            machine.append(describe_database(made.database, made.schema))
        show("\n".join([*machine, f"- the store in DuckDB has {size:,.0f} MB"]))
        results = measure(asked, options.names, places, rounds=options.rounds, limit_s=options.limit_s)
        show(f"## In the engine, {total:,} rows\n\n{show_results(results, reach=True)}")
        crowds = {
            who: measure_crowd(ask, places, clients=options.clients, requests=options.requests)
            for who, ask in asked.items()
        }
        show(f"## In the engine, {options.clients} clients at once\n\n{show_crowds(crowds)}")
    if options.http:
        run_http(made, stores, places, options, show)


def run_http(
    made: Made,
    stores: Mapping[str, str],
    places: Sequence[Place],
    options: Options,
    show: Callable[[str], None],
) -> None:
    """Ask a server of each store."""
    found: dict[str, Results] = {}
    crowds: dict[str, Crowd] = {}
    for name, store in stores.items():
        if name not in options.http_stores:
            continue
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-query-")))
            words = [str(made.repository), "--store", store]
            server = stack.enter_context(running_server(words, log=folder / "log"))
            asked = {
                f"{name}, {kind}": stack.enter_context(asking_http(server.base_url, word))
                for kind, word in (("VOTable", "votable"), ("CSV", "csv"))
            }
            names = options.http_names or options.names
            found[name] = measure(asked, names, places, rounds=options.rounds, limit_s=options.limit_s)
            ask = asked[f"{name}, VOTable"]
            crowds[name] = measure_crowd(ask, places, clients=options.clients, requests=options.requests)
    together: Results = defaultdict(dict)
    for results in found.values():
        for question, result in results.items():
            together[question] |= result
    show(f"## Over HTTP\n\n{show_results(dict(together), reach=False)}")
    show(f"## Over HTTP, {options.clients} clients at once\n\n{show_crowds(crowds)}")


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="dax-vo bench query",
        description="Compare queries on stores in DuckDB and PostgreSQL with plain pgSphere.",
    )
    add = parser.add_argument
    add(
        "--datasets",
        type=int,
        default=int(DATASETS or 100_000),
        help="of the generated repository (%(default)s)",
    )
    add("--repository", type=Path, metavar="ROOT", help="a repository generated before, instead")
    add("--store", type=Path, help="its store in a folder; made if it is not there, kept if it is named")
    add("--database", metavar="URL", help="of PostgreSQL, instead of one for this run; tables in it are kept")
    add("--schema", default=SCHEMA, help="of its store there (%(default)s)")
    add(
        "--questions",
        nargs="+",
        choices=QUESTIONS,
        default=list(QUESTIONS),
        metavar="NAME",
        help=" ".join(QUESTIONS),
    )
    add("--rounds", type=int, default=3, help="times that each place is asked about (%(default)s)")
    add("--places", type=int, default=8, help="that are asked about (%(default)s)")
    add("--clients", type=int, default=100, help="that ask at once (%(default)s)")
    add("--requests", type=int, default=5, help="of each of these (%(default)s)")
    add("--limit", type=float, default=20.0, help="seconds for one question to one of them (%(default)s)")
    add("--without-http", action="store_true", help="leave the servers out")
    add("--output", type=Path, help="Markdown file for what is printed")
    chosen = parser.parse_args(words)
    page = ["# Queries", INTRODUCTION]
    print("\n\n".join(page), flush=True)

    def show(part: str) -> None:
        page.append(part)
        print(f"\n{part}", flush=True)

    options = Options(
        chosen.questions,
        chosen.rounds,
        chosen.places,
        chosen.clients,
        chosen.requests,
        chosen.limit,
        http=not chosen.without_http,
    )
    with making(chosen.repository, chosen.store, chosen.database, chosen.schema, chosen.datasets) as made:
        run(made, options, show)
    if chosen.output is not None:
        chosen.output.parent.mkdir(parents=True, exist_ok=True)
        chosen.output.write_text("\n\n".join(page) + "\n")


# --- In a test run.


def test_all_answer_and_nobody_fails() -> None:
    page: list[str] = []
    options = Options(
        list(QUESTIONS),
        rounds=1,
        places=1,
        clients=4,
        requests=2,
        limit_s=60.0,
        http_names=["count"],
        http_stores=[DUCKDB],
    )
    with making(None, None, None, SCHEMA, int(DATASETS or 300)) as made:
        run(made, options, page.append)
    engine, engine_crowd, answers, answers_crowd = page[1:]
    for title, _, *cells in (line.split(" | ") for line in engine.splitlines()[4:]):
        assert len(cells) >= 3, title
    for crowd in (engine_crowd, answers_crowd):
        rows = [line.split("|")[2:4] for line in crowd.splitlines()[4:]]
        assert {(number.strip(), errors.strip()) for number, errors in rows} == {("8", "0")}
    assert answers.count("count of all") == 1


if __name__ == "__main__":
    from _sentence import in_one_sentence

    with in_one_sentence("query"):
        main()
