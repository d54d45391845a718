"""One labelled Butler repository."""

from __future__ import annotations

__all__ = ["Repository", "open_repository", "recorded_sizes"]

import os
import sqlite3
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy.exc
import yaml
from lsst.daf.butler import Butler, ButlerConfig, DataIdValueError, DatasetRef, LimitedButler
from lsst.daf.butler.registry import RegistryConfig
from lsst.resources import ResourcePath

from ..errors import NotFoundError, TransientError, UsageError, without_secrets
from ._dataset import Dataset, FileState

if TYPE_CHECKING:
    from lsst.sphgeom import Region

_LFS_MARK = b"version https://git-lfs.github.com/spec/"
# Git LFS, specification: a pointer file is smaller than 1024 bytes.
_LFS_LARGEST_BYTES = 1024


@dataclass(frozen=True, slots=True)
class _IdRef:
    """All that a datastore wants to know of a dataset to find its records."""

    id: UUID


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

    Notes
    -----
    A Butler must not be used by two threads at once.  All methods here may
    be called from any thread: each call borrows a clone for itself, and as
    many clones are kept as were ever in use at the same time.
    """

    def __init__(self, label: str, butler: Butler, *, origin: str = "") -> None:
        self.label = label
        self.origin = origin
        """Where it is; not for messages, it may hold a password."""
        self._template = butler
        self._lock = threading.Lock()
        self._idle: list[Butler] = []
        self._closed = False

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
        except (sqlalchemy.exc.OperationalError, sqlite3.OperationalError, ConnectionError) as err:
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
        wanted = list(set(uuids))
        if not wanted:
            return {}
        with self.session() as butler:
            refs = butler.get_many_datasets(wanted)
            if not refs:
                # A repository that nothing was ever put into has no table of
                # files either, and daf_butler fails in asking it.
                return {}
            # Neither call imports formatters: both read the datastore's
            # records alone.
            uris = butler.get_many_uris(refs, allow_missing=True)
            remote = [ref for ref, where in uris.items() if where.primaryURI and not where.primaryURI.isLocal]
            sizes = recorded_sizes(butler, [ref.id for ref in remote]) if remote else {}
        return {ref.id: self._describe(ref, uris.get(ref), sizes) for ref in refs}

    def region(self, uuid: UUID) -> Region | None:
        """Return the region on the sky that the registry has for a dataset.

        Parameters
        ----------
        uuid
            Dataset id.

        Returns
        -------
        region : `lsst.sphgeom.Region` or `None`
            Often padded; `None` where the data ID has none.

        Raises
        ------
        TransientError
            Raised if the registry does not answer.
        """
        with self.session() as butler:
            try:
                ref = butler.get_dataset(uuid, dimension_records=True)
            except DataIdValueError:
                # Repositories exist whose datasets name dimension records
                # that were never inserted (DC2's testdata_image_cutouts).
                return None
            return None if ref is None else ref.dataId.region

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

    def _describe(self, ref: DatasetRef, uris: Any, sizes: Mapping[UUID, int]) -> Dataset:
        uri = None if uris is None else uris.primaryURI
        if uris is not None and uri is None:
            state, size = FileState.PARTS, None
        else:
            state, size = _inspect(uri, sizes.get(ref.id))
        return Dataset(
            uuid=ref.id,
            label=self.label,
            dataset_type=ref.datasetType.name,
            data_id=dict(ref.dataId.required),
            run=ref.run,
            storage_class=ref.datasetType.storageClass_name,
            uri=uri,
            size_bytes=size,
            file_state=state,
        )


def open_repository(repo: str | Path, *, label: str | None = None) -> Repository:
    """Open a Butler repository for reading.

    Parameters
    ----------
    repo
        Path, URI, or a label of the environment's repository index
        (``DAF_BUTLER_REPOSITORIES`` or ``DAF_BUTLER_REPOSITORY_INDEX``).
    label
        Label in identifiers; by default the label of the index under which
        the repository is known, or the name of its folder.

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
        known = ", ".join(sorted(_known_labels())) or "none"
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
    origin = repo if repo in _known_labels() else str(ResourcePath(repo, forceAbsolute=True))
    return Repository(label or _default_label(repo), butler, origin=origin)


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


def _inspect(uri: ResourcePath | None, recorded_bytes: int | None) -> tuple[FileState, int | None]:
    if uri is None:
        return FileState.UNRECORDED, None
    if uri.fragment:
        return FileState.MEMBER, None
    if not uri.isLocal:
        return FileState.UNCHECKED, recorded_bytes
    try:
        found = os.stat(uri.ospath)  # noqa: PTH116 (a Path for each of thousands costs more than the call)
        if not stat.S_ISREG(found.st_mode):
            return FileState.UNREADABLE, None
        if found.st_size == 0:
            return FileState.EMPTY, 0
        if found.st_size < _LFS_LARGEST_BYTES:
            with open(uri.ospath, "rb") as stream:  # noqa: PTH123
                if stream.read(len(_LFS_MARK)) == _LFS_MARK:
                    return FileState.POINTER, found.st_size
    except (FileNotFoundError, NotADirectoryError):
        return FileState.MISSING, None
    except OSError:
        return FileState.UNREADABLE, None
    return FileState.PRESENT, found.st_size


def recorded_sizes(butler: LimitedButler, uuids: Iterable[UUID]) -> dict[UUID, int]:
    """Look up the sizes of many files in the datastore's records.

    Parameters
    ----------
    butler
        The repository.
    uuids
        Dataset ids.

    Returns
    -------
    sizes : `dict` [`uuid.UUID`, `int`]
        Bytes, of the datasets that have one file whose size was recorded.
    """
    # There is no public call that gives the sizes of many files at once, and
    # asking an object store takes a request for each.  A Butler server's
    # client has no datastore; its sizes stay unknown.
    datastore = getattr(butler, "_datastore", None)
    if datastore is None:
        return {}
    sizes = {}
    for data in datastore.export_records([_IdRef(uuid) for uuid in uuids]).values():
        for uuid, tables in data.records.items():
            found = [record.file_size for records in tables.values() for record in records]
            # -1: ingested in place, without a look at the size.
            if len(found) == 1 and found[0] >= 0:
                sizes[uuid] = found[0]
    return sizes


def _default_label(repo: str) -> str:
    if repo in _known_labels():
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


def _known_labels() -> set[str]:
    try:
        return set(Butler.get_known_repos())
    except (FileNotFoundError, RuntimeError, ValueError):
        return set()
