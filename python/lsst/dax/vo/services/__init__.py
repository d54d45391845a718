"""The composition root: configuration in, running services out."""

from ._build import Services, build_services
from ._commands import cut_dataset, cut_file, export_repository, link_datasets, query_store

__all__ = [
    "Services",
    "build_services",
    "cut_dataset",
    "cut_file",
    "export_repository",
    "link_datasets",
    "query_store",
]
