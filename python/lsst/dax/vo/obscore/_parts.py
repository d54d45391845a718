"""Finished parts of an export, kept in a folder so that it can go on after an interruption.

A part holds the rows of one dataset type of one collection.  It gets its name
when it is complete, and the next export of the same reads it instead of the
registry.  What changed in the registry meanwhile is not in it.
"""

from __future__ import annotations

__all__ = ["Parts", "remove_parts"]

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Generator, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ..errors import TransientError, UsageError
from ._problems import Problems

if TYPE_CHECKING:
    from .readers._seen import SeenDataIds

_ABOUT, _LOCK = "export.json", "lock"
_ROWS, _KEYS, _PROBLEMS, _PARTIAL = ".arrows", ".npz", ".json", ".partial"
_ABOUT_PARTIAL = f"{_ABOUT}{_PARTIAL}"


class Parts:
    """The folder with the parts of one export, for one export at a time.

    Parameters
    ----------
    folder
        Made if it does not exist.
    signature
        What all rows depend on: repository, configuration, choices.
    problems
        What is wrong with rows; that of finished parts is added to it.

    Raises
    ------
    UsageError
        Raised if the folder holds something else, or cannot be written.
    TransientError
        Raised if another export uses it.
    """

    def __init__(self, folder: Path, signature: str, problems: Problems) -> None:
        self._folder = folder
        self._problems = problems
        about = {"export": blake2b(signature.encode(), digest_size=16).hexdigest()}
        with self._explained():
            folder.mkdir(parents=True, exist_ok=True)
            own = {_ABOUT, _LOCK, _ABOUT_PARTIAL}
            if not (folder / _ABOUT).exists() and any(item.name not in own for item in folder.iterdir()):
                raise UsageError(
                    f"{folder} holds other things; name an empty folder, or one that does not exist"
                )
            self._lock = (folder / _LOCK).open("w")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._lock.close()
                raise TransientError(
                    f"{folder} is used by another export; try again when it is done"
                ) from None
            try:
                self._check(about)
            except BaseException:
                self._lock.close()
                raise
            for left in folder.glob(f"*{_PARTIAL}"):
                left.unlink()

    def _check(self, about: dict[str, str]) -> None:
        path = self._folder / _ABOUT
        try:
            told = json.loads(path.read_text()) if path.exists() else None
        except ValueError:
            told = {}
        if told is None:
            partial = self._folder / _ABOUT_PARTIAL
            partial.write_text(json.dumps(about))
            partial.replace(path)
        elif told != about:
            raise UsageError(
                f"{self._folder} holds parts of another export: its repository, configuration or choice "
                "differs; name another folder, or remove this one"
            )

    def close(self) -> None:
        """Let another export use the folder."""
        self._lock.close()

    def has(self, unit: str) -> bool:
        """Tell whether a part is finished.

        Parameters
        ----------
        unit
            Name of the part, good for a file.

        Returns
        -------
        finished : `bool`
        """
        return self._path(unit).exists()

    def read(self, unit: str, seen: SeenDataIds | None) -> Generator[pa.RecordBatch]:
        """Read a finished part.

        Parameters
        ----------
        unit
            Name of the part.
        seen
            Told what the part has found.

        Yields
        ------
        batch : `pyarrow.RecordBatch`
            The rows.

        Raises
        ------
        UsageError
            Raised if the part is damaged.
        """
        path = self._path(unit)
        try:
            if seen is not None:
                with np.load(path.with_suffix(_KEYS)) as stored:
                    seen.remember((stored["first"], stored["second"]))
            self._problems.add(**json.loads(path.with_suffix(_PROBLEMS).read_text()))
            if path.stat().st_size:
                with path.open("rb") as file:
                    yield from pa.ipc.open_stream(file)
        except (OSError, ValueError, LookupError, pa.ArrowException) as err:
            raise UsageError(
                f"The finished part {path} is damaged; remove the folder {self._folder} and begin again"
            ) from err

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
        before, others = dict(self._problems.counts), self._problems.others
        with contextlib.closing(batches), self._explained(), partial.open("wb") as file:
            writer = None
            for batch in batches:
                if batch.num_rows:
                    writer = writer or pa.ipc.new_stream(file, batch.schema)
                    writer.write_batch(batch)
                yield batch
            if writer is not None:
                writer.close()
            os.fsync(file.fileno())
        counts = {
            what: count - before.get(what, 0)
            for what, count in self._problems.counts.items()
            if count > before.get(what, 0)
        }
        examples = {what: list(map(str, self._problems.examples[what])) for what in counts}
        with self._explained():
            told = {"counts": counts, "examples": examples, "others": self._problems.others - others}
            path.with_suffix(_PROBLEMS).write_text(json.dumps(told))
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
        return self._folder / f"{unit}{_ROWS}"


def remove_parts(folder: Path) -> None:
    """Remove the finished parts of an export that is complete.

    Parameters
    ----------
    folder
        Their folder.
    """
    shutil.rmtree(folder, ignore_errors=True)
