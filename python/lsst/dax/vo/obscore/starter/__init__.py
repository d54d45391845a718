"""A configuration to start from."""

__all__: list[str] = []
