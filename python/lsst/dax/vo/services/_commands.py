"""What the command line does, as functions."""

from __future__ import annotations

__all__ = [
    "export_repository",
    "link_datasets",
    "query_store",
    "update_store",
]

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ..config import Limits, RepositoryConfig, ServiceConfig, load_service_config
from ..dali import ParamSet, ResultTable
from ..datalink import CutoutLinks, DirectFiles, LinkChoice, LinksService, RelatedLinks, ThisLinks
from ..errors import VoError
from ..obscore import ExportChoice, ExportReport, Watch
from ..query import open_engine, plan_query
from ..repo import Repositories, StoreProbe, open_repository
from ..store import Changes, open_store, parse_store, require_writable
from ._export import export_rows, served_label, update_rows
from ._stores import open_named_store

_LOCAL_URL = "http://127.0.0.1:8080"
"""Where ``butler vo serve`` listens when nobody says otherwise."""


def export_repository(
    repo: str | Path,
    destination: str | Path,
    *,
    config_path: Path | None = None,
    file_format: str | None = None,
    label: str | None = None,
    watch: Watch | None = None,
    **choice: Any,
) -> ExportReport:
    """Export the ObsCore table of a repository.

    Parameters
    ----------
    repo
        Path, URI or label of the repository.
    destination
        File or store; replaced at once when all rows are written.
    config_path
        Exporter configuration; by default one is made from what the
        repository holds.
    file_format
        ``parquet csv votable arrow``; by default the suffix tells.
    label
        Label of the repository in identifiers; by default its own.
    watch
        Told the report each time that rows were made.
    **choice
        What is exported: the fields of `~lsst.dax.vo.obscore.ExportChoice`,
        as ``collections``, ``dataset_types``, ``where`` and ``limit``.

    Returns
    -------
    report : `~lsst.dax.vo.obscore.ExportReport`
        How many rows of which kind.

    Raises
    ------
    NotFoundError
        Raised if the repository or something named in it does not exist.
    UsageError
        Raised if the configuration or a choice is not accepted.
    TransientError
        Raised if the registry does not answer.
    """
    with closing(open_repository(repo, label=label)) as repository:
        return export_rows(
            repository,
            str(destination),
            ExportChoice(**choice),
            config_path=config_path,
            file_format=file_format,
            watch=watch,
        )


def update_store(
    repo: str | Path,
    store: str | Path,
    *,
    config_path: Path | None = None,
    label: str | None = None,
    watch: Watch | None = None,
    **choice: Any,
) -> tuple[ExportReport, Changes]:
    """Bring a store up to date with its repository.

    Parameters
    ----------
    repo
        Path, URI or label of the repository.
    store
        The store; its table stays as it is if nothing has changed.
    config_path
        Exporter configuration; by default the one that the store was made
        with.
    label
        Label of the repository in identifiers; by default the store's.
    watch
        Told the report each time that rows were made.
    **choice
        What the table holds: the fields of
        `~lsst.dax.vo.obscore.ExportChoice`; what is not chosen is as it was
        when the store was made.

    Returns
    -------
    report : `~lsst.dax.vo.obscore.ExportReport`
        How many rows were made.
    changes : `~lsst.dax.vo.store.Changes`
        How many rows are new, others than before, or gone.

    Raises
    ------
    NotFoundError
        Raised if the repository, the store or something named does not exist.
    UsageError
        Raised if the store is of another repository, or a choice is not
        accepted.
    TransientError
        Raised if the registry does not answer, or the store is being written.
    """
    location = require_writable(parse_store(str(store)))
    label = served_label(open_store(location).properties, label, str(location))
    with closing(open_repository(repo, label=label)) as repository:
        return update_rows(
            repository, str(store), ExportChoice(**choice), config_path=config_path, watch=watch
        )


@contextmanager
def query_store(store: str | Path, adql: str, *, maxrec: int | None = None) -> Iterator[ResultTable]:
    """Ask a store a question.

    Parameters
    ----------
    store
        The store; ``live:`` and a repository for the Butler's own table.
    adql
        The question.
    maxrec
        Most rows; all by default.

    Yields
    ------
    result : `~lsst.dax.vo.dali.ResultTable`
        Columns and rows, to be read inside the block.

    Raises
    ------
    NotFoundError
        Raised if there is no such store.
    QueryError
        Raised if the question cannot be answered.
    TransientError
        Raised if the store cannot be read.
    """
    opened = open_named_store(str(store))
    with closing(open_engine([opened], limits=Limits(), access_url="exported")) as engine:
        yield engine.run(plan_query(adql, engine.catalog), maxrec=maxrec)


def link_datasets(
    repo: str | Path, ids: Sequence[str], *, config_path: Path | None = None
) -> Iterator[bytes]:
    """Write the DataLink document of some datasets.

    Parameters
    ----------
    repo
        Path, URI or label of the repository.
    ids
        Identifiers in any accepted form.
    config_path
        Configuration of the services: what it says of the links of the
        repository counts, if it is one of those that it names.

    Yields
    ------
    chunk : `bytes`
        Part of a VOTable.  Files are named where the datastore has them;
        the cutout service is the one of ``base_url`` (``DAX_VO_BASE_URL``),
        by default that of ``butler vo serve`` on this machine.  What only a
        running service makes, as pictures, is not there.

    Raises
    ------
    NotFoundError
        Raised if there is no such repository, and after the document, which
        is complete, if there is no such dataset or file.
    UsageError
        Raised after the document if an identifier is none.
    TransientError
        Raised after the document if the registry does not answer.
    """
    config = load_service_config(config_path, environment=os.environ)
    entry = _entry_of(config, str(repo))
    repository = open_repository(repo, label=entry.label)
    params = ParamSet.from_pairs(("ID", text) for text in ids)
    probe = StoreProbe(patience_s=config.limits.store_seconds)
    with closing(Repositories([repository], probe=probe)) as repositories:
        files, choice = DirectFiles(), LinkChoice({repository.label: entry.links})
        sources = (
            ThisLinks(files, choice),
            CutoutLinks(repositories, choice=choice),
            RelatedLinks(repositories, files, choice),
        )
        links = LinksService(repositories, sources, max_ids=config.limits.links)
        response = links.links(params, (config.base_url or _LOCAL_URL).rstrip("/"))
        body = response.body
        yield from [body] if isinstance(body, bytes) else body
        # The document has a row that says why; a script looks at the status.
        for found in repositories.find(ids):
            error = found if isinstance(found, VoError) else found.file_error
            if error is not None:
                raise error


def _entry_of(config: ServiceConfig, repo: str) -> RepositoryConfig:
    """Return what is configured of a repository."""
    for entry in config.repositories:
        if entry.repo == repo or Path(entry.repo).absolute() == Path(repo).absolute():
            return entry
    return RepositoryConfig(repo=repo)
