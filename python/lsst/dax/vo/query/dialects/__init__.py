"""How databases say what plans mean."""

__all__: list[str] = []
