"""WCS that are none: boxes and shapes come out all the same, soon, without a word from numpy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lsst.dax.vo.dali import Circle, Polygon, Range
from lsst.dax.vo.soda import PixelBox, Projection, SkyBox, coverage, region_box
from lsst.dax.vo.soda._boundary import arcs_of
from lsst.dax.vo.soda._trace import trace
from lsst.dax.vo.soda._view import View

IMAGE = PixelBox(0, 79, 0, 39)
SCALE = 1e-6
LON, LAT = 2.0, 0.1

type Floats = np.ndarray[tuple[int], np.dtype[np.float64]]


def to_sky(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    return SCALE * x + LON, SCALE * y + LAT


def to_pixel(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    return (lon - LON) / SCALE, (lat - LAT) / SCALE


class Damage:
    """A mapping that goes wrong in one of many ways."""

    def __init__(self, kind: str, seed: int, mapping: object) -> None:
        self._kind, self._mapping = kind, mapping
        self._random = np.random.default_rng(seed)

    def __repr__(self) -> str:
        return f"<{self._kind} of {self._mapping.__name__}>"

    @np.errstate(all="ignore")
    def __call__(self, first: Floats, second: Floats) -> tuple[Floats, Floats]:
        a, b = self._mapping(first, second)
        match self._kind:
            case "noise":
                return a + self._random.normal(0, 3, a.shape), b + self._random.normal(0, 1e4, a.shape)
            case "far":
                return np.full_like(a, 1e300), np.full_like(a, -1e300)
            case "infinite":
                return np.full_like(a, np.inf), b
            case "gaps":
                return np.where(first % 2 < 1, np.nan, a), b
            case "one place":
                return np.full_like(a, 1.0), np.full_like(a, 1.0)
            case "waves":
                return a + np.sin(1e3 * b), np.cos(1e5 * a)
            case "turned":
                return b, a
        return a, b


kinds = st.sampled_from(["none", "noise", "far", "infinite", "gaps", "one place", "waves", "turned"])
projections = st.builds(
    lambda there, back, seed: Projection(Damage(there, seed, to_sky), Damage(back, seed, to_pixel)),
    kinds,
    kinds,
    st.integers(0, 9),
)
CENTER = np.degrees([LON + 40 * SCALE, LAT + 20 * SCALE])
stencils = st.sampled_from(
    [
        Circle(*CENTER, np.degrees(30 * SCALE)),
        Circle(*CENTER, 100.0),
        Range(0.0, 360.0, -90.0, 90.0),
        Range(CENTER[0], CENTER[0] + 1, CENTER[1] - 1, CENTER[1]),
        Polygon(
            (CENTER[0], CENTER[0] + 1e-3, CENTER[0] - 1e-3),
            (CENTER[1] - 1e-3, CENTER[1] + 1e-3, CENTER[1] + 1e-3),
        ),
    ]
)


@given(projections, stencils)
def test_damaged_projections(projection: Projection, stencil: Circle | Range | Polygon) -> None:
    edge = trace(arcs_of(stencil), View.of(projection, IMAGE))
    assert len(edge.begin) < 200_000
    assert np.all(np.isfinite(edge.begin))
    assert np.all(np.isfinite(edge.end))
    box = region_box(stencil, projection, IMAGE)
    assert box is None or box.clipped_to(IMAGE) == box
    assert coverage(stencil, projection, IMAGE).shape == (40, 80)


@given(projections, st.sampled_from(["arcsec", "pixel"]))
def test_sizes_in_damaged_projections(projection: Projection, unit: str) -> None:
    box = region_box(SkyBox(*CENTER, 5, 5, unit), projection, IMAGE)
    assert box is None or box.clipped_to(IMAGE) == box
