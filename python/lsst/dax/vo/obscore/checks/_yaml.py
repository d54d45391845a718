"""A configuration with mistakes: all of them, and what is left without them."""

from __future__ import annotations

__all__ = ["Places", "Salvage", "salvage_config"]

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pydantic
import yaml

from ...config import explain_problem, key_of
from .._config import LEGACY_KEYS, MODELS, ObscoreConfig, bad_column_names, unknown_constraints
from ._findings import Finding, error, warning

# Each round finds what the round before hid.
_ROUNDS = 12
_DEEPEST = 12
_MERGE = "<<"


class Places:
    """Where the keys of a configuration are.

    Parameters
    ----------
    name
        Name of the file.
    root
        Its YAML nodes.
    """

    def __init__(self, name: str, root: yaml.Node | None = None) -> None:
        self._name = name
        self._lines: dict[tuple[str, ...], int] = {}
        self.repeated: list[str] = []
        """Places of keys that are there twice."""
        if root is not None:
            self._enter(root, (), 0)

    def of(self, *key: str) -> str:
        """Say where a key is.

        Parameters
        ----------
        *key
            Its path.

        Returns
        -------
        place : `str`
            File, line and path.
        """
        for length in range(len(key), 0, -1):
            line = self._lines.get(key[:length])
            if line is not None:
                return f"{self._name}:{line}: {'.'.join(key)}"
        return f"{self._name}: {'.'.join(key)}" if key else self._name

    def _enter(self, node: yaml.Node, path: tuple[str, ...], depth: int) -> None:
        if depth > _DEEPEST:
            return
        if isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                self._lines.setdefault((*path, str(number)), item.start_mark.line + 1)
                self._enter(item, (*path, str(number)), depth + 1)
        if not isinstance(node, yaml.MappingNode):
            return
        merged = [value for key, value in node.value if key.value == _MERGE]
        seen: set[str] = set()
        for key, value in node.value:
            if key.value == _MERGE or not isinstance(key, yaml.ScalarNode):
                continue
            here = (*path, str(key.value))
            if key.value in seen:
                self.repeated.append(f"{self._name}:{key.start_mark.line + 1}: {'.'.join(here)}")
            seen.add(key.value)
            self._lines.setdefault(here, key.start_mark.line + 1)
            self._enter(value, here, depth + 1)
        # What is merged in comes last: the keys beside it win.
        for value in merged:
            for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                self._enter(part, path, depth + 1)


@dataclass(slots=True)
class Salvage:
    """What a file holds, without what is wrong in it."""

    places: Places
    """Where its keys are."""

    config: ObscoreConfig | None = None
    """The rest; `None` if nothing is left."""

    findings: list[Finding] = field(default_factory=list)
    """What is wrong."""

    removed: set[tuple[str, ...]] = field(default_factory=set)
    """Keys that were left out."""


def salvage_config(text: str, name: str) -> Salvage:
    """Find all mistakes of form in an exporter configuration.

    Parameters
    ----------
    text
        YAML.
    name
        Name of the file.

    Returns
    -------
    salvage : `Salvage`
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as err:
        reason = " ".join(str(err).split())[:300]
        wrong = error(name, f"it is not YAML: {reason}", "mend the line that is named")
        return Salvage(Places(name), findings=[wrong])
    found = Salvage(Places(name, root))
    if values is None:
        values = {}
    if not isinstance(values, dict):
        found.findings.append(
            error(name, "it holds no mapping", "give keys such as 'dataset_types:' and 'collections:'")
        )
        return found
    for place in found.places.repeated:
        found.findings.append(
            error(place, "the key is there twice, only the last counts", "leave one of them out")
        )
    for legacy in sorted(LEGACY_KEYS & values.keys()):
        found.findings.append(
            warning(
                found.places.of(legacy), "a key of older exporters, which changes nothing", "leave it out"
            )
        )
    _validate(found, copy.deepcopy({key: value for key, value in values.items() if key not in LEGACY_KEYS}))
    return found


def _validate(found: Salvage, values: dict[Any, Any]) -> None:
    for _ in range(_ROUNDS):
        try:
            found.config = ObscoreConfig.model_validate(values)
        except pydantic.ValidationError as err:
            before = frozenset(found.removed)
            for problem in err.errors(include_url=False):
                key = key_of(problem)
                if not key:
                    found.findings += _drop_names(found, values)
                    continue
                if not any(key[: len(gone)] == gone for gone in before):
                    found.findings.append(_tell(found.places, key, problem))
                # A list without one of its items would be wrong as well, and
                # what lacks a key is of no use.
                whole = key[:-1] if problem["type"] == "missing" else key
                numbers = [place for place, item in enumerate(whole) if item.isdigit() and place > 0]
                _remove(values, whole[: numbers[0]] if numbers else whole)
                found.removed |= {key, whole[: numbers[0]] if numbers else whole}
            if found.removed == before:
                return
        else:
            return


def _tell(places: Places, key: tuple[str, ...], problem: Any) -> Finding:
    place = places.of(*key)
    match problem["type"]:
        case "extra_forbidden":
            what, _, mend = explain_problem(problem, MODELS).partition("here")
            return error(place, f"{what}here", mend.lstrip(",; "))
        case "missing":
            meaning = _meaning_of(key[-1])
            return error(place, "the key is missing", f"add it{': ' + meaning if meaning else ''}")
    given = repr(problem["input"])
    given = given if len(given) <= 60 else f"{given[:57]}..."
    reason = explain_problem(problem, MODELS)
    reason = reason[:1].lower() + reason[1:]
    return error(place, f"{given} is not accepted", reason)


def _meaning_of(name: str) -> str:
    for model in MODELS.values():
        if name in model.model_fields:
            return " ".join((model.model_fields[name].description or "").split()).replace("``", "'")
    return ""


def _drop_names(found: Salvage, values: dict[Any, Any]) -> Iterator[Finding]:
    for key in [*bad_column_names(values), *unknown_constraints(values)]:
        if key in found.removed:
            continue
        found.removed.add(key)
        _remove(values, key)
        if key[0] == "dataset_type_constraints":
            yield error(
                found.places.of(*key),
                f"{key[1]!r} is not one of dataset_types",
                "constrain one that is exported, or leave it out",
            )
        else:
            yield error(
                found.places.of(*key),
                f"{key[-1]!r} is no name of a column",
                "begin with a letter, and go on with letters, digits and underscores",
            )


def _remove(values: Any, key: tuple[str, ...]) -> None:
    for name in key[:-1]:
        values = values.get(name) if isinstance(values, dict) else None
    if isinstance(values, dict):
        # YAML's own keys may be numbers, which paths write as text.
        for name in [name for name in values if str(name) == key[-1]]:
            del values[name]
