"""Point spread functions that only `lsst.afw` computes, where it is installed.

afw reads an object of an archive by importing the module that the archive
names, and some modules read pickles.  Files whose archive holds anything
beside the classes listed here are left alone.
"""

from __future__ import annotations

__all__ = ["compute_with_afw", "obstacle_to_afw"]


import numpy as np

from ..._ast import AST_LOCK
from .._afw_archive import Archive
from .._fits_file import FitsFile
from .._installed import is_installed
from ._model import PsfImage

# Persisted by C++, as numbers and texts: what exposures and coadds of the
# pipelines have in their archives.
_HARMLESS = frozenset(
    {
        "AnalyticKernel",
        "ApCorrMap",
        "Calib",
        "Chebyshev1Function2D",
        "ChebyshevBoundedField",
        "CoaddBoundedField",
        "CoaddInputs",
        "CoaddPsf",
        "DeltaFunctionKernel",
        "Detector",
        "DoubleGaussianFunction2D",
        "DoubleGaussianPsf",
        "FilterLabel",
        "FixedKernel",
        "GaussianFunction2D",
        "GaussianPsf",
        "KernelPsf",
        "LinearCombinationKernel",
        "PcaPsf",
        "PhotoCalib",
        "Polygon",
        "PolynomialFunction2D",
        "ProductBoundedField",
        "PsfexPsf",
        "SingleGaussianPsf",
        "SkyWcs",
        "TanWcs",
        "TransformBoundedField",
        "TransformMap",
        "TransformPoint2ToPoint2",
        "TransmissionCurve",
        "VisitInfo",
        "WarpedPsf",
        "WarpingControl",
        "Wcs",
    }
)


def obstacle_to_afw(archive: Archive) -> str:
    """Tell why afw cannot, or must not, read a point spread function.

    Parameters
    ----------
    archive
        The archive of the file.

    Returns
    -------
    obstacle : `str`
        Empty if there is none.
    """
    if not is_installed("lsst.afw"):
        return "its class is known to the science pipelines only, and lsst.afw is not installed here"
    others = sorted(archive.classes() - _HARMLESS)
    if others:
        return f"the archive of the file also holds a {others[0]}, which may run code when it is read"
    return ""


def compute_with_afw(file: FitsFile, x: float, y: float) -> PsfImage:
    """Compute the image of a star with afw.

    Parameters
    ----------
    file
        A file to which `obstacle_to_afw` sees no obstacle.
    x, y
        Its place, in parent coordinates.

    Returns
    -------
    image : `PsfImage`

    Raises
    ------
    UnsupportedError
        Raised if afw cannot compute it there.
    """
    from lsst.afw.fits import MemFileManager
    from lsst.afw.image import ExposureFitsReader
    from lsst.geom import Point2D

    from ..afw import faults

    with AST_LOCK, faults(file):
        content = file.source.read(0, file.source.size)
        manager = MemFileManager(len(content))
        manager.setData(content, len(content))
        psf = ExposureFitsReader(manager).readPsf()
        if psf is None:
            raise file.source.truncated()
        found = psf.computeKernelImage(Point2D(x, y))
        return PsfImage(np.array(found.array, dtype=float), -found.getX0(), -found.getY0())
