"""From ADQL text to a tree: the grammar of ADQL 2.1, strictly.

sqlglot's own parser takes far more than ADQL (LIMIT, PIVOT, joins without a
condition), so that queries are read here, rule by rule, into its nodes.
"""

from __future__ import annotations

__all__ = ["parse_adql"]

from collections.abc import Callable

from sqlglot import TokenType, exp

from .._tree import mark, place_of, quoted
from ._cursor import is_name, word_of
from ._expressions import Expressions
from ._tokens import query_error

_MOST_LEVELS = 150
"""Levels of a tree.  Those who walk it later take up to five of Python's
thousand frames for each; a hundred terms added up are a hundred levels."""

_SET_OPERATORS: dict[str, type[exp.SetOperation]] = {
    "UNION": exp.Union,
    "EXCEPT": exp.Except,
    "INTERSECT": exp.Intersect,
}
_MOST_TABLE_PARTS = 3


def parse_adql(text: str) -> exp.Query:
    """Parse a query.

    Parameters
    ----------
    text
        ADQL 2.0 or 2.1.

    Returns
    -------
    tree : `sqlglot.exp.Query`
        Names as they are written; functions are ``Anonymous`` nodes, whose
        positions on the sky are pairs of numbers.  Whether names, functions
        and types exist is not asked here.

    Raises
    ------
    QueryError
        Raised, with the place, for what is not ADQL.

    References
    ----------
    ADQL 2.1, appendix A.
    """
    queries = _Queries(text)
    queries.check_size()
    tree = queries.whole()
    _check_levels(tree, text)
    return tree


def _check_levels(tree: exp.Expr, text: str) -> None:
    waiting = [(tree, 1)]
    while waiting:
        node, level = waiting.pop()
        if level > _MOST_LEVELS:
            raise query_error(
                text,
                f"The query is more than {_MOST_LEVELS} levels deep; write it flatter, with shorter sums",
                *place_of(node),
            )
        waiting += [(child, level + 1) for child in node.iter_expressions()]


class _Queries(Expressions):
    def whole(self) -> exp.Query:
        """Read the text to its end."""
        ctes: list[exp.CTE] = []
        if self.take_word("WITH"):
            ctes.append(self._cte())
            while self.take_sign(TokenType.COMMA):
                ctes.append(self._cte())
        query = self._ordered()
        if self.token is not None:
            raise self._unread()
        if ctes:
            query.set("with_", exp.With(expressions=ctes))
        return query

    def subquery(self) -> exp.Subquery:
        with self.nested():
            if self.at_word("WITH"):
                raise self.unexpected("SELECT", hint="WITH stands at the beginning of the query alone")
            return exp.Subquery(this=self._ordered())

    def _cte(self) -> exp.CTE:
        name = self.name("a name for the query in WITH")
        self.expect_word("AS")
        query = self.subquery().this
        alias = mark(exp.TableAlias(this=name), *_place(name))
        return exp.CTE(this=query, alias=alias)

    def _ordered(self) -> exp.Query:
        query = self._set()
        ordered = self.take_word("ORDER")
        order = None
        if ordered:
            self.expect_word("BY")
            items = [self._order_item()]
            while self.take_sign(TokenType.COMMA):
                items.append(self._order_item())
            order = exp.Order(expressions=items)
        offset = None
        if self.take_word("OFFSET"):
            offset = exp.Offset(expression=self.whole_number("the rows to leave out"))
        if order is None and offset is None:
            return query
        if isinstance(query, exp.Subquery) or any(query.args.get(key) for key in ("order", "offset")):
            # (SELECT TOP 5 …) ORDER BY …: the parentheses are a query of their own.
            inner = query if isinstance(query, exp.Subquery) else exp.Subquery(this=query)
            inner.set("alias", exp.TableAlias(this=quoted("q")))
            query = exp.Select(expressions=[exp.Star()], from_=exp.From(this=inner))
        query.set("order", order)
        query.set("offset", offset)
        return query

    def _order_item(self) -> exp.Ordered:
        value = self.value()
        descending = self.take_word("ASC", "DESC") == "DESC"
        return exp.Ordered(this=value, desc=descending)

    def _set(self) -> exp.Query:
        # ADQL 2.1, 4.6.5: INTERSECT binds tighter.
        left = self._intersection()
        while (word := self.take_word("UNION", "EXCEPT")) is not None:
            left = self._combine(word, left, self._intersection)
        return left

    def _intersection(self) -> exp.Query:
        left = self._query_operand()
        while (word := self.take_word("INTERSECT")) is not None:
            left = self._combine(word, left, self._query_operand)
        return left

    def _combine(self, word: str, left: exp.Query, read_right: Callable[[], exp.Query]) -> exp.Query:
        every = self.take_word("ALL") is not None
        right = read_right()
        return _SET_OPERATORS[word](this=left, expression=right, distinct=not every)

    def _query_operand(self) -> exp.Query:
        if self.at_sign(TokenType.L_PAREN):
            inner = self.subquery()
            if isinstance(inner.this, exp.Subquery):
                return inner.this
            return inner
        return self._select()

    def _select(self) -> exp.Select:
        token = self.token
        self.expect_word("SELECT")
        select = exp.Select()
        if token is not None:
            mark(select, token.start, token.end + 1)
        quantifier = self.take_word("ALL", "DISTINCT")
        if quantifier == "DISTINCT":
            select.set("distinct", exp.Distinct())
        if self.take_word("TOP"):
            select.set("limit", exp.Limit(expression=self.whole_number("the most rows wanted (TOP)")))
            if self.at_word("DISTINCT", "ALL"):
                raise self.unexpected("a column", hint="DISTINCT comes before TOP")
        items = [self._select_item()]
        while self.take_sign(TokenType.COMMA):
            items.append(self._select_item())
        select.set("expressions", items)
        self.expect_word("FROM", "',' or FROM")
        first, *rest = self._tables()
        select.set("from_", exp.From(this=first))
        select.set("joins", [exp.Join(this=table) for table in rest])
        if self.take_word("WHERE"):
            select.set("where", exp.Where(this=self.condition()))
        if self.take_word("GROUP"):
            self.expect_word("BY")
            keys = [self.value()]
            while self.take_sign(TokenType.COMMA):
                keys.append(self.value())
            select.set("group", exp.Group(expressions=keys))
        if self.take_word("HAVING"):
            select.set("having", exp.Having(this=self.condition()))
        return select

    def _select_item(self) -> exp.Expr:
        token = self.token
        if token is not None and self.take_sign(TokenType.STAR):
            return mark(exp.Star(), token.start, token.end + 1)
        star = self._qualified_star()
        if star is not None:
            return star
        value = self.value()
        if self.take_word("AS"):
            alias = self.name("a name behind AS")
        elif self.at_name():
            alias = self.name("a name")
        else:
            return value
        return mark(exp.Alias(this=value, alias=alias), *_place(alias))

    def _qualified_star(self) -> exp.Column | None:
        ahead = 0
        while is_name(self.peek(ahead)) and _is_dot(self.peek(ahead + 1)):
            ahead += 2
            found = self.peek(ahead)
            if found is not None and found.token_type == TokenType.STAR:
                break
        else:
            return None
        parts = []
        while not self.at_sign(TokenType.STAR):
            parts.append(self.name("a table"))
            self.expect_sign(TokenType.DOT, "'.'")
        end = self.advance().end + 1
        keys = ("table", "db", "catalog")
        if len(parts) > len(keys):
            raise query_error(
                self.text, "A table has at most three names: catalog, schema, table", *_place(parts[0])
            )
        column = exp.Column(this=exp.Star(), **dict(zip(keys, reversed(parts), strict=False)))
        return mark(column, _place(parts[0])[0], end)

    def _tables(self) -> list[exp.Expr]:
        tables = [self._table_reference()]
        while self.take_sign(TokenType.COMMA):
            tables.append(self._table_reference())
        return tables

    def _table_reference(self) -> exp.Expr:
        left = self._table_primary()
        joins = []
        while (join := self._join()) is not None:
            joins.append(join)
        if joins:
            left.set("joins", joins)
        return left

    def _join(self) -> exp.Join | None:
        if not self.at_word("NATURAL", "INNER", "LEFT", "RIGHT", "FULL", "JOIN"):
            return None
        natural = self.take_word("NATURAL")
        side = self.take_word("INNER", "LEFT", "RIGHT", "FULL")
        if side in ("LEFT", "RIGHT", "FULL"):
            self.take_word("OUTER")
        start = self.token.start if self.token is not None else 0
        self.expect_word("JOIN")
        right = self._table_primary()
        join = exp.Join(this=right, side=None if side == "INNER" else side)
        mark(join, start, start + 4)
        if natural:
            if self.at_word("ON", "USING"):
                raise self.unexpected("no condition", hint="NATURAL joins on all columns of the same name")
            join.set("method", "NATURAL")
        elif self.take_word("ON"):
            join.set("on", self.condition())
        elif self.take_word("USING"):
            with self.nested():
                names = [self.name("a column")]
                while self.take_sign(TokenType.COMMA):
                    names.append(self.name("a column"))
            join.set("using", names)
        else:
            raise self.unexpected("ON or USING behind the joined table")
        return join

    def _table_primary(self) -> exp.Expr:
        if self.at_sign(TokenType.L_PAREN):
            behind = self.behind_parens()
            if word_of(self.peek()) in ("SELECT", "WITH") or is_name(behind) or word_of(behind) == "AS":
                return self._derived_table()
            with self.nested():
                return exp.Paren(this=self._table_reference())
        parts = [self.name("a table")]
        while self.take_sign(TokenType.DOT):
            parts.append(self.name("a name behind the dot"))
        if len(parts) > _MOST_TABLE_PARTS:
            raise query_error(
                self.text, "A table has at most three names: catalog, schema, table", *_place(parts[0])
            )
        table = exp.Table(**dict(zip(("this", "db", "catalog"), reversed(parts), strict=False)))
        mark(table, _place(parts[0])[0], _place(parts[-1])[1])
        if self.at_sign(TokenType.L_PAREN):
            raise self.unexpected("the end of the name of a table", hint="functions give no tables")
        alias = self._table_alias()
        if alias is not None:
            table.set("alias", alias)
        return table

    def _derived_table(self) -> exp.Subquery:
        query = self.subquery()
        alias = self._table_alias()
        if alias is None:
            raise self.unexpected("a name for the subquery, as in (SELECT ...) AS t")
        query.set("alias", alias)
        return query

    def _table_alias(self) -> exp.TableAlias | None:
        if self.take_word("AS"):
            name = self.name("a name behind AS")
        elif self.at_name() and not self._at_limit():
            name = self.name("a name")
        else:
            return None
        return mark(exp.TableAlias(this=name), *_place(name))

    def _at_limit(self) -> bool:
        # LIMIT is not reserved, but nobody means a table named so by LIMIT 5.
        behind = self.peek()
        return self.at_word("LIMIT") and behind is not None and behind.token_type == TokenType.NUMBER

    def _unread(self) -> Exception:
        if self._at_limit():
            return self.unexpected("the end of the query", hint="ADQL has no LIMIT; write SELECT TOP n")
        return self.unexpected("an operator, the next clause or the end of the query")


def _place(node: exp.Expr) -> tuple[int, int]:
    start, end = place_of(node)
    return start or 0, end or 0


def _is_dot(token: object) -> bool:
    return getattr(token, "token_type", None) == TokenType.DOT
