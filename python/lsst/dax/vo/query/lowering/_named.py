"""Whether the texts of a table name their own datasets."""

from __future__ import annotations

__all__ = ["naming_columns"]

from collections.abc import Collection, Mapping, Sequence
from typing import Literal
from urllib.parse import quote

from ._by_id import NAMING_COLUMNS, uuids_in

_ID = "{id}"
_PLACEHOLDERS = ("01234567-89ab-cdef-0123-456789abcdef", "fedcba98-7654-3210-fedc-ba9876543210")


def naming_columns(
    stores: Sequence[Mapping[str, Collection[str | None]]],
    *,
    access_url: Literal["service", "exported"],
    base_url: str | None,
) -> frozenset[str]:
    """Return the columns whose texts name the datasets of their rows.

    Parameters
    ----------
    stores
        Of each store, its columns of formats and the different formats that
        the table holds; `None` for rows without one.
    access_url
        Whether ``access_url`` leads to the service, or is as it was exported.
    base_url
        Where the service is, if it is known.

    Returns
    -------
    columns : `frozenset` [`str`]
        In each of their texts the UUID of the dataset is the only one: a text
        that holds another UUID is of another row.
    """
    named = {
        column
        for column in NAMING_COLUMNS
        if all(column in formats and all(map(_names, formats[column])) for formats in stores)
    }
    if access_url == "service" and base_url is not None and "access_url" in named:
        # {base_url}/api/datalink/links?ID={encoded obs_publisher_did}, or what
        # was exported where there is no identifier.
        links = [text and f"{base_url}?{quote(text, safe=_ID)}" for item in stores for text in _dids(item)]
        if "obs_publisher_did" not in named or not all(map(_names, links)):
            named.discard("access_url")
    return frozenset(named)


def _dids(formats: Mapping[str, Collection[str | None]]) -> Collection[str | None]:
    return formats.get("obs_publisher_did", ())


def _names(text: str | None) -> bool:
    # Letters beside the identifier could make another one with a part of it.
    return text is None or all(uuids_in(text.replace(_ID, own)) == {own} for own in _PLACEHOLDERS)
