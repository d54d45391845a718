"""Optional features of ADQL, and texts that name datasets."""

from __future__ import annotations

__all__ = ["EngineFeatureTests"]

import uuid
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from lsst.sphgeom import LonLat, Region, UnitVector3d

from ...dali import Column, arrow_type
from ...query import Engine, plan_query
from ...query._udfs import healpix_center, healpix_index
from ...store import open_store, open_writer
from .._adql_features import ADQL_FEATURES
from ._case import ENGINE_COLUMNS, EngineCase, Open, Place, engine_rows

# How a predicate can be compared so that only 1 passes, or only 0.
_YES = (
    "{} = 1",
    "1 = {}",
    "{} <> 0",
    "0 != {}",
    "{} > 0",
    "1 <= {}",
    "NOT ({} = 0)",
    "NOT {} < 1",
    "({}) = (1)",
)
_NO = (
    "{} = 0",
    "0 = {}",
    "{} <> 1",
    "1 != {}",
    "{} < 1",
    "0 >= {}",
    "NOT ({} = 1)",
    "NOT {} > 0",
    "{} IN (0)",
)
_PREDICATES = (
    "CONTAINS(POINT(10, 20), s_region)",
    "CONTAINS(s_region, CIRCLE(10.2, 20, 0.8))",
    "CONTAINS(POINT(s_ra, s_dec), CIRCLE(10, 20, 0.1))",
    "CONTAINS(CIRCLE(10, 20, 0.1), CIRCLE(s_ra, s_dec, 0.3))",
    "INTERSECTS(BOX(10, 20, 1, 1), s_region)",
    "INTERSECTS(s_region, POLYGON(9, 19, 10.1, 19, 10.1, 21, 9, 21))",
    "INTERSECTS(CIRCLE(s_ra, s_dec, 0.3), REGION('CIRCLE ICRS 10 20 0.1'))",
    "INTERSECTS(s_region, POINT(s_ra, 20))",
    "CONTAINS(CENTROID(s_region), CIRCLE(0, 0, 1))",
)
_TYPES = (
    Column("name", "unicodeChar", arraysize="*"),
    Column("small", "unsignedByte"),
    Column("when", "char", arraysize="*", xtype="timestamp"),
    Column("angle", "float", unit="mas"),
    Column("spot", "double", arraysize="2", xtype="point"),
    Column("disk", "double", arraysize="3", xtype="circle"),
    Column("shape", "double", arraysize="*", xtype="polygon"),
    Column("outline", "char", arraysize="*", xtype="adql:REGION"),
    Column("odd name", "int"),
)
_UPLOAD = (
    ("ä", 1, "2021-01-14T11:25:00", 1500.0, [7.0, 7.0], [7.0, 7.0, 1.0], [6.0, 6.0, 8.0, 6.0, 7.0, 8.0],
     "CIRCLE ICRS 7 7 0.5", 1),
    ("Z", 200, "2021-01-14T11:25:00.250", 2.5, [9.0, 9.0], [9.0, 9.0, 0.1], [8.5, 8.5, 9.5, 8.5, 9.0, 9.5],
     "POLYGON ICRS 8 8 10 8 9 10", 2),
    (None, None, None, None, None, None, None, None, None),
)  # fmt: skip


class EngineFeatureTests(EngineCase):
    """What capabilities declare works, and whatever comes in from outside."""

    @pytest.mark.parametrize("form", ADQL_FEATURES)
    def test_declared_feature_works(self, adql_engine: Engine, form: str) -> None:
        """Each with a query that needs it."""
        query, expected = ADQL_FEATURES[form]
        plan = plan_query(query, adql_engine.catalog)
        batches = list(adql_engine.run(plan, maxrec=None).batches)
        found = [
            row for batch in batches for row in zip(*(c.to_pylist() for c in batch.columns), strict=True)
        ]
        assert found == expected
        assert all(batch.schema.types == [arrow_type(column) for column in plan.columns] for batch in batches)

    @pytest.mark.parametrize("predicate", _PREDICATES)
    def test_predicate_is_compared_in_any_way(self, adql_engine: Engine, predicate: str) -> None:
        """Each way of asking for one value finds the same rows."""
        query = f"SELECT obs_id, {predicate} AS v FROM ivoa.ObsCore ORDER BY obs_id"
        values = {row["obs_id"]: row["v"] for row in engine_rows(adql_engine, query)}
        assert {0, 1, None} == set(values.values())
        for value, forms in ((1, _YES), (0, _NO)):
            expected = [name for name, found in values.items() if found == value]
            for form in forms:
                query = f"SELECT obs_id FROM ivoa.ObsCore WHERE {form.format(predicate)} ORDER BY obs_id"
                assert [row["obs_id"] for row in engine_rows(adql_engine, query)] == expected, form

    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            ("\"when\" = '2021-01-14 11:25:00Z'", [1]),
            ("\"when\" > '2021-01-14T11:25'", [2]),
            ("\"when\" IN ('2021-01-14T11:25:00.25', '2020-01-01')", [2]),
            ("\"when\" BETWEEN '2021-01-14' AND '2021-01-14T11:25:00.1'", [1]),
            ("'2021-01-15' >= \"when\"", [1, 2]),
            ("ivo_to_mjd(\"when\") < ivo_to_mjd('2021-01-14T11:25:00.1')", [1]),
            ("IN_UNIT(angle, 'arcsec') = 1.5", [1]),
            ("small + small > 255", [2]),
            ("LOWER(name) = 'z'", [2]),
            # Letters that become two, and one that is another at the end of a word.
            ("UPPER('stra\u00dfe' || name || '\u1e96') = 'STRASSE\u00c4H\u0331'", [1]),
            ("LOWER('\u039f\u0394\u039f\u03a3 ' || name) = '\u03bf\u03b4\u03bf\u03c2 z'", [2]),
            ("name ILIKE 'Ä'", [1]),
            ("CONTAINS(spot, CIRCLE(7, 7, 0.1)) = 1", [1]),
            ("COORD1(spot) > 8", [2]),
            ("CONTAINS(POINT(7.9, 7), disk) = 1", [1]),
            ("ROUND(AREA(disk), 3) = 3.142", [1]),
            ("CONTAINS(POINT(9, 9), shape) = 1", [2]),
            ("AREA(shape) < 1", [2]),
            ("CONTAINS(CENTROID(shape), CIRCLE(7, 6.67, 0.1)) = 1", [1]),
            ("CONTAINS(spot, outline) = 1", [1, 2]),
            ("CONTAINS(outline, CIRCLE(7, 7, 1)) = 1", [1]),
            ("AREA(outline) > 1", [2]),
            ("\"odd name\" = '2'", [2]),
        ],
    )
    def test_columns_of_an_upload(self, adql_engine: Engine, condition: str, expected: list[int]) -> None:
        """Of all types that ADQL knows."""
        cells = zip(*_UPLOAD, strict=True)
        sent = pa.table(
            {
                column.name: pa.array(list(values), arrow_type(column))
                for column, values in zip(_TYPES, cells, strict=True)
            }
        )
        query = f'SELECT "odd name" AS n FROM TAP_UPLOAD.mine WHERE {condition} ORDER BY n'
        found = engine_rows(adql_engine, query, uploads={"mine": (_TYPES, sent)})
        assert [row["n"] for row in found] == expected

    @pytest.mark.parametrize("shape", ["POINT(p.x, p.y)", "CIRCLE(p.x, p.y, 0.3)", "CIRCLE(p.x, p.y, p.z)"])
    def test_positions_of_a_subquery_are_joined(
        self, region_engine: Engine, regions: list[Region | None], shape: str
    ) -> None:
        """As all pairs have it, each pair once."""
        dice = np.random.default_rng(5)
        lon = np.concatenate([dice.uniform(-10, 40, 60), dice.uniform(0, 360, 60), [0, 2.5, 10, 400]])
        lat = np.concatenate([dice.uniform(-10, 40, 60), dice.uniform(-90, 90, 60), [0, 2.5, 10, 10]])
        columns = (Column("i", "int"), Column("x", "double"), Column("y", "double"), Column("z", "double"))
        positions = pa.table(
            {
                "i": pa.array(range(len(lon)), pa.int32()),
                "x": pa.array([*lon[:-1], None]),
                "y": lat,
                "z": dice.uniform(0, 1, len(lon)),
            }
        )
        predicate = "CONTAINS" if shape.startswith("POINT") else "INTERSECTS"
        query = (
            "WITH p AS (SELECT i, x, y, z FROM TAP_UPLOAD.mine) SELECT p.i, o.obs_id FROM p {} "
            f"ON {predicate}({shape}, o.s_region) = {{}} WHERE o.s_dec > -1000 ORDER BY p.i, o.obs_id"
        )
        sent = {"mine": (columns, positions)}
        found = engine_rows(region_engine, query.format("JOIN ivoa.ObsCore AS o", 1), uploads=sent)
        assert len(found) == len({tuple(row.values()) for row in found})
        others = (
            query.format("LEFT JOIN ivoa.ObsCore AS o", 1),
            query.format("JOIN ivoa.ObsCore AS o", "1 OR 1 = 2").replace(" OR 1 = 2", " OR o.s_dec > 1000"),
        )
        for other in others:
            assert engine_rows(region_engine, other, uploads=sent) == found
        apart = engine_rows(region_engine, query.format("JOIN ivoa.ObsCore AS o", 0), uploads=sent)
        known = sum(region is not None and not region.getBoundingBox3d().isEmpty() for region in regions)
        assert len(found) + len(apart) == (len(lon) - 1) * known
        if shape.startswith("POINT"):
            vectors = [
                UnitVector3d(LonLat.fromDegrees(*place)) for place in zip(lon[:-1], lat[:-1], strict=True)
            ]
            expected = [
                (place, f"{number:04}")
                for place, vector in enumerate(vectors)
                for number, region in enumerate(regions)
                if region is not None and region.contains(vector)
            ]
            assert [tuple(row.values()) for row in found] == expected

    @pytest.mark.parametrize("order", [0, 1, 6, 13, 29])
    def test_pixels_of_positions(self, adql_engine: Engine, order: int) -> None:
        """Also on the sides and corners of pixels, where one bit decides."""
        dice = np.random.default_rng(order)
        steps = np.concatenate([np.arange(-360, 721, 11.25), dice.uniform(-400, 800, 400)])
        lines = np.concatenate(
            [
                [-90, -45, 0, 30, 45, 60, 90, 41.810314895778596, -41.810314895778596, 66.44353569089876],
                np.degrees(np.arcsin(dice.uniform(-1, 1, 20))),
            ]
        )
        lon, lat = (pa.array(part.ravel()) for part in np.meshgrid(steps, lines))
        columns = (Column("lon", "double"), Column("lat", "double"), Column("i", "int"))
        table = pa.table({"lon": lon, "lat": lat, "i": pa.array(range(len(lon)), pa.int32())})
        query = (
            f"SELECT i, ivo_healpix_index({order}, lon, lat) AS p, "
            f"ivo_healpix_center({order}, ivo_healpix_index({order}, lon, lat)) AS c "
            "FROM TAP_UPLOAD.mine ORDER BY i"
        )
        found = engine_rows(adql_engine, query, uploads={"mine": (columns, table)})
        orders = pa.array([order] * len(lon), pa.int64())
        pixels = healpix_index(orders, lon, lat)
        assert [row["p"] for row in found] == pixels.to_pylist()
        assert [row["c"] for row in found] == healpix_center(orders, pixels).to_pylist()

    @pytest.mark.parametrize(
        "form",
        [
            "ivo://x/y?repo=a&id={id}",
            "{id}",
            "ivo://x/y",
            None,
            "ivo://x/{id}/{id}",
            # With a part of the identifier these make another one.
            "00000000-0000-0000-0000-0000{id}",
            "{id}-0000-0000-0000-000000000001",
            "00000000-0000-0000-0000-000000000001?{id}",
        ],
    )
    def test_texts_that_name_datasets_are_only_texts(
        self, place: Place, open_on: Open, form: str | None
    ) -> None:
        """A look-up by identifier finds what a comparison of the texts does."""
        location = place("a")
        with open_writer(
            location, columns=ENGINE_COLUMNS, properties={}, formatted=["obs_publisher_did", "access_url"]
        ) as writer:
            cells: list[dict[str, Any]] = [
                {
                    "obs_id": str(number),
                    "obs_publisher_did": None if number == 3 else form,
                    "access_url": "https://x.org/{id}",
                    "_repo": "a",
                    "_id": uuid.UUID(int=number).bytes,
                    "_print": 0,
                }
                for number in range(20)
            ]
            writer.write(pa.RecordBatch.from_pylist(cells, writer.schema))
        engine = open_on(open_store(location))
        base_url = "https://vo.example.org"
        shown = engine_rows(
            engine, "SELECT obs_id, obs_publisher_did, access_url FROM ivoa.ObsCore", base_url=base_url
        )
        texts = [row[name] for row in shown for name in ("obs_publisher_did", "access_url") if row[name]]
        chosen = sorted(set(texts))[:4] + [text.upper() for text in texts[:2]] + [f"{texts[0]}x", "x"]
        ids = [str(uuid.UUID(int=number)) for number in (0, 1, 7, 99)]
        for column in ("obs_publisher_did", "access_url"):
            conditions = [f"{{}} = '{text}'" for text in chosen]
            conditions += [f"'{text}' = {{}} AND s_ra IS NULL" for text in chosen[:2]]
            conditions += [f"{{}} LIKE '%{own}'" for own in ids]
            conditions += [f"{{}} ILIKE '%{own.upper()}%' OR {{}} = 'x'" for own in ids]
            conditions += [
                "{} IN ({})".format("{}", ", ".join(f"'{text}'" for text in chosen)),
                f"NOT ({{}} = '{chosen[0]}')",
                f"({{}} LIKE '%{ids[1]}%' OR obs_id = '5') AND {{}} <> 'x'",
                f"{{}} LIKE '%{ids[1]}%{ids[2]}%'",
                f"{{}} LIKE '{ids[1][:35]}_'",
            ]
            for condition in conditions:
                rows = []
                # Beside nothing, a text is none that is looked up.
                for name in (column, f"{column} || ''"):
                    query = f"SELECT obs_id FROM ivoa.ObsCore WHERE {condition.replace('{}', name)}"
                    rows.append(
                        sorted(row["obs_id"] for row in engine_rows(engine, query, base_url=base_url))
                    )
                assert rows[0] == rows[1], condition
