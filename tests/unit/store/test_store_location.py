"""Names of stores."""

from pathlib import Path

import pytest

from lsst.dax.vo.errors import UnsupportedError, UsageError
from lsst.dax.vo.store import StoreLocation, parse_store


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("survey.store", "survey.store"),
        ("/data/a store", "/data/a store"),
        ("duckdb:///data/survey.store", "/data/survey.store"),
        ("DuckDB:///data/a%20store", "/data/a store"),
        ("C:store", "C:store"),
    ],
)
def test_path_or_url(text: str, path: str) -> None:
    location = parse_store(text)
    assert location == StoreLocation(Path(path))
    assert str(location) == path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" ", "The store has no name; give the path of a folder"),
        ("duckdb://host/path", "has three slashes and a path"),
        ("duckdb:///", "has three slashes and a path"),
        ("duckdb:///path?x=1", "has three slashes and a path"),
        ("s3://bucket/path", "has the scheme 's3'"),
    ],
)
def test_other_names_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        parse_store(text)


def test_postgresql_is_refused_without_its_password() -> None:
    with pytest.raises(
        UnsupportedError, match="Stores in PostgreSQL are not supported; give the path"
    ) as caught:
        parse_store("postgresql://me:secret@host/db")
    assert "secret" not in str(caught.value)
