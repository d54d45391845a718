"""Finished parts of an export, kept in a folder so that it can go on after an interruption.

A part holds the rows of one dataset type of one collection.  It gets its name
when it is complete, and the next export of the same reads it instead of the
registry.  What changed in the registry meanwhile is not in it.
"""

from __future__ import annotations

__all__ = ["Parts", "remove_parts"]

import contextlib
import json
import os
import shutil
from collections.abc import Generator, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ..errors import UsageError

if TYPE_CHECKING:
    from ._seen import SeenDataIds

_ABOUT = "export.json"
_ROWS, _KEYS, _PARTIAL = ".arrows", ".npz", ".partial"


class Parts:
    """The folder with the parts of one export.

    Parameters
    ----------
    folder
        Made if it does not exist.
    signature
        What the rows depend on: configuration, choices, repository.

    Raises
    ------
    UsageError
        Raised if the folder holds something else, or cannot be written.
    """

    def __init__(self, folder: Path, signature: str) -> None:
        self._folder = folder
        about = {"export": blake2b(signature.encode(), digest_size=16).hexdigest()}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / _ABOUT).exists():
                if json.loads((folder / _ABOUT).read_text()) != about:
                    raise UsageError(
                        f"{folder} holds parts of another export: its configuration, choice or repository "
                        "differs; name another folder, or remove this one"
                    )
            elif any(entry.name != _ABOUT + _PARTIAL for entry in folder.iterdir()):
                raise UsageError(
                    f"{folder} holds other things; name an empty folder, or one that does not exist"
                )
            else:
                fresh = folder / (_ABOUT + _PARTIAL)
                fresh.write_text(json.dumps(about))
                fresh.replace(folder / _ABOUT)
            for left in folder.glob(f"*{_PARTIAL}"):
                left.unlink()
        except (OSError, ValueError) as err:
            raise UsageError(f"{folder} cannot hold parts of an export: {err}") from err

    def read(self, unit: str, seen: SeenDataIds | None) -> Generator[pa.RecordBatch] | None:
        """Read a finished part.

        Parameters
        ----------
        unit
            Name of the part.
        seen
            Given what the part has found.

        Returns
        -------
        batches : `~collections.abc.Generator` or `None`
            The rows; `None` if the part is not finished.
        """
        path = self._path(unit)
        if not path.exists():
            return None
        if seen is not None:
            with np.load(path.with_suffix(_KEYS)) as stored:
                seen.pending.append((stored["first"], stored["second"]))
        return _iter_rows(path)

    def write(
        self, unit: str, batches: Generator[pa.RecordBatch], seen: SeenDataIds | None
    ) -> Generator[pa.RecordBatch]:
        """Pass rows on, and keep them; the part is finished when they end.

        Parameters
        ----------
        unit
            Name of the part.
        batches
            The rows.
        seen
            Knows the data IDs of the rows, in the end.

        Yields
        ------
        batch : `pyarrow.RecordBatch`
        """
        path = self._path(unit)
        partial = path.with_suffix(_PARTIAL)
        with contextlib.closing(batches), self._explained(), partial.open("wb") as file:
            writer = None
            for batch in batches:
                if writer is None:
                    writer = pa.ipc.new_stream(file, batch.schema)
                writer.write_batch(batch)
                yield batch
            if writer is not None:
                writer.close()
            os.fsync(file.fileno())
        with self._explained():
            if seen is not None:
                first, second = seen.pending_keys()
                with path.with_suffix(_KEYS).open("wb") as file:
                    np.savez(file, first=first, second=second)
                    os.fsync(file.fileno())
            partial.replace(path)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as err:
            raise UsageError(f"{self._folder} cannot be written: {err.strerror or err}") from err

    def _path(self, unit: str) -> Path:
        # Names of collections have slashes, and any length.
        return self._folder / f"{blake2b(unit.encode(), digest_size=16).hexdigest()}{_ROWS}"


def _iter_rows(path: Path) -> Generator[pa.RecordBatch]:
    if path.stat().st_size:
        try:
            with path.open("rb") as file:
                yield from pa.ipc.open_stream(file)
        except (OSError, pa.ArrowException) as err:
            raise UsageError(
                f"The finished part {path} is damaged; remove the folder {path.parent} and begin again"
            ) from err


def remove_parts(folder: Path) -> None:
    """Remove the finished parts of an export that is complete.

    Parameters
    ----------
    folder
        Their folder.
    """
    shutil.rmtree(folder, ignore_errors=True)
