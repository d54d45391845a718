"""The WCS of FITS images, through AST."""

from __future__ import annotations

__all__ = ["archive_projection", "header_projection", "mosaic_projection"]

import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import starlink.Ast as Ast

from ...errors import UnsupportedError
from .._projection import Floats, Mapping, Projection
from ._afw_archive import Archive, read_archive
from ._fits_file import FitsFile
from ._hdu import Hdu
from ._header import LOOKUP_TABLES, Header
from ._mosaic import Amplifier, Mosaic
from ._tan_sip import WCS_KEYWORD

if TYPE_CHECKING:
    from astropy.wcs import WCS

# AST marks coordinates that do not exist with the lowest double.
_BAD = -1e300

# Radians, with what rounding adds.
_POLE = 0.5 * np.pi * (1 + 1e-12)

# No number of a WCS is larger.  Where those of SIP overflow, AST looks for an
# inverse for ever.
_LARGEST = 1e100

# Pixels, and steps to come that near.
_EXACT = 1e-9
_MAX_STEPS = 4

# What a header may hold (FITS 4.0, 3.2); AST's interface ends at a NUL.
_PLAIN = re.compile(r"[ -~]*")
_TEXT = re.compile(r"[ -~\n\t]*")
# Cards that AST need not see.  An axis beyond the second is a plane of a
# cube, which has no part in a two-dimensional WCS.
_THIRD_AXIS = re.compile(
    r"(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA|NAXIS|CNAME)[3-9][A-Z]?|(CD|PC)(\d+_[3-9]|[3-9]_\d+)[A-Z]?"
    r"|(CD|PC)0{0,2}(\d[3-9]|[3-9]\d)|(PV|PS)[3-9]_\d+[A-Z]?"
)


class _Lines:
    """Text as AST's channels read it."""

    def __init__(self, text: str) -> None:
        self._lines = iter(text.splitlines())

    def astsource(self) -> str | None:
        return next(self._lines, None)


def archive_projection(file: FitsFile) -> Projection | None:
    """Read the exact WCS of an afw Exposure from its archive.

    Parameters
    ----------
    file
        The file.

    Returns
    -------
    projection : `Projection` or `None`
        In parent pixels; `None` when the archive has no SkyWcs of the kind
        that holds AST text, as in files written before 2018.

    Raises
    ------
    UnsupportedError
        Raised if the archive is damaged.

    Notes
    -----
    The header holds only an approximation in general: tens of
    milliarcseconds off for LSST's camera-based WCS.
    """
    primary = file.primary.header
    wanted = primary.integer("ARCHIVE_ID_SKYWCS", primary.integer("SKYWCS_ID"))
    archive = None if wanted is None else read_archive(file)
    if archive is None or wanted is None or archive.class_of(wanted) != "SkyWcs":
        return None
    try:
        return _from_frame_set(_read_frame_set(archive, wanted, file), is_archive=True)
    except (Ast.AstError, UnicodeDecodeError) as err:
        # Mappings of other numbers of axes do not fit together.
        raise file.source.truncated() from err


def header_projection(file: FitsFile, hdu: Hdu, header: Header, x0: int, y0: int) -> Projection | None:
    """Read the WCS of an image from its header.

    Parameters
    ----------
    file
        The file, for distortion tables in other HDUs.
    hdu
        The image.
    header
        The header that holds the WCS: that of the image, or of the primary
        HDU from which it inherits.
    x0, y0
        Parent coordinates of the first pixel.

    Returns
    -------
    projection : `Projection` or `None`
        In parent pixels, ICRS; `None` when there is no celestial WCS.
    """
    if any(LOOKUP_TABLES.fullmatch(key) for key in header.keywords()):
        return _from_astropy(file, hdu, x0, y0)
    channel = Ast.FitsChan()
    for card in header.cards:
        # AST needs fixed-format cards of plain text; anything else cannot
        # be part of a WCS.
        text = card.decode("latin-1")
        key = text[:8].rstrip()
        if (
            text[8:10] == "= "
            and _PLAIN.fullmatch(text)
            and not _THIRD_AXIS.fullmatch(key)
            and key != "NAXIS"
        ):
            if key in ("WCSAXES", "ZNAXIS"):
                continue
            if WCS_KEYWORD.fullmatch(key) and _is_too_large(header.get(key)):
                return None
            try:
                channel.putfits(text, False)
            except Ast.AstError:
                continue
    channel.clear("Card")
    try:
        frames = channel.read()
    except (Ast.AstError, UnicodeDecodeError):
        # Of a damaged WCS, not even the message need be text.
        return None
    if frames is None or not frames.isaframeset() or frames.Nin != 2 or frames.Nout != 2:
        return None
    try:
        return _from_frame_set(frames, is_archive=False, x0=x0, y0=y0)
    except (Ast.AstError, UnicodeDecodeError):
        return None


def _is_too_large(value: str | float | None) -> bool:
    return isinstance(value, int | float) and not abs(value) <= _LARGEST


def mosaic_projection(file: FitsFile, mosaic: Mosaic) -> Projection | None:
    """Read the WCS of a detector from those of its amplifiers.

    Parameters
    ----------
    file
        The file.
    mosaic
        Where its amplifiers are.

    Returns
    -------
    projection : `Projection` or `None`
        That of the first amplifier, in pixels of the mosaic; `None` unless
        those of all agree on it to a pixel, which they do not where they
        were written without regard to prescans.
    """
    found = [
        header_projection(file, amplifier.hdu, amplifier.hdu.header, 0, 0) for amplifier in mosaic.amplifiers
    ]
    first = found[0]
    if first is None:
        return None
    projection = _of_mosaic(first, mosaic.amplifiers[0])
    for amplifier, other in zip(mosaic.amplifiers, found, strict=True):
        if other is None:
            return None
        x = np.array([amplifier.column + 0.5 * amplifier.width])
        y = np.array([amplifier.row + 0.5 * amplifier.height])
        x_found, y_found = projection.to_pixel(*_of_mosaic(other, amplifier).to_sky(x, y))
        if not np.hypot(x_found - x, y_found - y)[0] < 1:
            return None
    return projection


def _of_mosaic(projection: Projection, amplifier: Amplifier) -> Projection:
    def to_sky(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        return projection.to_sky(*amplifier.place(x, y))

    def to_pixel(first: Floats, second: Floats) -> tuple[Floats, Floats]:
        return amplifier.place_back(*projection.to_pixel(first, second))

    return Projection(to_sky, to_pixel)


def _read_frame_set(archive: Archive, number: int, file: FitsFile) -> Any:
    rows = [row for part in archive.get(number).parts for row in part]
    if len(rows) != 1 or "wcs" not in rows[0]:
        raise file.source.truncated()
    text = rows[0]["wcs"].tobytes().decode("latin-1")
    # "<version> SkyWcs <has approximation> " precedes the AST object.
    begin = text.find("Begin FrameSet")
    if begin < 0 or not _TEXT.fullmatch(text):
        raise file.source.truncated()
    try:
        frames = Ast.Channel(_Lines(text[begin:])).read()
    except (Ast.AstError, TypeError, UnicodeDecodeError) as err:
        # TypeError: the text ends before the object does.
        raise file.source.truncated() from err
    if frames is None or not frames.isaframeset():
        raise file.source.truncated()
    return frames


def _from_frame_set(frames: Any, *, is_archive: bool, x0: int = 0, y0: int = 0) -> Projection | None:
    current = frames.getframe(Ast.CURRENT)
    if not current.isaskyframe():
        if not (current.isacmpframe() or current.Naxes == 2) or is_archive:
            raise UnsupportedError(
                "The WCS in the archive is no sky projection; ask the publisher of the file"
            )
        return None
    # AST puts the rotation from FK5, galactic and other systems into the
    # mapping.
    frames.System = "ICRS"
    sky = frames.getframe(Ast.CURRENT)
    lon, lat = int(sky.LonAxis) - 1, int(sky.LatAxis) - 1
    mapping = frames.getmapping(Ast.BASE, Ast.CURRENT)
    # afw's frames count as the parent does; FITS counts from 1.
    shift_x, shift_y = (0, 0) if is_archive else (1 - x0, 1 - y0)

    def to_sky(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        result = _transform(mapping, np.array([x + shift_x, y + shift_y]))
        # Of a damaged mapping, latitudes may be anything.
        is_place = np.abs(result[lat]) <= _POLE
        longitude, latitude = (np.where(is_place, _checked(result[i]), np.nan) for i in (lon, lat))
        return longitude, latitude

    def to_pixel(first: Floats, second: Floats) -> tuple[Floats, Floats]:
        sky_point = np.empty((2, len(first)))
        sky_point[lon], sky_point[lat] = first, second
        result = _transform(mapping, sky_point, forward=False)
        return _checked(result[0]) - shift_x, _checked(result[1]) - shift_y

    # Inverses of SIP and the like that the header does not have, AST fits to
    # some thousandths of a pixel; those of archives are what afw uses.
    inverse = _nan_proof(to_pixel)
    return Projection(_nan_proof(to_sky), inverse if is_archive else _refined(inverse, _nan_proof(to_sky)))


def _refined(to_pixel: Mapping, to_sky: Mapping) -> Mapping:
    # An inverse that is nearly right is wrong by the same amount at places
    # near to one another, so that one there and back says by how much.
    def refined(first: Floats, second: Floats) -> tuple[Floats, Floats]:
        x0, y0 = x, y = to_pixel(first, second)
        for _ in range(_MAX_STEPS):
            x_back, y_back = to_pixel(*to_sky(x, y))
            # False, too, where there is no image.
            with np.errstate(over="ignore", invalid="ignore"):
                dx, dy = x0 - x_back, y0 - y_back
                is_near = np.hypot(dx, dy) < 1
            x, y = np.where(is_near, x + dx, x), np.where(is_near, y + dy, y)
            if not np.any(np.hypot(dx, dy)[is_near] > _EXACT):
                break
        return x, y

    return refined


def _transform(mapping: Any, points: Floats, *, forward: bool = True) -> Floats:
    try:
        result: Floats = mapping.tran(points, forward)
    except (Ast.AstError, UnicodeDecodeError) as err:
        raise UnsupportedError(
            "The WCS of the image cannot be evaluated, it is damaged; cut the image by pixels instead"
        ) from err
    return result


def _checked(values: Floats) -> Floats:
    return np.where(values < _BAD, np.nan, values)


def _nan_proof(mapping: Mapping) -> Mapping:
    # AST knows no NaN; its own mark for a missing coordinate goes through
    # all its mappings.
    def wrapped(first: Floats, second: Floats) -> tuple[Floats, Floats]:
        bad = ~(np.isfinite(first) & np.isfinite(second))
        if not np.any(bad):
            return mapping(first, second)
        a, b = mapping(np.where(bad, 0.0, first), np.where(bad, 0.0, second))
        return np.where(bad, np.nan, a), np.where(bad, np.nan, b)

    return wrapped


def _from_astropy(file: FitsFile, hdu: Hdu, x0: int, y0: int) -> Projection | None:
    # AST does not read distortions by lookup table; wcslib and astropy do.
    import io

    from astropy.io import fits
    from astropy.wcs import WCS, FITSFixedWarning

    whole = io.BytesIO(file.source.read(0, file.source.size))
    at = file.hdus().index(hdu)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        try:
            with fits.open(whole) as hdus:
                wcs = WCS(hdus[at].header, hdus)
        except Exception as err:
            # Of a damaged header, astropy raises nearly anything.
            raise UnsupportedError(
                f"The WCS of {file.source.name!r} cannot be read, it is damaged; cut the image by pixels "
                "instead"
            ) from err
    return _astropy_projection(wcs.celestial, x0, y0) if wcs.has_celestial else None


def _astropy_projection(wcs: WCS, x0: int, y0: int) -> Projection:
    from astropy.wcs import NoConvergence
    from astropy.wcs.utils import wcs_to_celestial_frame

    if wcs_to_celestial_frame(wcs).name not in ("icrs", "fk5"):
        raise UnsupportedError("A WCS with distortion tables is supported in ICRS and FK5 only")
    lon, lat = wcs.wcs.lng, wcs.wcs.lat

    def to_sky(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        world = wcs.all_pix2world(np.column_stack([x - x0, y - y0]), 0)
        return np.radians(world[:, lon]), np.radians(world[:, lat])

    def to_pixel(first: Floats, second: Floats) -> tuple[Floats, Floats]:
        world = np.empty((len(first), 2))
        world[:, lon], world[:, lat] = np.degrees(first), np.degrees(second)
        try:
            pixel = wcs.all_world2pix(world, 0, quiet=True)
        except NoConvergence:
            pixel = np.full((len(first), 2), np.nan)
        return pixel[:, 0] + x0, pixel[:, 1] + y0

    return Projection(to_sky, to_pixel)
