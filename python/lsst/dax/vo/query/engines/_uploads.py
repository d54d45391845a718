"""Tables that clients send with a query, on their way into a database."""

from __future__ import annotations

__all__ = ["UPLOAD_SCHEMA", "largest_value", "name_uploads"]

from collections.abc import Mapping
from itertools import count

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from .._tree import quoted

UPLOAD_SCHEMA = "TAP_UPLOAD"
"""Name of their schema (TAP 1.1, 2.5)."""


def name_uploads(
    tree: exp.Query, uploads: Mapping[str, pa.Table] | None
) -> tuple[exp.Query, dict[str, pa.Table]]:
    """Give the uploaded tables of a query names of our own.

    Parameters
    ----------
    tree
        A planned query; not changed.
    uploads
        What came with it, by the name behind the dot.

    Returns
    -------
    tree : `sqlglot.exp.Query`
        The query on tables of those names, without a schema; the same if it
        reads none.
    tables : `dict` [`str`, `pyarrow.Table`]
        What the query reads, by its new name.
    """
    if not uploads or all(table.db != UPLOAD_SCHEMA for table in tree.find_all(exp.Table)):
        return tree, {}
    tree = tree.copy()
    taken = {str(name.this).lower() for name in tree.find_all(exp.Identifier)}
    own = (name for number in count() if (name := f"vo_upload_{number}") not in taken)
    names = dict(zip(uploads, own, strict=False))
    used: dict[str, pa.Table] = {}
    for table in tree.find_all(exp.Table):
        if table.db == UPLOAD_SCHEMA:
            used[names[table.name]] = uploads[table.name]
            table.set("this", quoted(names[table.name]))
            table.set("db", None)
    return tree, used


def largest_value(table: pa.Table) -> int:
    """Return the size of the largest value of a table.

    Parameters
    ----------
    table
        The table.

    Returns
    -------
    size : `int`
        In bytes; of a number or a time, 8.
    """
    sizes = [8]
    for column in table.columns:
        if pa.types.is_list(column.type):
            # Numbers have 8 bytes at most.
            sizes.append(8 * (pc.max(pc.list_value_length(column)).as_py() or 0))
        elif pa.types.is_string(column.type) or pa.types.is_binary(column.type):
            sizes.append(pc.max(pc.binary_length(column)).as_py() or 0)
    return max(sizes)
