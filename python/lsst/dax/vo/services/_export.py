"""From a repository to its ObsCore table, in a file or a store."""

from __future__ import annotations

__all__ = ["export_rows", "publisher_forms", "served_label"]

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..dali import Info
from ..errors import UsageError
from ..obscore import (
    ExportReport,
    ObscoreConfig,
    columns_of,
    identifier_formats,
    infer_obscore_config,
    iter_rows,
    load_obscore_config,
    parse_obscore_config,
    write_file,
)
from ..repo import PublisherForm, Repository
from ..store import StoreWriter, parse_store

_SUFFIXES = {
    ".parquet": "parquet",
    ".parq": "parquet",
    ".csv": "csv",
    ".vot": "votable",
    ".votable": "votable",
    ".xml": "votable",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
"""Suffixes of files, and their formats; whatever has none is a store."""

# Properties of a store that say what its rows are.
_LABEL = "label"
_CONFIG = "obscore_config"


def export_rows(
    repository: Repository,
    destination: str,
    *,
    config_path: Path | None = None,
    file_format: str | None = None,
    collections: Sequence[str] | None = None,
    dataset_types: Sequence[str] | None = None,
    where: str | None = None,
    limit: int | None = None,
) -> ExportReport:
    """Export the ObsCore table of an open repository.

    Parameters
    ----------
    repository
        The repository; its label goes into each row.
    destination
        File or store; replaced at once when all rows are written.
    config_path
        Exporter configuration; by default one is made from what the
        repository holds.
    file_format
        ``parquet csv votable arrow``; by default the suffix tells.
    collections, dataset_types, where, limit
        What is exported, instead of the configuration's choice.

    Returns
    -------
    report : `~lsst.dax.vo.obscore.ExportReport`
        How many rows of which kind.

    Raises
    ------
    NotFoundError
        Raised if a collection, dataset type or the configuration is missing.
    UsageError
        Raised if the configuration or a choice is not accepted.
    TransientError
        Raised if the registry does not answer.
    """
    kind = file_format or _SUFFIXES.get(Path(destination).suffix.lower())
    report = ExportReport()
    with repository.session() as butler:
        config = (
            load_obscore_config(config_path)
            if config_path is not None
            else infer_obscore_config(butler, repository.label)
        )
        columns = columns_of(config)
        rows = iter_rows(
            butler,
            config,
            label=repository.label,
            collections=collections,
            dataset_types=dataset_types,
            where=where,
            limit=limit,
            report=report,
        )
        if kind is not None:
            write_file(
                Path(destination),
                columns,
                rows,
                kind,
                compression=config.parquet_compression,
                csv_null=config.csv_null_string,
                infos=_origin_infos(config),
            )
            return report
        properties = {_LABEL: repository.label, _CONFIG: config.to_yaml()}
        with StoreWriter(parse_store(destination), columns=columns, properties=properties) as writer:
            for batch in rows:
                writer.write(batch)
    return report


def _origin_infos(config: ObscoreConfig) -> list[Info]:
    # The names of the fields are those of the note (DataOrigin 1.2).
    told = {} if config.origin is None else config.origin.model_dump(mode="json", exclude_none=True)
    return [Info(name, value) for name, value in told.items()]


def publisher_forms(properties: Mapping[str, str], label: str) -> tuple[tuple[str, ...], list[PublisherForm]]:
    """Return the forms of the identifiers in a store.

    Parameters
    ----------
    properties
        What the store says of itself.
    label
        Label of the repository.

    Returns
    -------
    formats : `tuple` [`str`, ...]
        Those of ``obs_publisher_did``, with ``{id}``.
    forms : `list` [`~lsst.dax.vo.repo.PublisherForm`]
        Those of ``obs_publisher_did`` and ``access_url``.
    """
    config: ObscoreConfig = parse_obscore_config(properties.get(_CONFIG, ""), "the store's configuration")
    dids, urls = identifier_formats(config)
    found = (PublisherForm.from_format(template, label) for template in (*dids, *urls))
    return tuple(did for did in dids if "{id}" in did), [form for form in found if form is not None]


def served_label(properties: Mapping[str, str], wanted: str | None, store: str) -> str | None:
    """Return the label under which the rows of a store are served.

    Parameters
    ----------
    properties
        What the store says of itself.
    wanted
        The label that the service configuration names, if it does.
    store
        Name of the store, for the message.

    Returns
    -------
    label : `str` or `None`
        `None` where neither says.

    Raises
    ------
    UsageError
        Raised if the two differ: each row names its repository by label.
    """
    exported = properties.get(_LABEL)
    if wanted is not None and exported is not None and wanted != exported:
        raise UsageError(
            f"The store {store!r} was exported under the label {exported!r}, not {wanted!r}; "
            f"serve it as {exported!r}, or export it again with --label {wanted}"
        )
    return wanted or exported
