"""All repositories of a service, by label."""

from __future__ import annotations

__all__ = ["Repositories"]

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from uuid import UUID

from ..errors import NotFoundError, UsageError, VoError
from ._identifiers import DatasetId, parse_dataset_id
from ._repository import Dataset, Repository


class Repositories(Mapping[str, Repository]):
    """The repositories that are served; immutable.

    Parameters
    ----------
    repositories
        Open repositories; owned by this object from now on.

    Raises
    ------
    UsageError
        Raised if two have the same label.
    """

    def __init__(self, repositories: Iterable[Repository]) -> None:
        self._by_label: dict[str, Repository] = {}
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

    def find(self, texts: Sequence[str]) -> list[Dataset | VoError]:
        """Look up many datasets by what clients call them.

        Parameters
        ----------
        texts
            Identifiers in any accepted form.

        Returns
        -------
        found : `list` [`Dataset` or `VoError`]
            One for each text, in order: the dataset, or why there is none
            (`UsageError` for the form, `NotFoundError` for the dataset).
        """
        parsed: list[DatasetId | VoError] = []
        wanted: dict[str, set[UUID]] = defaultdict(set)
        for text in texts:
            try:
                dataset_id = parse_dataset_id(text, self)
            except UsageError as err:
                parsed.append(err)
                continue
            parsed.append(dataset_id)
            # Dataset ids are unique across repositories, so a bare one may
            # be looked for in each.
            for label in self if dataset_id.label is None else (dataset_id.label,):
                wanted[label].add(dataset_id.uuid)
        known = {label: self[label].datasets(uuids) for label, uuids in wanted.items()}
        return [
            self._pick(text, entry, known) if isinstance(entry, DatasetId) else entry
            for text, entry in zip(texts, parsed, strict=True)
        ]

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
        """
        found = self.find([text])[0]
        if isinstance(found, VoError):
            raise found
        return found

    def close(self) -> None:
        """Close all repositories."""
        for repository in self._by_label.values():
            repository.close()

    def _pick(
        self, text: str, dataset_id: DatasetId, known: Mapping[str, Mapping[UUID, Dataset]]
    ) -> Dataset | VoError:
        for label in self if dataset_id.label is None else (dataset_id.label,):
            if dataset_id.uuid in known[label]:
                return known[label][dataset_id.uuid]
        where = f"the repository {dataset_id.label!r} has" if dataset_id.label else "no repository here has"
        state = "no such dataset" if dataset_id.label else "such a dataset"
        return NotFoundError(f"ID={text!r}: {where} {state}")
