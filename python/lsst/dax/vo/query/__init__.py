"""Queries of the ObsCore table: ADQL and searches, plans, engines."""

from ._catalog import FOREIGN_KEYS, OBSCORE_TABLE, TAP_SCHEMA, Catalog, Schema, build_catalog, tap_schema_rows
from ._constraints import Between, Constraint, HasState, Identified, Intersects, OneOf, Overlaps, Within
from ._engine import Engine, open_engine
from ._limit import limit_rows
from ._plan import PASSES, Plan, plan_query, render_sql
from ._search import Search, plan_extents, plan_search
from .adql._functions import FEATURES
from .adql._parse import parse_adql

__all__ = [
    "FEATURES",
    "FOREIGN_KEYS",
    "OBSCORE_TABLE",
    "PASSES",
    "TAP_SCHEMA",
    "Between",
    "Catalog",
    "Constraint",
    "Engine",
    "HasState",
    "Identified",
    "Intersects",
    "OneOf",
    "Overlaps",
    "Plan",
    "Schema",
    "Search",
    "Within",
    "build_catalog",
    "limit_rows",
    "open_engine",
    "parse_adql",
    "plan_extents",
    "plan_query",
    "plan_search",
    "render_sql",
    "tap_schema_rows",
]
