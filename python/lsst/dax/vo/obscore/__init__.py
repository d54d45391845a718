"""The ObsCore table: datasets become rows, rows become files or a store."""

from ._columns import MANDATORY_COLUMNS, OBSCORE_COLUMNS, OPTIONAL_COLUMNS, RUBIN_COLUMNS
from ._config import ObscoreConfig, identifier_formats, load_obscore_config, parse_obscore_config
from ._export import infer_obscore_config, iter_rows
from ._report import ExportReport
from ._schema import columns_of
from ._writers import FILE_FORMATS, write_file

__all__ = [
    "FILE_FORMATS",
    "MANDATORY_COLUMNS",
    "OBSCORE_COLUMNS",
    "OPTIONAL_COLUMNS",
    "RUBIN_COLUMNS",
    "ExportReport",
    "ObscoreConfig",
    "columns_of",
    "identifier_formats",
    "infer_obscore_config",
    "iter_rows",
    "load_obscore_config",
    "parse_obscore_config",
    "write_file",
]
