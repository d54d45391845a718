"""Point spread functions in files, as images of a star at one place."""

from ._model import PsfImage, PsfKind
from ._read import compute_psf, find_psf

__all__ = ["PsfImage", "PsfKind", "compute_psf", "find_psf"]
