"""The ObsCore table: datasets become rows, rows become files or a store."""

from importlib import import_module
from typing import TYPE_CHECKING

from ._choice import ExportChoice
from ._columns import MANDATORY_COLUMNS, OBSCORE_COLUMNS, OPTIONAL_COLUMNS, RUBIN_COLUMNS
from ._config import ObscoreConfig, Origin, identifier_formats, load_obscore_config, parse_obscore_config
from ._export import Fresh, Watch, infer_obscore_config, iter_rows
from ._parts import remove_parts
from ._report import ExportReport
from ._schema import columns_of
from ._writers import FILE_FORMATS, TABLE_DESCRIPTION, TABLE_NAME, write_file
from .checks._check import check_config
from .checks._findings import Finding, nearest
from .rows._formats import id_texts, restore_formats
from .rows._maker import formats_of
from .starter._yaml import starter_config

if TYPE_CHECKING:
    from ._refs import rows_of_refs, summaries_of_refs
    from .readers._quanta import chosen_ids, visits_of_exposures

__all__ = [
    "FILE_FORMATS",
    "MANDATORY_COLUMNS",
    "OBSCORE_COLUMNS",
    "OPTIONAL_COLUMNS",
    "RUBIN_COLUMNS",
    "TABLE_DESCRIPTION",
    "TABLE_NAME",
    "ExportChoice",
    "ExportReport",
    "Finding",
    "Fresh",
    "ObscoreConfig",
    "Origin",
    "Watch",
    "check_config",
    "chosen_ids",
    "columns_of",
    "formats_of",
    "id_texts",
    "identifier_formats",
    "infer_obscore_config",
    "iter_rows",
    "load_obscore_config",
    "nearest",
    "parse_obscore_config",
    "remove_parts",
    "restore_formats",
    "rows_of_refs",
    "starter_config",
    "summaries_of_refs",
    "visits_of_exposures",
    "write_file",
]

# What loads lsst.daf.butler is imported when it is asked for.
_LATE = {
    "chosen_ids": ".readers._quanta",
    "rows_of_refs": "._refs",
    "summaries_of_refs": "._refs",
    "visits_of_exposures": ".readers._quanta",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name in _LATE:
            return getattr(import_module(_LATE[name], __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
