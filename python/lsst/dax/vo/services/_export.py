"""From a repository to its ObsCore table, in a file or a store."""

from __future__ import annotations

__all__ = [
    "export_rows",
    "origin_infos",
    "publisher_forms",
    "searched_collections",
    "served_label",
    "store_properties",
    "stored_origin",
    "update_rows",
]

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..dali import Info
from ..errors import TransientError, UsageError
from ..obscore import (
    ExportChoice,
    ExportReport,
    ObscoreConfig,
    Origin,
    Watch,
    columns_of,
    formats_of,
    identifier_formats,
    infer_obscore_config,
    iter_rows,
    load_obscore_config,
    parse_obscore_config,
    remove_parts,
    write_file,
)
from ..repo import PublisherForm, Repository
from ..store import (
    Changes,
    batch_schema,
    open_store,
    open_updater,
    open_writer,
    parse_store,
    require_writable,
    sorted_along_sky,
)

# Names of stores, whatever they end with.
_URL = re.compile(r"parquet:|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
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
_CHOICE = "export_choice"
# What of the choice decides which rows there are.
_CHOSEN = ("collections", "dataset_types", "where", "limit")


def export_rows(
    repository: Repository,
    destination: str,
    choice: ExportChoice,
    *,
    config_path: Path | None = None,
    file_format: str | None = None,
    watch: Watch | None = None,
) -> ExportReport:
    """Export the ObsCore table of an open repository.

    Parameters
    ----------
    repository
        The repository; its label goes into each row.
    destination
        File or store; replaced at once when all rows are written.
    choice
        What is exported.
    config_path
        Exporter configuration; by default one is made from what the
        repository holds.
    file_format
        ``parquet csv votable arrow``; by default the suffix tells.
    watch
        Told the report from time to time.

    Returns
    -------
    report : `~lsst.dax.vo.obscore.ExportReport`
        How many rows of which kind.

    Raises
    ------
    NotFoundError
        Raised if a collection, dataset type or the configuration is missing,
        or there is nothing to export.
    UsageError
        Raised if the configuration or a choice is not accepted.
    TransientError
        Raised if the registry does not answer.
    """
    kind = file_format or (
        None if _URL.match(destination) else _SUFFIXES.get(Path(destination).suffix.lower())
    )
    # Before the work, not after it.
    location = None if kind else require_writable(parse_store(destination))
    report = ExportReport()
    with ExitStack() as stack:
        butler = stack.enter_context(repository.session())
        config = _configure(butler, repository.label, config_path)
        columns = columns_of(config)
        formatted = [] if kind else formats_of(config, choice.dataset_types or config.dataset_types)
        rows = iter_rows(
            butler,
            config,
            choice,
            label=repository.label,
            origin=repository.origin,
            formatted=formatted,
            report=report,
            watch=watch,
        )
        stack.enter_context(closing(rows))
        if location is None:
            ordered = stack.enter_context(closing(sorted_along_sky(rows, batch_schema(columns))))
            write_file(
                Path(destination),
                columns,
                ordered,
                kind or "",
                compression=config.parquet_compression,
                csv_null=config.csv_null_string,
                infos=origin_infos(config),
            )
        else:
            properties = store_properties(repository.label, config, choice)
            with open_writer(location, columns=columns, properties=properties, formatted=formatted) as writer:
                for batch in rows:
                    writer.write(batch)
    if choice.parts is not None:
        remove_parts(choice.parts)
    return report


def update_rows(
    repository: Repository,
    destination: str,
    choice: ExportChoice,
    *,
    config_path: Path | None = None,
    watch: Watch | None = None,
) -> tuple[ExportReport, Changes]:
    """Bring a store up to date with an open repository.

    Parameters
    ----------
    repository
        The repository.
    destination
        The store; its table stays as it is if nothing has changed.
    choice
        What is exported.  What is not chosen is as it was when the store
        was made.
    config_path
        Exporter configuration; by default the one that the store was made
        with.
    watch
        Told the report from time to time.

    Returns
    -------
    report : `~lsst.dax.vo.obscore.ExportReport`
        How many rows were made.
    changes : `~lsst.dax.vo.store.Changes`
        How many rows are new, others than before, or gone.

    Raises
    ------
    NotFoundError
        Raised if the store, a collection or a dataset type is missing.
    UsageError
        Raised if the store is of another repository, or holds only the first
        rows, or a choice is not accepted.
    TransientError
        Raised if the registry does not answer, or the store is being
        written.
    """
    location = require_writable(parse_store(destination))
    properties = open_store(location).properties
    served_label(properties, repository.label, str(location))
    choice = _as_before(choice, properties, str(location))
    report = ExportReport()
    with ExitStack() as stack:
        butler = stack.enter_context(repository.session())
        if config_path is None and _CONFIG in properties:
            config = parse_obscore_config(properties[_CONFIG], "the store's configuration")
        else:
            config = _configure(butler, repository.label, config_path)
        columns = columns_of(config)
        formatted = formats_of(config, choice.dataset_types or config.dataset_types)
        told = store_properties(repository.label, config, choice)
        with open_updater(location, columns=columns, properties=told, formatted=formatted) as updater:
            # What it was made with was read before it was ours alone.
            if open_store(location).properties != properties:
                raise TransientError(f"The store {location} was replaced just now; try again")
            rows = iter_rows(
                butler,
                config,
                choice,
                label=repository.label,
                origin=repository.origin,
                formatted=formatted,
                report=report,
                watch=watch,
                fresh=updater.find_fresh,
            )
            with closing(rows):
                for batch in rows:
                    updater.write(batch)
    return report, updater.changes


def _configure(butler: Any, label: str, path: Path | None) -> ObscoreConfig:
    if path is not None:
        config: ObscoreConfig = load_obscore_config(path)
        return config
    return infer_obscore_config(butler, label)


def store_properties(label: str, config: ObscoreConfig, choice: ExportChoice | None = None) -> dict[str, str]:
    """Return what a store says of its rows.

    Parameters
    ----------
    label
        Label of the repository.
    config
        Configuration of the export.
    choice
        What was exported; an update takes the same again.

    Returns
    -------
    properties : `dict` [`str`, `str`]
    """
    told = {_LABEL: label, _CONFIG: config.to_yaml()}
    if choice is not None:
        chosen = {name: getattr(choice, name) for name in _CHOSEN}
        told[_CHOICE] = json.dumps({name: value for name, value in chosen.items() if value is not None})
    return told


def _as_before(choice: ExportChoice, properties: Mapping[str, str], store: str) -> ExportChoice:
    """Fill what is not chosen with what was chosen before."""
    before = json.loads(properties.get(_CHOICE, "{}"))
    if before.get("limit") is not None:
        raise UsageError(
            f"The store {store} was exported with --limit {before['limit']}: which rows these are, "
            "nobody can tell again; export without a limit, then update"
        )
    return replace(choice, **{name: value for name, value in before.items() if getattr(choice, name) is None})


def origin_infos(config: ObscoreConfig) -> list[Info]:
    """Return what the configuration says about the origin of the table.

    Parameters
    ----------
    config
        The configuration.

    Returns
    -------
    infos : `list` [`~lsst.dax.vo.dali.Info`]
    """
    origin = config.origin
    if origin is None:
        return []
    title = [] if origin.title is None else [("title", origin.title)]
    return [Info(name, value) for name, value in (("publisher", origin.publisher), *origin.items(), *title)]


def stored_origin(properties: Mapping[str, str]) -> Origin | None:
    """Return what the configuration of a store says about the origin of its rows.

    Parameters
    ----------
    properties
        What the store says of itself.

    Returns
    -------
    origin : `~lsst.dax.vo.obscore.Origin` or `None`
    """
    config: ObscoreConfig = parse_obscore_config(properties.get(_CONFIG, ""), "the store's configuration")
    return config.origin


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


def searched_collections(properties: Mapping[str, str]) -> tuple[str, ...]:
    """Return the collections that the rows of a store are from.

    Parameters
    ----------
    properties
        What the store says of itself.

    Returns
    -------
    collections : `tuple` [`str`, ...]
        Names and patterns; none if the store does not tell, or tells regular
        expressions, as one of the Butler's own does.
    """
    chosen = json.loads(properties.get(_CHOICE, "{}")).get("collections")
    if chosen:
        return tuple(chosen)
    config: ObscoreConfig = parse_obscore_config(properties.get(_CONFIG, ""), "the store's configuration")
    return () if config.collection_type == "RUN" else config.collections or ()


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
