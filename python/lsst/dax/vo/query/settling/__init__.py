"""Geometry for a database that cannot do it, found out before a query runs."""

__all__: list[str] = []
