"""The ways in which a dataset is named, everywhere an ID is accepted."""

from __future__ import annotations

__all__ = ["DatasetId", "PublisherForm", "format_butler_uri", "format_ivoid", "parse_dataset_id", "shorten"]

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit
from uuid import UUID

from ..errors import NotFoundError, UsageError

_HEX = r"[0-9a-fA-F]"
_UUID = rf"{_HEX}{{8}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{12}}"
_UUID_RE = re.compile(_UUID)
_ACCEPTED = (
    "a UUID, butler://<label>/<uuid>, ivo://<authority>/<path>?repo=<label>&id=<uuid>, "
    "or an obs_publisher_did or access_url of this service"
)
# A text longer than this is no identifier; it is not echoed whole either.
_SHOWN_CHARACTERS = 200
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_AUTHORITY = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*")


@dataclass(frozen=True, slots=True)
class DatasetId:
    """A dataset of one of the repositories that are served."""

    uuid: UUID
    """The Butler's dataset id."""

    label: str | None = None
    """Label of the repository; `None` when the text did not say."""


@dataclass(frozen=True, slots=True)
class PublisherForm:
    """An ``obs_publisher_did`` or ``access_url`` form of a site's exporter.

    Such a form need not name the label under which its repository is served
    here: ``ivo://org.rubinobs/usdac/hsc?repo=/repo/main&id={id}`` is one.
    """

    pattern: re.Pattern[str]
    """Matches a whole identifier; its group ``id`` is the UUID."""

    label: str
    """Label of the repository that the identifiers lead to."""

    @classmethod
    def from_format(cls, template: str, label: str) -> Self | None:
        """Make a form from a format string of an exporter configuration.

        Parameters
        ----------
        template
            Text with ``{id}``, as in ``obs_publisher_did_fmt`` or
            ``datalink_url_fmt``.
        label
            Label of the repository.

        Returns
        -------
        form : `PublisherForm` or `None`
            `None` for a template without ``{id}``: nothing in its text says
            which dataset it is.
        """
        if "{id}" not in template:
            return None
        authority = _AUTHORITY.match(template)
        head = authority.group() if authority else ""
        # RFC 3986 (3.1, 3.2.2) and IVOA Identifiers 2.0 (2.1): scheme and
        # authority are case-insensitive.
        return cls(
            re.compile(f"(?i:{_template_pattern(head)}){_template_pattern(template[len(head) :])}"), label
        )


def parse_dataset_id(text: str, labels: Collection[str], forms: Iterable[PublisherForm] = ()) -> DatasetId:
    """Parse any of the forms in which a dataset is named.

    Parameters
    ----------
    text
        ``ID`` as a client sends it, already decoded once from its URL.
    labels
        Labels of the repositories that are served; others do not resolve,
        and a path never does.
    forms
        Forms of the site's own identifiers, tried first.

    Returns
    -------
    dataset_id : `DatasetId`

    Raises
    ------
    UsageError
        Raised if the text has none of the forms.
    NotFoundError
        Raised if it names a repository that is not served.
    """
    given = text.strip()
    for form in forms:
        if match := form.pattern.fullmatch(given):
            return DatasetId(UUID(match["id"]), form.label)
    if _UUID_RE.fullmatch(given):
        return DatasetId(UUID(given))
    parts = _split(given)
    match parts.scheme.lower():
        case "butler":
            return _labelled(unquote(parts.netloc), parts.path.removeprefix("/"), labels, text)
        case "ivo":
            query = parse_qs(parts.query)
            ids, repos = query.get("id", []), query.get("repo", [])
            if parts.netloc and len(ids) == 1 and len(repos) <= 1:
                return _labelled(repos[0].strip() if repos else None, ids[0], labels, text)
        case "http" | "https":
            # An access_url: the identifier is its ID.
            query = parse_qs(parts.query)
            ids = [value for name, found in query.items() if name.upper() == "ID" for value in found]
            if len(ids) == 1 and not ids[0].strip().lower().startswith("http"):
                return parse_dataset_id(ids[0], labels, forms)
    raise _refused(text)


def format_butler_uri(dataset_id: DatasetId) -> str:
    """Write an identifier as ``butler://<label>/<uuid>``.

    Parameters
    ----------
    dataset_id
        Identifier, with or without its label.

    Returns
    -------
    text : `str`
        The bare UUID when there is no label.
    """
    if dataset_id.label is None:
        return str(dataset_id.uuid)
    return f"butler://{quote(dataset_id.label, safe='')}/{dataset_id.uuid}"


def format_ivoid(dataset_id: DatasetId, authority: str) -> str:
    """Write an identifier as ``ivo://<authority>?repo=<label>&id=<uuid>``.

    Parameters
    ----------
    dataset_id
        Identifier, with or without its label.
    authority
        Authority and perhaps a path, for example ``org.rubinobs/lsst-dp1``.

    Returns
    -------
    text : `str`
        Without ``repo`` when there is no label.
    """
    repo = "" if dataset_id.label is None else f"repo={quote(dataset_id.label, safe='')}&"
    return f"ivo://{authority}?{repo}id={dataset_id.uuid}"


def shorten(text: str) -> str:
    """Cut a client's text to a length that a message can hold.

    Parameters
    ----------
    text
        Text of any length.

    Returns
    -------
    text : `str`
        Its first 200 characters and an ellipsis, or all of it.
    """
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _template_pattern(template: str) -> str:
    # The first {id} is the UUID, a second one must repeat it; any other
    # placeholder stands for text that says no more than the UUID does.
    pieces, end, seen = [], 0, False
    for match in _PLACEHOLDER.finditer(template):
        pieces.append(re.escape(template[end : match.start()]))
        if match[1] == "id":
            pieces.append("(?P=id)" if seen else f"(?P<id>{_UUID})")
            seen = True
        else:
            pieces.append("[^?&#/]*")
        end = match.end()
    return "".join([*pieces, re.escape(template[end:])])


def _labelled(label: str | None, uuid: str, labels: Collection[str], text: str) -> DatasetId:
    if not _UUID_RE.fullmatch(uuid) or label == "":
        raise _refused(text)
    if label is not None and label not in labels:
        served = ", ".join(sorted(labels)) or "none"
        raise NotFoundError(
            f"ID={shorten(text)!r} names the repository {shorten(label)!r}, which is not served here; "
            f"served: {served}"
        )
    return DatasetId(UUID(uuid), label)


def _split(given: str) -> SplitResult:
    try:
        return urlsplit(given)
    except ValueError as err:
        raise _refused(given) from err


def _refused(text: str) -> UsageError:
    shown = shorten(text)
    return UsageError(
        f"ID={shown!r} is no identifier of a dataset; give {_ACCEPTED}", parameter="ID", value=shown
    )
