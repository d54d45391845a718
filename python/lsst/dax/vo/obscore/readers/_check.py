"""What a configuration is compared with, read from a repository."""

from __future__ import annotations

__all__ = ["Butler", "look_at_repository", "look_at_universe", "try_rows"]

from collections.abc import Iterator
from contextlib import closing

from lsst.daf.butler import Butler, DimensionUniverse
from lsst.daf.butler.registry import CollectionType  # type: ignore[attr-defined]

from ...errors import VoError
from .._choice import ExportChoice
from .._config import ObscoreConfig
from .._export import iter_rows
from ..checks._facts import HeldType, RepositoryFacts, Universe
from ..checks._findings import Finding, error
from ..checks._yaml import Places
from ._elements import wanted_elements


def look_at_universe(butler: Butler | None) -> Universe:
    """Tell what templates may name.

    Parameters
    ----------
    butler
        The repository; `None` for what this release of the Butler would make.

    Returns
    -------
    universe : `Universe`
    """
    universe = DimensionUniverse() if butler is None else butler.dimensions
    return Universe(
        frozenset(universe.dimensions.names),
        {
            element.name: frozenset(name for name in dir(element.RecordClass) if not name.startswith("_"))
            for element in universe.elements
        },
    )


def look_at_repository(butler: Butler, config: ObscoreConfig, label: str) -> RepositoryFacts:
    """Tell what a repository has.

    Parameters
    ----------
    butler
        The repository.
    config
        The configuration; dataset types are looked for in its collections.
    label
        Label of the repository.

    Returns
    -------
    facts : `RepositoryFacts`
    """
    infos = list(butler.collections.query_info("*", include_summary=True))
    by_pattern = config.collection_type == "RUN"
    searched = None if by_pattern or not config.collections else set(config.collections)
    held: set[str] = set()
    for info in infos:
        if searched is None or info.name in searched:
            # The summary of a chain is that of all in it.
            held.update(info.dataset_types or ())
    named = {*config.dataset_types}
    types = {}
    for kind in butler.registry.queryDatasetTypes():
        if kind.isComponent():
            continue
        elements: set[str] = set()
        if kind.name in named:
            elements = {
                element
                for element in butler.dimensions.elements.names
                if element in kind.dimensions.elements
                or element in wanted_elements(kind.dimensions, {element})
            }
        types[kind.name] = HeldType(frozenset(kind.dimensions.names), frozenset(elements), kind.name in held)
    filters = list(butler.query_dimension_records("physical_filter", explain=False, limit=None))
    return RepositoryFacts(
        label=label,
        collections=tuple(info.name for info in infos),
        runs=tuple(info.name for info in infos if info.type is CollectionType.RUN),
        types=types,
        instruments=tuple(
            sorted(record.name for record in butler.query_dimension_records("instrument", explain=False))
        ),
        bands=frozenset(record.band for record in filters),
        filters=frozenset(record.name for record in filters),
    )


def try_rows(
    butler: Butler, config: ObscoreConfig, facts: RepositoryFacts, places: Places
) -> Iterator[Finding]:
    """Make a row of each dataset type, and tell what is refused.

    Parameters
    ----------
    butler
        The repository.
    config
        The configuration.
    facts
        What the repository has.
    places
        Where the keys of the configuration are.

    Yields
    ------
    finding : `Finding`
    """
    for name in config.dataset_types:
        if name not in facts.types or not facts.types[name].is_held:
            continue
        choice = ExportChoice(dataset_types=[name], limit=1)
        rows = iter_rows(butler, config, choice, label=facts.label)
        try:
            with closing(rows):
                for _ in rows:
                    pass
        except VoError as err:
            yield error(places.of("dataset_types", name), str(err), "mend it, and check again")
