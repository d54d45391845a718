"""Joins: what two tables offer together, and by which condition."""

from __future__ import annotations

__all__ = ["combine_relations"]

from collections import Counter

from sqlglot import exp

from .._passes import Context, error_at
from .._tree import call, join_conditions
from ._names import Names, nearest
from ._scope import Field, Relation


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
        sides = [(relation, Names(relation.fields, lambda field: field.name)) for relation in (left, right)]
        for name in join.args["using"]:
            first, second = (_only(context, name, *side) for side in sides)
            pairs.append((first, second))
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
    others: dict[str, list[Field]] = {}
    for field in right.fields:
        others.setdefault(field.name.lower(), []).append(field)
    counts = Counter(field.name.lower() for field in left.fields)
    for field in left.fields:
        same = others.get(field.name.lower())
        if same:
            if len(same) > 1 or counts[field.name.lower()] > 1:
                raise error_at(
                    context, join, f"NATURAL cannot tell which {field.name!r} is meant; join with ON"
                )
            pairs.append((field, same[0]))
    return pairs


def _only(context: Context, name: exp.Identifier, relation: Relation, names: Names[Field]) -> Field:
    found = names.match(name)
    if len(found) != 1:
        reason = "is there twice" if found else nearest(name.name, [field.name for field in relation.fields])
        raise error_at(context, name, f"USING needs {name.name!r} once on each side; {reason}")
    return found[0]


def _merge(side: str, left: Field, right: Field) -> Field:
    match side:
        case "RIGHT":
            return Field(left.name, right.column, right.make)
        case "FULL":
            return Field(left.name, left.column, lambda: call("COALESCE", left.make(), right.make()))
    return left
