"""The search for all that belongs to the datasets of one request."""

from __future__ import annotations

__all__ = ["RelatedSearch"]

import fnmatch
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from lsst.daf.butler import Butler, DatasetType

from .._dataset import is_image_class
from ._product_kinds import (
    DETECTOR_IMAGES,
    is_made,
    is_summary,
    is_template,
    is_usual,
    order_of,
)
from ._registry import Found, Registry, Valid
from ._relations import Choice, Chosen, Related, Relations
from ._search_path import SearchPath, join_paths
from ._sources import Lookup, Source

type Family = Literal["coderived", "auxiliary", "candidates", "calibrations"]

_FAMILIES: dict[Family, Callable[[DatasetType], bool]] = {
    "coderived": is_usual,
    "auxiliary": is_summary,
    "candidates": is_made,
    "calibrations": DatasetType.isCalibration,
}
_DETECTOR = ("instrument", "detector", "visit")
_TILE = ("skymap", "tract", "patch")
_VISIT_OR_EXPOSURE = frozenset({"visit", "exposure"})


class RelatedSearch:
    """Searches for the sake of some datasets, with a few look-ups for all.

    Parameters
    ----------
    butler
        Their repository.
    registry
        Looks up keys in it.
    paths
        Where to search, by the RUN of a dataset.
    kinds
        All dataset types.
    sources
        The datasets.
    choices
        What is of interest, by dataset id.
    most
        How many are found for one dataset; more are left away.
    """

    def __init__(
        self,
        butler: Butler,
        registry: Registry,
        paths: Mapping[str, SearchPath],
        kinds: Mapping[str, DatasetType],
        sources: Sequence[Source],
        choices: Mapping[UUID, Choice],
        most: int,
    ) -> None:
        self._butler = butler
        self._registry = registry
        self._paths = paths
        self._path = join_paths(list(paths.values()))
        held = frozenset().union(*self._path.held.values())
        self._kinds = [kind for name, kind in kinds.items() if name in held]
        self._sources = sources
        self._choices = choices
        self._most = most
        self._best: dict[tuple[UUID, Family], dict[tuple[Any, ...], tuple[int, Found]]] = defaultdict(dict)

    def run(self) -> dict[UUID, Relations]:
        """Look up everything.

        Returns
        -------
        relations : `dict` [`uuid.UUID`, `Relations`]
            Of each dataset.
        """
        lookups: dict[Any, Lookup[Family]] = defaultdict(Lookup)
        valid_lookups: dict[Any, Lookup[Family]] = defaultdict(Lookup)
        tiles, visits = self._tiles(), self._visits()
        for source in self._sources:
            uuid = source.dataset.uuid
            for family, kind, is_named in self._interesting(source):
                required = tuple(kind.dimensions.required)
                if family == "calibrations":
                    if _is_calibrated(source, kind):
                        valid_lookups[kind.dimensions, required].add(
                            kind, source.data_ids, required, source, family
                        )
                    continue
                names = tuple(name for name in required if name in source.names)
                is_whole = len(names) == len(required)
                if any(anchor <= set(names) for anchor in source.anchors):
                    # Coadds are made of what is of visits, not the reverse.
                    is_reverse = not source.is_observation and not _VISIT_OR_EXPOSURE.isdisjoint(required)
                    if is_whole or is_named or (family == "candidates" and not is_reverse):
                        lookups[kind.dimensions, names].add(kind, source.data_ids, names, source, family)
                elif family == "candidates" and _is_of_tile(required) and uuid in tiles:
                    lookups[kind.dimensions, required].add(kind, tiles[uuid], required, source, family)
                elif family == "candidates" and set(required) == set(_DETECTOR) and uuid in visits:
                    lookups[kind.dimensions, required].add(kind, visits[uuid], required, source, family)
        for (_, names), lookup in lookups.items():
            kinds = list(lookup.kinds.values())
            for found in self._registry.find(kinds, names, lookup.sources, self._path.where(kinds)):
                self._keep(found, lookup, names)
        for (_, names), lookup in valid_lookups.items():
            kinds = list(lookup.kinds.values())
            where = self._path.where_valid(kinds)
            for valid in self._registry.find_valid(kinds, names, lookup.sources, where):
                self._keep(valid.found, lookup, names, valid)
        return {source.dataset.uuid: self._relations(source.dataset.uuid) for source in self._sources}

    def detector_images(
        self, wanted: Mapping[UUID, Collection[tuple[str | None, int, int]]]
    ) -> dict[UUID, list[Related]]:
        """Look up images by visit and detector.

        Parameters
        ----------
        wanted
            By coadd: instrument, if it is known, visit and detector.

        Returns
        -------
        images : `dict` [`uuid.UUID`, `list` [`Related`]]
            In the order that was asked for; of the best dataset type that
            has each.
        """
        instruments = [
            str(record.dataId["instrument"]) for record in self._butler.query_dimension_records("instrument")
        ]
        return {
            source.dataset.uuid: self._images_of(source, wanted[source.dataset.uuid], instruments)
            for source in self._sources
        }

    def _images_of(
        self, source: Source, wanted: Collection[tuple[str | None, int, int]], instruments: Sequence[str]
    ) -> list[Related]:
        choice = self._choices[source.dataset.uuid].inputs
        patterns = choice if isinstance(choice, tuple) else DETECTOR_IMAGES
        images = [
            kind
            for pattern in patterns
            for kind in self._kinds
            if fnmatch.fnmatchcase(kind.name, pattern)
            and set(kind.dimensions.required) == set(_DETECTOR)
            and is_image_class(kind.storageClass_name)
        ]
        order = {kind.name: number for number, kind in reversed(list(enumerate(images)))}
        keys = {
            (instrument, detector, visit): None
            for told, visit, detector in wanted
            for instrument in ([told] if told is not None else instruments)
        }
        where = self._path.where(images)
        best: dict[tuple[int, int], tuple[tuple[int, int], Found]] = {}
        for one in self._registry.find(images, _DETECTOR, keys, where) if where else ():
            place = one.values["visit"], one.values["detector"]
            where_found = self._paths[source.dataset.run].rank(one.collection)
            if where_found is None:
                continue
            rank = order[one.kind.name], where_found
            if place not in best or rank < best[place][0]:
                best[place] = rank, one
        places = {(visit, detector): None for _, visit, detector in wanted}
        return [_related(best[place][1]) for place in places if place in best]

    def _interesting(self, source: Source) -> Iterator[tuple[Family, DatasetType, bool]]:
        choice = self._choices[source.dataset.uuid]
        for family, is_interesting in _FAMILIES.items():
            chosen: Chosen = getattr(choice, family)
            if chosen is False or (family != "calibrations" and not source.anchors):
                continue
            for kind in self._kinds:
                if isinstance(chosen, tuple):
                    if any(fnmatch.fnmatchcase(kind.name, pattern) for pattern in chosen):
                        yield family, kind, True
                elif is_interesting(kind):
                    yield family, kind, False

    def _tiles(self) -> dict[UUID, list[dict[str, Any]]]:
        """Return the patches that each observation overlaps, with its band."""
        found: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
        for element, names in (("visit_detector_region", _DETECTOR), ("visit", ("instrument", "visit"))):
            keys: dict[tuple[Any, ...], list[Source]] = defaultdict(list)
            for source in self._sources:
                is_wanted = source.is_observation and "patch" not in source.names
                if (
                    is_wanted
                    and ("detector" in source.names) == ("detector" in names)
                    and self._derives(source)
                ):
                    for data_id in source.data_ids:
                        if "visit" in data_id and "band" in data_id:
                            keys[tuple(data_id[name] for name in names)].append(source)
            for key, tile in self._registry.overlapping(element, names, keys, "patch", _TILE) if keys else ():
                for source in keys[key]:
                    band = source.data_ids[0]["band"]
                    found[source.dataset.uuid].append(dict(zip(_TILE, tile, strict=True)) | {"band": band})
        return found

    def _visits(self) -> dict[UUID, list[dict[str, Any]]]:
        """Return detectors in visits, of the same band, that overlap each template."""
        keys: dict[tuple[Any, ...], list[Source]] = defaultdict(list)
        for source in self._sources:
            is_of_patch = set(_TILE) <= source.names and not source.is_observation
            is_named = isinstance(self._choices[source.dataset.uuid].candidates, tuple)
            if (
                is_of_patch
                and self._derives(source)
                and (is_named or is_template(source.dataset.dataset_type))
            ):
                keys[tuple(source.dataset.data_id[name] for name in _TILE)].append(source)
        found: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
        if not keys:
            return found
        pairs = self._registry.overlapping("patch", _TILE, keys, "visit_detector_region", _DETECTOR)
        seen = self._registry.observations("visit", {(place[0], place[2]): None for _, place in pairs})
        for key, place in pairs:
            visit = seen.get((place[0], place[2]))
            for source in keys[key]:
                if visit is not None and visit.band == source.dataset.data_id.get("band", visit.band):
                    found[source.dataset.uuid].append(dict(zip(_DETECTOR, place, strict=True)))
        return found

    def _derives(self, source: Source) -> bool:
        return self._choices[source.dataset.uuid].candidates is not False

    def _keep(
        self, found: Found, lookup: Lookup[Family], names: Sequence[str], valid: Valid | None = None
    ) -> None:
        name, values = found.kind.name, tuple(found.values.values())
        key = tuple(found.values[item] for item in names)
        for source, kind, family in lookup.sources[key]:
            rank = self._paths[source.dataset.run].rank(found.collection)
            if kind != name or rank is None or _is_itself(found, source):
                continue
            if valid is not None and not _is_at_time(valid, source):
                continue
            best = self._best[source.dataset.uuid, family]
            kept = best.get((name, values))
            if kept is None or rank < kept[0]:
                best[name, values] = rank, found

    def _relations(self, uuid: UUID) -> Relations:
        return Relations(**{family: self._ordered(uuid, family) for family in _FAMILIES})

    def _ordered(self, uuid: UUID, family: Family) -> tuple[Related, ...]:
        found = self._best.get((uuid, family))
        if not found:
            return ()
        ordered = sorted(
            (one for _, one in found.values()),
            key=lambda one: (
                order_of(one.kind),
                one.kind.name,
                [str(value) for value in one.values.values()],
            ),
        )
        return tuple(_related(one) for one in ordered[: self._most])


def _related(found: Found) -> Related:
    return Related(found.uuid, found.kind.name, is_image_class(found.kind.storageClass_name))


def _is_itself(found: Found, source: Source) -> bool:
    # The same made another time is no other product.
    return found.kind.name == source.dataset.dataset_type and found.values == source.dataset.data_id


def _is_of_tile(required: Collection[str]) -> bool:
    return "patch" in required and set(required) <= {*_TILE, "band"}


def _is_calibrated(source: Source, kind: DatasetType) -> bool:
    # A camera or a bias is of an image of a detector; not of a catalog, or
    # of a coadd, whose inputs it calibrated.
    return (
        kind.isCalibration()
        and source.is_observation
        and "patch" not in source.names
        and source.dataset.is_image
        and source.observation is not None
        and set(kind.dimensions.required) <= source.names
    )


def _is_at_time(valid: Valid, source: Source) -> bool:
    observation = source.observation
    if observation is None or observation.timespan is None:
        return False
    return bool(valid.timespan.overlaps(observation.timespan))
