"""From a tree of ADQL to one that engines can write as SQL."""

__all__: list[str] = []
