"""What the models of `lsst.images` raise on damaged files."""

__all__ = ["DAMAGE"]

import zlib

import starlink.Ast as Ast
from astropy.io.fits import VerifyError
from lsst.images.fits import InvalidFitsArchiveError
from lsst.images.serialization import ArchiveAccessRequiredError, ArchiveReadError
from shapely.errors import ShapelyError

DAMAGE = (
    ArchiveAccessRequiredError,
    ArchiveReadError,
    InvalidFitsArchiveError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    VerifyError,
    ShapelyError,
    Ast.AstError,
    zlib.error,
)
"""Errors of the library, and of what it stands on: pydantic (whose errors are
`ValueError`), astropy, zlib, shapely and AST.
"""
