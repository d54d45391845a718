"""The paths of each service, one module a protocol."""

__all__: list[str] = []
