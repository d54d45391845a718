"""Regions on the sphere: their encodings, and exact answers about them."""

__all__: list[str] = []
