"""Regions of the Butler's own table: texts become encodings."""

import math

import pyarrow as pa
import pytest
from lsst.sphgeom import Circle, ConvexPolygon, LonLat, Region, UnitVector3d

from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.query.engines._live import decode_texts


def _region(text: str) -> Region:
    (encoding,) = decode_texts(pa.array([text.encode()], pa.binary())).to_pylist()
    return Region.decode(encoding)


def _corners(region: ConvexPolygon) -> list[tuple[float, float]]:
    places = [LonLat(vertex) for vertex in region.getVertices()]
    return sorted((place.getLon().asDegrees(), place.getLat().asDegrees()) for place in places)


@pytest.mark.parametrize(
    "text",
    [
        "POLYGON ICRS 10.0 -1.5 20.0 -1.5 15.0 4.25",
        # In the other order round.
        "POLYGON ICRS 15 4.25 20 -1.5 10 -1.5",
        "P{{({},{}),({},{}),({} , {})}}".format(*map(math.radians, (10, -1.5, 20, -1.5, 15, 4.25))),
    ],
)
def test_polygons_in_both_forms(text: str) -> None:
    found = [number for corner in _corners(_region(text)) for number in corner]
    assert found == pytest.approx([10, -1.5, 15, 4.25, 20, -1.5], abs=1e-12)


def test_pole_may_be_a_bit_beyond_itself() -> None:
    # 15 digits of pi / 2, rounded up.
    region = _region("P{(0 , 1.57079632679490),(1e-05 , 1.4),(1.5 , 1.4)}")
    assert region.contains(UnitVector3d(LonLat.fromDegrees(30, 89)))


def test_encodings_and_nothing_stay() -> None:
    polygon = ConvexPolygon([UnitVector3d.X(), UnitVector3d.Y(), UnitVector3d.Z()])
    values = [polygon.encode(), None]
    assert decode_texts(pa.array(values, pa.binary())).to_pylist() == values


@pytest.mark.parametrize(
    ("text", "reach_deg"),
    [
        ("POLYGON ICRS 10.000001 5.0 10.000001 5.0 10.000001 5.0", 0.0),
        ("POLYGON ICRS 10 0 10.000001 0 10.000002 0", 2e-6),
    ],
)
def test_polygon_that_its_decimals_have_flattened_is_a_circle(text: str, reach_deg: float) -> None:
    region = _region(text)
    assert isinstance(region, Circle)
    assert region.getOpeningAngle().asDegrees() == pytest.approx(reach_deg, abs=1e-9)
    assert region.contains(region.getCenter())


@pytest.mark.parametrize(
    "text",
    [
        "P",
        "P{}",
        "P{(1d , 2d),(3d , 4d),(5d , 6d)}",
        "POLYGON ICRS 1 2 3 4",
        "POLYGON ICRS 1 2 3 4 5 6 7",
        "POLYGON FK5 1 2 3 4 5 6",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"A region of the Butler's own table is no polygon: .*export"):
        _region(text)
