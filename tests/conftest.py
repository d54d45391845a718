"""How long the property tests search, and a database for tests that need one."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from lsst.dax.vo.testing import NoServerError, PostgresServer, running_postgres

# "fast" is for every run; "thorough", for 'bin/dax-vo test all', finds rarer
# cases.  Machines of continuous integration are slow and shared: no deadline.
settings.register_profile("fast", max_examples=60, deadline=None)
settings.register_profile("thorough", max_examples=400, deadline=None)
settings.load_profile(os.environ.get("DAX_VO_HYPOTHESIS", "fast"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Run PostgreSQL with pgSphere; tests are skipped where it is not installed."""
    try:
        with running_postgres() as server:
            yield server
    except NoServerError as err:
        pytest.skip(str(err))


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """Return the URL of an empty database with pgSphere, for one test."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(scope="module")
def postgres_module(postgres_server: PostgresServer) -> Iterator[str]:
    """Return the URL of an empty database with pgSphere, for the tests of a module."""
    with postgres_server.database() as url:
        yield url
