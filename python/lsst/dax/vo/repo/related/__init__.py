"""Datasets that belong to others: of the same observation, or near it on the sky, or made from it."""

from ._provenance_graphs import Lineage, ProvenanceGraphs
from ._related import RelatedDatasets
from ._relations import Choice, Related, Relations

__all__ = ["Choice", "Lineage", "ProvenanceGraphs", "Related", "RelatedDatasets", "Relations"]
