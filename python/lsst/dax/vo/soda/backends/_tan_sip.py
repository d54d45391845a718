"""A WCS written anew as TAN-SIP, exact within one box of pixels.

LSST's exact WCS may be one that no FITS header can hold (a camera model),
and the header then holds an approximation for the whole detector.  Over a
cutout, polynomials follow the exact one to well below a microarcsecond.
"""

from __future__ import annotations

__all__ = ["WCS_KEYWORD", "is_followed_by", "tan_sip_cards"]

import re

import numpy as np

from .._box import PixelBox
from .._projection import Floats, Projection
from .._provenance import Card
from ._header import Header

WCS_KEYWORD = re.compile(
    r"WCSAXES|WCSNAME|(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA)[12]|(CD|PC)[12]_[12]|(PV|PS)[12]_\d+"
    r"|[AB]P?_(ORDER|DMAX|\d+_\d+)|LONPOLE|LATPOLE|RADESYS|RADECSYS|EQUINOX"
)
"""Keywords of the main celestial WCS."""

_DISTORTION = re.compile(r"(PV|PS|CPDIS|CQDIS|D2IMDIS)\d")

# Degrees: a millionth of a pixel of 0.2 arcseconds is 5.6e-11.
_CLOSE = 5e-11
_SAME = 2e-11
_ORDERS = (2, 3, 4, 5, 7, 9)


def is_followed_by(projection: Projection, header: Header, xy0: tuple[int, int], box: PixelBox) -> bool:
    """Tell whether a header's WCS is as good as the exact one.

    Parameters
    ----------
    projection
        The exact WCS.
    header
        Header of the whole image.
    xy0
        Parent coordinates of its first pixel.
    box
        The pixels that matter.

    Returns
    -------
    is_followed : `bool`
        Whether the header holds TAN or TAN-SIP within a millionth of an
        LSST pixel.  Evaluated here, since AST takes milliseconds to make
        the inverse, which is not needed.
    """
    x, y = _nodes(box, 5)
    found = _evaluate(header, x - xy0[0] + 1, y - xy0[1] + 1)
    return found is not None and _separation_deg(found, projection.to_sky(x, y)) <= _CLOSE


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
    if not np.isfinite(matrix).all() or np.linalg.matrix_rank(matrix) < 2:
        # A mapping of all pixels to a line or a point, in a damaged file.
        return None
    inverse = np.linalg.inv(matrix)
    sip = {
        power: inverse @ (fit[i] / radius ** sum(power)) for i, power in enumerate(powers) if sum(power) > 1
    }
    return _cards(
        (lon0, lat0), (center_x - box.x0 + 1, center_y - box.y0 + 1), np.degrees(matrix), sip, order
    )


def _evaluate(header: Header, x: Floats, y: Floats) -> tuple[Floats, Floats] | None:
    # Calabretta and Greisen's TAN with the native pole at its default, and
    # SIP; anything else is not followed.
    kinds = [header.text(f"CTYPE{axis}") for axis in (1, 2)]
    needed = [header.number(key) for key in ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CD1_1", "CD2_2")]
    is_plain = (
        kinds in (["RA---TAN", "DEC--TAN"], ["RA---TAN-SIP", "DEC--TAN-SIP"])
        and header.text("RADESYS") == "ICRS"
        and (header.number("LONPOLE") or 180.0) == 180.0
        and not any(_DISTORTION.match(key) for key in header.keywords())
    )
    if not is_plain or any(value is None for value in needed):
        return None
    crpix1, crpix2, lon_deg, lat_deg = (value or 0.0 for value in needed[:4])
    u, v = x - crpix1, y - crpix2
    if kinds[0].endswith("SIP"):
        u, v = u + _sip(header, "A", u, v), v + _sip(header, "B", u, v)
    cd = [[header.number(f"CD{i}_{j}") or 0.0 for j in (1, 2)] for i in (1, 2)]
    east, north = np.radians(cd[0][0] * u + cd[0][1] * v), np.radians(cd[1][0] * u + cd[1][1] * v)
    lon0, lat0 = np.radians(lon_deg), np.radians(lat_deg)
    depth = np.cos(lat0) - north * np.sin(lat0)
    height = np.sin(lat0) + north * np.cos(lat0)
    return lon0 + np.arctan2(east, depth), np.arctan2(height, np.hypot(east, depth))


def _sip(header: Header, letter: str, u: Floats, v: Floats) -> Floats:
    result = np.zeros_like(u)
    for key in header.keywords():
        if match := re.fullmatch(rf"{letter}_(\d)_(\d)", key):
            result = result + (header.number(key) or 0.0) * u ** int(match[1]) * v ** int(match[2])
    return result


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
