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
