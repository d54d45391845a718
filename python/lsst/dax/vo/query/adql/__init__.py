"""ADQL: from text to a tree whose names, types and groups are right."""

__all__: list[str] = []
