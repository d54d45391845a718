"""Who answers, and about what data: from configurations to DataOrigin."""

from __future__ import annotations

__all__ = ["build_origins"]

from collections.abc import Mapping, Sequence
from typing import Literal

from .. import __version__
from ..config import DatasetOrigin, RepositoryConfig, ServiceConfig
from ..dali import DataOrigin
from ._export import stored_origin

type Protocol = Literal["tap", "sia", "datalink"]
"""The services whose answers are tables."""


def build_origins(
    config: ServiceConfig, served: Sequence[tuple[str, RepositoryConfig, Mapping[str, str]]]
) -> dict[Protocol, DataOrigin]:
    """Put together what each service tells in its answers.

    Parameters
    ----------
    config
        The configuration of the services.
    served
        Of each repository its label, its part of the configuration, and what
        its store says of itself.

    Returns
    -------
    origins : `dict` [`Protocol`, `~lsst.dax.vo.dali.DataOrigin`]
        What the configuration of the services does not say of a repository,
        that of its exporter may.
    """
    publisher, datasets = config.publisher, {}
    for label, entry, properties in served:
        stored = stored_origin(properties)
        publisher = publisher or (stored.publisher if stored else "")
        datasets[label] = _together(entry.origin, stored)
    protocols: tuple[Protocol, ...] = ("tap", "sia", "datalink")
    return {
        name: DataOrigin(
            publisher,
            config.contact,
            f"lsst-dax-vo/{__version__}",
            config.service_ivoids.get(name, ""),
            datasets,
        )
        for name in protocols
    }


def _together(first: DatasetOrigin, second: DatasetOrigin | None) -> tuple[tuple[str, str], ...]:
    said = first.items()
    names = {name for name, _ in said}
    more = () if second is None else tuple(item for item in second.items() if item[0] not in names)
    order = list(DatasetOrigin.model_fields)
    return tuple(sorted((*said, *more), key=lambda item: order.index(item[0])))
