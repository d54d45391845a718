"""Datasets become rows: chunks in, Arrow batches out."""
