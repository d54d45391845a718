"""Planned trees as SQL of DuckDB."""

from ._render import render

__all__ = ["render"]
