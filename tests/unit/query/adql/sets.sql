-- A limit stays with its query.
SELECT TOP 3 obs_id FROM ivoa.ObsCore UNION ALL SELECT table_name FROM TAP_SCHEMA.tables ORDER BY obs_id
-- gives
(SELECT "ObsCore"."obs_id" AS "obs_id" FROM "ivoa"."ObsCore" AS "ObsCore" LIMIT 3)
UNION ALL SELECT "tables"."table_name" AS "table_name" FROM "TAP_SCHEMA"."tables" AS "tables" ORDER BY 1 ASC

-- INTERSECT binds tighter.
SELECT key_id FROM TAP_SCHEMA.keys EXCEPT SELECT key_id FROM TAP_SCHEMA.key_columns INTERSECT SELECT from_table FROM TAP_SCHEMA.keys
-- gives
SELECT "keys"."key_id" AS "key_id" FROM "TAP_SCHEMA"."keys" AS "keys"
EXCEPT SELECT "key_columns"."key_id" AS "key_id" FROM "TAP_SCHEMA"."key_columns" AS "key_columns"
INTERSECT SELECT "keys"."from_table" AS "from_table" FROM "TAP_SCHEMA"."keys" AS "keys"

-- Columns take the wider type.
SELECT calib_level FROM ivoa.ObsCore UNION SELECT s_ra FROM ivoa.ObsCore
-- gives
SELECT CAST("ObsCore"."calib_level" AS DOUBLE) AS "calib_level" FROM "ivoa"."ObsCore" AS "ObsCore"
UNION SELECT "ObsCore"."s_ra" AS "s_ra" FROM "ivoa"."ObsCore" AS "ObsCore"

-- Queries of WITH see those before them.
WITH a AS (SELECT key_id FROM TAP_SCHEMA.keys), b AS (SELECT key_id AS k FROM a) SELECT K FROM b
-- gives
WITH "a" AS (SELECT "keys"."key_id" AS "key_id" FROM "TAP_SCHEMA"."keys" AS "keys"), "b" AS (SELECT "a"."key_id" AS "k" FROM "a" AS "a")
SELECT "b"."k" AS "k" FROM "b" AS "b"

-- Rows are compared by what they show, and keep their regions.
SELECT obs_id FROM (SELECT obs_id, s_region FROM ivoa.ObsCore EXCEPT SELECT obs_id, s_region FROM ivoa.ObsCore WHERE s_ra > 1) AS u WHERE CONTAINS(POINT(1, 2), s_region) = 1
-- gives
SELECT "u"."obs_id" AS "obs_id" FROM (SELECT "_r"."obs_id" AS "obs_id", "_r"."s_region" AS "s_region", "_r"."_1_region" AS "_1_region", "_r"."_1_x0"
AS "_1_x0", "_r"."_1_y0" AS "_1_y0", "_r"."_1_z0" AS "_1_z0", "_r"."_1_x1" AS "_1_x1", "_r"."_1_y1" AS "_1_y1", "_r"."_1_z1" AS "_1_z1" FROM (SELECT
"_s"."obs_id" AS "obs_id", "_s"."s_region" AS "s_region", "_s"."_1_region" AS "_1_region", "_s"."_1_x0" AS "_1_x0", "_s"."_1_y0" AS "_1_y0",
"_s"."_1_z0" AS "_1_z0", "_s"."_1_x1" AS "_1_x1", "_s"."_1_y1" AS "_1_y1", "_s"."_1_z1" AS "_1_z1", "_s"."_side" AS "_side", ROW_NUMBER() OVER
(PARTITION BY "_s"."obs_id", "_s"."s_region", "_s"."_side" ORDER BY "_s"."_side" ASC) AS "_place", SUM("_s"."_side") OVER (PARTITION BY "_s"."obs_id",
"_s"."s_region") AS "_others" FROM (SELECT "_a"."obs_id" AS "obs_id", "_a"."s_region" AS "s_region", "_a"."_1_region" AS "_1_region", "_a"."_1_x0" AS
"_1_x0", "_a"."_1_y0" AS "_1_y0", "_a"."_1_z0" AS "_1_z0", "_a"."_1_x1" AS "_1_x1", "_a"."_1_y1" AS "_1_y1", "_a"."_1_z1" AS "_1_z1", 0 AS "_side"
FROM (SELECT "ObsCore"."obs_id" AS "obs_id", "ObsCore"."s_region" AS "s_region", "ObsCore"."_region" AS "_1_region", "ObsCore"."_x0" AS "_1_x0",
"ObsCore"."_y0" AS "_1_y0", "ObsCore"."_z0" AS "_1_z0", "ObsCore"."_x1" AS "_1_x1", "ObsCore"."_y1" AS "_1_y1", "ObsCore"."_z1" AS "_1_z1" FROM
"ivoa"."ObsCore" AS "ObsCore") AS "_a" UNION ALL SELECT "_b"."obs_id" AS "obs_id", "_b"."s_region" AS "s_region", CAST(NULL AS BLOB) AS "_1_region",
CAST(NULL AS DOUBLE) AS "_1_x0", CAST(NULL AS DOUBLE) AS "_1_y0", CAST(NULL AS DOUBLE) AS "_1_z0", CAST(NULL AS DOUBLE) AS "_1_x1", CAST(NULL AS
DOUBLE) AS "_1_y1", CAST(NULL AS DOUBLE) AS "_1_z1", 1 AS "_side" FROM (SELECT "ObsCore"."obs_id" AS "obs_id", "ObsCore"."s_region" AS "s_region" FROM
"ivoa"."ObsCore" AS "ObsCore" WHERE "ObsCore"."s_ra" > 1) AS "_b") AS "_s") AS "_r" WHERE "_r"."_side" = 0 AND "_r"."_place" = 1 AND "_r"."_others" =
0) AS "u" WHERE (0.9992386149554726e0 <= "u"."_1_x1" AND 0.9992386149554926e0 >= "u"."_1_x0" AND 0.01744177490282016e0 <= "u"."_1_y1" AND
0.017441774902840157e0 >= "u"."_1_y0" AND 0.03489949670249097e0 <= "u"."_1_z1" AND 0.03489949670251097e0 >= "u"."_1_z0" AND CASE WHEN
0.9992386149554726e0 <= "u"."_1_x1" AND 0.9992386149554926e0 >= "u"."_1_x0" AND 0.01744177490282016e0 <= "u"."_1_y1" AND 0.017441774902840157e0 >=
"u"."_1_y0" AND 0.03489949670249097e0 <= "u"."_1_z1" AND 0.03489949670251097e0 >= "u"."_1_z0" THEN
VO_CONTAINS(UNHEX('2e000000000000f03f0000000000000040'), "u"."_1_region") END)
