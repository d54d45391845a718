"""The ObsCore table that daf_butler keeps in a registry, and where it is."""

from __future__ import annotations

__all__ = ["LiveTable", "find_live_table"]

import json
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
import yaml
from lsst.daf.butler import Butler
from lsst.daf.butler.registry.obscore import ObsCoreLiveTableManager
from lsst.daf.butler.registry.obscore.pgsphere import PgSpherePoint, PgSpherePolygon

from ..errors import UnsupportedError, UsageError
from ._repository import Repository

_EXPORT = "make a store of its own instead: butler vo export REPO STORE"
# Of its configuration, what says how the table is made, which is found in the
# table itself.
_NOT_TOLD = ("spatial_plugins", "indices")


@dataclass(frozen=True, slots=True)
class LiveTable:
    """Where the table is, and what its columns are."""

    conninfo: str = field(repr=False)
    """URL of the registry's database for libpq, perhaps with a password."""

    schema: str
    """Schema of the table."""

    table: str
    """Its name."""

    columns: tuple[str, ...]
    """Names of all its columns."""

    id_column: str
    """The one with the dataset's UUID."""

    region_column: str | None
    """The one with polygons of pgSphere, if there is one."""

    position_column: str | None
    """The one with points of pgSphere, if there is one."""

    config: str
    """Its configuration: YAML of the exporter's form."""


def find_live_table(repository: Repository) -> LiveTable:
    """Find the ObsCore table that daf_butler keeps for a repository.

    Parameters
    ----------
    repository
        The repository.

    Returns
    -------
    table : `LiveTable`

    Raises
    ------
    UsageError
        Raised if the repository has none, or its database does not let it be
        read.
    UnsupportedError
        Raised if the registry is not in PostgreSQL.
    TransientError
        Raised if the registry does not answer.
    """
    with repository.session() as butler:
        return _find(butler, repository.label)


def _find(butler: Butler, label: str) -> LiveTable:
    # The manager itself offers rows as Python objects alone; where they are
    # must be looked up inside.
    manager: Any = butler.registry.obsCoreTableManager
    if not isinstance(manager, ObsCoreLiveTableManager):
        raise UsageError(
            f"The repository {label!r} has no ObsCore table of the Butler's own (registry.managers.obscore "
            f"in its butler.yaml); {_EXPORT}"
        )
    database = manager.db
    url: sqlalchemy.URL = database._engine.url
    if url.get_backend_name() != "postgresql":
        raise UnsupportedError(
            f"The repository {label!r} has its registry in {url.get_backend_name()}, and the Butler's own "
            f"ObsCore table can be served from PostgreSQL alone; {_EXPORT}"
        )
    table = manager.table
    dataset = manager.schema.dataset_fk
    if dataset is None:
        raise AssertionError("a live table has a column for the dataset")
    try:
        with database.query(sqlalchemy.select(table.columns[dataset.name]).limit(0)):
            pass
    except sqlalchemy.exc.ProgrammingError as err:
        reason = str(err.orig).strip().partition("\n")[0]
        raise UsageError(
            f"The registry of {label!r} does not let its table {table.name!r} be read ({reason}); "
            "GRANT SELECT on it to the user, or " + _EXPORT
        ) from err
    kinds = {column.name: column.type for column in table.columns}
    return LiveTable(
        conninfo=url.set(drivername="postgresql").render_as_string(hide_password=False),
        schema=table.schema or str(database.namespace),
        table=table.name,
        columns=tuple(kinds),
        id_column=dataset.name,
        region_column=next((name for name, kind in kinds.items() if isinstance(kind, PgSpherePolygon)), None),
        position_column=next((name for name, kind in kinds.items() if isinstance(kind, PgSpherePoint)), None),
        config=_to_yaml(manager.config_json()),
    )


def _to_yaml(config: str) -> str:
    # JSON has 1e-06, which is a text in YAML.
    values = json.loads(config)
    return yaml.safe_dump(
        {name: value for name, value in values.items() if value is not None and name not in _NOT_TOLD},
        sort_keys=False,
    )
