"""Cards that say where a cutout comes from."""

import datetime as dt
import io
import math
import uuid
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from lsst.dax.vo.dali import Circle, Interval, Polygon, Range
from lsst.dax.vo.soda import (
    Outside,
    PixelBox,
    Provenance,
    Region,
    SkyBox,
    cut,
    parse_pixels,
    provenance_cards,
)
from lsst.dax.vo.soda._provenance import in_time_system
from lsst.dax.vo.testing import make_image_header

RA, DEC = 123.4, -32.3
ID = uuid.UUID("4f64102f-7923-4cf1-b981-8fbbb4bba523")
TIME = dt.datetime(2026, 11, 26, 8, 30, 15, 123456, tzinfo=dt.timezone(dt.timedelta(hours=-3)))
PROVENANCE = Provenance(
    TIME, "1.2", ID, "calexp", {"instrument": "LSSTCam", "visit": 7, "day": dt.date(2026, 1, 2)}
)

DATASET = {
    "BTLRUUID": ID.hex,
    "BTLRNAME": "calexp",
    "BTLRK000": "instrument",
    "BTLRV000": "LSSTCam",
    "BTLRK001": "visit",
    "BTLRV001": 7,
    "BTLRK002": "day",
    "BTLRV002": "2026-01-02",
}
SOFTWARE = {"DATE-CUT": "2026-11-26T11:30:15.123", "CUTVERS": "1.2"}


def values(*args: object, **filters: object) -> dict[str, object]:
    cards = provenance_cards(*args, **filters)
    # All of them fit a FITS header as they are.
    header = fits.Header([fits.Card(*card) for card in cards])
    assert all(len(card.image) == 80 for card in header.cards)
    assert {key: header[key] for key, _, _ in cards} == {key: value for key, value, _ in cards}
    return {key: value for key, value, _ in cards}


@pytest.mark.parametrize(
    ("region", "wanted"),
    [
        (
            Circle(12.5, -34.25, 0.1),
            {"ST_TYPE": "CIRCLE", "ST_RA": 12.5, "ST_DEC": -34.25, "ST_RAD": 0.1},
        ),
        (
            Polygon((1.0, 2.0, 3.0), (4.0, 5.5, 4.0)),
            {
                "ST_TYPE": "POLYGON",
                "ST_NVERT": 3,
                "ST_RA00": 1.0,
                "ST_DEC00": 4.0,
                "ST_RA01": 2.0,
                "ST_DEC01": 5.5,
                "ST_RA02": 3.0,
                "ST_DEC02": 4.0,
            },
        ),
        (
            Range(359.0, 1.0, -2.0, 3.0),
            {"ST_TYPE": "RANGE", "ST_RA00": 359.0, "ST_RA01": 1.0, "ST_DEC00": -2.0, "ST_DEC01": 3.0},
        ),
        (
            PixelBox(1, 2, -3, 4),
            {"ST_TYPE": "PIXELS", "ST_X0": 1, "ST_X1": 2, "ST_Y0": -3, "ST_Y1": 4},
        ),
        (parse_pixels("-Inf 2 3 Inf"), {"ST_TYPE": "PIXELS", "ST_X1": 2, "ST_Y0": 3}),
        (
            SkyBox(12.5, -34.25, 30.5, 20.0, "arcsec"),
            {"ST_TYPE": "BOX", "ST_RA": 12.5, "ST_DEC": -34.25, "ST_SIZE1": 30.5, "ST_SIZE2": 20.0},
        ),
        (
            SkyBox(12.5, -34.25, 51, 52, "pixel"),
            {"ST_TYPE": "BOX", "ST_RA": 12.5, "ST_DEC": -34.25, "ST_SIZE1": 51, "ST_SIZE2": 52},
        ),
        (None, {}),
    ],
)
def test_cards_of_regions(region: Region | None, wanted: dict[str, object]) -> None:
    assert values(PROVENANCE, region) == DATASET | wanted | SOFTWARE


def test_units_are_in_the_comments() -> None:
    cards = provenance_cards(PROVENANCE, SkyBox(1, 2, 3, 4, "arcsec"))
    comments = {key: comment for key, _, comment in cards}
    assert comments["ST_RA"].startswith("[deg]")
    assert comments["ST_SIZE1"].startswith("[arcsec]")
    pixels = provenance_cards(PROVENANCE, SkyBox(1, 2, 3, 4, "pixel"))
    assert {key: comment for key, _, comment in pixels}["ST_SIZE2"].startswith("[pix]")


def test_a_hundred_vertices_are_told() -> None:
    many = Polygon(tuple(i / 10 for i in range(150)), (1.0,) * 150)
    cards = values(PROVENANCE, many)
    assert cards["ST_NVERT"] == 150
    assert cards["ST_RA99"] == 9.9
    assert sum(key.startswith("ST_RA") for key in cards) == 100


def test_cards_of_filters() -> None:
    found = values(
        Provenance(TIME, "1.2"),
        None,
        band=Interval(5e-7, math.inf),
        time=Interval(60000.25, 60001.0),
        pols=("I", "Q"),
        outside=Outside.NAN,
    )
    assert found == {
        "ST_BAND0": 5e-7,
        "ST_TIME0": 60000.25,
        "ST_TIME1": 60001.0,
        "ST_POL": "I Q",
        "ST_OUT": "nan",
        **SOFTWARE,
    }


@pytest.mark.parametrize(
    ("timesys", "value", "scale"),
    [
        ("TAI", "2026-11-26T11:30:52.123", "TAI"),
        ("tai ", "2026-11-26T11:30:52.123", "TAI"),
        ("TT", "2026-11-26T11:31:24.307", "TT"),
        ("UTC", "2026-11-26T11:30:15.123", "UTC"),
        (None, "2026-11-26T11:30:15.123", "UTC"),
        (5, "2026-11-26T11:30:15.123", "UTC"),
    ],
)
def test_the_time_is_in_the_scale_of_the_header(timesys: object, value: str, scale: str) -> None:
    cards = in_time_system(provenance_cards(PROVENANCE, None), timesys)
    assert [card for card in cards if card[0] == "DATE-CUT"] == [
        ("DATE-CUT", value, f"{scale} time of cutout extraction")
    ]
    assert len(cards) == len(provenance_cards(PROVENANCE, None))


def test_a_cutout_of_a_cutout_says_what_itself_was_cut_by(tmp_path: Path) -> None:
    """Nothing is left of the first stencil, and the time is the header's TAI."""
    header = make_image_header(ra_deg=RA, dec_deg=DEC)
    header["TIMESYS"] = "TAI"
    fits.PrimaryHDU(np.zeros((40, 40), "f4"), header).writeto(tmp_path / "whole.fits")
    path = tmp_path / "first.fits"
    polygon = Polygon((RA - 1, RA + 1, RA + 1, RA - 1), (DEC - 1, DEC - 1, DEC + 1, DEC + 1))
    first = cut(str(tmp_path / "whole.fits"), polygon, provenance=PROVENANCE)
    path.write_bytes(first.content)
    second = cut(str(path), Circle(RA, DEC, 1), provenance=Provenance(TIME, "1.3"))
    before, after = (fits.getheader(io.BytesIO(cutout.content)) for cutout in (first, second))
    assert before["ST_NVERT"] == 4
    assert [key for key in after if key.startswith("ST_")] == ["ST_TYPE", "ST_RA", "ST_DEC", "ST_RAD"]
    # The dataset stays the one that all pixels come from.
    assert (after["BTLRUUID"], after["CUTVERS"]) == (ID.hex, "1.3")
    assert (after["TIMESYS"], after["DATE-CUT"]) == ("TAI", "2026-11-26T11:30:52.123")
