"""Readers of registries: datasets, and all that their rows need."""

__all__: list[str] = []
