"""Parsing of SODA requests."""

import pytest

from lsst.dax.vo.dali import Circle, ParamSet, Polygon, Range, fault_of
from lsst.dax.vo.errors import MultiValuedError, UnsupportedError, UsageError, VoError
from lsst.dax.vo.soda import CutoutRequest, Detail, PixelBox, parse_pixels, parse_request

ID = ("ID", "butler://dp1/4f64102f-7923-4cf1-b981-8fbbb4bba523")
CIRCLE = ("CIRCLE", "12 34 0.5")


def parse(*pairs: tuple[str, str]) -> CutoutRequest:
    return parse_request(ParamSet.from_pairs(pairs))


@pytest.mark.parametrize(
    ("pair", "region"),
    [
        (("CIRCLE", "12 34 0.5"), Circle(12, 34, 0.5)),
        (("circle", " 12.0\t34e0 5E-1 "), Circle(12, 34, 0.5)),
        (("Pos", "CIRCLE 12 34 0.5"), Circle(12, 34, 0.5)),
        (("POLYGON", "12 34 14 34 14 36 12 36"), Polygon((12, 14, 14, 12), (34, 34, 36, 36))),
        (("POLYGON", "12 34 14 34 14 36 12 34"), Polygon((14, 14, 12), (34, 36, 34))),
        (("POS", "polygon 12 34 14 34 14 36"), Polygon((12, 14, 14), (34, 34, 36))),
        (("POS", "RANGE 12 14 34 36"), Range(12, 14, 34, 36)),
        (("POS", "RANGE -Inf +Inf 34 Inf"), Range(0, 360, 34, 90)),
        (("PIXELS", "3 5 -7 9"), PixelBox(3, 5, -7, 9)),
    ],
)
def test_regions(pair: tuple[str, str], region: object) -> None:
    assert parse(ID, pair) == CutoutRequest(ID[1], region)


@pytest.mark.parametrize("text", ["Image", "image", "MASKEDIMAGE", " Exposure "])
def test_detail_in_any_case(text: str) -> None:
    assert parse(ID, CIRCLE, ("CutoutDetail", text)).detail.value.lower() == text.strip().lower()


@pytest.mark.parametrize("text", ["fits", "FITS", "application/fits", "image/fits", "application/fits; x=1"])
def test_formats(text: str) -> None:
    assert parse(ID, CIRCLE, ("RESPONSEFORMAT", text)).media_type == "application/fits"


def test_others_are_ignored() -> None:
    request = parse(ID, CIRCLE, ("RUNID", "mine"), ("foo", "bar"), ("foo", "baz"))
    assert request == CutoutRequest(ID[1], Circle(12, 34, 0.5), Detail.IMAGE)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([CIRCLE], "^ID is missing; send ID="),
        ([("ID", " "), CIRCLE], "^ID is missing"),
        ([ID], "stencil is missing; send CIRCLE=.* #this link"),
        ([ID, ("CIRCLE", "")], "CIRCLE='' is not accepted"),
        ([ID, ("CIRCLE", "12 34")], "CIRCLE='12 34' is not accepted; give .*radius"),
        ([ID, ("CIRCLE", "12 34 0")], "0 < radius"),
        ([ID, ("CIRCLE", "12 34 -1")], "0 < radius"),
        ([ID, ("CIRCLE", "12 34 181")], "radius <= 180"),
        ([ID, ("CIRCLE", "12 91 1")], r"latitude 91\.0; latitudes lie within -90\.\.90"),
        ([ID, ("CIRCLE", "NaN 34 1")], "is not accepted"),
        ([ID, ("CIRCLE", "12 34 Inf")], "is not accepted"),
        ([ID, ("CIRCLE", "12 34 1e999")], "is not accepted"),
        ([ID, ("CIRCLE", "12,34,1")], "is not accepted"),
        ([ID, ("POLYGON", "1 2 3 4")], "POLYGON='1 2 3 4' is not accepted; give three or more"),
        ([ID, ("POLYGON", "1 2 3 4 5")], "three or more"),
        ([ID, ("POLYGON", "1 2 3 4 1 2")], "three or more"),
        ([ID, ("POS", "BOX 1 2 3 4")], "POS='BOX 1 2 3 4' is not accepted; give 'CIRCLE"),
        ([ID, ("POS", "RANGE 1 2 4 3")], "is not accepted"),
        ([ID, ("PIXELS", "1 2 3")], "PIXELS='1 2 3' is not accepted; give four whole numbers"),
        ([ID, ("PIXELS", "2 1 3 4")], "x0 <= x1"),
        ([ID, ("PIXELS", "1.0 2 3 4")], "four whole numbers"),
        ([ID, ("PIXELS", "1 2 3 " + "9" * 30)], "four whole numbers"),
        ([ID, CIRCLE, ("CUTOUTDETAIL", "all")], "CUTOUTDETAIL='all' .* Image, MaskedImage, Exposure"),
    ],
)
def test_usage_errors(pairs: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse(*pairs)
    assert (fault_of(caught.value).http_status, fault_of(caught.value).soda) == (400, "UsageError")


@pytest.mark.parametrize(
    ("pairs", "parameter"),
    [
        ([ID, ID, CIRCLE], "ID"),
        ([ID, CIRCLE, CIRCLE], "CIRCLE"),
        ([ID, CIRCLE, ("POS", "CIRCLE 1 2 3")], "CIRCLE+POS"),
        ([ID, CIRCLE, ("CUTOUTDETAIL", "Image"), ("CUTOUTDETAIL", "Image")], "CUTOUTDETAIL"),
        ([ID, CIRCLE, ("RESPONSEFORMAT", "fits"), ("RESPONSEFORMAT", "fits")], "RESPONSEFORMAT"),
    ],
)
def test_one_product_for_each_request(pairs: list[tuple[str, str]], parameter: str) -> None:
    with pytest.raises(MultiValuedError, match="takes one value") as caught:
        parse(*pairs)
    assert caught.value.parameter == parameter
    assert fault_of(caught.value).soda == "MultiValuedParamNotSupported"


@pytest.mark.parametrize("name", ["BAND", "TIME", "POL", "band"])
def test_filters_are_refused_not_ignored(name: str) -> None:
    with pytest.raises(UnsupportedError, match=f"^{name.upper()} is not supported by this service") as caught:
        parse(ID, CIRCLE, (name, "5e-7 6e-7"))
    assert fault_of(caught.value).http_status == 400


def test_other_formats_are_refused() -> None:
    with pytest.raises(VoError, match="RESPONSEFORMAT='image/png' is not supported; give 'application/fits'"):
        parse(ID, CIRCLE, ("RESPONSEFORMAT", "image/png"))


def test_box_of_pixels() -> None:
    box = parse_pixels("3 5 -7 9")
    assert (box.width, box.height, box.size, str(box)) == (3, 17, 51, "3 5 -7 9")
    assert box.clipped_to(PixelBox(5, 9, 0, 100)) == PixelBox(5, 5, 0, 9)
    assert box.clipped_to(PixelBox(6, 9, 0, 100)) is None
