"""Open repositories, by path or label."""

from __future__ import annotations

__all__ = ["known_labels", "open_repository"]

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy.exc
import yaml
from lsst.daf.butler import Butler, ButlerConfig
from lsst.daf.butler.registry import RegistryConfig
from lsst.resources import ResourcePath

from ..errors import NotFoundError, UsageError, without_secrets
from ._repository import Repository


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
