"""One labelled Butler repository."""

from __future__ import annotations

__all__ = ["Repository"]

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy.exc
from lsst.daf.butler import Butler, DatasetRef
from lsst.resources import ResourcePath

from ..errors import TransientError
from ._dataset import Dataset
from ._file_state import FileState
from ._files import inspect_file
from ._kinds import DatasetKind, find_kinds
from ._memory import Memory
from ._places import Places
from ._records import recorded_sizes, recorded_uris
from ._regions import find_regions
from ._remote import (
    RemoteFile,
    close_connections,
    find_signed_uri,
    has_datastore,
    remote_files,
    server_errors,
)
from ._sqlite import limit_patience

if TYPE_CHECKING:
    from lsst.sphgeom import Region

# A file of SQLite that is damaged, or was cut short while it is copied.
_DATABASE_ERRORS = (sqlalchemy.exc.DatabaseError, sqlite3.DatabaseError)


class Repository:
    """A Butler repository under the label that identifiers use.

    Parameters
    ----------
    label
        The label.
    butler
        A read-only Butler; owned by this object from now on.
    origin
        Where it is: what tells it from others.
    remember_s
        Seconds for which it is remembered what registry and datastore have of
        a dataset: all of it stays what it is until the dataset is deleted.
    link_folders
        Folders beside the datastore into which symbolic links in it may lead.

    Notes
    -----
    A Butler must not be used by two threads at once.  All methods here may
    be called from any thread: each call borrows a clone for itself, and as
    many clones are kept as were ever in use at the same time.
    """

    def __init__(
        self,
        label: str,
        butler: Butler,
        *,
        origin: str = "",
        remember_s: float = 0,
        link_folders: Sequence[Path] = (),
    ) -> None:
        self.label = label
        self.origin = origin
        """Where it is; not for messages, it may hold a password."""
        limit_patience(butler)
        self._template = butler
        self._lock = threading.Lock()
        self._idle: list[Butler] = []
        self._lent = 0
        self._closed = False
        self._memory: Memory[UUID, Dataset] = Memory(remember_s)
        self.places = Places(_local_roots(butler), link_folders)
        """Where its files may be."""

    def __repr__(self) -> str:
        return f"Repository({self.label!r})"

    @contextmanager
    def session(self) -> Iterator[Butler]:
        """Lend a Butler to the calling thread.

        Yields
        ------
        butler : `lsst.daf.butler.Butler`
            For use inside the ``with`` block only.

        Raises
        ------
        TransientError
            Raised if the registry does not answer, here or inside the block.
        """
        try:
            butler = self._borrow()
            try:
                yield butler
            finally:
                self._give_back(butler)
        except _no_answer() as err:
            raise TransientError(f"The registry of {self.label!r} does not answer; try again") from err
        except _DATABASE_ERRORS as err:
            # Of these very classes: of what is meant by others, we are to blame.
            if type(err) not in _DATABASE_ERRORS:
                raise
            raise TransientError(f"The registry of {self.label!r} is damaged, or no registry") from err

    def datasets(self, uuids: Iterable[UUID]) -> dict[UUID, Dataset]:
        """Look up many datasets with few queries.

        Parameters
        ----------
        uuids
            Dataset ids.

        Returns
        -------
        datasets : `dict` [`uuid.UUID`, `Dataset`]
            Those that the registry has.  No formatter is imported: most
            public repositories name formatters that only a full stack has.

        Raises
        ------
        TransientError
            Raised if the registry does not answer.
        """
        wanted = set(uuids)
        found = self._memory.recall(wanted)
        missing = [uuid for uuid in wanted if uuid not in found]
        if missing:
            # One transaction for all statements.
            with self.session() as butler, butler.query():
                new = self._look_up(butler, missing)
            # A dataset that has no file yet may have one soon.
            self._memory.keep({uuid: item for uuid, item in new.items() if item.uri or item.find_file})
            found |= new
        # Files come and go: each one is looked at each time.
        holds = self.places.checker()
        return {uuid: _inspect(dataset, holds) for uuid, dataset in found.items()}

    def dataset_kinds(self) -> dict[str, DatasetKind]:
        """Return the dataset types that are registered.

        Returns
        -------
        kinds : `dict` [`str`, `DatasetKind`]
            By name.

        Raises
        ------
        TransientError
            Raised if the registry does not answer.
        """
        with self.session() as butler:
            return find_kinds(butler)

    def regions(self, uuids: Iterable[UUID]) -> dict[UUID, Region]:
        """Return the regions on the sky that the registry has for datasets.

        Parameters
        ----------
        uuids
            Dataset ids.

        Returns
        -------
        regions : `dict` [`uuid.UUID`, `lsst.sphgeom.Region`]
            Often padded; none where a data ID has none.

        Raises
        ------
        TransientError
            Raised if the registry does not answer.
        """
        with self.session() as butler:
            return find_regions(butler, uuids)

    def parts(self, dataset: Dataset) -> dict[str, Dataset]:
        """Look at the files of a dataset that is stored in several.

        Parameters
        ----------
        dataset
            A dataset of this repository.

        Returns
        -------
        parts : `dict` [`str`, `Dataset`]
            By component: the dataset as if that file were all of it.
        """
        holds = self.places.checker()
        whole = replace(dataset, parts=(), file_state=FileState.UNCHECKED)
        return {name: _inspect(replace(whole, uri=uri), holds) for name, uri in dataset.parts}

    def close(self) -> None:
        """Close all connections: those of clones in use when the last of these is given back."""
        with self._lock:
            self._closed = True
            if not self._lent:
                self._close_all()

    def _borrow(self) -> Butler:
        with self._lock:
            if self._closed:
                raise TransientError(f"The repository {self.label!r} is closed: the service shuts down")
            # The one last used has the warmest caches.
            butler = self._idle.pop() if self._idle else self._template.clone()
            self._lent += 1
            return butler

    def _give_back(self, butler: Butler) -> None:
        with self._lock:
            self._idle.append(butler)
            self._lent -= 1
            if self._closed and not self._lent:
                self._close_all()

    def _close_all(self) -> None:
        # Clones share the connections to a Butler server.
        while self._idle:
            self._idle.pop().close()
        self._template.close()
        close_connections(self._template)

    def _look_up(self, butler: Butler, uuids: list[UUID]) -> dict[UUID, Dataset]:
        """Return what registry and datastore have of datasets, without a look at files."""
        refs = butler.get_many_datasets(uuids)
        if not refs:
            # A repository that nothing was ever put into has no table of
            # files either, and daf_butler fails in asking it.
            return {}
        if not has_datastore(butler):
            files = remote_files(butler, [ref.id for ref in refs])
            return {ref.id: self._describe_remote(ref, files.get(ref.id)) for ref in refs}
        # Neither call imports formatters: both read the datastore's
        # records alone.
        uris = recorded_uris(butler, refs)
        remote = [ref for ref, where in uris.items() if where.primaryURI and not where.primaryURI.isLocal]
        sizes = recorded_sizes(butler, [ref.id for ref in remote]) if remote else {}
        return {ref.id: self._describe(ref, uris.get(ref), sizes.get(ref.id)) for ref in refs}

    def _describe(self, ref: DatasetRef, uris: Any, size_bytes: int | None) -> Dataset:
        uri = None if uris is None else uris.primaryURI
        return Dataset(
            uuid=ref.id,
            label=self.label,
            dataset_type=ref.datasetType.name,
            data_id=dict(ref.dataId.required),
            run=ref.run,
            storage_class=ref.datasetType.storageClass_name,
            uri=uri,
            size_bytes=size_bytes,
            file_state=FileState.PARTS if uris is not None and uri is None else FileState.UNCHECKED,
            parts=() if uris is None else tuple(sorted(uris.componentURIs.items())),
        )

    def _describe_remote(self, ref: DatasetRef, file: RemoteFile | None) -> Dataset:
        dataset = self._describe(ref, None, None)
        if file is None:
            return replace(dataset, file_state=FileState.UNRECORDED)
        if file.is_part:
            return replace(dataset, file_state=FileState.PARTS)
        find_file = partial(self._find_signed_uri, ref)
        return replace(dataset, stored_name=file.name, size_bytes=file.size_bytes, find_file=find_file)

    def _find_signed_uri(self, ref: DatasetRef) -> ResourcePath:
        with self.session() as butler:
            return find_signed_uri(butler, ref)


def _no_answer() -> tuple[type[Exception], ...]:
    local = (sqlalchemy.exc.OperationalError, sqlite3.OperationalError, ConnectionError)
    return (*local, *server_errors())


def _inspect(dataset: Dataset, holds: Callable[[str], bool]) -> Dataset:
    if dataset.file_state is not FileState.UNCHECKED or dataset.find_file is not None:
        return dataset
    state, size_bytes = inspect_file(dataset.uri, dataset.size_bytes, holds)
    return replace(dataset, file_state=state, size_bytes=size_bytes)


def _local_roots(butler: Butler) -> list[str]:
    # The client of a Butler server has no datastore.
    if getattr(butler, "_datastore", None) is None:
        return []
    roots = butler.get_datastore_roots().values()
    return [root.ospath for root in roots if root is not None and root.isLocal]
