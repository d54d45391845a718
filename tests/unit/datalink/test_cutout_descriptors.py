"""The limits that a cutout descriptor gives."""

import math

import pytest
from lsst.sphgeom import Angle, Box, Circle, ConvexPolygon, LonLat, UnionRegion, UnitVector3d

from lsst.dax.vo.dali import ParamSet, parse_circle, parse_polygon, to_region
from lsst.dax.vo.datalink._descriptors import CUTOUTS, Coverage, cutout_descriptors
from lsst.dax.vo.errors import NotFoundError, VoError
from lsst.dax.vo.soda import PARAMETERS, SodaService


def vector(ra_deg: float, dec_deg: float) -> UnitVector3d:
    return UnitVector3d(LonLat.fromDegrees(ra_deg, dec_deg))


def square(ra_deg: float, dec_deg: float, half_deg: float) -> ConvexPolygon:
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return ConvexPolygon([vector(ra_deg + x * half_deg, dec_deg + y * half_deg) for x, y in corners])


REGIONS = {
    "polygon": square(55.0, -32.0, 0.1),
    "polygon across longitude 0": square(0.0, 0.0, 0.1),
    "circle": Circle(vector(200.0, 10.0), Angle.fromDegrees(0.3)),
    "circle around the pole": Circle(vector(0.0, 90.0), Angle.fromDegrees(1.5)),
    "large circle": Circle(vector(10.0, -40.0), Angle.fromDegrees(30.0)),
    "box": Box.fromDegrees(359.0, -1.0, 1.0, 2.0),
    "union": UnionRegion(square(55.0, -32.0, 0.1), square(55.3, -32.0, 0.1)),
}


@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS.keys())
def test_limits_cover_the_region(region):
    descriptor = cutout_descriptors("http://h/c", CUTOUTS, fixed_id="x", coverage=Coverage(region))[0]
    params = {param.name: param for param in descriptor.params}
    circle = to_region(parse_circle(params["CIRCLE"].maximum))
    polygon = to_region(parse_polygon(params["POLYGON"].maximum))
    bounds = region.getBoundingCircle()
    radius_rad = bounds.getOpeningAngle().asRadians() * (1 - 1e-9)
    inside = [
        point
        for i in range(5000)
        # A spiral over the bounding circle, evenly in area.
        for point in [
            bounds.getCenter()
            .rotatedAround(
                UnitVector3d.orthogonalTo(bounds.getCenter()), Angle(radius_rad * math.sqrt((i + 0.5) / 5000))
            )
            .rotatedAround(bounds.getCenter(), Angle(i * 2.399963))
        ]
        if region.contains(point)
    ]
    assert len(inside) > 1000
    # A point of the region's own edge may be rounded to its other side.
    missed = sum(not polygon.contains(point) for point in inside)
    assert missed <= 2
    assert all(circle.contains(point) for point in inside)


@pytest.mark.parametrize("fixed_id", ["butler://dp1/x", None])
def test_parameters_are_those_of_soda_and_rubin(fixed_id):
    descriptors = cutout_descriptors("http://h/c", CUTOUTS, fixed_id=fixed_id)
    assert [item.xml_id for item in descriptors] == [
        "cutout-sync",
        "cutout-sync-maskedimage",
        "cutout-sync-exposure",
        "cutout-async",
    ]
    for descriptor, detail in zip(descriptors, ("Image", "MaskedImage", "Exposure", ""), strict=True):
        params = {param.name: param for param in descriptor.params}
        assert list(params) == [item.name for item in PARAMETERS]
        assert (params["ID"].value, params["ID"].ref) == ((fixed_id, None) if fixed_id else ("", "ID"))
        assert params["ID"].ucd == "meta.ref.url;meta.curation"
        assert (params["CIRCLE"].datatype, params["CIRCLE"].arraysize) == ("double", "3")
        assert (params["CIRCLE"].xtype, params["CIRCLE"].unit) == ("circle", "deg")
        assert (params["POLYGON"].datatype, params["POLYGON"].arraysize) == ("double", "*")
        assert (params["POLYGON"].xtype, params["POLYGON"].unit) == ("polygon", "deg")
        assert (params["POS"].datatype, params["POS"].xtype, params["POS"].unit) == ("char", None, None)
        assert {params[name].ucd for name in ("CIRCLE", "POLYGON", "POS")} == {"pos.outline;obs"}
        assert params["CUTOUTDETAIL"].value == detail
        assert params["CIRCLE"].maximum is None
        has_options = detail in ("Image", "")
        assert params["CUTOUTDETAIL"].options == (("Image", "MaskedImage", "Exposure") if has_options else ())


def test_every_parameter_listed_is_read():
    """And none is read that is not: a request with a bad value of each is refused for that value."""
    for item in PARAMETERS:
        pairs = {"ID": "x", "CIRCLE": "1 2 3", "SIZE": "1", "CENTER": "1 2"} | {item.name: "\x00 bad"}
        if item.name == "ID":
            pairs["ID"] = ""
        if item.name == "SIZEPIX":
            pairs.pop("SIZE")
        service = SodaService(lambda ids, _: [NotFoundError("none")] * len(ids), version="1")
        with pytest.raises(VoError) as raised:
            list(service.cut(ParamSet.from_pairs(pairs.items())))
        assert item.name in str(raised.value)
