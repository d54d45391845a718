"""The columns that a configuration makes."""

from __future__ import annotations

__all__ = ["columns_of", "extra_columns_of"]

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..dali import Column
from ..errors import UsageError
from ._columns import MANDATORY_COLUMNS, OPTIONAL_COLUMNS, RUBIN_COLUMNS
from ._config import DatasetTypeConfig, ExtraColumn, ObscoreConfig

_STANDARD = {column.name: column for column in (*MANDATORY_COLUMNS, *OPTIONAL_COLUMNS)}
_RUBIN = {column.name: column for column in RUBIN_COLUMNS}
_DATATYPES = {"bool": "boolean", "int": "long", "float": "double", "string": "char"}
_CONSTANTS = {bool: "boolean", int: "long", float: "double", str: "char"}


def columns_of(config: ObscoreConfig) -> tuple[Column, ...]:
    """Return all public columns of the table that a configuration makes.

    Parameters
    ----------
    config
        The configuration.

    Returns
    -------
    columns : `tuple` [`~lsst.dax.vo.dali.Column`, ...]
        The mandatory columns of ObsCore, ``dataproduct_subtype`` where a
        dataset type has one, and the extra columns in their order.  A column
        whose name the standard defines has the standard's metadata.

    Raises
    ------
    UsageError
        Raised if a name occurs in two spellings, or with two types.
    """
    columns = {column.name: column for column in MANDATORY_COLUMNS}
    if any(kind.dataproduct_subtype is not None for kind in config.dataset_types.values()):
        columns["dataproduct_subtype"] = _STANDARD["dataproduct_subtype"]
    spellings = {name.lower(): name for name in columns}
    for name, value in _iter_extra(config):
        first = spellings.setdefault(name.lower(), name)
        if first != name:
            raise UsageError(
                f"The columns {first!r} and {name!r} differ in the case of letters only; "
                "names of columns are the same in any case"
            )
        column = _describe(name, value)
        if columns.setdefault(name, column).datatype != column.datatype:
            raise UsageError(
                f"extra_columns: {name!r} is {columns[name].datatype} in one place and {column.datatype} "
                "in another; give it one type"
            )
    return tuple(columns.values())


def extra_columns_of(config: ObscoreConfig, kind: DatasetTypeConfig) -> dict[str, Any]:
    """Return the extra columns of one dataset type.

    Parameters
    ----------
    config
        The configuration.
    kind
        The dataset type's part of it, which wins.

    Returns
    -------
    columns : `dict` [`str`, `ExtraColumn` or constant]
    """
    return {**(config.extra_columns or {}), **(kind.extra_columns or {})}


def _iter_extra(config: ObscoreConfig) -> Iterator[tuple[str, Any]]:
    for columns in (config.extra_columns, *(kind.extra_columns for kind in config.dataset_types.values())):
        yield from (columns or {}).items()


def _describe(name: str, value: Any) -> Column:
    if name in _STANDARD:
        return _STANDARD[name]
    if isinstance(value, ExtraColumn):
        datatype, length, doc = _DATATYPES[value.type], value.length, value.doc
    else:
        datatype, length, doc = _CONSTANTS[type(value)], None, None
    arraysize = None if datatype != "char" else f"{length}*" if length else "*"
    known = _RUBIN.get(name, Column(name, datatype))
    return replace(known, datatype=datatype, arraysize=arraysize, description=doc or known.description)
