"""Row limits, and outputs of the types that answers declare."""

from __future__ import annotations

__all__ = ["limit", "limit_rows"]

from sqlglot import exp

from ..dali import Column
from ._passes import Context
from ._tree import put, strip_parens
from .adql._types import column_of, kind_of, outputs_of

_TYPES = {
    "short": exp.DType.SMALLINT,
    "int": exp.DType.INT,
    "long": exp.DType.BIGINT,
    "float": exp.DType.FLOAT,
    "double": exp.DType.DOUBLE,
    "char": exp.DType.VARCHAR,
}


def limit(tree: exp.Query, context: Context) -> exp.Query:  # noqa: ARG001  # all passes take both
    """Keep each TOP with its query, and each output to its type.

    Parameters
    ----------
    tree
        As `lower` leaves it.
    context
        Query and catalog.

    Returns
    -------
    tree : `sqlglot.exp.Query`
        The same.  In ``SELECT TOP 3 … UNION SELECT …`` the limit is that of
        the first query alone, which SQL says with parentheses.
    """
    for operation in list(tree.find_all(exp.SetOperation)):
        for key in ("this", "expression"):
            operand = operation.args[key]
            if isinstance(operand, exp.Select) and operand.args.get("limit") is not None:
                operation.set(key, exp.Subquery(this=operand))
    for select in tree.find_all(exp.Select):
        # Hidden columns stand behind the outputs and keep their types.
        for projection, column in zip(select.expressions, outputs_of(select), strict=False):
            _cast_output(projection, column)
    return tree


def limit_rows(tree: exp.Query, most: int | None) -> tuple[exp.Query, str]:
    """Let a query give no more rows than that.

    Parameters
    ----------
    tree
        A planned query; not changed.
    most
        Rows; `None` for no limit.

    Returns
    -------
    tree : `sqlglot.exp.Query`
        The same, or a changed copy if its own limit is higher.
    end : `str`
        What is to stand behind its SQL: a copy of a tree takes as long as a
        quick query.
    """
    own = tree.args.get("limit")
    if most is None or (own is not None and int(own.expression.this) <= most):
        return tree, ""
    end = f" LIMIT {most}"
    if own is None:
        return tree, end
    tree = tree.copy()
    tree.set("limit", None)
    return tree, end


def _cast_output(projection: exp.Expr, column: Column) -> None:
    value = projection.this
    own = column_of(strip_parens(value))
    if own is not None and own.datatype == column.datatype:
        return
    if kind_of(column) in ("point", "circle", "polygon", "box", "other"):
        return
    target = _TYPES[column.datatype]
    if isinstance(value, exp.Cast) and value.to.this == target:
        return
    # Databases sum integers to wider ones, and give decimals for 1.5.
    put(value, exp.Cast(this=value.copy(), to=exp.DataType(this=target)))
