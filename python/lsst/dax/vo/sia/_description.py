"""How the service describes itself, in each of its answers."""

from __future__ import annotations

__all__ = ["STANDARD_ID", "describe_query"]

import math
from dataclasses import replace
from functools import lru_cache

from ..dali import TABLE_FORMATS, InputParam, ServiceDescriptor
from ._holdings import Holdings
from ._parameters import PARAMETERS, SiaParameter

STANDARD_ID = "ivo://ivoa.net/std/SIA#query-2.0"
"""IVOID of the capability."""

# Datatype, array size and xtype; all other kinds are text.
_VOTABLE_TYPES: dict[str, tuple[str, str | None, str | None]] = {
    "overlap": ("double", "2", "interval"),
    "within": ("double", "2", "interval"),
    "level": ("int", None, None),
}


@lru_cache(maxsize=64)
def describe_query(
    query_url: str, maxrec_hard: int, columns: tuple[str, ...], holdings: Holdings
) -> tuple[ServiceDescriptor, ...]:
    """Describe the query parameters, standard ones and others.

    Parameters
    ----------
    query_url
        URL of ``{query}``.
    maxrec_hard
        Rows of an answer, whatever the client says.
    columns
        Names of the columns that there are: a parameter without them finds
        nothing, and is not described.
    holdings
        Values that there are.

    Returns
    -------
    descriptors : `tuple` [`ServiceDescriptor`, ...]
        The same in two forms: that of SIA 2.0, which pyvo looks for, and
        that of DataLink 1.1.

    References
    ----------
    SIA 2.0, 3.1.2; DataLink 1.1, 4.3.
    """
    descriptor = ServiceDescriptor(
        access_url=query_url,
        standard_id=STANDARD_ID,
        params=(
            *(
                _describe(item, holdings)
                for item in PARAMETERS
                if all(name in columns for name in item.columns)
            ),
            InputParam(
                "MAXREC",
                datatype="int",
                arraysize=None,
                minimum="0",
                maximum=str(maxrec_hard),
                description="Most rows wanted; 0 for the columns alone",
            ),
            InputParam(
                "RESPONSEFORMAT",
                options=tuple(item.name for item in TABLE_FORMATS),
                description="Format of the answer",
            ),
        ),
        name="this",
        description="This query (SIAv2); every parameter but MAXREC and RESPONSEFORMAT may be repeated",
    )
    # Its name is taken: STILTS warns of one that is there twice.
    return descriptor, replace(descriptor, utype="adhoc:this", name="")


def _describe(parameter: SiaParameter, holdings: Holdings) -> InputParam:
    # POS is text without an xtype: that of the standard's own sample
    # (``circle`` on text) is an error to STILTS.
    datatype, arraysize, xtype = _VOTABLE_TYPES.get(parameter.kind, ("char", "*", None))
    low, high = holdings.limits.get(parameter.name, (math.nan, math.nan))
    return InputParam(
        parameter.name,
        datatype=datatype,
        arraysize=arraysize,
        xtype=xtype,
        unit=parameter.unit,
        description=parameter.description,
        minimum=repr(low) if math.isfinite(low) else None,
        maximum=repr(high) if math.isfinite(high) else None,
        options=holdings.options.get(parameter.name, parameter.options),
    )
