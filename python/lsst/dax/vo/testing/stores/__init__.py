"""The contract of stores, by subject."""

__all__: list[str] = []
