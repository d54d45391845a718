"""BAND, TIME and POL on images of one band and one exposure."""

import math

import pytest

from lsst.dax.vo.dali import Interval
from lsst.dax.vo.errors import UnsupportedError
from lsst.dax.vo.soda import Extent, selects

EXTENT = Extent(5.4e-7, 6.9e-7, 60000.1, 60000.2, ("I",))


@pytest.mark.parametrize(
    ("low", "high", "is_selected"),
    [
        (5e-7, 5.3e-7, False),
        (5e-7, 5.4e-7, True),
        (6e-7, 6e-7, True),
        (5e-7, 8e-7, True),
        (6.9e-7, 8e-7, True),
        (7e-7, 8e-7, False),
        (-math.inf, 5e-7, False),
        (-math.inf, 6e-7, True),
        (6e-7, math.inf, True),
        (7e-7, math.inf, False),
        (-math.inf, math.inf, True),
    ],
)
def test_wavelengths_that_overlap(low: float, high: float, is_selected: bool) -> None:
    assert selects(EXTENT, band=Interval(low, high)) is is_selected
    # The same on the axis of time.
    scaled = Extent(t_min=EXTENT.em_min, t_max=EXTENT.em_max)
    assert selects(scaled, time=Interval(low, high)) is is_selected


@pytest.mark.parametrize(
    ("pols", "is_selected"), [(("I",), True), (("Q", "U"), False), (("Q", "I"), True), ((), True)]
)
def test_any_state_of_the_filter_is_enough(pols: tuple[str, ...], is_selected: bool) -> None:
    assert selects(EXTENT, pols=pols) is is_selected


def test_all_filters_hold_at_once() -> None:
    band, time = Interval(6e-7, 6e-7), Interval(60000.15, 60001)
    assert selects(EXTENT, band=band, time=time, pols=("I",))
    assert not selects(EXTENT, band=band, time=Interval(60001, 60002), pols=("I",))
    assert not selects(EXTENT, band=Interval(1, 2), time=time, pols=("I",))
    assert not selects(EXTENT, band=band, time=time, pols=("V",))


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"band": Interval(1, 2)}, "^BAND cannot be applied: the wavelengths .* leave BAND out$"),
        ({"time": Interval(1, math.inf)}, "^TIME cannot be applied: the times .* leave TIME out$"),
        ({"pols": ("I",)}, "^POL cannot be applied: the polarization states"),
    ],
)
def test_what_is_not_known_cannot_be_filtered(filters: dict, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        selects(Extent(), **filters)


def test_filters_that_keep_everything_need_no_knowledge() -> None:
    everything = Interval(-math.inf, math.inf)
    assert selects(Extent(), band=everything, time=everything)


def test_one_known_end_may_decide() -> None:
    assert not selects(Extent(em_min=5e-7), band=Interval(1e-7, 2e-7))
    assert not selects(Extent(t_max=60000), time=Interval(60001, 60002))
    with pytest.raises(UnsupportedError):
        selects(Extent(em_min=5e-7), band=Interval(6e-7, 7e-7))
