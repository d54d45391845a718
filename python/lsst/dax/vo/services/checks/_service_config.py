"""What is wrong with a configuration of the services."""

from __future__ import annotations

__all__ = ["check_service_config", "is_service_config"]

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import yaml

from ...config import LinksConfig, RepositoryConfig, ServiceConfig, load_service_config
from ...errors import UsageError, VoError, without_secrets
from ...obscore import Finding, nearest
from ...repo import DatasetKind, open_repository

_PLACE = re.compile(r"\{([^{}]*)\}")
_TYPE_KEYS = ("progenitor", "derivation", "coderived", "calibration", "auxiliary")
_IMAGE_KEYS = ("cutout", "preview", "psf", "mask_planes")
# Beside the names of the data ID.
_NAMES = frozenset({"dataset_type", "run"})


def is_service_config(text: str) -> bool:
    """Tell a configuration of the services from one of the exporter.

    Parameters
    ----------
    text
        YAML.

    Returns
    -------
    is_one : `bool`
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:
        return False
    return isinstance(values, dict) and "repositories" in values


def check_service_config(path: Path) -> tuple[list[Finding], list[str]]:
    """Find what is wrong with a configuration of the services.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    findings : `list` [`~lsst.dax.vo.obscore.Finding`]
        What is wrong.  Names of dataset types are compared with those of the
        repositories.
    notes : `list` [`str`]
        What was looked at.
    """
    try:
        config = load_service_config(path, environment={})
    except UsageError as err:
        problem = str(err).removeprefix(f"{path}: ")
        return [Finding("error", str(path), problem, "see 'All keys' of the page on services")], []
    findings, notes = [], []
    for place, entry in _iter_places(config):
        try:
            with closing(open_repository(entry.repo, label=entry.label)) as repository:
                kinds = repository.dataset_kinds()
        except VoError as err:
            mend = "mend repo, or see whether its registry answers"
            findings.append(Finding("error", f"{place}.repo", str(err), mend))
            continue
        findings += _check_links(f"{place}.links", entry.links, kinds)
        name = without_secrets(entry.repo, entry.repo)
        notes.append(f"{name} opens, and has {len(kinds)} dataset types")
    return findings, notes


def _iter_places(config: ServiceConfig) -> Iterator[tuple[str, RepositoryConfig]]:
    for number, entry in enumerate(config.repositories):
        yield f"repositories.{number}", entry


def _check_links(
    place: str, entries: Mapping[str, LinksConfig], kinds: Mapping[str, DatasetKind]
) -> Iterator[Finding]:
    for pattern, entry in entries.items():
        fitting = [kind for name, kind in kinds.items() if fnmatch.fnmatchcase(name, pattern)]
        if not fitting:
            yield _unknown(place, pattern, kinds)
            continue
        yield from _check_types(f"{place}.{pattern}", entry, kinds)
        yield from _check_description(f"{place}.{pattern}.description", entry.description, fitting)
        if not any(kind.is_image for kind in fitting):
            for key in _IMAGE_KEYS:
                if getattr(entry, key):
                    yield Finding(
                        "warning",
                        f"{place}.{pattern}.{key}",
                        f"{fitting[0].storage_class} is no image, and has none",
                        "leave it out",
                    )


def _check_types(place: str, entry: LinksConfig, kinds: Mapping[str, DatasetKind]) -> Iterator[Finding]:
    for key in _TYPE_KEYS:
        said = getattr(entry, key)
        for pattern in said if isinstance(said, tuple) else ():
            if not any(fnmatch.fnmatchcase(name, pattern) for name in kinds):
                yield _unknown(f"{place}.{key}", pattern, kinds)


def _check_description(place: str, text: str | None, kinds: Sequence[DatasetKind]) -> Iterator[Finding]:
    # What one of several has not stays away from its text.
    known = _NAMES.union(*(kind.dimensions for kind in kinds))
    for name in _PLACE.findall(text or ""):
        if name not in known:
            what = f"{{{name}}} is no name of the data ID of {', '.join(kind.name for kind in kinds[:3])}"
            yield Finding("error", place, what, nearest(name, known))


def _unknown(place: str, pattern: str, kinds: Iterable[str]) -> Finding:
    return Finding("error", place, f"no dataset type fits {pattern!r}", nearest(pattern, kinds))
