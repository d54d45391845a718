-- A point in a circle is a distance.
SELECT obs_id FROM ivoa.ObsCore WHERE 1 = CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', t_min, t_max, 0.5))
-- gives
SELECT "ObsCore"."obs_id" AS "obs_id"
FROM "ivoa"."ObsCore" AS "ObsCore"
WHERE (DEGREES((2.0e0 * ASIN(SQRT(POW(SIN(RADIANS("ObsCore"."s_dec" - "ObsCore"."t_max") / 2.0e0), 2.0e0) + COS(RADIANS("ObsCore"."s_dec")) * COS(RADIANS("ObsCore"."t_max")) * POW(SIN(RADIANS("ObsCore"."s_ra" - "ObsCore"."t_min") / 2.0e0), 2.0e0)) * 0.9999999999999996e0))) <= 0.5e0)

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
