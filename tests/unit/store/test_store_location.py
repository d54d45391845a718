"""Names of stores."""

from pathlib import Path

import pytest

from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.store import (
    LiveLocation,
    ParquetLocation,
    PostgresLocation,
    StoreLocation,
    open_writer,
    parse_store,
)


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
    ("text", "repo"),
    [
        ("live", ""),
        ("live:main", "main"),
        ("live:/data/repo/butler.yaml", "/data/repo/butler.yaml"),
        ("live:s3://bucket/repo", "s3://bucket/repo"),
    ],
)
def test_table_of_the_butler(text: str, repo: str) -> None:
    location = parse_store(text)
    assert location == LiveLocation(repo)
    assert str(location) == text
    with pytest.raises(UsageError, match=f"The store {text} is the table that the Butler keeps itself"):
        open_writer(location, columns=[], properties={})


@pytest.mark.parametrize(
    ("text", "place", "shown"),
    [
        ("parquet:some/folder", Path("some/folder"), "parquet:some/folder"),
        ("parquet:/data/a store", Path("/data/a store"), "parquet:/data/a store"),
        ("Parquet:///data/a%20store", Path("/data/a store"), "parquet:/data/a store"),
        ("parquet:file:///data/x", Path("/data/x"), "parquet:/data/x"),
        ("s3://bucket/a/b/", "s3://bucket/a/b", "s3://bucket/a/b"),
        ("parquet:S3://mine@bucket", "s3://mine@bucket", "s3://mine@bucket"),
        ("parquet:https://host/x", "https://host/x", "parquet:https://host/x"),
        ("parquet:https://me:s3cret@host/x", "https://me:s3cret@host/x", "parquet:https://me:***@host/x"),
    ],
)
def test_folder_of_parquet_files(text: str, place: Path | str, shown: str) -> None:
    location = parse_store(text)
    assert location == ParquetLocation(place)
    assert str(location) == shown
    assert "s3cret" not in repr(location)


def test_folder_may_have_its_name() -> None:
    assert parse_store("./live") == StoreLocation(Path("live"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" ", "The store has no name; give the path of a folder"),
        ("duckdb://host/path", "has three slashes and a path"),
        ("duckdb:///", "has three slashes and a path"),
        ("duckdb:///path?x=1", "has three slashes and a path"),
        ("ftp://host/path", "has the scheme 'ftp'; give the path of a folder, duckdb"),
        ("parquet:", "behind parquet: stands the path of a folder or its URL"),
        ("parquet:////", "behind parquet: stands the path of a folder or its URL"),
        ("parquet://bucket/path", "behind parquet: stands the path of a folder or its URL"),
        ("parquet:ftp://host/path", "is in a folder, or at s3://, https://"),
        ("parquet:s3:///path", "is in a folder, or at s3://, https://"),
        ("s3://bucket/path?versionId=1", "is in a folder, or at s3://, https://"),
        ("parquet:http://[x/path", "is in a folder, or at s3://, https://"),
        ("postgresql://host/db?schema=pg_x", "has the schema 'pg_x'; give a name of 1 to 30 bytes"),
        ("postgresql://host/db?table=", "has the table ''; give a name"),
    ],
)
def test_other_names_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        parse_store(text)


@pytest.mark.parametrize(
    ("text", "conninfo", "schema", "table", "shown"),
    [
        ("postgresql://h/db", "postgresql://h/db", "ivoa", "obscore", "postgresql://h/db?schema=ivoa"),
        (
            "postgres://me:s3cr%40t@h:5433/db?sslmode=require&schema=x&table=y",
            "postgresql://me:s3cr%40t@h:5433/db?sslmode=require",
            "x",
            "y",
            "postgresql://me@h:5433/db?sslmode=require&schema=x&table=y",
        ),
        (
            "PostgreSQL:///db?host=/var/run&password=s3cret&sslpassword=s3cret",
            "postgresql:///db?host=%2Fvar%2Frun&password=s3cret&sslpassword=s3cret",
            "ivoa",
            "obscore",
            "postgresql:///db?host=/var/run&schema=ivoa",
        ),
        (
            "postgresql://me@[::1]:5432,h2/db",
            "postgresql://me@[::1]:5432,h2/db",
            "ivoa",
            "obscore",
            "postgresql://me@[::1]:5432,h2/db?schema=ivoa",
        ),
    ],
)
def test_database(text: str, conninfo: str, schema: str, table: str, shown: str) -> None:
    location = parse_store(text)
    assert location == PostgresLocation(conninfo, schema, table)
    assert str(location) == shown
    assert str(parse_store(shown)) == shown
    assert "s3cr" not in repr(location)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:s3cr/et@host/db",
        "postgresql://me:s3cr@et@host/db",
        "postgresql://me:s3cr:et@host/db/more",
        "postgresql://me:s3cr?et@host/db",
        "postgresql://me:s3cr#et@host/db",
        "postgresql://me:123/s3cret@host/db",
        "postgresql://me:123?s3cret@host/db",
        "postgresql://me:[s3cret@host/db",
        "postgresql://me:s3cret@host",
        "postgresql://me:s3cret@host:port/db",
        "postgresql://me:s3cret@host/db?schema",
    ],
)
def test_url_that_hides_a_password_badly_is_refused_without_it(text: str) -> None:
    with pytest.raises(UsageError, match="The URL of the store cannot be read; give postgresql://") as caught:
        parse_store(text)
    assert "s3cr" not in str(caught.value)
    assert caught.value.value is None
