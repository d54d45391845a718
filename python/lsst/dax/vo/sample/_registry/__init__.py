"""Registries of any size without a single file, to measure exports with."""

from ._build import build_registry

__all__ = ["build_registry"]
