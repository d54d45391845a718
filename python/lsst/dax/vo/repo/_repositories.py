"""All repositories of a service, by label."""

from __future__ import annotations

__all__ = ["Repositories"]

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from uuid import UUID

from ..errors import NotFoundError, TransientError, UsageError, VoError
from ._dataset import Dataset
from ._identifiers import DatasetId, PublisherForm, parse_dataset_id, shorten
from ._probe import StoreProbe
from ._repository import Repository


class Repositories(Mapping[str, Repository]):
    """The repositories that are served; immutable.

    Parameters
    ----------
    repositories
        Open repositories; owned by this object from now on.
    forms
        Forms of the identifiers that the site's exporter configurations
        produce.
    probe
        Asks stores for the files of datasets; by default nothing is asked.

    Raises
    ------
    UsageError
        Raised if two have the same label.
    """

    def __init__(
        self,
        repositories: Iterable[Repository],
        forms: Iterable[PublisherForm] = (),
        *,
        probe: StoreProbe | None = None,
    ) -> None:
        self._probe = probe or StoreProbe(patience_s=0)
        self._by_label: dict[str, Repository] = {}
        self._forms = tuple(forms)
        for repository in repositories:
            if repository.label in self._by_label:
                raise UsageError(
                    f"Two repositories have the label {repository.label!r}; give one of them another label"
                )
            self._by_label[repository.label] = repository

    def __getitem__(self, label: str) -> Repository:
        return self._by_label[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_label)

    def __len__(self) -> int:
        return len(self._by_label)

    def parse(self, text: str) -> DatasetId:
        """Parse an identifier of a dataset of these repositories.

        Parameters
        ----------
        text
            Identifier in any accepted form.

        Returns
        -------
        dataset_id : `DatasetId`
            The dataset need not exist.

        Raises
        ------
        UsageError
            Raised if the text is no identifier.
        NotFoundError
            Raised if it names a repository that is not served.
        """
        return parse_dataset_id(text, self._by_label, self._forms)

    def find(self, texts: Sequence[str], *, look: bool = True) -> list[Dataset | VoError]:
        """Look up many datasets by what clients call them.

        Parameters
        ----------
        texts
            Identifiers in any accepted form.
        look
            Whether stores elsewhere are asked for the files; who reads them
            anyway need not be told before.

        Returns
        -------
        found : `list` [`Dataset` or `VoError`]
            One for each text, in order: the dataset, or why there is none
            (`UsageError` for the form, `NotFoundError` for the dataset or
            its repository, `TransientError` for a registry that is down).
        """
        parsed: list[DatasetId | VoError] = []
        wanted: dict[str, set[UUID]] = defaultdict(set)
        for text in texts:
            try:
                dataset_id = self.parse(text)
            except (UsageError, NotFoundError) as err:
                parsed.append(err)
                continue
            parsed.append(dataset_id)
            for label in self._places(dataset_id):
                wanted[label].add(dataset_id.uuid)
        known: dict[str, Mapping[UUID, Dataset]] = {}
        down: dict[str, TransientError] = {}
        for label, uuids in wanted.items():
            try:
                known[label] = self[label].datasets(uuids)
            except TransientError as err:
                down[label] = err
        found = [
            self._pick(text, entry, known, down) if isinstance(entry, DatasetId) else entry
            for text, entry in zip(texts, parsed, strict=True)
        ]
        if not look:
            return found
        looked_at = iter(self._probe.look([item for item in found if isinstance(item, Dataset)]))
        return [next(looked_at) if isinstance(item, Dataset) else item for item in found]

    def get_dataset(self, text: str) -> Dataset:
        """Look up one dataset by what a client calls it.

        Parameters
        ----------
        text
            Identifier in any accepted form.

        Returns
        -------
        dataset : `Dataset`

        Raises
        ------
        UsageError
            Raised if the text is no identifier.
        NotFoundError
            Raised if no repository has the dataset.
        TransientError
            Raised if a registry does not answer.
        """
        found = self.find([text])[0]
        if isinstance(found, VoError):
            raise found
        return found

    def get_by_id(self, label: str, uuid: UUID) -> Dataset:
        """Look up the dataset that a URL of this service names.

        Parameters
        ----------
        label
            Label of its repository.
        uuid
            Its id.

        Returns
        -------
        dataset : `Dataset`

        Raises
        ------
        NotFoundError
            Raised if it has gone since the URL was given.
        TransientError
            Raised if the registry does not answer.
        """
        if label not in self._by_label:
            raise NotFoundError(f"The repository {label!r} is not served here any more")
        dataset = self._by_label[label].datasets([uuid]).get(uuid)
        if dataset is None:
            raise NotFoundError(f"The repository {label!r} has no dataset {uuid} any more")
        return dataset

    def close(self) -> None:
        """Close all repositories."""
        for repository in self._by_label.values():
            repository.close()

    def _places(self, dataset_id: DatasetId) -> Iterable[str]:
        # Dataset ids are unique across repositories, so a bare one may be
        # looked for in each.
        return self._by_label if dataset_id.label is None else (dataset_id.label,)

    def _pick(
        self,
        text: str,
        dataset_id: DatasetId,
        known: Mapping[str, Mapping[UUID, Dataset]],
        down: Mapping[str, TransientError],
    ) -> Dataset | VoError:
        places = self._places(dataset_id)
        for label in places:
            if dataset_id.uuid in known.get(label, {}):
                return known[label][dataset_id.uuid]
        for label in places:
            if label in down:
                return down[label]
        if dataset_id.label is None:
            return NotFoundError(f"ID={shorten(text)!r}: no repository here has such a dataset")
        return NotFoundError(f"ID={shorten(text)!r}: the repository {dataset_id.label!r} has no such dataset")
