"""What the registry says of the data ID of a dataset."""

from __future__ import annotations

__all__ = ["describe_dimensions"]

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from lsst.daf.butler import DataIdValueError, DimensionRecord, Timespan
from lsst.sphgeom import Region

from ._repository import Repository


def describe_dimensions(repository: Repository, uuid: UUID) -> dict[str, dict[str, Any]]:
    """Return the dimension records of a dataset.

    Parameters
    ----------
    repository
        Its repository.
    uuid
        Its id.

    Returns
    -------
    records : `dict` [`str`, `dict`]
        By the name of the dimension, the fields of its record: numbers and
        texts, ``timespan`` as two ISO times in TAI.  None where the data ID
        has no dimensions, or the registry has not got their records.

    Raises
    ------
    TransientError
        Raised if the registry does not answer.
    """
    with repository.session() as butler:
        try:
            ref = butler.get_dataset(uuid, dimension_records=True)
        except DataIdValueError:
            # Repositories exist whose datasets name records that were never
            # inserted.
            return {}
    if ref is None or not ref.dataId.hasRecords():
        return {}
    found = {name: ref.dataId.records[name] for name in ref.dataId.dimensions.elements}
    return {name: _describe(record) for name, record in found.items() if record is not None}


def _describe(record: DimensionRecord) -> dict[str, Any]:
    fields: Mapping[str, Any] = record.toDict()
    return {name: _value(value) for name, value in fields.items() if not isinstance(value, Region)}


def _value(value: Any) -> Any:
    if isinstance(value, Timespan):
        # An end that is open is None, and so are those of a span of no length.
        ends: tuple[Any, Any] = (None, None) if value.isEmpty() else (value.begin, value.end)
        return [None if end is None else end.tai.isot for end in ends]
    return value
