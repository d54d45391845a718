"""Templates, regions and times: each against what defines it."""

import uuid
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from lsst.sphgeom import (
    Angle,
    AngleInterval,
    Box,
    Circle,
    ConvexPolygon,
    Ellipse,
    IntersectionRegion,
    LonLat,
    NormalizedAngleInterval,
    Region,
    UnionRegion,
    UnitVector3d,
)

from lsst.dax.vo.dali import parse_pos, to_region
from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.obscore.rows._chunk import Chunk, Coded
from lsst.dax.vo.obscore.rows._outline import outline
from lsst.dax.vo.obscore.rows._regions import describe_regions
from lsst.dax.vo.obscore.rows._templates import MissingNameError, Template, convert_texts

IDS = [uuid.UUID(int=7 * 2**100 + number) for number in range(4)]
VISITS = [3, 12, 3, 40]
NAMES = {"o_ucd": "phot.count", "obs_id": pa.array(["a", "b", "c", "d"])}


def _record(visit: int) -> SimpleNamespace:
    begin = SimpleNamespace(utc=SimpleNamespace(isot=f"T{visit}"))
    return SimpleNamespace(
        name=f"V{visit}", zenith=visit / 7, timespan=None if visit == 40 else SimpleNamespace(begin=begin)
    )


@pytest.fixture
def chunk() -> Chunk:
    visit = Coded.of(VISITS)
    return Chunk(
        dataset_type="calexp",
        ids=b"".join(item.bytes for item in IDS),
        run=Coded.of(["r1", "r2", "r1", "r2"]),
        dimensions={"visit": visit, "band": Coded.of(["g", None, "r", "g"])},
        records={"visit": Coded(visit.codes, [_record(value) for value in visit.values])},
        regions=pa.nulls(4, pa.binary()),
        times_ns=(pa.nulls(4), pa.nulls(4)),
        sizes=pa.nulls(4),
    )


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "",
        "{{}}",
        "{visit}",
        "{visit:05d}|{visit:>{visit}}|{visit!r:>4}",
        "{records[visit].name}-{records[visit].zenith:.3f}",
        "{id}",
        "{id.hex}{id!s:>40}",
        "{run}:{dataset_type}:{o_ucd[0]}:{obs_id}:{obs_id:>3}",
    ],
)
def test_template_is_what_python_formats(chunk: Chunk, text: str) -> None:
    found = Template(text, "test").evaluate(chunk, NAMES).to_pylist()
    runs = ["r1", "r2", "r1", "r2"]
    for index, (value, visit) in enumerate(zip(found, VISITS, strict=True)):
        names = {"records": {"visit": _record(visit)}, "visit": visit, "id": IDS[index], "run": runs[index]}
        names |= {"dataset_type": "calexp", "o_ucd": "phot.count", "obs_id": "abcd"[index]}
        assert value == text.format(**names)


def test_template_of_what_is_missing(chunk: Chunk) -> None:
    found = Template("{band}/{records[visit].timespan.begin.utc.isot}", "test").evaluate(chunk, {})
    assert found.to_pylist() == ["g/T3", None, "r/T3", None]
    for text in ("{tract}", "{records[tract].id}"):
        with pytest.raises(MissingNameError):
            Template(text, "test").evaluate(chunk, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{visit:x y}", "cannot be formatted"),
        ("{records[visit].nope}", "cannot be formatted"),
        ("{visit", "no format string"),
        ("{0}", "names nothing"),
        ("{records}", "names nothing"),
    ],
)
def test_template_that_does_not_work(chunk: Chunk, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^the test: .*{message}"):
        Template(text, "the test").evaluate(chunk, {})


@pytest.mark.parametrize(
    ("texts", "datatype", "values"),
    [
        (["1", None, "-3"], "long", [1, None, -3]),
        (["1", "0", None], "boolean", [True, False, None]),
        ([" 1e3", "nan"], "double", [1000.0, pytest.approx(float("nan"), nan_ok=True)]),
        (["a", None], "char", ["a", None]),
    ],
)
def test_texts_become_values(texts: list[Any], datatype: str, values: list[Any]) -> None:
    assert convert_texts(pa.array(texts, pa.string()), datatype, "x").to_pylist() == values


@pytest.mark.parametrize(("text", "datatype"), [("3000000000", "int"), ("1" * 20, "long")])
def test_numbers_that_a_column_cannot_hold_are_told(text: str, datatype: str) -> None:
    with pytest.raises(UsageError, match=f"^n of x: '{text}' is no value of type {datatype}; change"):
        convert_texts(pa.array([text]), datatype, "n of x")


def _at(ra_deg: float, dec_deg: float) -> UnitVector3d:
    return UnitVector3d(LonLat.fromDegrees(ra_deg, dec_deg))


def _degrees(value: float) -> Angle:
    return Angle.fromDegrees(value)


SHAPES: list[tuple[str, Region, str]] = [
    ("circle", Circle(_at(1, 2), _degrees(3)), "CIRCLE"),
    ("whole sky", Circle.full(), "CIRCLE"),
    ("ellipse", Ellipse(_at(10, 20), _degrees(3), _degrees(1), _degrees(30)), "POLYGON"),
    ("wide ellipse", Ellipse(_at(10, 20), _at(40, 50), _degrees(30)), "POLYGON"),
    ("box over ra 0", Box.fromDegrees(350, -10, 10, 10), "POLYGON"),
    ("northern box", Box.fromDegrees(0, 40, 50, 60), "POLYGON"),
    ("southern box", Box.fromDegrees(0, -60, 50, -40), "POLYGON"),
    ("box at the pole", Box.fromDegrees(0, 40, 50, 90), "POLYGON"),
    ("north cap", Box(NormalizedAngleInterval.full(), AngleInterval.fromDegrees(40, 90)), "POLYGON"),
    ("south cap", Box(NormalizedAngleInterval.full(), AngleInterval.fromDegrees(-90, -40)), "POLYGON"),
    ("belt", Box(NormalizedAngleInterval.full(), AngleInterval.fromDegrees(-20, 20)), "CIRCLE"),
    ("wide box", Box.fromDegrees(0, 40, 200, 60), "CIRCLE"),
    ("union", UnionRegion(Circle(_at(1, 2), _degrees(3)), Box.fromDegrees(3, 1, 8, 2)), "POLYGON"),
    ("overlap", IntersectionRegion(Circle(_at(1, 2), _degrees(3)), Box.fromDegrees(1, 1, 8, 2)), "POLYGON"),
]


@pytest.mark.parametrize(("region", "word"), [shape[1:] for shape in SHAPES], ids=[s[0] for s in SHAPES])
def test_outline_encloses_the_region(region: Region, word: str) -> None:
    text = outline(region) or ""
    assert text.startswith(f"{word} ICRS ")
    shape = to_region(parse_pos(text.replace(" ICRS", "")))
    random = np.random.default_rng(1)
    circle = region.getBoundingCircle()
    center = circle.getCenter()
    width = min(2.0, circle.getOpeningAngle().asRadians())
    points = np.array([center.x(), center.y(), center.z()]) + width * random.normal(size=(1000, 3))
    inside = [point for row in points.tolist() if region.contains(point := UnitVector3d(*row))]
    assert len(inside) > 20
    assert all(shape.contains(point) for point in inside)


def test_outline_of_nothing() -> None:
    assert outline(Circle.empty()) is None
    assert describe_regions(pa.array([None, Circle.empty().encode()], pa.binary()))[0][
        "s_region"
    ].to_pylist() == [None, None]


def test_all_kinds_in_one_list() -> None:
    square = ConvexPolygon([_at(0, 0), _at(1, 0), _at(1, 1), _at(0, 1)])
    regions = [None, square, *(region for _, region, _ in SHAPES), square]
    found, damaged = describe_regions(
        pa.array([None if region is None else region.encode() for region in regions], pa.binary())
    )
    assert len(damaged) == 0
    for index, region in enumerate(regions):
        if region is None:
            assert [column[index].as_py() for column in found.values()] == [None] * 5
            continue
        circle = region.getBoundingCircle()
        assert found["s_fov"][index].as_py() == 2 * circle.getOpeningAngle().asDegrees()
        assert found["s_dec"][index].as_py() == LonLat(circle.getCenter()).getLat().asDegrees()
        assert found["s_region"][index].as_py() == outline(region)
        assert found["_region"][index].as_py() == region.encode()
