"""What gives links: a module for each family."""

from ._auxiliary import AuxiliaryLinks
from ._cutouts import CutoutLinks
from ._preview import PreviewLinks
from ._related import RelatedLinks
from ._this import ThisLinks

__all__ = ["AuxiliaryLinks", "CutoutLinks", "PreviewLinks", "RelatedLinks", "ThisLinks"]
