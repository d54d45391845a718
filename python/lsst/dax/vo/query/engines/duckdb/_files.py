"""Parquet files for an instance that is shut: open, read only, and nothing beside them.

DuckDB opens a Parquet file by its path again and again, and it may be gone by
then; a path that it may read, it may also write.  So it gets the files from
here: each was opened once, for reading, and stays whatever becomes of its name.
Against files by their paths, a search by place takes a tenth longer.
"""

from __future__ import annotations

__all__ = ["TableFiles"]

import io
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, override

from fsspec import AbstractFileSystem

_PROTOCOL = "voparquet"


class TableFiles(AbstractFileSystem):  # type: ignore[misc]
    """Files by the names that they are given here."""

    protocol = _PROTOCOL
    # Each has files of its own.
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self._files: dict[str, tuple[int, int]] = {}

    def add(self, name: str, path: Path) -> str:
        """Open a file.

        Parameters
        ----------
        name
            What it is called here.
        path
            Where it is; it may be removed afterwards.

        Returns
        -------
        url : `str`
            Of the file, for DuckDB.

        Raises
        ------
        OSError
            Raised if it cannot be opened.
        """
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._files[name] = descriptor, os.fstat(descriptor).st_size
        return f"{_PROTOCOL}://{name}"

    def close(self) -> None:
        """Close all files; nobody reads them any more."""
        while self._files:
            _, (descriptor, _) = self._files.popitem()
            os.close(descriptor)

    @override
    def info(self, path: str, **options: Any) -> dict[str, Any]:
        # Docstring inherited.
        name = self._strip_protocol(path)
        _, size = self._find(name)
        return {"name": name, "size": size, "type": "file"}

    @override
    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        # Docstring inherited.
        found = self.info(path)
        return [found if detail else found["name"]]

    @override
    def glob(self, path: str, maxdepth: int | None = None, **options: Any) -> list[str]:
        # Docstring inherited.  No name is a pattern.
        return [path] if self._strip_protocol(path) in self._files else []

    @override
    def modified(self, path: str) -> datetime:
        # Docstring inherited.  Long ago: DuckDB does not trust what it knows of
        # a file that has just changed.
        self._find(self._strip_protocol(path))
        return datetime.fromtimestamp(0, UTC)

    @override
    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: Any = None,
        **options: Any,
    ) -> io.RawIOBase:
        # Docstring inherited.
        if mode != "rb":
            raise PermissionError("Tables are only read")
        return _Reader(*self._find(self._strip_protocol(path)))

    def _find(self, name: str) -> tuple[int, int]:
        try:
            return self._files[name]
        except KeyError:
            raise FileNotFoundError(name) from None


class _Reader(io.RawIOBase):
    """A place in a file that many threads read."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._place = 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = start + offset
        return self._place

    @override
    def tell(self) -> int:
        return self._place

    @override
    def read(self, size: int = -1, /) -> bytes:
        found = os.pread(self._descriptor, self._size - self._place if size < 0 else size, self._place)
        self._place += len(found)
        return found
