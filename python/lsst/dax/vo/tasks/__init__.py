"""ObsCore tables as tasks of a pipeline: part by part, then all of them together."""

from ._consolidate import ConsolidateObsCoreConfig, ConsolidateObsCoreConnections, ConsolidateObsCoreTask
from ._export import ExportObsCoreConfig, ExportObsCoreConnections, ExportObsCoreTask

__all__ = [
    "ConsolidateObsCoreConfig",
    "ConsolidateObsCoreConnections",
    "ConsolidateObsCoreTask",
    "ExportObsCoreConfig",
    "ExportObsCoreConnections",
    "ExportObsCoreTask",
]
