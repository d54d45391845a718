"""Whatever the region, the time or the template: the same as one by one."""

import math
import uuid

import numpy as np
import pyarrow as pa
from hypothesis import assume, example, given
from hypothesis import strategies as st
from lsst.daf.butler.time_utils import TimeConverter
from lsst.sphgeom import ConvexPolygon, LonLat, Region, UnitVector3d

from lsst.dax.vo.obscore.rows._chunk import Chunk, Coded
from lsst.dax.vo.obscore.rows._regions import describe_regions
from lsst.dax.vo.obscore.rows._templates import Template
from lsst.dax.vo.obscore.rows._times import mjd_utc

# Leap seconds of the table are at the ends of 1971 ... 2016; later ones are
# not announced, of which astropy warns.
LAST_NS = 1_790_000_000 * 10**9
LEAP_2017_NS = (1_483_228_800 + 36) * 10**9


@st.composite
def polygons(draw: st.DrawFn) -> ConvexPolygon:
    ra, dec = draw(st.floats(0, 360)), draw(st.floats(-90, 90))
    size = 10 ** draw(st.floats(-5, 1))
    corners = draw(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=3, max_size=6))
    center = UnitVector3d(LonLat.fromDegrees(ra, dec))
    east = UnitVector3d.orthogonalTo(center)
    north = UnitVector3d(center.cross(east))
    scale = math.radians(size)
    points = [UnitVector3d(center + east * (x * scale) + north * (y * scale)) for x, y in corners]
    try:
        return ConvexPolygon(points)
    except ValueError:
        assume(False)
        raise


def _by_one(region: Region) -> tuple[float, float, float, str]:
    circle = region.getBoundingCircle()
    center = LonLat(circle.getCenter())
    numbers = [
        f"{angle.asDegrees():.6f}"
        for vertex in map(LonLat, region.getVertices())
        for angle in (vertex.getLon(), vertex.getLat())
    ]
    return (
        center.getLon().asDegrees(),
        center.getLat().asDegrees(),
        2 * circle.getOpeningAngle().asDegrees(),
        f"POLYGON ICRS {' '.join(numbers)}",
    )


@given(st.lists(polygons(), min_size=1, max_size=5))
def test_regions_in_bulk_are_those_of_sphgeom(regions: list[ConvexPolygon]) -> None:
    found, damaged = describe_regions(pa.array([region.encode() for region in regions], pa.binary()))
    assert len(damaged) == 0
    names = ("s_ra", "s_dec", "s_fov", "s_region")
    rows = zip(*(found[name].to_pylist() for name in names), strict=True)
    for row, region in zip(rows, regions, strict=True):
        try:
            wanted = _by_one(region)
        except RuntimeError:
            # Two corners coincide: lsst.sphgeom finds no center.
            assert row[:3] == (None, None, None)
            continue
        assert row[3] == wanted[3]
        # Equal to the last bit on x86; other compilers contract products.
        assert np.allclose(row[:3], wanted[:3], rtol=1e-9, atol=1e-9)


@given(st.integers(0, LAST_NS))
@example(LEAP_2017_NS)
@example(LEAP_2017_NS + 500_000_000)
@example(LEAP_2017_NS + 10**9)
@example(LEAP_2017_NS - 1)
def test_times_in_bulk_are_those_of_astropy(nanoseconds: int) -> None:
    wanted = float(TimeConverter().nsec_to_astropy(nanoseconds).utc.mjd)
    assert mjd_utc(np.array([nanoseconds]))[0] == wanted


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), st.text("gry", min_size=1, max_size=2)), min_size=1, max_size=8
    ),
    st.lists(
        st.sampled_from(["{visit}", "{band}", "{id}", "{run}", "{visit:07d}", "{band:>4}", "-", "{{", "ü"]),
        max_size=6,
    ),
)
def test_templates_in_bulk_are_those_of_python(rows: list[tuple[int, str]], parts: list[str]) -> None:
    text = "".join(parts)
    ids = [uuid.uuid5(uuid.NAMESPACE_URL, str(index)) for index in range(len(rows))]
    nothing = pa.nulls(len(rows))
    chunk = Chunk(
        dataset_type="raw",
        ids=b"".join(item.bytes for item in ids),
        run=Coded.of(["run"] * len(rows)),
        dimensions={"visit": Coded.of([row[0] for row in rows]), "band": Coded.of([row[1] for row in rows])},
        records={},
        regions=pa.nulls(4, pa.binary()),
        times_ns=(nothing, nothing),
        sizes=nothing,
    )
    assert Template(text, "test").evaluate(chunk, {}).to_pylist() == [
        text.format(visit=visit, band=band, id=item, run="run")
        for (visit, band), item in zip(rows, ids, strict=True)
    ]
