"""The four ways in which a dataset is named, everywhere an ID is accepted."""

__all__ = ["DatasetId", "format_butler_uri", "parse_dataset_id"]

import re
from collections.abc import Container
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit
from uuid import UUID

from ..errors import UsageError

_HEX = r"[0-9a-fA-F]"
_UUID = re.compile(rf"{_HEX}{{8}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{12}}")
_ACCEPTED = (
    "a UUID, butler://<label>/<uuid>, ivo://<authority>/<path>?repo=<label>&id=<uuid>, "
    "or an obs_publisher_did or access_url of this service"
)


@dataclass(frozen=True, slots=True)
class DatasetId:
    """A dataset of one of the repositories that are served."""

    uuid: UUID
    """The Butler's dataset id."""

    label: str | None = None
    """Label of the repository; `None` when the text did not say."""


def parse_dataset_id(text: str, labels: Container[str]) -> DatasetId:
    """Parse any of the forms in which a dataset is named.

    Parameters
    ----------
    text
        ``ID`` as a client sends it, already decoded once from its URL.
    labels
        Labels of the repositories that are served; others do not resolve,
        and a path never does.

    Returns
    -------
    dataset_id : `DatasetId`

    Raises
    ------
    UsageError
        Raised if the text has none of the forms, or names another label.
    """
    given = text.strip()
    if _UUID.fullmatch(given):
        return DatasetId(UUID(given))
    parts = _split(given, text)
    match parts.scheme.lower():
        case "butler":
            return _labelled(parts.netloc, parts.path.strip("/"), labels, text)
        case "ivo":
            query = parse_qs(parts.query)
            ids, repos = query.get("id", []), query.get("repo", [])
            if len(ids) == 1 and len(repos) <= 1:
                return _labelled(repos[0] if repos else None, ids[0], labels, text)
        case "http" | "https":
            # An access_url: the identifier is its ID.
            query = parse_qs(parts.query)
            ids = [value for name, found in query.items() if name.upper() == "ID" for value in found]
            if len(ids) == 1 and not ids[0].lower().startswith("http"):
                return parse_dataset_id(ids[0], labels)
    raise _refused(text)


def format_butler_uri(dataset_id: DatasetId) -> str:
    """Write an identifier as ``butler://<label>/<uuid>``.

    Parameters
    ----------
    dataset_id
        Identifier with its label.

    Returns
    -------
    text : `str`
        The bare UUID when there is no label.
    """
    return f"butler://{dataset_id.label}/{dataset_id.uuid}" if dataset_id.label else str(dataset_id.uuid)


def _labelled(label: str | None, uuid: str, labels: Container[str], text: str) -> DatasetId:
    if not _UUID.fullmatch(uuid):
        raise _refused(text)
    if label is not None:
        label = unquote(label)
        if label not in labels:
            raise UsageError(
                f"ID={text!r} names the repository {label!r}, which is not served here",
                parameter="ID",
                value=text,
            )
    return DatasetId(UUID(uuid), label)


def _split(given: str, text: str) -> SplitResult:
    try:
        return urlsplit(given)
    except ValueError as err:
        raise _refused(text) from err


def _refused(text: str) -> UsageError:
    shown = text if len(text) <= 200 else text[:200] + "…"
    return UsageError(f"ID={shown!r} is no identifier of a dataset; give {_ACCEPTED}", parameter="ID", value=shown)
