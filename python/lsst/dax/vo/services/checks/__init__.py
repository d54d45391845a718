"""What is wrong with a configuration, a store or a running service."""

__all__: list[str] = []
