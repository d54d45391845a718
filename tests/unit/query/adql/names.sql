-- Tables and columns come out in the spelling of the catalog.
SELECT obs_id, S_RA FROM IVOA.obscore WHERE ivoa.ObsCore.calib_level > 1
-- gives
SELECT "ObsCore"."obs_id" AS "obs_id", "ObsCore"."s_ra" AS "s_ra"
FROM "ivoa"."ObsCore" AS "ObsCore"
WHERE "ObsCore"."calib_level" > 1

-- Three-part names, in any case.
SELECT tap_schema.tables.table_name FROM tap_schema.tables WHERE tap_schema.tables.schema_name = 'ivoa'
-- gives
SELECT "tables"."table_name" AS "table_name"
FROM "TAP_SCHEMA"."tables" AS "tables"
WHERE "tables"."schema_name" = 'ivoa'

-- An alias hides the name of its table.
SELECT o.obs_id "My Id", o.s_ra AS x FROM ivoa.ObsCore AS o
-- gives
SELECT "o"."obs_id" AS "My Id", "o"."s_ra" AS "x"
FROM "ivoa"."ObsCore" AS "o"

-- Reserved names are found in quotes.
SELECT "size" FROM TAP_SCHEMA.columns
-- gives
SELECT "columns"."size" AS "size"
FROM "TAP_SCHEMA"."columns" AS "columns"

-- Names of outputs differ.
SELECT a.key_id, b.key_id, 1, 2 FROM TAP_SCHEMA.keys a, TAP_SCHEMA.key_columns AS b
-- gives
SELECT "a"."key_id" AS "key_id", "b"."key_id" AS "key_id_2", CAST(1 AS INT) AS "col_3", CAST(2 AS INT) AS "col_4"
FROM "TAP_SCHEMA"."keys" AS "a", "TAP_SCHEMA"."key_columns" AS "b"

-- Stars are written out.
SELECT k.*, 'x' AS x FROM TAP_SCHEMA.key_columns AS k
-- gives
SELECT "k"."key_id" AS "key_id", "k"."from_column" AS "from_column", "k"."target_column" AS "target_column", CAST('x' AS TEXT) AS "x"
FROM "TAP_SCHEMA"."key_columns" AS "k"
