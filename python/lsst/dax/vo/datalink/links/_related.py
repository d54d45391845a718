"""Links to other datasets: what it was made from, and what belongs to it."""

from __future__ import annotations

__all__ = ["RelatedLinks"]

import fnmatch
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote
from uuid import UUID

from ...errors import NotFoundError, TransientError, UnsupportedError, VoError
from ...repo import (
    Choice,
    Dataset,
    FileState,
    RelatedDatasets,
    Relations,
    Repositories,
)
from .._ancestry import Ancestry, AncestryReader
from .._choice import LinkChoice
from .._file_inputs import InputReader
from .._link import Caller, Link, error_link
from ..delivery import DirectFiles, FileService

_DATALINK = "application/x-votable+xml;content=datalink"
# Rows of a document beside those of the datasets themselves, and of one
# family of one dataset.  A coadd of a thousand images is shown whole when it
# is asked for alone.
_MOST_ROWS = 20_000
_MOST_OF_ONE, _FEWEST_OF_ONE = 1_000, 20
_CALIBRATION = re.compile(r"(bias|dark|flat)([A-Z_].*)?")


@dataclass(frozen=True, slots=True)
class _Place:
    """What finds the links of one repository."""

    related: RelatedDatasets
    ancestry: AncestryReader


class RelatedLinks:
    """Leads from datasets to those that they were made from, and that belong to them.

    Parameters
    ----------
    repositories
        The repositories that are served.
    files
        Gives the URLs of files.
    choice
        What is configured.
    collections
        Collections of each repository that are searched for what belongs to
        a dataset, after its own RUN, by label.  By default the Butler's own
        default; without one, the chains that a RUN is in; if it is in none,
        all.
    reader
        Reads what files say of their inputs.

    Notes
    -----
    The families are ``#progenitor``, ``#derivation``, ``#coderived``,
    ``#calibration`` with its narrower terms, and ``#auxiliary``, in this
    order.  Each link leads to a file; its ``local_semantics`` is the name of
    the dataset type.
    """

    semantics = "#progenitor"

    def __init__(
        self,
        repositories: Repositories,
        files: FileService | DirectFiles,
        choice: LinkChoice | None = None,
        *,
        collections: Mapping[str, Sequence[str]] = MappingProxyType({}),
        reader: InputReader | None = None,
    ) -> None:
        self._files = files
        self._choice = choice or LinkChoice()
        self._choices: dict[tuple[str, str], Choice] = {}
        reader = reader or InputReader()
        self._places: dict[str, _Place] = {}
        for label, repository in repositories.items():
            related = RelatedDatasets(repository, collections.get(label, ()), choose=self._choose)
            self._places[label] = _Place(related, AncestryReader(repository, related, self._choose, reader))

    def close(self) -> None:
        """Close what is kept open."""
        for place in self._places.values():
            place.ancestry.close()

    def links(self, datasets: Sequence[Dataset], caller: Caller) -> dict[UUID, list[Link]]:
        """Return the links of datasets to others.

        Parameters
        ----------
        datasets
            The datasets.
        caller
            Who asks.

        Returns
        -------
        links : `dict` [`uuid.UUID`, `list` [`Link`]]
        """
        most = max(_FEWEST_OF_ONE, min(_MOST_OF_ONE, _MOST_ROWS // max(len(datasets), 1)))
        by_label: dict[str, list[Dataset]] = defaultdict(list)
        for dataset in datasets:
            by_label[dataset.label].append(dataset)
        links: dict[UUID, list[Link]] = {}
        for label, some in by_label.items():
            try:
                links |= self._links_of(self._places[label], some, caller, most)
            except TransientError as err:
                links |= {dataset.uuid: [error_link(self.semantics, err)] for dataset in some}
        return links

    def _links_of(
        self, place: _Place, datasets: Sequence[Dataset], caller: Caller, most: int
    ) -> dict[UUID, list[Link]]:
        relations = place.related.find(datasets)
        others = {
            item.uuid
            for found in relations.values()
            for item in (*found.coderived, *found.auxiliary, *found.calibrations)
        }
        ancestries, known = place.ancestry.find(datasets, relations, others)
        rows = _Rows(known, self._files, caller, most, is_alone=len(datasets) == 1)
        return {
            dataset.uuid: self._all_links(dataset, relations[dataset.uuid], ancestries[dataset.uuid], rows)
            for dataset in datasets
        }

    def _all_links(
        self, dataset: Dataset, relations: Relations, ancestry: Ancestry, rows: _Rows
    ) -> list[Link]:
        choice = self._choice.of(dataset)
        links = []
        used = rows.present(ancestry.calibrations, choice.calibration or None)
        if choice.progenitor is not False:
            inputs = rows.present(ancestry.inputs, choice.progenitor)
            links += rows.make(dataset, "#progenitor", inputs)
            if ancestry.input_error is not None:
                links.append(error_link("#progenitor", ancestry.input_error))
            elif not isinstance(choice.progenitor, tuple) and not isinstance(choice.calibration, tuple):
                links += _missing(dataset, ancestry.count, len(inputs) + len(used))
        if choice.derivation is not False:
            links += rows.make(dataset, "#derivation", rows.present(ancestry.outputs))
            if ancestry.output_error is not None:
                links.append(error_link("#derivation", ancestry.output_error))
        links += rows.make(dataset, "#coderived", rows.present(item.uuid for item in relations.coderived))
        if choice.calibration is not False:
            valid = rows.present(item.uuid for item in relations.calibrations)
            note = "" if used else ", valid at the time of the image"
            links += rows.make(dataset, "#calibration", used or valid, note)
        return links + rows.make(
            dataset, "#auxiliary", rows.present(item.uuid for item in relations.auxiliary)
        )

    def _choose(self, dataset: Dataset) -> Choice:
        key = (dataset.label, dataset.dataset_type)
        found = self._choices.get(key)
        if found is None:
            told = self._choice.of(dataset)
            found = self._choices[key] = Choice(
                coderived=told.coderived,
                auxiliary=told.auxiliary,
                candidates=told.derivation,
                calibrations=told.calibration,
                inputs=told.progenitor,
            )
        return found


class _Rows:
    """Makes rows that lead to datasets, each URL once."""

    def __init__(
        self,
        known: Mapping[UUID, Dataset],
        files: DirectFiles | FileService,
        caller: Caller,
        most: int,
        *,
        is_alone: bool,
    ) -> None:
        self._known = known
        self._files = files
        self._caller = caller
        self._most = most
        self._is_alone = is_alone
        self._urls: dict[UUID, str | VoError] = {}

    def present(self, uuids: Iterable[UUID], chosen: bool | tuple[str, ...] | None = None) -> list[Dataset]:
        """Return the datasets that are there and of interest: images first."""
        found = [self._known[uuid] for uuid in uuids if uuid in self._known]
        # Registered, but stored nowhere: nobody is served by a row about it.
        found = [item for item in found if item.file_state is not FileState.UNRECORDED]
        if isinstance(chosen, tuple):
            found = [
                item
                for item in found
                if any(fnmatch.fnmatchcase(item.dataset_type, pattern) for pattern in chosen)
            ]
        return sorted(found, key=lambda item: not item.is_image)

    def make(self, dataset: Dataset, semantics: str, others: Sequence[Dataset], note: str = "") -> list[Link]:
        """Return rows of one family of a dataset."""
        links = [self._lead(semantics, other, note) for other in others[: self._most]]
        if len(others) > self._most:
            links.append(self._tell_more(dataset, semantics, len(others)))
        return links

    def _lead(self, semantics: str, other: Dataset, note: str) -> Link:
        if semantics == "#calibration" and (match := _CALIBRATION.fullmatch(other.dataset_type)):
            semantics = f"#{match[1]}"
        url = self._urls.get(other.uuid)
        if url is None:
            try:
                url = self._files.access_url(other, self._caller.base_url, self._caller.user)
            except VoError as err:
                url = err
            self._urls[other.uuid] = url
        description = f"{other.describe()}{note}"
        if isinstance(url, VoError):
            return error_link(semantics, url, description=description, local_semantics=other.dataset_type)
        return Link(
            semantics=semantics,
            access_url=url,
            description=description,
            content_type=other.media_type,
            content_length=other.size_bytes,
            content_qualifier=other.product_type,
            local_semantics=other.dataset_type,
            link_auth=self._caller.link_auth,
            stable_url=self._files.stable_url(other, self._caller.base_url),
        )

    def _tell_more(self, dataset: Dataset, semantics: str, count: int) -> Link:
        text = f"There are {count} of these, of which {self._most} are listed here"
        if self._is_alone:
            return error_link(semantics, UnsupportedError(text))
        # Alone, it has room for all.
        identifier = quote(dataset.butler_uri, safe="")
        return Link(
            semantics=semantics,
            access_url=f"{self._caller.base_url}/api/datalink/links?ID={identifier}",
            description=f"{text}, and all in the links of this dataset alone",
            content_type=_DATALINK,
            link_auth=self._caller.link_auth,
        )


def _missing(dataset: Dataset, count: int, shown: int) -> list[Link]:
    if count <= shown:
        return []
    text = (
        f"{count - shown} of the {count} inputs of {dataset.dataset_type} {dataset.uuid} are not told, "
        f"or the repository {dataset.label!r} has not got them"
    )
    return [error_link("#progenitor", NotFoundError(text))]
