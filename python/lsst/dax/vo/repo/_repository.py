"""One labelled Butler repository, and what its datasets are."""

from __future__ import annotations

__all__ = ["Dataset", "Repository", "open_repository"]

import mimetypes
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy.exc
import yaml
from lsst.daf.butler import Butler, DatasetRef
from lsst.resources import ResourcePath

from ..errors import NotFoundError, TransientError, UsageError

if TYPE_CHECKING:
    from lsst.sphgeom import Region

# Storage classes whose datasets are images on the sky or a detector, by
# their own name or that of a class they derive from in any stack release.
_IMAGE_WORDS = ("exposure", "image", "coadd", "mask")


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset and the file that holds it."""

    uuid: UUID
    """The Butler's dataset id."""

    label: str
    """Label of the repository."""

    dataset_type: str
    """Name of the dataset type."""

    data_id: Mapping[str, Any]
    """Required and implied values that the registry has."""

    run: str
    """RUN collection."""

    storage_class: str
    """Name of the storage class."""

    uri: ResourcePath | None
    """Where the file is; `None` when the datastore has no record of it."""

    @property
    def is_image(self) -> bool:
        """Whether cutouts of it make sense, by its storage class."""
        name = self.storage_class.lower()
        return any(word in name for word in _IMAGE_WORDS) and "catalog" not in name

    @property
    def media_type(self) -> str:
        """Media type of the file, by its suffix."""
        if self.uri is None:
            return "application/octet-stream"
        name = self.uri.basename().lower()
        if name.endswith((".fits", ".fits.fz", ".fits.gz", ".fit", ".fz")):
            return "application/fits"
        return mimetypes.guess_type(name)[0] or "application/octet-stream"


class Repository:
    """A Butler repository under the label that identifiers use.

    Parameters
    ----------
    label
        The label.
    butler
        A read-only Butler; owned by this object from now on.

    Notes
    -----
    A Butler must not be used by two threads at once; every method here takes
    its lock, and callers who use `butler` themselves hold `lock`.
    """

    def __init__(self, label: str, butler: Butler) -> None:
        self.label = label
        self.butler = butler
        self.lock = threading.RLock()

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
        wanted = list(uuids)
        if not wanted:
            return {}
        with self.lock:
            try:
                refs = self.butler.get_many_datasets(wanted)
                uris = self.butler.get_many_uris(refs, allow_missing=True)
            except (sqlalchemy.exc.OperationalError, sqlite3.OperationalError) as err:
                raise TransientError(f"The registry of {self.label!r} does not answer; try again") from err
            return {ref.id: self._describe(ref, uris.get(ref)) for ref in refs}

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
        """
        with self.lock:
            ref = self.butler.get_dataset(uuid, dimension_records=True)
            return None if ref is None else ref.dataId.region

    def close(self) -> None:
        """Close the connections of the Butler."""
        with self.lock:
            self.butler.close()

    def _describe(self, ref: DatasetRef, uris: Any) -> Dataset:
        uri = None
        if uris is not None:
            # A dataset stored in parts has no one file; its image is the
            # part named so.
            uri = uris.primaryURI or uris.componentURIs.get("image")
        return Dataset(
            uuid=ref.id,
            label=self.label,
            dataset_type=ref.datasetType.name,
            data_id=dict(ref.dataId.mapping),
            run=ref.run,
            storage_class=ref.datasetType.storageClass_name,
            uri=uri,
        )


def open_repository(repo: str, *, label: str | None = None) -> Repository:
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
    try:
        butler = Butler.from_config(repo, writeable=False)
    except (FileNotFoundError, KeyError, IsADirectoryError, NotADirectoryError) as err:
        known = ", ".join(sorted(_known_labels())) or "none"
        raise NotFoundError(
            f"There is no Butler repository {repo!r}; give the path of a folder with a butler.yaml, "
            f"or a label of DAF_BUTLER_REPOSITORIES (known: {known})"
        ) from err
    except (RuntimeError, ValueError, PermissionError, yaml.YAMLError, sqlalchemy.exc.SQLAlchemyError) as err:
        reason = " ".join(str(err).split())[:300]
        raise UsageError(f"The Butler repository {repo!r} cannot be opened: {reason}") from err
    return Repository(label or _default_label(repo), butler)


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
