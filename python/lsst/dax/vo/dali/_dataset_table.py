"""Tables whose rows are datasets: how they lead to DataLink."""

__all__ = ["link_datasets"]

import re
from collections.abc import Sequence
from dataclasses import replace

from ._descriptors import InputParam, ServiceDescriptor
from ._table import Column

_LINKS_ID = "ivo://ivoa.net/std/DataLink#links-1.1"
_DID_UTYPE = "obscore:curation.publisherdid"
_DID = "obs_publisher_did"
# An XML ID, in what all parsers agree on.
_XML_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# XML IDs of the coordinate and time systems, and of the descriptor.
_TAKEN = ("icrs", "utc", "datalink")


def link_datasets(
    columns: Sequence[Column], base_url: str
) -> tuple[tuple[Column, ...], tuple[ServiceDescriptor, ...]]:
    """Describe the links of a table that names datasets.

    Parameters
    ----------
    columns
        The table's columns.
    base_url
        URL under which clients reach the services, without ``/`` at its end.

    Returns
    -------
    columns : `tuple` [`Column`, ...]
        The same; of those that hold ObsCore's ``obs_publisher_did``, known
        by its utype, the first alone has an XML ID.
    descriptors : `tuple` [`ServiceDescriptor`, ...]
        DataLink's, or none when no column names datasets.

    References
    ----------
    DataLink 1.1, 4; SIA 2.0, 3.1.
    """
    bare = [replace(column, xml_id=None) for column in columns]
    place = next((i for i, column in enumerate(bare) if _is_did(column)), None)
    if place is None:
        return tuple(bare), ()
    # pyvo looks the cell up under the XML ID as if it were the name, so the
    # two are the same wherever the name, perhaps an alias, can be an ID.
    name = bare[place].name
    xml_id = name if _XML_ID.fullmatch(name) and name not in _TAKEN else _DID
    bare[place] = replace(bare[place], xml_id=xml_id)
    descriptor = ServiceDescriptor(
        access_url=f"{base_url}/api/datalink/links",
        standard_id=_LINKS_ID,
        params=(
            InputParam("ID", ref=xml_id, ucd="meta.id;meta.main", description="Identifier of the dataset"),
        ),
        xml_id="datalink",
        name="datalink",
        description="Files and services of the dataset of a row (DataLink)",
        content_type="application/x-votable+xml;content=datalink",
    )
    return tuple(bare), (descriptor,)


def _is_did(column: Column) -> bool:
    return (column.utype or "").lower() == _DID_UTYPE
