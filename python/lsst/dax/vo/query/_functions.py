"""The functions of ADQL that are served: one table, and nothing else is called."""

from __future__ import annotations

__all__ = ["AGGREGATES", "FEATURES", "FUNCTIONS", "GEOMETRIES", "Function"]

from collections.abc import Iterable
from dataclasses import dataclass

from ..dali import LanguageFeature


@dataclass(frozen=True, slots=True)
class Function:
    """One function: what it takes, what it gives, what databases call it."""

    name: str
    """Name, upper case."""

    takes: tuple[str, ...]
    """Kinds of its arguments: ``number integer text point geometry any``."""

    gives: str
    """Datatype of its result: a VOTable type word, or the name of a geometry,
    or ``same`` for that of the first argument, ``widest`` for one that holds
    all arguments, ``sum`` for the widest of the argument's family."""

    least: int | None = None
    """Arguments that must be there; `None` for all."""

    many: bool = False
    """Whether the last argument may be repeated."""

    unit: str | None = None
    """Unit of the result: VOUnits text, or ``same``."""

    duckdb: str = ""
    """Name in DuckDB; empty for what `lower` puts into other words."""

    feature: str = ""
    """Kind of optional feature of ADQL 2.1 that it belongs to."""

    @property
    def fewest(self) -> int:
        """Arguments that must be there."""
        return len(self.takes) if self.least is None else self.least

    @property
    def most(self) -> int | None:
        """Arguments that may be there; `None` for any count."""
        return None if self.many else len(self.takes)


_N = ("number",)
_NN = ("number", "number")

_TABLE = (
    # ADQL 2.1, 2.3: mathematical and trigonometrical functions, all mandatory.
    Function("ABS", _N, "same", unit="same", duckdb="abs"),
    Function("CEILING", _N, "double", unit="same", duckdb="ceil"),
    Function("DEGREES", _N, "double", unit="deg", duckdb="degrees"),
    Function("EXP", _N, "double", duckdb="exp"),
    Function("FLOOR", _N, "double", unit="same", duckdb="floor"),
    Function("LOG", _N, "double", duckdb="ln"),
    Function("LOG10", _N, "double", duckdb="log10"),
    Function("MOD", _NN, "widest", unit="same", duckdb="mod"),
    Function("PI", (), "double", duckdb="pi"),
    Function("POWER", _NN, "double", duckdb="pow"),
    Function("RADIANS", _N, "double", unit="rad", duckdb="radians"),
    Function("RAND", _N, "double", least=0, duckdb="random"),
    Function("ROUND", ("number", "integer"), "double", least=1, unit="same", duckdb="round"),
    Function("SQRT", _N, "double", duckdb="sqrt"),
    Function("TRUNCATE", ("number", "integer"), "double", least=1, unit="same", duckdb="trunc"),
    Function("ACOS", _N, "double", unit="rad", duckdb="acos"),
    Function("ASIN", _N, "double", unit="rad", duckdb="asin"),
    Function("ATAN", _N, "double", unit="rad", duckdb="atan"),
    Function("ATAN2", _NN, "double", unit="rad", duckdb="atan2"),
    Function("COS", _N, "double", duckdb="cos"),
    Function("COT", _N, "double", duckdb="cot"),
    Function("SIN", _N, "double", duckdb="sin"),
    Function("TAN", _N, "double", duckdb="tan"),
    # Aggregates.
    Function("COUNT", ("any",), "long", duckdb="count"),
    Function("MIN", ("any",), "same", unit="same", duckdb="min"),
    Function("MAX", ("any",), "same", unit="same", duckdb="max"),
    Function("SUM", _N, "sum", unit="same", duckdb="sum"),
    Function("AVG", _N, "double", unit="same", duckdb="avg"),
    # ADQL 2.1, 4.2; BOX is deprecated there and still sent.
    Function("POINT", _NN, "point", feature="adqlgeo"),
    Function("CIRCLE", ("number", "number", "number"), "circle", feature="adqlgeo"),
    Function("BOX", ("number", "number", "number", "number"), "box", feature="adqlgeo"),
    Function("POLYGON", ("number",) * 6, "polygon", many=True, feature="adqlgeo"),
    Function("CONTAINS", ("geometry", "geometry"), "int", feature="adqlgeo"),
    Function("INTERSECTS", ("geometry", "geometry"), "int", feature="adqlgeo"),
    Function("DISTANCE", ("number", "number", "number", "number"), "double", unit="deg", feature="adqlgeo"),
    Function("COORD1", ("point",), "double", unit="deg", feature="adqlgeo"),
    Function("COORD2", ("point",), "double", unit="deg", feature="adqlgeo"),
    # ADQL 2.1, 4.4 and 4.8.
    Function("LOWER", ("text",), "char", duckdb="lower", feature="adql-string"),
    Function("UPPER", ("text",), "char", duckdb="upper", feature="adql-string"),
    Function(
        "COALESCE", ("any",), "widest", unit="same", many=True, duckdb="coalesce", feature="adql-conditional"
    ),
)

FUNCTIONS = {function.name: function for function in _TABLE}
"""All functions, by name."""

AGGREGATES = frozenset({"COUNT", "MIN", "MAX", "SUM", "AVG"})
"""Functions of all rows of a group."""

GEOMETRIES = frozenset({"POINT", "CIRCLE", "BOX", "POLYGON"})
"""Functions that make a geometry."""

_URI = "ivo://ivoa.net/std/tapregext#features-"


def _declare() -> Iterable[LanguageFeature]:
    # Lower case, as ADQL 2.1 (3) wants it.
    for function in _TABLE:
        if function.feature:
            yield LanguageFeature(f"{_URI}{function.feature}", function.name)
    yield LanguageFeature(f"{_URI}adql-string", "ILIKE")
    yield LanguageFeature(f"{_URI}adql-common-table", "WITH")
    for name in ("UNION", "EXCEPT", "INTERSECT"):
        yield LanguageFeature(f"{_URI}adql-sets", name)
    yield LanguageFeature(f"{_URI}adql-offset", "OFFSET")
    yield LanguageFeature(f"{_URI}adql-type", "CAST")


FEATURES: tuple[LanguageFeature, ...] = tuple(sorted(_declare(), key=lambda item: (item.kind, item.form)))
"""Optional features of ADQL that work here, as capabilities declare them."""
