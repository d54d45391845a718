"""Tables that come with a query."""

from __future__ import annotations

__all__ = ["EngineUploadTests"]

import math
import threading

import pyarrow as pa
import pytest

from ...dali import Column, arrow_type
from ._case import EXTRA, EngineCase, Open, Place, engine_rows, write_engine_store

_COLUMNS = (
    Column("flag", "boolean"),
    Column("byte", "unsignedByte"),
    Column("short", "short"),
    Column("int", "int"),
    Column("long", "long"),
    Column("single", "float"),
    Column("number", "double"),
    Column("text", "char", arraysize="*"),
    Column("wide", "unicodeChar", arraysize="*"),
    Column("numbers", "double", arraysize="*"),
    Column("bytes", "unsignedByte", arraysize="*"),
    Column("an odd name", "int"),
)
_PLACES = (Column("ra", "double"), Column("dec", "double"), Column("spot", "double", "", "2", "point"))


def _table(columns: tuple[Column, ...], *rows: tuple[object, ...]) -> pa.Table:
    cells = zip(*rows, strict=True) if rows else [[] for _ in columns]
    return pa.table(
        {
            column.name: pa.array(list(values), arrow_type(column))
            for column, values in zip(columns, cells, strict=True)
        }
    )


class EngineUploadTests(EngineCase):
    """Only their own query sees them."""

    def test_all_types_come_back(self, place: Place, open_on: Open) -> None:
        """Also what is NULL, and ends of ranges."""
        engine = open_on(write_engine_store(place("a"), "a", 1))
        sent = _table(
            _COLUMNS,
            (True, 255, -(2**15), -(2**31), -(2**63), 1.5, 1e300, "a'b", "漢", [1.0, 2.5], [0, 255], 1),
            (False, 0, 2**15 - 1, 2**31 - 1, 2**63 - 1, -0.0, -1e-300, "", "\\", [], [], 2),
            (None,) * 12,
        )
        found = engine_rows(engine, "SELECT * FROM TAP_UPLOAD.mine", uploads={"mine": (_COLUMNS, sent)})
        key = str
        assert sorted(found, key=key) == sorted(sent.to_pylist(), key=key)

    def test_table_without_rows(self, place: Place, open_on: Open) -> None:
        """It has columns."""
        engine = open_on(write_engine_store(place("a"), "a", 1))
        query = "SELECT COUNT(*) AS n, MAX(number) AS most FROM TAP_UPLOAD.mine"
        found = engine_rows(engine, query, uploads={"mine": (_COLUMNS, _table(_COLUMNS))})
        assert found == [{"n": 0, "most": None}]

    def test_upload_is_joined_with_datasets_and_another(self, place: Place, open_on: Open) -> None:
        """By values, also in subqueries and WITH."""
        engine = open_on(write_engine_store(place("a"), "a", 20, EXTRA))
        columns = (Column("visit", "long"), Column("name", "char", arraysize="*"))
        uploads = {
            "one": (columns, _table(columns, (3, "c"), (5, "e"), (99, "x"))),
            "two": (columns, _table(columns, (5, "five"), (3, None))),
        }
        query = (
            "WITH named AS (SELECT f.visit, s.name FROM TAP_UPLOAD.one AS f "
            "JOIN TAP_UPLOAD.two AS s ON f.visit = s.visit) "
            "SELECT o.obs_id, n.name FROM ivoa.ObsCore AS o JOIN named AS n ON o.lsst_visit = n.visit "
            "WHERE o.lsst_visit IN (SELECT visit FROM TAP_UPLOAD.one) ORDER BY o.obs_id"
        )
        found = engine_rows(engine, query, uploads=uploads)
        assert found == [{"obs_id": "a3", "name": None}, {"obs_id": "a5", "name": "five"}]

    def test_places_of_an_upload_are_searched(self, place: Place, open_on: Open) -> None:
        """Numbers and points, on either side; what is unknown is nowhere."""
        engine = open_on(write_engine_store(place("a"), "a", 50))
        sent = _table(
            _PLACES, (7.1, 7.0, [20.0, 20.3]), (20.0, 20.1, [7.0, 7.2]), (None, 1.0, None), (7.0, 8.0, None)
        )
        for position, expected in (
            ("POINT(u.ra, u.dec)", [("a20", 20.0), ("a7", 7.1)]),
            ("u.spot", [("a20", 7.1), ("a7", 20.0)]),
        ):
            for test in (f"CONTAINS({position}, o.s_region) = 1", f"1 = CONTAINS({position}, o.s_region)"):
                query = (
                    "SELECT o.obs_id, u.ra FROM TAP_UPLOAD.mine AS u "
                    f"JOIN ivoa.ObsCore AS o ON {test} ORDER BY o.obs_id"
                )
                found = engine_rows(engine, query, uploads={"mine": (_PLACES, sent)})
                assert [(row["obs_id"], row["ra"]) for row in found] == expected

    def test_circles_of_an_upload_meet_regions(self, place: Place, open_on: Open) -> None:
        """Each with its radius."""
        engine = open_on(write_engine_store(place("a"), "a", 50))
        columns = (Column("ra", "double"), Column("dec", "double"), Column("r", "double"))
        sent = _table(columns, (7.0, 8.0, 0.7), (20.0, 21.0, 0.5), (30.0, 30.5, None))
        query = (
            "SELECT o.obs_id FROM ivoa.ObsCore AS o, TAP_UPLOAD.mine AS u "
            "WHERE INTERSECTS(CIRCLE(u.ra, u.dec, u.r), o.s_region) = 1 ORDER BY o.obs_id"
        )
        found = engine_rows(engine, query, uploads={"mine": (columns, sent)})
        assert [row["obs_id"] for row in found] == ["a7", "a8"]

    def test_circles_that_cannot_be_are_unknown(self, place: Place, open_on: Open) -> None:
        """They hold no point, and leave none outside."""
        engine = open_on(write_engine_store(place("a"), "a", 1))
        columns = (Column("name", "int"), Column("c", "double", "", "3", "circle"))
        circles = ((10, 20, 1), (10, 20, math.nan), (10, 20, -1), (10, 20, 181), (10, 95, 9), (50, 20, 1))
        sent = _table(columns, *((name, list(map(float, circle))) for name, circle in enumerate(circles)))
        for point in ("POINT(10, 20)", "POINT(o.s_ra + 10, o.s_dec + 20)"):
            for wanted, names in ((1, [0]), (0, [5])):
                query = (
                    "SELECT u.name FROM TAP_UPLOAD.mine AS u, ivoa.ObsCore AS o "
                    f"WHERE CONTAINS({point}, u.c) = {wanted}"
                )
                found = engine_rows(engine, query, uploads={"mine": (columns, sent)})
                assert [row["name"] for row in found] == names

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            (
                "TAP_UPLOAD.mine AS u LEFT JOIN ivoa.ObsCore AS o "
                "ON CONTAINS(POINT(u.ra, u.dec), o.s_region) = 1",
                [(1.0, None), (7.1, "a7"), (20.0, "a20"), (None, None)],
            ),
            (
                "TAP_UPLOAD.mine AS u JOIN ivoa.ObsCore AS o ON CONTAINS(POINT(u.ra, u.dec), o.s_region) = 0 "
                "AND o.s_ra BETWEEN 7 AND 8",
                [(1.0, "a7"), (1.0, "a8"), (7.1, "a8"), (20.0, "a7"), (20.0, "a8")],
            ),
            (
                "TAP_UPLOAD.mine AS u, ivoa.ObsCore AS o WHERE CONTAINS(POINT(u.ra, u.dec), o.s_region) = 1 "
                "OR (u.ra = 1 AND o.s_ra = 3)",
                [(1.0, "a3"), (7.1, "a7"), (20.0, "a20")],
            ),
            (
                "TAP_UPLOAD.mine AS u JOIN ivoa.ObsCore AS o ON CONTAINS(POINT(u.ra, u.dec), o.s_region) = 1 "
                "AND INTERSECTS(CIRCLE(u.ra, u.dec, 0.1), o.s_region) = 1 "
                "JOIN TAP_UPLOAD.mine AS v ON CONTAINS(POINT(v.ra, v.dec), o.s_region) = 1",
                [(7.1, "a7"), (20.0, "a20")],
            ),
        ],
        ids=["left join", "outside", "or", "several"],
    )
    def test_places_of_an_upload_in_joins(
        self, place: Place, open_on: Open, source: str, expected: list[tuple[object, object]]
    ) -> None:
        """Rows that meet nothing are there as well where they are asked for."""
        engine = open_on(write_engine_store(place("a"), "a", 50))
        columns = _PLACES[:2]
        sent = _table(columns, (1.0, -50.0), (7.1, 7.0), (20.0, 20.1), (None, 1.0))
        query = f"SELECT u.ra, o.obs_id FROM {source}"
        found = engine_rows(engine, query, uploads={"mine": (columns, sent)})
        assert sorted(map(str, expected)) == sorted(str((row["ra"], row["obs_id"])) for row in found)

    def test_places_of_an_upload_among_several_stores(self, place: Place, open_on: Open) -> None:
        """Rows of each are found, and subqueries are searched as well."""
        engine = open_on(write_engine_store(place("a"), "a", 9000), write_engine_store(place("b"), "b", 50))
        columns = _PLACES[:2]
        sent = _table(columns, (7.1, 7.0), (20.0, 20.1), (100.0, 40.0))
        test = "CONTAINS(POINT(u.ra, u.dec), o.s_region) = 1"
        query = (
            "SELECT u.ra, COUNT(*) AS n FROM {} AS u, ivoa.ObsCore AS o "
            f"WHERE {test} GROUP BY u.ra ORDER BY u.ra"
        )
        for source in ("TAP_UPLOAD.mine", "(SELECT ra, dec FROM TAP_UPLOAD.mine)"):
            found = engine_rows(engine, query.format(source), uploads={"mine": (columns, sent)})
            assert found == [{"ra": 7.1, "n": 26}, {"ra": 20.0, "n": 26}, {"ra": 100.0, "n": 25}]

    def test_columns_of_positions_are_those_of_the_upload(self, place: Place, open_on: Open) -> None:
        """Even if they are named as those of datasets."""
        engine = open_on(write_engine_store(place("a"), "a", 5))
        columns = (Column("s_ra", "double"), Column("s_dec", "double"))
        query = "SELECT s_ra FROM TAP_UPLOAD.mine WHERE CONTAINS(POINT(s_ra, s_dec), CIRCLE(10, 10, 1)) = 1"
        sent = _table(columns, (10.1, 10.2), (11.1, 10.2))
        assert engine_rows(engine, query, uploads={"mine": (columns, sent)}) == [{"s_ra": 10.1}]

    def test_uploads_of_several_queries_do_not_mix(self, place: Place, open_on: Open) -> None:
        """Of one name, one after the other and at once."""
        engine = open_on(write_engine_store(place("a"), "a", 1))
        columns = (Column("n", "int"),)
        wrong: list[object] = []

        def ask(number: int) -> None:
            for _ in range(5):
                sent = _table(columns, (number,))
                found = engine_rows(
                    engine, "SELECT n FROM TAP_UPLOAD.mine", uploads={"mine": (columns, sent)}
                )
                if found != [{"n": number}]:
                    wrong.append(found)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert engine.count_rows() == {"a": 1}
