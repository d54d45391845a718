"""Conditions on texts that name a dataset, as look-ups of the dataset.

That they find the same rows is in the contract of engines.
"""

import pytest

from lsst.dax.vo.query import Catalog, plan_query, render_sql
from lsst.dax.vo.query.lowering._by_id import uuids_in
from lsst.dax.vo.query.lowering._named import naming_columns

_ONE = "018bcfe6-05c9-7014-acb2-e70627ece5a4"
_TWO = "018bcfe8-32e0-70e4-bb84-2b9074fd1194"
_BOTH = frozenset({"obs_publisher_did", "access_url"})


def _ids(*ids: str) -> str:
    return '"ObsCore"."_id" IN ({})'.format(", ".join(f"CAST('{own}' AS UUID)" for own in ids))


@pytest.mark.parametrize("dialect", ["duckdb", "postgres"])
@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        (f"obs_publisher_did = 'ivo://x/y?id={_ONE}'", [_ONE]),
        (f"'{_ONE.upper()}' = access_url", [_ONE]),
        (f"obs_publisher_did IN ('{_TWO}', 'x', 'ivo://{_ONE}')", [_ONE, _TWO]),
        (f"access_url LIKE '%{_ONE}'", [_ONE]),
        (f"access_url ILIKE '%{_ONE.upper()}%'", [_ONE]),
        (f"s_ra > 1 AND (access_url LIKE '%{_ONE}') AND s_dec < 2", [_ONE]),
        (f"(access_url = '{_ONE}' AND calib_level = 1) OR obs_publisher_did = '{_TWO}'", [_ONE, _TWO]),
        (
            f"access_url = '{_ONE}' OR (obs_publisher_did = '{_TWO}' AND access_url LIKE '%{_TWO}')",
            [_ONE, _TWO],
        ),
        ("obs_publisher_did = 'no identifier'", []),
    ],
)
def test_look_up(catalog: Catalog, dialect: str, condition: str, ids: list[str]) -> None:
    plan = plan_query(f"SELECT obs_id FROM ivoa.ObsCore WHERE {condition}", catalog)
    wanted = _ids(*ids) if ids else "(FALSE AND ("
    assert wanted in render_sql(plan, dialect, named=_BOTH)
    # Where texts name nothing, the conditions stand alone.
    assert '"_id"' not in render_sql(plan, dialect)


@pytest.mark.parametrize(
    "condition",
    [
        f"obs_id = '{_ONE}'",
        f"NOT (obs_publisher_did = '{_ONE}')",
        f"obs_publisher_did <> '{_ONE}'",
        f"obs_publisher_did = '{_ONE}' OR s_ra > 1",
        f"obs_publisher_did NOT IN ('{_ONE}')",
        f"access_url LIKE '%{_ONE[:35]}_'",
        "access_url LIKE '%links%'",
        "obs_publisher_did = access_url",
        "obs_publisher_did IN (SELECT obs_publisher_did FROM ivoa.ObsCore WHERE s_ra > 1)",
        f"obs_publisher_did || '' = '{_ONE}'",
    ],
)
def test_no_look_up(catalog: Catalog, condition: str) -> None:
    plan = plan_query(f"SELECT obs_id FROM ivoa.ObsCore WHERE {condition}", catalog)
    assert '"_id"' not in render_sql(plan, named=_BOTH)


def test_only_named_columns_are_looked_up(catalog: Catalog) -> None:
    plan = plan_query(f"SELECT obs_id FROM ivoa.ObsCore WHERE access_url = '{_ONE}'", catalog)
    assert '"_id"' not in render_sql(plan, named={"obs_publisher_did"})
    assert '"_id"' in render_sql(plan, named={"access_url"})


def test_tables_are_told_apart(catalog: Catalog) -> None:
    plan = plan_query(
        "SELECT a.obs_id FROM ivoa.ObsCore AS a JOIN ivoa.ObsCore AS b "
        f"ON a.s_ra = b.s_ra AND b.access_url LIKE '%{_ONE}' "
        f"WHERE a.obs_publisher_did = 'ivo://{_TWO}' "
        f"AND EXISTS (SELECT c.obs_id FROM ivoa.ObsCore AS c WHERE b.obs_publisher_did = '{_ONE}') "
        f"AND (a.access_url = '{_ONE}' OR b.access_url = '{_ONE}')",
        catalog,
    )
    sql = render_sql(plan, named=_BOTH)
    assert f'"b"."_id" IN (CAST(\'{_ONE}\' AS UUID))' in sql
    assert f'"a"."_id" IN (CAST(\'{_TWO}\' AS UUID))' in sql
    assert sql.count('_id" IN') == 3


def test_columns_of_subqueries_are_not_looked_up(catalog: Catalog) -> None:
    plan = plan_query(
        "SELECT obs_publisher_did FROM (SELECT obs_id AS obs_publisher_did FROM ivoa.ObsCore) AS q "
        f"WHERE obs_publisher_did = '{_ONE}'",
        catalog,
    )
    assert '_id" IN' not in render_sql(plan, named=_BOTH)


@pytest.mark.parametrize(
    ("form", "named"),
    [
        ("ivo://x/y?repo=a&id={id}", True),
        ("{id}", True),
        ("{id}/{id}", True),
        (None, True),
        ("ivo://x/y", False),
        ("", False),
        (f"{{id}}?{_ONE}", False),
        (f"{{id}}?{_ONE.upper()}", False),
        ("01234567-89ab-cdef-0123-4567{id}", False),
        ("{id}-0123-4567-89ab-cdef01234567", False),
        ("{id}-0123-4567-89ab-cdef0123456", True),
        ("12345678-{id}", True),
    ],
)
def test_which_forms_name_their_datasets(form: str | None, named: bool) -> None:
    stores = [{"obs_publisher_did": [form, "ivo://{id}"], "access_url": ["https://x.org/{id}"]}]
    found = naming_columns(stores, access_url="exported", base_url="https://y.org")
    assert found == ({"obs_publisher_did", "access_url"} if named else {"access_url"})
    # The service's own links hold the identifier.
    found = naming_columns(stores, access_url="service", base_url="https://y.org")
    assert found == ({"obs_publisher_did", "access_url"} if named else frozenset())


def test_all_stores_must_name_their_datasets() -> None:
    good = {"obs_publisher_did": ["a{id}"], "access_url": ["b{id}"]}
    for other in ({}, {"obs_publisher_did": ["a{id}"]}, good | {"access_url": ["x"]}):
        found = naming_columns([good, other], access_url="service", base_url="https://y.org")
        assert "access_url" not in found
    assert naming_columns([good, good], access_url="service", base_url="https://y.org") == _BOTH


def test_address_of_the_service_may_hold_an_identifier() -> None:
    stores = [{"obs_publisher_did": ["a{id}"], "access_url": ["b{id}"]}]
    found = naming_columns(stores, access_url="service", base_url=f"https://y.org/{_ONE}")
    assert found == {"obs_publisher_did"}
    assert naming_columns(stores, access_url="service", base_url=None) == _BOTH


def test_identifiers_in_texts() -> None:
    assert uuids_in(f"x{_ONE}{_TWO.upper()}y") == {_ONE, _TWO}
    assert uuids_in("018bcfe6-05c9-7014-acb2-e70627ece5a") == frozenset()
    # One that begins inside the other.
    assert len(uuids_in("00000000-0000-0000-0000-000000000001-0000-0000-0000-000000000002")) == 2
