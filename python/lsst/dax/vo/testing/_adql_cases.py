"""A handful of rows, and what queries on them give."""

from __future__ import annotations

__all__ = ["ADQL_QUERIES", "ADQL_ROWS", "ADQL_VALUES", "ADQL_WHERE", "adql_region"]

import math
from typing import Any

from lsst.sphgeom import Angle, ConvexPolygon, LonLat, UnitVector3d

ADQL_ROWS: list[dict[str, Any]] = [
    {"obs_id": "a", "calib_level": 1, "s_ra": 10.0, "s_dec": 20.0, "lsst_visit": 1, "access_estsize": 100},
    {"obs_id": "b", "calib_level": 2, "s_ra": 10.5, "s_dec": 20.0, "lsst_visit": 2, "access_estsize": 200},
    {"obs_id": "c", "calib_level": 2, "s_ra": 359.9, "s_dec": 0.0, "lsst_visit": 3, "access_estsize": None},
    {"obs_id": "d", "calib_level": 3, "s_ra": 0.2, "s_dec": 89.9, "lsst_visit": None, "access_estsize": 400},
    {"obs_id": "e", "calib_level": 3, "s_ra": None, "s_dec": None, "lsst_visit": None, "access_estsize": 500},
]
"""Rows of ``ivoa.ObsCore``; other columns are NULL."""

_HALF_WIDTH_DEG = 0.2

ADQL_WHERE: list[tuple[str, str]] = [
    ("calib_level = 2", "bc"),
    ("calib_level = '2'", "bc"),
    ("'2' = calib_level", "bc"),
    ("calib_level IN ('1', '3')", "ade"),
    ("calib_level BETWEEN '2' AND 3", "bcde"),
    ("calib_level <> 2 AND s_ra IS NOT NULL", "ad"),
    ("NOT (s_ra > 1)", "d"),
    # Identifiers of LSST have 19 digits, doubles 16.
    ("1249537790362809266 + lsst_visit = 1249537790362809267", "a"),
    ("1249537790362809266 + lsst_visit IN (1249537790362809268, 5)", "b"),
    ("1249537790362809266 + lsst_visit BETWEEN 1249537790362809268 AND 1249537790362809269", "bc"),
    ("1249537790362809266 + lsst_visit = '1249537790362809269'", "c"),
    ("COALESCE(lsst_visit + 9223372036854775803, 1) = 9223372036854775806", "c"),
    ("lsst_visit < 9223372036854775808", "abc"),
    ("lsst_visit + (-9223372036854775808) = -9223372036854775807", "a"),
    ("lsst_visit > '-9223372036854775808'", "abc"),
    ("1 - 9223372036854775808 < 0 AND lsst_visit = 1", "a"),
    # What there is not is neither inside nor outside.
    ("CONTAINS(POINT(10, 20), CIRCLE(s_ra, s_dec, SQRT(s_ra - 10.2))) = 1", "b"),
    ("CONTAINS(POINT(10, 20), CIRCLE(s_ra, s_dec, SQRT(s_ra - 10.2))) = 0", "c"),
    ("CONTAINS(POINT(10, 20), CIRCLE(s_ra, s_dec, s_ra * 10)) = 1", "ab"),
    ("CONTAINS(POINT(10, 20), CIRCLE(s_ra, s_dec, s_ra * 10)) = 0", "d"),
    ("CONTAINS(POINT(10, 20), CIRCLE(s_ra, s_dec, 10 - s_ra)) = 0", "d"),
    ("CONTAINS(POINT(s_ra, s_dec + 5), CIRCLE(10, 25, 90)) = 1", "abc"),
    ("CONTAINS(POINT(s_ra, s_dec + 5), CIRCLE(10, 25, 90)) = 0", ""),
    ("CONTAINS(POINT(10, 20), CIRCLE(s_ra, s_dec + 5, 90)) = 1", "abc"),
    ("CONTAINS(POINT(SQRT(s_ra - 10.2), 20), CIRCLE(0, 20, 20)) = 1", "bc"),
    # NaN is larger than all numbers, and equal to itself.
    ("SQRT(s_ra - 10.2) > 1e300", "ad"),
    ("SQRT(s_ra - 10.2) = SQRT(-1)", "ad"),
    ("DISTANCE(s_ra, s_dec, 200, 60) <= SQRT(-1)", "abcd"),
    ("obs_id LIKE 'a%' OR obs_id LIKE 'B%'", "a"),
    ("obs_id ILIKE 'B'", "b"),
    ("obs_id || 'x' = 'cx'", "c"),
    ("s_ra / 2 = 5.25", "b"),
    ("lsst_visit / 2 = 0.5", "a"),
    ("-s_ra = -10", "a"),
    ("obs_id IN (SELECT o.obs_id FROM ivoa.ObsCore AS o WHERE o.calib_level = 1)", "a"),
    ("EXISTS (SELECT o.obs_id FROM ivoa.ObsCore AS o WHERE o.calib_level > ObsCore.calib_level)", "abc"),
    ("CONTAINS(POINT('ICRS', 10.05, 20.05), s_region) = 1", "a"),
    ("1 = CONTAINS(POINT(10.05, 20.05), s_region)", "a"),
    ("CONTAINS(POINT('', 370.05, 20.05), s_region) > 0", "a"),
    ("CONTAINS(POINT(NULL, 10.05, 20.05), s_region) <> 0", "a"),
    ("CONTAINS(POINT(10.05, 20.05), s_region) = 0", "bcd"),
    ("0 = CONTAINS(POINT(10.05, 20.05), s_region)", "bcd"),
    ("CONTAINS(POINT(10.05, 20.05), s_region) != 1", "bcd"),
    ("NOT (CONTAINS(POINT(10.05, 20.05), s_region) = 1)", "bcd"),
    ("(CONTAINS(POINT(10.05, 20.05), s_region)) = (1)", "a"),
    ("CONTAINS(POINT(10.05, 20.05), s_region) = 2", ""),
    ("CONTAINS(POINT(10.05, 20.05), s_region) = calib_level", "a"),
    ("CONTAINS(POINT(200, 89.95), s_region) = 1", "d"),
    ("CONTAINS(POINT(0, 0), s_region) = 1", "c"),
    ("CONTAINS(POINT(s_ra, s_dec), s_region) = 1", "abcd"),
    ("CONTAINS(s_region, CIRCLE(10.2, 20, 0.7)) = 1", "ab"),
    ("CONTAINS(CIRCLE('ICRS', 10, 20, 0.05), s_region) = 1", "a"),
    ("INTERSECTS(CIRCLE('ICRS', 10.25, 20, 0.2), s_region) = 1", "ab"),
    ("INTERSECTS(s_region, CIRCLE('ICRS GEOCENTER', 10.25, 20, 0.2)) = 1", "ab"),
    ("0 = INTERSECTS(s_region, CIRCLE(10.25, 20, 0.2))", "cd"),
    ("INTERSECTS(s_region, CIRCLE(POINT(10.25, 20), 0.2)) = 1", "ab"),
    ("INTERSECTS(s_region, BOX(10.25, 20, 0.4, 0.2)) = 1", "ab"),
    ("INTERSECTS(s_region, POLYGON(9.9, 19.9, 10.1, 19.9, 10.1, 20.1, 9.9, 20.1)) = 1", "a"),
    ("INTERSECTS(s_region, POLYGON(POINT(9.9, 19.9), POINT(10.1, 19.9), POINT(10, 20.1))) = 1", "a"),
    ("INTERSECTS(POLYGON('', 359, -1, 1, -1, 0, 1), s_region) = 1", "c"),
    ("INTERSECTS(s_region, CIRCLE(s_ra, s_dec - 0.3, 0.2)) = 1", "abcd"),
    ("INTERSECTS(s_region, POINT(10.05, 20.05)) = 1", "a"),
    ("CONTAINS(POINT(s_ra, s_dec), CIRCLE(10, 20, 0.1)) = 1", "a"),
    ("CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', 10, 20, 30./60)) = 1", "ab"),
    ("CONTAINS(POINT(s_ra, s_dec), CIRCLE(0.1, 0, 0.3)) = 1", "c"),
    ("CONTAINS(POINT(s_ra, s_dec), CIRCLE(180, 89.95, 0.2)) = 1", "d"),
    ("CONTAINS(POINT(s_ra, s_dec), CIRCLE(10, 20, 180)) = 1", "abcd"),
    ("CONTAINS(POINT(s_ra, s_dec), CIRCLE(10, 20, 0)) = 1", "a"),
    ("CONTAINS(POINT(s_ra, s_dec), CIRCLE(10, 20, 0.1)) = 0", "bcd"),
    ("CONTAINS(POINT(s_ra, s_dec), POLYGON(9, 19, 11, 19, 11, 21, 9, 21)) = 1", "ab"),
    ("DISTANCE(POINT(s_ra, s_dec), POINT('ICRS', 10, 20)) < 0.1", "a"),
    ("DISTANCE(s_ra, s_dec, 10, 20) <= 0.5", "ab"),
    ("DISTANCE(s_ra, s_dec, 190, -20) > 179.9", "a"),
    ("0.1 > DISTANCE(POINT(10, 20), POINT(s_ra, s_dec))", "a"),
    ("DISTANCE(s_ra, s_dec, 10, 20) < 0.5 AND (calib_level = 1)", "a"),
    ("DISTANCE(s_ra, s_dec, 190, 89.5) <= 0.6", "d"),
    ("NOT (DISTANCE(s_ra, s_dec, 10, 20) <= 0.1)", "bcd"),
    ("DISTANCE(s_ra, s_dec, 10, 20) <= 0.1 OR DISTANCE(0, 0, s_ra, s_dec) <= (1)", "ac"),
    ("DISTANCE(s_ra, s_dec, s_ra, s_dec) <= 0", "abcd"),
    ("DISTANCE(1, 2, 3, 4) < 5", "abcde"),
    ("DISTANCE(s_ra, s_dec, 10, 20) = 0 AND DISTANCE(s_ra, s_dec, 10, 20) <= 0", "a"),
    ("COORD1(POINT(s_ra, 0)) = 10", "a"),
    ("COORD2(POINT('ICRS', 0, s_dec)) > 80", "d"),
    ("CONTAINS(NULL, s_region) = 1", ""),
    ("CONTAINS(POINT(s_ra, s_dec), REGION('CIRCLE ICRS 10 20 0.1')) = 1", "a"),
    ("INTERSECTS(REGION('UNION ICRS (CIRCLE 10 20 0.1 CIRCLE 0.1 0 0.5)'), s_region) = 1", "ac"),
    ("0 = CONTAINS(s_region, REGION('POLYGON ICRS 9 19 10.3 19 10.3 21 9 21'))", "bcd"),
    ("CONTAINS(CAST('10 20' AS POINT), s_region) = 1", "a"),
    ("CONTAINS(POINT(s_ra, s_dec), CAST('10 20 0.1' AS CIRCLE)) = 1", "a"),
    ("INTERSECTS(CAST('9.9 19.9 10.1 19.9 10.1 20.1' AS POLYGON), s_region) = 1", "a"),
    ("CONTAINS(CAST(obs_publisher_did AS POINT), s_region) = 1", ""),
    ("AREA(s_region) > 0.0799 AND AREA(s_region) < 0.0801", "abcd"),
    ("AREA(s_region) > AREA(CIRCLE(s_ra, s_dec, 0.1)) * 3", ""),
    ("CONTAINS(CENTROID(s_region), CIRCLE(10, 20, 0.1)) = 1", "a"),
    ("DISTANCE(CENTROID(s_region), POINT(s_ra, s_dec)) < 1e-9", "abcd"),
    ("CONTAINS(CENTROID(CIRCLE(s_ra, s_dec, 5)), s_region) = 1", "abcd"),
    ("COORDSYS(s_region) = 'ICRS'", "abcd"),
    ("IN_UNIT(s_ra, 'arcsec') > 37000 AND IN_UNIT(s_dec, 'rad') > 0.1", "b"),
    ("CAST('2021-01-14T11:25:00' AS TIMESTAMP) < '2021-01-14 11:25:00.5' AND calib_level = 1", "a"),
    ("CAST('2021-01-14' AS TIMESTAMP) BETWEEN '2021-01-13T23:59:59' AND '2021-01-14'", "abcde"),
    ("CAST('2021-01-14T00:00:00.250Z' AS TIMESTAMP) IN ('2021-01-14T00:00:00.25', '2020-01-01')", "abcde"),
    ("obs_id ILIKE 'B' OR 'ÄB' ILIKE 'äb%' AND obs_id = 'c'", "bc"),
]
"""Conditions, and the ``obs_id`` of the rows that fulfil them, in order."""

ADQL_VALUES: list[tuple[str, Any]] = [
    ("ABS(-3)", 3),
    ("CEILING(1.2)", 2.0),
    ("FLOOR(-1.2)", -2.0),
    ("DEGREES(PI())", 180.0),
    ("RADIANS(180)", math.pi),
    ("LOG(EXP(1))", 1.0),
    ("LOG10(1000)", 3.0),
    ("MOD(-7, 3)", -1),
    ("MOD(7.5, 2)", 1.5),
    ("POWER(2, 10)", 1024.0),
    ("SQRT(16)", 4.0),
    ("ROUND(1234.5, -2)", 1200.0),
    ("ROUND(2.567, 2)", 2.57),
    ("ROUND(5)", 5.0),
    ("TRUNCATE(-1.57, 1)", -1.5),
    ("TRUNCATE(2.9)", 2.0),
    ("ACOS(1) + ASIN(0) + ATAN(0)", 0.0),
    ("ATAN2(1, 0)", math.pi / 2),
    ("COS(0) + SIN(0) + TAN(0)", 1.0),
    ("COT(PI() / 4)", 1.0),
    ("RAND() - RAND(3) * 0 - 1", None),
    ("1 / 2", 0.5),
    ("6500 / 15.", 6500 / 15),
    ("1 + 2 * 3 - -4", 11),
    ("2147483648", 2147483648),
    ("10e-5", 1e-4),
    (".5", 0.5),
    ("'it''s' || ' ' || 'x'", "it's x"),
    ("LOWER('AbC') || UPPER('AbC')", "abcABC"),
    ("COALESCE(NULL, 'x')", "x"),
    ("COALESCE(lsst_visit, 2.5)", 1.0),
    ("CAST('12' AS INTEGER) + CAST(3.7 AS SMALLINT)", 16),
    ("CAST(12 AS VARCHAR)", "12"),
    ("CAST(s_ra AS VARCHAR) || '/' || (s_ra + 0.25) || '/' || lsst_visit", "10/10.25/1"),
    ("CAST(-1e20 AS VARCHAR(9)) || CAST(s_ra AS CHAR) || CAST(0.5 AS CHAR(2))", "-1e+2010."),
    ("CAST('abc' AS CHAR)", "a"),
    ("TRUNCATE(0.9999999999999999)", 0.0),
    ("TRUNCATE(0.29, 2) + TRUNCATE(-1234.5, -2) + TRUNCATE(12345, lsst_visit - 3)", -1199.72 + 12300),
    ("ROUND(2.5) + ROUND(-2.5) + ROUND(0.49999999999999994) + ROUND(3.5)", 4.0),
    ("ROUND(1250, -2) + ROUND(2.675, 2) + ROUND(-0.125, lsst_visit + 1)", 1302.55),
    ("ROUND(4503599627370497)", 4503599627370497.0),
    ("ROUND(1e300, 20)", 1e300),
    ("MOD(359.9, 3)", 2.8999999999999773),
    ("MOD(-s_ra, 3.5)", -3.0),
    ("lsst_visit / (s_dec - 20)", math.inf),
    ("-1 / (s_dec - 20)", -math.inf),
    ("LOG(s_dec - 20) + EXP(-1000 * s_ra)", -math.inf),
    ("EXP(100 * s_ra) + POWER(s_ra, 400) + POWER(s_dec - 20, -2)", math.inf),
    ("POWER(-s_ra, 401)", -math.inf),
    ("POWER(s_dec - 20, 0) + POWER(s_ra, -400) + POWER(-2, 3)", -7.0),
    ("9223372036854775807", 2**63 - 1),
    ("-9223372036854775808", -(2**63)),
    ("9223372036854775808", 2.0**63),
    ("1249537790362809266 + lsst_visit", 1249537790362809267),
    ("SQRT(s_ra - 10.2)", math.nan),
    ("ASIN(s_ra)", math.nan),
    ("ACOS(-s_ra)", math.nan),
    ("LOG10(-s_ra)", math.nan),
    ("POWER(-8, 1 / 3.)", math.nan),
    ("MOD(s_ra, s_dec - 20)", math.nan),
    ("CAST('abc' AS VARCHAR(2)) || CAST('xyz' AS CHAR(1))", "abx"),
    ("CAST('2021-01-14 11:25:00' AS TIMESTAMP)", "2021-01-14T11:25:00"),
    ("CAST('2021-01-14T11:25:00.25' AS TIMESTAMP)", "2021-01-14T11:25:00.250000"),
    ("CAST(NULL AS VARCHAR)", None),
    ("CAST('1e3' AS REAL)", 1000.0),
    ("CAST(3 AS DOUBLE PRECISION)", 3.0),
    ("NULL", None),
    ("LOWER('ÄÉb') || UPPER('äéB')", "äébÄÉB"),
    ("CAST(CAST('2021-01-14 11:25:00' AS TIMESTAMP) AS VARCHAR(10))", "2021-01-14"),
    ("CAST('12.3 45.6' AS POINT)", [12.3, 45.6]),
    ("CAST('12.3 -45.6 1.5e0' AS CIRCLE)", [12.3, -45.6, 1.5]),
    ("CAST('1 2 3 4 5 7' AS POLYGON)", [1.0, 2.0, 3.0, 4.0, 5.0, 7.0]),
    ("CAST(' ' || CAST(lsst_visit AS VARCHAR) || '  -2.5 ' AS POINT)", [1.0, -2.5]),
    ("CAST(obs_collection AS CIRCLE)", None),
    ("CAST(NULL AS POLYGON)", None),
    ("COORD2(CAST(CAST(lsst_visit AS VARCHAR) || ' 2.5' AS POINT))", 2.5),
    ("AREA(POINT(1, 2))", 0.0),
    ("AREA(CIRCLE(1, 2, 180))", 4 * math.pi * (180 / math.pi) ** 2),
    ("AREA(CIRCLE(s_ra, s_dec, 180))", 4 * math.pi * (180 / math.pi) ** 2),
    (
        "AREA(CIRCLE(s_ra, s_dec, 90 + lsst_visit))",
        2 * math.pi * (180 / math.pi) ** 2 * (1 + 0.017452406437283512),
    ),
    ("AREA(CIRCLE(s_ra, s_dec, -lsst_visit))", None),
    ("ROUND(AREA(BOX(1, 2, 90, 90)) / AREA(BOX(s_ra, s_dec, 90, 89 + lsst_visit)), 12)", 1.0),
    ("AREA(POLYGON(0, 0, 90, 0, 0, 90)) / AREA(CIRCLE(0, 0, 180))", 0.125),
    ("AREA(POLYGON(s_ra, 0, s_ra + 90, 0, s_ra, 90)) / AREA(CIRCLE(0, 0, 180))", 0.125),
    ("AREA(REGION('CIRCLE ICRS 1 2 180'))", 4 * math.pi * (180 / math.pi) ** 2),
    ("AREA(NULL)", None),
    ("CENTROID(POINT(s_ra, 3))", [10.0, 3.0]),
    ("CENTROID(CIRCLE(1, 2, s_ra))", [1.0, 2.0]),
    ("CENTROID(BOX(1, 2, 3, 4))", [1.0, 2.0]),
    ("ROUND(COORD1(CENTROID(POLYGON(0, 0, 90, 0, 0, 90))), 9)", 45.0),
    ("ROUND(COORD1(CENTROID(POLYGON(s_ra, 0, s_ra + 90, 0, s_ra, 90))), 9)", 55.0),
    ("ROUND(COORD2(CENTROID(REGION('POLYGON ICRS 10 -1 20 -1 20 1 10 1'))), 9)", 0.0),
    ("COORD1(CENTROID(NULL))", None),
    ("COORDSYS(POINT(s_ra, s_dec)) || COORDSYS(REGION('CIRCLE ICRS 1 2 3'))", "ICRSICRS"),
    ("REGION('CIRCLE ICRS 10 20 1')", "CIRCLE ICRS 10 20 1"),
    ("IN_UNIT(s_ra, 'arcmin')", 600.0),
    ("IN_UNIT(SQRT(POWER(s_ra, 2)), 'arcsec')", 36000.0),
    ("ROUND(IN_UNIT(s_ra * s_ra, 'arcmin**2'), 6)", 360000.0),
    ("IN_UNIT(IN_UNIT(s_ra + s_ra, 'arcmin') / 2, 'deg')", 10.0),
    ("ivo_hasword('The Virtual, Observatory', 'virtual observatory')", 1),
    ("ivo_hasword('The Virtual Observatory', 'Virtual  Obs')", 0),
    ("ivo_hasword('Größe: 3', 'GRÖSSE') + ivo_hasword('Größe: 3', 'GRÖßE')", 1),
    ("ivo_hasword(NULL, 'x')", None),
    ("ivo_nocasematch('NGC 6543', 'ngc%') + ivo_nocasematch('M_1', 'm\\_1')", 1),
    ("ivo_hashlist_has('Optical#infrared', 'INFRARED') + ivo_hashlist_has('Optical#infrared', 'red')", 1),
    ("ivo_interval_overlaps(1, 2, 2, s_ra) + ivo_interval_overlaps(s_ra, s_ra + 1, 1, 2)", 1),
    ("ivo_interval_overlaps(1, NULL, 2, 3)", None),
    ("ivo_healpix_index(6, s_ra, s_dec)", 19863),
    ("ivo_healpix_index(6, POINT('ICRS', 370, 20))", 19863),
    ("ivo_healpix_index(29, 45, 90)", 288230376151711743),
    ("ivo_healpix_index(lsst_visit + 0, CENTROID(CIRCLE(10, 20, 1)))", 19),
    ("ivo_healpix_index(30 + 0 * lsst_visit, 1, 2)", None),
    ("ivo_healpix_center(0, 0)", [45.0, 41.810314895778596]),
    ("ivo_healpix_center(1, 48)", None),
    ("ivo_healpix_index(13, ivo_healpix_center(13, 800000000))", 800000000),
    ("COORD1(ivo_healpix_center(lsst_visit, 19))", 0.0),
    ("ivo_to_mjd('2021-01-14T12:00:00')", 59228.5),
    ("ivo_to_jd(CAST('2021-01-14T11:59:59.5' AS TIMESTAMP))", 2459228.9999942128),
    ("ivo_normal_random(3, 0)", 3.0),
    ("CONTAINS(POINT(1, 2), CIRCLE(1, 2, 3))", 1),
    ("INTERSECTS(CIRCLE(1, 2, 3), CIRCLE(50, 2, 3))", 0),
    ("POINT('ICRS', s_ra, 20)", [10.0, 20.0]),
    ("CIRCLE(s_ra, s_dec, 0.5)", [10.0, 20.0, 0.5]),
    ("POLYGON(1, 2, 3, 4, 5, 7)", [1.0, 2.0, 3.0, 4.0, 5.0, 7.0]),
]
"""Expressions, and their values for the first row."""

ADQL_QUERIES: list[tuple[str, list[tuple[Any, ...]]]] = [
    (
        "SELECT COUNT(*) AS n, COUNT(s_ra) AS m, COUNT(DISTINCT calib_level) AS k FROM ivoa.ObsCore",
        [(5, 4, 3)],
    ),
    (
        "SELECT SUM(calib_level), AVG(calib_level), MIN(s_ra), MAX(obs_id) FROM ivoa.ObsCore",
        [(11, 2.2, 0.2, "e")],
    ),
    ("SELECT SUM(access_estsize) / 1000. AS mb FROM ivoa.ObsCore", [(1.2,)]),
    (
        "SELECT calib_level, COUNT(*) AS n FROM ivoa.ObsCore GROUP BY calib_level HAVING COUNT(*) "
        "> 1 ORDER BY 1 DESC",
        [(3, 2), (2, 2)],
    ),
    ("SELECT calib_level * 10 AS c FROM ivoa.ObsCore GROUP BY c ORDER BY c", [(10,), (20,), (30,)]),
    ("SELECT TOP 2 obs_id FROM ivoa.ObsCore ORDER BY s_ra", [("d",), ("a",)]),
    ("SELECT TOP 2 obs_id FROM ivoa.ObsCore ORDER BY s_ra DESC OFFSET 1", [("b",), ("a",)]),
    ("SELECT obs_id FROM ivoa.ObsCore ORDER BY MOD(lsst_visit, 2), obs_id DESC OFFSET 3", [("e",), ("d",)]),
    ("SELECT obs_id FROM ivoa.ObsCore OFFSET 50", []),
    ("SELECT TOP 0 obs_id FROM ivoa.ObsCore", []),
    (
        "SELECT obs_id FROM ivoa.ObsCore ORDER BY SQRT(s_ra - 10.2), obs_id",
        [("b",), ("c",), ("a",), ("d",), ("e",)],
    ),
    ("SELECT DISTINCT TOP 2 calib_level FROM ivoa.ObsCore ORDER BY calib_level", [(1,), (2,)]),
    ("SELECT DISTINCT calib_level + 1 FROM ivoa.ObsCore ORDER BY calib_level + 1 DESC", [(4,), (3,), (2,)]),
    (
        "SELECT n FROM (SELECT COUNT(*) AS n FROM ivoa.ObsCore GROUP BY calib_level) AS t ORDER BY n",
        [(1,), (2,), (2,)],
    ),
    (
        "SELECT calib_level FROM ivoa.ObsCore UNION SELECT s_dec FROM ivoa.ObsCore WHERE s_ra < 1 ORDER BY 1",
        [(1.0,), (2.0,), (3.0,), (89.9,)],
    ),
    (
        "(SELECT TOP 1 obs_id FROM ivoa.ObsCore ORDER BY obs_id) UNION ALL (SELECT 'z' FROM "
        "TAP_SCHEMA.schemas)",
        [("a",), ("z",), ("z",)],
    ),
    (
        "SELECT calib_level FROM ivoa.ObsCore WHERE calib_level > 2 UNION SELECT lsst_visit FROM "
        "ivoa.ObsCore "
        "INTERSECT SELECT calib_level FROM ivoa.ObsCore WHERE calib_level < 2 ORDER BY calib_level",
        [(1,), (3,)],
    ),
    (
        "SELECT obs_id FROM ivoa.ObsCore EXCEPT SELECT obs_id FROM ivoa.ObsCore WHERE s_ra > 1 "
        "ORDER BY obs_id",
        [("d",), ("e",)],
    ),
    (
        "WITH x AS (SELECT obs_id, s_ra FROM ivoa.ObsCore), y AS (SELECT TOP 1 * FROM x ORDER BY "
        "s_ra) SELECT obs_id FROM y",
        [("d",)],
    ),
    (
        "SELECT a.obs_id, b.obs_id FROM ivoa.ObsCore a JOIN ivoa.ObsCore b ON a.calib_level = b.calib_level "
        "AND a.obs_id < b.obs_id ORDER BY 1",
        [("b", "c"), ("d", "e")],
    ),
    (
        "SELECT schema_name, COUNT(*) AS n FROM TAP_SCHEMA.tables RIGHT JOIN TAP_SCHEMA.schemas "
        "USING (schema_name) "
        "GROUP BY schema_name ORDER BY n",
        [("ivoa", 1), ("TAP_SCHEMA", 5)],
    ),
    (
        "SELECT COUNT(*) FROM TAP_SCHEMA.keys NATURAL JOIN (SELECT key_id, from_column FROM "
        "TAP_SCHEMA.key_columns) AS c",
        [(5,)],
    ),
    (
        "SELECT a.obs_id FROM (SELECT * FROM ivoa.ObsCore WHERE calib_level = 2) AS a, ivoa.ObsCore AS b "
        "WHERE b.obs_id = 'a' AND INTERSECTS(a.s_region, CIRCLE(b.s_ra, b.s_dec, 0.35)) = 1",
        [("b",)],
    ),
    (
        "SELECT u.obs_id FROM (SELECT s_region, obs_id FROM ivoa.ObsCore WHERE obs_id = 'a' UNION ALL "
        "SELECT s_region, obs_id FROM ivoa.ObsCore WHERE obs_id <> 'a') "
        "AS u WHERE CONTAINS(POINT(10, 20), u.s_region) = 1",
        [("a",)],
    ),
    (
        "SELECT obs_id FROM ivoa.ObsCore WHERE "
        + " OR ".join(f"(s_ra > {10 + i / 1000} AND s_dec > {i / 100})" for i in range(400)),
        [("b",)],
    ),
    (
        "SELECT COUNT(*) FROM (SELECT DISTINCT s.s_region FROM ivoa.ObsCore AS s JOIN ivoa.ObsCore AS t "
        "ON s.obs_id <> t.obs_id) AS q WHERE CONTAINS(POINT(10, 20), q.s_region) = 1",
        [(1,)],
    ),
    (
        "WITH w AS (SELECT DISTINCT s_region, obs_id FROM ivoa.ObsCore) "
        "SELECT w.obs_id FROM w WHERE CONTAINS(POINT(10, 20), s_region) = 1",
        [("a",)],
    ),
    (
        "SELECT COORD1(p), COORD2(p) FROM (SELECT obs_id, POINT(s_ra, s_dec) AS p FROM ivoa.ObsCore) AS t "
        "WHERE CONTAINS(p, CIRCLE(10, 20, 0.1)) = 1",
        [(10.0, 20.0)],
    ),
    (
        "SELECT obs_id FROM (SELECT obs_id, CIRCLE(s_ra, s_dec, 0.1) AS c FROM ivoa.ObsCore) AS t "
        "WHERE CONTAINS(POINT(10.05, 20), c) = 1",
        [("a",)],
    ),
    # In joins, bounds leave out most pairs; what is no position is unknown.
    *(
        (
            f"SELECT COUNT(*) FROM ivoa.ObsCore AS a, ivoa.ObsCore AS b WHERE {condition}",
            [(expected,)],
        )
        for condition, expected in (
            ("CONTAINS(POINT(a.s_ra, a.s_dec + 0.05), b.s_region) = 1", 4),
            ("CONTAINS(POINT(a.s_ra - 720, a.s_dec), b.s_region) = 1", 4),
            ("CONTAINS(POINT(a.s_ra, a.s_dec), b.s_region) = 0", 12),
            ("CONTAINS(POINT(a.s_ra, a.s_dec + 75), b.s_region) = 0", 4),
            ("CONTAINS(POINT(a.s_ra, a.s_dec + 75), b.s_region) = 1", 0),
            ("INTERSECTS(b.s_region, CIRCLE(a.s_ra, a.s_dec, 0.35)) = 1", 6),
            ("INTERSECTS(b.s_region, CIRCLE(a.s_ra, a.s_dec, 0.1 * a.lsst_visit)) = 0", 9),
            ("INTERSECTS(CIRCLE(a.s_ra, a.s_dec, a.lsst_visit - 2), b.s_region) = 0", 6),
            ("INTERSECTS(CIRCLE(a.s_ra, a.s_dec, 179.9), b.s_region) = 1", 16),
            ("CONTAINS(b.s_region, CIRCLE(a.s_ra, a.s_dec, 0.21)) = 1", 4),
        )
    ),
    # Rows that are compared keep the regions that they do not show.
    *(
        (
            f"SELECT u.obs_id FROM (SELECT obs_id, s_region FROM ivoa.ObsCore WHERE calib_level < 3 "
            f"{operator} SELECT obs_id, s_region FROM ivoa.ObsCore WHERE s_ra < 10.2) AS u "
            "WHERE CONTAINS(u.s_region, CIRCLE(10, 20, 179)) = 1 ORDER BY obs_id",
            [(name,) for name in expected],
        )
        for operator, expected in (
            ("UNION", "abcd"),
            ("UNION ALL", "aabcd"),
            ("INTERSECT", "a"),
            ("INTERSECT ALL", "a"),
            ("EXCEPT", "bc"),
            ("EXCEPT ALL", "bc"),
        )
    ),
    (
        "SELECT COUNT(*) FROM (SELECT s_region FROM ivoa.ObsCore UNION ALL SELECT s_region FROM ivoa.ObsCore "
        "EXCEPT ALL SELECT s_region FROM ivoa.ObsCore WHERE obs_id = 'b') AS u "
        "WHERE INTERSECTS(s_region, CIRCLE(10.5, 20, 0.1)) = 1",
        [(1,)],
    ),
    (
        "WITH g AS (SELECT s_region, COUNT(*) AS n, MAX(obs_id) AS i FROM ivoa.ObsCore GROUP BY s_region) "
        "SELECT i FROM g WHERE INTERSECTS(CIRCLE(10.25, 20, 0.2), s_region) = 1 ORDER BY i",
        [("a",), ("b",)],
    ),
    (
        "SELECT MAX(obs_id), CONTAINS(POINT(10, 20), s_region) AS hit, ROUND(AREA(s_region), 6) AS extent "
        "FROM ivoa.ObsCore GROUP BY s_region "
        "HAVING AREA(s_region) > 0.01 AND INTERSECTS(s_region, CIRCLE(10.2, 20, 3)) = 1 ORDER BY 1",
        [("a", 1, 0.08), ("b", 0, 0.08)],
    ),
    (
        "SELECT COUNT(*), ROUND(SUM(AREA(s_region)), 6) FROM ivoa.ObsCore WHERE AREA(s_region) > 0",
        [(4, 0.320001)],
    ),
    (
        "SELECT t.i FROM (SELECT obs_id AS i, s_region AS r FROM ivoa.ObsCore) AS t "
        "WHERE CONTAINS(CENTROID(t.r), CIRCLE(359.9, 0, 1e-6)) = 1",
        [("c",)],
    ),
    (
        "SELECT t.i FROM (SELECT obs_id AS i, POLYGON(s_ra - 1, s_dec, s_ra + 1, s_dec, s_ra, s_dec - 1) "
        "AS p FROM ivoa.ObsCore WHERE calib_level < 3) AS t WHERE CONTAINS(POINT(10.2, 19.8), t.p) = 1 "
        "ORDER BY i",
        [("a",), ("b",)],
    ),
    (
        "SELECT COUNT(*) FROM (SELECT REGION('CIRCLE ICRS 10 20 1') AS r, s_ra, s_dec FROM ivoa.ObsCore) "
        "AS t WHERE CONTAINS(POINT(s_ra, s_dec), r) = 1",
        [(2,)],
    ),
    (
        "SELECT COUNT(*) FROM (SELECT BOX(s_ra, s_dec, 2, 1) AS b FROM ivoa.ObsCore) AS t "
        "WHERE CONTAINS(POINT(10.9, 20.3), b) = 1 AND ROUND(AREA(b), 4) = 1.9999",
        [(2,)],
    ),
    (
        "SELECT calib_level, ivo_string_agg(obs_id, '+') AS ids FROM ivoa.ObsCore "
        "GROUP BY calib_level ORDER BY 1",
        [(1, "a"), (2, "b+c"), (3, "d+e")],
    ),
    (
        "SELECT ivo_string_agg(DISTINCT CAST(calib_level AS VARCHAR), ', '), "
        "ivo_string_agg(target_name, ',') FROM ivoa.ObsCore",
        [("1, 2, 3", None)],
    ),
    (
        "SELECT ivo_healpix_index(1, s_ra, s_dec) AS h, COUNT(*) AS n FROM ivoa.ObsCore "
        "WHERE s_ra IS NOT NULL GROUP BY h ORDER BY n, h",
        [(3, 1), (18, 1), (19, 2)],
    ),
    (
        "SELECT table_name FROM tap_schema.tables WHERE tap_schema.tables.schema_name = 'ivoa'",
        [("ivoa.ObsCore",)],
    ),
    (
        "SELECT column_name, \"size\" FROM TAP_SCHEMA.columns WHERE column_name LIKE '%size%' AND "
        "table_name LIKE 'T%'",
        [("arraysize", None), ('"size"', None)],
    ),
]
"""Queries and their rows."""


def adql_region(ra_deg: float, dec_deg: float) -> ConvexPolygon:
    """Return the region of a row.

    Parameters
    ----------
    ra_deg, dec_deg
        Its position, ICRS.

    Returns
    -------
    region : `lsst.sphgeom.ConvexPolygon`
        A square that has its corners 0.2 degrees away from there.
    """
    center = UnitVector3d(LonLat.fromDegrees(ra_deg, dec_deg))
    return ConvexPolygon(
        [
            center.rotatedAround(
                UnitVector3d.orthogonalTo(center), Angle.fromDegrees(_HALF_WIDTH_DEG)
            ).rotatedAround(center, Angle.fromDegrees(90 * turn))
            for turn in range(4)
        ]
    )
