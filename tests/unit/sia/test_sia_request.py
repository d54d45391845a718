"""SIAv2 parameters: from text to constraints."""

import math

import pytest

from lsst.dax.vo.config import Limits
from lsst.dax.vo.dali import Circle, Interval, ParamSet, Polygon, Range
from lsst.dax.vo.errors import MultiValuedError, UsageError
from lsst.dax.vo.query import (
    Between,
    Constraint,
    HasState,
    Identified,
    Intersects,
    OneOf,
    Overlaps,
    Within,
)
from lsst.dax.vo.sia import PARAMETERS, parse_request

INF = math.inf


def _constraints(*pairs: tuple[str, str]) -> tuple[Constraint, ...]:
    first, *rest = parse_request(ParamSet.from_pairs(pairs), Limits()).constraints
    assert first == OneOf("dataproduct_type", ("image", "cube"))
    return tuple(rest)


@pytest.mark.parametrize(
    ("name", "values", "constraint"),
    [
        ("POS", ["CIRCLE 12.0 34.0 0.5"], Intersects("s_region", (Circle(12.0, 34.0, 0.5),))),
        ("POS", ["circle 360 -90 0"], Intersects("s_region", (Circle(0.0, -90.0, 0.0),))),
        ("POS", ["RANGE 0 360.0 -2 2"], Intersects("s_region", (Range(0.0, 360.0, -2.0, 2.0),))),
        ("POS", ["RANGE 0 360.0 89.0 +Inf"], Intersects("s_region", (Range(0.0, 360.0, 89.0, 90.0),))),
        ("POS", ["RANGE -Inf +Inf -Inf +Inf"], Intersects("s_region", (Range(0.0, 360.0, -90.0, 90.0),))),
        ("POS", ["RANGE 359 1 -1 1"], Intersects("s_region", (Range(359.0, 1.0, -1.0, 1.0),))),
        (
            "POS",
            ["POLYGON 10 10 10.2 10 10.2 10.2 10 10.2", "CIRCLE 1 2 3"],
            Intersects(
                "s_region",
                (Polygon((10.0, 10.2, 10.2, 10.0), (10.0, 10.0, 10.2, 10.2)), Circle(1.0, 2.0, 3.0)),
            ),
        ),
        ("BAND", ["500e-9 550e-9"], Overlaps("em_min", "em_max", (Interval(500e-9, 550e-9),))),
        ("BAND", ["6e-7"], Overlaps("em_min", "em_max", (Interval(6e-7, 6e-7),))),
        ("BAND", ["-Inf 0.21"], Overlaps("em_min", "em_max", (Interval(-INF, 0.21),))),
        (
            "TIME",
            ["60623.25 60623.3", "60000"],
            Overlaps("t_min", "t_max", (Interval(60623.25, 60623.3), Interval(60000.0, 60000.0))),
        ),
        ("TIME", ["-Inf -100"], Overlaps("t_min", "t_max", (Interval(-INF, -100.0),))),
        ("POL", ["I", " Q "], HasState("pol_states", ("I", "Q"))),
        ("FOV", ["1.0 2.0"], Within("s_fov", (Interval(1.0, 2.0),))),
        ("SPATRES", ["-inf 0.8"], Within("s_resolution", (Interval(-INF, 0.8),))),
        ("SPECRP", ["1000 +Inf"], Within("em_res_power", (Interval(1000.0, INF),))),
        # "+" decodes to a blank.
        ("EXPTIME", ["300  Inf"], Within("t_exptime", (Interval(300.0, INF),))),
        ("TIMERES", ["-Inf 1"], Within("t_resolution", (Interval(-INF, 1.0),))),
        ("ID", ["ivo://A/b?c"], Identified("obs_publisher_did", ("ivo://A/b?c",))),
        ("COLLECTION", ["LSST.DP1", "x"], OneOf("obs_collection", ("LSST.DP1", "x"))),
        ("FACILITY", ["Rubin"], OneOf("facility_name", ("Rubin",))),
        ("INSTRUMENT", ["LSSTCam"], OneOf("instrument_name", ("LSSTCam",))),
        ("DPTYPE", ["spectrum"], OneOf("dataproduct_type", ("spectrum",))),
        ("CALIB", ["2", "3"], OneOf("calib_level", (2, 3))),
        ("TARGET", ["M 31"], OneOf("target_name", ("M 31",))),
        ("DPSUBTYPE", ["lsst.raw"], OneOf("dataproduct_subtype", ("lsst.raw",))),
        (
            "FORMAT",
            ["application/x-votable xml; content=datalink"],
            OneOf("access_format", ("application/x-votable+xml;content=datalink",)),
        ),
        # Words that only SIA 1 knows are media types like others.
        ("FORMAT", ["ALL", "metadata"], OneOf("access_format", ("ALL", "metadata"))),
        (
            "RELEASEDATE",
            ["2025-06-30", "2025-06-30T12:00:00.5 2026-01-01T00:00:00Z", "-Inf 2020-01-01", "2020-01-01 inf"],
            Between(
                "obs_release_date",
                (
                    ("2025-06-30T00:00:00", "2025-06-30T00:00:00"),
                    ("2025-06-30T12:00:00.500000", "2026-01-01T00:00:00"),
                    (None, "2020-01-01T00:00:00"),
                    ("2020-01-01T00:00:00", None),
                ),
            ),
        ),
        ("RELEASEDATE", ["-Inf  Inf"], Between("obs_release_date", ((None, None),))),
    ],
)
def test_values_become_one_constraint(name: str, values: list[str], constraint: Constraint) -> None:
    assert _constraints(*((name.lower(), value) for value in values)) == (constraint,)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "POS",
            "CIRCLE 1 2",
            "give CIRCLE and 'longitude latitude radius' in degrees, ICRS, with 0 <= radius",
        ),
        ("POS", "CIRCLE\t1 2 -1", "give CIRCLE and 'longitude latitude radius'"),
        ("POS", "CIRCLE \u0661 2 3", "give CIRCLE and 'longitude latitude radius'"),
        ("BAND", "\u0661 2", "give one number, or two numbers"),
        ("POS", "CIRCLE -1 2 1", "has the longitude -1.0; longitudes lie within 0..360"),
        ("POS", "CIRCLE 361 2 1", "has the longitude 361.0"),
        ("POS", "CIRCLE 1 95 1", "has the latitude 95.0; latitudes lie within -90..90"),
        ("POS", "BOX 1 2 3 4", "POS='BOX 1 2 3 4' is not accepted; give 'CIRCLE ra dec radius'"),
        ("POS", "POLYGON 1 2 3 4 5", "give POLYGON and three or more 'longitude latitude' pairs"),
        ("POS", "POLYGON 1 2 3 4", "give POLYGON and three or more 'longitude latitude' pairs"),
        ("POS", "POLYGON 0 0 400 0 1 1", "has the longitude 400.0"),
        ("POS", "CIRCLE " + "1 " * 9999, "1 1…' is not accepted; give CIRCLE"),
        ("POS", "RANGE 1 2 3", "give RANGE and 'longitude1 longitude2 latitude1 latitude2'"),
        ("POS", "RANGE 0 361 0 1", "give RANGE and 'longitude1 longitude2"),
        ("POS", "RANGE 0 1 5 1", "give RANGE and 'longitude1 longitude2"),
        ("POS", "12 34", "is not accepted"),
        ("POS", "", "POS has no value; give one"),
        ("BAND", "a", "BAND='a' is not accepted; give one number, or two numbers"),
        ("BAND", "2 1", "BAND='2 1' is not accepted"),
        ("BAND", "1 2 3", "BAND='1 2 3' is not accepted"),
        ("BAND", "-2", "BAND='-2' is not accepted; give numbers from 0 up"),
        ("BAND", "NaN 1", "BAND='NaN 1' is not accepted"),
        ("TIME", "2024-01-01", "TIME='2024-01-01' is not accepted"),
        ("FOV", "-3 -1", "FOV='-3 -1' is not accepted; give numbers from 0 up"),
        ("POL", "i", "POL='i' is not accepted; give one of I, Q, U, V, RR"),
        ("CALIB", "x", "CALIB='x' is not accepted; give one of 0, 1, 2, 3, 4"),
        ("CALIB", "5", "CALIB='5' is not accepted"),
        ("CALIB", "2 3", "CALIB='2 3' is not accepted"),
        ("COLLECTION", " ", "COLLECTION has no value"),
        ("RELEASEDATE", "60000", "RELEASEDATE='60000' is not accepted; give one date, or two dates"),
        ("RELEASEDATE", "2025-02-30", "RELEASEDATE='2025-02-30' is not accepted"),
        ("RELEASEDATE", "2026-01-01 2025-01-01", "with first <= last"),
        ("RELEASEDATE", "2025-01-01 2025-01-02 2025-01-03", "is not accepted"),
        ("RELEASEDATE", "2025-01-01 -Inf", "is not accepted"),
        ("RELEASEDATE", "+Inf 2025-01-01", "is not accepted"),
        ("RELEASEDATE", "inf", "is not accepted"),
        ("RELEASEDATE", "2025-01-01T12", "is not accepted"),
        # Digits of other scripts are none of a date.
        ("RELEASEDATE", "\u0662\u0660\u0662\u0665-01-01", "is not accepted"),
        ("UPLOAD", "a,b", "UPLOAD is not accepted: SIAv2 takes lists as repeated parameters"),
        ("MAXREC", "-1", "MAXREC='-1' is not accepted; give a whole number"),
        ("MAXREC", "1.5", "MAXREC='1.5' is not accepted"),
    ],
)
def test_bad_value_is_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        _constraints((name, value))
    assert message in str(caught.value)
    assert caught.value.parameter == name


def test_one_bad_value_among_good_ones_is_refused() -> None:
    with pytest.raises(UsageError, match="BAND='x'"):
        _constraints(("BAND", "6e-7"), ("BAND", "x"))


def test_maxrec_twice_is_refused() -> None:
    with pytest.raises(MultiValuedError, match="MAXREC takes one value, 2 were given"):
        _constraints(("MAXREC", "1"), ("maxrec", "2"))


def test_no_parameter_asks_for_everything() -> None:
    assert _constraints() == ()
    assert _constraints(("DUMMY", "1"), ("REQUEST", "query")) == ()


def test_different_parameters_are_different_constraints() -> None:
    names = [type(item).__name__ for item in _constraints(("CALIB", "2"), ("BAND", "6e-7"), ("CALIB", "3"))]
    assert names == ["Overlaps", "OneOf"]


def test_identifier_is_expanded_once() -> None:
    request = parse_request(
        ParamSet.from_pairs([("ID", " abc "), ("ID", "abc"), ("ID", "d")]),
        Limits(),
        expand_id=lambda text: (text, f"ivo://x/{text}"),
    )
    assert request.constraints[1] == Identified("obs_publisher_did", ("abc", "ivo://x/abc", "d", "ivo://x/d"))


def test_as_many_values_as_are_allowed() -> None:
    pairs = [("CALIB", "1"), ("CALIB", "2"), ("POS", "POLYGON 1 1 2 1 2 2"), ("BAND", "1")]
    params = ParamSet.from_pairs(pairs)
    assert len(parse_request(params, Limits(search_values=6)).constraints) == 4
    with pytest.raises(UsageError) as caught:
        parse_request(params, Limits(search_values=5))
    assert str(caught.value) == (
        "The request has too many values (the last are of CALIB); this service takes 5 in one request, "
        "where a polygon counts as many as it has vertices: send them in several requests"
    )


def test_too_many_values_are_not_looked_at() -> None:
    params = ParamSet.from_pairs([("BAND", "no number")] * 3)
    with pytest.raises(UsageError, match="too many values"):
        parse_request(params, Limits(search_values=2))


def test_polygon_of_too_many_vertices_is_refused() -> None:
    params = ParamSet.from_pairs([("POS", "POLYGON 1 1 2 1 2 2 1.5 2.5")])
    assert parse_request(params, Limits(polygon_vertices=4))
    with pytest.raises(UsageError, match="POS has a polygon of 4 vertices; give at most 3, or several"):
        parse_request(params, Limits(polygon_vertices=3))


def test_every_parameter_of_the_standard_is_there() -> None:
    assert {item.name for item in PARAMETERS} == {
        *("POS", "BAND", "TIME", "POL", "FOV", "SPATRES", "SPECRP", "EXPTIME", "TIMERES", "ID"),
        *("COLLECTION", "FACILITY", "INSTRUMENT", "TARGET", "DPTYPE", "CALIB", "FORMAT", "DPSUBTYPE"),
        "RELEASEDATE",
    }
