"""Values and conditions of ADQL (2.1, section 2.2 and appendix A)."""

from __future__ import annotations

__all__ = ["WRITTEN_IN", "Expressions"]

import math
from abc import abstractmethod

from sqlglot import Token, TokenType, exp

from .._tree import call, function_name, join_conditions, mark, place_of, strip_parens
from ._casts import CAST_TYPES, SHAPES, read_shape
from ._cursor import Cursor, word_of
from ._functions import AGGREGATES, FUNCTIONS, GEOMETRIES
from ._tokens import RESERVED_WORDS, query_error

_COMPARISONS: dict[TokenType, type[exp.Binary]] = {
    TokenType.EQ: exp.EQ,
    TokenType.NEQ: exp.NEQ,
    TokenType.LT: exp.LT,
    TokenType.LTE: exp.LTE,
    TokenType.GT: exp.GT,
    TokenType.GTE: exp.GTE,
}
_OPERATORS: dict[TokenType, tuple[int, type[exp.Binary]]] = {
    TokenType.DPIPE: (1, exp.DPipe),
    TokenType.PLUS: (2, exp.Add),
    TokenType.DASH: (2, exp.Sub),
    TokenType.STAR: (3, exp.Mul),
    TokenType.SLASH: (3, exp.Div),
}
WRITTEN_IN = "written in"
"""Under which a coordinate has the function noted whose point it was taken of."""

_CONDITIONS = (exp.Predicate, exp.Connector, exp.Not, exp.Between)
_MOST_PARTS = 4
"""Of a column's name: catalog, schema, table, column."""


class Expressions(Cursor):
    """Reads values and conditions."""

    @abstractmethod
    def subquery(self) -> exp.Subquery:
        """Read a query in parentheses."""

    def condition(self) -> exp.Expr:
        """Read a condition."""
        node = self._or()
        if not _is_condition(node):
            raise self._no_condition(node)
        return node

    def value(self) -> exp.Expr:
        """Read a value."""
        node = self._operation(1)
        if _is_condition(node):
            raise query_error(self.text, "Expected a value, found a condition", *place_of(node))
        return node

    def _or(self) -> exp.Expr:
        parts = [self._and()]
        while self.take_word("OR"):
            parts.append(self._and())
        return self._connect(parts, exp.Or)

    def _and(self) -> exp.Expr:
        parts = [self._not()]
        while self.take_word("AND"):
            parts.append(self._not())
        return self._connect(parts, exp.And)

    def _connect(self, parts: list[exp.Expr], kind: type[exp.Connector]) -> exp.Expr:
        if len(parts) > 1:
            for part in parts:
                if not _is_condition(part):
                    raise self._no_condition(part)
        return join_conditions(parts, kind)

    def _not(self) -> exp.Expr:
        if self.take_word("NOT"):
            inner = self._predicate()
            if not _is_condition(inner):
                raise self._no_condition(inner)
            return exp.Not(this=inner)
        return self._predicate()

    def _predicate(self) -> exp.Expr:
        if self.take_word("EXISTS"):
            return exp.Exists(this=self.subquery().this)
        left = self._operation(1)
        token = self.token
        if token is not None and token.token_type in _COMPARISONS:
            self._check_value(left)
            self.advance()
            return _COMPARISONS[token.token_type](this=left, expression=self._operand())
        if self.take_word("IS"):
            self._check_value(left)
            negated = self.take_word("NOT")
            self.expect_word("NULL")
            found: exp.Expr = exp.Is(this=left, expression=exp.Null())
            return exp.Not(this=found) if negated else found
        negated = (
            self.take_word("NOT") if word_of(self.peek()) in ("BETWEEN", "IN", "LIKE", "ILIKE") else None
        )
        word = self.take_word("BETWEEN", "IN", "LIKE", "ILIKE")
        if word is None:
            return left
        self._check_value(left)
        match word:
            case "BETWEEN":
                low = self._operand()
                self.expect_word("AND", "AND of BETWEEN")
                found = exp.Between(this=left, low=low, high=self._operand())
            case "IN":
                found = self._membership(left)
            case "LIKE":
                found = exp.Like(this=left, expression=self._operand())
            case _:
                found = exp.ILike(this=left, expression=self._operand())
        return exp.Not(this=found) if negated else found

    def _membership(self, left: exp.Expr) -> exp.Expr:
        if word_of(self.peek()) in ("SELECT", "WITH"):
            return exp.In(this=left, query=self.subquery())
        with self.nested():
            values = [self.value()]
            while self.take_sign(TokenType.COMMA):
                values.append(self.value())
        return exp.In(this=left, expressions=values)

    def _operand(self) -> exp.Expr:
        node = self._operation(1)
        self._check_value(node)
        return node

    def _operation(self, least: int) -> exp.Expr:
        left = self._signed()
        while (token := self.token) is not None and token.token_type in _OPERATORS:
            strength, kind = _OPERATORS[token.token_type]
            if strength < least:
                break
            self._check_value(left)
            self.advance()
            right = self._operation(strength + 1)
            self._check_value(right)
            left = kind(this=left, expression=right)
        return left

    def _signed(self) -> exp.Expr:
        if self.at_sign(TokenType.PLUS, TokenType.DASH):
            sign = self.advance()
            inner = self._primary()
            self._check_value(inner)
            return mark(exp.Neg(this=inner), sign.start, sign.end + 1) if sign.text == "-" else inner
        return self._primary()

    def _primary(self) -> exp.Expr:
        token = self.token
        word = word_of(token)
        if token is None:
            raise self.unexpected("a value")
        if token.token_type == TokenType.NUMBER:
            return self._number()
        if token.token_type == TokenType.STRING:
            return mark(exp.Literal.string(self.advance().text), token.start, token.end + 1)
        if token.token_type == TokenType.L_PAREN:
            if word_of(self.peek()) in ("SELECT", "WITH"):
                self.advance()
                raise self.unexpected("a value")
            with self.nested():
                inner = self._or()
            return exp.Paren(this=inner)
        if word == "NULL":
            self.advance()
            return mark(exp.Null(), token.start, token.end + 1)
        opens = self.peek() is not None and self.peek().token_type == TokenType.L_PAREN  # type: ignore[union-attr]
        if (
            word is not None
            and opens
            and (word in FUNCTIONS or word not in RESERVED_WORDS or word in _OTHERS)
        ):
            return self._call(self.advance())
        return self.column()

    def _number(self) -> exp.Expr:
        token = self.advance()
        if math.isinf(float(token.text)):
            raise query_error(self.text, "This number is too large", token.start, token.end + 1)
        return mark(exp.Literal.number(token.text), token.start, token.end + 1)

    def column(self) -> exp.Column:
        """Read the name of a column, qualified or not."""
        parts = [self.name("a value")]
        while self.take_sign(TokenType.DOT):
            parts.append(self.name("a name behind the dot"))
        if len(parts) > _MOST_PARTS:
            start, end = place_of(parts[0])
            raise query_error(
                self.text, "A column has at most four names: catalog, schema, table, column", start, end
            )
        keys = ("this", "table", "db", "catalog")
        column = exp.Column(**dict(zip(keys, reversed(parts), strict=False)))
        return mark(column, place_of(parts[0])[0] or 0, place_of(parts[-1])[1] or 0)

    def _call(self, token: Token) -> exp.Expr:
        name = token.text.upper()
        if name == "CAST":
            return self._cast(token)
        arguments: list[exp.Expr] = []
        with self.nested():
            if name == "COUNT" and self.take_sign(TokenType.STAR):
                arguments = [exp.Star()]
            elif name in AGGREGATES:
                arguments = [self._aggregated()]
                while self.take_sign(TokenType.COMMA):
                    arguments.append(self.value())
            elif not self.at_sign(TokenType.R_PAREN):
                arguments = [self.value()]
                while self.take_sign(TokenType.COMMA):
                    arguments.append(self.value())
        frames: list[exp.Expr] = []
        if name in GEOMETRIES and arguments and _is_frame(arguments[0]):
            frames.append(arguments.pop(0))
        arguments = self._normalise(token, name, arguments, frames)
        node = mark(call(name, *arguments), token.start, token.end + 1)
        node.meta["frames"] = frames
        return node

    def _cast(self, token: Token) -> exp.Expr:
        with self.nested():
            value = self.value()
            self.expect_word("AS", "AS and a type")
            kind = self.take_word(*CAST_TYPES)
            if kind is None:
                raise self.unexpected(f"a type: {', '.join(CAST_TYPES)}")
            if kind == "DOUBLE":
                self.expect_word("PRECISION", "PRECISION behind DOUBLE")
            length = []
            if kind in ("CHAR", "VARCHAR") and self.at_sign(TokenType.L_PAREN):
                with self.nested():
                    length = [exp.DataTypeParam(this=self.whole_number("a length"))]
        literal = strip_parens(value)
        if kind in SHAPES and isinstance(literal, exp.Literal) and literal.is_string:
            return mark(read_shape(self.text, kind, literal), token.start, token.end + 1)
        target = exp.DataType(this=CAST_TYPES[kind], expressions=length)
        return mark(exp.Cast(this=value, to=target), token.start, token.end + 1)

    def _aggregated(self) -> exp.Expr:
        quantifier = self.take_word("ALL", "DISTINCT")
        value = self.value()
        return exp.Distinct(expressions=[value]) if quantifier == "DISTINCT" else value

    def _normalise(
        self, token: Token, name: str, arguments: list[exp.Expr], frames: list[exp.Expr]
    ) -> list[exp.Expr]:
        # ADQL 2.1, 4.2: where a position may be two numbers or a point, the
        # tree holds two numbers.
        count = len(arguments)
        match name, count:
            case ("CIRCLE", 2) | ("BOX", 3):
                return [*self._coordinates(name, arguments[0], frames), *arguments[1:]]
            case "IVO_HEALPIX_INDEX", 2:
                return [arguments[0], *self._coordinates(name, arguments[1], frames)]
            case "DISTANCE", 2:
                return [number for item in arguments for number in self._coordinates(name, item, frames)]
            case "POLYGON", _:
                points = [function_name(strip_parens(item)) == "POINT" for item in arguments]
                columns = all(isinstance(strip_parens(item), exp.Column) for item in arguments)
                if (points and all(points)) or (columns and (count < 6 or count % 2)):
                    if count < 3:
                        raise self._wrong_count(token, "three or more points")
                    return [number for item in arguments for number in self._coordinates(name, item, frames)]
                if any(points):
                    raise self._wrong_count(token, "either numbers or points, not both")
                if count < 6 or count % 2:
                    raise self._wrong_count(token, f"three or more pairs of numbers, not {count} numbers")
        return arguments

    def _coordinates(self, name: str, point: exp.Expr, frames: list[exp.Expr]) -> list[exp.Expr]:
        inner = strip_parens(point)
        if function_name(inner) == "POINT":
            frames += inner.meta["frames"]
            pair: list[exp.Expr] = inner.expressions
            return pair
        if isinstance(inner, exp.Literal | exp.Null):
            raise query_error(self.text, "Expected a point, such as POINT(10.5, -3)", *place_of(inner))
        start, end = place_of(inner)
        pair = [mark(call(part, inner.copy()), start or 0, end or 0) for part in ("COORD1", "COORD2")]
        for number in pair:
            # What messages are to be about.
            number.meta[WRITTEN_IN] = name
        return pair

    def _wrong_count(self, token: Token, expected: str) -> Exception:
        return query_error(self.text, f"{token.text.upper()} takes {expected}", token.start, token.end + 1)

    def _check_value(self, node: exp.Expr) -> None:
        if _is_condition(node):
            raise query_error(self.text, "Expected a value, found a condition", *place_of(node))

    def _no_condition(self, node: exp.Expr) -> Exception:
        name = function_name(strip_parens(node))
        if name in ("CONTAINS", "INTERSECTS"):
            message = f"{name} gives a number: compare it, as in {name}(...) = 1"
        else:
            message = "Expected a condition, found a value; compare it with something"
        return query_error(self.text, message, *place_of(node))


_SQL_FUNCTIONS = """
BIT_LENGTH CHAR_LENGTH CHARACTER_LENGTH CONVERT DATE DAY EXTRACT HOUR LEFT MINUTE MONTH NULLIF
OCTET_LENGTH POSITION RIGHT SECOND SPACE SUBSTRING TIME TIMESTAMP TRANSLATE TRIM YEAR
"""
_OTHERS = frozenset(["CAST", *_SQL_FUNCTIONS.split()])
"""Reserved words that look like functions: CAST, and those of SQL that ADQL does
not have, named so that the message is about the function."""


def _is_condition(node: exp.Expr) -> bool:
    return isinstance(strip_parens(node), _CONDITIONS)


def _is_frame(node: exp.Expr) -> bool:
    # ADQL 2.0 wants a coordinate system first, a literal (erratum 3) or NULL
    # (erratum 4); in 2.1 it is optional.
    return isinstance(node, exp.Null) or (isinstance(node, exp.Literal) and bool(node.is_string))
