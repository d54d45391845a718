"""Joins: what two tables offer together, and by which condition."""

from __future__ import annotations

__all__ = ["combine_relations"]

from collections.abc import Sequence

from sqlglot import exp

from .._passes import Context, error_at
from .._tree import call, join_conditions
from ._scope import Field, Relation, match_names, nearest


def combine_relations(context: Context, join: exp.Join, left: Relation, right: Relation) -> Relation:
    """Join two tables.

    Parameters
    ----------
    context
        Query and catalog.
    join
        The join; NATURAL and USING are put as ON.
    left, right
        The tables.

    Returns
    -------
    relation : `Relation`
        Both; merged columns come first.

    Raises
    ------
    QueryError
        Raised if USING names a column that is not in both tables once.

    References
    ----------
    ADQL 2.1, 2.2.3; SQL92, 7.5.
    """
    sources = (*left.sources, *right.sources)
    pairs: list[tuple[Field, Field]] = []
    if join.args.get("method") == "NATURAL":
        pairs = _common(context, join, left, right)
    elif join.args.get("using"):
        pairs = [
            (_only(context, name, left.fields), _only(context, name, right.fields))
            for name in join.args["using"]
        ]
    else:
        return Relation(sources, (*left.fields, *right.fields))
    join.set("method", None)
    join.set("using", None)
    conditions = [exp.EQ(this=first.make(), expression=second.make()) for first, second in pairs]
    # Without a common column, NATURAL joins every row with every other.
    join.set("on", join_conditions(conditions, exp.And) if conditions else exp.true())
    join.meta["merged"] = True
    merged = tuple(_merge(str(join.side), first, second) for first, second in pairs)
    gone = {id(field) for pair in pairs for field in pair}
    rest = (field for field in (*left.fields, *right.fields) if id(field) not in gone)
    return Relation(sources, (*merged, *rest))


def _common(context: Context, join: exp.Join, left: Relation, right: Relation) -> list[tuple[Field, Field]]:
    pairs = []
    for field in left.fields:
        same = [other for other in right.fields if other.name.lower() == field.name.lower()]
        if same:
            again = [other for other in left.fields if other.name.lower() == field.name.lower()]
            if len(same) > 1 or len(again) > 1:
                raise error_at(
                    context, join, f"NATURAL cannot tell which {field.name!r} is meant; join with ON"
                )
            pairs.append((field, same[0]))
    return pairs


def _only(context: Context, name: exp.Identifier, fields: Sequence[Field]) -> Field:
    found = match_names(name, fields, lambda field: field.name)
    if len(found) != 1:
        reason = "is there twice" if found else nearest(name.name, [field.name for field in fields])
        raise error_at(context, name, f"USING needs {name.name!r} once on each side; {reason}")
    return found[0]


def _merge(side: str, left: Field, right: Field) -> Field:
    match side:
        case "RIGHT":
            return Field(left.name, right.column, right.make)
        case "FULL":
            return Field(left.name, left.column, lambda: call("COALESCE", left.make(), right.make()))
    return left
