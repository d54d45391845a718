"""Which tables and columns a name can mean at a place in a query."""

from __future__ import annotations

__all__ = ["Field", "Relation", "Scope", "Source", "make_column", "qualifiers_of"]

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlglot import exp

from ...dali import Column
from ...errors import QueryError
from .._tree import mark, place_of
from ._names import Names, nearest
from ._tokens import query_error


@dataclass(frozen=True, slots=True)
class Field:
    """One column that a table, or what was joined, offers."""

    name: str
    """Its name."""

    column: Column
    """Its metadata."""

    make: Callable[[], exp.Expr]
    """Makes the node that stands for it in the tree."""


@dataclass(frozen=True)
class Source:
    """One table in FROM."""

    names: tuple[str, ...]
    """Its names: the alias alone, or schema and table."""

    fields: tuple[Field, ...]
    """Its columns."""

    @cached_property
    def by_name(self) -> Names[Field]:
        """Its columns, by name."""
        return Names(self.fields, lambda field: field.name)


@dataclass(frozen=True, slots=True)
class Relation:
    """One table in FROM, or several that were joined."""

    sources: tuple[Source, ...]
    """The tables."""

    fields: tuple[Field, ...]
    """The columns of ``*``: those that NATURAL and USING merge come once,
    before all others."""


@dataclass(frozen=True)
class Scope:
    """What can be named at a place in a query."""

    text: str
    """The query, for messages."""

    relations: tuple[Relation, ...]
    """What FROM lists."""

    parent: Scope | None = None
    """What a subquery in a condition sees of the query around it."""

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """Columns of ``*``."""
        return tuple(field for relation in self.relations for field in relation.fields)

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """The tables."""
        return tuple(source for relation in self.relations for source in relation.sources)

    @cached_property
    def by_name(self) -> Names[Field]:
        """Columns of ``*``, by name."""
        return Names(self.fields, lambda field: field.name)

    @cached_property
    def _by_table(self) -> dict[str, list[Source]]:
        found: dict[str, list[Source]] = {}
        for source in self.sources:
            found.setdefault(source.names[-1].lower(), []).append(source)
        return found

    def find(self, node: exp.Column) -> Field | None:
        """Find the column that a name means, here or around.

        Parameters
        ----------
        node
            The name, qualified or not.

        Returns
        -------
        field : `Field` or `None`
            `None` for an unqualified name that no table has.

        Raises
        ------
        QueryError
            Raised if the name can mean several columns, or its table has no
            such column, or there is no such table.
        """
        qualifiers = qualifiers_of(node)
        scope: Scope | None = self
        while scope is not None:
            if not qualifiers:
                found = scope.by_name.match(node.this)
                if len(found) > 1:
                    raise self._ambiguous(node, found)
                if found:
                    return found[0]
            else:
                sources = scope.tables(qualifiers)
                if sources:
                    return self._in_source(node, sources[0])
            scope = scope.parent
        if qualifiers:
            raise self.no_table(node, qualifiers)
        return None

    def tables(self, qualifiers: Sequence[exp.Identifier]) -> list[Source]:
        """Return the tables that have these names.

        Parameters
        ----------
        qualifiers
            Names before a column: catalog, schema, table.

        Returns
        -------
        sources : `list` [`Source`]
        """
        return [
            source
            for source in self._by_table.get(qualifiers[-1].name.lower(), ())
            if len(source.names) >= len(qualifiers)
            and all(
                _matches(identifier, name)
                for identifier, name in zip(
                    qualifiers, source.names[len(source.names) - len(qualifiers) :], strict=True
                )
            )
        ]

    def unknown_column(self, node: exp.Column, others: Iterable[str] = ()) -> QueryError:
        """Make the error for a column that does not exist.

        Parameters
        ----------
        node
            Its name.
        others
            Further names that would have been accepted.

        Returns
        -------
        error : `QueryError`
        """
        known = [field.name for field in self.fields] + list(others)
        return query_error(
            self.text, f"There is no column {node.name!r}; {nearest(node.name, known)}", *place_of(node)
        )

    def no_table(self, node: exp.Column, qualifiers: Sequence[exp.Identifier]) -> QueryError:
        """Make the error for a table that FROM does not list.

        Parameters
        ----------
        node
            The column, or star, that names it.
        qualifiers
            The names of the table.

        Returns
        -------
        error : `QueryError`
        """
        given = ".".join(item.name for item in qualifiers)
        known = [".".join(source.names) for source in self.sources]
        return query_error(
            self.text, f"FROM lists no table {given!r}; {nearest(given, known)}", *place_of(node)
        )

    def _in_source(self, node: exp.Column, source: Source) -> Field:
        found = source.by_name.match(node.this)
        if len(found) > 1:
            raise self._ambiguous(node, found)
        if not found:
            known = [field.name for field in source.fields]
            raise query_error(
                self.text,
                f"{'.'.join(source.names)} has no column {node.name!r}; {nearest(node.name, known)}",
                *place_of(node),
            )
        return found[0]

    def _ambiguous(self, node: exp.Column, found: Sequence[Field]) -> QueryError:
        owners = [
            ".".join(source.names)
            for source in self.sources
            if any(field in source.fields for field in found)
        ]
        return query_error(
            self.text,
            f"{node.name!r} can be a column of {' or '.join(dict.fromkeys(owners))}; write it with its table",
            *place_of(node),
        )


def make_column(node: exp.Column, field: Field) -> exp.Expr:
    """Return the node of a column, at the place where its name stood.

    Parameters
    ----------
    node
        The name as it was written.
    field
        The column that it means.

    Returns
    -------
    node : `sqlglot.exp.Expr`
    """
    start, end = place_of(node)
    made = field.make()
    return made if start is None or end is None else mark(made, start, end)


def _matches(identifier: exp.Expr, name: str) -> bool:
    if identifier.args.get("quoted"):
        return bool(identifier.name == name)
    return bool(identifier.name.lower() == name.lower())


def qualifiers_of(node: exp.Column) -> list[exp.Identifier]:
    """Return the names before that of a column.

    Parameters
    ----------
    node
        The column, or a star with a table.

    Returns
    -------
    qualifiers : `list` [`sqlglot.exp.Identifier`]
        Of catalog, schema and table those that are written.
    """
    return [part for key in ("catalog", "db", "table") if (part := node.args.get(key)) is not None]
