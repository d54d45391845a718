"""Names become tables and columns of the catalog, or errors.

Afterwards every table has an alias, every column its table, ``*`` is written
out, NATURAL and USING are ON, and every query knows its outputs.  A tree can
then name nothing that the catalog does not list.
"""

from __future__ import annotations

__all__ = ["resolve"]

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from sqlglot import exp

from ...dali import Column, Table
from .._catalog import bare_name
from .._passes import Context, error_at
from .._tree import mark, place_of, quoted, strip_parens
from ._names import Names, match_names, nearest
from ._relations import combine_relations
from ._scope import Field, Relation, Scope, Source, make_column, qualifiers_of
from ._types import as_shown, describe, note_column, outputs_of, set_outputs, widest

_MOST_COLUMNS = 1000
"""Columns of a query, and terms of GROUP BY and ORDER BY.  SELECT *, * FROM
(SELECT *, * FROM ...) doubles them with each level; DuckDB compares each term
of GROUP BY with all others."""
_MOST_TABLES = 100
"""Tables of a query, with those of a query of WITH wherever that is read:
databases take long to find an order for that many, and DuckDB writes out WITH
before any of its limits holds."""
_MOST_MERGED = 2_000
"""Columns that NATURAL and USING merge, each of which is a condition."""
_MOST_COPIED = 30_000
"""Nodes copied for names of outputs in GROUP BY, HAVING and ORDER BY, where
ten thousand names could each mean a long expression."""


def resolve(tree: exp.Query, context: Context) -> exp.Query:
    """Resolve all names.

    Parameters
    ----------
    tree
        As `parse_adql` makes it; it is changed.
    context
        Query and catalog.

    Returns
    -------
    tree : `sqlglot.exp.Query`
        The same, resolved.

    Raises
    ------
    QueryError
        Raised for names that are unknown, ambiguous or given twice.
    """
    resolver = _Resolver(context)
    with_ = tree.args.get("with_")
    for cte in with_.expressions if with_ is not None else ():
        resolver.add_cte(cte)
    resolver.query(tree, None)
    return tree


class _Aliases:
    """Names of the outputs of a query, and their values."""

    def __init__(self, values: Mapping[str, exp.Expr]) -> None:
        self.values = values
        self._names = Names(values, str)
        self._places = {name: place for place, name in enumerate(values)}

    def find(self, identifier: exp.Expr) -> str | None:
        """Return the output that has the name."""
        found = self._names.match(identifier)
        return found[0] if found else None

    def place_of(self, name: str) -> int:
        """Return the place of an output, from 0 on."""
        return self._places[name]

    @cached_property
    def by_value(self) -> dict[exp.Expr, int]:
        """Places of outputs, by what they are computed from; of the same, the first."""
        items = enumerate(self.values.values())
        return {strip_parens(value): place for place, value in reversed(list(items))}


_NO_ALIASES = _Aliases({})


class _Resolver:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._ctes: dict[str, tuple[Column, ...]] = {}
        self._weights: dict[str, int] = {}
        self._tables = 0
        self._named = 0
        self._copied = 0
        self._merged = 0

    def add_cte(self, cte: exp.CTE) -> None:
        """Resolve one query of WITH; it sees those before it."""
        name = self._own_name(cte.args["alias"].this)
        if any(name.lower() == known.lower() for known in self._ctes):
            raise error_at(self._context, cte.args["alias"], f"WITH has two queries named {name!r}")
        before = self._tables
        self.query(cte.this, None)
        self._ctes[name] = outputs_of(cte.this)
        # Its tables count where it is read.
        self._weights[name], self._tables = self._tables - before, before
        cte.args["alias"].set("this", quoted(name))

    def query(self, query: exp.Query, parent: Scope | None) -> None:
        """Resolve a query and note its outputs."""
        match query:
            case exp.Subquery():
                self.query(query.this, parent)
                set_outputs(query, outputs_of(query.this))
            case exp.SetOperation():
                self._set_operation(query, parent)
            case exp.Select():
                self._select(query, parent)

    def _set_operation(self, query: exp.SetOperation, parent: Scope | None) -> None:
        self.query(query.this, parent)
        self.query(query.expression, parent)
        left, right = outputs_of(query.this), outputs_of(query.expression)
        word = type(query).__name__.upper()
        if len(left) != len(right):
            raise error_at(
                self._context,
                query.expression,
                f"{word} combines queries with as many columns; these have {len(left)} and {len(right)}",
            )
        columns = []
        for first, second in zip(left, right, strict=True):
            datatype = widest((first, second))
            if datatype is None:
                raise error_at(
                    self._context,
                    query.expression,
                    f"{word} combines columns of one type; {first.name!r} is {first.datatype}, "
                    f"{second.name!r} is {second.datatype}",
                )
            # ADQL 2.1, 4.6: names and metadata are those of the first query.
            columns.append(replace(first, datatype=datatype))
        set_outputs(query, columns)
        self._order_outputs(query, columns)

    def _order_outputs(self, query: exp.SetOperation, columns: Sequence[Column]) -> None:
        order = query.args.get("order")
        if order is None:
            return
        self._check_terms(order)
        known = Names(range(len(columns)), lambda index: columns[index].name)
        for item in order.expressions:
            value = strip_parens(item.this)
            if self._is_position(value):
                self._check_position(value, len(columns))
                continue
            found: list[int] = []
            if isinstance(value, exp.Column) and not qualifiers_of(value):
                found = known.match(value.this)
            if not found:
                names = [column.name for column in columns]
                raise error_at(
                    self._context,
                    item,
                    "ORDER BY of combined queries takes names or numbers of their columns; "
                    + nearest(value.name, names),
                )
            item.set("this", exp.Literal.number(found[0] + 1))

    def _select(self, select: exp.Select, parent: Scope | None) -> None:
        text = self._context.text
        items = [select.args["from_"].this, *(join.this for join in select.args["joins"])]
        relations: list[Relation] = []
        for item in items:
            relations.append(self._relation(item, parent))
            self._check_names(item, [source for relation in relations for source in relation.sources])
        scope = Scope(text, tuple(relations), parent)
        self._outputs(select, scope)
        aliases = _Aliases({item.alias: item.this for item in select.expressions})
        for key in ("where", "having"):
            clause = select.args.get(key)
            if clause is not None:
                known = aliases if key == "having" else _NO_ALIASES
                clause.set("this", self._names(clause.this, scope, known))
        self._group(select, scope, aliases)
        self._order(select, scope, aliases)

    def _outputs(self, select: exp.Select, scope: Scope) -> None:
        # Name given by the query, name if there is no better one, value.
        wanted: list[tuple[str, str, exp.Expr]] = []
        for item in select.expressions:
            if isinstance(item, exp.Star):
                wanted += [("", field.name, field.make()) for field in scope.fields]
            elif isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
                sources = scope.tables(qualifiers_of(item))
                if not sources:
                    raise scope.no_table(item, qualifiers_of(item))
                wanted += [("", field.name, field.make()) for field in sources[0].fields]
            elif isinstance(item, exp.Alias):
                wanted.append((self._own_name(item.args["alias"]), "", self._names(item.this, scope)))
            else:
                plain = item.name if isinstance(item, exp.Column) else ""
                wanted.append(("", plain, self._names(item, scope)))
            if len(wanted) > _MOST_COLUMNS:
                raise error_at(
                    self._context, select, f"The query has {len(wanted)} columns; it may have {_MOST_COLUMNS}"
                )
        columns, projections = [], []
        taken: set[str] = set()
        # Names that the query gives are for the columns to which it gives them.
        reserved = {given.lower() for given, _, _ in wanted if given}
        for place, (given, plain, value) in enumerate(wanted, start=1):
            column = as_shown(describe(value))
            # A column keeps the spelling of the catalog, however it is written.
            own = given or column.name or plain or f"col_{place}"
            chosen = _unique(own, taken, frozenset() if given else reserved)
            columns.append(replace(column, name=chosen))
            projections.append(exp.Alias(this=value, alias=quoted(chosen)))
        select.set("expressions", projections)
        set_outputs(select, columns)

    def _group(self, select: exp.Select, scope: Scope, aliases: _Aliases) -> None:
        group = select.args.get("group")
        if group is None:
            return
        self._check_terms(group)
        keys = []
        for item in group.expressions:
            value = strip_parens(item)
            if self._is_position(value):
                self._check_position(value, len(select.expressions))
                keys.append(self._copy(select.expressions[int(value.this) - 1].this, item))
            else:
                keys.append(self._names(item, scope, aliases))
        group.set("expressions", keys)

    def _order(self, select: exp.Select, scope: Scope, aliases: _Aliases) -> None:
        order = select.args.get("order")
        if order is None:
            return
        self._check_terms(order)
        for item in order.expressions:
            value = strip_parens(item.this)
            if self._is_position(value):
                self._check_position(value, len(select.expressions))
                continue
            place: int | None = None
            if isinstance(value, exp.Column) and not qualifiers_of(value):
                # SQL92: the names of the outputs come first.
                named = aliases.find(value.this)
                place = aliases.place_of(named) if named is not None else None
            if place is None:
                item.set("this", self._names(item.this, scope, aliases))
                place = aliases.by_value.get(strip_parens(item.this))
            if place is not None:
                # The number of an output also works with DISTINCT.
                item.set("this", exp.Literal.number(place + 1))
            elif select.args.get("distinct") is not None:
                # SQL92, 13.1: of the rows that DISTINCT makes one, none is the first.
                raise error_at(
                    self._context, item, "ORDER BY takes columns of the result here, because of DISTINCT"
                )

    def _names(self, node: exp.Expr, scope: Scope, aliases: _Aliases = _NO_ALIASES) -> exp.Expr:
        if isinstance(node, exp.Column):
            field = scope.find(node)
            if field is not None:
                return make_column(node, field)
            found = aliases.find(node.this)
            if found is None:
                raise scope.unknown_column(node, aliases.values)
            return exp.Paren(this=self._copy(aliases.values[found], node))
        for key, value in list(node.args.items()):
            # Replaced one by one, forty thousand values take two minutes.
            if isinstance(value, list):
                new = [self._inner(child, scope, aliases) for child in value]
                if any(mine is not given for mine, given in zip(new, value, strict=True)):
                    node.set(key, new)
            else:
                mine = self._inner(value, scope, aliases)
                if mine is not value:
                    node.set(key, mine)
        return node

    def _inner(self, child: Any, scope: Scope, aliases: _Aliases) -> Any:
        if isinstance(child, exp.Query):
            self.query(child, scope)
        elif isinstance(child, exp.Expr):
            return self._names(child, scope, aliases)
        return child

    def _copy(self, value: exp.Expr, node: exp.Expr) -> exp.Expr:
        self._copied += sum(1 for _ in value.walk())
        if self._copied > _MOST_COPIED:
            raise error_at(
                self._context, node, "Names of outputs are used too often; compute them in a subquery"
            )
        return value.copy()

    def _relation(self, node: exp.Expr, parent: Scope | None) -> Relation:
        match node:
            case exp.Paren():
                relation = self._relation(node.this, parent)
            case exp.Subquery():
                relation = self._derived(node)
            case _:
                relation = self._table(node)
        for join in node.args.get("joins") or ():
            right = self._relation(join.this, parent)
            self._check_names(join.this, (*relation.sources, *right.sources))
            columns = len(relation.fields) + len(right.fields)
            relation = combine_relations(self._context, join, relation, right)
            self._merged += columns - len(relation.fields)
            if self._merged > _MOST_MERGED:
                raise error_at(
                    self._context,
                    join,
                    f"NATURAL and USING merge more than {_MOST_MERGED} columns; join with ON",
                )
            if join.args.get("on") is not None and not join.meta.get("merged"):
                scope = Scope(self._context.text, (relation,), parent)
                join.set("on", self._names(join.args["on"], scope))
        return relation

    def _derived(self, node: exp.Subquery) -> Relation:
        alias = self._own_name(node.args["alias"].this)
        self.query(node.this, None)
        set_outputs(node, outputs_of(node.this))
        node.args["alias"].set("this", quoted(alias))
        return _as_relation((alias,), alias, outputs_of(node))

    def _table(self, node: exp.Expr) -> Relation:
        parts = [part for key in ("catalog", "db", "this") if (part := node.args.get(key)) is not None]
        alias_node = node.args.get("alias")
        alias = self._own_name(alias_node.this) if alias_node is not None else None
        if len(parts) == 1:
            found = match_names(parts[0], self._ctes, str)
            if found:
                self._count(node, self._weights[found[0]])
                name = alias or found[0]
                _name_table(node, (found[0],), name)
                return _as_relation((name,), name, self._ctes[found[0]])
        self._count(node, 1)
        table = self._find_table(node, parts)
        schema, _, own = table.name.partition(".")
        name = alias or own
        _name_table(node, (schema, own), name)
        names = (name,) if alias else (schema, own)
        return _as_relation(names, name, table.columns)

    def _count(self, node: exp.Expr, tables: int) -> None:
        self._named += 1
        self._tables += tables
        if max(self._named, self._tables) > _MOST_TABLES:
            raise error_at(
                self._context,
                node,
                f"The query names more than {_MOST_TABLES} tables, "
                "those of WITH counted wherever they are read",
            )

    def _find_table(self, node: exp.Expr, parts: Sequence[exp.Identifier]) -> Table:
        given = ".".join(part.name for part in parts)
        tables = self._context.catalog.tables
        if len(parts) == 2:
            found = match_names(parts[0], tables, lambda table: table.schema)
            # Several tables have the schema; the exact spelling wins for one name alone.
            found = match_names(parts[1], found or (), lambda table: table.name.partition(".")[2])
            if found:
                return found[0]
        known = [table.name for table in tables] + list(self._ctes)
        # Somebody who leaves the schema out means the table of that name.
        same = [name for name in known if name.lower().endswith(f".{given.lower()}")]
        advice = f"did you mean {same[0]}?" if same else nearest(given, known)
        raise error_at(self._context, node, f"There is no table {given!r}; {advice}")

    def _check_names(self, node: exp.Expr, sources: Sequence[Source]) -> None:
        last: set[str] = set()
        for source in sources:
            name = source.names[-1].lower()
            if name in last:
                raise error_at(
                    self._context,
                    node,
                    f"Two tables in FROM are called {source.names[-1]!r}; give each its own name with AS",
                )
            last.add(name)

    def _own_name(self, identifier: exp.Expr) -> str:
        # Names with a leading _ belong to the engine, quoted ones too.
        name = str(identifier.name)
        if name.startswith("_"):
            raise error_at(
                self._context, identifier, f"{name!r} cannot be used as a name; begin it with a letter"
            )
        return name

    def _check_terms(self, clause: exp.Expr) -> None:
        count = len(clause.expressions)
        if count > _MOST_COLUMNS:
            word = "GROUP BY" if isinstance(clause, exp.Group) else "ORDER BY"
            raise error_at(self._context, clause, f"{word} has {count} terms; it may have {_MOST_COLUMNS}")

    def _is_position(self, node: exp.Expr) -> bool:
        return isinstance(node, exp.Literal) and not node.is_string

    def _check_position(self, node: exp.Expr, count: int) -> None:
        number = str(node.this)
        if not number.isdigit() or len(number) > len(str(count)) or not 1 <= int(number) <= count:
            raise error_at(self._context, node, f"There is no column {number[:20]}; the query has {count}")


def _name_table(node: exp.Expr, parts: Sequence[str], alias: str) -> None:
    start, end = place_of(node)
    for key, name in zip(("this", "db", "catalog"), [*reversed(parts), None, None], strict=False):
        node.set(key, quoted(name) if name is not None else None)
    node.set("alias", exp.TableAlias(this=quoted(alias)))
    mark(node, start or 0, end or 0)


def _as_relation(names: tuple[str, ...], alias: str, columns: Sequence[Column]) -> Relation:
    fields = tuple(_as_field(alias, column) for column in columns)
    return Relation((Source(names, fields),), fields)


def _as_field(alias: str, column: Column) -> Field:
    name = bare_name(column.name)
    plain = column if name == column.name else replace(column, name=name)

    def make() -> exp.Expr:
        return note_column(exp.Column(this=quoted(name), table=quoted(alias)), plain)

    return Field(name, plain, make)


def _unique(name: str, taken: set[str], reserved: Collection[str]) -> str:
    # TAP 1.1, 2.9 wants generated names to be unique; databases compare them
    # without case.
    chosen, count = name, 1
    while chosen.lower() in taken or chosen.lower() in reserved:
        count += 1
        chosen = f"{name}_{count}"
    taken.add(chosen.lower())
    return chosen
