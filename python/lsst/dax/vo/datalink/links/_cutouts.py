"""Links to the services that cut pieces out of a dataset: ``#cutout``."""

from __future__ import annotations

__all__ = ["CutoutLinks"]

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from operator import itemgetter
from uuid import UUID

from ...dali import ServiceDescriptor
from ...errors import VoError
from ...repo import Dataset, FileState, Repositories
from ...soda import FITS
from .._choice import LinkChoice
from .._descriptors import CUTOUTS, Coverage, CutoutKind, cutout_descriptors, kinds_of, numbered
from .._link import Caller, Link

_IMAGE = "#image"
# Of so many datasets, each has descriptors of its own: 10 kB each, which a
# client reads for every row.
_MOST_OWN = 16


class CutoutLinks:
    """Leads to the cutouts of each image on the sky.

    Parameters
    ----------
    repositories
        The repositories that are served.
    find_coverage
        From datasets to what they cover; of those that are not known there,
        the registry is asked for the region.
    choice
        What is configured.

    Notes
    -----
    A descriptor whose ID comes from the row (``ref``) fits every row, but its
    limits would be those of all datasets.  So in a document of several, up to
    a number, each dataset has its own beside the common ones.  Its ID comes
    from the row, too: no client, whichever descriptor it takes, cuts another
    dataset than that of the row.  The common ones come first of their kind
    and keep their XML IDs: Rubin's clients look those up, and pyvo
    (``processed``) takes the first of SODA for any row.
    """

    semantics = "#cutout"

    def __init__(
        self,
        repositories: Repositories,
        find_coverage: Callable[[Sequence[Dataset]], Mapping[UUID, Coverage]] = lambda _datasets: {},
        choice: LinkChoice | None = None,
    ) -> None:
        self._repositories = repositories
        self._find_coverage = find_coverage
        self._choice = choice or LinkChoice()

    def links(self, datasets: Sequence[Dataset], caller: Caller) -> dict[UUID, tuple[Link, ...]]:
        """Return the links of those that can be cut.

        Parameters
        ----------
        datasets
            The datasets.
        caller
            Of no use here: the descriptors have the URLs.

        Returns
        -------
        links : `dict` [`uuid.UUID`, `tuple` [`Link`, ...]]
        """
        del caller
        offered = {dataset.uuid: self._kinds(dataset) for dataset in datasets}
        numbers = _number(uuid for uuid, kinds in offered.items() if kinds)
        return {
            uuid: tuple(_link(kind, numbers.get(uuid)) for kind in kinds)
            for uuid, kinds in offered.items()
            if kinds
        }

    def descriptors(
        self,
        asked: Sequence[tuple[str, Dataset | None]],
        links: Mapping[UUID, Sequence[Link]],
        caller: Caller,
    ) -> tuple[ServiceDescriptor, ...]:
        """Describe the services.

        Parameters
        ----------
        asked
            The identifiers of the document with their datasets.
        links
            The links that the datasets were given.
        caller
            Who asks.

        Returns
        -------
        descriptors : `tuple` [`ServiceDescriptor`, ...]
            Those for all rows, and then those of each dataset.
        """
        # Two identifiers may name the same dataset, or copies of it, of which
        # the first counts.
        datasets: dict[UUID, Dataset] = {}
        for _, item in asked:
            if item is not None and item.uuid in links:
                datasets.setdefault(item.uuid, item)
        offered = {uuid: self._kinds(item) for uuid, item in datasets.items()}
        kinds = [kind for kind in CUTOUTS if any(kind in some for some in offered.values())]
        if not kinds or len(datasets) > _MOST_OWN:
            return cutout_descriptors(caller.base_url, kinds)
        coverages = self._coverages(list(datasets.values()))
        if len(datasets) == 1:
            # With further rows, of errors or files, the ID is that of a row.
            fixed_id = asked[0][0] if len(asked) == 1 else None
            (coverage,) = coverages.values()
            return cutout_descriptors(caller.base_url, kinds, fixed_id=fixed_id, coverage=coverage)
        common = cutout_descriptors(caller.base_url, kinds)
        placed = list(enumerate(common))
        places = {item.xml_id: place for place, item in placed}
        for uuid, number in _number(datasets).items():
            own = cutout_descriptors(caller.base_url, offered[uuid], coverage=coverages[uuid], number=number)
            placed += [(places[kind.xml_id], item) for kind, item in zip(offered[uuid], own, strict=True)]
        # By kind: pyvo's clone_byid leaves some out, and the first one that
        # it leaves in is to be of the first kind.
        return tuple(item for _, item in sorted(placed, key=itemgetter(0)))

    def _kinds(self, dataset: Dataset) -> tuple[CutoutKind, ...]:
        if (
            self._choice.of(dataset).cutout is False
            or dataset.file_error is not None
            or dataset.file_state is FileState.MEMBER
        ):
            return ()
        return kinds_of(dataset)

    def _coverages(self, datasets: Sequence[Dataset]) -> dict[UUID, Coverage]:
        """Limits are hints: the links are good without those that cannot be found now."""
        found: dict[UUID, Coverage] = {}
        with suppress(VoError):
            found |= self._find_coverage(datasets)
        unplaced: dict[str, list[UUID]] = defaultdict(list)
        for dataset in datasets:
            if found.setdefault(dataset.uuid, Coverage()).region is None:
                unplaced[dataset.label].append(dataset.uuid)
        for label, uuids in unplaced.items():
            with suppress(VoError):
                for uuid, region in self._repositories[label].regions(uuids).items():
                    found[uuid] = replace(found[uuid], region=region)
        return found


def _number(uuids: Iterable[UUID]) -> dict[UUID, int | None]:
    """Return which of several each one is."""
    found = list(uuids)
    several = 1 < len(found) <= _MOST_OWN
    return {uuid: number if several else None for number, uuid in enumerate(found, 1)}


def _link(kind: CutoutKind, number: int | None) -> Link:
    link = _LINKS[kind.xml_id]
    return link if number is None else replace(link, service_def=numbered(kind.xml_id, number))


_LINKS = {
    kind.xml_id: Link(
        semantics=kind.semantics,
        service_def=kind.xml_id,
        description=kind.description,
        content_type=FITS,
        content_qualifier=_IMAGE,
        # No word with "cutout" in it: Firefly takes a row with one for the cutout
        # of an image, and offers that only if there is one such row.
        local_semantics=kind.detail,
    )
    for kind in CUTOUTS
}
