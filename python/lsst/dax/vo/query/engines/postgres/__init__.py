"""The engine on PostgreSQL."""

from ._engine import PostgresEngine

__all__ = ["PostgresEngine"]
