"""What is declared, and what is not; that it works is in the contract of engines."""

import re

import pytest

from lsst.dax.vo.dali import LanguageFeature
from lsst.dax.vo.errors import QueryError
from lsst.dax.vo.query import FEATURES, Catalog, plan_query
from lsst.dax.vo.query.adql._functions import FUNCTIONS
from lsst.dax.vo.testing import ADQL_FEATURES

_URI = "ivo://ivoa.net/std/tapregext#features-"
_MANDATORY = """
ABS ACOS ASIN ATAN ATAN2 AVG CEILING COS COT COUNT DEGREES EXP FLOOR LOG LOG10 MAX MIN MOD PI POWER RADIANS
RAND ROUND SIN SQRT SUM TAN TRUNCATE
"""


def _name(form: str) -> str:
    return form.partition("(")[0]


def test_every_declared_form_has_its_example_and_the_reverse() -> None:
    assert {_name(feature.form) for feature in FEATURES} == set(ADQL_FEATURES)


def test_example_needs_its_feature() -> None:
    for form, (query, _) in ADQL_FEATURES.items():
        assert re.search(rf"\b{form}\b", query, re.IGNORECASE), form


def test_every_function_is_mandatory_or_declared() -> None:
    declared = {_name(feature.form).upper() for feature in FEATURES}
    assert set(FUNCTIONS) == set(_MANDATORY.split()) | {name for name in declared if name in FUNCTIONS}
    words = {"CAST", "EXCEPT", "ILIKE", "INTERSECT", "OFFSET", "UNION", "WITH"}
    assert declared - set(FUNCTIONS) == words


def test_kinds_are_those_of_the_standard() -> None:
    kinds = {feature.kind for feature in FEATURES}
    assert kinds == {
        f"{_URI}{name}"
        for name in (
            "adqlgeo",
            "udf",
            "adql-string",
            "adql-common-table",
            "adql-sets",
            "adql-type",
            "adql-conditional",
            "adql-unit",
            "adql-offset",
        )
    }
    assert all(kind == kind.lower() for kind in kinds)


def test_user_defined_functions_have_signatures_and_descriptions() -> None:
    udfs = [feature for feature in FEATURES if feature.kind.endswith("udf")]
    for feature in udfs:
        assert re.fullmatch(r"ivo_\w+\((\w+ [A-Z]+(\(\*\))?(, )?)+\) -> [A-Z]+(\(\*\))?", feature.form)
        assert feature.description.endswith(".")
    assert len({feature.form for feature in udfs}) == len(udfs)


@pytest.mark.parametrize(
    "feature", [item for item in FEATURES if item.kind.endswith("udf")], ids=lambda i: i.form
)
def test_signature_is_what_is_accepted(catalog: Catalog, feature: LanguageFeature) -> None:
    name, _, rest = feature.form.partition("(")
    arguments, _, result = rest.rpartition(") -> ")
    samples = {
        "VARCHAR(*)": "'x'",
        "INTEGER": "1",
        "BIGINT": "1",
        "DOUBLE": "s_ra",
        "POINT": "POINT(1, 2)",
        "TIMESTAMP": "'2021-01-14'",
    }
    values = [samples[part.split()[1]] for part in arguments.split(", ")]
    query = f"SELECT {name}({', '.join(values)}) AS v FROM ivoa.ObsCore"
    (column,) = plan_query(query, catalog).columns
    datatypes = {
        "INTEGER": "int",
        "BIGINT": "long",
        "DOUBLE": "double",
        "VARCHAR(*)": "char",
        "POINT": "double",
    }
    assert column.datatype == datatypes[result]
    with pytest.raises(QueryError, match=f"{name.upper()} takes|Expected a value"):
        plan_query(f"SELECT {name}() AS v FROM ivoa.ObsCore", catalog)


@pytest.mark.parametrize(
    "form",
    [
        "HEX(1)",
        "SUBSTRING('x', 1, 2)",
        "NULLIF(1, 2)",
        "ivo_epoch_prop_pos(1, 2)",
        "ivo_histogram(s_ra, 1, 2, 3)",
    ],
)
def test_undeclared_function_is_named_in_the_error(catalog: Catalog, form: str) -> None:
    with pytest.raises(QueryError, match=f"There is no function {_name(form).upper()}"):
        plan_query(f"SELECT {form} AS v FROM ivoa.ObsCore", catalog)
