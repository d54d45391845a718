"""The published tables in PostgreSQL: the tables of the stores, as queries."""

from __future__ import annotations

__all__ = ["Formats", "PublishedTables", "World", "database_of", "select_formats"]

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from sqlglot import exp

from ....dali import Column
from ....store import FORMAT_PREFIX, LiveStore, PostgresLocation
from ....store.postgres import SCIRCLE, SPOINT, PostgresStore, shown_columns
from ..._catalog import OBSCORE_TABLE, Catalog, tap_schema_rows
from ..._tree import quoted
from ...dialects import postgres
from .._live import HIDDEN, select_hidden, select_public
from .._words import quote_name, quote_text

_TYPES = {
    "boolean": "boolean",
    "unsignedByte": "smallint",
    "short": "smallint",
    "int": "integer",
    "long": "bigint",
    "float": "real",
    "double": "double precision",
}
# All ASCII characters that a URL cannot have in a parameter as they are.
_ESCAPED = "%" + "".join(chr(code) for code in range(32, 127) if not re.match(r"[A-Za-z0-9_.~%-]", chr(code)))


type Formats = dict[str, frozenset[str | None]]
"""The different formats of texts, by column; `None` for texts that are NULL."""


@dataclass(frozen=True, slots=True)
class World:
    """The stores as they are, and what they are to queries."""

    stores: tuple[PostgresStore | LiveStore, ...]
    """What is read."""

    catalog: Catalog
    """What can be asked for."""

    formats: list[Formats] = field(default_factory=list, compare=False)
    """Of each store; empty until somebody needs them, which takes a while."""

    @property
    def is_indexed(self) -> bool:
        """Whether all have pgSphere's geometries, of one type, in their indexes."""
        live = [store for store in self.stores if isinstance(store, LiveStore)]
        return not live or (
            len(live) == len(self.stores)
            and all(store.region_column and store.position_column for store in live)
        )


def select_formats(store: PostgresStore | LiveStore) -> dict[str, str]:
    """Return what selects the different formats of a store's texts.

    Parameters
    ----------
    store
        The store.

    Returns
    -------
    queries : `dict` [`str`, `str`]
        By column; each gives one column of texts.  None where the store tells
        its formats.
    """
    if isinstance(store, LiveStore) or store.formats is not None:
        return {}
    place = _place_of(store)
    columns = {name: quote_name(f"{FORMAT_PREFIX}{name}") for name in store.formatted}
    return {name: f"SELECT DISTINCT {column} AS text FROM {place}" for name, column in columns.items()}


class PublishedTables:
    """The published tables, as queries in front of a query.

    Parameters
    ----------
    world
        The stores as they are.
    base_url
        Where ``access_url`` leads; `None` for what was exported.
    named
        Columns whose texts name the datasets of their rows.
    """

    def __init__(self, world: World, base_url: str | None, named: Collection[str] = ()) -> None:
        self._world = world
        self._service = base_url
        self._named = named

    def render(self, tree: exp.Query) -> str:
        """Write a query as SQL.

        Parameters
        ----------
        tree
            A planned query without predicates on geometries; not changed.

        Returns
        -------
        sql : `str`
        """
        tree = tree.copy()
        taken = {str(name.this) for name in tree.find_all(exp.Identifier)}
        made: dict[str, str] = {}
        for table in list(tree.find_all(exp.Table)):
            if table.args.get("db") is None:
                continue
            name = f"{table.db}.{table.name}"
            if name not in made:
                made[name] = next(
                    own
                    for number in range(len(taken) + 1)
                    if (own := f"vo_{len(made)}_{number}") not in taken
                )
                taken.add(made[name])
            table.set("db", None)
            table.set("this", quoted(made[name]))
        queries = [
            f"{quote_name(own)} AS NOT MATERIALIZED ({self._query(name, taken)})"
            for name, own in made.items()
        ]
        text = postgres.render(tree, named=self._named)
        if not queries:
            return text
        # A query has one WITH.
        own = f", {text.removeprefix('WITH ')}" if text.startswith("WITH ") else f" {text}"
        return f"WITH {', '.join(queries)}{own}"

    def _query(self, name: str, wanted: Collection[str]) -> str:
        if name != OBSCORE_TABLE:
            rows = tap_schema_rows(self._world.catalog)[name.partition(".")[2]]
            return _values(rows)
        columns = next(table.columns for table in self._world.catalog.tables if table.name == OBSCORE_TABLE)
        names = [column.name.strip('"') for column in columns]
        return " UNION ALL ".join(self._select(store, names, wanted) for store in self._world.stores)

    def _select(self, store: PostgresStore | LiveStore, names: Sequence[str], wanted: Collection[str]) -> str:
        own = {column.name.lower(): column for column in store.columns}
        ways = _ways(store)
        kinds = {column.name.lower(): column for item in self._world.stores for column in item.columns}
        parts: dict[str, str] = {}
        for name in names:
            key = name.lower()
            way = ways.get(key, f"CAST(NULL AS {_sql_type(kinds[key])})")
            if (
                key == "access_url"
                and self._service is not None
                and {"access_url", "obs_publisher_did"} <= set(own)
            ):
                links = quote_text(f"{self._service}/api/datalink/links?ID=")
                way = f"coalesce({links} || {_url_encoded(ways['obs_publisher_did'])}, {way})"
            parts[name] = way
        indexed = self._world.is_indexed
        if isinstance(store, LiveStore):
            parts |= select_hidden(store, indexed=indexed)
        else:
            parts |= {name: name for name in HIDDEN}
            if indexed:
                parts["_scircle"] = SCIRCLE
                parts["_spoint"] = SPOINT if store.has_place else "CAST(NULL AS spoint)"
        # A function that pgSphere does not call safe, even of a column that
        # nobody asks for, keeps the database from working in parallel.
        shown = [f"{way} AS {quote_name(name)}" for name, way in parts.items() if name in wanted]
        return f"SELECT {', '.join(shown or ['NULL'])} FROM {_place_of(store)}"


def database_of(source: PostgresLocation | LiveStore) -> PostgresLocation:
    """Return where the database of a source is.

    Parameters
    ----------
    source
        Where a store is, or what the Butler's own table is.

    Returns
    -------
    location : `~lsst.dax.vo.store.PostgresLocation`
    """
    return source.database if isinstance(source, LiveStore) else source


def _place_of(store: PostgresStore | LiveStore) -> str:
    if isinstance(store, LiveStore):
        return f"{quote_name(store.database.schema)}.{quote_name(store.database.table)}"
    return f"{quote_name(store.location.schema)}.{quote_name(store.table)}"


def _ways(store: PostgresStore | LiveStore) -> dict[str, str]:
    # What selects each public column.
    if isinstance(store, LiveStore):
        return {
            column.name.lower(): select_public(store, column, _sql_type(column)) for column in store.columns
        }
    return {
        column.name.lower(): part.as_string(None).rpartition(" AS ")[0] or quote_name(column.name)
        for column, part in zip(store.columns, shown_columns(store.columns, store.formatted), strict=True)
    }


def _values(rows: pa.Table) -> str:
    kinds = ['text COLLATE "C"' if field.type == pa.string() else "integer" for field in rows.schema]
    names = [quote_name(name) for name in rows.column_names]
    shown = [
        f"CAST({name} AS integer) AS {name}" if kind == "integer" else f'{name} COLLATE "C" AS {name}'
        for name, kind in zip(names, kinds, strict=True)
    ]
    lines = [
        "(" + ", ".join(_cell(value, kind) for value, kind in zip(row.values(), kinds, strict=True)) + ")"
        for row in rows.to_pylist()
    ]
    return f"SELECT {', '.join(shown)} FROM (VALUES {', '.join(lines)}) AS v ({', '.join(names)})"


def _cell(value: str | int | None, kind: str) -> str:
    if value is None:
        return "CAST(NULL AS integer)" if kind == "integer" else "CAST(NULL AS text)"
    return str(value) if isinstance(value, int) else quote_text(value)


def _url_encoded(text: str) -> str:
    # Signs of ASCII one by one, which is quick; other texts by their bytes.
    quick = text
    for sign in _ESCAPED:
        quick = f"replace({quick}, {quote_text(sign)}, '%{ord(sign):02X}')"
    byte = f"get_byte(convert_to({text}, 'UTF8'), i)"
    slow = (
        f"(SELECT string_agg(CASE WHEN chr({byte}) ~ '[A-Za-z0-9_.~-]' AND {byte} < 128 THEN chr({byte}) "
        f"ELSE '%' || lpad(upper(to_hex({byte})), 2, '0') END, '' ORDER BY i) "
        f"FROM generate_series(0, octet_length({text}) - 1) AS i)"
    )
    return f"CASE WHEN {text} ~ '^[ -~]*$' THEN {quick} ELSE {slow} END"


def _sql_type(column: Column) -> str:
    if column.datatype not in _TYPES:
        return "text"
    return _TYPES[column.datatype] + ("" if column.arraysize is None else "[]")
