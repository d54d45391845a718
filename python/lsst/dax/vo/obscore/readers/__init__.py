"""Readers of registries: datasets, and all that their rows need."""
