"""What an update of a store does, by how much has changed."""

import uuid
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pytest

from lsst.dax.vo.dali import Column
from lsst.dax.vo.store import Changes
from lsst.dax.vo.store._known import Course, KnownTable, choose_course

_COLUMNS = (Column("obs_id", "char", "Observation", arraysize="*"),)


@pytest.mark.parametrize(
    ("changes", "differs", "unsorted", "course"),
    [
        (Changes(kept=100), (), 0, Course.LEAVE),
        (Changes(kept=100), (), 99, Course.LEAVE),
        (Changes(), (), 0, Course.LEAVE),
        (Changes(kept=100), ("properties",), 0, Course.PATCH),
        (Changes(kept=100), ("form",), 0, Course.WRITE),
        (Changes(), ("properties",), 0, Course.WRITE),
        (Changes(removed=99, kept=1), (), 0, Course.PATCH),
        (Changes(removed=100), (), 0, Course.WRITE),
        (Changes(added=1, changed=1, removed=1), (), 0, Course.WRITE),
        # The limit is a tenth of the rows that there are in the end.
        (Changes(added=4, changed=6, kept=90), (), 0, Course.PATCH),
        (Changes(added=5, changed=6, kept=89), (), 0, Course.MERGE),
        (Changes(added=2, kept=98), (), 8, Course.PATCH),
        (Changes(added=2, kept=98), (), 9, Course.MERGE),
        (Changes(removed=1, kept=100), (), 11, Course.MERGE),
    ],
)
def test_course(changes: Changes, differs: tuple[str, ...], unsorted: int, course: Course) -> None:
    found = choose_course(
        changes,
        same_form="form" not in differs,
        same_properties="properties" not in differs,
        unsorted=unsorted,
    )
    assert found is course


@dataclass
class _Table:
    columns: tuple[Column, ...] = _COLUMNS
    formatted: tuple[str, ...] = ("access_url",)
    properties: dict[str, str] = field(default_factory=lambda: {"label": "here", "rows": "3"})
    unsorted: int = 2


def _ids(*numbers: int) -> bytes:
    return b"".join(uuid.UUID(int=number).bytes for number in numbers)


def _known(table: _Table) -> KnownTable:
    return KnownTable(
        table,
        _ids(1, 2, 3),
        np.array([10, 20, 30]),
        columns=_COLUMNS,
        properties={"label": "here"},
        formatted=["access_url"],
    )


def test_table_that_is_as_it_is_to_be() -> None:
    known = _known(_Table())
    assert known.find_fresh(_ids(3, 1, 2), pa.array([30, 10, 20])).tolist() == [False] * 3
    assert known.course is Course.LEAVE
    assert known.outdated().to_pylist() == []


def test_rows_that_are_others() -> None:
    known = _known(_Table())
    assert known.find_fresh(_ids(4, 2, 1), pa.array([40, 21, 10])).tolist() == [True, True, False]
    assert known.changes == Changes(added=1, changed=1, removed=1, kept=1)
    assert known.course is Course.MERGE
    assert known.unsorted == 4
    assert sorted(known.outdated().to_pylist()) == [_ids(2), _ids(3)]


@pytest.mark.parametrize("table", [_Table(columns=(*_COLUMNS, Column("more", "int"))), _Table(formatted=())])
def test_rows_of_another_form_do_not_stay(table: _Table) -> None:
    known = _known(table)
    assert known.find_fresh(_ids(1, 2, 3), pa.array([10, 20, 30])).all()
    assert known.changes == Changes(changed=3)
    assert known.course is Course.WRITE


def test_other_properties_are_told() -> None:
    known = _known(_Table(properties={"label": "there", "rows": "3"}, unsorted=0))
    known.find_fresh(_ids(1, 2, 3), pa.array([10, 20, 30]))
    assert known.course is Course.PATCH
