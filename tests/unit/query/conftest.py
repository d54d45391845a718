"""A catalog to plan against."""

import pytest

from lsst.dax.vo.obscore import OBSCORE_COLUMNS, RUBIN_COLUMNS
from lsst.dax.vo.query import Catalog, build_catalog


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """Return the table of datasets with the columns of Rubin."""
    columns = {column.name: column for column in (*OBSCORE_COLUMNS, *RUBIN_COLUMNS)}
    return build_catalog(tuple(columns.values()))
