"""Datasets become rows: chunks in, Arrow batches out."""

__all__: list[str] = []
