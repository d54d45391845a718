"""The functions of ADQL that are served: one table, and nothing else is called."""

from __future__ import annotations

__all__ = ["AGGREGATES", "FEATURES", "FUNCTIONS", "GEOMETRIES", "Function", "Signature"]

from collections.abc import Iterable
from dataclasses import dataclass

from ...dali import LanguageFeature


@dataclass(frozen=True, slots=True)
class Signature:
    """One way to call a function that ADQL itself does not have."""

    form: str
    """As capabilities declare it: ``f(a INTEGER) -> DOUBLE``."""

    description: str
    """One or two sentences."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function: what it takes, what it gives, what databases call it."""

    name: str
    """Name, upper case."""

    takes: tuple[str, ...]
    """Kinds of its arguments: ``number integer text constant time point
    geometry any``; ``constant`` is a text in quotes."""

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

    ucd: str | None = None
    """UCD of the result, ``same``, or ``+word`` for a word behind that of the
    argument."""

    signatures: tuple[Signature, ...] = ()
    """How it is called, if it is none of ADQL."""

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
_NNNN = ("number", "number", "number", "number")
_TT = ("text", "text")

_TABLE = (
    # ADQL 2.1, 2.3: mathematical and trigonometrical functions, all mandatory.
    Function("ABS", _N, "same", unit="same", duckdb="abs"),
    Function("CEILING", _N, "double", unit="same", ucd="same", duckdb="ceil"),
    Function("DEGREES", _N, "double", unit="deg", duckdb="degrees"),
    Function("EXP", _N, "double", duckdb="exp"),
    Function("FLOOR", _N, "double", unit="same", ucd="same", duckdb="floor"),
    Function("LOG", _N, "double", duckdb="ln"),
    Function("LOG10", _N, "double", duckdb="log10"),
    Function("MOD", _NN, "widest", unit="same", duckdb="mod"),
    Function("PI", (), "double", duckdb="pi"),
    Function("POWER", _NN, "double", duckdb="pow"),
    Function("RADIANS", _N, "double", unit="rad", duckdb="radians"),
    Function("RAND", _N, "double", least=0, duckdb="random"),
    Function("ROUND", ("number", "integer"), "double", least=1, unit="same", ucd="same", duckdb="round"),
    Function("SQRT", _N, "double", duckdb="sqrt"),
    Function("TRUNCATE", ("number", "integer"), "double", least=1, unit="same", ucd="same", duckdb="trunc"),
    Function("ACOS", _N, "double", unit="rad", duckdb="acos"),
    Function("ASIN", _N, "double", unit="rad", duckdb="asin"),
    Function("ATAN", _N, "double", unit="rad", duckdb="atan"),
    Function("ATAN2", _NN, "double", unit="rad", duckdb="atan2"),
    Function("COS", _N, "double", duckdb="cos"),
    Function("COT", _N, "double", duckdb="cot"),
    Function("SIN", _N, "double", duckdb="sin"),
    Function("TAN", _N, "double", duckdb="tan"),
    # Aggregates.
    Function("COUNT", ("any",), "long", ucd="meta.number", duckdb="count"),
    Function("MIN", ("ordered",), "same", unit="same", ucd="+stat.min", duckdb="min"),
    Function("MAX", ("ordered",), "same", unit="same", ucd="+stat.max", duckdb="max"),
    Function("SUM", _N, "sum", unit="same", duckdb="sum"),
    Function("AVG", _N, "double", unit="same", ucd="+stat.mean", duckdb="avg"),
    # ADQL 2.1, 4.2; BOX is deprecated there and still sent.
    Function("POINT", _NN, "point", feature="adqlgeo"),
    Function("CIRCLE", ("number", "number", "number"), "circle", feature="adqlgeo"),
    Function("BOX", _NNNN, "box", feature="adqlgeo"),
    Function("POLYGON", ("number",) * 6, "polygon", many=True, feature="adqlgeo"),
    Function("CONTAINS", ("geometry", "geometry"), "int", feature="adqlgeo"),
    Function("INTERSECTS", ("geometry", "geometry"), "int", feature="adqlgeo"),
    Function("DISTANCE", _NNNN, "double", unit="deg", ucd="pos.angDistance", feature="adqlgeo"),
    Function("AREA", ("geometry",), "double", unit="deg**2", ucd="phys.angArea", feature="adqlgeo"),
    Function("CENTROID", ("geometry",), "point", feature="adqlgeo"),
    Function("COORD1", ("point",), "double", unit="deg", ucd="pos.eq.ra", feature="adqlgeo"),
    Function("COORD2", ("point",), "double", unit="deg", ucd="pos.eq.dec", feature="adqlgeo"),
    Function("COORDSYS", ("geometry",), "char", ucd="pos.frame", feature="adqlgeo"),
    Function("REGION", ("constant",), "region", feature="adqlgeo"),
    # ADQL 2.1, 4.4, 4.8 and 4.9.
    Function("LOWER", ("text",), "char", duckdb="vo_lower", feature="adql-string"),
    Function("UPPER", ("text",), "char", duckdb="vo_upper", feature="adql-string"),
    Function(
        "COALESCE", ("any",), "widest", unit="same", many=True, duckdb="coalesce", feature="adql-conditional"
    ),
    # Its second argument becomes a factor, and the unit of the result.
    Function("IN_UNIT", ("number", "constant"), "double", ucd="same", feature="adql-unit"),
    # Catalogue of ADQL user defined functions 1.2.
    Function(
        "IVO_HASWORD",
        _TT,
        "int",
        signatures=(
            Signature(
                "ivo_hasword(haystack VARCHAR(*), needle VARCHAR(*)) -> INTEGER",
                "1 if the words of the second text stand in the first one, next to each other and in that "
                "order, in any case; 0 if not. Words are letters and digits.",
            ),
        ),
    ),
    Function(
        "IVO_NOCASEMATCH",
        _TT,
        "int",
        signatures=(
            Signature(
                "ivo_nocasematch(value VARCHAR(*), pattern VARCHAR(*)) -> INTEGER",
                "1 if the text matches the pattern as with LIKE, but in any case; 0 if not.",
            ),
        ),
    ),
    Function(
        "IVO_HASHLIST_HAS",
        _TT,
        "int",
        signatures=(
            Signature(
                "ivo_hashlist_has(hashlist VARCHAR(*), item VARCHAR(*)) -> INTEGER",
                "1 if the second text is one of those that '#' separates in the first one, in any case; "
                "0 if not.",
            ),
        ),
    ),
    Function(
        "IVO_STRING_AGG",
        ("text", "constant"),
        "char",
        signatures=(
            Signature(
                "ivo_string_agg(expression VARCHAR(*), delimiter VARCHAR(*)) -> VARCHAR(*)",
                "An aggregate: all texts of a group in their order, with the delimiter between them; "
                "NULLs are left out.",
            ),
        ),
    ),
    Function(
        "IVO_INTERVAL_OVERLAPS",
        _NNNN,
        "int",
        signatures=(
            Signature(
                "ivo_interval_overlaps(l1 DOUBLE, h1 DOUBLE, l2 DOUBLE, h2 DOUBLE) -> INTEGER",
                "1 if the intervals from l1 to h1 and from l2 to h2 share a value, their ends included; "
                "0 if not.",
            ),
        ),
    ),
    Function(
        "IVO_HEALPIX_INDEX",
        ("integer", "number", "number"),
        "long",
        ucd="pos.healpix",
        signatures=(
            Signature(
                "ivo_healpix_index(hpxOrder INTEGER, longitude DOUBLE, latitude DOUBLE) -> BIGINT",
                "Index of the HEALPix pixel of a position in degrees, in the nested scheme; orders 0 to 29.",
            ),
            Signature(
                "ivo_healpix_index(hpxOrder INTEGER, p POINT) -> BIGINT",
                "The same of a point.",
            ),
        ),
    ),
    Function(
        "IVO_HEALPIX_CENTER",
        ("integer", "integer"),
        "point",
        signatures=(
            Signature(
                "ivo_healpix_center(hpxOrder INTEGER, hpxIndex BIGINT) -> POINT",
                "Center of a HEALPix pixel of the nested scheme; orders 0 to 29.",
            ),
        ),
    ),
    Function(
        "IVO_TO_JD",
        ("time",),
        "double",
        unit="d",
        ucd="time.epoch",
        signatures=(
            Signature("ivo_to_jd(d TIMESTAMP) -> DOUBLE", "Julian date of a time, in its own time scale."),
        ),
    ),
    Function(
        "IVO_TO_MJD",
        ("time",),
        "double",
        unit="d",
        ucd="time.epoch",
        signatures=(
            Signature(
                "ivo_to_mjd(d TIMESTAMP) -> DOUBLE", "Modified Julian date of a time, in its own time scale."
            ),
        ),
    ),
    Function(
        "IVO_NORMAL_RANDOM",
        _NN,
        "double",
        signatures=(
            Signature(
                "ivo_normal_random(mu DOUBLE, sigma DOUBLE) -> DOUBLE",
                "A random number of the normal distribution with mean mu and standard deviation sigma.",
            ),
        ),
    ),
)

FUNCTIONS = {function.name: function for function in _TABLE}
"""All functions, by name."""

AGGREGATES = frozenset({"COUNT", "MIN", "MAX", "SUM", "AVG", "IVO_STRING_AGG"})
"""Functions of all rows of a group."""

GEOMETRIES = frozenset({"POINT", "CIRCLE", "BOX", "POLYGON"})
"""Functions that make a geometry."""

_URI = "ivo://ivoa.net/std/tapregext#features-"


def _declare() -> Iterable[LanguageFeature]:
    # Lower case, as ADQL 2.1 (3) wants it.
    for function in _TABLE:
        if function.feature:
            yield LanguageFeature(f"{_URI}{function.feature}", function.name)
        for signature in function.signatures:
            yield LanguageFeature(f"{_URI}udf", signature.form, signature.description)
    yield LanguageFeature(f"{_URI}adql-string", "ILIKE")
    yield LanguageFeature(f"{_URI}adql-common-table", "WITH")
    for name in ("UNION", "EXCEPT", "INTERSECT"):
        yield LanguageFeature(f"{_URI}adql-sets", name)
    yield LanguageFeature(f"{_URI}adql-offset", "OFFSET")
    yield LanguageFeature(f"{_URI}adql-type", "CAST")


FEATURES: tuple[LanguageFeature, ...] = tuple(sorted(_declare(), key=lambda item: (item.kind, item.form)))
"""Optional features of ADQL that work here, as capabilities declare them."""
