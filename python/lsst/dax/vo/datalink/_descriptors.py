"""The services that a links document describes: this one, and cutouts."""

from __future__ import annotations

__all__ = [
    "CUTOUTS",
    "Coverage",
    "CutoutKind",
    "cutout_descriptors",
    "describe_cutouts",
    "kinds_of",
    "links_descriptor",
    "numbered",
]

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..dali import InputParam, ServiceDescriptor
from ..repo import Dataset
from ..soda import ASYNC_ID, FITS, PARAMETERS, SYNC_ID, Extent

if TYPE_CHECKING:
    from lsst.sphgeom import Circle, Region, UnitVector3d

_LINKS_ID = "ivo://ivoa.net/std/DataLink#links-1.1"
# Vertices of the polygon around a region that is no polygon itself.
_SIDES = 12


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a dataset covers; `None` is unknown."""

    region: Region | None = None
    """Where it lies."""

    extent: Extent | None = None
    """Its wavelengths, times and polarization."""


@dataclass(frozen=True, slots=True)
class CutoutKind:
    """One of the cutout services, as Rubin's clients know them."""

    xml_id: str
    """XML ID of its descriptor, by which clients look it up."""

    detail: str
    """Value of ``CUTOUTDETAIL``; empty where a client may choose."""

    semantics: str
    """``semantics`` of its rows."""

    description: str
    """One line for people."""

    standard_id: str = SYNC_ID
    """IVOID of the standard."""

    path: str = "/api/cutout/sync"
    """Path below the base URL."""


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
"""All synchronous kinds; the first is the default."""

# It has no row: clients that look for a "#cutout" expect one, and find this
# one by its standard ID.
_ASYNC = CutoutKind(
    "cutout-async", "", "#cutout", "Cutouts as a job (SODA async)", ASYNC_ID, "/api/cutout/async"
)


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
    return CUTOUTS if dataset.has_planes else CUTOUTS[:1]


def cutout_descriptors(
    base_url: str,
    kinds: Sequence[CutoutKind],
    *,
    fixed_id: str | None = None,
    ref: str = "ID",
    coverage: Coverage | None = None,
    number: int | None = None,
) -> tuple[ServiceDescriptor, ...]:
    """Describe the cutout services.

    Parameters
    ----------
    base_url
        URL under which clients reach the services.
    kinds
        The kinds that the document's rows refer to.
    fixed_id
        The identifier, where they are for one dataset; otherwise each
        client takes it from a cell of its row.
    ref
        XML ID of the column with that cell.
    coverage
        What the one dataset covers, for the limits of the parameters.
        Filters on what is not known of it are left out.
    number
        Which dataset of several they are for: part of the XML IDs.  Those
        with a number are for rows; jobs are described without one.

    Returns
    -------
    descriptors : `tuple` [`ServiceDescriptor`, ...]
        Those of the kinds, and that of jobs; none without a kind.  They list the parameters that
        are supported, and no others.

    References
    ----------
    DataLink 1.1, 4; SODA 1.0, 4.
    """
    if not kinds:
        return ()
    known = coverage or Coverage()
    shapes = _shape_limits(known.region) if known.region is not None else {}
    params = [
        _of_dataset(item, fixed_id, ref, shapes, known.extent)
        for item in PARAMETERS
        if known.extent is None or _is_known(item.name, known.extent)
    ]
    return tuple(
        ServiceDescriptor(
            access_url=f"{base_url}{kind.path}",
            standard_id=kind.standard_id,
            params=tuple(_detail(item, kind) if item.name == "CUTOUTDETAIL" else item for item in params),
            xml_id=numbered(kind.xml_id, number),
            name=numbered(kind.xml_id, number),
            description=kind.description,
            content_type=FITS if kind.standard_id == SYNC_ID else None,
        )
        for kind in (*kinds, *(() if number is not None else (_ASYNC,)))
    )


def numbered(xml_id: str, number: int | None) -> str:
    """Return the XML ID of a descriptor that is for one dataset of several.

    Parameters
    ----------
    xml_id
        That of its kind.
    number
        Which dataset; `None` for the descriptor that is for all.

    Returns
    -------
    xml_id : `str`
        Unique in the document.
    """
    return xml_id if number is None else f"{xml_id}-{number}"


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
        Those of the default kind and of jobs; the links document of a row
        has all that the row's dataset offers.

    References
    ----------
    SIA 2.0, 3.1.1; SODA 1.0, 4.
    """
    return cutout_descriptors(base_url, CUTOUTS[:1], ref=ref)


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


def _detail(item: InputParam, kind: CutoutKind) -> InputParam:
    # As Rubin has it: fixed in each descriptor, with the choices in the
    # first, where a client may change it.
    options = item.options if kind in (CUTOUTS[0], _ASYNC) else ()
    return replace(item, value=kind.detail, options=options)


def _is_known(name: str, extent: Extent) -> bool:
    match name:
        case "BAND":
            return extent.em_min is not None and extent.em_max is not None
        case "TIME":
            return extent.t_min is not None and extent.t_max is not None
        case "POL":
            return bool(extent.pol_states)
    return True


def _of_dataset(
    item: InputParam, fixed_id: str | None, ref: str, shapes: Mapping[str, str], extent: Extent | None
) -> InputParam:
    """Add what is known of the dataset, and where its identifier comes from."""
    match item.name:
        case "ID":
            return replace(item, value=fixed_id) if fixed_id else replace(item, ref=ref)
        case "BAND" if extent is not None:
            return replace(item, minimum=repr(extent.em_min), maximum=repr(extent.em_max))
        case "TIME" if extent is not None:
            return replace(item, minimum=repr(extent.t_min), maximum=repr(extent.t_max))
        case "POL" if extent is not None and extent.pol_states is not None:
            return replace(item, options=extent.pol_states)
    return replace(item, maximum=shapes.get(item.name))


def _shape_limits(region: Region) -> dict[str, str]:
    from lsst.sphgeom import ConvexPolygon

    bounds = region.getBoundingCircle()
    vertices = region.getVertices() if isinstance(region, ConvexPolygon) else _around(bounds)
    centre = " ".join(_degrees(bounds.getCenter()))
    # Up in the last digit shown: the circle covers the region.
    radius = math.ceil(bounds.getOpeningAngle().asDegrees() * 1e6) / 1e6
    polygon = " ".join(text for vertex in vertices for text in _degrees(vertex))
    return {"CIRCLE": f"{centre} {radius:.6f}", "POLYGON": polygon}


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
