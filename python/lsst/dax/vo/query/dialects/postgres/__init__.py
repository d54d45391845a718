"""Planned trees as SQL of PostgreSQL."""

from ._render import UNSUPPORTED, render

__all__ = ["UNSUPPORTED", "render"]
