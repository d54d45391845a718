"""What is wrong with a configuration, said all at once."""

__all__: list[str] = []
