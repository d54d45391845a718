"""SIA 2.0, 2.1: what each parameter finds, against a look at every row."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from lsst.sphgeom import DISJOINT, Angle, Box, Circle, ConvexPolygon, LonLat, Region, UnitVector3d

from lsst.dax.vo.dali import ParamSet
from lsst.dax.vo.sia import SiaService

BASE_URL = "https://vo.example.org/rubin"
type Row = Any
type Rule = Callable[[Row], bool | None]


def overlaps(low: str, high: str, a: float, b: float) -> Rule:
    return lambda row: row.cells.get(low) is not None and row[low] <= b and row[high] >= a


def within(name: str, a: float, b: float) -> Rule:
    return lambda row: row.cells.get(name) is not None and a <= row[name] <= b


def equals(name: str, *values: Any) -> Rule:
    return lambda row: row.cells.get(name) in values


def touches(*regions: Region) -> Rule:
    return lambda row: (
        row.region is not None and any(not region.relate(row.region) & DISJOINT for region in regions)
    )


def circle(ra_deg: float, dec_deg: float, radius_deg: float) -> Region:
    return Circle(UnitVector3d(LonLat.fromDegrees(ra_deg, dec_deg)), Angle.fromDegrees(radius_deg))


def polygon(*degrees: float) -> Region:
    pairs = zip(degrees[::2], degrees[1::2], strict=True)
    return ConvexPolygon([UnitVector3d(LonLat.fromDegrees(ra, dec)) for ra, dec in pairs])


def any_of(*rules: Rule) -> Rule:
    return lambda row: any(rule(row) for rule in rules)


def all_of(*rules: Rule) -> Rule:
    return lambda row: all(rule(row) for rule in rules)


@dataclass(frozen=True)
class Case:
    """A request, and the rule that its rows fulfil."""

    clause: str
    params: tuple[tuple[str, str], ...]
    rule: Rule


CIRCLE = ("POS", "CIRCLE 55.7 -32.3 0.3")
IN_CIRCLE = touches(circle(55.7, -32.3, 0.3))
DATALINK = "application/x-votable+xml;content=datalink"

CASES = (
    Case("2.1-none", (), lambda _row: True),
    Case("2.1-unknown-is-ignored", (("DUMMY", "1"),), lambda _row: True),
    Case("2.1.1-circle", (CIRCLE,), IN_CIRCLE),
    Case("2.1.1-circle-of-radius-0", (("POS", "CIRCLE 0.0 0.1 0"),), touches(circle(0.0, 0.1, 0.0))),
    Case("2.1.1-circle-across-ra-0", (("POS", "CIRCLE 359.99 -10 0.5"),), touches(circle(359.99, -10, 0.5))),
    Case("2.1.1-circle-on-the-pole", (("POS", "CIRCLE 12 90 0.2"),), touches(circle(12, 90, 0.2))),
    Case("2.1.1-circle-lower-case", (("pos", "circle 180 45 0.4"),), touches(circle(180, 45, 0.4))),
    Case("2.1.1-circle-huge", (("POS", "CIRCLE 55.7 -32.3 120"),), touches(circle(55.7, -32.3, 120))),
    Case("2.1.1-range-belt", (("POS", "RANGE 0 360.0 -2 2"),), touches(Box.fromDegrees(0, -2, 360, 2))),
    Case("2.1.1-range-cap", (("POS", "RANGE 0 360.0 89.0 +Inf"),), touches(Box.fromDegrees(0, 89, 360, 90))),
    Case("2.1.1-range-sky", (("POS", "RANGE -Inf +Inf -Inf +Inf"),), lambda row: row.region is not None),
    Case(
        "2.1.1-range-across-ra-0",
        (("POS", "RANGE 359.9 0.1 -1 1"),),
        touches(Box.fromDegrees(359.9, -1, 0.1, 1)),
    ),
    Case(
        "2.1.1-polygon",
        (("POS", "POLYGON 55 -33 56 -33 56 -32 55 -32"),),
        touches(polygon(55, -33, 56, -33, 56, -32, 55, -32)),
    ),
    Case(
        "2.1.1-polygon-other-winding",
        (("POS", "POLYGON 55 -32 56 -32 56 -33 55 -33"),),
        touches(polygon(55, -33, 56, -33, 56, -32, 55, -32)),
    ),
    Case(
        "2.1.1-polygon-around-the-pole",
        (("POS", "POLYGON 0 89 90 89 180 89 270 89"),),
        touches(polygon(0, 89, 90, 89, 180, 89, 270, 89)),
    ),
    Case(
        "2.1.1-repeated-is-or",
        (CIRCLE, ("POS", "CIRCLE 180 45 0.4")),
        any_of(IN_CIRCLE, touches(circle(180, 45, 0.4))),
    ),
    Case("2.1.2-band", (("BAND", "500e-9 550e-9"),), overlaps("em_min", "em_max", 500e-9, 550e-9)),
    Case("2.1.2-band-scalar", (("BAND", "6e-7"),), overlaps("em_min", "em_max", 6e-7, 6e-7)),
    Case("2.1.2-band-touches", (("BAND", "1e-9 3.0e-7"),), overlaps("em_min", "em_max", 1e-9, 3.0e-7)),
    Case("2.1.2-band-open", (("BAND", "-Inf 5e-7"),), overlaps("em_min", "em_max", 0, 5e-7)),
    Case("2.1.2-band-as-python-writes", (("BAND", "9e-07 inf"),), overlaps("em_min", "em_max", 9e-7, 1)),
    Case("2.1.2-null-never-matches", (("BAND", "-Inf +Inf"),), lambda row: row["em_min"] is not None),
    Case(
        "2.1.2-repeated-is-or",
        (("BAND", "3.5e-7"), ("BAND", "1e-6")),
        any_of(overlaps("em_min", "em_max", 3.5e-7, 3.5e-7), overlaps("em_min", "em_max", 1e-6, 1e-6)),
    ),
    Case("2.1.3-time", (("TIME", "60010 60020"),), overlaps("t_min", "t_max", 60010, 60020)),
    Case("2.1.3-time-scalar", (("TIME", "60010.2501"),), overlaps("t_min", "t_max", 60010.2501, 60010.2501)),
    Case("2.1.3-null-never-matches", (("TIME", "-inf inf"),), lambda row: row["t_min"] is not None),
    Case("2.1.4-pol", (("POL", "Q"),), lambda row: "/Q/" in (row["pol_states"] or "")),
    Case(
        "2.1.4-repeated-is-or",
        (("POL", "RR"), ("POL", "U")),
        lambda row: any(state in (row["pol_states"] or "") for state in ("/RR/", "/U/")),
    ),
    Case("2.1.4-state-is-a-whole-word", (("POL", "R" * 2),), lambda row: "/RR/" in (row["pol_states"] or "")),
    Case("2.1.5-fov", (("FOV", "0.3 0.5"),), within("s_fov", 0.3, 0.5)),
    Case("2.1.6-spatres", (("SPATRES", "-Inf 0.8"),), within("s_resolution", 0, 0.8)),
    Case("2.1.7-specrp", (("SPECRP", "5"),), within("em_res_power", 5, 5)),
    Case("2.1.7-specrp-bounds-are-inclusive", (("SPECRP", "1 5"),), within("em_res_power", 1, 5)),
    Case("2.1.8-exptime", (("EXPTIME", "30 +Inf"),), within("t_exptime", 30, 1e9)),
    Case("2.1.8-plus-decoded-to-a-blank", (("EXPTIME", "30  Inf"),), within("t_exptime", 30, 1e9)),
    Case("2.1.9-timeres", (("TIMERES", "-Inf 1"),), within("t_resolution", 0, 1)),
    Case("2.1.11-collection", (("COLLECTION", "LSST.ALPHA"),), equals("obs_collection", "LSST.ALPHA")),
    Case("2.1.11-collection-in-other-case", (("COLLECTION", "lsst.alpha"),), lambda _row: False),
    Case(
        "2.1.11-repeated-is-or",
        (("COLLECTION", "LSST.ALPHA"), ("COLLECTION", "LSST.BETA"), ("COLLECTION", "no")),
        lambda _row: True,
    ),
    Case("2.1.11-unknown-is-empty", (("COLLECTION", "no"),), lambda _row: False),
    Case("2.1.12-facility", (("FACILITY", "Rubin:1.2m"),), equals("facility_name", "Rubin:1.2m")),
    Case("2.1.13-instrument", (("INSTRUMENT", "LSSTCam"),), equals("instrument_name", "LSSTCam")),
    Case("2.1.14-dptype", (("DPTYPE", "cube"),), equals("dataproduct_type", "cube")),
    Case("2.1.14-other-type-is-empty", (("DPTYPE", "spectrum"),), lambda _row: False),
    Case("2.1.15-calib", (("CALIB", "3"),), equals("calib_level", 3)),
    Case("2.1.15-repeated-is-or", (("CALIB", "2"), ("CALIB", "3")), equals("calib_level", 2, 3)),
    Case("2.1.16-target", (("TARGET", "field 3"),), equals("target_name", "field 3")),
    Case("2.1.16-quotes-are-text", (("TARGET", "x' OR '1'='1"),), lambda _row: False),
    Case("2.1.17-format", (("FORMAT", "image/fits"),), equals("access_format", "image/fits")),
    Case("2.1.17-format-with-parameter", (("FORMAT", DATALINK),), equals("access_format", DATALINK)),
    Case(
        "rubin-dpsubtype",
        (("dpsubtype", "lsst.deep_coadd"),),
        equals("dataproduct_subtype", "lsst.deep_coadd"),
    ),
    Case("2.1-and-pos-calib", (CIRCLE, ("CALIB", "3")), all_of(IN_CIRCLE, equals("calib_level", 3))),
    Case(
        "2.1-and-band-time",
        (("BAND", "4e-7 6e-7"), ("TIME", "60000 60025")),
        all_of(overlaps("em_min", "em_max", 4e-7, 6e-7), overlaps("t_min", "t_max", 60000, 60025)),
    ),
    Case(
        "2.1-and-of-ors",
        (CIRCLE, ("CALIB", "1"), ("POS", "CIRCLE 180 45 0.4"), ("CALIB", "2"), ("POL", "I")),
        all_of(
            any_of(IN_CIRCLE, touches(circle(180, 45, 0.4))),
            equals("calib_level", 1, 2),
            lambda row: "/I/" in (row["pol_states"] or ""),
        ),
    ),
)


def _expected(sky: Iterable[Row], rule: Rule) -> list[str]:
    return sorted(
        row["obs_publisher_did"] for row in sky if row["dataproduct_type"] in ("image", "cube") and rule(row)
    )


def _found(sia: SiaService, document: Any, *params: tuple[str, str], label: str | None = None) -> list[str]:
    response = sia.query(ParamSet.from_pairs(params), BASE_URL, label=label)
    assert response.status == 200
    return sorted(document(response).column("obs_publisher_did"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.clause)
def test_finds_what_a_look_at_every_row_finds(sia: SiaService, sky: Any, document: Any, case: Case) -> None:
    assert _found(sia, document, *case.params) == _expected(sky, case.rule)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.clause)
def test_order_of_parameters_does_not_matter(sia: SiaService, sky: Any, document: Any, case: Case) -> None:
    assert _found(sia, document, *reversed(case.params)) == _expected(sky, case.rule)


def test_most_cases_find_something_but_not_everything(sky: Any) -> None:
    everything = len(_expected(sky, lambda _row: True))
    telling = [case for case in CASES if 0 < len(_expected(sky, case.rule)) < everything]
    assert len(telling) > 0.8 * len(CASES) - 1


def test_2_1_10_id_is_compared_in_any_case(sia: SiaService, sky: Any, document: Any) -> None:
    row = next(row for row in sky if row["dataproduct_type"] == "image")
    did = row["obs_publisher_did"]
    assert _found(sia, document, ("ID", did)) == [did]
    assert _found(sia, document, ("ID", did.upper())) == [did]
    assert _found(sia, document, ("ID", "ivo://no/such"), ("ID", did.lower())) == [did]
    assert _found(sia, document, ("ID", did + "x")) == []


def test_2_1_5_bounds_are_inclusive(sia: SiaService, sky: Any, document: Any) -> None:
    row = next(row for row in sky if row["dataproduct_type"] == "image" and row.region is not None)
    size = repr(row["s_fov"])
    assert row["obs_publisher_did"] in _found(sia, document, ("FOV", f"{size} {size}"))
    assert row["obs_publisher_did"] in _found(sia, document, ("FOV", size))


@pytest.mark.parametrize("label", ["alpha", "beta"])
def test_label_finds_its_repository_alone(sia: SiaService, sky: Any, document: Any, label: str) -> None:
    expected = _expected(sky, lambda row: row.label == label)
    assert expected
    assert _found(sia, document, label=label) == expected
