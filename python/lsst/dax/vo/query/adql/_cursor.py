"""A place in the tokens of a query, and what may follow there."""

from __future__ import annotations

__all__ = ["Cursor"]

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from sqlglot import Token, TokenType, exp

from ...errors import QueryError
from .._tree import mark, quoted
from ._tokens import RESERVED_WORDS, query_error, tokenize

_MOST_NESTED = 64
"""Parentheses inside one another: each takes some ten of the thousand frames
that Python has, and nobody reads more."""

_MOST_WORDS = 25_000
"""Words and signs of a query.  Planning looks at each some forty times, and a
database at what is written for it: 0.1 ms, which no limit of time interrupts.
Values in a list are looked at less; of these the length of a query is the
limit."""

_HINTS = {
    "CASE": "ADQL has no CASE",
    "CURRENT_DATE": "ADQL has no clock; write the time in quotes, as in '2026-01-31T12:00:00'",
    "CURRENT_TIME": "ADQL has no clock; write the time in quotes, as in '2026-01-31T12:00:00'",
    "CURRENT_TIMESTAMP": "ADQL has no clock; write the time in quotes, as in '2026-01-31T12:00:00'",
    "CROSS": "write a comma between the tables",
    "ESCAPE": "LIKE of ADQL has no ESCAPE",
    "FALSE": "ADQL has no truth values; compare with 0 or 1",
    "TRUE": "ADQL has no truth values; compare with 0 or 1",
    "FETCH": "write SELECT TOP n",
    "SELECT": "a subquery stands in FROM, IN (...) or EXISTS (...)",
}


class Cursor:
    """Steps through the tokens of a query.

    Parameters
    ----------
    text
        ADQL.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = tokenize(text)
        self._place = 0
        self._depth = 0

    def check_size(self) -> None:
        """Refuse a query that would take long to plan.

        Raises
        ------
        QueryError
            Raised at the first word or sign that is too much.
        """
        listed = (TokenType.NUMBER, TokenType.STRING, TokenType.COMMA)
        words = (token for token in self._tokens if token.token_type not in listed)
        too_many = next(islice(words, _MOST_WORDS, None), None)
        if too_many is not None:
            raise query_error(
                self.text,
                f"The query has more than {_MOST_WORDS} words and signs besides the values in lists; "
                "write IN or BETWEEN instead of OR, or send the values as a table with UPLOAD",
                too_many.start,
                too_many.end + 1,
            )

    @property
    def token(self) -> Token | None:
        """The token that is read next; `None` at the end."""
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def peek(self, ahead: int = 1) -> Token | None:
        """Return a token further on."""
        place = self._place + ahead
        return self._tokens[place] if place < len(self._tokens) else None

    def advance(self) -> Token:
        """Read a token."""
        token = self.token
        if token is None:
            raise self.unexpected("more of the query")
        self._place += 1
        return token

    def at_sign(self, *kinds: TokenType) -> bool:
        """Whether one of these signs comes next."""
        return self.token is not None and self.token.token_type in kinds

    def at_word(self, *words: str) -> bool:
        """Whether one of these words comes next."""
        return word_of(self.token) in words

    def take_sign(self, kind: TokenType) -> bool:
        """Read a sign, if it is there."""
        found = self.at_sign(kind)
        self._place += found
        return found

    def take_word(self, *words: str) -> str | None:
        """Read one of these words, if it is there."""
        if not self.at_word(*words):
            return None
        return word_of(self.advance())

    def expect_sign(self, kind: TokenType, expected: str) -> Token:
        """Read a sign that must be there."""
        if not self.at_sign(kind):
            raise self.unexpected(expected)
        return self.advance()

    def expect_word(self, word: str, expected: str | None = None) -> None:
        """Read a word that must be there."""
        if self.take_word(word) is None:
            raise self.unexpected(expected or word)

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Read the inside of parentheses and the closing one."""
        opening = self.expect_sign(TokenType.L_PAREN, "'('")
        self._depth += 1
        if self._depth > _MOST_NESTED:
            raise query_error(
                self.text,
                f"There are more than {_MOST_NESTED} parentheses inside one another; write the query flatter",
                opening.start,
                opening.end + 1,
            )
        yield
        if not self.at_sign(TokenType.R_PAREN) and self.token is None:
            raise query_error(self.text, "This '(' is never closed", opening.start, opening.end + 1)
        self.expect_sign(TokenType.R_PAREN, "')'")
        self._depth -= 1

    def behind_parens(self) -> Token | None:
        """Return the token behind the parentheses that open here."""
        depth = 0
        for place in range(self._place, len(self._tokens)):
            kind = self._tokens[place].token_type
            depth += (kind == TokenType.L_PAREN) - (kind == TokenType.R_PAREN)
            if depth == 0:
                return self.peek(place + 1 - self._place)
        return None

    def at_name(self) -> bool:
        """Whether a name comes next."""
        return is_name(self.token)

    def name(self, what: str) -> exp.Identifier:
        """Read a name.

        Parameters
        ----------
        what
            What it names, for the message.

        Returns
        -------
        identifier : `sqlglot.exp.Identifier`
            Quoted where the text quotes it.
        """
        token = self.token
        word = word_of(token)
        if token is not None and word in RESERVED_WORDS:
            hint = (
                f"{_HINTS[word]}" if word in _HINTS else f'as a name, write "{token.text}" in double quotes'
            )
            raise self.unexpected(what, hint=hint)
        if not is_name(token):
            raise self.unexpected(what)
        token = self.advance()
        identifier = (
            quoted(token.text)
            if token.token_type == TokenType.IDENTIFIER
            else exp.Identifier(this=token.text, quoted=False)
        )
        return mark(identifier, token.start, token.end + 1)

    def whole_number(self, what: str) -> exp.Literal:
        """Read digits.

        Parameters
        ----------
        what
            What they count, for the message.

        Returns
        -------
        literal : `sqlglot.exp.Literal`
        """
        token = self.token
        if token is None or token.token_type != TokenType.NUMBER or not token.text.isdigit():
            raise self.unexpected(f"{what}: digits alone, without a sign or parentheses")
        self.advance()
        digits = token.text.lstrip("0") or "0"
        # Databases count rows in 64 bits.
        count = digits if len(digits) <= 18 else "9" * 18
        return mark(exp.Literal(this=count, is_string=False), token.start, token.end + 1)

    def unexpected(self, expected: str, *, hint: str | None = None) -> QueryError:
        """Make the error for what comes next.

        Parameters
        ----------
        expected
            What was expected in its place.
        hint
            What to do, if that is known.

        Returns
        -------
        error : `QueryError`
        """
        token = self.token
        if token is None:
            end = len(self.text.rstrip())
            return query_error(
                self.text, f"The query ends where {expected} was expected", max(end - 1, 0), end
            )
        shown = self.text[token.start : token.end + 1]
        shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
        hint = hint or _HINTS.get(word_of(token) or "")
        return query_error(
            self.text,
            f"Expected {expected}, found {shown!r}" + (f"; {hint}" if hint else ""),
            token.start,
            token.end + 1,
        )


def word_of(token: Token | None) -> str | None:
    """Return a word in upper case.

    Parameters
    ----------
    token
        A token.

    Returns
    -------
    word : `str` or `None`
        `None` for what is no word.
    """
    return token.text.upper() if token is not None and token.token_type == TokenType.VAR else None


def is_name(token: Token | None) -> bool:
    """Whether a token is a name.

    Parameters
    ----------
    token
        A token.

    Returns
    -------
    found : `bool`
    """
    if token is None:
        return False
    if token.token_type == TokenType.IDENTIFIER:
        return True
    return token.token_type == TokenType.VAR and token.text.upper() not in RESERVED_WORDS
