"""For each optional feature of ADQL a query that needs it, and its rows."""

from __future__ import annotations

__all__ = ["ADQL_FEATURES"]

from typing import Any


def _first(value: str) -> str:
    return f"SELECT {value} AS v FROM ivoa.ObsCore WHERE obs_id = 'a'"


ADQL_FEATURES: dict[str, tuple[str, list[tuple[Any, ...]]]] = {
    "AREA": (_first("ROUND(AREA(s_region), 4)"), [(0.08,)]),
    "BOX": (_first("CONTAINS(POINT(s_ra, s_dec), BOX(10.1, 20.1, 1, 1))"), [(1,)]),
    "CENTROID": (_first("ROUND(COORD1(CENTROID(s_region)), 6)"), [(10.0,)]),
    "CIRCLE": (_first("CIRCLE('ICRS', s_ra, s_dec, 2)"), [([10.0, 20.0, 2.0],)]),
    "CONTAINS": (_first("CONTAINS(POINT(10, 20), s_region)"), [(1,)]),
    "COORD1": (_first("COORD1(POINT(s_ra, s_dec))"), [(10.0,)]),
    "COORD2": (_first("COORD2(POINT(s_ra, s_dec))"), [(20.0,)]),
    "COORDSYS": (_first("COORDSYS(POINT('ICRS', s_ra, s_dec))"), [("ICRS",)]),
    "DISTANCE": (_first("DISTANCE(POINT(10, 20), POINT(s_ra, s_dec)) + DISTANCE(10, 20, 10, 20)"), [(0.0,)]),
    "INTERSECTS": (_first("INTERSECTS(CIRCLE(10, 20, 1), s_region)"), [(1,)]),
    "POINT": (_first("POINT(s_ra, s_dec)"), [([10.0, 20.0],)]),
    "POLYGON": (_first("CONTAINS(POINT(s_ra, s_dec), POLYGON(9, 19, 11, 19, 10, 21))"), [(1,)]),
    "REGION": (_first("CONTAINS(s_region, REGION('CIRCLE ICRS 10 20 1'))"), [(1,)]),
    "LOWER": (_first("LOWER('AbC')"), [("abc",)]),
    "UPPER": (_first("UPPER('AbC')"), [("ABC",)]),
    "ILIKE": ("SELECT obs_id FROM ivoa.ObsCore WHERE obs_id ILIKE 'A'", [("a",)]),
    "WITH": ("WITH w AS (SELECT obs_id FROM ivoa.ObsCore) SELECT COUNT(*) FROM w", [(5,)]),
    "UNION": (
        "SELECT 1 FROM ivoa.ObsCore UNION SELECT 2 FROM ivoa.ObsCore UNION ALL "
        "SELECT TOP 1 2 FROM ivoa.ObsCore ORDER BY 1",
        [(1,), (2,), (2,)],
    ),
    "EXCEPT": (
        "SELECT calib_level FROM ivoa.ObsCore EXCEPT SELECT 2 FROM ivoa.ObsCore ORDER BY 1",
        [(1,), (3,)],
    ),
    "INTERSECT": ("SELECT calib_level FROM ivoa.ObsCore INTERSECT SELECT 2 FROM ivoa.ObsCore", [(2,)]),
    "OFFSET": ("SELECT obs_id FROM ivoa.ObsCore ORDER BY obs_id OFFSET 3", [("d",), ("e",)]),
    "CAST": (_first("CAST(CAST(s_ra AS INTEGER) AS VARCHAR)"), [("10",)]),
    "COALESCE": (_first("COALESCE(NULL, obs_id)"), [("a",)]),
    "IN_UNIT": (_first("IN_UNIT(s_ra, 'arcmin')"), [(600.0,)]),
    "ivo_hasword": (_first("ivo_hasword('Deep coadd', 'DEEP')"), [(1,)]),
    "ivo_nocasematch": (_first("ivo_nocasematch(obs_id, 'A%')"), [(1,)]),
    "ivo_hashlist_has": (_first("ivo_hashlist_has('optical#radio', 'Radio')"), [(1,)]),
    "ivo_string_agg": (
        "SELECT ivo_string_agg(obs_id, '/') AS v FROM ivoa.ObsCore WHERE calib_level > 1",
        [("b/c/d/e",)],
    ),
    "ivo_interval_overlaps": (_first("ivo_interval_overlaps(0, s_ra, 10, 20)"), [(1,)]),
    "ivo_healpix_index": (
        "SELECT ivo_healpix_index(3, s_ra, s_dec) - ivo_healpix_index(3, POINT(s_ra, s_dec)) AS d, "
        "ivo_healpix_index(3, 10, 20) AS i FROM ivoa.ObsCore WHERE obs_id = 'a'",
        [(0, 310)],
    ),
    "ivo_healpix_center": (_first("ivo_healpix_center(0, 4)"), [([0.0, 0.0],)]),
    "ivo_to_jd": (_first("ivo_to_jd('2000-01-01T12:00:00')"), [(2451545.0,)]),
    "ivo_to_mjd": (_first("ivo_to_mjd('2000-01-01T12:00:00')"), [(51544.5,)]),
    "ivo_normal_random": (_first("ivo_normal_random(2, 0)"), [(2.0,)]),
}
"""By the name of the feature, or of the user-defined function."""
