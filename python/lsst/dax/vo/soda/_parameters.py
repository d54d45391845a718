"""The parameters of cutouts: one table.

Descriptors, the page of paths and the documentation read it.
"""

from __future__ import annotations

__all__ = ["MULTIPLE", "PARAMETERS"]

from ..dali import InputParam
from ._coverage import Outside
from ._formats import FORMATS
from ._request import POL_STATES, Detail
from .picture import COLOR_MAPS, Stretch

# SODA 1.0, 3.3: name, UCD and unit together say what a parameter is.
_OUTLINE = "pos.outline;obs"

PARAMETERS = (
    InputParam("ID", ucd="meta.ref.url;meta.curation", description="Identifier of the dataset"),
    InputParam(
        "CIRCLE",
        datatype="double",
        arraysize="3",
        xtype="circle",
        unit="deg",
        ucd=_OUTLINE,
        description="Circle to cut out: longitude, latitude, radius (ICRS)",
    ),
    InputParam(
        "POLYGON",
        datatype="double",
        xtype="polygon",
        unit="deg",
        ucd=_OUTLINE,
        description="Polygon to cut out: longitude and latitude of each vertex (ICRS)",
    ),
    InputParam(
        "POS",
        ucd=_OUTLINE,
        description="CIRCLE, POLYGON or RANGE to cut out, its numbers in degrees (ICRS)",
    ),
    InputParam(
        "CENTER",
        datatype="double",
        arraysize="2",
        xtype="point",
        unit="deg",
        ucd="pos.eq",
        description="Center of a box to cut out, with SIZE or SIZEPIX: longitude, latitude (ICRS)",
    ),
    InputParam(
        "SIZE",
        datatype="double",
        unit="arcsec",
        ucd="phys.angSize",
        description="Width and height of the box around CENTER, along the sides of the image",
    ),
    InputParam(
        "SIZEPIX",
        datatype="int",
        unit="pixel",
        ucd="phys.angSize;instr.pixel",
        description="Width and height of the box around CENTER, in pixels",
    ),
    InputParam(
        "PIXELS",
        unit="pixel",
        ucd="pos.outline;instr.pixel",
        description="Pixels to cut out: first and last column, first and last row, of the parent image",
    ),
    InputParam(
        "BAND",
        datatype="double",
        arraysize="2",
        xtype="interval",
        unit="m",
        ucd="em.wl;stat.interval",
        description="Wavelengths to keep: an image is kept whole if it has some of them",
    ),
    InputParam(
        "TIME",
        datatype="double",
        arraysize="2",
        xtype="interval",
        unit="d",
        ucd="time.interval;obs.exposure",
        description="Times to keep (MJD, UTC): an image is kept whole if it has some of them",
    ),
    InputParam(
        "POL",
        ucd="meta.code;phys.polarization",
        # Those of a dataset are known of that alone: what a form offers first
        # would leave out most.
        description=f"Polarization state to keep ({', '.join(POL_STATES)}); may be repeated",
    ),
    InputParam(
        "CUTOUTDETAIL",
        options=tuple(one.value for one in Detail),
        description="Image: pixels alone; MaskedImage: with mask and variance; Exposure: with all metadata",
    ),
    InputParam(
        "OUTSIDE",
        ucd="meta.code",
        options=tuple(one.value for one in Outside),
        description="Pixels outside of the shape: keep them, mark them in the mask, or make them NaN",
    ),
    InputParam(
        "RESPONSEFORMAT",
        ucd="meta.code.mime",
        options=tuple(one.media_type for one in FORMATS),
        description="FITS, a picture, or a package of several cutouts; three IDs make one picture in colour",
    ),
    InputParam(
        "STRETCH",
        options=tuple(one.value for one in Stretch),
        description="From values to the brightness of a picture",
    ),
    InputParam(
        "LIMITS",
        description="Values that are black and white in a picture: two numbers, minmax, zscale, or as 99.5%",
    ),
    InputParam("COLORMAP", options=tuple(COLOR_MAPS), description="Colours of a picture"),
    InputParam("NORTHUP", options=("false", "true"), description="Whether north is up in a picture"),
)
"""All parameters, without what depends on a dataset.  The first option is the
default: clients that make a form of a descriptor send it."""

MULTIPLE = frozenset(
    {"ID", "CIRCLE", "POLYGON", "POS", "CENTER", "SIZE", "SIZEPIX", "PIXELS", "BAND", "TIME", "POL"}
)
"""Those that may be repeated."""
