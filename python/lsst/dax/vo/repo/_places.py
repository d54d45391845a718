"""Which files belong to a datastore, after symbolic links are followed.

`Butler.ingest` can leave files where they are and put symbolic links into the
datastore; its records do not tell which files came so.  Whoever may write to
one folder of a shared datastore could as well put a link there to a file that
only the service may read.  So links that lead out of the datastore count only
if they lead into folders that the configuration names; and none counts that
leads to a file at the top of the datastore, where a repository keeps its own.
"""

from __future__ import annotations

__all__ = ["Places"]

import os
from collections.abc import Callable, Sequence
from pathlib import Path


class Places:
    """The folders of a repository's files.

    Parameters
    ----------
    roots
        Folders of its datastores.
    beyond
        Further folders into which symbolic links may lead.
    """

    def __init__(self, roots: Sequence[str], beyond: Sequence[Path] = ()) -> None:
        self._roots = [_as_folder(root) for root in roots]
        self._real_roots = [_as_folder(os.path.realpath(root)) for root in roots]
        self._beyond = [_as_folder(os.path.realpath(folder)) for folder in beyond]

    def holds(self, path: str, descriptor: int | None = None) -> bool:
        """Tell whether a file may be read.

        Parameters
        ----------
        path
            Where the registry says that it is.
        descriptor
            The file, if it is open: then that one is meant, whatever has
            come to the path since.

        Returns
        -------
        is_held : `bool`
            `False` if symbolic links lead elsewhere.
        """
        real = os.path.realpath(path) if descriptor is None else _path_of(descriptor, path)
        return self._allows(path, real, os.path.realpath)

    def checker(self) -> Callable[[str], bool]:
        """Return a function as `holds`, for many files at once.

        Returns
        -------
        holds : `~collections.abc.Callable`
            Follows the links of each folder once: not to be kept.
        """
        folders: dict[str, str] = {}

        def follow(folder: str) -> str:
            found = folders.get(folder)
            if found is None:
                found = folders[folder] = os.path.realpath(folder)
            return found

        def holds(path: str) -> bool:
            folder, name = os.path.split(path)
            real = os.path.realpath(path) if os.path.islink(path) else os.path.join(follow(folder), name)  # noqa: PTH114, PTH118
            return self._allows(path, real, follow)

        return holds

    def _allows(self, path: str, real: str, follow: Callable[[str], str]) -> bool:
        if any(path.startswith(root) for root in self._roots):
            inside = real.startswith(tuple(self._real_roots)) and not self._is_at_top(path, real)
        else:
            # Ingested where it is ("direct"): it may not be replaced by a
            # link to another folder.
            inside = real.startswith(_as_folder(follow(os.path.dirname(path))))  # noqa: PTH120
        return inside or real.startswith(tuple(self._beyond))

    def _is_at_top(self, path: str, real: str) -> bool:
        # The repository's own files are there, beside the folders of its
        # datasets: a link to its configuration, which may hold a password, or
        # to its registry is no link to a dataset.
        folder, name = os.path.split(path)
        is_there = _as_folder(os.path.dirname(real)) in self._real_roots  # noqa: PTH120
        return is_there and (_as_folder(folder) not in self._roots or name != os.path.basename(real))  # noqa: PTH119


def _as_folder(path: str | Path) -> str:
    return os.path.join(path, "")  # noqa: PTH118


def _path_of(descriptor: int, path: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
    except OSError:
        # Another system than Linux.
        return os.path.realpath(path)
