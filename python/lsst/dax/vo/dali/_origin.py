"""Where an answer comes from: the DataOrigin items of a VOTable."""

__all__ = ["DataOrigin"]

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlencode

from .votable import Info

# The note recommends a text for people in each element.
_QUERY_ITEMS = {
    "publisher": "Data centre that made this document",
    "server_software": "Software version",
    "service_protocol": "Protocol of the answer",
    "service_ivoid": "Service that answered",
    "request": "URL of the request",
    "query": "Query that was answered",
    "request_date": "Time of the request, UTC",
    "contact": "Contact of the publisher",
}
_DATASET_ITEMS = {
    "data_ivoid": "Data collection",
    "citation": "What to cite for the data",
    "reference_url": "Page about the data",
    "resource_version": "Version of the data",
    "rights_uri": "Licence",
    "rights": "Licence or copyright",
    "creator": "Who made the data",
    "journal": "Where the data are published",
    "article": "Publication about the data",
    "cites": "Resource that the data cite",
    "is_derived_from": "Resource that the data are made from",
    "original_date": "Date of what the data are made from",
    "publication_date": "First publication of the data",
    "last_update_date": "Last change of the data",
}
# A search for thousands of places is no URL that anybody could send again.
_LONGEST_REQUEST = 2000


@dataclass(frozen=True, slots=True)
class DataOrigin:
    """Who answers, and about what data, told in each table (DataOrigin 1.2)."""

    publisher: str = ""
    """Name of the publisher."""

    contact: str = ""
    """Mail address or URL for questions."""

    server_software: str = ""
    """Product and version: ``lsst-dax-vo/1.0``."""

    service_ivoid: str = ""
    """IVOID under which the service is registered."""

    datasets: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    """What is told about the data of each repository, by its label:
    ``creator``, ``citation``, ``rights_uri`` ... and values."""

    def to_infos(
        self,
        *,
        service_protocol: str,
        time_s: float,
        query: str | None = None,
        request: tuple[str, Sequence[tuple[str, str]]] | None = None,
        labels: Collection[str] | None = None,
    ) -> tuple[Info, ...]:
        """Return the INFO elements of one answer.

        Parameters
        ----------
        service_protocol
            IVOID of the protocol.
        time_s
            Time of the request, seconds since 1970, UTC.
        query
            ADQL text that was answered, if it was one.
        request
            URL and parameters of the request, if it was of a simple protocol.
            Give those alone that the protocol defines: others may hold what
            their sender would not publish with the table.
        labels
            Repositories whose data are in the answer; `None` for all.

        Returns
        -------
        infos : `tuple` [`Info`, ...]
            Without those that have no value; what is said of several
            repositories alike, once.

        References
        ----------
        DataOrigin 1.2, 3.
        """
        values = {
            "publisher": self.publisher,
            "server_software": self.server_software,
            "service_protocol": service_protocol,
            "service_ivoid": self.service_ivoid,
            "request": _url_of(*request) if request else "",
            "query": query or "",
            "request_date": datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "contact": self.contact,
        }
        told = [
            item
            for label, items in self.datasets.items()
            if labels is None or label in labels
            for item in items
        ]
        return (
            *(
                Info(name, value, _QUERY_ITEMS[name], is_global=True)
                for name, value in values.items()
                if value
            ),
            *(Info(name, value, _DATASET_ITEMS[name]) for name, value in dict.fromkeys(told)),
        )


def _url_of(url: str, pairs: Sequence[tuple[str, str]]) -> str:
    # A million identifiers are not even written.
    if sum(len(value) for _, value in pairs) > _LONGEST_REQUEST:
        return ""
    text = f"{url}?{urlencode(pairs)}" if pairs else url
    return text if len(text) <= _LONGEST_REQUEST else ""
