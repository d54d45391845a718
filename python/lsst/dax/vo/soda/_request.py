"""SODA requests."""

__all__ = ["CutoutRequest", "Detail", "parse_detail", "parse_region", "parse_request"]

import enum
from collections.abc import Callable
from dataclasses import dataclass

from ..dali import ParamSet, Stencil, parse_circle, parse_polygon, parse_pos
from ..errors import MultiValuedError, UnsupportedError, UsageError, quoted
from ._box import PixelBox, parse_pixels

_SHAPES: dict[str, Callable[..., Stencil]] = {
    "CIRCLE": parse_circle,
    "POLYGON": parse_polygon,
    "POS": parse_pos,
}

# The names and media types under which clients ask for FITS (SODA 1.0, 3.1;
# DALI 1.1, 3.4.3).
_FITS_FORMATS = ("fits", "application/fits", "image/fits")

# Standard filters that this service does not advertise.  Ignoring one would
# return data that the caller asked to have left out.
_UNSUPPORTED = ("BAND", "TIME", "POL", "MOC")


class Detail(enum.Enum):
    """How much of an image a cutout holds: Rubin's CUTOUTDETAIL."""

    IMAGE = "Image"
    """The pixels and their WCS."""

    MASKED_IMAGE = "MaskedImage"
    """Image, mask and variance."""

    EXPOSURE = "Exposure"
    """All there is: the complete object, PSF and calibration included."""


@dataclass(frozen=True, slots=True)
class CutoutRequest:
    """One cutout that a client asked for."""

    id: str
    """Identifier of the dataset, as sent."""

    region: Stencil | PixelBox
    """What to cut."""

    detail: Detail = Detail.IMAGE
    """How much of it."""

    media_type: str = "application/fits"
    """Media type of the answer."""


def parse_request(params: ParamSet) -> CutoutRequest:
    """Parse the parameters of a synchronous cutout.

    Parameters
    ----------
    params
        Parameters as received.  Unknown ones are ignored (DALI 1.1, 2.1).

    Returns
    -------
    request : `CutoutRequest`

    Raises
    ------
    UsageError
        Raised if ID or the stencil is missing, or a value is not accepted.
    MultiValuedError
        Raised if there are several IDs or stencils: their products do not
        fit one response (SODA 1.0, 3.2.1).
    UnsupportedError
        Raised for filters and formats that are not advertised.

    Notes
    -----
    SODA leaves open what ID without a stencil means; the whole dataset is
    what DataLink's ``#this`` delivers, so here it is an error that says so.
    PIXELS is an extension: four whole numbers ``x0 x1 y0 y1``.

    References
    ----------
    SODA 1.0, 3.2 and 3.3.
    """
    identifier = params.required("ID").strip()
    return CutoutRequest(
        identifier,
        parse_region(params),
        parse_detail(params),
        _parse_format(params.single("RESPONSEFORMAT")),
    )


def parse_region(params: ParamSet) -> Stencil | PixelBox:
    """Parse what to cut.

    Parameters
    ----------
    params
        Parameters as received.

    Returns
    -------
    region : `~lsst.dax.vo.dali.Stencil` or `PixelBox`

    Raises
    ------
    UsageError
        Raised if there is no stencil, or it is not accepted.
    MultiValuedError
        Raised if there are several.
    UnsupportedError
        Raised for filters that are not advertised.
    """
    for name in _UNSUPPORTED:
        if params.values(name):
            raise UnsupportedError(
                f"{name} is not supported by this service; leave it out and cut by CIRCLE, POLYGON or POS"
            )
    given = [(name, value) for name in (*_SHAPES, "PIXELS") for value in params.values(name)]
    if not given:
        raise UsageError(
            "A stencil is missing; send CIRCLE=<ra dec radius>, POLYGON=<ra1 dec1 ...> or "
            "POS=<CIRCLE|RANGE|POLYGON ...>, in degrees; the whole file is the #this link of the dataset",
            parameter="CIRCLE",
        )
    if len(given) > 1:
        names = list(dict.fromkeys(name for name, _ in given))
        raise MultiValuedError("+".join(names), [value for _, value in given])
    name, value = given[0]
    if name == "PIXELS":
        return parse_pixels(value)
    return _SHAPES[name](value, parameter=name)


def parse_detail(params: ParamSet) -> Detail:
    """Parse CUTOUTDETAIL, in any case.

    Parameters
    ----------
    params
        Parameters as received.

    Returns
    -------
    detail : `Detail`
        Only the image when the parameter was not sent.

    Raises
    ------
    UsageError
        Raised if the value is not one of the three.
    """
    text = params.single("CUTOUTDETAIL")
    if text is None:
        return Detail.IMAGE
    for detail in Detail:
        if detail.value.lower() == text.strip().lower():
            return detail
    raise UsageError(
        f"CUTOUTDETAIL={quoted(text)} is not accepted; give {', '.join(detail.value for detail in Detail)}",
        parameter="CUTOUTDETAIL",
        value=text,
    )


def _parse_format(text: str | None) -> str:
    # Media types may carry parameters, which FITS has none of.
    if text is None or text.partition(";")[0].strip().lower() in _FITS_FORMATS:
        return "application/fits"
    raise UnsupportedError(
        f"RESPONSEFORMAT={quoted(text)} is not supported; give 'application/fits' or 'fits'"
    )
