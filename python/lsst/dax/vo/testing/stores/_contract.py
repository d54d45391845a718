"""The whole contract of stores."""

from __future__ import annotations

__all__ = ["StoreTests"]

from ._updating import StoreUpdaterTests
from ._writing import StoreWriterTests


class StoreTests(StoreWriterTests, StoreUpdaterTests):
    """The contract of stores; subclass it and give what raises `NotImplementedError`."""
