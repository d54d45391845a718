"""The engine on DuckDB."""

from ._engine import DuckdbEngine

__all__ = ["DuckdbEngine"]
