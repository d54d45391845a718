"""Templates that name what is not there."""

from __future__ import annotations

__all__ = ["check_templates"]

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import UsageError
from .._config import DatasetTypeConfig, ExtraColumn, ObscoreConfig
from ..rows._templates import Template
from ._facts import HeldType, RepositoryFacts, Universe
from ._findings import Finding, error, nearest, warning
from ._yaml import Places

_RECORD = re.compile(r"records\[([^\]]*)\]")
_ATTRIBUTE = re.compile(r"records\[([^\]]*)\]\.([A-Za-z_]\w*)")
# Dimensions that most datasets do not have, and that nobody misspells.
_PIXELS = re.compile(r"(healpix|htm)\d+")
_OWN = frozenset({"id", "run", "dataset_type"})
_CONSTANTS = (
    "dataproduct_type",
    "dataproduct_subtype",
    "o_ucd",
    "calib_level",
    "obs_collection",
    "access_format",
)


@dataclass(frozen=True, slots=True)
class _Names:
    """What the templates of a dataset type may name."""

    plain: frozenset[str]
    records: frozenset[str]


def check_templates(
    config: ObscoreConfig, places: Places, universe: Universe, facts: RepositoryFacts | None
) -> Iterator[Finding]:
    """Find what is wrong with all templates.

    Parameters
    ----------
    config
        The configuration.
    places
        Where its keys are.
    universe
        What templates may name at all.
    facts
        What the repository has, if there is one.

    Yields
    ------
    finding : `Finding`
    """
    for name, kind in config.dataset_types.items():
        if facts is not None and name not in facts.types:
            # Another finding; all its templates would be wrong.
            continue
        names = _names_of(kind, universe, None if facts is None else facts.types[name])
        for key, text in (("obs_id_fmt", kind.obs_id_fmt), ("datalink_url_fmt", kind.datalink_url_fmt)):
            if text is not None:
                place = places.of("dataset_types", name, key)
                yield from _check_one(text, place, name, names, universe)
        for column, value in (kind.extra_columns or {}).items():
            if isinstance(value, ExtraColumn):
                place = places.of("dataset_types", name, "extra_columns", column)
                yield from _check_one(value.template, place, name, names, universe)
    yield from _check_general(config, places, universe, facts)


def _check_general(
    config: ObscoreConfig, places: Places, universe: Universe, facts: RepositoryFacts | None
) -> Iterator[Finding]:
    """Check the templates that all dataset types share."""
    there = {
        name: _names_of(kind, universe, facts.types[name] if facts is not None else None)
        for name, kind in config.dataset_types.items()
        if facts is None or name in facts.types
    }
    if text := config.obs_publisher_did_fmt:
        place = places.of("obs_publisher_did_fmt")
        for name, names in there.items():
            found = list(_check_one(text, place, name, names, universe))
            yield from found
            if found:
                break
    everything = _Names(
        universe.dimensions | _OWN | set(_CONSTANTS) | {"s_xel1", "s_xel2", "obs_id"},
        frozenset(universe.records),
    )
    for column, value in (config.extra_columns or {}).items():
        if not isinstance(value, ExtraColumn):
            continue
        place = places.of("extra_columns", column)
        found = list(_check_one(value.template, place, None, everything, universe))
        yield from found
        # A dataset type that has no such dimension has no value there.
        if not found and there and all(_missing(value.template, names) for names in there.values()):
            missing = next(_missing(value.template, names) for names in there.values())
            yield warning(
                place,
                f"no configured dataset type has {missing[0]!r}, the column will be empty",
                "leave the column out, or name something else",
            )


def _check_one(
    text: str, place: str, name: str | None, names: _Names, universe: Universe
) -> Iterator[Finding]:
    try:
        Template(text, "it")
    except UsageError as err:
        yield error(place, str(err).removeprefix("it: "), "write a Python format string, as in {visit}")
        return
    for root in _missing(text, names):
        record = _RECORD.match(root)
        known = {item for item in (names.records if record else names.plain) if not _PIXELS.match(item)}
        whose = "no dataset type has" if name is None else f"{name} does not have"
        mend = nearest(record[1] if record else root, known, most=40)
        yield error(place, f"{text!r} names {root!r}, which {whose}", mend)
    for element, attribute in _ATTRIBUTE.findall(text):
        fields = universe.records.get(element)
        if element in names.records and fields is not None and attribute not in fields:
            yield error(
                place,
                f"{text!r} names {attribute!r}, which no record of {element} has",
                nearest(attribute, fields, most=40),
            )


def _missing(text: str, names: _Names) -> list[str]:
    found = []
    for root in dict.fromkeys(Template(text, "it")):
        record = _RECORD.match(root)
        known = record[1] in names.records if record else root in names.plain
        if not known:
            found.append(root)
    return found


def _names_of(kind: DatasetTypeConfig, universe: Universe, held: HeldType | None) -> _Names:
    own = set(_OWN) | set(_CONSTANTS)
    if kind.s_xel is not None:
        own |= {"s_xel1", "s_xel2"}
    if kind.obs_id_fmt is not None:
        own.add("obs_id")
    if held is None:
        return _Names(universe.dimensions | own, frozenset(universe.records))
    dimensions = set(held.dimensions)
    if "exposure" in dimensions:
        # {visit} fits raw images as well.
        dimensions.add("visit")
    return _Names(frozenset(dimensions | own), held.elements)
