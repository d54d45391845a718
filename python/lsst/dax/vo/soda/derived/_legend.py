"""What the bits of a mask mean."""

from __future__ import annotations

__all__ = ["MaskPlane", "find_mask_planes", "write_legend"]

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from ...errors import UnsupportedError
from ..backends._fits_file import FitsFile
from ..backends._hdu import Hdu
from ..backends._header import Header
from ..backends._planes import find_planes

_AFW_PLANE = re.compile(r"MP_(.+)")
_NAMED_PLANE = re.compile(r"MSKN(\d{4})")

# Words of the pipelines and of lsst.images for the same; texts for masks
# whose file has none (those of afw).
_DESCRIPTIONS = {
    "BAD": "Bad pixel of the instrument",
    "SAT": "Saturated",
    "SATURATED": "Saturated",
    "INTRP": "Interpolated over: the value is made of its neighbours",
    "INTERPOLATED": "Interpolated over: the value is made of its neighbours",
    "CR": "Hit by a cosmic ray",
    "COSMIC_RAY": "Hit by a cosmic ray",
    "EDGE": "Too near to the edge to be processed",
    "DETECTION_EDGE": "Too near to the edge for sources to be detected",
    "DETECTED": "Part of a source that was detected",
    "DETECTED_NEGATIVE": "Part of a source that was detected below zero",
    "SUSPECT": "Nearly saturated: the correction of linearity is uncertain",
    "NO_DATA": "No data",
    "VIGNETTED": "Vignetted",
    "STREAK": "On the trail of a satellite or an airplane",
    "CROSSTALK": "Corrected for crosstalk of another amplifier",
    "UNMASKEDNAN": "Not a number, though no other plane says why",
    "REJECTED": "Some inputs of the coadd were left out",
    "CLIPPED": "An input of the coadd was left out, as it differs from the others",
    "INEXACT_PSF": "The point spread function of the coadd is not that of all its inputs",
    "SENSOR_EDGE": "An input of the coadd has the edge of its detector here",
    "BRIGHT_OBJECT": "Near to a bright star of a catalogue",
    "NOT_DEBLENDED": "Part of a blend that was not taken apart",
    "FAKE": "A simulated source was added",
    "ITL_DIP": "In the dip of columns beside a bright star on a detector of ITL",
}
# As lsst.afw.display shows them by default, and further ones for others.
_COLORS = {
    "BAD": "#ff0000",
    "CR": "#ff00ff",
    "COSMIC_RAY": "#ff00ff",
    "EDGE": "#ffff00",
    "DETECTION_EDGE": "#ffff00",
    "INTRP": "#00ff00",
    "INTERPOLATED": "#00ff00",
    "SAT": "#00ff00",
    "SATURATED": "#00ff00",
    "DETECTED": "#0000ff",
    "DETECTED_NEGATIVE": "#00ffff",
    "SUSPECT": "#ffff00",
    "NO_DATA": "#ffa500",
}
_FURTHER = ("#8000ff", "#ff8080", "#80c0ff", "#c0ff60", "#ff60c0", "#60ffc0", "#b08040", "#a0a0a0")


@dataclass(frozen=True, slots=True)
class MaskPlane:
    """One bit of a mask."""

    name: str
    """Its name."""

    bit: int
    """Which one it is, from 0."""

    value: int
    """Value of a pixel in which it alone is set."""

    hdu: str
    """EXTNAME of the HDU that has it, with EXTVER after a comma if that is
    not 1."""

    description: str
    """What it means; empty where nobody knows."""

    color: str
    """A color to show it in, as ``#rrggbb``."""


def find_mask_planes(file: FitsFile) -> tuple[MaskPlane, ...]:
    """Return the planes of the mask of a file.

    Parameters
    ----------
    file
        The file.

    Returns
    -------
    planes : `tuple` [`MaskPlane`, ...]
        By HDU and bit; none if it has no mask, or nothing says what its bits
        are.

    Raises
    ------
    UnsupportedError
        Raised if it is damaged.
    """
    found: list[MaskPlane] = []
    hdus, texts = _masks(file)
    for hdu in hdus:
        name, version = hdu.header.text("EXTNAME") or "MASK", hdu.header.integer("EXTVER", 1) or 1
        place = name if version == 1 else f"{name},{version}"
        for plane, bit in sorted(_bits(hdu.header), key=lambda item: item[1]):
            color = _COLORS.get(plane) or _FURTHER[len(found) % len(_FURTHER)]
            text = texts.get(plane) or _DESCRIPTIONS.get(plane, "")
            found.append(MaskPlane(plane, bit, 1 << bit, place, text, color))
    return tuple(found)


def write_legend(file: FitsFile) -> bytes:
    """Write the planes of the mask of a file as JSON.

    Parameters
    ----------
    file
        The file.

    Returns
    -------
    content : `bytes`
        An object whose ``planes`` is a list of objects with the fields of
        `MaskPlane`.

    Raises
    ------
    UnsupportedError
        Raised if there is no mask, or the file is damaged.
    """
    planes = find_mask_planes(file)
    if not planes:
        raise UnsupportedError(f"The file {file.source.name!r} has no mask whose bits have names")
    return json.dumps({"planes": [asdict(plane) for plane in planes]}, ensure_ascii=False).encode()


def _masks(file: FitsFile) -> tuple[list[Hdu], Mapping[str, str]]:
    """Return the HDUs of the mask, and what the file says of planes."""
    if file.is_of_images:
        from ..backends.images import known_layout

        layout = known_layout(file)
        mask = layout.tree.get("mask", layout.tree)
        planes = mask.get("planes") if isinstance(mask, dict) else None
        # The cards of the header have only the beginnings of long texts.
        texts = {
            plane["name"]: str(plane.get("description") or "")
            for plane in (planes if isinstance(planes, list) else ())
            if isinstance(plane, dict) and isinstance(plane.get("name"), str)
        }
        return [hdu for hdu in file.hdus() if hdu.header.text("EXTNAME").upper() == "MASK"], texts
    found = find_planes(file, None)
    # A mask by itself is the image of its file.
    return [found.mask or found.image], {}


def _bits(header: Header) -> Iterator[tuple[str, int]]:
    named = {match[1]: key for key in header.keywords() if (match := _NAMED_PLANE.fullmatch(key))}
    for number, key in named.items():
        yield header.text(key), int(number)
    if named:
        return
    for key in header.keywords():
        match, bit = _AFW_PLANE.fullmatch(key), header.integer(key)
        if match is not None and bit is not None and 0 <= bit < 64:
            yield match[1], bit
