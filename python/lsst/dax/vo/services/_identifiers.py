"""From identifiers, as clients write them, to rows."""

from __future__ import annotations

__all__ = ["PublisherDids"]

from collections.abc import Iterator, Mapping, Sequence

from ..errors import NotFoundError, UsageError
from ..repo import Repositories


class PublisherDids:
    """What an identifier can be in the column ``obs_publisher_did``.

    Parameters
    ----------
    repositories
        The repositories that are served.
    formats
        For each label, the forms that its exporter configuration gives
        ``obs_publisher_did``, with ``{id}``.
    """

    def __init__(self, repositories: Repositories, formats: Mapping[str, Sequence[str]]) -> None:
        self._repositories = repositories
        self._formats = dict(formats)

    def expand(self, text: str) -> Iterator[str]:
        """Write an identifier in all its forms.

        Parameters
        ----------
        text
            Identifier in any accepted form, or any other text.

        Yields
        ------
        did : `str`
            The text itself first.
        """
        yield text
        try:
            dataset_id = self._repositories.parse(text)
        except (UsageError, NotFoundError):
            # Not one of ours: it can only match as it stands.
            return
        for label, formats in self._formats.items():
            if dataset_id.label in (None, label):
                for template in formats:
                    yield template.replace("{id}", str(dataset_id.uuid))
