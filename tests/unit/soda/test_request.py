"""Parsing of SODA requests."""

import dataclasses
import itertools
import math

import numpy as np
import pytest

from lsst.dax.vo.dali import Circle, Interval, ParamSet, Polygon, Range, fault_of
from lsst.dax.vo.errors import MultiValuedError, UnsupportedError, UsageError, VoError
from lsst.dax.vo.soda import (
    FORMATS,
    PARAMETERS,
    CutoutRequest,
    Detail,
    Outside,
    PixelBox,
    Product,
    Region,
    SkyBox,
    format_region,
    parse_pixels,
    parse_request,
)
from lsst.dax.vo.soda._region import checked_region

ID = ("ID", "butler://dp1/4f64102f-7923-4cf1-b981-8fbbb4bba523")
CIRCLE = ("CIRCLE", "12 34 0.5")
END = 10**18


def parse(*pairs: tuple[str, str]) -> CutoutRequest:
    return parse_request(ParamSet.from_pairs(pairs))


@pytest.mark.parametrize(
    ("pair", "region"),
    [
        (("CIRCLE", "12 34 0.5"), Circle(12, 34, 0.5)),
        (("circle", " 12.0\t34e0 5E-1 "), Circle(12, 34, 0.5)),
        (("CIRCLE", "-1 34 180"), Circle(359, 34, 180)),
        (("CIRCLE", "-1e-20 34 1"), Circle(0, 34, 1)),
        (("Pos", "CIRCLE 12 34 0.5"), Circle(12, 34, 0.5)),
        (("POLYGON", "12 34 14 34 14 36 12 36"), Polygon((12, 14, 14, 12), (34, 34, 36, 36))),
        (("POLYGON", "12 34 14 34 14 36 12 34"), Polygon((14, 14, 12), (34, 36, 34))),
        (("POLYGON", "12 34 12 34 14 34 14 36"), Polygon((12, 14, 14), (34, 34, 36))),
        (("POLYGON", "0 0 4 0 4 4 2 1 0 4"), Polygon((0, 4, 4, 2, 0), (0, 0, 4, 1, 4))),
        (("POS", "polygon 12 34 14 34 14 36"), Polygon((12, 14, 14), (34, 34, 36))),
        (("POS", "RANGE 12 14 34 36"), Range(12, 14, 34, 36)),
        (("POS", "RANGE 359 1 -1 1"), Range(359, 1, -1, 1)),
        (("POS", "RANGE -Inf +Inf 34 Inf"), Range(0, 360, 34, 90)),
        (("PIXELS", "3 5 -7 9"), PixelBox(3, 5, -7, 9)),
        (("PIXELS", "-Inf +Inf 3 inf"), PixelBox(-END, END, 3, END)),
    ],
)
def test_regions(pair: tuple[str, str], region: object) -> None:
    assert parse(ID, pair) == CutoutRequest((ID[1],), (region,))


@pytest.mark.parametrize(
    ("size", "box"),
    [
        (("SIZE", "30 20.5"), SkyBox(12, 34, 30, 20.5, "arcsec")),
        (("size", "30"), SkyBox(12, 34, 30, 30, "arcsec")),
        (("SIZEPIX", "51 101"), SkyBox(12, 34, 51, 101, "pixel")),
        (("SIZEPIX", "51"), SkyBox(12, 34, 51, 51, "pixel")),
    ],
)
def test_sizes_around_a_point(size: tuple[str, str], box: SkyBox) -> None:
    assert parse(ID, ("CENTER", "12 34"), size).regions == (box,)
    assert parse(ID, size, ("CENTER", "12 34")).regions == (box,)


def test_sizes_and_centers_multiply() -> None:
    request = parse(ID, ("CENTER", "1 2"), ("SIZE", "9"), ("CENTER", "3 4"), ("SIZEPIX", "7"))
    assert request.regions == (
        SkyBox(1, 2, 9, 9, "arcsec"),
        SkyBox(1, 2, 7, 7, "pixel"),
        SkyBox(3, 4, 9, 9, "arcsec"),
        SkyBox(3, 4, 7, 7, "pixel"),
    )


@pytest.mark.parametrize("text", ["Image", "image", "MASKEDIMAGE", " Exposure "])
def test_detail_in_any_case(text: str) -> None:
    assert parse(ID, CIRCLE, ("CutoutDetail", text)).detail.value.lower() == text.strip().lower()


@pytest.mark.parametrize("text", ["keep", "Mask", " NAN "])
def test_outside_in_any_case(text: str) -> None:
    assert parse(ID, CIRCLE, ("outside", text)).outside is Outside(text.strip().lower())


@pytest.mark.parametrize(
    ("text", "media_type"),
    [
        ("FITS", "application/fits"),
        ("application/fits; x=1", "application/fits"),
        *((text, one.media_type) for one in FORMATS for text in (one.name, one.media_type, *one.aliases)),
    ],
)
def test_formats(text: str, media_type: str) -> None:
    assert parse(ID, CIRCLE, ("RESPONSEFORMAT", text)).form.media_type == media_type


def test_others_are_ignored() -> None:
    request = parse(ID, CIRCLE, ("RUNID", "mine"), ("foo", "bar"), ("foo", "baz"))
    assert request == CutoutRequest((ID[1],), (Circle(12, 34, 0.5),), detail=Detail.IMAGE)


def test_first_options_are_the_defaults() -> None:
    """Firefly sends the first option of each parameter that has some."""
    first = [(item.name, item.options[0]) for item in PARAMETERS if item.options]
    assert len(first) >= 6
    assert parse(ID, CIRCLE, *first) == parse(ID, CIRCLE)


def test_what_nobody_filled_in_is_as_if_not_sent() -> None:
    """Forms and Firefly send every parameter of a descriptor."""
    blanks = [(item.name, " ") for item in PARAMETERS if item.name != "ID"]
    assert parse_request(ParamSet.from_pairs([ID, CIRCLE, *blanks])) == parse_request(
        ParamSet.from_pairs([ID, CIRCLE])
    )


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("5e-7 6e-7", Interval(5e-7, 6e-7)),
        ("5e-7", Interval(5e-7, 5e-7)),
        ("-Inf 3e-7", Interval(-math.inf, 3e-7)),
        ("3e-7 +inf", Interval(3e-7, math.inf)),
        ("-Infinity Infinity", Interval(-math.inf, math.inf)),
    ],
)
def test_intervals(text: str, interval: Interval) -> None:
    assert parse(ID, ("BAND", text)).bands == (interval,)
    assert parse(ID, ("time", text)).times == (interval,)


def test_states_are_one_filter() -> None:
    request = parse(ID, CIRCLE, ("POL", "I"), ("POL", "q"), ("POL", "I"))
    assert request.pols == ("I", "Q")
    assert request.single() == Product(ID[1], Circle(12, 34, 0.5), pols=("I", "Q"))


def test_a_filter_without_a_region_is_of_the_whole_image() -> None:
    assert parse(ID, ("POL", "I")).single() == Product(ID[1], None, pols=("I",))


def test_products_are_all_combinations_in_order() -> None:
    request = parse(
        ("ID", "a"),
        CIRCLE,
        ("BAND", "1 2"),
        ("TIME", "5"),
        ("ID", "b"),
        ("POS", "RANGE 1 2 3 4"),
        ("BAND", "3 4"),
        ("TIME", "6"),
        ("POL", "I"),
    )
    regions = (Circle(12, 34, 0.5), Range(1, 2, 3, 4))
    bands, times = (Interval(1, 2), Interval(3, 4)), (Interval(5, 5), Interval(6, 6))
    assert list(request.products()) == [
        Product(*values, ("I",)) for values in itertools.product("ab", regions, bands, times)
    ]
    assert request.count == 16


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([CIRCLE], "^ID is missing; send ID="),
        ([("ID", " "), CIRCLE], "^ID is missing"),
        ([ID, ("ID", ""), CIRCLE], "^ID is missing"),
        ([ID], "stencil is missing; send CIRCLE=.* #this link"),
        ([ID, ("CIRCLE", "")], "^A stencil is missing; .*CENTER=<ra dec> with SIZE=.*PIXELS="),
        ([ID, ("CIRCLE", "12 34")], "CIRCLE='12 34' is not accepted; give .*radius"),
        ([ID, ("CIRCLE", "12 34 0")], "0 < radius"),
        ([ID, ("CIRCLE", "12 34 -1")], "0 < radius"),
        ([ID, ("CIRCLE", "12 34 181")], "radius <= 180"),
        ([ID, ("CIRCLE", "12 91 1")], r"latitude 91\.0; latitudes lie within -90\.\.90"),
        ([ID, ("CIRCLE", "NaN 34 1")], "is not accepted"),
        ([ID, ("CIRCLE", "12 34 Inf")], "is not accepted"),
        ([ID, ("CIRCLE", "12 34 1e999")], "is not accepted"),
        ([ID, ("CIRCLE", "12,34,1")], "is not accepted"),
        ([ID, ("CIRCLE", "١٢ 34 1")], "is not accepted"),
        ([ID, ("CIRCLE", "1_2 34 1")], "is not accepted"),
        ([ID, ("CIRCLE", "0x10 34 1")], "is not accepted"),
        ([ID, ("CIRCLE", "12 34 1\0")], r"CIRCLE='12 34 1\\x00' is not accepted"),
        ([ID, ("POLYGON", "1 2 3 4")], "POLYGON='1 2 3 4' is not accepted; give three or more"),
        ([ID, ("POLYGON", "1 2 3 4 5")], "three or more"),
        ([ID, ("POLYGON", "1 2 3 4 1 2")], "three or more"),
        ([ID, ("POLYGON", "0 0 2 2 2 0 0 1")], "sides that cross or touch"),
        ([ID, ("POS", "POLYGON 0 0 1 0 2 0")], "no area"),
        ([ID, ("POLYGON", " ".join(["1 2 3 4"] * 5001))], "10002 vertices; give at most 10000"),
        ([ID, ("POS", "BOX 1 2 3 4")], "POS='BOX 1 2 3 4' is not accepted; give 'CIRCLE"),
        ([ID, ("POS", "RANGE 1 2 4 3")], "is not accepted"),
        ([ID, ("PIXELS", "1 2 3")], "PIXELS='1 2 3' is not accepted; give four whole numbers"),
        ([ID, ("PIXELS", "2 1 3 4")], "x0 <= x1"),
        ([ID, ("PIXELS", "1.0 2 3 4")], "four whole numbers"),
        ([ID, ("PIXELS", "nan 2 3 4")], "four whole numbers"),
        ([ID, ("PIXELS", "1 2 3 " + "9" * 30)], "four whole numbers"),
        ([ID, ("CENTER", "1 2")], "^CENTER needs its companion; send CENTER=.*SIZE=.*SIZEPIX="),
        ([ID, CIRCLE, ("SIZEPIX", "5")], "^SIZEPIX needs its companion"),
        ([ID, ("CENTER", "1 2 3"), ("SIZE", "1")], "CENTER='1 2 3' is not accepted; give 'longitude lat"),
        ([ID, ("CENTER", "1 91"), ("SIZE", "1")], "latitude 91"),
        ([ID, ("CENTER", "1 inf"), ("SIZE", "1")], "is not accepted"),
        ([ID, ("CENTER", "1 2"), ("SIZE", "0")], "SIZE='0' is not accepted; give 'width height' in arcsec"),
        ([ID, ("CENTER", "1 2"), ("SIZE", "1 2 3")], "greater than 0"),
        ([ID, ("CENTER", "1 2"), ("SIZE", "inf")], "at most 1296000"),
        ([ID, ("CENTER", "1 2"), ("SIZEPIX", "1.5")], "whole numbers of 1 or more"),
        ([ID, ("CENTER", "1 2"), ("SIZEPIX", "0 5")], "whole numbers of 1 or more"),
        ([ID, ("CENTER", "1 2"), ("SIZEPIX", "")], "^CENTER needs its companion"),
        ([ID, ("CENTER", "1 2"), ("SIZEPIX", "1" * 10)], "whole numbers of 1 or more"),
        ([ID, CIRCLE, ("BAND", "6e-7 5e-7")], "BAND='6e-7 5e-7' is not accepted; give .* low <= high"),
        ([ID, CIRCLE, ("TIME", "nan")], "TIME='nan' is not accepted"),
        ([ID, CIRCLE, ("BAND", "1 2 3")], "BAND='1 2 3' is not accepted"),
        ([ID, CIRCLE, ("POL", "I Q")], "POL='I Q' is not accepted; give one of I, Q"),
        ([ID, CIRCLE, ("CUTOUTDETAIL", "all")], "CUTOUTDETAIL='all' .* Image, MaskedImage, Exposure"),
        ([ID, CIRCLE, ("OUTSIDE", "zero")], "OUTSIDE='zero' .* keep, mask, nan"),
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
        ([ID, CIRCLE, ("POS", "CIRCLE 1 2 3")], "CIRCLE"),
        ([ID, CIRCLE, ("POS", "RANGE 1 2 3 4"), ("PIXELS", "1 2 3 4")], "CIRCLE+POS+PIXELS"),
        ([ID, ("POLYGON", "1 2 3 4 5 7"), ("CENTER", "1 2"), ("SIZE", "1")], "POLYGON+CENTER"),
        ([ID, CIRCLE, ("BAND", "1"), ("BAND", "2")], "BAND"),
        ([ID, CIRCLE, ("TIME", "1"), ("TIME", "2")], "TIME"),
    ],
)
def test_several_products_are_no_single_one(pairs: list[tuple[str, str]], parameter: str) -> None:
    request = parse(*pairs)
    assert request.count > 1
    with pytest.raises(MultiValuedError, match="takes one value") as caught:
        request.single()
    assert caught.value.parameter == parameter
    assert fault_of(caught.value).soda == "MultiValuedParamNotSupported"


@pytest.mark.parametrize("name", ["CUTOUTDETAIL", "OUTSIDE", "RESPONSEFORMAT"])
def test_options_are_given_once(name: str) -> None:
    value = {"CUTOUTDETAIL": "Image", "OUTSIDE": "keep", "RESPONSEFORMAT": "fits"}[name]
    with pytest.raises(MultiValuedError, match=f"^{name} takes one value"):
        parse(ID, CIRCLE, (name, value), (name, value))


def test_the_draft_parameter_is_refused_not_ignored() -> None:
    with pytest.raises(UnsupportedError, match=r"^MOC is not supported by this service") as caught:
        parse(ID, CIRCLE, ("moc", "1/1 2"))
    assert fault_of(caught.value).http_status == 400


def test_other_formats_are_refused() -> None:
    with pytest.raises(
        VoError, match="RESPONSEFORMAT='image/tiff' is not supported; give 'application/fits'"
    ):
        parse(ID, CIRCLE, ("RESPONSEFORMAT", "image/tiff"))


def test_sizes_and_centers_are_counted_before_they_are_multiplied() -> None:
    """20,000 of each are a request of 400 kB, and were four hundred million boxes."""
    pairs = [ID, *[("CENTER", "1 2")] * 20_000, *[("SIZE", "1")] * 20_000]
    with pytest.raises(UsageError, match="are 400000000 boxes; give at most 100000"):
        parse(*pairs)


def test_vertices_of_all_polygons_are_counted_before_they_are_checked() -> None:
    ring = " ".join(f"{math.cos(i / 700):.6f} {math.sin(i / 700):.6f}" for i in range(4000))
    with pytest.raises(UsageError, match="have 120000 vertices together; give at most 100000"):
        parse(ID, *[("POLYGON", ring)] * 30)


@pytest.mark.parametrize(
    "region",
    [
        Circle(1, 2, 3),
        Polygon((1, 2, 1.5), (0, 0, 1)),
        Range(350, 10, -90, 90),
        PixelBox(0, 5, -3, 10**18),
        SkyBox(1, 2, 3.5, 4, "arcsec"),
        SkyBox(1, 2, 3, 4, "pixel"),
    ],
)
def test_regions_made_in_python_are_as_those_of_requests(region: Region) -> None:
    assert checked_region(region) == region


def test_numbers_of_numpy_become_plain_ones() -> None:
    circle = checked_region(Circle(np.float32(-359.5), np.float64(2), np.int64(3)))
    assert format_region(circle) == "CIRCLE 0.5 2.0 3.0"
    polygon = Polygon(np.array([1.0, 2.0, 1.5]), np.array([0.0, 0.0, 1.0]))  # type: ignore[arg-type]
    assert format_region(checked_region(polygon)) == "POLYGON 1.0 0.0 2.0 0.0 1.5 1.0"
    assert format_region(PixelBox(*np.arange(4))) == "PIXELS 0 1 2 3"
    assert all(type(value) is int for value in dataclasses.astuple(PixelBox(*np.arange(4))))
    with pytest.raises(TypeError, match="integer"):
        PixelBox(0.5, 1, 2, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("region", "message"),
    [
        (Circle(math.nan, 2, 3), "CIRCLE='nan 2.0 3.0' is not accepted"),
        (Circle(1, 2, -3), "0 < radius"),
        (Circle(1, -95, 3), "latitude -95"),
        (Polygon((), ()), "three or more"),
        (Polygon((0, 1, 0, 1), (0, 1, 1, 0)), "cross"),
        (Range(1, 2, 4, 3), "is not accepted"),
        (PixelBox(2, 1, 0, 0), "PIXELS='2 1 0 0' is not accepted"),
        (SkyBox(1, 2, math.inf, 1, "pixel"), "whole numbers"),
        (SkyBox(1, 2, 1.5, 1, "pixel"), "whole numbers"),
        (SkyBox(1, 2, -1, 1, "arcsec"), "greater than 0"),
        ("CIRCLE 1 2 3", "is no region; give a Circle"),
    ],
)
def test_regions_that_requests_may_not_have(region: Region, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        checked_region(region)


def test_box_of_pixels() -> None:
    box = parse_pixels("3 5 -7 9")
    assert (box.width, box.height, box.size, str(box)) == (3, 17, 51, "3 5 -7 9")
    assert box.clipped_to(PixelBox(5, 9, 0, 100)) == PixelBox(5, 5, 0, 9)
    assert box.clipped_to(PixelBox(6, 9, 0, 100)) is None
    assert parse_pixels("-inf inf 2 inf").clipped_to(box) == PixelBox(3, 5, 2, 9)


@pytest.mark.parametrize(
    ("pairs", "text"),
    [
        ([("POS", "CIRCLE 12 34 .5")], "CIRCLE 12.0 34.0 0.5"),
        ([("PIXELS", "1 2 3 4")], "PIXELS 1 2 3 4"),
        ([("CENTER", "1 2"), ("SIZE", "9")], "CENTER 1.0 2.0 SIZE 9.0 9.0"),
        ([("CENTER", "1 2"), ("SIZEPIX", "9 8")], "CENTER 1.0 2.0 SIZEPIX 9 8"),
    ],
)
def test_texts_of_regions(pairs: list[tuple[str, str]], text: str) -> None:
    assert format_region(parse(ID, *pairs).regions[0]) == text
