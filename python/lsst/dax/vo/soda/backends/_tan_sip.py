"""A WCS written anew as TAN-SIP, exact within one box of pixels.

LSST's exact WCS may be one that no FITS header can hold (a camera model),
and the header then holds an approximation for the whole detector.  Over a
cutout, polynomials follow the exact one to well below a microarcsecond.
"""

from __future__ import annotations

__all__ = ["WCS_KEYWORD", "differs", "tan_sip_cards"]

import re

import numpy as np

from .._box import PixelBox
from .._projection import Floats, Projection
from .._provenance import Card

WCS_KEYWORD = re.compile(
    r"WCSAXES|WCSNAME|(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA)[12]|(CD|PC)[12]_[12]|(PV|PS)[12]_\d+"
    r"|[AB]P?_(ORDER|DMAX|\d+_\d+)|LONPOLE|LATPOLE|RADESYS|RADECSYS|EQUINOX"
)
"""Keywords of the main celestial WCS."""

# Degrees: a millionth of a pixel of 0.2 arcseconds is 6e-11.
_SAME = 2e-11
_ORDERS = (2, 3, 4, 5, 7, 9)


def differs(first: Projection, second: Projection, box: PixelBox) -> bool:
    """Tell whether two WCSs disagree within a box.

    Parameters
    ----------
    first, second
        The WCSs.
    box
        The pixels.

    Returns
    -------
    differs : `bool`
        Whether they are more than a tenth of a microarcsecond apart.
    """
    x, y = _nodes(box, 5)
    return not _separation_deg(first.to_sky(x, y), second.to_sky(x, y)) <= _SAME


def tan_sip_cards(projection: Projection, box: PixelBox) -> tuple[Card, ...] | None:
    """Fit TAN-SIP to a WCS.

    Parameters
    ----------
    projection
        The exact WCS.
    box
        The pixels of the cutout; the cards are for a file that holds them.

    Returns
    -------
    cards : `tuple` [`Card`, ...] or `None`
        The lowest order that is within a tenth of a microarcsecond, else the
        highest; `None` where the WCS has no image of the box.

    References
    ----------
    Shupe et al. 2005 (SIP); Calabretta & Greisen 2002, 5.1.3 (TAN).
    """
    center_x, center_y = 0.5 * (box.x0 + box.x1), 0.5 * (box.y0 + box.y1)
    lon0, lat0 = (float(value[0]) for value in projection.to_sky(np.array([center_x]), np.array([center_y])))
    # Half of the box, but not less than a few pixels: a single pixel has a
    # scale and an orientation too.
    radius = max(box.width, box.height, 8) / 2
    x, y = _nodes(box, 13)
    if box.width < 8 or box.height < 8:
        steps = np.linspace(-radius, radius, 13)
        x, y = (grid.ravel() for grid in np.meshgrid(center_x + steps, center_y + steps))
    plane = _gnomonic(*projection.to_sky(x, y), lon0, lat0)
    if not np.all(np.isfinite(plane)):
        return None
    u, v = (x - center_x) / radius, (y - center_y) / radius
    for order in _ORDERS:
        powers = [(p, q) for total in range(1, order + 1) for p in range(total + 1) for q in [total - p]]
        terms = np.column_stack([u**p * v**q for p, q in powers])
        fit = np.linalg.lstsq(terms, plane, rcond=None)[0]
        if np.degrees(np.abs(terms @ fit - plane).max()) <= _SAME:
            break
    linear = {power: fit[i] / radius for i, power in enumerate(powers[:2])}
    matrix = np.column_stack([linear[1, 0], linear[0, 1]])
    inverse = np.linalg.inv(matrix)
    sip = {
        power: inverse @ (fit[i] / radius ** sum(power)) for i, power in enumerate(powers) if sum(power) > 1
    }
    return _cards(
        (lon0, lat0), (center_x - box.x0 + 1, center_y - box.y0 + 1), np.degrees(matrix), sip, order
    )


def _cards(
    sky: tuple[float, float],
    pixel: tuple[float, float],
    matrix: Floats,
    sip: dict[tuple[int, int], Floats],
    order: int,
) -> tuple[Card, ...]:
    cards: list[Card] = [
        ("WCSAXES", 2, "Number of WCS axes"),
        ("CTYPE1", "RA---TAN-SIP", "Fitted to the exact WCS over this cutout"),
        ("CTYPE2", "DEC--TAN-SIP", "Fitted to the exact WCS over this cutout"),
        ("RADESYS", "ICRS", "Reference frame"),
    ]
    for axis in (0, 1):
        cards.append((f"CRPIX{axis + 1}", pixel[axis], "Reference pixel"))
        cards.append(
            (
                f"CRVAL{axis + 1}",
                float(np.degrees(sky[axis])) % 360 if axis == 0 else float(np.degrees(sky[axis])),
                "[deg] Value there",
            )
        )
        cards.append((f"CUNIT{axis + 1}", "deg", "Unit"))
        cards.extend((f"CD{axis + 1}_{i + 1}", float(matrix[axis, i]), "[deg/pix]") for i in (0, 1))
    for axis, letter in enumerate("AB"):
        cards.append((f"{letter}_ORDER", order, "SIP polynomial order"))
        cards.extend((f"{letter}_{p}_{q}", float(value[axis]), "") for (p, q), value in sip.items())
    return tuple(cards)


def _nodes(box: PixelBox, count: int) -> tuple[Floats, Floats]:
    # Chebyshev nodes, which keep a polynomial from swinging at the edges.
    nodes = np.cos(np.pi * np.arange(count) / (count - 1))
    columns = 0.5 * (box.x0 + box.x1) + 0.5 * box.width * nodes
    rows = 0.5 * (box.y0 + box.y1) + 0.5 * box.height * nodes
    x, y = np.meshgrid(columns, rows)
    return x.ravel(), y.ravel()


def _gnomonic(lon: Floats, lat: Floats, lon0: float, lat0: float) -> Floats:
    delta = lon - lon0
    depth = np.sin(lat) * np.sin(lat0) + np.cos(lat) * np.cos(lat0) * np.cos(delta)
    east = np.cos(lat) * np.sin(delta) / depth
    # sin(lat - lat0) keeps the digits that a difference of products loses.
    north = (np.sin(lat - lat0) + 2 * np.sin(lat0) * np.cos(lat) * np.sin(0.5 * delta) ** 2) / depth
    return np.column_stack([east, north])


def _separation_deg(first: tuple[Floats, Floats], second: tuple[Floats, Floats]) -> float:
    delta = first[0] - second[0]
    east, north = np.sin(delta) * np.cos(first[1]), first[1] - second[1]
    return float(np.degrees(np.max(np.hypot(east, north))))
