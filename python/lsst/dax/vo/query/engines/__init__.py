"""What runs plans, one file for each database."""

__all__: list[str] = []
