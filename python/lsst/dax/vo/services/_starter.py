"""From a repository to a configuration to start from."""

from __future__ import annotations

__all__ = ["start_config"]

from contextlib import closing
from pathlib import Path

from ..obscore import starter_config
from ..repo import open_repository


def start_config(repo: str | Path, *, label: str | None = None) -> str:
    """Look at a repository and write an exporter configuration to start from.

    Parameters
    ----------
    repo
        Path, URI or label of the repository.
    label
        Label of the repository in identifiers; by default its own.

    Returns
    -------
    text : `str`
        YAML with comments.

    Raises
    ------
    NotFoundError
        Raised if there is no such repository, or no image in it.
    UsageError
        Raised if it cannot be opened.
    TransientError
        Raised if the registry does not answer.
    """
    with closing(open_repository(repo, label=label)) as repository, repository.session() as butler:
        return starter_config(butler, repository.label)
