"""The composition root: configuration in, running services out."""

from ._build import Services, build_services
from ._commands import export_repository, link_datasets, query_store, update_store
from ._cutout_command import cut_dataset, cut_file, write_cutouts
from ._starter import start_config
from ._tables import consolidate_tables, table_of_rows
from .checks._check import Report, check

__all__ = [
    "Report",
    "Services",
    "build_services",
    "check",
    "consolidate_tables",
    "cut_dataset",
    "cut_file",
    "export_repository",
    "link_datasets",
    "query_store",
    "start_config",
    "table_of_rows",
    "update_store",
    "write_cutouts",
]
