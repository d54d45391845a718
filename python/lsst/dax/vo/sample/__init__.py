"""The sample: a simulated sky, the repositories built from it, and the tour.

Nothing in it is real but the formats: two Butler repositories with the names
of Rubin's data previews, small enough to be built in a minute, and registries
without files of any size.
"""

from ._build import Sample, build_sample, sample_environment
from ._registry import build_registry

__all__ = ["Sample", "build_registry", "build_sample", "sample_environment"]
