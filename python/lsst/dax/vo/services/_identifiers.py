"""From identifiers, as clients write them, to rows and files."""

from __future__ import annotations

__all__ = ["PublisherDids", "locator"]

from collections.abc import Callable, Iterator, Mapping, Sequence

from ..errors import NotFoundError, UsageError
from ..repo import Repositories
from ..soda import CutoutSource


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


def locator(repositories: Repositories) -> Callable[[str], CutoutSource]:
    """Return the function that finds what a SODA request is about.

    Parameters
    ----------
    repositories
        The repositories that are served.

    Returns
    -------
    locate : `~collections.abc.Callable`
        From an identifier to its file; raises `VoError` where there is none
        that can be cut.
    """

    def locate(text: str) -> CutoutSource:
        dataset = repositories.get_dataset(text)
        if not dataset.is_sky_image:
            raise UsageError(
                f"ID={text!r} is a {dataset.dataset_type}, from which nothing can be cut along the sky; "
                "its DataLink leads to the whole file",
                parameter="ID",
                value=text,
            )
        return CutoutSource(dataset.require_file(), dataset.uuid, dataset.dataset_type, dataset.data_id)

    return locate
