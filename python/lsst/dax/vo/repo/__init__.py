"""Butler repositories: labels, identifiers, datasets and their files."""

from ._dataset import Dataset
from ._dimensions import describe_dimensions
from ._file_state import FileState
from ._identifiers import DatasetId, PublisherForm, format_butler_uri, format_ivoid, parse_dataset_id
from ._kinds import DatasetKind
from ._live import LiveTable, find_live_table
from ._members import Member, find_member, member_path
from ._memory import Memory
from ._open import known_labels, open_repository
from ._places import Places
from ._probe import StoreProbe
from ._records import recorded_sizes, recorded_uris
from ._repositories import Repositories
from ._repository import Repository
from .related import Choice, Lineage, ProvenanceGraphs, Related, RelatedDatasets, Relations

__all__ = [
    "Choice",
    "Dataset",
    "DatasetId",
    "DatasetKind",
    "FileState",
    "Lineage",
    "LiveTable",
    "Member",
    "Memory",
    "Places",
    "ProvenanceGraphs",
    "PublisherForm",
    "Related",
    "RelatedDatasets",
    "Relations",
    "Repositories",
    "Repository",
    "StoreProbe",
    "describe_dimensions",
    "find_live_table",
    "find_member",
    "format_butler_uri",
    "format_ivoid",
    "known_labels",
    "member_path",
    "open_repository",
    "parse_dataset_id",
    "recorded_sizes",
    "recorded_uris",
]
