"""Butler repositories: labels, identifiers, datasets and their files."""

from ._identifiers import DatasetId, format_butler_uri, parse_dataset_id
from ._repositories import Repositories
from ._repository import Dataset, Repository, open_repository

__all__ = [
    "Dataset",
    "DatasetId",
    "Repositories",
    "Repository",
    "format_butler_uri",
    "open_repository",
    "parse_dataset_id",
]
