"""The contract of engines, by subject."""

__all__: list[str] = []
