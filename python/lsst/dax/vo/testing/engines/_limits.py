"""Limits of queries: rows, time, and those who wait no more."""

from __future__ import annotations

__all__ = ["EngineLimitTests"]

import threading
import time

import pytest

from ...errors import UsageError
from ...query import plan_query
from ._case import EngineCase, Open, Place, engine_rows, write_engine_store

_LONG = (
    "SELECT COUNT(*) AS n FROM ivoa.ObsCore AS a, ivoa.ObsCore AS b, ivoa.ObsCore AS c "
    "WHERE a.s_ra + b.s_ra > c.s_ra"
)


class EngineLimitTests(EngineCase):
    """How queries end."""

    @pytest.mark.parametrize(("maxrec", "fetched"), [(0, 1), (4, 5), (30, 30), (None, 30)])
    def test_one_row_more_than_wanted_is_fetched(
        self, place: Place, open_on: Open, maxrec: int | None, fetched: int
    ) -> None:
        """Which marks overflow."""
        engine = open_on(write_engine_store(place("a"), "a", 30))
        table = engine.run(plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog), maxrec=maxrec)
        assert table.maxrec == maxrec
        assert sum(batch.num_rows for batch in table.batches) == fetched

    @pytest.mark.parametrize(
        ("query", "maxrec", "expected"),
        [
            ("SELECT TOP 5 obs_id FROM ivoa.ObsCore ORDER BY obs_id", 2, ["a0", "a1", "a2"]),
            ("SELECT TOP 3 obs_id FROM ivoa.ObsCore ORDER BY obs_id", 2, ["a0", "a1", "a2"]),
            ("SELECT TOP 2 obs_id FROM ivoa.ObsCore ORDER BY obs_id", 2, ["a0", "a1"]),
            ("SELECT obs_id FROM ivoa.ObsCore ORDER BY obs_id OFFSET 3", 1, ["a3", "a4"]),
            ("SELECT TOP 5 obs_id FROM ivoa.ObsCore ORDER BY obs_id OFFSET 4", 1, ["a4", "a5"]),
            (
                "SELECT obs_id FROM ivoa.ObsCore WHERE s_ra < 2 UNION SELECT obs_id FROM ivoa.ObsCore "
                "WHERE s_ra > 6 ORDER BY obs_id",
                2,
                ["a0", "a1", "a7"],
            ),
        ],
    )
    def test_limits_of_service_and_query_together(
        self, place: Place, open_on: Open, query: str, maxrec: int, expected: list[str]
    ) -> None:
        """The lower one counts."""
        engine = open_on(write_engine_store(place("a"), "a", 9))
        assert [row["obs_id"] for row in engine_rows(engine, query, maxrec)] == expected

    def test_query_that_takes_too_long_is_ended(self, place: Place, open_on: Open) -> None:
        """Others go on."""
        engine = open_on(write_engine_store(place("a"), "a", 20_000), query_seconds=1)
        start = time.monotonic()
        with pytest.raises(UsageError, match="took more than 1 s; ask for less"):
            engine_rows(engine, _LONG)
        assert time.monotonic() - start < 5
        assert engine.count_rows() == {"a": 20_000}

    def test_query_may_have_a_time_of_its_own(self, place: Place, open_on: Open) -> None:
        """Which the message tells."""
        engine = open_on(write_engine_store(place("a"), "a", 20_000))
        table = engine.run(plan_query(_LONG, engine.catalog), maxrec=None, seconds=0.5)
        with pytest.raises(UsageError, match=r"took more than 0\.5 s; ask for less"):
            list(table.batches)

    def test_time_of_a_slow_reader_does_not_count(self, place: Place, open_on: Open) -> None:
        """Only the time that we wait for the database."""
        engine = open_on(write_engine_store(place("a"), "a", 30_000), query_seconds=1)
        plan = plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog)
        batches = engine.run(plan, maxrec=None).batches
        rows = next(batches).num_rows
        time.sleep(1.2)
        assert rows + sum(batch.num_rows for batch in batches) == 30_000

    def test_cancelled_query_ends_at_once(self, place: Place, open_on: Open) -> None:
        """Somebody waits for its rows; others go on."""
        engine = open_on(write_engine_store(place("a"), "a", 20_000))
        table = engine.run(plan_query(_LONG, engine.catalog), maxrec=None)
        failures: list[Exception] = []

        def wait() -> None:
            try:
                list(table.batches)
            except UsageError as err:
                failures.append(err)

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.5)
        assert thread.is_alive()
        table.cancel()
        table.cancel()
        thread.join(20)
        assert not thread.is_alive()
        assert ["was stopped before its end" in str(err) for err in failures] == [True]
        assert engine.count_rows() == {"a": 20_000}

    def test_query_is_cancelled_between_batches(self, place: Place, open_on: Open) -> None:
        """The next one does not come."""
        engine = open_on(write_engine_store(place("a"), "a", 3_000))
        query = "SELECT a.access_url, b.access_url FROM ivoa.ObsCore AS a, ivoa.ObsCore AS b"
        table = engine.run(plan_query(query, engine.catalog), maxrec=None)
        next(table.batches)
        table.cancel()
        with pytest.raises(UsageError, match="was stopped before its end"):
            next(table.batches)

    def test_cancelled_query_does_not_begin(self, place: Place, open_on: Open) -> None:
        """Nobody has asked for its rows yet."""
        engine = open_on(write_engine_store(place("a"), "a", 3))
        table = engine.run(plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog), maxrec=None)
        table.cancel()
        with pytest.raises(UsageError, match="was stopped before its end"):
            next(table.batches)

    def test_query_that_has_ended_is_cancelled_in_vain(self, place: Place, open_on: Open) -> None:
        """It does not hit the next one."""
        engine = open_on(write_engine_store(place("a"), "a", 3))
        plan = plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog)
        for _ in range(20):
            table = engine.run(plan, maxrec=None)
            assert sum(batch.num_rows for batch in table.batches) == 3
            table.cancel()
