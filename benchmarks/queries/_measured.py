"""How long answers take: one after the other, and for many clients at once."""

import random
import statistics
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lsst.dax.vo.query import Engine, plan_query

from ._asked import Ask
from ._questions import MIX, QUESTIONS, Place, Question


@dataclass(slots=True)
class Result:
    """How long the answers took, and how many rows they had."""

    seconds: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    @property
    def median_ms(self) -> float:
        return 1000 * statistics.median(self.seconds)

    @property
    def least_ms(self) -> float:
        return 1000 * min(self.seconds)

    def percentile_ms(self, percent: float) -> float:
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(percent / 100 * len(ordered)))]

    @property
    def median_rows(self) -> float:
        return statistics.median(self.rows)


type Results = dict[str, dict[str, Result]]
"""Of each question, by who was asked."""


def measure(
    asked: Mapping[str, Ask], names: Sequence[str], places: Sequence[Place], *, rounds: int, limit_s: float
) -> Results:
    """Ask all in turns; who is slow is asked less often."""
    results: Results = {name: {who: Result() for who in asked} for name in names}
    for name in names:
        question = QUESTIONS[name]
        for number in range(rounds * len(places)):
            place = shifted(places[number % len(places)], number)
            for who, ask in asked.items():
                result = results[name][who]
                if sum(result.seconds) > limit_s:
                    continue
                if number == 0:
                    ask(question, place)
                start = time.perf_counter()
                rows = ask(question, place)
                result.seconds.append(time.perf_counter() - start)
                result.rows.append(rows)
        medians = ", ".join(f"{who} {result.median_ms:.1f}" for who, result in results[name].items())
        print(f"{name}: {medians} ms", file=sys.stderr)
    return results


class Crowd(NamedTuple):
    """What many clients saw."""

    seconds: float
    answers: Result
    errors: int


def shifted(place: Place, number: int) -> Place:
    """Move by some arcseconds: no query comes twice, as if it were known."""
    return place._replace(ra=round(place.ra + 0.001 * number, 6), dec=round(place.dec - 0.0007 * number, 6))


def measure_crowd(ask: Ask, places: Sequence[Place], *, clients: int, requests: int) -> Crowd:
    """Let clients ask a mix of questions, each one after the other."""
    dice = random.Random(1)
    mix = [QUESTIONS[name] for name, weight in MIX.items() for _ in range(weight)]
    work = [
        [(dice.choice(mix), shifted(dice.choice(places), dice.randrange(100))) for _ in range(requests)]
        for _ in range(clients)
    ]
    answers, errors = Result(), []
    lock = threading.Lock()
    begin = threading.Barrier(clients + 1)

    def run(own: Sequence[tuple[Question, Place]]) -> None:
        begin.wait()
        for question, place in own:
            start = time.perf_counter()
            try:
                rows = ask(question, place)
            except Exception as err:
                with lock:
                    errors.append(err)
                continue
            with lock:
                answers.seconds.append(time.perf_counter() - start)
                answers.rows.append(rows)

    threads = [threading.Thread(target=run, args=(own,)) for own in work]
    for thread in threads:
        thread.start()
    begin.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    if errors:
        print(f"{len(errors)} errors, the first: {errors[0]!r}", file=sys.stderr)
    return Crowd(time.perf_counter() - start, answers, len(errors))


def choose_places(engine: Engine, count: int) -> list[Place]:
    """Take datasets and coadds from all over the table."""

    def pick(shown: str, where: str) -> list[dict[str, Any]]:
        (total,) = fetch(f"SELECT COUNT(*) AS n FROM ivoa.ObsCore WHERE {where}")
        return [
            fetch(f"SELECT TOP 1 {shown} FROM ivoa.ObsCore WHERE {where} OFFSET {number}")[0]
            for number in (total["n"] * (2 * i + 1) // (2 * count) for i in range(count))
        ]

    def fetch(adql: str) -> list[dict[str, Any]]:
        table = engine.run(plan_query(adql, engine.catalog), maxrec=None)
        return [row for batch in table.batches for row in batch.to_pylist()]

    datasets = pick("s_ra, s_dec, lsst_visit, t_min, lsst_band, obs_publisher_did", "lsst_visit IS NOT NULL")
    coadds = pick("lsst_tract, lsst_patch, lsst_band", "lsst_tract IS NOT NULL")
    return [
        Place(
            round(one["s_ra"] + 0.01, 6),
            round(one["s_dec"] + 0.01, 6),
            one["lsst_visit"],
            one["t_min"],
            one["lsst_band"],
            one["obs_publisher_did"],
            one["obs_publisher_did"][-36:],
            coadd["lsst_tract"],
            coadd["lsst_patch"],
            coadd["lsst_band"],
        )
        for one, coadd in zip(datasets, coadds, strict=True)
    ]
