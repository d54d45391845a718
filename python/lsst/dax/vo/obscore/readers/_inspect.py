"""A look at a repository that comes without a configuration."""

from __future__ import annotations

__all__ = ["Butler", "infer_config", "take_inventory"]

from collections.abc import Iterable, Mapping, Sequence

from lsst.daf.butler import Butler, DatasetType
from lsst.daf.butler.registry import CollectionType  # type: ignore[attr-defined]

from ...errors import NotFoundError
from .._config import ObscoreConfig
from ..starter._config import configure
from ..starter._inventory import Chain, HeldKind, Inventory
from ._elements import is_image

# What pipelines call summaries of visits, the one to be preferred first: a
# table of all visits is one file, the final calibration is the better one.
_SUMMARIES = (
    "visit_detector_table",
    "ccdVisitTable",
    "visit_summary",
    "finalVisitSummary",
    "visitSummary",
    "preliminary_visit_summary",
)
_SUMMARY_CLASSES = frozenset(
    {"ArrowAstropy", "ArrowNumpy", "ArrowNumpyDict", "ArrowTable", "DataFrame", "ExposureCatalog"}
)


def infer_config(butler: Butler, label: str) -> ObscoreConfig:
    """Make a configuration from what a repository holds.

    Parameters
    ----------
    butler
        The repository.
    label
        Its label.

    Returns
    -------
    config : `ObscoreConfig`
        That of `configure`.

    Raises
    ------
    NotFoundError
        Raised if there are no images of the sky.
    """
    return configure(take_inventory(butler, label))


def take_inventory(butler: Butler, label: str, *, count: bool = False) -> Inventory:
    """Look at what a repository holds.

    Parameters
    ----------
    butler
        The repository.
    label
        Its label.
    count
        Whether datasets are counted, too.

    Returns
    -------
    inventory : `Inventory`

    Raises
    ------
    NotFoundError
        Raised if there are no images of the sky.
    """
    kinds = {kind.name: kind for kind in butler.registry.queryDatasetTypes()}
    images = {name for name, kind in kinds.items() if is_image(kind)}
    summaries = [
        name for name in _SUMMARIES if name in kinds and kinds[name].storageClass_name in _SUMMARY_CLASSES
    ]
    chains: dict[str, tuple[str, ...]] = {}
    runs: dict[str, set[str]] = {}
    for info in butler.collections.query_info("*", include_summary=True):
        if info.type is CollectionType.CHAINED:
            chains[info.name] = info.children
        elif info.type is CollectionType.RUN and info.dataset_types:
            runs[info.name] = {name for name in info.dataset_types if name in images or name in summaries}
    held = set().union(*runs.values())
    if not held & images:
        raise NotFoundError(
            f"The repository {label!r} holds no images of the sky; give an exporter configuration "
            "that says what to export"
        )
    # Summaries are for images of one detector in one visit.
    detectors = any({"visit", "detector"} <= set(kinds[name].dimensions.names) for name in held & images)
    summaries = [name for name in summaries if name in held and detectors]
    wanted = (held & images) | set(summaries)
    runs = {run: names & wanted for run, names in runs.items() if names & wanted}

    def hold(name: str) -> HeldKind:
        where = sorted(run for run, names in runs.items() if name in names)
        return HeldKind(
            name=name,
            storage_class=kinds[name].storageClass_name,
            dimensions=tuple(kinds[name].dimensions.names),
            required=tuple(kinds[name].dimensions.required),
            runs=len(where),
            datasets=_count(butler, kinds[name], where) if count else None,
        )

    return Inventory(
        label=label,
        images=tuple(hold(name) for name in sorted(held & images)),
        summaries=tuple(hold(name) for name in summaries),
        instruments=tuple(
            sorted(record.name for record in butler.query_dimension_records("instrument", explain=False))
        ),
        bands=frozenset(
            record.band
            for record in butler.query_dimension_records("physical_filter", explain=False, limit=None)
        ),
        # Runs are named by date or by version, and later ones replace earlier.
        runs=tuple(sorted(runs, reverse=True)),
        chains=tuple(_describe_chains(chains, runs)),
    )


def _count(butler: Butler, kind: DatasetType, runs: Sequence[str]) -> int:
    with butler.query() as query:
        return int(query.datasets(kind, runs, find_first=False).count(discard=True))


def _describe_chains(chains: Mapping[str, tuple[str, ...]], runs: Mapping[str, set[str]]) -> Iterable[Chain]:
    for name in sorted(chains):
        members = _flatten(name, chains)
        found = [member for member in members if member in runs]
        if found:
            yield Chain(name, len(found), len(members))


def _flatten(name: str, chains: Mapping[str, tuple[str, ...]]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for child in chains[waiting.pop()]:
            if child in found:
                continue
            found.add(child)
            if child in chains:
                waiting.append(child)
    return found - chains.keys()
