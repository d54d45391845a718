"""One labelled Butler repository."""

from __future__ import annotations

__all__ = ["Repository", "known_labels", "open_repository"]

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
import yaml
from lsst.daf.butler import Butler, ButlerConfig, DatasetRef
from lsst.daf.butler.registry import RegistryConfig
from lsst.resources import ResourcePath

from ..errors import NotFoundError, TransientError, UsageError, without_secrets
from ._dataset import Dataset
from ._file_state import FileState
from ._files import inspect_file
from ._kinds import DatasetKind, find_kinds
from ._memory import Memory
from ._places import Places
from ._records import recorded_sizes, recorded_uris
from ._regions import find_regions
from ._remote import RemoteFile, find_signed_uri, has_datastore, remote_files, server_errors

if TYPE_CHECKING:
    from lsst.sphgeom import Region


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
        self._template = butler
        self._lock = threading.Lock()
        self._idle: list[Butler] = []
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
            with self.session() as butler:
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
        """Close all connections; clones in use are closed when given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for butler in idle:
                butler.close()
            self._template.close()

    def _borrow(self) -> Butler:
        with self._lock:
            if self._closed:
                raise TransientError(f"The repository {self.label!r} is closed: the service shuts down")
            # The one last used has the warmest caches.
            return self._idle.pop() if self._idle else self._template.clone()

    def _give_back(self, butler: Butler) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(butler)
                return
        butler.close()

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


def open_repository(
    repo: str | Path,
    *,
    label: str | None = None,
    remember_s: float = 0,
    link_folders: Sequence[Path] = (),
) -> Repository:
    """Open a Butler repository for reading.

    Parameters
    ----------
    repo
        Path, URI, or a label of the environment's repository index
        (``DAF_BUTLER_REPOSITORIES`` or ``DAF_BUTLER_REPOSITORY_INDEX``).
    label
        Label in identifiers; by default the label of the index under which
        the repository is known, or the name of its folder.
    remember_s
        Seconds for which it is remembered what it has of a dataset.
    link_folders
        Folders beside the datastore into which symbolic links in it may lead.

    Returns
    -------
    repository : `Repository`

    Raises
    ------
    NotFoundError
        Raised if there is no such repository.
    UsageError
        Raised if it cannot be opened by this release of the Butler.
    """
    repo = str(repo)
    try:
        butler = Butler.from_config(repo, writeable=False)
    except (FileNotFoundError, KeyError, IsADirectoryError, NotADirectoryError) as err:
        known = ", ".join(sorted(known_labels())) or "none"
        raise NotFoundError(
            f"There is no Butler repository {without_secrets(repo, repo)!r}; give the path of a folder with "
            f"a butler.yaml, or a label of DAF_BUTLER_REPOSITORIES (known: {known})"
        ) from err
    except (
        RuntimeError,
        ValueError,
        TypeError,
        ImportError,
        OSError,
        yaml.YAMLError,
        sqlalchemy.exc.SQLAlchemyError,
        sqlite3.Error,
    ) as err:
        reason = " ".join(str(_unreadable_file(repo, err) or err).split())[:300]
        # A damaged butler.yaml is quoted in its error, perhaps with the URL of the registry.
        text = f"The Butler repository {repo!r} cannot be opened: {reason}"
        raise UsageError(without_secrets(text, text)) from err
    # A label of the index stays what it is.
    origin = repo if repo in known_labels() else str(ResourcePath(repo, forceAbsolute=True))
    return Repository(
        label or _default_label(repo),
        butler,
        origin=origin,
        remember_s=remember_s,
        link_folders=link_folders,
    )


def _local_roots(butler: Butler) -> list[str]:
    # The client of a Butler server has no datastore.
    if getattr(butler, "_datastore", None) is None:
        return []
    roots = butler.get_datastore_roots().values()
    return [root.ospath for root in roots if root is not None and root.isLocal]


def _unreadable_file(repo: str, err: Exception) -> OSError | None:
    """Ask for the database's file: SQLite tells neither which one it cannot open, nor why."""
    if not isinstance(err, (sqlite3.OperationalError, sqlalchemy.exc.OperationalError)):
        return None
    config = ButlerConfig(repo)
    registry = RegistryConfig(config)
    registry.replaceRoot(config.configDir)
    url = registry.connectionString
    if url.get_backend_name() == "sqlite" and url.database:
        try:
            Path(url.database).open("rb").close()
        except OSError as found:
            return found
    return None


def _default_label(repo: str) -> str:
    if repo in known_labels():
        return repo
    path = ResourcePath(repo, forceAbsolute=True)
    if path.getExtension() == ".yaml":
        path = path.dirname()
    name = Path(path.ospath if path.isLocal else path.path).name or path.netloc
    # "repo" is what half of all repositories are called; the folder above
    # says more.
    if name in ("repo", "butler") and path.isLocal:
        name = Path(path.ospath).parent.name or name
    return name


def known_labels() -> set[str]:
    """Return the labels of the environment's repository index.

    Returns
    -------
    labels : `set` [`str`]
        None if there is no index.
    """
    try:
        return set(Butler.get_known_repos())
    except (FileNotFoundError, RuntimeError, ValueError):
        return set()
