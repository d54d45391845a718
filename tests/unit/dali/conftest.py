"""Where the schemas of the IVOA can be had."""

import shutil

import pytest


@pytest.fixture(scope="session")
def stilts() -> str:
    """Path of STILTS, which bundles all schemas of the IVOA."""
    path = shutil.which("stilts")
    if path is None:
        pytest.skip("stilts is not installed (Debian package 'stilts'); it holds the IVOA schemas")
    return path
