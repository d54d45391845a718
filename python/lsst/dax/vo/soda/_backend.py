"""Names of the backends, for those who choose one."""

__all__ = ["Backend"]

import enum


class Backend(enum.Enum):
    """What reads an image."""

    AUTO = "auto"
    """What fits the file: `IMAGES` for files of `lsst.images`, else `FITS`."""

    FITS = "fits"
    """Our own reader of FITS; afw Exposure files included."""

    IMAGES = "images"
    """Files of `lsst.images`."""

    AFW = "afw"
    """`lsst.afw`, where it is installed: slower, and of an Exposure only the
    components that it can read."""
