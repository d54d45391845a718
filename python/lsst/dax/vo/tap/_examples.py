"""Queries to start from, as a page for people and programs (DALI 1.1, 2.3)."""

from __future__ import annotations

__all__ = ["EXAMPLES", "Example", "write_examples"]

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Example:
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


EXAMPLES: tuple[Example, ...] = (
    Example(
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
    Example(
        "point",
        "Images that contain a point",
        "Each row's access_url leads to its files and cutouts (DataLink).",
        "ivoa.ObsCore",
        "SELECT TOP 100 obs_publisher_did, calib_level, em_min, em_max, t_min, access_url\n"
        "FROM ivoa.ObsCore\n"
        "WHERE dataproduct_type = 'image'\n"
        "  AND CONTAINS(POINT('ICRS', {ra:.5f}, {dec:.5f}), s_region) = 1",
    ),
    Example(
        "circle",
        "Images that overlap a circle",
        "Finds what covers any part of a circle with a radius of 0.1 degrees.",
        "ivoa.ObsCore",
        "SELECT TOP 100 obs_publisher_did, s_ra, s_dec, access_url\n"
        "FROM ivoa.ObsCore\n"
        "WHERE INTERSECTS(CIRCLE('ICRS', {ra:.5f}, {dec:.5f}, 0.1), s_region) = 1",
    ),
    Example(
        "wavelength",
        "Calibrated images at 622 nm",
        "Wavelengths are in meters; an image holds those between em_min and em_max.",
        "ivoa.ObsCore",
        "SELECT TOP 100 obs_publisher_did, em_min, em_max, access_url\n"
        "FROM ivoa.ObsCore\n"
        "WHERE calib_level >= 2 AND 622e-9 BETWEEN em_min AND em_max",
    ),
    Example(
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
    Example(
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


def write_examples(examples: Sequence[Example], *, sync_url: str, ra_deg: float, dec_deg: float) -> bytes:
    """Write the page.

    Parameters
    ----------
    examples
        What is shown.
    sync_url
        URL at which a query can be run.
    ra_deg, dec_deg
        A place with images, ICRS.

    Returns
    -------
    document : `bytes`
        XHTML that is XML, with the properties of DALI-examples.

    References
    ----------
    DALI 1.1, 2.3; TAP 1.1, 2.5.
    """
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" lang="en"><head><title>Example queries</title></head>\n'
        '<body vocab="http://www.ivoa.net/rdf/examples#">\n<h1>Example queries</h1>\n'
    ]
    for item in examples:
        query = item.query.format(ra=ra_deg, dec=dec_deg)
        run = f"{sync_url}?{urlencode({'LANG': 'ADQL', 'RESPONSEFORMAT': 'csv', 'QUERY': query})}"
        parts.append(
            f'<div typeof="example" id="{item.xml_id}" resource="#{item.xml_id}">\n'
            f'<h2 property="name">{escape(item.name)}</h2>\n'
            f'<p>{escape(item.text)} Reads <span property="table">{escape(item.table)}</span>.</p>\n'
            f'<pre property="query">{escape(query, quote=False)}</pre>\n'
            f'<p><a href="{escape(run)}">Run it (CSV)</a></p>\n</div>\n'
        )
    return "".join([*parts, "</body></html>\n"]).encode()
