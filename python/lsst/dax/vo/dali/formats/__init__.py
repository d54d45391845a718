"""The formats of tables, but for VOTable, and what chooses one."""

from ._arrow import write_arrow
from ._csv import write_csv, write_tsv
from ._fits import write_fits
from ._html import write_html
from ._json import write_json
from ._parquet import parquet_metadata, text_lengths, write_parquet
from ._table_formats import TABLE_FORMATS, AnswerFormat, TableFormat, parse_format, write_table

__all__ = [
    "TABLE_FORMATS",
    "AnswerFormat",
    "TableFormat",
    "parquet_metadata",
    "parse_format",
    "text_lengths",
    "write_arrow",
    "write_csv",
    "write_fits",
    "write_html",
    "write_json",
    "write_parquet",
    "write_table",
    "write_tsv",
]
