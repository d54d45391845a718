"""The configuration of the services: frozen models of ``config/service``.

Every field has its place in YAML and an environment variable ``DAX_VO_``
and the name in upper case; the environment wins.  Nothing is read when this
module is imported.
"""

from __future__ import annotations

__all__ = [
    "Limits",
    "RepositoryConfig",
    "ServiceConfig",
    "SigningKey",
    "explain_problem",
    "explain_validation",
    "key_of",
    "load_service_config",
]

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml

from .errors import NotFoundError, UsageError

_PREFIX = "DAX_VO_"
_HOST = re.compile(r"(\*|(\*\.)?[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class RepositoryConfig(_Model):
    """One Butler repository and the ObsCore store that describes it."""

    repo: str
    """Path, URI or label of the Butler repository."""

    store: str | None = pydantic.Field(default=None, repr=False)
    """Store with its ObsCore table: ``duckdb:///path`` or just a path, or
    ``postgresql://user@host/database?schema=ivoa``, or ``live`` for the table
    that the Butler itself keeps in a registry in PostgreSQL.  Without one, the
    table is made at start and lives as long as the service."""

    label: str | None = None
    """Label in identifiers and URLs; by default the repository's own label,
    or the name of its folder."""

    obscore: Path | None = None
    """Exporter configuration, from which a missing store is made at start;
    without it, and without a store, one that fits what the repository holds."""


class SigningKey(_Model):
    """One key for the URLs of files; the first in the list signs."""

    id: str = pydantic.Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")
    """Name of the key, part of each URL that it signed."""

    secret: pydantic.SecretStr = pydantic.Field(min_length=16)
    """The key: 16 or more characters that nobody can guess."""


def _check_host(text: str) -> str:
    if _HOST.fullmatch(text) is None:
        raise ValueError(
            f"{text[:100]!r} is no host; give 'name', 'name:port', '*.example.org' or '*', "
            "without http:// and path"
        )
    return text


class Limits(_Model):
    """How much one request may ask for."""

    maxrec: int = pydantic.Field(10_000, ge=0)
    """Rows of a TAP or SIAv2 answer when the client names no MAXREC."""

    maxrec_hard: int = pydantic.Field(10_000_000, ge=1)
    """Rows of a TAP or SIAv2 answer, whatever the client says."""

    links: int = pydantic.Field(5_000, ge=1)
    """Identifiers answered by one DataLink request."""

    query_characters: int = pydantic.Field(200_000, ge=100)
    """Length of an ADQL query."""

    query_memory_mb: int = pydantic.Field(2_048, ge=64)
    """Memory of the embedded database."""

    query_seconds: int = pydantic.Field(60, ge=1)
    """Time of a synchronous query."""

    search_values: int = pydantic.Field(5_000, ge=1)
    """Values of an SIAv2 request, of all its parameters together; a polygon
    counts as many as it has vertices."""

    polygon_vertices: int = pydantic.Field(1_000, ge=3)
    """Vertices of one polygon in a request."""

    job_seconds: int = pydantic.Field(600, ge=1)
    """Time of a job (``/async``) when the client names no EXECUTIONDURATION."""

    job_seconds_hard: int = pydantic.Field(3_600, ge=1)
    """Time of a job, whatever the client says."""

    job_retention_s: int = pydantic.Field(2 * 86_400, ge=60)
    """Seconds after which a job and its results are removed when the client
    names no DESTRUCTION."""

    job_retention_hard_s: int = pydantic.Field(14 * 86_400, ge=60)
    """Seconds after which a job and its results are removed, whatever the
    client says."""

    jobs_running: int = pydantic.Field(4, ge=1, le=64)
    """Jobs of one service that run at once; further ones wait in its queue."""

    jobs_kept: int = pydantic.Field(10_000, ge=1)
    """Jobs of one service that are kept at once; further ones are refused
    until some are deleted, or their time has come."""

    upload_rows: int = pydantic.Field(100_000, ge=1)
    """Rows of one table that a TAP request uploads."""

    upload_bytes: int = pydantic.Field(64 * 2**20, ge=1024)
    """Size of all tables that one TAP request uploads, together."""

    upload_hosts: tuple[Annotated[str, pydantic.AfterValidator(_check_host)], ...] = ()
    """Hosts from which UPLOAD may fetch a table by its URL: ``name``, for the
    usual ports, ``name:port``, or ``*.example.org`` for all hosts below a
    domain, and ``*`` for all.  A host with an address of a private network
    must be named itself.  By default there is none, and tables come with the
    request."""

    cutout_pixels: int = pydantic.Field(100_000_000, ge=1)
    """Pixels of one plane of a cutout."""

    request_bytes: int = pydantic.Field(16 * 2**20, ge=1024)
    """Size of the body of a POST request."""


class ServiceConfig(_Model):
    """Everything that the services need to know."""

    repositories: tuple[RepositoryConfig, ...] = ()
    """The repositories served, one or more."""

    base_url: str | None = pydantic.Field(None, pattern=r"^https?://[^\s?#]+$")
    """URL under which clients reach the services; by default the address to
    which each request was sent."""

    trusted_proxies: tuple[pydantic.IPvAnyNetwork, ...] = ()
    """Addresses and networks (``10.0.0.0/8``) whose ``X-Forwarded-Proto`` and
    ``X-Forwarded-Host`` count."""

    access_url: Literal["service", "exported"] = "service"
    """Whether ObsCore's ``access_url`` leads to this service's DataLink, or
    is the one that the exporter wrote."""

    publisher: str = ""
    """Name of the publisher, told in each answer (DataOrigin)."""

    contact: str = ""
    """Mail address or URL for questions, told in each answer (DataOrigin)."""

    signing_keys: tuple[SigningKey, ...] = ()
    """Keys for the URLs of files; without any, one is made at start, and
    links end with the process."""

    link_lifetime_s: int = pydantic.Field(3600, ge=1)
    """Seconds for which the URL of a file works."""

    jobs_folder: Path | None = None
    """Folder, on a local disk, in which jobs (``/async``) and their results
    are kept.  Several processes that serve the same address share one.
    Without it, jobs end with the process."""

    jobs_listed: bool = True
    """Whether everybody may list the jobs of all.  There is no login: whoever
    has the address of a job can read its results, and delete it."""

    limits: Limits = Limits()
    """How much one request may ask for."""


_PLACES: dict[str, type[pydantic.BaseModel]] = {
    "at the top": ServiceConfig,
    "in an entry of 'repositories'": RepositoryConfig,
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
            # The Butler's own table is named by its repository.
            live = "live:" if key == "store" and value.startswith("live:") else ""
            value = value.removeprefix(live)
            # A store may be a URL and a repository a label; a path beside
            # the file is what exists there, or what looks like a path.
            if (
                value
                and "://" not in value
                and (key == "obscore" or "/" in value or (path.parent / value).exists())
                and (key != "store" or value != "live")
            ):
                repository[key] = live + str(path.parent / value)
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
