-- Units are factors.
SELECT IN_UNIT(s_fov, 'arcmin') AS a, IN_UNIT(s_ra + s_dec, 'rad') AS b FROM ivoa.ObsCore
-- gives
SELECT CAST(("ObsCore"."s_fov" * 60.0e0) AS DOUBLE) AS "a", CAST((("ObsCore"."s_ra" + "ObsCore"."s_dec") * 0.017453292519943295e0) AS DOUBLE) AS "b"
FROM "ivoa"."ObsCore" AS "ObsCore"

-- Texts of geometries are numbers, at once or when they are read.
SELECT CAST('10 -20' AS POINT) AS p, CAST(obs_id AS CIRCLE) AS c FROM ivoa.ObsCore
-- gives
SELECT CASE WHEN NOT 10 IS NULL AND NOT -20 IS NULL THEN [CAST(10 AS DOUBLE), CAST(-20 AS DOUBLE)] END AS "p", CASE WHEN
LEN(STRING_SPLIT_REGEX(TRIM("ObsCore"."obs_id"), '\s+')) IS NULL OR LEN(STRING_SPLIT_REGEX(TRIM("ObsCore"."obs_id"), '\s+')) = 3 THEN
CAST(STRING_SPLIT_REGEX(TRIM("ObsCore"."obs_id"), '\s+') AS DOUBLE[]) ELSE CAST(ERROR("ObsCore"."obs_id" || ' is no CIRCLE') AS DOUBLE[]) END AS "c"
FROM "ivoa"."ObsCore" AS "ObsCore"

-- Times are compared in one form.
SELECT obs_id FROM ivoa.ObsCore WHERE CAST(obs_id AS TIMESTAMP) >= '2021-01-14 11:25Z' AND '2021-01-14' < CAST(obs_id AS TIMESTAMP)
-- gives
SELECT "ObsCore"."obs_id" AS "obs_id" FROM "ivoa"."ObsCore" AS "ObsCore" WHERE REPLACE(STRFTIME(CAST("ObsCore"."obs_id" AS TIMESTAMP),
'%Y-%m-%dT%H:%M:%S.%f'), '.000000', '') >= '2021-01-14T11:25:00' AND '2021-01-14T00:00:00' < REPLACE(STRFTIME(CAST("ObsCore"."obs_id" AS TIMESTAMP),
'%Y-%m-%dT%H:%M:%S.%f'), '.000000', '')

-- User-defined functions.
SELECT ivo_hasword(obs_id, 'x') AS a, ivo_nocasematch(obs_id, 'x%') AS b, ivo_hashlist_has(obs_id, 'x') AS c, ivo_interval_overlaps(1, s_ra, 2, 3 + 4) AS d, ivo_to_mjd('2021-01-14') AS e FROM ivoa.ObsCore
-- gives
SELECT CAST(CAST((CONTAINS(REGEXP_REPLACE(' ' || VO_LOWER("ObsCore"."obs_id") || ' ', '[\t\n\r -/:-@\[-`{-~]+', ' ', 'g'), REGEXP_REPLACE(' ' ||
VO_LOWER('x') || ' ', '[\t\n\r -/:-@\[-`{-~]+', ' ', 'g'))) AS INT) AS INT) AS "a", CAST(CAST(("ObsCore"."obs_id" ILIKE 'x%') AS INT) AS INT) AS "b",
CAST(CAST((CONTAINS('#' || VO_LOWER("ObsCore"."obs_id") || '#', '#' || VO_LOWER('x') || '#')) AS INT) AS INT) AS "c", CAST(CAST((1 <= (3 + 4) AND 2 <=
"ObsCore"."s_ra") AS INT) AS INT) AS "d", CAST((CAST(EPOCH_US(CAST('2021-01-14T00:00:00' AS TIMESTAMP)) AS DOUBLE) / 86400000000.0e0 + 40587.0e0) AS
DOUBLE) AS "e" FROM "ivoa"."ObsCore" AS "ObsCore"

-- HEALPix, of numbers or a point.
SELECT ivo_healpix_index(6, POINT(s_ra, s_dec)) AS i, COORD2(ivo_healpix_center(6, 5)) AS c FROM ivoa.ObsCore
-- gives
SELECT CAST(VO_HEALPIX_INDEX(CAST(6 AS BIGINT), CAST("ObsCore"."s_ra" AS DOUBLE), CAST("ObsCore"."s_dec" AS DOUBLE)) AS BIGINT) AS "i",
CAST(LIST_EXTRACT(VO_HEALPIX_CENTER(CAST(6 AS BIGINT), CAST(5 AS BIGINT)), 2) AS DOUBLE) AS "c" FROM "ivoa"."ObsCore" AS "ObsCore"

-- Texts in their order, each once.
SELECT ivo_string_agg(DISTINCT obs_id, ', ') AS t FROM ivoa.ObsCore
-- gives
SELECT CAST(STRING_AGG(DISTINCT "ObsCore"."obs_id", ', ' ORDER BY "ObsCore"."obs_id" ASC) AS TEXT) AS "t" FROM "ivoa"."ObsCore" AS "ObsCore"
