"""Links to the file of the dataset itself: ``#this``."""

from __future__ import annotations

__all__ = ["ThisLinks"]

from collections.abc import Sequence
from uuid import UUID

from ...errors import VoError
from ...repo import Dataset
from .._choice import LinkChoice
from .._link import Caller, Link, error_link
from ..delivery import DirectFiles, FileService

_THIS = "#this"


class ThisLinks:
    """Leads to the file of each dataset.

    Parameters
    ----------
    files
        Gives the URLs of files: signed ones, or those of the datastore.
    choice
        What is configured.
    """

    semantics = _THIS

    def __init__(self, files: FileService | DirectFiles, choice: LinkChoice | None = None) -> None:
        self._files = files
        self._choice = choice or LinkChoice()

    def links(self, datasets: Sequence[Dataset], caller: Caller) -> dict[UUID, tuple[Link, ...]]:
        """Return one link, or error, for each file of each dataset.

        Parameters
        ----------
        datasets
            The datasets.
        caller
            Who asks.

        Returns
        -------
        links : `dict` [`uuid.UUID`, `tuple` [`Link`, ...]]
        """
        return {dataset.uuid: tuple(self._links_of(dataset, caller)) for dataset in datasets}

    def _links_of(self, dataset: Dataset, caller: Caller) -> list[Link]:
        # A dataset may be stored in a file for each component.
        parts = self._files.parts(dataset)
        return [self._link(item, caller, part) for part, item in parts.items()] or [
            self._link(dataset, caller, None)
        ]

    def _link(self, dataset: Dataset, caller: Caller, part: str | None) -> Link:
        choice = self._choice.of(dataset)
        label = dataset.dataset_type if part is None else f"{dataset.dataset_type}.{part}"
        try:
            access_url = self._files.access_url(dataset, caller.base_url, caller.user, part)
        except VoError as err:
            return error_link(_THIS, err)
        values = {**dataset.data_id, "dataset_type": dataset.dataset_type, "run": dataset.run}
        text = choice.describe(values) or dataset.describe()
        return Link(
            semantics=_THIS,
            access_url=access_url,
            description=text if part is None else f"{text}: {part}",
            content_type=dataset.media_type,
            content_length=dataset.size_bytes,
            content_qualifier=choice.qualifier or (dataset.product_type if part in (None, "image") else None),
            local_semantics=label,
            link_auth=caller.link_auth,
            stable_url=self._files.stable_url(dataset, caller.base_url, part),
        )
