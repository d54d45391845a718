"""Where an answer comes from: the DataOrigin items of a VOTable."""

__all__ = ["DataOrigin"]

from dataclasses import dataclass
from datetime import UTC, datetime

from .votable import Info


@dataclass(frozen=True, slots=True)
class DataOrigin:
    """Who answers, told in each table (DataOrigin 1.2)."""

    publisher: str = ""
    """Name of the publisher."""

    contact: str = ""
    """Mail address or URL for questions."""

    server_software: str = ""
    """Product and version: ``lsst-dax-vo/1.0``."""

    service_ivoid: str = ""
    """IVOID under which the service is registered."""

    dataset: tuple[Info, ...] = ()
    """What is told about the data: ``creator``, ``citation``, ``rights_uri``,
    ``reference_url`` … (DataOrigin 1.2, 3.2)."""

    def to_infos(self, *, service_protocol: str, query: str | None, time_s: float) -> tuple[Info, ...]:
        """Return the INFO elements of one answer.

        Parameters
        ----------
        service_protocol
            IVOID of the protocol.
        query
            ADQL text that was answered, if it was one.  The URL of the
            request is left out: it may hold what its sender would not
            publish with the table.
        time_s
            Time of the request, seconds since 1970, UTC.

        Returns
        -------
        infos : `tuple` [`Info`, ...]
            Without those that have no value.
        """
        date = datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        values = {
            "publisher": self.publisher,
            "server_software": self.server_software,
            "service_protocol": service_protocol,
            "service_ivoid": self.service_ivoid,
            "query": query,
            "request_date": date,
            "contact": self.contact,
        }
        told = (*(Info(name, value or "") for name, value in values.items()), *self.dataset)
        return tuple(info for info in told if info.value)
