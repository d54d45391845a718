-- A point in a circle is a distance.
SELECT obs_id FROM ivoa.ObsCore WHERE 1 = CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', t_min, t_max, 0.5))
-- gives
SELECT "ObsCore"."obs_id" AS "obs_id"
FROM "ivoa"."ObsCore" AS "ObsCore"
WHERE (DEGREES((2.0e0 * ASIN(SQRT(POWER(SIN(RADIANS("ObsCore"."s_dec" - "ObsCore"."t_max") / 2.0e0), 2.0e0) + COS(RADIANS("ObsCore"."s_dec")) * COS(RADIANS("ObsCore"."t_max")) * POWER(SIN(RADIANS("ObsCore"."s_ra" - "ObsCore"."t_min") / 2.0e0), 2.0e0)) * 0.9999999999999996e0))) <=
CASE WHEN "ObsCore"."s_ra" BETWEEN -1e+300 AND 1e+300 AND "ObsCore"."s_dec" BETWEEN -90.0e0 AND 90.0e0 AND
"ObsCore"."t_min" BETWEEN -1e+300 AND 1e+300 AND "ObsCore"."t_max" BETWEEN -90.0e0 AND 90.0e0 THEN 0.5e0 END)

-- Regions are hidden columns.
SELECT obs_id FROM ivoa.ObsCore WHERE CONTAINS(POINT(s_ra, s_dec), s_region) = 0
-- gives
SELECT "ObsCore"."obs_id" AS "obs_id"
FROM "ivoa"."ObsCore" AS "ObsCore"
WHERE NOT VO_CONTAINS(VO_POINT("ObsCore"."s_ra", "ObsCore"."s_dec"), "ObsCore"."_region")

-- With a point, INTERSECTS is CONTAINS; shown, it is a number.
SELECT INTERSECTS(s_region, POINT(s_ra, s_dec)) AS hit FROM ivoa.ObsCore
-- gives
SELECT CAST(VO_CONTAINS(VO_POINT("ObsCore"."s_ra", "ObsCore"."s_dec"), "ObsCore"."_region") AS INT) AS "hit"
FROM "ivoa"."ObsCore" AS "ObsCore"

-- Shown geometries are arrays, which a query around them can search with.
SELECT COORD1(p) AS ra FROM (SELECT POINT(s_ra, s_dec) AS p FROM ivoa.ObsCore) AS q
-- gives
SELECT CAST(LIST_EXTRACT("q"."p", 1) AS DOUBLE) AS "ra"
FROM (SELECT CASE WHEN NOT "ObsCore"."s_ra" IS NULL AND NOT "ObsCore"."s_dec" IS NULL THEN [CAST("ObsCore"."s_ra" AS DOUBLE), CAST("ObsCore"."s_dec" AS DOUBLE)] END AS "p" FROM "ivoa"."ObsCore" AS "ObsCore") AS "q"

-- A subquery hands its regions on.
SELECT a.obs_id FROM (SELECT obs_id, s_region FROM ivoa.ObsCore) AS a, ivoa.ObsCore AS b WHERE INTERSECTS(a.s_region, b.s_region) = 1
-- gives
SELECT "a"."obs_id" AS "obs_id"
FROM (SELECT "ObsCore"."obs_id" AS "obs_id", "ObsCore"."s_region" AS "s_region", "ObsCore"."_region" AS "_1_region", "ObsCore"."_x0" AS "_1_x0", "ObsCore"."_y0" AS "_1_y0", "ObsCore"."_z0" AS "_1_z0", "ObsCore"."_x1" AS "_1_x1", "ObsCore"."_y1" AS "_1_y1", "ObsCore"."_z1" AS "_1_z1" FROM "ivoa"."ObsCore" AS "ObsCore") AS "a", "ivoa"."ObsCore" AS "b"
WHERE ("a"."_1_x0" <= "b"."_x1" AND "a"."_1_x1" >= "b"."_x0" AND "a"."_1_y0" <= "b"."_y1" AND "a"."_1_y1" >= "b"."_y0" AND "a"."_1_z0" <= "b"."_z1" AND "a"."_1_z1" >= "b"."_z0" AND CASE WHEN "a"."_1_x0" <= "b"."_x1" AND "a"."_1_x1" >= "b"."_x0" AND "a"."_1_y0" <= "b"."_y1" AND "a"."_1_y1" >= "b"."_y0" AND "a"."_1_z0" <= "b"."_z1" AND "a"."_1_z1" >= "b"."_z0" THEN VO_INTERSECTS("a"."_1_region", "b"."_region") END)

-- Areas and centers of regions are those of the hidden column.
SELECT AREA(s_region) AS a, COORD1(CENTROID(s_region)) AS c FROM ivoa.ObsCore WHERE AREA(CIRCLE(1, 2, 0)) = 0
-- gives
SELECT CAST(VO_AREA("ObsCore"."_region") AS DOUBLE) AS "a", CAST(LIST_EXTRACT(VO_CENTROID("ObsCore"."_region"), 1) AS DOUBLE) AS "c" FROM
"ivoa"."ObsCore" AS "ObsCore" WHERE 0.0e0 = 0

-- What is known of a shape needs no kernel.
SELECT CENTROID(CIRCLE(s_ra, s_dec, 3)) AS c, AREA(POINT(s_ra, s_dec)) AS a, COORDSYS(POINT(s_ra, 2)) AS f FROM ivoa.ObsCore
-- gives
SELECT CASE WHEN NOT "ObsCore"."s_ra" IS NULL AND NOT "ObsCore"."s_dec" IS NULL THEN [CAST("ObsCore"."s_ra" AS DOUBLE), CAST("ObsCore"."s_dec" AS
DOUBLE)] END AS "c", CAST(CASE WHEN NOT "ObsCore"."s_ra" IS NULL AND NOT "ObsCore"."s_dec" IS NULL THEN 0.0e0 END AS DOUBLE) AS "a", CAST(CASE WHEN
NOT "ObsCore"."s_ra" IS NULL AND NOT 2 IS NULL THEN 'ICRS' END AS TEXT) AS "f" FROM "ivoa"."ObsCore" AS "ObsCore"

-- A group has one of its regions.
SELECT s_region, AREA(s_region) AS a FROM ivoa.ObsCore GROUP BY s_region
-- gives
SELECT "ObsCore"."s_region" AS "s_region", CAST(FIRST(VO_AREA("ObsCore"."_region")) AS DOUBLE) AS "a" FROM "ivoa"."ObsCore" AS "ObsCore" GROUP BY
"ObsCore"."s_region"

-- REGION is a constant in a search, and its text where it is shown.
SELECT REGION('CIRCLE ICRS 10 20 1') AS r FROM ivoa.ObsCore WHERE CONTAINS(POINT(s_ra, s_dec), REGION('POSITION 1 2')) = 0
-- gives
SELECT CAST('CIRCLE ICRS 10 20 1' AS TEXT) AS "r" FROM "ivoa"."ObsCore" AS "ObsCore" WHERE NOT VO_CONTAINS(VO_POINT("ObsCore"."s_ra",
"ObsCore"."s_dec"), UNHEX('2e000000000000f03f0000000000000040'))

-- A position near a constant is looked for along the sky.
SELECT obs_id FROM ivoa.ObsCore WHERE DISTANCE(s_ra, s_dec, 10, 20) < 0.5 AND 1 = CONTAINS(POINT(s_ra, s_dec), CIRCLE(10, 20, 0.25))
-- gives
SELECT "ObsCore"."obs_id" AS "obs_id" FROM "ivoa"."ObsCore" AS "ObsCore" WHERE (("ObsCore"."s_dec" BETWEEN 19.499999999e0 AND 20.500000001e0 AND
DEGREES((2.0e0 * ASIN(SQRT(POWER(SIN(RADIANS("ObsCore"."s_dec" - 20) / 2.0e0), 2.0e0) + COS(RADIANS("ObsCore"."s_dec")) * COS(RADIANS(20)) *
POWER(SIN(RADIANS("ObsCore"."s_ra" - 10) / 2.0e0), 2.0e0)) * 0.9999999999999996e0))) < 0.5e0)) AND (("ObsCore"."s_dec" BETWEEN 19.749999999e0 AND
20.250000001e0 AND DEGREES((2.0e0 * ASIN(SQRT(POWER(SIN(RADIANS("ObsCore"."s_dec" - 20.0e0) / 2.0e0), 2.0e0) + COS(RADIANS("ObsCore"."s_dec")) *
COS(RADIANS(20.0e0)) * POWER(SIN(RADIANS("ObsCore"."s_ra" - 10.0e0) / 2.0e0), 2.0e0)) * 0.9999999999999996e0))) <=
CASE WHEN "ObsCore"."s_ra" BETWEEN -1e+300 AND 1e+300 AND "ObsCore"."s_dec" BETWEEN -90.0e0 AND 90.0e0 THEN 0.25e0 END))

-- Elsewhere the whole test is needed: what is unknown is not false.
SELECT obs_id FROM ivoa.ObsCore WHERE NOT (DISTANCE(10, 20, s_ra, s_dec) <= 0.5)
-- gives
SELECT "ObsCore"."obs_id" AS "obs_id" FROM "ivoa"."ObsCore" AS "ObsCore" WHERE NOT ((DEGREES((2.0e0 * ASIN(SQRT(POWER(SIN(RADIANS(20 -
"ObsCore"."s_dec") / 2.0e0), 2.0e0) + COS(RADIANS(20)) * COS(RADIANS("ObsCore"."s_dec")) * POWER(SIN(RADIANS(10 - "ObsCore"."s_ra") / 2.0e0), 2.0e0))
* 0.9999999999999996e0))) <= 0.5e0))
