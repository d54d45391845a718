"""Several cutouts as one file: tar, zip, or FITS with many extensions.

Each package has a table of all products that were asked for: which file or
extension is which, and why some are not there.
"""

from __future__ import annotations

__all__ = ["write_package"]

import csv
import io
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import IO, override

from ._cache import SpooledCutout
from ._formats import Format, Package
from ._plan import PlannedProduct
from ._product_table import PackagedProduct, describe_product
from ._result import Cutout
from ._runner import Outcome

_TABLE = "products.csv"
_BLOCK = 512


def write_package(
    form: Format, outcomes: Iterable[tuple[PlannedProduct, Outcome]], *, count: int, time_s: float
) -> Iterator[bytes]:
    """Write a package while its cutouts are made.

    Parameters
    ----------
    form
        Kind of package.
    outcomes
        The products and what became of them, in any order; cutouts are closed.
    count
        Number of products.
    time_s
        Seconds since 1970, for the files in it.

    Yields
    ------
    chunk : `bytes`
        Part of the package.
    """
    match form.package:
        case Package.TAR:
            return _write_tar(outcomes, count, time_s)
        case Package.ZIP:
            return _write_zip(outcomes, count, time_s)
        case _:
            from .backends._mef import write_mef

            return write_mef(outcomes, time_s)


def _write_tar(
    outcomes: Iterable[tuple[PlannedProduct, Outcome]], count: int, time_s: float
) -> Iterator[bytes]:
    table = []
    for product, outcome in outcomes:
        name = ""
        if isinstance(outcome, Cutout | SpooledCutout):
            name = f"{product.label(count)}_{outcome.filename}"
            yield _tar_header(name, outcome.size, time_s)
            yield from outcome.chunks()
            yield bytes(-outcome.size % _BLOCK)
        table.append(describe_product(product, outcome, name))
    text = _table_text(table)
    yield _tar_header(_TABLE, len(text), time_s) + text + bytes(-len(text) % _BLOCK)
    # POSIX.1: two blocks of zeros are the end.
    yield bytes(2 * _BLOCK)


def _tar_header(name: str, size: int, time_s: float) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, int(time_s), 0o644
    return entry.tobuf(tarfile.PAX_FORMAT)


def _write_zip(
    outcomes: Iterable[tuple[PlannedProduct, Outcome]], count: int, time_s: float
) -> Iterator[bytes]:
    sink, table = _Sink(), []
    time = datetime.fromtimestamp(time_s, UTC).timetuple()[:6]
    # Stored: noise does not become smaller.
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for product, outcome in outcomes:
            name = ""
            if isinstance(outcome, Cutout | SpooledCutout):
                name = f"{product.label(count)}_{outcome.filename}"
                with _open_member(archive, name, time) as member:
                    for chunk in outcome.chunks():
                        member.write(chunk)
                        yield sink.take()
            table.append(describe_product(product, outcome, name))
        with _open_member(archive, _TABLE, time) as member:
            member.write(_table_text(table))
    yield sink.take()


def _open_member(archive: zipfile.ZipFile, name: str, time: tuple[int, int, int, int, int, int]) -> IO[bytes]:
    entry = zipfile.ZipInfo(name, time)
    entry.external_attr = 0o644 << 16
    return archive.open(entry, "w", force_zip64=True)


def _table_text(table: Iterable[PackagedProduct]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["product", "file", "status", "size", "request", "message"])
    for line in sorted(table, key=lambda line: line.number):
        writer.writerow([line.number, line.name, line.status, line.size, line.request, line.message])
    return text.getvalue().encode()


class _Sink(io.RawIOBase):
    """Takes what a writer writes, and gives it away."""

    def __init__(self) -> None:
        super().__init__()
        self._chunks: list[bytes] = []

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, data: object, /) -> int:
        chunk = bytes(data)  # type: ignore[call-overload]
        self._chunks.append(chunk)
        return len(chunk)

    def take(self) -> bytes:
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)
