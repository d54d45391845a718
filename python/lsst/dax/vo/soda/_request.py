"""SODA requests."""

__all__ = [
    "POL_STATES",
    "CutoutRequest",
    "Detail",
    "Product",
    "parse_request",
]

import enum
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..dali import Interval, ParamSet, format_interval, parse_interval
from ..errors import MultiValuedError, UnsupportedError, UsageError, quoted
from ._coverage import Outside
from ._formats import FORMATS, Format, parse_format
from ._region import Region, format_region, parse_regions, region_parameter
from .picture import PictureOptions, parse_picture

POL_STATES = ("I", "Q", "U", "V", "RR", "LL", "RL", "LR", "XX", "YY", "XY", "YX", "POLI", "POLA")
"""Polarization states (ObsCore 1.1, B.6.6)."""


_DEFAULT = PictureOptions()


class Detail(enum.Enum):
    """How much of an image a cutout holds: Rubin's CUTOUTDETAIL."""

    IMAGE = "Image"
    """The pixels and their WCS."""

    MASKED_IMAGE = "MaskedImage"
    """Image, mask and variance."""

    EXPOSURE = "Exposure"
    """All there is: the complete object, PSF and calibration included."""


@dataclass(frozen=True, slots=True)
class Product:
    """One cutout of a request: one dataset, and one value of each filter."""

    id: str
    """Identifier of the dataset, as sent."""

    region: Region | None = None
    """What to cut; `None` for the whole image."""

    band: Interval | None = None
    """Wavelengths to keep, metres; `None` keeps all."""

    time: Interval | None = None
    """Times to keep, MJD (UTC); `None` keeps all."""

    pols: tuple[str, ...] = ()
    """Polarization states to keep; none keeps all."""


@dataclass(frozen=True, slots=True)
class CutoutRequest:
    """The cutouts that a client asked for."""

    ids: tuple[str, ...]
    """Identifiers of the datasets, as sent; at least one."""

    regions: tuple[Region, ...] = ()
    """What to cut of each; none for whole images."""

    bands: tuple[Interval, ...] = ()
    """Wavelengths to keep, metres, each an alternative of its own."""

    times: tuple[Interval, ...] = ()
    """Times to keep, MJD (UTC), each an alternative of its own."""

    pols: tuple[str, ...] = ()
    """Polarization states to keep, together one filter."""

    detail: Detail = Detail.IMAGE
    """How much of each image."""

    outside: Outside = Outside.KEEP
    """What becomes of pixels outside of the region."""

    form: Format = FORMATS[0]
    """Format of each product, or of the package that holds them."""

    picture: PictureOptions = _DEFAULT
    """How pictures are drawn."""

    @property
    def count(self) -> int:
        """Number of products."""
        filters = (self.regions, self.bands, self.times)
        number = len(self.ids)
        for values in filters:
            number *= max(1, len(values))
        return number

    def products(self) -> Iterator[Product]:
        """Multiply out the values of the request.

        Yields
        ------
        product : `Product`
            For each ID, for each region, for each BAND, for each TIME, in
            the order in which they were sent.

        References
        ----------
        SODA 1.0, 3.2 and 3.3: all values of POL are one filter.
        """
        for identifier in self.ids:
            for region in self.regions or (None,):
                for band in self.bands or (None,):
                    for time in self.times or (None,):
                        yield Product(identifier, region, band, time, self.pols)

    def single(self, *, advice: str = "send one request for each value") -> Product:
        """Return the product of a request that has only one.

        Parameters
        ----------
        advice
            What to do otherwise, for the message.

        Returns
        -------
        product : `Product`

        Raises
        ------
        MultiValuedError
            Raised if there are several, with the name of a parameter that
            was repeated.
        """
        if len(self.ids) > 1:
            raise MultiValuedError("ID", self.ids, advice=advice)
        if len(self.regions) > 1:
            names = dict.fromkeys(map(region_parameter, self.regions))
            raise MultiValuedError("+".join(names), [*map(format_region, self.regions)], advice=advice)
        for name, values in (("BAND", self.bands), ("TIME", self.times)):
            if len(values) > 1:
                raise MultiValuedError(name, [format_interval(value) for value in values], advice=advice)
        return next(self.products())


def parse_request(params: ParamSet) -> CutoutRequest:
    """Parse the parameters of cutouts.

    Parameters
    ----------
    params
        Parameters as received.  Unknown ones are ignored (DALI 1.1, 2.1),
        and so are blank values, but for ID: forms, and clients that fill in
        a descriptor (Firefly), send all that they know of.

    Returns
    -------
    request : `CutoutRequest`

    Raises
    ------
    UsageError
        Raised if ID or all filters are missing, or a value is not accepted.
    MultiValuedError
        Raised if a parameter is repeated that is no filter.
    UnsupportedError
        Raised for filters and formats that are not advertised.

    Notes
    -----
    SODA leaves open what ID without a filter means; the whole dataset is
    what DataLink's ``#this`` delivers, and a misspelt name of a parameter
    should not cause its download, so here it is an error that says so.
    BAND, TIME or POL alone are filters as any other: they select the whole
    image or nothing of it.

    References
    ----------
    SODA 1.0, 3.2 and 3.3.
    """
    identifiers = tuple(value.strip() for value in params.values("ID"))
    if not identifiers or "" in identifiers:
        raise UsageError("ID is missing; send ID=<value>", parameter="ID")
    params = _without_blanks(params)
    if params.values("MOC"):
        raise UnsupportedError(
            "MOC is not supported by this service; leave it out and cut by CIRCLE, POLYGON or POS"
        )
    regions = parse_regions(params)
    bands = tuple(parse_interval(value, parameter="BAND") for value in params.values("BAND"))
    times = tuple(parse_interval(value, parameter="TIME") for value in params.values("TIME"))
    pols = tuple(dict.fromkeys(_parse_state(value) for value in params.values("POL")))
    if not (regions or bands or times or pols):
        raise _without_region()
    return CutoutRequest(
        identifiers,
        regions,
        bands,
        times,
        pols,
        _parse_choice(params, "CUTOUTDETAIL", Detail.IMAGE),
        _parse_choice(params, "OUTSIDE", Outside.KEEP),
        parse_format(params.single("RESPONSEFORMAT")),
        parse_picture(params),
    )


def _without_blanks(params: ParamSet) -> ParamSet:
    return replace(params, pairs=tuple(pair for pair in params.pairs if pair[1].strip()))


def _parse_choice[Choice: enum.Enum](params: ParamSet, name: str, default: Choice) -> Choice:
    choices = type(default)
    word = params.choice(name, [one.value for one in choices])
    return default if word is None else choices(word)


def _parse_state(text: str) -> str:
    state = text.strip().upper()
    if state not in POL_STATES:
        raise UsageError(
            f"POL={quoted(text)} is not accepted; give one of {', '.join(POL_STATES)}; POL may be sent again",
            parameter="POL",
            value=text,
        )
    return state


def _without_region() -> UsageError:
    return UsageError(
        "A stencil is missing; send CIRCLE=<ra dec radius>, POLYGON=<ra1 dec1 ...> or "
        "POS=<CIRCLE|RANGE|POLYGON ...>, in degrees, CENTER=<ra dec> with SIZE=<arcsec>, or "
        "PIXELS=<x0 x1 y0 y1>; the whole file is the #this link of the dataset",
        parameter="CIRCLE",
    )
