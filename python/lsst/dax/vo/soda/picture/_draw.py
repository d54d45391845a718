"""From pixels to a picture."""

from __future__ import annotations

__all__ = ["Layer", "draw"]

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...errors import UnsupportedError, UsageError
from .._box import PixelBox
from .._projection import Projection
from .._provenance import Card
from ._metadata import fits_text, xmp_packet
from ._options import PictureOptions, Stretch
from ._resample import Grid, Pixels, positions, resample
from ._sky import TangentPlane, fit_plane, north_plane
from ._stretch import Flags, Levels, balance, drop_impossible, find_scale, to_color, to_gray, to_lupton

# Of a hundred: stars keep their shape, and a file is a fifth of a PNG.
_JPEG_QUALITY = 90

# The name under which XMP is found in a PNG (XMP specification, part 3).
_XMP_KEYWORD = "XML:com.adobe.xmp"

# Sides that JPEG can write (16 bits).
_MAX_JPEG = 65_500


@dataclass(frozen=True, slots=True)
class Layer:
    """Pixels that a picture is made of."""

    pixels: Pixels
    """Values, shape ``(height, width)``, or ``(3, height, width)`` of an
    image of three colours; first row lowest, NaN where there is no value."""

    box: PixelBox
    """Their place in the parent image."""

    projection: Projection | None
    """Its WCS."""


def draw(
    layers: Sequence[Layer],
    options: PictureOptions,
    media_type: str,
    *,
    title: str = "",
    cards: Sequence[Card] = (),
) -> bytes:
    """Draw a picture.

    Parameters
    ----------
    layers
        One image, or three: red, green and blue.  Those after the first are
        laid over it by their WCS.
    options
        How to draw.
    media_type
        ``image/png`` or ``image/jpeg``.
    title
        Title for the metadata.
    cards
        Cards for the metadata, as the header of a FITS cutout has them.

    Returns
    -------
    picture : `bytes`
        The file.  Pixels without a value are transparent in a PNG and black
        in a JPEG; the WCS is in AVM tags and as FITS cards in the comment.

    Raises
    ------
    UsageError
        Raised if the layers are neither one nor three, or north is to be up
        in an image without a WCS.
    UnsupportedError
        Raised if the picture is too large for its format.
    """
    first, plane = layers[0], None
    if first.projection is not None:
        plane = fit_plane(first.projection, first.box)
        if plane is not None and options.north_up:
            plane = north_plane(plane, first.projection, first.box)
    if plane is None and options.north_up:
        raise UsageError("NORTHUP needs an image with a celestial WCS; leave it out", parameter="NORTHUP")
    channels = [drop_impossible(channel) for channel in _channels(layers, plane, options)]
    if plane is not None and options.north_up:
        channels, plane = _trim(channels, plane)
    if len(layers) == 3 and options.stretch is Stretch.ASINH and options.limits is None:
        channels = balance(channels)
    scales = [find_scale(channel, options.limits, options.stretch) for channel in channels]
    if len(channels) == 1 and options.color_map == "gray":
        levels = to_gray(channels[0], scales[0], options.stretch)
    elif len(channels) == 1:
        levels = to_color(channels[0], scales[0], options.stretch, options.color_map)
    elif options.stretch is Stretch.ASINH:
        levels = to_lupton(channels, scales)
    else:
        levels = np.dstack(
            [
                to_gray(channel, scale, options.stretch)
                for channel, scale in zip(channels, scales, strict=True)
            ]
        )
    known = _known(channels)
    # Row 0 of FITS is the lowest, that of a picture the highest.
    return _encode(levels[::-1], known[::-1], media_type, xmp_packet(plane, title), fits_text(plane, cards))


def _channels(layers: Sequence[Layer], plane: TangentPlane | None, options: PictureOptions) -> list[Pixels]:
    first = layers[0]
    if len(layers) == 1:
        channels = list(first.pixels) if first.pixels.ndim == 3 else [first.pixels]
        if not options.north_up:
            return channels
        places = positions(_grid(first, plane, options), _projection(first))
        return [resample(pixels, first.box, *places) for pixels in channels]
    if len(layers) != 3:
        raise UsageError(
            f"A picture is made of one image, or of three for red, green and blue, not of {len(layers)}"
        )
    if any(layer.pixels.ndim != 2 for layer in layers):
        raise UsageError("An image of three colours is a picture by itself; send its ID alone")
    if all(layer.projection is None for layer in layers):
        if len({layer.pixels.shape for layer in layers}) > 1:
            raise UsageError("Three images without a celestial WCS make a picture only if they have one size")
        return [layer.pixels for layer in layers]
    grid = _grid(first, plane, options)
    return [
        layer.pixels
        if layer is first and not options.north_up
        else resample(layer.pixels, layer.box, *positions(grid, _projection(layer)))
        for layer in layers
    ]


def _trim(channels: list[Pixels], plane: TangentPlane) -> tuple[list[Pixels], TangentPlane]:
    """Leave out what is transparent around a turned image, of which a shape may leave a part only."""
    rows, columns = (np.flatnonzero(_known(channels).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return channels, plane
    (bottom, top), (left, right) = (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
    trimmed = replace(
        plane,
        x=plane.x - float(left),
        y=plane.y - float(bottom),
        width=int(right - left),
        height=int(top - bottom),
    )
    return [channel[bottom:top, left:right] for channel in channels], trimmed


def _known(channels: Sequence[Pixels]) -> Flags:
    known: Flags = np.logical_and.reduce([np.isfinite(channel) for channel in channels])
    return known


def _grid(first: Layer, plane: TangentPlane | None, options: PictureOptions) -> Grid:
    if options.north_up and plane is not None:
        return Grid(plane.width, plane.height, plane.to_sky)
    projection, box = _projection(first), first.box
    # The image's own WCS, not the plane fitted to it.
    return Grid(box.width, box.height, lambda x, y: projection.to_sky(x + (box.x0 - 1), y + (box.y0 - 1)))


def _projection(layer: Layer) -> Projection:
    if layer.projection is None:
        raise UsageError("One of the images has no celestial WCS, so that the others cannot be laid over it")
    return layer.projection


def _encode(levels: Levels, known: Flags, media_type: str, xmp: str, comment: str) -> bytes:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    stream = io.BytesIO()
    if media_type == "image/jpeg":
        if max(levels.shape[:2]) > _MAX_JPEG:
            raise UnsupportedError(
                f"A JPEG has at most {_MAX_JPEG} pixels on a side; "
                "send a smaller region, or RESPONSEFORMAT=image/png"
            )
        Image.fromarray(np.ascontiguousarray(levels)).save(
            stream, "JPEG", quality=_JPEG_QUALITY, xmp=xmp.encode(), comment=comment.encode("ascii")
        )
        return stream.getvalue()
    if not known.all():
        opaque = np.where(known, np.uint8(255), np.uint8(0))
        levels = np.dstack([levels, opaque])
    info = PngInfo()
    info.add_itxt(_XMP_KEYWORD, xmp)
    if comment:
        info.add_text("Comment", comment)
    # Noise of the sky does not compress: level 1 is as small as 6.
    Image.fromarray(np.ascontiguousarray(levels)).save(stream, "PNG", pnginfo=info, compress_level=1)
    return stream.getvalue()
