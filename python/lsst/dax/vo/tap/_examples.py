"""Queries to start from."""

from __future__ import annotations

__all__ = ["EXAMPLES", "QueryExample", "build_examples"]

from collections.abc import Collection
from dataclasses import dataclass

from ..dali import Example


@dataclass(frozen=True, slots=True)
class QueryExample:
    """One query and what it is for."""

    xml_id: str
    """XML ID, unique on the page."""

    name: str
    """Heading."""

    text: str
    """One or two sentences."""

    table: str
    """The table that it reads."""

    query: str
    """ADQL, with ``{ra}`` and ``{dec}`` where a place with images belongs."""

    columns: tuple[str, ...] = ()
    """Columns of ``ivoa.ObsCore`` that not every service has; without them
    the example is not shown."""


EXAMPLES: tuple[QueryExample, ...] = (
    QueryExample(
        "kinds",
        "What there is",
        "Counts the products of each kind.",
        "ivoa.ObsCore",
        "SELECT dataproduct_type, dataproduct_subtype, calib_level, COUNT(*) AS n\n"
        "FROM ivoa.ObsCore\n"
        "GROUP BY dataproduct_type, dataproduct_subtype, calib_level\n"
        "ORDER BY calib_level",
        ("dataproduct_subtype",),
    ),
    QueryExample(
        "point",
        "Images that contain a point",
        "Each row's access_url leads to its files and cutouts (DataLink).",
        "ivoa.ObsCore",
        "SELECT TOP 100 obs_publisher_did, calib_level, em_min, em_max, t_min, access_url\n"
        "FROM ivoa.ObsCore\n"
        "WHERE dataproduct_type = 'image'\n"
        "  AND CONTAINS(POINT('ICRS', {ra:.5f}, {dec:.5f}), s_region) = 1",
    ),
    QueryExample(
        "circle",
        "Images that overlap a circle",
        "Finds what covers any part of a circle with a radius of 0.1 degrees.",
        "ivoa.ObsCore",
        "SELECT TOP 100 obs_publisher_did, s_ra, s_dec, access_url\n"
        "FROM ivoa.ObsCore\n"
        "WHERE INTERSECTS(CIRCLE('ICRS', {ra:.5f}, {dec:.5f}, 0.1), s_region) = 1",
    ),
    QueryExample(
        "wavelength",
        "Calibrated images at 622 nm",
        "Wavelengths are in meters; an image holds those between em_min and em_max.",
        "ivoa.ObsCore",
        "SELECT TOP 100 obs_publisher_did, em_min, em_max, access_url\n"
        "FROM ivoa.ObsCore\n"
        "WHERE calib_level >= 2 AND 622e-9 BETWEEN em_min AND em_max",
    ),
    QueryExample(
        "visits",
        "Exposures of a point, in order of time",
        "The raw material of a light curve: one row for each detector image.",
        "ivoa.ObsCore",
        "SELECT TOP 100 t_min, lsst_visit, lsst_detector, lsst_band, access_url\n"
        "FROM ivoa.ObsCore\n"
        "WHERE calib_level = 2\n"
        "  AND CONTAINS(POINT('ICRS', {ra:.5f}, {dec:.5f}), s_region) = 1\n"
        "ORDER BY t_min",
        ("lsst_visit", "lsst_detector", "lsst_band"),
    ),
    QueryExample(
        "columns",
        "The columns of ivoa.ObsCore",
        "What each column means, from the service itself.",
        "TAP_SCHEMA.columns",
        "SELECT column_name, datatype, unit, ucd, description\n"
        "FROM TAP_SCHEMA.columns\n"
        "WHERE table_name = 'ivoa.ObsCore'\n"
        "ORDER BY column_index",
    ),
)
"""All examples."""


def build_examples(columns: Collection[str], *, ra_deg: float, dec_deg: float) -> list[Example]:
    """Make the examples for a service.

    Parameters
    ----------
    columns
        Names of the columns of ``ivoa.ObsCore``.
    ra_deg, dec_deg
        A place with images, ICRS.

    Returns
    -------
    examples : `list` [`~lsst.dax.vo.dali.Example`]
        Those whose columns there are.
    """
    return [
        Example(
            item.xml_id,
            item.name,
            item.text,
            query=item.query.format(ra=ra_deg, dec=dec_deg),
            tables=(item.table,),
        )
        for item in EXAMPLES
        if set(item.columns) <= set(columns)
    ]
