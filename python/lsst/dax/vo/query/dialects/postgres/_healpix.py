"""HEALPix in SQL of PostgreSQL, which reads no function of ours.

Each step of the computation is a subquery, whose OFFSET keeps the database
from writing it out wherever its values are used.
"""

from __future__ import annotations

__all__ = ["healpix_center", "healpix_index"]

from collections.abc import Sequence
from functools import cache

import sqlglot
from sqlglot import exp

from ..._udfs import MOST_ORDER

_RADIANS = "CAST(0.017453292519943295 AS float8)"
_DEGREES = "CAST(57.29577951308232 AS float8)"
_SPREAD = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


def healpix_index(arguments: Sequence[exp.Expr]) -> exp.Expr:
    """Write the index of the pixel of a position.

    Parameters
    ----------
    arguments
        Order, longitude and latitude in degrees.

    Returns
    -------
    index : `sqlglot.exp.Expr`
        As `~lsst.dax.vo.query._udfs.healpix_index` computes it.
    """
    return _fill(_index_template(), arguments)


def healpix_center(arguments: Sequence[exp.Expr]) -> exp.Expr:
    """Write the center of a pixel.

    Parameters
    ----------
    arguments
        Order and index.

    Returns
    -------
    point : `sqlglot.exp.Expr`
        As `~lsst.dax.vo.query._udfs.healpix_center` computes it.
    """
    return _fill(_center_template(), arguments)


def _fill(template: exp.Expr, arguments: Sequence[exp.Expr]) -> exp.Expr:
    filled = template.copy()
    for node in list(filled.find_all(exp.Placeholder)):
        node.replace(arguments[int(str(node.this)[1:])].copy())
    return filled


def _parse(result: str, steps: Sequence[str]) -> exp.Expr:
    text = f"SELECT {steps[0]}"
    for number, step in enumerate(steps[1:]):
        text = f"SELECT q{number}.*, {step} FROM ({text} OFFSET 0) AS q{number}"
    return sqlglot.parse_one(f"(SELECT {result} FROM ({text} OFFSET 0) AS q)", dialect="postgres")


@cache
def _index_template() -> exp.Expr:
    good = f"o BETWEEN 0 AND {MOST_ORDER} AND abs(lon) < 1e300 AND abs(lat) <= 90"
    steps = [
        "CAST(:p0 AS bigint) AS o, CAST(:p1 AS float8) AS lon, CAST(:p2 AS float8) AS lat",
        f"CASE WHEN {good} THEN CAST(o AS integer) END AS k, "
        f"CASE WHEN {good} THEN lon / 90.0 - 4.0 * floor(lon / 360.0) END AS turned, "
        f"CASE WHEN {good} THEN sin(lat * {_RADIANS}) END AS s, "
        f"CASE WHEN {good} THEN cos(lat * {_RADIANS}) END AS c",
        "CAST(1 AS bigint) << k AS side, abs(s) AS h, "
        "CASE WHEN turned < 0 OR turned >= 4 THEN 0.0 ELSE turned END AS turn",
        "floor(turn) AS quarter, side * (0.5 + turn) AS middle, side * (s * 0.75) AS slope, "
        "side * (c * sqrt(3.0 / (1.0 + h))) AS reach",
        "CAST(floor(middle - slope) AS bigint) AS rising, CAST(floor(middle + slope) AS bigint) AS falling, "
        "least(CAST(floor((turn - quarter) * reach) AS bigint), side - 1) AS first, "
        "least(CAST(floor((1.0 - (turn - quarter)) * reach) AS bigint), side - 1) AS second",
        "rising >> k AS up, falling >> k AS down",
        "CASE WHEN h <= CAST(2.0 AS float8) / 3.0 "
        "THEN CASE WHEN up = down THEN (up & 3) + 4 WHEN up < down THEN up & 3 ELSE (down & 3) + 8 END "
        "ELSE CAST(quarter AS bigint) + CASE WHEN s >= 0 THEN 0 ELSE 8 END END AS face, "
        "CASE WHEN h <= CAST(2.0 AS float8) / 3.0 THEN falling & (side - 1) "
        "WHEN s >= 0 THEN side - second - 1 ELSE first END AS x0, "
        "CASE WHEN h <= CAST(2.0 AS float8) / 3.0 THEN side - (rising & (side - 1)) - 1 "
        "WHEN s >= 0 THEN side - first - 1 ELSE second END AS y0",
    ]
    for place, (bits, mask) in enumerate(_SPREAD):
        steps.append(
            f"(x{place} | (x{place} << {bits})) & {mask} AS x{place + 1}, "
            f"(y{place} | (y{place} << {bits})) & {mask} AS y{place + 1}"
        )
    last = len(_SPREAD)
    return _parse(f"(face << (2 * k)) + x{last} + (y{last} << 1)", steps)


@cache
def _center_template() -> exp.Expr:
    good = f"o BETWEEN 0 AND {MOST_ORDER} AND i >= 0 AND i < CAST(12 AS bigint) << CAST(2 * o AS integer)"
    steps = [
        "CAST(:p0 AS bigint) AS o, CAST(:p1 AS bigint) AS i",
        # No shift by what is no order.
        f"CASE WHEN o BETWEEN 0 AND {MOST_ORDER} THEN CASE WHEN {good} THEN CAST(o AS integer) END END AS k",
        "CAST(1 AS bigint) << k AS side, CAST(i >> (2 * k) AS integer) AS face, "
        f"i & ((CAST(1 AS bigint) << (2 * k)) - 1) & {_SPREAD[-1][1]} AS x0, "
        f"(i & ((CAST(1 AS bigint) << (2 * k)) - 1)) >> 1 & {_SPREAD[-1][1]} AS y0",
    ]
    masks = [mask for _, mask in reversed(_SPREAD[:-1])] + [0xFFFFFFFF]
    for place, ((bits, _), mask) in enumerate(zip(reversed(_SPREAD), masks, strict=True)):
        steps.append(
            f"(x{place} | (x{place} >> {bits})) & {mask} AS x{place + 1}, "
            f"(y{place} | (y{place} >> {bits})) & {mask} AS y{place + 1}"
        )
    last = len(_SPREAD)
    steps += [
        f"(2 + face / 4) * side - x{last} - y{last} - 1 AS ring, "
        f"x{last} - y{last} AS aside, "
        "2 * (face % 4) + CASE WHEN face / 4 = 1 THEN 0 ELSE 1 END AS base",
        "ring < side OR ring > 3 * side AS polar",
        "CASE WHEN ring < side THEN ring WHEN polar THEN 4 * side - ring ELSE side END AS fourth",
        "CAST(fourth AS float8) / side * (CAST(fourth AS float8) / side) / 3.0 AS missing, "
        "base * fourth + aside AS place",
        "CASE WHEN polar THEN CASE WHEN ring < side THEN 1.0 - missing ELSE missing - 1.0 END "
        "ELSE (2.0 - CAST(ring AS float8) / side) * 2.0 / 3.0 END AS s, "
        "CASE WHEN place < 0 THEN place + 8 * fourth ELSE place END AS turned",
        "sqrt(CASE WHEN polar THEN missing * (2.0 - missing) ELSE (1.0 - s) * (1.0 + s) END) AS c",
    ]
    longitude = "CAST(45.0 AS float8) * turned / fourth"
    return _parse(f"CASE WHEN k IS NOT NULL THEN ARRAY[{longitude}, atan2(s, c) * {_DEGREES}] END", steps)
