"""Stores as one table: columns, addresses, and tables that are replaced or lost."""

from __future__ import annotations

__all__ = ["EngineTableTests"]

import threading

import pyarrow as pa
import pytest

from ...config import Limits
from ...dali import Column
from ...errors import TransientError, UsageError
from ...query import OneOf, Search, open_engine, plan_query, plan_search
from ...store import open_store, open_writer
from ._case import ENGINE_COLUMNS, EXTRA, EngineCase, Open, Place, engine_rows, write_engine_store

_BASE = "https://vo.example.org/x"


class EngineTableTests(EngineCase):
    """What is read."""

    def test_stores_make_one_table_with_the_columns_of_all(self, place: Place, open_on: Open) -> None:
        """What a store has not is NULL."""
        engine = open_on(
            write_engine_store(place("a"), "a", 3), write_engine_store(place("b"), "b", 2, EXTRA)
        )
        names = [column.name for column in engine.catalog.tables[0].columns]
        assert names[-2:] == ["s_region", "lsst_visit"]
        found = engine_rows(engine, "SELECT obs_id, lsst_visit FROM ivoa.ObsCore ORDER BY obs_id")
        assert [(row["obs_id"], row["lsst_visit"]) for row in found] == [
            ("a0", None),
            ("a1", None),
            ("a2", None),
            ("b0", 0),
            ("b1", 1),
        ]
        assert engine.count_rows() == {"a": 3, "b": 2}
        here = plan_search(Search(("obs_id",), (OneOf("_repo", ("b",)),)), engine.catalog)
        assert sorted(row["obs_id"] for row in engine_rows(engine, here)) == ["b0", "b1"]
        query = "SELECT column_name FROM TAP_SCHEMA.columns WHERE column_name = 'lsst_visit'"
        assert len(engine_rows(engine, query)) == 1

    def test_columns_of_different_types_are_refused(self, place: Place) -> None:
        """The message says which stores."""
        first = write_engine_store(place("a"), "a", 1, EXTRA)
        second = write_engine_store(place("b"), "b", 1, Column("LSST_visit", "int"))
        with pytest.raises(UsageError) as caught:
            open_engine([first, second], limits=Limits())
        assert str(caught.value) == (
            f"Column 'LSST_visit' is of type long in the store {first.location} and of type int in "
            f"{second.location}; export one of them again with the type of the other"
        )

    def test_access_url_leads_to_the_service_in_all_clauses(self, place: Place, open_on: Open) -> None:
        """What is shown is what is searched."""
        engine = open_on(write_engine_store(place("a"), "a", 5))
        query = (
            "SELECT obs_id, access_url FROM ivoa.ObsCore WHERE access_url LIKE '%id%3D1' ORDER BY access_url"
        )
        links = f"{_BASE}/api/datalink/links?ID="
        assert engine_rows(engine, query, base_url=_BASE) == [
            {"obs_id": "a1", "access_url": f"{links}ivo%3A%2F%2Fx%2Fy%3Frepo%3Da%26id%3D1"}
        ]
        assert engine_rows(engine, query) == []
        # Without an identifier there is nothing to ask DataLink for.
        third = "SELECT access_url FROM ivoa.ObsCore WHERE obs_id = 'a3'"
        assert engine_rows(engine, third, base_url=_BASE) == [{"access_url": "exported 3"}]
        first = third.replace("a3", "a1")
        assert engine_rows(engine, first) == [{"access_url": "exported 1"}]
        # The address is a value, not a piece of SQL.
        (row,) = engine_rows(engine, first, base_url="https://x'||'y")
        assert row["access_url"].startswith("https://x'||'y/api/")

    def test_identifiers_are_escaped_in_urls(self, place: Place, open_on: Open) -> None:
        """All signs, by their bytes in UTF-8."""
        location = place("a")
        texts = ["".join(map(chr, range(32, 127))), "ü/𝄞%20\t\n", ""]
        with open_writer(location, columns=ENGINE_COLUMNS, properties={}) as writer:
            cells = [
                {
                    "obs_id": str(number),
                    "obs_publisher_did": text,
                    "_repo": "a",
                    "_id": bytes(16),
                    "_print": 0,
                }
                for number, text in enumerate(texts)
            ]
            writer.write(pa.RecordBatch.from_pylist(cells, writer.schema))
        engine = open_on(open_store(location))
        rows = engine_rows(engine, "SELECT access_url FROM ivoa.ObsCore ORDER BY obs_id", base_url=_BASE)
        escaped = [
            "".join(
                chr(byte) if (chr(byte).isalnum() and byte < 128) or chr(byte) in "_.~-" else f"%{byte:02X}"
                for byte in text.encode()
            )
            for text in texts
        ]
        assert [row["access_url"] for row in rows] == [f"{_BASE}/api/datalink/links?ID={x}" for x in escaped]

    def test_exported_access_url_stays(self, place: Place, open_on: Open) -> None:
        """If the configuration says so."""
        engine = open_on(write_engine_store(place("a"), "a", 1), access_url="exported")
        rows = engine_rows(engine, "SELECT access_url FROM ivoa.ObsCore", base_url=_BASE)
        assert rows == [{"access_url": "exported 0"}]

    def test_address_belongs_to_one_query(self, place: Place, open_on: Open) -> None:
        """Several at once do not mix."""
        engine = open_on(write_engine_store(place("a"), "a", 1))
        plan = plan_query("SELECT access_url FROM ivoa.ObsCore", engine.catalog)
        wrong: list[str] = []

        def ask(base_url: str) -> None:
            for _ in range(20):
                (row,) = engine_rows(engine, plan, base_url=base_url)
                if not row["access_url"].startswith(f"{base_url}/api"):
                    wrong.append(row["access_url"])

        threads = [threading.Thread(target=ask, args=(f"https://{name}.org",)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    def test_new_table_is_seen_by_the_next_query_alone(self, place: Place, open_on: Open) -> None:
        """A query that runs keeps its table."""
        location = place("a")
        engine = open_on(write_engine_store(location, "a", 30_000), write_engine_store(place("b"), "b", 1))
        plan = plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog)
        running = engine.run(plan, maxrec=None).batches
        first = next(running).num_rows
        write_engine_store(location, "a", 5, EXTRA)
        assert engine.count_rows() == {"a": 5, "b": 1}
        assert "lsst_visit" in [column.name for column in engine.catalog.tables[0].columns]
        assert first + sum(batch.num_rows for batch in running) == 30_001

    def test_lost_store_is_transient_and_comes_back(self, place: Place, open_on: Open) -> None:
        """The message does not say where it was."""
        location = place("a")
        engine = open_on(write_engine_store(location, "a", 3))
        plan = plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog)
        with self.lost(location):
            for ask in (lambda: engine.catalog, engine.count_rows, lambda: engine_rows(engine, plan)):
                with pytest.raises(
                    TransientError, match="The ObsCore table cannot be read now; try again later"
                ) as caught:
                    ask()
                assert str(location) not in str(caught.value)
        assert engine.count_rows() == {"a": 3}

    def test_closed_engine_answers_no_more(self, place: Place, open_on: Open) -> None:
        """What is running ends first."""
        engine = open_on(write_engine_store(place("a"), "a", 20_000))
        plan = plan_query("SELECT obs_id FROM ivoa.ObsCore", engine.catalog)
        running = engine.run(plan, maxrec=None).batches
        first = next(running).num_rows
        engine.close()
        engine.close()
        assert first + sum(batch.num_rows for batch in running) == 20_000
        with pytest.raises(TransientError, match="is being closed"):
            engine.count_rows()
