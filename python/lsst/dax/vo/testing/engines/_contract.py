"""The whole contract of engines."""

from __future__ import annotations

__all__ = ["EngineTests"]

from ._adql import EngineAdqlTests
from ._features import EngineFeatureTests
from ._limits import EngineLimitTests
from ._regions import EngineRegionTests
from ._tables import EngineTableTests
from ._uploads import EngineUploadTests


class EngineTests(
    EngineAdqlTests,
    EngineFeatureTests,
    EngineRegionTests,
    EngineTableTests,
    EngineUploadTests,
    EngineLimitTests,
):
    """The contract of engines; subclass it and give what raises `NotImplementedError`."""
