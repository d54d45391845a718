-- TOP is a limit, a quoted number beside a number a number.
SELECT DISTINCT TOP 5 obs_id FROM ivoa.ObsCore WHERE calib_level = '1' OR calib_level IN ('2', 3) OFFSET 2
-- gives
SELECT DISTINCT "ObsCore"."obs_id" AS "obs_id"
FROM "ivoa"."ObsCore" AS "ObsCore"
WHERE "ObsCore"."calib_level" = 1 OR "ObsCore"."calib_level" IN (2, 3)
LIMIT 5 OFFSET 2

-- Groups by output names and numbers; order by names, numbers and expressions.
SELECT FLOOR(s_ra) AS bin, COUNT(*) n FROM ivoa.ObsCore GROUP BY bin HAVING COUNT(*) > 1 ORDER BY n DESC, 1, MAX(s_dec) + 1
-- gives
SELECT CAST(FLOOR("ObsCore"."s_ra") AS DOUBLE) AS "bin", CAST(COUNT(*) AS BIGINT) AS "n"
FROM "ivoa"."ObsCore" AS "ObsCore"
GROUP BY (FLOOR("ObsCore"."s_ra"))
HAVING COUNT(*) > 1
ORDER BY 2 DESC, 1 ASC, MAX("ObsCore"."s_dec") + 1 ASC

-- Conditions.
SELECT obs_id FROM ivoa.ObsCore WHERE NOT (s_ra BETWEEN 1 AND 2.5 OR obs_id NOT LIKE '%a''b') AND t_min IS NOT NULL AND obs_id ILIKE 'x_'
-- gives
SELECT "ObsCore"."obs_id" AS "obs_id"
FROM "ivoa"."ObsCore" AS "ObsCore"
WHERE NOT ("ObsCore"."s_ra" BETWEEN 1 AND 2.5e0 OR NOT "ObsCore"."obs_id" LIKE '%a''b') AND NOT "ObsCore"."t_min" IS NULL AND "ObsCore"."obs_id" ILIKE 'x_'

-- Functions have the names of the database.
SELECT LOG(s_ra) AS a, TRUNCATE(s_ra, 2) AS b, MOD(calib_level, 2) AS c, RAND(5) AS d, CEILING(1.5) AS e FROM ivoa.ObsCore
-- gives
SELECT CAST(LN("ObsCore"."s_ra") AS DOUBLE) AS "a", CAST(TRUNC("ObsCore"."s_ra", 2) AS DOUBLE) AS "b", CAST(MOD("ObsCore"."calib_level", 2) AS INT) AS "c", CAST(RANDOM() AS DOUBLE) AS "d", CAST(CEIL(1.5e0) AS DOUBLE) AS "e"
FROM "ivoa"."ObsCore" AS "ObsCore"

-- A subquery sees the query around it.
SELECT table_name FROM TAP_SCHEMA.tables t WHERE EXISTS (SELECT key_id FROM TAP_SCHEMA.keys WHERE from_table = t.table_name) AND schema_name IN (SELECT schema_name FROM TAP_SCHEMA.schemas)
-- gives
SELECT "t"."table_name" AS "table_name"
FROM "TAP_SCHEMA"."tables" AS "t"
WHERE EXISTS(SELECT "keys"."key_id" AS "key_id" FROM "TAP_SCHEMA"."keys" AS "keys" WHERE "keys"."from_table" = "t"."table_name") AND "t"."schema_name" IN (SELECT "schemas"."schema_name" AS "schema_name" FROM "TAP_SCHEMA"."schemas" AS "schemas")
