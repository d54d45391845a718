"""URLs of files for a caller beside the datastore."""

from __future__ import annotations

__all__ = ["DirectFiles"]

from ...repo import Dataset


class DirectFiles:
    """Gives datasets the URIs of the datastore itself, for a caller beside it."""

    def access_url(
        self, dataset: Dataset, base_url: str, user: str | None = None, part: str | None = None
    ) -> str:
        """Return where the file of a dataset is.

        Parameters
        ----------
        dataset
            The dataset.
        base_url, user, part
            Of no use here.

        Returns
        -------
        url : `str`
            A ``file`` URL, or that of the object store.

        Raises
        ------
        NotFoundError
            Raised if the dataset has no file.
        UnsupportedError
            Raised if its file cannot be delivered.
        TransientError
            Raised if it cannot be read at present.
        """
        del base_url, user, part
        return dataset.require_file(or_member=True).geturl()

    def parts(self, dataset: Dataset) -> dict[str, Dataset]:
        """Return nothing: several files have no one URL.

        Parameters
        ----------
        dataset
            Of no use here.

        Returns
        -------
        parts : `dict`
            Empty.
        """
        del dataset
        return {}

    def stable_url(self, dataset: Dataset, base_url: str, part: str | None = None) -> None:
        """Return nothing: these URLs do not end.

        Parameters
        ----------
        dataset, base_url, part
            Of no use here.
        """
        del dataset, base_url, part
