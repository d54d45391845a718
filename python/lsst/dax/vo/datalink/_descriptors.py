"""The services that a links document describes: this one, and cutouts."""

from __future__ import annotations

__all__ = [
    "CUTOUTS",
    "CutoutKind",
    "cutout_descriptors",
    "describe_cutouts",
    "kinds_of",
    "links_descriptor",
]

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..dali import InputParam, ServiceDescriptor
from ..repo import Dataset

if TYPE_CHECKING:
    from lsst.sphgeom import Circle, Region, UnitVector3d

_LINKS_ID = "ivo://ivoa.net/std/DataLink#links-1.1"
_SODA_SYNC_ID = "ivo://ivoa.net/std/SODA#sync-1.0"
# Images without mask and variance, of lsst.afw and lsst.images.
_SINGLE_PLANE = re.compile(r"(Decorated)?Image[A-Z]?|Mask[A-Z]?")
# Vertices of the polygon around a region that is no polygon itself.
_SIDES = 12


@dataclass(frozen=True, slots=True)
class CutoutKind:
    """One of the cutout services, as Rubin's clients know them."""

    xml_id: str
    """XML ID of its descriptor, by which clients look it up."""

    detail: str
    """Value of ``CUTOUTDETAIL``."""

    semantics: str
    """``semantics`` of its rows."""

    description: str
    """One line for people."""


CUTOUTS = (
    CutoutKind("cutout-sync", "Image", "#cutout", "Cutout (SODA sync): the image's pixels alone"),
    CutoutKind(
        "cutout-sync-maskedimage",
        "MaskedImage",
        "https://rsp.lsst.io/guides/api/soda.html#MaskedImage",
        "Cutout (SODA sync): image, mask and variance",
    ),
    CutoutKind(
        "cutout-sync-exposure",
        "Exposure",
        "https://rsp.lsst.io/guides/api/soda.html#Exposure",
        "Cutout (SODA sync): everything, with PSF, calibration and other metadata",
    ),
)
"""All kinds; the first is the default."""


def kinds_of(dataset: Dataset) -> tuple[CutoutKind, ...]:
    """Return the cutouts that a dataset offers.

    Parameters
    ----------
    dataset
        Any dataset.

    Returns
    -------
    kinds : `tuple` [`CutoutKind`, ...]
        Empty for what is no image on the sky.
    """
    if not dataset.is_sky_image:
        return ()
    return CUTOUTS[:1] if _SINGLE_PLANE.fullmatch(dataset.storage_class) else CUTOUTS


def cutout_descriptors(
    cutout_url: str,
    kinds: Sequence[CutoutKind],
    *,
    fixed_id: str | None = None,
    ref: str = "ID",
    region: Region | None = None,
) -> tuple[ServiceDescriptor, ...]:
    """Describe the cutout services.

    Parameters
    ----------
    cutout_url
        URL of SODA sync.
    kinds
        The kinds that the document's rows refer to.
    fixed_id
        The identifier, in a document about one dataset; otherwise each
        client takes it from a cell of its row.
    ref
        XML ID of the column with that cell.
    region
        Where the one dataset lies, for the limits of the parameters.

    Returns
    -------
    descriptors : `tuple` [`ServiceDescriptor`, ...]

    References
    ----------
    DataLink 1.1, 4; SODA 1.0, 4.
    """
    identifier = InputParam(
        "ID",
        ucd="meta.ref.url;meta.curation",
        value=fixed_id or "",
        ref=None if fixed_id else ref,
        description="Identifier of the dataset",
    )
    circle, polygon = _limits(region) if region is not None else (None, None)
    shapes = (
        InputParam(
            "CIRCLE",
            datatype="double",
            arraysize="3",
            xtype="circle",
            unit="deg",
            ucd="pos.outline;obs",
            maximum=circle,
            description="Circle to cut out: longitude, latitude, radius (ICRS)",
        ),
        InputParam(
            "POLYGON",
            datatype="double",
            arraysize="*",
            xtype="polygon",
            unit="deg",
            ucd="pos.outline;obs",
            maximum=polygon,
            description="Polygon to cut out: longitude and latitude of each vertex (ICRS)",
        ),
        InputParam(
            "POS",
            ucd="pos.outline;obs",
            description="CIRCLE, POLYGON or RANGE to cut out, its numbers in degrees (ICRS)",
        ),
    )
    return tuple(
        ServiceDescriptor(
            access_url=cutout_url,
            standard_id=_SODA_SYNC_ID,
            params=(identifier, *shapes, _detail(kind)),
            xml_id=kind.xml_id,
            name=kind.xml_id,
            description=kind.description,
            content_type="application/fits",
        )
        for kind in kinds
    )


def describe_cutouts(base_url: str, ref: str) -> tuple[ServiceDescriptor, ...]:
    """Describe cutouts in a table whose rows are datasets.

    Parameters
    ----------
    base_url
        URL under which clients reach the services.
    ref
        XML ID of the column with identifiers.

    Returns
    -------
    descriptors : `tuple` [`ServiceDescriptor`, ...]
        That of the default kind; the links document of a row has all that
        the row's dataset offers.

    References
    ----------
    SIA 2.0, 3.1.1; SODA 1.0, 4.
    """
    return cutout_descriptors(f"{base_url}/api/cutout/sync", CUTOUTS[:1], ref=ref)


def links_descriptor(links_url: str) -> ServiceDescriptor:
    """Describe the links service itself.

    Parameters
    ----------
    links_url
        Its URL.

    Returns
    -------
    descriptor : `ServiceDescriptor`
        Named ``this``, as DataLink 1.0 (4.1) and SIA call a service that
        describes itself.
    """
    return ServiceDescriptor(
        access_url=links_url,
        standard_id=_LINKS_ID,
        params=(
            InputParam("ID", ucd="meta.id;meta.main", description="Identifier of a dataset; may be repeated"),
            InputParam("RESPONSEFORMAT", ucd="meta.code.mime", description="Format of the answer: votable"),
        ),
        name="this",
        description="Files and services of datasets (DataLink)",
    )


def _detail(kind: CutoutKind) -> InputParam:
    # As Rubin has it: fixed in each descriptor, with the choices in the
    # first, where a client may change it.
    return InputParam(
        "CUTOUTDETAIL",
        value=kind.detail,
        options=tuple(other.detail for other in CUTOUTS) if kind is CUTOUTS[0] else (),
        description="Image: pixels alone; MaskedImage: with mask and variance; Exposure: with all metadata",
    )


def _limits(region: Region) -> tuple[str, str]:
    from lsst.sphgeom import ConvexPolygon

    bounds = region.getBoundingCircle()
    vertices = region.getVertices() if isinstance(region, ConvexPolygon) else _around(bounds)
    centre = " ".join(_degrees(bounds.getCenter()))
    # Up in the last digit shown: the circle covers the region.
    radius = math.ceil(bounds.getOpeningAngle().asDegrees() * 1e6) / 1e6
    polygon = " ".join(text for vertex in vertices for text in _degrees(vertex))
    return f"{centre} {radius:.6f}", polygon


def _around(circle: Circle) -> list[UnitVector3d]:
    from lsst.sphgeom import Angle, UnitVector3d

    centre = circle.getCenter()
    # The arcs of a regular polygon are nearest to its centre in their
    # middle: tan(inner radius) = tan(outer radius) cos(pi / n).
    inner_rad = min(circle.getOpeningAngle().asRadians(), math.radians(80))
    outer_rad = math.atan(math.tan(inner_rad) / math.cos(math.pi / _SIDES))
    first = centre.rotatedAround(UnitVector3d.orthogonalTo(centre), Angle(outer_rad))
    return [first.rotatedAround(centre, Angle(2 * math.pi * i / _SIDES)) for i in range(_SIDES)]


def _degrees(vector: UnitVector3d) -> tuple[str, str]:
    from lsst.sphgeom import LonLat

    place = LonLat(vector)
    # 1e-9 degrees: below a hundredth of any pixel.
    lon_deg = round(place.getLon().asDegrees() % 360.0, 9) % 360.0
    return f"{lon_deg:.9f}", f"{place.getLat().asDegrees():.9f}"
