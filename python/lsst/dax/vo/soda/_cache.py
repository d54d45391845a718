"""Cutouts on disk: those on their way to a client, and those kept for the next.

A dataset never changes, so that its cutout is the same whoever asks.  Files
are named by a fingerprint of dataset, request and software; the ones that
were not asked for longest make room for others.  Several processes may share
a folder, and what is in it survives them.
"""

from __future__ import annotations

__all__ = ["CutoutCache", "SpooledCutout", "fingerprint"]

import hashlib
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from ..errors import UsageError
from ._box import PixelBox
from ._region import format_region
from ._request import Detail, Product
from ._work import CutoutWork
from .workers import Made

_LOG = logging.getLogger(__name__)

_CHUNK_BYTES = 2**20
# Up to so much of its limit, the cache is emptied at once: looking at all
# files each time would cost more than it saves.
_KEPT_PART = 0.9
# No cutout is written for so long.
_LEFT_S = 24 * 3600.0
_PART, _DATA, _ABOUT = ".part", ".data", ".json"


@dataclass(frozen=True, slots=True)
class SpooledCutout:
    """A cutout in a file that is open: it stays readable when its name is gone."""

    stream: BinaryIO
    """The file; closed by `close`, or when all chunks were read."""

    path: Path | None
    """Its name in the cache; `None` if it has none any more."""

    media_type: str
    """Its media type."""

    filename: str
    """A name to save it under."""

    box: PixelBox
    """The pixels in it, in the coordinates of the parent image."""

    detail: Detail
    """How much of the image it holds."""

    size: int
    """Length of the file, bytes."""

    @classmethod
    def of(cls, stream: BinaryIO, path: Path | None, made: Made) -> Self:
        """Return a cutout that was made.

        Parameters
        ----------
        stream
            Its file, open.
        path
            Its name in the cache.
        made
            The cutout.

        Returns
        -------
        cutout : `SpooledCutout`
        """
        return cls(stream, path, made.media_type, made.filename, made.box, made.detail, made.size)

    def chunks(self) -> Iterator[bytes]:
        """Return the file in pieces.

        Yields
        ------
        chunk : `bytes`
            Part of the file.
        """
        with self.stream:
            self.stream.seek(0)
            while chunk := self.stream.read(_CHUNK_BYTES):
                yield chunk

    def close(self) -> None:
        """Close the file."""
        self.stream.close()


def fingerprint(work: CutoutWork, product: Product, version: str) -> str | None:
    """Return what all requests for the same cutout have in common.

    Parameters
    ----------
    work
        The work that makes it.
    product
        One of its products.
    version
        Version of the software.

    Returns
    -------
    name : `str` or `None`
        Letters and digits; `None` for files that may change.
    """
    if any(file.key is None for file in work.files):
        return None
    told = [
        version,
        [[file.uri, file.key, file.hdu, file.backend.value] for file in work.files],
        "" if product.region is None else format_region(product.region),
        work.detail.value,
        work.outside.value,
        work.media_type,
        "" if work.derived is None else work.derived.value,
        repr(work.picture),
        # The header tells of filters.
        repr((product.band, product.time, product.pols)),
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


class CutoutCache:
    """A folder of cutouts, within a number of bytes.

    Parameters
    ----------
    folder
        The folder, on a local disk; made if it is not there.
    max_bytes
        Bytes that are kept; 0 for none.

    Raises
    ------
    UsageError
        Raised if the folder cannot be used.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        """Where cutouts are written, too."""
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        try:
            # What users got is nobody else's.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._remove_left()
            self._bytes = sum(size for _, size, _ in self._entries())
        except OSError as err:
            raise UsageError(
                f"Cutouts cannot be kept in {folder}: {err.strerror or err}; give jobs_folder a folder on a "
                "local disk that can be written"
            ) from err

    @property
    def keeps(self) -> bool:
        """Whether anything is kept."""
        return self._max_bytes > 0

    def prepare(self) -> None:
        """Make the folder again if it is gone: cleaners of temporary files take it."""
        # Why it cannot be made is what writing will say.
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def has(self, name: str) -> bool:
        """Tell whether a cutout is there; it may be gone a moment later.

        Parameters
        ----------
        name
            Its fingerprint.

        Returns
        -------
        is_there : `bool`
        """
        return (self.folder / f"{name}{_ABOUT}").exists()

    def find(self, name: str) -> SpooledCutout | None:
        """Look for a cutout.

        Parameters
        ----------
        name
            Its fingerprint.

        Returns
        -------
        cutout : `SpooledCutout` or `None`
        """
        path = self.folder / f"{name}{_DATA}"
        try:
            about = json.loads((self.folder / f"{name}{_ABOUT}").read_bytes())
            stream = path.open("rb")
        except (OSError, ValueError):
            return None
        try:
            made = Made.from_json(path, about)
            if os.fstat(stream.fileno()).st_size != made.size:
                raise ValueError
            # The file's time is that of its last use.
            os.utime(stream.fileno())
            return SpooledCutout.of(stream, path, made)
        except (OSError, ValueError, KeyError, TypeError):
            # Damaged, or by another release: made again.
            stream.close()
            return None

    def keep(self, name: str | None, made: Made) -> SpooledCutout:
        """Take over a cutout that was written in the folder.

        Parameters
        ----------
        name
            Its fingerprint; `None` for what is not kept.
        made
            The cutout.

        Returns
        -------
        cutout : `SpooledCutout`
            Open; without a name if it is not kept.

        Raises
        ------
        OSError
            Raised if it is not there.
        """
        stream = made.path.open("rb")
        path: Path | None = None
        if name is not None and made.size <= self._max_bytes:
            path = self.folder / f"{name}{_DATA}"
            try:
                self._write_about(name, made)
                made.path.replace(path)
            except OSError as err:
                _LOG.warning("A cutout cannot be kept: %s", err)
                path = None
        if path is None:
            made.path.unlink(missing_ok=True)
        else:
            self._make_room(made.size)
        return SpooledCutout.of(stream, path, made)

    def clear(self) -> bool:
        """Remove everything that is kept, for the room that it takes.

        Returns
        -------
        has_removed : `bool`
            Whether there was something.
        """
        with self._lock:
            paths = [path for _, _, path in self._entries()]
            self._remove(paths)
            self._bytes = 0
        return bool(paths)

    def _write_about(self, name: str, made: Made) -> None:
        part = self.folder / f"{secrets.token_hex(16)}{_PART}"
        try:
            part.write_text(json.dumps(made.to_json()))
            part.replace(self.folder / f"{name}{_ABOUT}")
        finally:
            part.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        with self._lock:
            self._bytes += size
            if self._bytes <= self._max_bytes:
                return
            entries = sorted(self._entries())
            total = sum(size for _, size, _ in entries)
            for _, size_there, path in entries:
                if total <= self._max_bytes * _KEPT_PART:
                    break
                self._remove([path])
                total -= size_there
            self._bytes = total

    def _remove(self, paths: Sequence[Path]) -> None:
        for path in paths:
            path.with_suffix(_ABOUT).unlink(missing_ok=True)
            path.unlink(missing_ok=True)

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """Yield last use, size and path of each cutout."""
        for path in self.folder.glob(f"*{_DATA}"):
            # Another process may remove it meanwhile.
            with suppress(OSError):
                found = path.stat()
                yield found.st_mtime, found.st_size, path

    def _remove_left(self) -> None:
        """Remove what processes that were killed have not finished."""
        now_s = time.time()
        for path in self.folder.glob(f"*{_PART}"):
            with suppress(OSError):
                if path.stat().st_mtime < now_s - _LEFT_S:
                    path.unlink()
