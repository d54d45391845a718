-- USING merges its columns.
SELECT key_id, from_table FROM TAP_SCHEMA.keys JOIN TAP_SCHEMA.key_columns USING (key_id)
-- gives
SELECT "keys"."key_id" AS "key_id", "keys"."from_table" AS "from_table"
FROM "TAP_SCHEMA"."keys" AS "keys"
JOIN "TAP_SCHEMA"."key_columns" AS "key_columns" ON "keys"."key_id" = "key_columns"."key_id"

-- The merged column of a right join is that of the right table.
SELECT key_id FROM TAP_SCHEMA.keys k RIGHT OUTER JOIN TAP_SCHEMA.key_columns c USING (key_id)
-- gives
SELECT "c"."key_id" AS "key_id"
FROM "TAP_SCHEMA"."keys" AS "k"
RIGHT JOIN "TAP_SCHEMA"."key_columns" AS "c" ON "k"."key_id" = "c"."key_id"

-- That of a full join is whichever there is.
SELECT key_id FROM TAP_SCHEMA.keys k FULL JOIN TAP_SCHEMA.key_columns c USING (key_id)
-- gives
SELECT CAST(COALESCE("k"."key_id", "c"."key_id") AS TEXT) AS "key_id"
FROM "TAP_SCHEMA"."keys" AS "k"
FULL JOIN "TAP_SCHEMA"."key_columns" AS "c" ON "k"."key_id" = "c"."key_id"

-- NATURAL, and its columns in a star.
SELECT * FROM TAP_SCHEMA.key_columns NATURAL JOIN (SELECT key_id, from_table FROM TAP_SCHEMA.keys) AS k
-- gives
SELECT "key_columns"."key_id" AS "key_id", "key_columns"."from_column" AS "from_column", "key_columns"."target_column" AS "target_column", "k"."from_table" AS "from_table"
FROM "TAP_SCHEMA"."key_columns" AS "key_columns"
JOIN (SELECT "keys"."key_id" AS "key_id", "keys"."from_table" AS "from_table" FROM "TAP_SCHEMA"."keys" AS "keys") AS "k" ON "key_columns"."key_id" = "k"."key_id"

-- Joins inside parentheses.
SELECT a.key_id FROM TAP_SCHEMA.schemas s, (TAP_SCHEMA.keys a LEFT JOIN TAP_SCHEMA.key_columns b ON a.key_id = b.key_id)
-- gives
SELECT "a"."key_id" AS "key_id"
FROM "TAP_SCHEMA"."schemas" AS "s", ("TAP_SCHEMA"."keys" AS "a" LEFT JOIN "TAP_SCHEMA"."key_columns" AS "b" ON "a"."key_id" = "b"."key_id")
