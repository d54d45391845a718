"""The sample: a simulated sky, the repositories built from it, and the tour.

Nothing in it is real but the formats: two Butler repositories with the names
of Rubin's data previews, small enough to be built in a minute.
"""

from ._build import Sample, build_sample, sample_environment

__all__ = ["Sample", "build_sample", "sample_environment"]
