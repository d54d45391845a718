"""What a datastore has recorded of files, without a look at them."""

from __future__ import annotations

__all__ = ["recorded_sizes", "recorded_uris"]

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from lsst.daf.butler import Butler, DatasetRef, LimitedButler
from lsst.daf.butler.datastore import DatasetRefURIs

from ..errors import NotFoundError
from ._remote import find_signed_uri, has_datastore, remote_files


@dataclass(frozen=True, slots=True)
class _IdRef:
    """All that a datastore wants to know of a dataset to find its records."""

    id: UUID


def recorded_sizes(butler: LimitedButler, uuids: Iterable[UUID]) -> dict[UUID, int]:
    """Look up the sizes of many files in the datastore's records.

    Parameters
    ----------
    butler
        The repository.
    uuids
        Dataset ids.

    Returns
    -------
    sizes : `dict` [`uuid.UUID`, `int`]
        Bytes, of the datasets that have one file whose size was recorded.
    """
    if not has_datastore(butler):
        files = remote_files(butler, uuids)
        return {
            uuid: file.size_bytes
            for uuid, file in files.items()
            if file.size_bytes is not None and not file.is_part
        }
    # There is no public call that gives the sizes of many files at once, and
    # asking an object store takes a request for each.
    sizes = {}
    datastore: Any = butler._datastore
    for data in datastore.export_records([_IdRef(uuid) for uuid in uuids]).values():
        for uuid, tables in data.records.items():
            found = [record.file_size for records in tables.values() for record in records]
            # -1: ingested in place, without a look at the size.
            if len(found) == 1 and found[0] >= 0:
                sizes[uuid] = found[0]
    return sizes


def recorded_uris(butler: LimitedButler, refs: Sequence[DatasetRef]) -> Mapping[DatasetRef, DatasetRefURIs]:
    """Look up where many files are.

    Parameters
    ----------
    butler
        The repository.
    refs
        Datasets.

    Returns
    -------
    uris : `~collections.abc.Mapping` [`lsst.daf.butler.DatasetRef`, \
            `lsst.daf.butler.datastore.DatasetRefURIs`]
        Of those that the datastore has a record of.  No formatter is
        imported.  A Butler server is asked for each; its URIs can be read for
        a while only.
    """
    if isinstance(butler, Butler) and not has_datastore(butler):
        found = {}
        for ref in refs:
            try:
                found[ref] = DatasetRefURIs(find_signed_uri(butler, ref))
            except NotFoundError:
                continue
        return found
    return butler.get_many_uris(refs, allow_missing=True)
