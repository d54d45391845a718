"""Copies of a repository, made by the Butler, whose files are in any kind of store."""

from __future__ import annotations

__all__ = ["copy_repository", "ingest_in_place"]

from collections.abc import Iterable, Mapping
from pathlib import Path
from uuid import UUID

from lsst.daf.butler import (  # type: ignore[attr-defined]  # CollectionType is not in its __all__
    Butler,
    CollectionType,
    Config,
    DatasetRef,
    FileDataset,
)


def copy_repository(
    source: Path,
    target: Path,
    wanted: Iterable[UUID],
    *,
    root: str | None = None,
    registry: str | None = None,
) -> None:
    """Make a repository with datasets of another, under the same identifiers.

    Parameters
    ----------
    source
        The other repository.
    target
        Folder of the new one, which does not exist.
    wanted
        Identifiers of the datasets.
    root
        Where their files are copied to; by default its folder.
    registry
        URL of the database of its registry; by default SQLite in its folder.
    """
    with _make(source, target, root, registry) as copy, Butler.from_config(str(source)) as butler:
        refs = _find(butler, wanted)
        copy.transfer_from(
            butler, refs, transfer="copy", register_dataset_types=True, transfer_dimensions=True
        )
        _chain(copy, refs)


def ingest_in_place(source: Path, target: Path, urls: Mapping[UUID, str]) -> None:
    """Make a repository that leads to files where they are, outside of its datastore.

    Parameters
    ----------
    source
        Repository that has the datasets.
    target
        Folder of the new one, which does not exist.
    urls
        Of each dataset where its file is.
    """
    with _make(source, target, None, None) as copy, Butler.from_config(str(source)) as butler:
        refs = _find(butler, urls)
        for ref in refs:
            copy.registry.registerDatasetType(ref.datasetType)
            copy.collections.register(ref.run)
        copy.transfer_dimension_records_from(butler, refs)
        copy.ingest(*(FileDataset(urls[ref.id], ref) for ref in refs), transfer="direct")
        _chain(copy, refs)


def _make(source: Path, target: Path, root: str | None, registry: str | None) -> Butler:
    config = Config()
    known = Config(str(source / "butler.yaml"))
    if "datastore.formatters" in known:
        config["datastore", "formatters"] = known["datastore", "formatters"]
    if root is not None:
        config["datastore", "root"] = root
    if registry is not None:
        config["registry", "db"] = registry
    Butler.makeRepo(str(target), config=config, forceConfigRoot=root is None)
    return Butler.from_config(str(target), writeable=True)


def _find(butler: Butler, wanted: Iterable[UUID]) -> list[DatasetRef]:
    refs = [butler.get_dataset(uuid, dimension_records=True) for uuid in wanted]
    return [ref for ref in refs if ref is not None]


def _chain(butler: Butler, refs: Iterable[DatasetRef]) -> None:
    runs = list(dict.fromkeys(ref.run for ref in refs))
    butler.collections.register("all", CollectionType.CHAINED)
    butler.collections.redefine_chain("all", runs)
