"""Public docstrings, by numpydoc's own rules.

A name is public where a room's ``__all__`` says so; of a public class, its
public methods and properties count too.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pytest
from numpydoc.validate import validate

import lsst.dax.vo

LEFT_OUT = {
    "ES01": "a short summary may say it all",
    "EX01": "examples are in the guide, where they are executed",
    "GL01": "the summary stands on the first line, as in all of LSST",
    "GL02": "closing quotes of a one-line docstring stay on its line",
    "GL08": "ruff's D rules find missing docstrings, and know overrides",
    "PR01": "dataclass fields are documented beneath each field",
    "PR04": "types are annotations, never written twice",
    "RT02": "the name of a returned value is where its shape is told",
    "RT03": "a service whose name and type say it all needs no prose",
    "RT05": "a phrase needs no full stop",
    "SA01": "rooms are small enough to be read",
    "SS06": "a summary may take a second line",
    "YD01": "iterators are documented as what they return",
}
"""Rules of numpydoc that the house does not follow, and why."""


def _iter_rooms() -> Iterator[str]:
    for module in pkgutil.walk_packages(lsst.dax.vo.__path__, "lsst.dax.vo."):
        parts = module.name.split(".")
        if not any(part.startswith("_") for part in parts):
            yield module.name


def _iter_public(room: str) -> Iterator[str]:
    module = importlib.import_module(room)
    for name in module.__all__:
        value = getattr(module, name)
        if not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        if not value.__module__.startswith("lsst.dax.vo"):
            continue
        yield f"{room}.{name}"
        if inspect.isclass(value):
            for member, attribute in vars(value).items():
                if not member.startswith(("_", "test_")) and isinstance(
                    attribute, property | staticmethod | classmethod | type(lambda: None)
                ):
                    yield f"{room}.{name}.{member}"


_ROOMS = list(_iter_rooms())


@pytest.mark.parametrize("room", _ROOMS)
def test_public_docstrings_are_numpydoc(room: str) -> None:
    wrong = [
        f"{name}: {code} {message}"
        for name in _iter_public(room)
        for code, message in validate(name)["errors"]
        if code not in LEFT_OUT
    ]
    assert wrong == []


@pytest.mark.parametrize("room", _ROOMS)
def test_public_modules_say_what_is_public(room: str) -> None:
    # That the list is sorted is a rule of ruff.
    module = importlib.import_module(room)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_rooms_are_found() -> None:
    assert {"lsst.dax.vo.errors", "lsst.dax.vo.dali", "lsst.dax.vo.soda"} <= set(_ROOMS)
