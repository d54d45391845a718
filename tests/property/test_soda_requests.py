"""Whatever a client sends: a request, or one sentence that says what is wrong."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lsst.dax.vo.dali import Circle, ParamSet, Polygon, Range, Stencil, parse_pos, to_interior, to_region
from lsst.dax.vo.errors import UsageError, VoError
from lsst.dax.vo.soda import PixelBox, SkyBox, format_region, parse_regions, parse_request

FILTERS = ["CIRCLE", "POLYGON", "POS", "BAND", "TIME", "POL", "PIXELS", "CENTER", "SIZE", "SIZEPIX", "MOC"]
PICTURES = ["STRETCH", "LIMITS", "COLORMAP", "NORTHUP"]
NAMES = [*FILTERS, "ID", "CUTOUTDETAIL", "OUTSIDE", "RESPONSEFORMAT", *PICTURES, "RUNID", "x"]
NUMBERS = "0 1 2 -1 90 -90 90.0000001 180 360 359.999999 1e-320 1e308 1e999 -1e999 Inf -Inf +Inf inf nan"
OTHERS = "-nan infinity 1e 1_0 0x1p3 + - . .. , ; CIRCLE RANGE POLYGON BOX I Q POLI Image mask fits <b>"
WORDS = [
    *NUMBERS.split(),
    *OTHERS.split(),
    *(
        "9" * 400,
        "\0",
        "\n",
        "\u2028",
        "\ud800",
        "1\0",
        "%00",
        "'",
        '"',
        "\u0661",
        "\u00bd",
        "\u221e",
        "\uff11",
    ),
]
words = st.one_of(st.sampled_from(WORDS), st.floats().map(repr), st.integers().map(str), st.text(max_size=6))
values = st.one_of(
    st.lists(words, max_size=9).map(" ".join),
    st.text(),
    # Of the right kind and count, so that what lies deeper is reached.
    st.lists(st.floats(-400, 400).map(repr), min_size=2, max_size=12).map(" ".join),
)
pairs = st.lists(
    st.tuples(st.sampled_from(NAMES).flatmap(lambda name: st.sampled_from([name, name.lower()])), values)
)


@given(pairs)
def test_a_request_or_a_sentence(pairs: list[tuple[str, str]]) -> None:
    try:
        request = parse_request(ParamSet.from_pairs([("ID", "x"), *pairs]))
    except VoError as err:
        message = str(err)
        assert len(message) < 1000
        assert message.isprintable()
        return
    assert request.count >= 1
    for region in request.regions:
        assert format_region(region).isprintable()
        match region:
            case Circle():
                assert 0 < region.radius_deg <= 180
            case Polygon():
                to_region(region)
            case PixelBox():
                assert region.size >= 1
            case SkyBox():
                assert 0 < min(region.width, region.height) < math.inf
    for interval in (*request.bands, *request.times):
        assert interval.low <= interval.high


longitudes = st.floats(0, 360, exclude_max=True)
latitudes = st.floats(-90, 90)
stencils = st.one_of(
    st.builds(Circle, longitudes, latitudes, st.floats(0, 180, exclude_min=True)),
    st.tuples(longitudes, longitudes, latitudes, latitudes).map(
        lambda ends: Range(ends[0], ends[1], *sorted(ends[2:]))
    ),
)


@given(stencils)
def test_texts_of_stencils_are_read_back(stencil: Stencil) -> None:
    text = format_region(stencil)
    assert parse_pos(text) == stencil
    assert parse_regions(ParamSet.from_pairs([("POS", text)])) == (stencil,)


@st.composite
def polygons(draw: st.DrawFn) -> Polygon:
    """Draw corners around a place, mostly in order of their angle."""
    ra, dec = draw(st.floats(0, 359)), draw(st.sampled_from([0.0, 40.0, -89.99, 90.0]))
    size = draw(st.sampled_from([1e-7, 1e-3, 1.0, 30.0]))
    count = draw(st.integers(3, 30))
    radii = draw(st.lists(st.floats(0.1, 1), min_size=count, max_size=count))
    angles = [2 * math.pi * (i + draw(st.floats(-0.6, 0.6))) / count for i in range(count)]
    center = np.array([math.cos(math.radians(dec)), 0.0, math.sin(math.radians(dec))])
    east, north = np.array([0.0, 1.0, 0.0]), np.cross(center, [0.0, 1.0, 0.0])
    corners = []
    for radius, angle in zip(radii, angles, strict=True):
        way = math.tan(math.radians(radius * size)) * (math.cos(angle) * east + math.sin(angle) * north)
        x, y, z = center + way
        corners.append(
            ((math.degrees(math.atan2(y, x)) + ra) % 360, math.degrees(math.atan2(z, math.hypot(x, y))))
        )
    return Polygon(*zip(*corners[:: draw(st.sampled_from([1, -1]))], strict=True))


@given(polygons(), st.integers(0, 2**32 - 1))
def test_interiors_of_polygons_are_those_of_sphgeom(polygon: Polygon, seed: int) -> None:
    """Two ways to the same inside, for convex and concave polygons."""
    try:
        interior = to_interior(polygon)
    except UsageError:
        return
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.full(len(polygon.ra_deg), 0.3), 300)
    lon, lat = np.radians(polygon.ra_deg), np.radians(polygon.dec_deg)
    corners = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    # Around the corners, inside of their hull and outside of it.
    x, y, z = ((1.3 * share - 0.3 / len(lon)) @ corners).T
    places = np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))
    assert np.array_equal(interior.contains(*places), to_region(polygon).contains(*places))
    assert np.all(interior.contains(lon, lat))
    assert not np.any(interior.contains(lon + math.pi, -lat))
