"""What geometries of a query are made of, and what is found out about them, as values in it."""

from __future__ import annotations

__all__ = ["Decode", "Made", "hash_of", "list_answers", "look_up", "read_made"]

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from sqlglot import exp

from .._tree import call, function_name, join_conditions, strip_parens
from ..geometry._kernels import SQL_FUNCTIONS

type Decode = Callable[[pa.Array], pa.Array]
"""From regions as tables have them to encodings of sphgeom."""

_MAKERS: dict[str, Callable[..., pa.Array]] = {
    item.name: item.function for item in SQL_FUNCTIONS if item.gives == "blob"
}


@dataclass(frozen=True, slots=True)
class Made:
    """A geometry of a query."""

    name: str
    """The function that makes it; empty for a region, or a constant."""

    inputs: tuple[exp.Expr, ...]
    """What it is made of; none for a constant."""

    keys: tuple[exp.Expr, ...]
    """By what it is told from others: the inputs, or a hash."""

    constant: bytes | None = None
    """Its bytes."""

    @property
    def is_hashed(self) -> bool:
        """Whether the key is a hash, the second input, of the first one."""
        return len(self.keys) < len(self.inputs)

    @property
    def is_region(self) -> bool:
        """Whether it is the region of a table."""
        return not self.name and self.constant is None

    def evaluate(self, columns: Sequence[pa.Array], count: int, decode: Decode) -> pa.Array:
        """Return encodings.

        Parameters
        ----------
        columns
            Values of the inputs.
        count
            Of rows.
        decode
            For regions.

        Returns
        -------
        encodings : `pyarrow.Array`
            NULL where there is no geometry.
        """
        if self.constant is not None:
            return pa.array([self.constant] * count, pa.binary())
        if not self.name:
            return decode(columns[0])
        columns = columns[: 1 if self.is_hashed else len(self.inputs)]
        if self.name == "vo_polygon" and not self.is_hashed:
            rows = [list(row) for row in zip(*(column.to_pylist() for column in columns), strict=True)]
            columns = [pa.array(rows, pa.list_(pa.float64()))]
        return _MAKERS[self.name](*columns)

    def matches(self, columns: Sequence[pa.Array]) -> list[pa.Array]:
        """Return values of the keys, from those of the inputs."""
        return list(columns[1:2] if self.is_hashed else columns[: len(self.inputs)])


def read_made(node: exp.Expr) -> Made | None:
    """Read how a geometry is made.

    Parameters
    ----------
    node
        In the words of `lower`.

    Returns
    -------
    made : `Made` or `None`
        `None` for NULL.
    """
    node = strip_parens(node)
    name = function_name(node) or ""
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.Null):
        return None
    if name == "vo_blob":
        return Made("", (), (), bytes.fromhex(str(node.expressions[0].this)))
    if name not in _MAKERS:
        # The region of a table, or one of several.
        return Made("", (node,), (node,))
    inputs = tuple(node.expressions)
    if name == "vo_region" or (name == "vo_polygon" and not isinstance(inputs[0], exp.Array)):
        # No list tells texts and arrays from others.
        key = hash_of(inputs)
        return Made(name, (inputs[0], key), (key,))
    if name == "vo_polygon":
        inputs = tuple(inputs[0].expressions)
    double = exp.DataType(this=exp.DType.DOUBLE)
    casts = tuple(exp.Cast(this=item.copy(), to=double.copy()) for item in inputs)
    return Made(name, casts, casts)


def hash_of(keys: Sequence[exp.Expr]) -> exp.Expr:
    """Return the hash of values of one row; NULL if any is.

    Parameters
    ----------
    keys
        The values; copied.

    Returns
    -------
    hash : `sqlglot.exp.Expr`
    """
    texts = [exp.Cast(this=key.copy(), to=exp.DataType(this=exp.DType.TEXT)) for key in keys]
    whole: exp.Expr = texts[0]
    for text in texts[1:]:
        comma = exp.DPipe(this=whole, expression=exp.Literal.string(","))
        whole = exp.DPipe(this=comma, expression=text)
    return exp.Anonymous(this="md5", expressions=[whole])


def look_up(
    key: exp.Expr, hashes: pa.Array, values: Sequence[float | list[float] | None], target: exp.DataType
) -> exp.Expr:
    """Return what gives the value that belongs to a hash.

    Parameters
    ----------
    key
        The hash.
    hashes, values
        Known ones.
    target
        Type of the values.

    Returns
    -------
    value : `sqlglot.exp.Expr`
        NULL for other hashes.
    """
    # An object of JSON is searched by halves; a list of cases is not.
    known = {
        own: "{" + ",".join(map(repr, value)) + "}" if isinstance(value, list) else repr(value)
        for own, value in zip(hashes.to_pylist(), values, strict=True)
        if value is not None
    }
    table = exp.Cast(this=exp.Literal.string(json.dumps(known)), to=exp.DataType(this=exp.DType.JSONB))
    found = exp.Anonymous(this="jsonb_object_field_text", expressions=[table, key.copy()])
    return exp.Cast(this=found, to=target)


def list_answers(
    keys: Sequence[exp.Expr], columns: Sequence[pa.Array], answers: pa.Array, certain: exp.Expr | None
) -> exp.Expr:
    """Return the test whose answers are known.

    Parameters
    ----------
    keys
        What tells geometries from others.
    columns
        Their values.
    answers
        Booleans; NULL where numbers make no geometry.
    certain
        What else fulfils it.

    Returns
    -------
    condition : `sqlglot.exp.Expr`
        False for other values, and NULL for NULL.
    """
    yes, unknown = (
        np.flatnonzero(np.asarray(mask)) for mask in (answers.fill_null(False), answers.is_null())
    )
    complete = np.logical_and.reduce([np.asarray(column.is_valid()) for column in columns])
    unknown = unknown[complete[unknown]]
    found = _is_in(keys, columns, yes)
    if certain is not None:
        found = exp.Or(this=certain, expression=found)
    known = [exp.Not(this=exp.Is(this=key.copy(), expression=exp.Null())) for key in keys]
    conditions = [exp.If(this=join_conditions(known, exp.And), true=found)]
    if len(unknown):
        nothing = exp.If(this=_is_in(keys, columns, unknown), true=exp.Null())
        conditions.insert(0, nothing)
    return exp.Case(ifs=conditions)


def _is_in(keys: Sequence[exp.Expr], columns: Sequence[pa.Array], rows: np.ndarray) -> exp.Expr:
    if not len(rows):
        return exp.Boolean(this=False)
    chosen = pa.array(rows)
    lists = [_write_list(column.take(chosen)) for column in columns]
    return call("vo_in", exp.Tuple(expressions=[key.copy() for key in keys]), *lists)


def _write_list(values: pa.Array) -> exp.Expr:
    # As PostgreSQL writes arrays; texts are hashes.
    if pa.types.is_floating(values.type):
        text, kind = ",".join(map(repr, values.to_pylist())), exp.DType.DOUBLE
    elif pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        text, kind = ",".join(values.to_pylist()), exp.DType.TEXT
    else:
        text, kind = ",".join(f'"\\\\x{value.hex()}"' for value in values.to_pylist()), exp.DType.VARBINARY
    array = exp.DataType(this=exp.DType.ARRAY, expressions=[exp.DataType(this=kind)], nested=True)
    return exp.Cast(this=exp.Literal.string(f"{{{text}}}"), to=array)
