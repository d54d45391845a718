"""What CAST makes, and geometries in the form of DALI."""

from __future__ import annotations

__all__ = ["CAST_TYPES", "HAS_DIGITS", "SHAPES", "read_shape"]

import re

from sqlglot import exp

from .._tree import call, mark, place_of
from ._tokens import query_error

CAST_TYPES = {
    "SMALLINT": exp.DType.SMALLINT,
    "INTEGER": exp.DType.INT,
    "BIGINT": exp.DType.BIGINT,
    "REAL": exp.DType.FLOAT,
    "DOUBLE": exp.DType.DOUBLE,
    "CHAR": exp.DType.CHAR,
    "VARCHAR": exp.DType.VARCHAR,
    "TIMESTAMP": exp.DType.TIMESTAMP,
    "POINT": exp.DType.POINT,
    "CIRCLE": exp.DType.OBJECT,
    "POLYGON": exp.DType.POLYGON,
}
"""First words of the types that CAST names (ADQL 2.1, 4.7)."""

HAS_DIGITS = "has digits"
"""Under which a CAST to a text has noted whether its number is none that is whole."""

SHAPES = {"POINT": 2, "CIRCLE": 3, "POLYGON": 6}
"""Types of CAST that are geometries, and the least count of numbers in their text."""

_FORMS = {
    "POINT": "write longitude and latitude in degrees, as in '12.3 45.6'",
    "CIRCLE": "write longitude, latitude and radius in degrees, as in '12.3 45.6 0.5'",
    "POLYGON": "write three or more pairs of longitude and latitude in degrees, as in '1 2 3 2 3 4'",
}
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?")


def read_shape(text: str, kind: str, literal: exp.Literal) -> exp.Anonymous:
    """Read a geometry.

    Parameters
    ----------
    text
        The query, for messages.
    kind
        ``POINT CIRCLE POLYGON``.
    literal
        A text in quotes.

    Returns
    -------
    node : `sqlglot.exp.Anonymous`
        The function that makes the same geometry of numbers.

    Raises
    ------
    QueryError
        Raised if the text is no such geometry.

    References
    ----------
    DALI 1.1, 3.3.5 to 3.3.7.
    """
    start, end = place_of(literal)
    words = str(literal.this).split()
    count = len(words)
    fits = count >= 6 and count % 2 == 0 if kind == "POLYGON" else count == SHAPES[kind]
    if not fits or not all(_NUMBER.fullmatch(word) for word in words):
        raise query_error(text, f"{literal.this!r} is no {kind}; {_FORMS[kind]}", start, end)
    numbers = []
    for word in words:
        digits = mark(exp.Literal.number(word.lstrip("+-")), start or 0, end or 0)
        numbers.append(mark(exp.Neg(this=digits), start or 0, end or 0) if word[0] == "-" else digits)
    node = call(kind, *numbers)
    node.meta["frames"] = []
    return node
