"""The planes of many cutouts as extensions of one FITS file."""

from __future__ import annotations

__all__ = ["write_mef"]

import io
import math
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial

import numpy as np
from astropy.io import fits

from .._cache import SpooledCutout
from .._plan import PlannedProduct
from .._product_table import PackagedProduct, describe_product
from .._provenance import Card
from .._result import Cutout
from .._runner import Delivery, Outcome
from ._header import BLOCK, LOOKUP_NAMES, Header

# What only the cutout as a file of its own can hold: checksums, and pointers
# into what is not copied.
_DROPPED = frozenset(
    {"EXTEND", "CHECKSUM", "DATASUM", "AR_HDU", "EXTVER", "XTENSION", "SIMPLE"}
    | {"DATAMODL", "FMTVER", "INDXADDR", "INDXSIZE", "JSONADDR", "JSONSIZE"}
)
_LAYOUT = frozenset({"BITPIX", "NAXIS", "PCOUNT", "GCOUNT"})

# By EXTVER a WCS names the tables of its distortions.
_TABLE_POINTER = re.compile(rb"^((?:D[PQ]\d|D2IM\d) *= 'EXTVER: *)(\d{1,3})(?:\.0*)? *'.*$")
_MOST_TABLES = 1000


def write_mef(outcomes: Iterable[tuple[PlannedProduct, Outcome]], time_s: float) -> Iterator[bytes]:
    """Write a FITS file with the planes of many cutouts.

    Parameters
    ----------
    outcomes
        The products and what became of them, in any order; cutouts are closed.
    time_s
        Seconds since 1970, for the header.

    Yields
    ------
    chunk : `bytes`
        Part of the file: a primary HDU without data; for each cutout its
        image HDUs with their names, and EXTVER the number of the product,
        its primary header as ``CUTOUT`` where that has no data; and the
        table ``PRODUCTS``.

    References
    ----------
    FITS 4.0, 3.4, 4.4.1.2.
    """
    time = datetime.fromtimestamp(time_s, UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    yield _header(
        ("SIMPLE", True, "conforms to FITS standard"),
        ("BITPIX", 8, ""),
        ("NAXIS", 0, ""),
        ("EXTEND", True, ""),
        ("DATE", time, "UTC time of writing"),
    ).to_bytes()
    table = []
    for product, outcome in outcomes:
        number = product.number + 1
        if isinstance(outcome, Cutout | SpooledCutout):
            yield from _extensions(outcome, number)
        table.append(describe_product(product, outcome, f"EXTVER={number}"))
    yield _table_hdu(sorted(table, key=lambda line: line.number))


def _header(*cards: Card) -> Header:
    header = Header(())
    header.extend(cards)
    return header


def _extensions(cutout: Delivery, number: int) -> Iterator[bytes]:
    content = memoryview(b"".join(cutout.chunks()))
    start = 0
    while start < len(content):
        end = _header_end(content, start)
        header = Header.from_bytes(bytes(content[start:end]))
        size = _data_bytes(header)
        stop = end + size + -size % BLOCK
        if header.text("XTENSION").strip() in ("", "IMAGE"):
            yield _as_extension(header, number).to_bytes()
            yield bytes(content[end:stop])
        start = stop


def _header_end(content: memoryview, start: int) -> int:
    for block in range(start, len(content), BLOCK):
        text = bytes(content[block : block + BLOCK])
        if any(text[card : card + 8] == b"END     " for card in range(0, BLOCK, 80)):
            return block + BLOCK
    raise ValueError("a header has no end")


def _data_bytes(header: Header) -> int:
    axes = [header.integer(f"NAXIS{axis}") or 0 for axis in range(1, (header.integer("NAXIS") or 0) + 1)]
    if not axes:
        return 0
    pixels = (header.integer("PCOUNT", 0) or 0) + math.prod(axes)
    return abs(header.integer("BITPIX") or 8) // 8 * (header.integer("GCOUNT", 1) or 1) * pixels


def _as_extension(header: Header, number: int) -> Header:
    """Write the header of an image as that of an extension."""
    axes = header.integer("NAXIS") or 0
    layout: list[Card] = [
        ("XTENSION", "IMAGE", "Image extension"),
        ("BITPIX", header.integer("BITPIX") or 8, ""),
        ("NAXIS", axes, ""),
        *((f"NAXIS{axis}", header.integer(f"NAXIS{axis}") or 0, "") for axis in range(1, axes + 1)),
        ("PCOUNT", 0, ""),
        ("GCOUNT", 1, ""),
    ]
    made = _header(*layout)
    if "EXTNAME" not in header:
        made.extend([("EXTNAME", "IMAGE" if axes else "CUTOUT", "")])
    if header.text("EXTNAME").upper() in LOOKUP_NAMES:
        # Of a product there are several.
        made.extend([("EXTVER", _table_number(number, header.integer("EXTVER", 1) or 1), "")])
    else:
        made.extend([("EXTVER", number, "Number of the product")])
    rest = header.copy()
    told = {name for name, _, _ in layout} | _DROPPED | _LAYOUT
    rest.drop(lambda key: key in told)
    made.cards.extend(_TABLE_POINTER.sub(partial(_point, number), card) for card in rest.cards)
    return Header(made.cards)


def _table_number(number: int, table: int) -> int:
    return number * _MOST_TABLES + table


def _point(number: int, match: re.Match[bytes]) -> bytes:
    to = f"{_table_number(number, int(match[2]))}.0'".encode()
    return (match[1] + to).ljust(80)


def _table_hdu(table: list[PackagedProduct]) -> bytes:
    texts = {
        "VERSION": [line.name for line in table],
        "STATUS": [line.status for line in table],
        "REQUEST": [line.request for line in table],
        "MESSAGE": [line.message for line in table],
    }
    columns = [fits.Column("PRODUCT", "J", array=np.array([line.number for line in table], dtype="i4"))]
    for name, values in texts.items():
        # FITS texts are ASCII.
        plain = [value.encode("ascii", "replace") for value in values]
        width = max([1, *map(len, plain)])
        columns.append(fits.Column(name, f"{width}A", array=np.array(plain, dtype=f"S{width}")))
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="PRODUCTS")]).writeto(stream)
    return stream.getvalue()[BLOCK:]
