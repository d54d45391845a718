"""Words, names, numbers and signs of ADQL text, and errors that point at them."""

from __future__ import annotations

__all__ = ["RESERVED_WORDS", "query_error", "tokenize"]

import re
from typing import ClassVar

from sqlglot import Token, Tokenizer, TokenType
from sqlglot.errors import TokenError

from ...errors import QueryError

# ADQL 2.1, 2.1.3: those of ADQL, then those of SQL92.
_RESERVED = """
ABS ACOS AREA ASIN ATAN ATAN2 BIGINT BOX CEILING CENTROID CIRCLE CONTAINS COORD1 COORD2 COORDSYS COS COT
DEGREES DISTANCE EXP FLOOR ILIKE INTERSECTS IN_UNIT LOG LOG10 MOD OFFSET PI POINT POLYGON POWER RADIANS
REGION RAND ROUND SIN SQRT TOP TAN TRUNCATE

ABSOLUTE ACTION ADD ALL ALLOCATE ALTER AND ANY ARE AS ASC ASSERTION AT AUTHORIZATION AVG BEGIN BETWEEN BIT
BIT_LENGTH BOTH BY CASCADE CASCADED CASE CAST CATALOG CHAR CHARACTER CHAR_LENGTH CHARACTER_LENGTH CHECK
CLOSE COALESCE COLLATE COLLATION COLUMN COMMIT CONNECT CONNECTION CONSTRAINT CONSTRAINTS CONTINUE CONVERT
CORRESPONDING COUNT CREATE CROSS CURRENT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER CURSOR
DATE DAY DEALLOCATE DECIMAL DECLARE DEFAULT DEFERRABLE DEFERRED DELETE DESC DESCRIBE DESCRIPTOR
DIAGNOSTICS DISCONNECT DISTINCT DOMAIN DOUBLE DROP ELSE END ESCAPE EXCEPT EXCEPTION EXEC EXECUTE EXISTS
EXTERNAL EXTRACT FALSE FETCH FIRST FLOAT FOR FOREIGN FOUND FROM FULL GET GLOBAL GO GOTO GRANT GROUP HAVING
HOUR IDENTITY IMMEDIATE IN INDICATOR INITIALLY INNER INPUT INSENSITIVE INSERT INT INTEGER INTERSECT
INTERVAL INTO IS ISOLATION JOIN KEY LANGUAGE LAST LEADING LEFT LEVEL LIKE LOCAL LOWER MATCH MAX MIN MINUTE
MODULE MONTH NAMES NATIONAL NATURAL NCHAR NEXT NO NOT NULL NULLIF NUMERIC OCTET_LENGTH OF ON ONLY OPEN
OPTION OR ORDER OUTER OUTPUT OVERLAPS PAD PARTIAL POSITION PRECISION PREPARE PRESERVE PRIMARY PRIOR
PRIVILEGES PROCEDURE PUBLIC READ REAL REFERENCES RELATIVE RESTRICT REVOKE RIGHT ROLLBACK ROWS SCHEMA
SCROLL SECOND SECTION SELECT SESSION SESSION_USER SET SIZE SMALLINT SOME SPACE SQL SQLCODE SQLERROR
SQLSTATE SUBSTRING SUM SYSTEM_USER TABLE TEMPORARY THEN TIME TIMESTAMP TIMEZONE_HOUR TIMEZONE_MINUTE TO
TRAILING TRANSACTION TRANSLATE TRANSLATION TRIM TRUE UNION UNIQUE UNKNOWN UPDATE UPPER USAGE USER USING
VALUE VALUES VARCHAR VARYING VIEW WHEN WHENEVER WHERE WITH WORK WRITE YEAR ZONE
"""
RESERVED_WORDS = frozenset(_RESERVED.split())
"""Words that are no names unless they stand in double quotes; upper case."""

# What each token must look like in the text: sqlglot's tokenizer also takes
# names with $ or accents, and 1e without an exponent.
_SPELLINGS = {
    TokenType.VAR: re.compile(r"[A-Za-z][A-Za-z0-9_]*"),
    TokenType.NUMBER: re.compile(r"([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"),
    TokenType.STRING: re.compile(r"'[^\0]*'"),
    TokenType.IDENTIFIER: re.compile(r'"[^\0]+"'),
}
_FOREIGN = (TokenType.UNKNOWN, TokenType.SEMICOLON, TokenType.NATIONAL_STRING)
_GAP = re.compile(r"([ \t\r\n\f]|--[^\r\n]*)*")


class _AdqlTokenizer(Tokenizer):
    # Words all come out as VAR: which of them means something depends on
    # where it stands, and that is the parser's to know.
    COMMENTS: ClassVar[list[str | tuple[str, str]]] = ["--"]
    KEYWORDS: ClassVar[dict[str, TokenType]] = {
        "<>": TokenType.NEQ,
        "!=": TokenType.NEQ,
        "<=": TokenType.LTE,
        ">=": TokenType.GTE,
        "||": TokenType.DPIPE,
    }
    COMMANDS: ClassVar[set[TokenType]] = set()
    SINGLE_TOKENS: ClassVar[dict[str, TokenType]] = {
        "(": TokenType.L_PAREN,
        ")": TokenType.R_PAREN,
        ",": TokenType.COMMA,
        ".": TokenType.DOT,
        "-": TokenType.DASH,
        "+": TokenType.PLUS,
        "*": TokenType.STAR,
        "/": TokenType.SLASH,
        "=": TokenType.EQ,
        "<": TokenType.LT,
        ">": TokenType.GT,
        ";": TokenType.SEMICOLON,
        **dict.fromkeys("!|%&^~?@#:[]{}\\'`\"", TokenType.UNKNOWN),
    }


_HINTS = {
    ";": "ADQL has no mark at its end, and one query at a time",
    "%": "use MOD(x, y)",
    "/*": "comments begin with --",
    "[": "names with other signs stand in double quotes",
    "`": "names with other signs stand in double quotes",
    "_": "names begin with a letter",
}


def tokenize(text: str) -> list[Token]:
    """Take ADQL text apart.

    Parameters
    ----------
    text
        A query.

    Returns
    -------
    tokens : `list` [`sqlglot.tokens.Token`]
        Words are ``VAR``; ``start`` and ``end`` are offsets into the text,
        the latter of the last character.

    Raises
    ------
    QueryError
        Raised for signs that ADQL does not have and for open quotes.

    References
    ----------
    ADQL 2.1, 2.1.
    """
    try:
        tokens = _AdqlTokenizer().tokenize(text)
    except TokenError as err:
        opening = _find_open_quote(text)
        raise query_error(text, "This quote is never closed", opening, opening + 1) from err
    tokens = _join_fractions(tokens)
    end = 0
    before: Token | None = None
    for token in tokens:
        _check_gap(text, end, token.start)
        spelling = text[token.start : token.end + 1]
        expected = _SPELLINGS.get(token.token_type)
        if token.token_type in _FOREIGN or (expected is not None and not expected.fullmatch(spelling)):
            raise _refuse(text, token.start, spelling)
        # 0x1F would be the number 0 with the alias x1F; but "> 10AND", which
        # programs that put queries together send, has one meaning only.
        if (
            before is not None
            and before.token_type == TokenType.NUMBER
            and token.token_type == TokenType.VAR
            and spelling.upper() not in RESERVED_WORDS
            and end == token.start
        ):
            raise query_error(
                text,
                f"The number {before.text} and {spelling!r} run together; leave a blank between them",
                before.start,
                token.end + 1,
            )
        before = token
        end = token.end + 1
    _check_gap(text, end, len(text))
    return tokens


def _join_fractions(tokens: list[Token]) -> list[Token]:
    # The tokenizer reads .5 as a dot and a number.
    joined: list[Token] = []
    for token in tokens:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.token_type == TokenType.DOT
            and token.token_type == TokenType.NUMBER
            and last.end + 1 == token.start
        ):
            joined[-1] = Token(
                TokenType.NUMBER,
                f".{token.text}",
                line=last.line,
                col=token.col,
                start=last.start,
                end=token.end,
            )
        else:
            joined.append(token)
    return joined


def query_error(text: str, message: str, start: int | None = None, end: int | None = None) -> QueryError:
    """Make an error that points into the query.

    Parameters
    ----------
    text
        The query.
    message
        What is wrong and what was expected.
    start, end
        Offsets of the first character at fault and of the one behind the
        last; `None` where no single place is at fault.

    Returns
    -------
    error : `QueryError`
        With line, column and the marked line.
    """
    if start is None:
        return QueryError(message)
    before = text[:start]
    line = before.count("\n") + 1
    column = start - (before.rfind("\n") + 1) + 1
    whole = text.split("\n")[line - 1].rstrip("\r")
    # Long lines are cut to what is around the mark.
    first = max(0, column - 1 - 60)
    shown = whole[first : first + 120].replace("\t", " ")
    length = max(1, min((end or start + 1) - start, first + len(shown) - (column - 1)))
    excerpt = f"{shown}\n{' ' * (column - 1 - first)}{'^' * length}"
    return QueryError(message, line=line, column=column, excerpt=excerpt)


def _check_gap(text: str, start: int, end: int) -> None:
    # The tokenizer leaves out more than blanks and comments: Jinja's {# #}.
    found = _GAP.match(text, start, end)
    stop = start if found is None else found.end()
    if stop != end:
        raise _refuse(text, stop, text[stop])


def _refuse(text: str, start: int, spelling: str) -> QueryError:
    hint = next((advice for sign, advice in _HINTS.items() if text.startswith(sign, start)), None)
    return query_error(
        text,
        f"{spelling!r} is not part of ADQL" + (f"; {hint}" if hint else ""),
        start,
        start + len(spelling),
    )


def _find_open_quote(text: str) -> int:
    closed = re.compile(r"""'[^']*'|"[^"]*"|--[^\r\n]*|[^'"]""")
    place = 0
    while place < len(text) and (found := closed.match(text, place)) is not None:
        place = found.end()
    return min(place, len(text) - 1)
