"""One row of a links document, and what makes such rows."""

from __future__ import annotations

__all__ = ["LINK_COLUMNS", "Caller", "Link", "LinkSource", "ServiceSource", "error_link"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable
from uuid import UUID

from ..dali import Column, ServiceDescriptor, fault_of, message_of
from ..errors import TransientError
from ..repo import Dataset


def _text(name: str, ucd: str | None, description: str, xml_id: str | None = None) -> Column:
    return Column(name, "char", description, arraysize="*", ucd=ucd, xml_id=xml_id)


LINK_COLUMNS = (
    _text("ID", "meta.id;meta.main", "Identifier of the dataset, as it was asked for", xml_id="ID"),
    _text("access_url", "meta.ref.url", "URL from which the link can be read"),
    _text("service_def", "meta.ref", "XML ID of the description of a service that can be called"),
    _text("error_message", "meta.code.error", "Why there is no link"),
    _text("description", "meta.note", "What the link leads to, for people"),
    _text("semantics", "meta.code", "What the link is to the dataset"),
    _text("content_type", "meta.code.mime", "Media type of what the link delivers"),
    Column(
        "content_length", "long", "Size of what the link delivers", unit="byte", ucd="phys.size;meta.file"
    ),
    _text("content_qualifier", None, "Kind of product that the link delivers"),
    _text("local_semantics", "meta.id.assoc", "The same text for the same kind of link of each dataset"),
    _text("link_auth", "meta.code", "Whether the link needs authentication"),
    Column("link_authorized", "boolean", "Whether the caller may use the link", ucd="meta.code"),
    _text("stable_url", None, "URL to keep: it leads to an access_url that is signed when it is visited"),
)
"""DataLink 1.1, 3.2: names, types, UCDs and the unit are mandatory; the last
one is ours."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for links, and where."""

    base_url: str
    """URL under which it reaches the services, without ``/`` at its end."""

    user: str | None = None
    """Name of a user who is logged in."""

    @property
    def link_auth(self) -> str:
        """Column ``link_auth`` of signed URLs: one for a user works for who is logged in as that."""
        return "false" if self.user is None else "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One row about a dataset; its identifier is written by the service.

    Of ``access_url``, ``service_def`` and ``error_message`` exactly one has
    a value (DataLink 1.1, 3.2).
    """

    semantics: str
    """What the link is to the dataset: ``#this``, or an absolute URI."""

    access_url: str | None = None
    """URL from which the link can be read."""

    service_def: str | None = None
    """XML ID of the descriptor of a service."""

    error_message: str | None = None
    """Label of DataLink 1.1, 3.4, and text."""

    description: str | None = None
    """What the link leads to, for people."""

    content_type: str | None = None
    """Media type of what it delivers."""

    content_length: int | None = None
    """Bytes of what it delivers, if that is known exactly."""

    content_qualifier: str | None = None
    """Kind of product, a term of http://www.ivoa.net/rdf/product-type with
    ``#`` in front."""

    local_semantics: str | None = None
    """The same text for the same kind of link of each dataset."""

    link_auth: str | None = "false"
    """``false``, ``optional`` or ``true``.  Signed URLs need no login."""

    link_authorized: bool | None = True
    """Whether the caller may use the link."""

    stable_url: str | None = None
    """URL that leads to the same, and does not end."""

    retry_after: int | None = None
    """Seconds after which an error may be over; not a column."""

    def __post_init__(self) -> None:
        given = (self.access_url, self.service_def, self.error_message)
        if sum(item is not None for item in given) != 1:
            raise AssertionError("a row has one of access_url, service_def and error_message")


def error_link(
    semantics: str,
    error: Exception,
    *,
    description: str | None = None,
    local_semantics: str | None = None,
) -> Link:
    """Return the row that says why there is no link.

    Parameters
    ----------
    semantics
        What the link would have been.
    error
        Why there is none.  Of an error that is none of ours, the client
        reads a general line.
    description, local_semantics
        Of the link that is not there.

    Returns
    -------
    link : `Link`

    References
    ----------
    DataLink 1.1, 3.4.
    """
    return Link(
        semantics=semantics,
        error_message=f"{fault_of(error).datalink}: {message_of(error)}",
        description=description,
        local_semantics=local_semantics,
        link_auth=None,
        link_authorized=None,
        retry_after=error.retry_after if isinstance(error, TransientError) else None,
    )


class LinkSource(Protocol):
    """Gives the links of one family to all datasets of a request at once."""

    semantics: str
    """That of its links, or of most of them: of the row that says that none
    could be looked for."""

    def links(self, datasets: Sequence[Dataset], caller: Caller) -> Mapping[UUID, Sequence[Link]]:
        """Return the links of datasets.

        Parameters
        ----------
        datasets
            The datasets, each once.
        caller
            Who asks.

        Returns
        -------
        links : `~collections.abc.Mapping` [`uuid.UUID`, \
                `~collections.abc.Sequence` [`Link`]]
            Those of each dataset that has some, in the order in which they
            stand in the document.  A failure that concerns one dataset is an
            error row of it.

        Raises
        ------
        VoError
            Raised if nothing can be looked for at all; the service writes
            one error row for each dataset.
        """
        ...


@runtime_checkable
class ServiceSource(LinkSource, Protocol):
    """Gives links to services, and describes these."""

    def descriptors(
        self,
        asked: Sequence[tuple[str, Dataset | None]],
        links: Mapping[UUID, Sequence[Link]],
        caller: Caller,
    ) -> Sequence[ServiceDescriptor]:
        """Describe the services that links lead to.

        Parameters
        ----------
        asked
            The identifiers of the document with their datasets; `None` where
            one leads nowhere.
        links
            The links that this source gave the datasets.
        caller
            Who asks.

        Returns
        -------
        descriptors : `~collections.abc.Sequence` [`ServiceDescriptor`]
            One for each ``service_def`` of the links, and further ones.
        """
        ...
