"""What ADQL means: conditions, expressions and whole queries on a handful of rows."""

from __future__ import annotations

__all__ = ["EngineAdqlTests"]

import uuid
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from ...config import Limits
from ...dali import arrow_type
from ...errors import UsageError
from ...obscore import OBSCORE_COLUMNS, RUBIN_COLUMNS
from ...query import TAP_SCHEMA, Engine, open_engine, plan_query
from ...store import open_store, open_writer
from .._adql_cases import ADQL_QUERIES, ADQL_ROWS, ADQL_VALUES, ADQL_WHERE, adql_region
from ._case import EXTRA, EngineCase, Open, Place, engine_rows, write_engine_store


class EngineAdqlTests(EngineCase):
    """What queries give."""

    @pytest.fixture(scope="class")
    @classmethod
    def adql_engine(cls, class_place: Place) -> Iterator[Engine]:
        """Return an engine on the rows of `ADQL_ROWS`."""
        columns = list({column.name: column for column in (*OBSCORE_COLUMNS, *RUBIN_COLUMNS)}.values())
        location = class_place("adql")
        with open_writer(location, columns=columns, properties={}) as writer:
            cells = []
            for number, row in enumerate(ADQL_ROWS):
                here = row["s_ra"] is not None
                cells.append(
                    row
                    | {
                        "s_region": f"POLYGON ICRS {number}" if here else None,
                        "_repo": "here",
                        "_id": uuid.UUID(int=number).bytes,
                        "_region": adql_region(row["s_ra"], row["s_dec"]).encode() if here else None,
                        "_print": number,
                    }
                )
            writer.write(pa.RecordBatch.from_pylist(cells, writer.schema))
        engine = open_engine([open_store(location)], limits=Limits())
        yield engine
        engine.close()

    @pytest.mark.parametrize(("condition", "expected"), ADQL_WHERE, ids=[item for item, _ in ADQL_WHERE])
    def test_where(self, adql_engine: Engine, condition: str, expected: str) -> None:
        """Conditions of ADQL."""
        rows = engine_rows(adql_engine, f"SELECT obs_id FROM ivoa.ObsCore WHERE {condition}")
        assert "".join(sorted(row["obs_id"] for row in rows)) == expected

    @pytest.mark.parametrize(("value", "expected"), ADQL_VALUES, ids=[item for item, _ in ADQL_VALUES])
    def test_value(self, adql_engine: Engine, value: str, expected: Any) -> None:
        """Expressions of ADQL, with the types that are declared."""
        query = f"SELECT TOP 1 {value} AS v FROM ivoa.ObsCore WHERE obs_id = 'a' ORDER BY obs_id"
        plan = plan_query(query, adql_engine.catalog)
        (batch,) = adql_engine.run(plan, maxrec=None).batches
        assert batch.schema.types == [arrow_type(column) for column in plan.columns]
        (found,) = batch["v"].to_pylist()
        if value.startswith("RAND"):
            assert -1 <= found < 0
        elif isinstance(expected, float):
            assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)
        else:
            assert found == expected

    @pytest.mark.parametrize(("adql", "expected"), ADQL_QUERIES, ids=[item for item, _ in ADQL_QUERIES])
    def test_query(self, adql_engine: Engine, adql: str, expected: list[tuple[Any, ...]]) -> None:
        """Whole queries."""
        plan = plan_query(adql, adql_engine.catalog)
        found = [
            row
            for batch in adql_engine.run(plan, maxrec=None).batches
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
        ]
        assert found == expected

    def test_every_published_table_can_be_read(self, adql_engine: Engine) -> None:
        """All columns of all tables."""
        for table in adql_engine.catalog.tables:
            rows = engine_rows(adql_engine, f"SELECT * FROM {table.name}")
            assert rows
            assert len(rows[0]) == len(table.columns)
        assert len(engine_rows(adql_engine, "SELECT * FROM TAP_SCHEMA.tables")) == len(TAP_SCHEMA) + 1

    def test_value_that_cannot_be_computed_is_told_without_sql(self, place: Place, open_on: Open) -> None:
        """The reason alone."""
        engine = open_on(write_engine_store(place("a"), "a", 3))
        with pytest.raises(UsageError, match="The query cannot be evaluated: ") as caught:
            engine_rows(engine, "SELECT CAST(obs_id AS INTEGER) AS x FROM ivoa.ObsCore")
        assert "SELECT" not in str(caught.value)

    def test_division_by_zero_is_told_without_advice_on_settings(self, place: Place, open_on: Open) -> None:
        """Settings are for nobody here."""
        engine = open_on(write_engine_store(place("a"), "a", 5, EXTRA))
        with pytest.raises(UsageError, match=r"(?i)division by zero") as caught:
            engine_rows(engine, "SELECT MOD(lsst_visit, 0) AS x FROM ivoa.ObsCore")
        assert "SET" not in str(caught.value)
        assert "TRY" not in str(caught.value)

    def test_groups_keep_what_is_unknown_unknown(self, place: Place, open_on: Open) -> None:
        """Many conditions in one."""
        engine = open_on(write_engine_store(place("a"), "a", 5))
        # Of the fourth row the identifier is empty.
        groups = " OR ".join(f"(obs_publisher_did = 'x{i}' AND s_ra >= 0)" for i in range(30))
        count = "SELECT COUNT(*) AS n FROM ivoa.ObsCore WHERE {0}({1})"
        assert engine_rows(engine, count.format("", groups)) == [{"n": 0}]
        assert engine_rows(engine, count.format("NOT ", groups)) == [{"n": 4}]

    def test_backslash_is_no_escape(self, place: Place, open_on: Open) -> None:
        """ADQL has none, in texts and in patterns."""
        engine = open_on(write_engine_store(place("a"), "a", 2))
        query = "SELECT COUNT(*) AS n FROM ivoa.ObsCore WHERE '{}' LIKE '{}' AND obs_id LIKE 'a_'"
        assert engine_rows(engine, query.format("a\\%", "a\\_")) == [{"n": 2}]
        assert engine_rows(engine, query.format("a\\b", "a\\\\b")) == [{"n": 0}]
        assert engine_rows(engine, query.format("a%", "a\\%")) == [{"n": 0}]
