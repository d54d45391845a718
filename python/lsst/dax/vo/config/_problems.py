"""What is wrong with a configuration, of the services or of the exporter, in words."""

from __future__ import annotations

__all__ = ["explain_problem", "explain_validation", "key_of"]

import difflib
from collections.abc import Mapping
from typing import Any

import pydantic


def explain_validation(
    error: pydantic.ValidationError, places: Mapping[str, type[pydantic.BaseModel]]
) -> str:
    """Say in one line what is wrong with a configuration.

    Parameters
    ----------
    error
        What pydantic found.
    places
        The models of the configuration, by where their keys belong.

    Returns
    -------
    message : `str`
        Key, reason and, for an unknown key, the nearest known one.
    """
    parts = []
    for problem in error.errors(include_url=False, include_input=False):
        key, text = ".".join(key_of(problem)), explain_problem(problem, places)
        parts.append(f"{key}: {text}" if key else text)
    return "; ".join(dict.fromkeys(parts))


def key_of(problem: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the path of the key that a problem is about.

    Parameters
    ----------
    problem
        One of the errors that pydantic found.

    Returns
    -------
    key : `tuple` [`str`, ...]
        Names and numbers, from the top down.
    """
    # A tag that tells the members of a union apart, <so>, is no key.
    return tuple(str(item) for item in problem["loc"] if not str(item).startswith("<"))


def explain_problem(problem: Mapping[str, Any], places: Mapping[str, type[pydantic.BaseModel]]) -> str:
    """Say what is wrong with one key of a configuration.

    Parameters
    ----------
    problem
        One of the errors that pydantic found.
    places
        The models of the configuration, by where their keys belong.

    Returns
    -------
    text : `str`
        For an unknown key with the nearest known one.
    """
    if problem["type"] != "extra_forbidden":
        return str(problem["msg"]).removeprefix("Value error, ")
    known = {name: place for place, model in places.items() for name in model.model_fields}
    near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
    if near:
        return f"unknown key here, did you mean {near[0]!r} {known[near[0]]}?"
    return f"unknown key here; known: {', '.join(sorted(known))}"
