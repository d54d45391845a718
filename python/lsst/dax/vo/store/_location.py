"""Where a store is, as people write it."""

from __future__ import annotations

__all__ = [
    "FileLocation",
    "LiveLocation",
    "Location",
    "OwnLocation",
    "ParquetLocation",
    "PostgresLocation",
    "StoreLocation",
    "parse_store",
]

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from ..errors import UsageError, without_secrets

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_LIVE = "live"
_PARQUET = "parquet"
_ACCEPTED = (
    "give the path of a folder, duckdb:///path/of/the/folder, parquet:/path/of/the/folder or "
    "s3://bucket/folder for a store of Parquet files, postgresql://user@host/database?schema=ivoa, "
    "or live:REPO for the table that the Butler keeps itself"
)
# Where lsst.resources finds files; only in the first one tables are written.
_OBJECTS = ("s3", "https", "http", "gs", "dav", "davs")
_SCHEMA = "ivoa"
_TABLE = "obscore"
# PostgreSQL cuts longer names off, and the tables have 33 characters more.
_MOST_NAME_BYTES = 30
_SECRETS = ("password", "secret")
_HOSTS = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^:@/\[\]]*)(:[0-9]*)?")


@final
@dataclass(frozen=True, slots=True)
class StoreLocation:
    """Where a store in DuckDB is."""

    path: Path
    """The folder."""

    def __str__(self) -> str:
        return str(self.path)


@final
@dataclass(frozen=True, slots=True)
class ParquetLocation:
    """Where a store of Parquet files is."""

    place: Path | str
    """A folder: of this machine a path, else a URL that `lsst.resources` knows."""

    def __repr__(self) -> str:
        return f"ParquetLocation({str(self)!r})"

    def __str__(self) -> str:
        if isinstance(self.place, Path):
            return f"{_PARQUET}:{self.place}"
        shown = without_secrets(self.place, self.place)
        return shown if shown.startswith("s3:") else f"{_PARQUET}:{shown}"


@final
@dataclass(frozen=True, slots=True)
class PostgresLocation:
    """Where a store in PostgreSQL is; its text never holds a password."""

    conninfo: str = field(repr=False)
    """URL of the database for libpq, perhaps with a password."""

    schema: str = _SCHEMA
    """Schema of its tables."""

    table: str = _TABLE
    """Name of its view; its tables' names begin with it."""

    def __str__(self) -> str:
        parts = urlsplit(self.conninfo)
        user, at, hosts = parts.netloc.rpartition("@")
        shown = [
            (name, value)
            for name, value in parse_qsl(parts.query, keep_blank_values=True)
            if not any(word in name.lower() for word in _SECRETS)
        ]
        shown.append(("schema", self.schema))
        if self.table != _TABLE:
            shown.append(("table", self.table))
        query = urlencode(shown, safe="/", quote_via=quote)
        return f"postgresql://{user.partition(':')[0]}{at}{hosts}{parts.path}?{query}"


@final
@dataclass(frozen=True, slots=True)
class LiveLocation:
    """Where the Butler's own table is: in the registry of a repository."""

    repo: str = ""
    """Path, URI or label of the repository; empty for the one that is served."""

    def __str__(self) -> str:
        return f"{_LIVE}:{without_secrets(self.repo, self.repo)}" if self.repo else _LIVE


type FileLocation = StoreLocation | ParquetLocation
"""Where tables are files."""

type OwnLocation = FileLocation | PostgresLocation
"""Where tables are that this package writes."""

type Location = OwnLocation | LiveLocation
"""Where tables are."""


def parse_store(text: str) -> Location:
    """Parse the name of a store.

    Parameters
    ----------
    text
        A path, ``duckdb:///`` and an absolute path, or a ``postgresql://``
        URL as libpq takes it.  Of the latter's parameters two are ours:
        ``schema``, by default ``ivoa``, and ``table``, by default ``obscore``.
        For a store of Parquet files, ``parquet:`` and a path or the URL of a
        folder, as in ``parquet:s3://bucket/folder``, which may also be given
        alone: nothing else can be in a bucket.  Or ``live:`` and a repository,
        for the table that daf_butler keeps in its registry; ``live`` alone is
        that of the repository beside which it is named.

    Returns
    -------
    location : `StoreLocation`, `ParquetLocation`, `PostgresLocation` or `LiveLocation`
        Whether there is a store is not looked at.

    Raises
    ------
    UsageError
        Raised if it is none of these.
    """
    if not text.strip():
        raise UsageError(f"The store has no name; {_ACCEPTED}", value=text)
    kind, _, repo = text.partition(":")
    if kind == _LIVE:
        # A folder of that name can be written ./live.
        return LiveLocation(repo)
    if kind.lower() == _PARQUET:
        return _parse_parquet(repo)
    if _SCHEME.match(text) is None:
        return StoreLocation(Path(text))
    scheme = text.partition(":")[0].lower()
    match scheme:
        case "duckdb":
            return _parse_folder(text)
        case "s3":
            return _parse_parquet(text)
        case "postgresql" | "postgres":
            return _parse_database(text)
    raise UsageError(f"The store has the scheme {scheme!r}; {_ACCEPTED}")


def _parse_folder(text: str) -> StoreLocation:
    parts = urlsplit(text)
    if parts.netloc or parts.query or parts.fragment or not parts.path.strip("/"):
        raise UsageError(
            f"The store {text!r} is not accepted; a duckdb URL has three slashes and a path: {_ACCEPTED}",
            value=text,
        )
    return StoreLocation(Path(unquote(parts.path)))


def _parse_parquet(place: str) -> ParquetLocation:
    scheme, separator, _ = place.partition("://")
    if not separator:
        # As a URL, parquet:///path has an empty host.
        path = place.removeprefix("//") if place.startswith("///") else place
        if path.startswith("//") or not path.strip("/"):
            raise UsageError(
                f"The store {_PARQUET}:{place} is not accepted; behind {_PARQUET}: stands the path of a "
                f"folder or its URL: {_ACCEPTED}",
                value=place,
            )
        return ParquetLocation(Path(unquote(path) if path != place else path))
    scheme = scheme.lower()
    try:
        parts = urlsplit(place)
    except ValueError:
        parts = urlsplit("")
    if scheme == "file" and not parts.netloc and parts.path.strip("/"):
        return ParquetLocation(Path(unquote(parts.path)))
    if scheme not in _OBJECTS or not parts.netloc or parts.query or parts.fragment:
        shown = without_secrets(place, place)
        raise UsageError(
            f"The store {shown} is not accepted; a store of Parquet files is in a folder, or at "
            f"{', '.join(f'{name}://' for name in _OBJECTS)}, a host or bucket and a path: {_ACCEPTED}"
        )
    return ParquetLocation(f"{scheme}{place[len(scheme) :]}".rstrip("/"))


def _parse_database(text: str) -> PostgresLocation:
    # The text may hold a password, so it is not repeated, and what a password
    # with / @ : # ? in it would be taken for is refused here: libpq's own
    # messages would show the parts.
    try:
        parts = urlsplit(text)
        parameters = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as err:
        raise _unreadable_url() from err
    *_, hosts = parts.netloc.rpartition("@")
    if (
        parts.netloc.count("@") > 1
        or any(_HOSTS.fullmatch(host) is None for host in hosts.split(","))
        or not re.fullmatch(r"/[^/@]+", parts.path)
        or "#" in text
        or any("@" in name or "/" in name for name, _ in parameters)
    ):
        raise _unreadable_url()
    own = {name: value for name, value in parameters if name in ("schema", "table")}
    for name, value in own.items():
        if not value or value.startswith("pg_") or len(value.encode()) > _MOST_NAME_BYTES or "\0" in value:
            raise UsageError(
                f"The store has the {name} {value!r}; give a name of 1 to {_MOST_NAME_BYTES} bytes "
                "that does not begin with 'pg_'"
            )
    rest = [(name, value) for name, value in parameters if name not in own]
    query = urlencode(rest, quote_via=quote)
    conninfo = f"postgresql://{parts.netloc}{parts.path}{'?' if query else ''}{query}"
    return PostgresLocation(conninfo, own.get("schema", _SCHEMA), own.get("table", _TABLE))


def _unreadable_url() -> UsageError:
    return UsageError(
        "The URL of the store cannot be read; give postgresql://user:password@host:port/database?schema=ivoa,"
        " in the password with %2F for /, %40 for @, %3A for :, %3F for ? and %23 for #"
    )
