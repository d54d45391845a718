"""Reading the configuration: from a file, the environment, a command line."""

from __future__ import annotations

__all__ = ["load_service_config"]

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic
import yaml

from ..errors import NotFoundError, UsageError
from ._links import LinksConfig
from ._models import DatasetOrigin, Limits, RepositoryConfig, ServiceConfig, SigningKey
from ._problems import explain_validation

_PREFIX = "DAX_VO_"
_PLACES: dict[str, type[pydantic.BaseModel]] = {
    "at the top": ServiceConfig,
    "in an entry of 'repositories'": RepositoryConfig,
    "in 'origin' of a repository": DatasetOrigin,
    "in an entry of 'links' of a repository": LinksConfig,
    "in 'limits'": Limits,
    "in an entry of 'signing_keys'": SigningKey,
}


def load_service_config(
    path: Path | None, *, environment: Mapping[str, str], overrides: Mapping[str, Any] | None = None
) -> ServiceConfig:
    """Read the service configuration.

    Parameters
    ----------
    path
        YAML file; `None` for the defaults.
    environment
        Variables, of which those named ``DAX_VO_<FIELD>`` count; their
        values are read as YAML.
    overrides
        Values that win over both, as a command line gives them.

    Returns
    -------
    config : `ServiceConfig`
        Paths inside the file are relative to its folder.

    Raises
    ------
    NotFoundError
        Raised if there is no such file.
    UsageError
        Raised if it is no YAML mapping, or a key or value is not accepted;
        the message names the key and the nearest one that exists.
    """
    values: dict[str, Any] = _read_yaml(path) if path is not None else {}
    for name in ServiceConfig.model_fields:
        variable = _PREFIX + name.upper()
        if variable in environment:
            values[name] = _parse_yaml(environment[variable], variable)
    values |= overrides or {}
    try:
        return ServiceConfig.model_validate(values)
    except pydantic.ValidationError as err:
        raise UsageError(f"{path or 'The configuration'}: {explain_validation(err, _PLACES)}") from err


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text()
    except FileNotFoundError as err:
        raise NotFoundError(
            f"There is no service configuration {path}; give the path of a YAML file"
        ) from err
    except (OSError, UnicodeDecodeError) as err:
        raise UsageError(f"The service configuration {path} cannot be read: {err}") from err
    values = _parse_yaml(text, str(path)) or {}
    if not isinstance(values, dict):
        raise UsageError(f"{path} holds no mapping; give keys such as 'repositories:' and 'base_url:'")
    if isinstance(values.get("jobs_folder"), str):
        values["jobs_folder"] = str(path.parent / values["jobs_folder"])
    listed = values.get("repositories")
    # Whatever else stands there is refused with the rest.
    for repository in listed if isinstance(listed, list) else ():
        for key in ("obscore", "store", "repo"):
            value = repository.get(key) if isinstance(repository, dict) else None
            if not isinstance(value, str):
                continue
            # Behind these, the repository of the Butler's own table, and a folder.
            kinds = ("live:", "parquet:") if key == "store" else ()
            kind = next(filter(value.startswith, kinds), "")
            value = value.removeprefix(kind)
            # A store may be a URL and a repository a label; a path beside
            # the file is what exists there, or what looks like a path.
            if (
                value
                and "://" not in value
                and (key == "obscore" or "/" in value or (path.parent / value).exists())
                and (key != "store" or value != "live")
            ):
                repository[key] = kind + str(path.parent / value)
    return values


def _parse_yaml(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as err:
        # Not the error's own text: it quotes what may be a secret.
        mark = getattr(err, "problem_mark", None)
        place = "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
        reason = getattr(err, "problem", None) or "it holds characters that are not accepted"
        raise UsageError(f"{where} is not YAML: {reason}{place}") from err
