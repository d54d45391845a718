"""What is made of a whole image, beside cutouts: pictures, its PSF, and what it says of itself."""

from ._make import make_derived

__all__ = ["make_derived"]
