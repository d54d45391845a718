"""The Butler's own table as a query in front of a query, and its regions.

The table has a region as a polygon of pgSphere, in full precision, or as the
text of ``s_region``, with six decimals of a degree.  Neither is what the
kernels read, and the database cannot make it: ``_region`` is the text of
either, behind a letter that no encoding of sphgeom begins with, and becomes an
encoding when its geometry is looked at.  Its bounds come from the circle
around it, which the table always has.
"""

from __future__ import annotations

__all__ = ["HIDDEN", "TEXT_TAG", "decode_texts", "select_hidden", "select_public"]

import math
import re

import numpy as np
import pyarrow as pa
from lsst.sphgeom import Angle, Circle, ConvexPolygon, LonLat, UnitVector3d

from ...dali import Column
from ...errors import UsageError
from ...store import LiveStore
from ._words import quote_name, quote_text

TEXT_TAG = b"P"
"""First byte of a region that is a text."""

HIDDEN = ("_repo", "_id", "_region", "_x0", "_y0", "_z0", "_x1", "_y1", "_z1", "_radius")
"""The hidden columns that queries name."""

_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
# {(1.5 , -0.3),(…)} of pgSphere is in radians, POLYGON ICRS 86.1 -17.2 … of
# s_region in degrees.
_FORM = re.compile(r"P(?:\{[-+0-9.eE ,()]*\}|(?i:OLYGON\s+ICRS)\s[-+0-9.eE\s]*)", re.ASCII)
# What six decimals take away or add (1.3e-8 radians), and what sphgeom takes
# for touching (6e-8).
_MARGIN = 2e-7


def select_public(store: LiveStore, column: Column, sql_type: str) -> str:
    """Return what selects a public column.

    Parameters
    ----------
    store
        The table.
    column
        One of its columns.
    sql_type
        Type of PostgreSQL.

    Returns
    -------
    expression : `str`
    """
    way = quote_name(column.name) if column.name in store.filled else "NULL"
    if sql_type == "text":
        # As in a store, texts are ordered by their bytes.
        way = f'CAST({way} AS text) COLLATE "C"'
        if column.name == "obs_publisher_did" and store.did_format is not None:
            before, _, after = store.did_format.partition("{id}")
            own = (
                f"{quote_text(before)} || CAST({quote_name(store.id_column)} AS text) || {quote_text(after)}"
            )
            way = f"coalesce({way}, {own})"
        return way
    return f"CAST({way} AS {sql_type})"


def select_hidden(store: LiveStore, *, indexed: bool) -> dict[str, str]:
    """Return what selects the hidden columns.

    Parameters
    ----------
    store
        The table.
    indexed
        Whether ``_scircle`` and ``_spoint`` are among them: what its indexes
        are on.

    Returns
    -------
    expressions : `dict` [`str`, `str`]
        By name.
    """
    region = store.region_column
    text = f"'P' || CAST({quote_name(region)} AS text)" if region is not None else "s_region"
    ra, dec = "radians(s_ra)", "radians(s_dec)"
    # No chord is longer than its arc.
    reach = f"(radians(s_fov) / 2 + {_MARGIN!r})"
    middle = (f"cos({dec}) * cos({ra})", f"cos({dec}) * sin({ra})", f"sin({dec})")
    parts = [
        f"CAST({quote_text(store.label)} AS text)",
        quote_name(store.id_column),
        f"convert_to({text}, 'UTF8')",
        *(f"{number} - {reach}" for number in middle),
        *(f"{number} + {reach}" for number in middle),
        # pgSphere's polygons are compared as they are, however wide.
        "CAST(0 AS double precision)",
    ]
    named = dict(zip(HIDDEN, parts, strict=True))
    if indexed:
        named["_scircle"] = quote_name(region or "")
        named["_spoint"] = quote_name(store.position_column or "")
    return named


def decode_texts(regions: pa.Array) -> pa.Array:
    """Make encodings of sphgeom of regions that are texts.

    Parameters
    ----------
    regions
        Texts as `select_hidden` makes them, or encodings.

    Returns
    -------
    encodings : `pyarrow.Array`
        What is none of the texts is as it was.

    Raises
    ------
    UsageError
        Raised for a text that is no polygon.
    """
    return pa.array([_decode(value) for value in regions.to_pylist()], pa.binary())


def _decode(value: bytes | None) -> bytes | None:
    if value is None or not value.startswith(TEXT_TAG):
        return value
    text = value.decode()
    numbers = np.array(_NUMBER.findall(text), float)
    if _FORM.fullmatch(text) is None or len(numbers) < 6 or len(numbers) % 2:
        raise UsageError(
            f"A region of the Butler's own table is no polygon: {text.removeprefix('P')[:80]!r}; "
            "export the repository to a store instead"
        )
    if "{" not in text:
        numbers = np.radians(numbers)
    vertices = [
        UnitVector3d(LonLat.fromRadians(float(ra), float(np.clip(dec, -math.pi / 2, math.pi / 2))))
        for ra, dec in zip(numbers[::2], numbers[1::2], strict=True)
    ]
    try:
        encoding: bytes = ConvexPolygon(vertices).encode()
    except ValueError:
        # So small that its decimals have made it a line or a point.
        first, *others = vertices
        reach = max((first - other).getNorm() for other in others)
        encoding = Circle(first, Angle(reach)).encode()
    return encoding
