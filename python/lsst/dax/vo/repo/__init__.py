"""Butler repositories: labels, identifiers, datasets and their files."""

from ._dataset import Dataset, FileState
from ._identifiers import DatasetId, PublisherForm, format_butler_uri, format_ivoid, parse_dataset_id
from ._live import LiveTable, find_live_table
from ._repositories import Repositories
from ._repository import Repository, open_repository, recorded_sizes

__all__ = [
    "Dataset",
    "DatasetId",
    "FileState",
    "LiveTable",
    "PublisherForm",
    "Repositories",
    "Repository",
    "find_live_table",
    "format_butler_uri",
    "format_ivoid",
    "open_repository",
    "parse_dataset_id",
    "recorded_sizes",
]
