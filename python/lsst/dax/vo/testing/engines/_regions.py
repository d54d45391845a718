"""Regions: what an index leaves out is nothing that belongs to the answer."""

from __future__ import annotations

__all__ = ["EngineRegionTests"]

import math
import uuid
from collections.abc import Iterator

import pyarrow as pa
import pytest
from lsst.sphgeom import (
    CONTAINS,
    DISJOINT,
    Angle,
    Box,
    Circle,
    ConvexPolygon,
    Region,
    UnionRegion,
    UnitVector3d,
)

from ... import dali
from ...config import Limits
from ...query import Engine, Intersects, Search, open_engine, plan_search
from ...store import open_store, open_writer
from ._case import ENGINE_COLUMNS, EngineCase, Place, engine_rows, vector

_SHAPES = [
    "POINT(10.01, 10.02)",
    "CIRCLE(359.9, 9.0, 1.5)",
    "CIRCLE(20, 20, 0)",
    "CIRCLE(180, -20, 60)",
    "CIRCLE(5, 5, 170)",
    "BOX(12, 12, 3, 2)",
    "POLYGON(0, 0, 30, 0, 30, 30, 0, 30)",
    "POLYGON(0, 0, 40, 0, 5, 5, 0, 40)",
    "POLYGON(10, 10, 10.4, 10, 10.2, 10.5)",
]


_ASKED = [
    (shape, asked)
    for asked in ("intersects", "contains", "contained", "intersects in a subquery")
    for shape in _SHAPES
    # A region lies in no point: ADQL does not ask.
    if asked != "contains" or not shape.startswith("POINT")
]


class EngineRegionTests(EngineCase):
    """Geometry on columns of regions and positions."""

    @pytest.fixture(scope="class")
    @classmethod
    def regions(cls) -> list[Region | None]:
        """Return the regions of the store of `region_engine`."""
        found: list[Region | None] = [None, Circle.empty(), Circle(UnitVector3d.Z(), Angle.fromDegrees(100))]
        for number in range(120):
            ra, dec = 3.0 * number, (number * 7) % 120 - 60.0
            found.append(Circle(vector(ra, dec), Angle.fromDegrees(0.2 + number % 5)))
        # Tiles that share sides and corners, on the sides of the shapes too.
        for x in range(-2, 13):
            for y in range(12):
                corners = [(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)]
                found.append(ConvexPolygon([vector(2.5 * a, 2.5 * b) for a, b in corners]))
        found.append(Box.fromDegrees(8, 8, 14, 14))
        found.append(UnionRegion(Circle(vector(10, 10), Angle(0.1)), Circle(vector(180, 0), Angle(0.1))))
        return found

    @pytest.fixture(scope="class")
    @classmethod
    def region_engine(cls, class_place: Place, regions: list[Region | None]) -> Iterator[Engine]:
        """Return an engine on rows with regions of all kinds."""
        location = class_place("regions")
        with open_writer(location, columns=ENGINE_COLUMNS, properties={}) as writer:
            cells = [
                {
                    "obs_id": f"{number:04}",
                    "s_ra": None if number % 9 == 8 else number % 360 * 1.0,
                    "s_dec": number % 180 - 89.0,
                    "s_region": None if region is None else "shape",
                    "_repo": "here",
                    "_id": uuid.UUID(int=number).bytes,
                    "_region": None if region is None else region.encode(),
                    "_print": number,
                }
                for number, region in enumerate(regions)
            ]
            writer.write(pa.RecordBatch.from_pylist(cells, writer.schema))
        engine = open_engine([open_store(location)], limits=Limits())
        yield engine
        engine.close()

    @pytest.mark.parametrize(("shape", "asked"), _ASKED)
    def test_regions_are_related_as_sphgeom_has_it(
        self, region_engine: Engine, regions: list[Region | None], shape: str, asked: str
    ) -> None:
        """Whatever the index leaves out: answers are those of the exact regions."""
        wanted = _shape(shape)
        source = "ivoa.ObsCore"
        if asked == "intersects in a subquery":
            source = "(SELECT s_region, obs_id FROM ivoa.ObsCore WHERE s_dec > -1000) AS q"
        terms = {"contains": f"s_region, {shape}", "contained": f"{shape}, s_region"}
        predicate = "INTERSECTS" if asked.startswith("intersects") else "CONTAINS"
        condition = f"{predicate}({terms.get(asked, f'{shape}, s_region')})"
        for value, sense in ((1, True), (0, False)):
            expected = [
                f"{number:04}"
                for number, region in enumerate(regions)
                if region is not None and not _is_empty(region) and _relates(asked, wanted, region) is sense
            ]
            found = engine_rows(
                region_engine, f"SELECT obs_id FROM {source} WHERE {condition} = {value} ORDER BY obs_id"
            )
            assert [row["obs_id"] for row in found] == expected

    @pytest.mark.parametrize("shape", _SHAPES[1:])
    def test_points_of_the_table_in_a_shape(
        self, region_engine: Engine, regions: list[Region | None], shape: str
    ) -> None:
        """Positions that are columns; NULL is in nothing."""
        wanted = _shape(shape)
        assert isinstance(wanted, Region)
        expected = [
            f"{number:04}"
            for number in range(len(regions))
            if number % 9 != 8 and wanted.contains(vector(number % 360, number % 180 - 89.0))
        ]
        query = (
            f"SELECT obs_id FROM ivoa.ObsCore WHERE CONTAINS(POINT(s_ra, s_dec), {shape}) = 1 ORDER BY obs_id"
        )
        assert [row["obs_id"] for row in engine_rows(region_engine, query)] == expected

    def test_regions_of_two_tables(self, region_engine: Engine, regions: list[Region | None]) -> None:
        """A join by place."""
        chosen = {number: regions[number] for number in (5, 150, 151, 180)}
        expected = sorted(
            (f"{a:04}", f"{b:04}")
            for a, first in chosen.items()
            for b, second in enumerate(regions)
            if first is not None
            and second is not None
            # Of two boxes that do not overlap, sphgeom may not know it.
            and not (_is_empty(second) or isinstance(second, Box))
            and not first.relate(second) & DISJOINT
        )
        names = ", ".join(f"'{number:04}'" for number in chosen)
        (boxed,) = (f"{number:04}" for number, region in enumerate(regions) if isinstance(region, Box))
        query = (
            "SELECT a.obs_id AS x, b.obs_id AS y FROM ivoa.ObsCore AS a JOIN ivoa.ObsCore AS b "
            "ON INTERSECTS(a.s_region, b.s_region) = 1 "
            f"WHERE a.obs_id IN ({names}) AND b.obs_id <> '{boxed}' ORDER BY x, y"
        )
        assert [(row["x"], row["y"]) for row in engine_rows(region_engine, query)] == expected

    def test_search_by_shapes(self, region_engine: Engine, regions: list[Region | None]) -> None:
        """As SIAv2 asks: one of some shapes."""
        stencils = (dali.Circle(10.0, 10.0, 0.5), dali.Polygon((170.0, 190.0, 180.0), (-10.0, -10.0, 10.0)))
        wanted = [dali.to_region(stencil) for stencil in stencils]
        expected = sorted(
            f"{number:04}"
            for number, region in enumerate(regions)
            if region is not None
            and not _is_empty(region)
            and any(not item.relate(region) & DISJOINT for item in wanted)
        )
        plan = plan_search(Search(("obs_id",), (Intersects("s_region", stencils),)), region_engine.catalog)
        assert sorted(row["obs_id"] for row in engine_rows(region_engine, plan)) == expected


def _is_empty(region: Region) -> bool:
    return bool(region.getBoundingBox3d().isEmpty())


def _shape(text: str) -> Region | tuple[float, float]:
    name, _, rest = text.rstrip(")").partition("(")
    numbers = [float(number) for number in rest.split(",")]
    match name:
        case "POINT":
            return numbers[0], numbers[1]
        case "CIRCLE":
            return Circle(vector(*numbers[:2]), Angle.fromDegrees(numbers[2]))
        case "BOX":
            ra, dec, width, height = (math.radians(number) for number in numbers)
            place = _xyz(vector(numbers[0], numbers[1]))
            east = (-math.sin(ra), math.cos(ra), 0.0)
            north = (-math.sin(dec) * math.cos(ra), -math.sin(dec) * math.sin(ra), math.cos(dec))
            x, y = math.tan(width / 2), math.tan(height / 2)
            corners = [(-x, -y), (x, -y), (x, y), (-x, y)]
            return ConvexPolygon(
                [
                    UnitVector3d(*(p + a * e + b * n for p, e, n in zip(place, east, north, strict=True)))
                    for a, b in corners
                ]
            )
        case _:
            return dali.to_region(dali.Polygon(tuple(numbers[::2]), tuple(numbers[1::2])))


def _xyz(vector: UnitVector3d) -> tuple[float, float, float]:
    return vector.x(), vector.y(), vector.z()


def _relates(asked: str, wanted: Region | tuple[float, float], region: Region) -> bool:
    if not isinstance(wanted, Region):
        return bool(region.contains(vector(*wanted)))
    if asked.startswith("intersects"):
        return not wanted.relate(region) & DISJOINT
    inner, outer = (region, wanted) if asked == "contains" else (wanted, region)
    parts = (
        [inner.cloneOperand(i) for i in range(inner.nOperands())]
        if isinstance(inner, UnionRegion)
        else [inner]
    )
    return all(_holds(outer, part) for part in parts)


def _holds(outer: Region, inner: Region) -> bool:
    if outer.relate(inner) & CONTAINS:
        return True
    if not isinstance(outer, UnionRegion) and not isinstance(inner, Box):
        return False
    # sphgeom asks for one part of a concave polygon that holds all, and does
    # not know of boxes in polygons.  None of these has a hole, so that what
    # has its middle and its border inside is inside.
    return all(outer.contains(point) for point in _border(inner))


def _border(region: Region) -> Iterator[UnitVector3d]:
    steps = [step / 200 for step in range(200)]
    match region:
        case Box():
            west, east = (angle.asDegrees() for angle in (region.getLon().getA(), region.getLon().getB()))
            south, north = (angle.asDegrees() for angle in (region.getLat().getA(), region.getLat().getB()))
            width = (east - west) % 360.0
            for step in steps:
                for latitude in (south, north):
                    yield vector((west + step * width) % 360.0, latitude)
                for longitude in (west, east):
                    yield vector(longitude, south + step * (north - south))
        case Circle():
            center = region.getCenter()
            yield center
            first = center.rotatedAround(UnitVector3d.orthogonalTo(center), region.getOpeningAngle())
            for step in steps:
                yield first.rotatedAround(center, Angle(2 * math.pi * step))
        case ConvexPolygon():
            vertices = region.getVertices()
            for a, b in zip(vertices, [*vertices[1:], vertices[0]], strict=True):
                for step in steps:
                    yield UnitVector3d(*(x + step * (y - x) for x, y in zip(_xyz(a), _xyz(b), strict=True)))
