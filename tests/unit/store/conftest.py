"""Where a store in a folder can be."""

from pathlib import Path

import pytest

from lsst.dax.vo.store import StoreLocation


@pytest.fixture
def folder(tmp_path: Path) -> StoreLocation:
    """Return a place in a folder whose name has a quote in it."""
    return StoreLocation(tmp_path / "its store's")
