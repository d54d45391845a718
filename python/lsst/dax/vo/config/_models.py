"""What can be configured."""

from __future__ import annotations

__all__ = ["DatasetOrigin", "Limits", "RepositoryConfig", "ServiceConfig", "SigningKey"]

import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from ._delivery import DeliveryConfig
from ._links import LinksConfig

_HOST = re.compile(r"(\*|(\*\.)?[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def _one_or_several(value: object) -> object:
    return () if value is None else (value,) if isinstance(value, str) else value


_Ivoid = Annotated[str, pydantic.Field(pattern=r"^ivo://[^\s]+$")]
_Texts = Annotated[tuple[str, ...], pydantic.BeforeValidator(_one_or_several)]


class DatasetOrigin(_Model):
    """What is told about the data in each answer (IVOA note DataOrigin 1.2, 3.2).

    All of it is optional.  Where several things can be said, a list is
    accepted.
    """

    data_ivoid: _Ivoid | None = None
    """IVOID of the data collection."""

    citation: str | None = None
    """What is cited for the data set, such as its DOI."""

    reference_url: str | None = None
    """Page that describes it."""

    resource_version: str | None = None
    """Version of the data set."""

    rights_uri: str | None = None
    """URI of its licence, from https://spdx.org/licenses/ or
    https://creativecommons.org."""

    rights: str | None = None
    """Text of its licence or copyright."""

    creator: _Texts = ()
    """Who made it; in general, its authors."""

    journal: str | None = None
    """Where the publication about it appeared."""

    article: _Texts = ()
    """Bibcode or DOI of publications about it."""

    cites: _Texts = ()
    """Identifiers of resources that it cites."""

    is_derived_from: _Texts = ()
    """Identifiers of resources that it was made from."""

    original_date: dt.date | None = None
    """When the resource was published that it was made from."""

    publication_date: dt.date | None = None
    """When it was published first."""

    last_update_date: dt.date | None = None
    """When it was changed last."""

    def items(self) -> tuple[tuple[str, str], ...]:
        """Return names and values, in the order of the note.

        Returns
        -------
        items : `tuple` [`tuple` [`str`, `str`], ...]
            A name with several values stands there several times.
        """
        told = []
        for name in DatasetOrigin.model_fields:
            value = getattr(self, name)
            values = value if isinstance(value, tuple) else () if value is None else (value,)
            told += [(name, str(item)) for item in values]
        return tuple(told)


class RepositoryConfig(_Model):
    """One Butler repository and the ObsCore store that describes it."""

    repo: str
    """Path, URI or label of the Butler repository."""

    store: str | None = pydantic.Field(default=None, repr=False)
    """Store with its ObsCore table: ``duckdb:///path`` or just a path,
    ``parquet:path`` or ``s3://bucket/folder`` for Parquet files,
    ``postgresql://user@host/database?schema=ivoa``, or ``live`` for the table
    that the Butler itself keeps in a registry in PostgreSQL.  Without one, the
    table is made at start and lives as long as the service."""

    label: str | None = None
    """Label in identifiers and URLs; by default the repository's own label,
    or the name of its folder."""

    obscore: Path | None = None
    """Exporter configuration, from which a missing store is made at start;
    without it, and without a store, one that fits what the repository holds."""

    link_folders: tuple[Path, ...] = ()
    """Folders beside the datastore into which symbolic links in it may lead,
    such as that of raws which were ingested by ``symlink``; files that links
    to other places stand for are not read."""

    origin: DatasetOrigin = DatasetOrigin()
    """What is told about its data in each answer; what is not said here is
    taken from ``origin`` in the exporter's configuration, if it is there."""

    links: Mapping[Annotated[str, pydantic.Field(min_length=1)], LinksConfig] = {}
    """What the links of its datasets are, by dataset type: a name or a pattern
    such as ``calexp*``, of which all that fit count, and later ones win."""


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

    store_seconds: float = pydantic.Field(5, ge=0)
    """Time for which one DataLink request waits for object stores that are
    asked whether files are there; 0 to ask none."""

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

    cutout_products: int = pydantic.Field(1_000, ge=1)
    """Cutouts that one request asks for: its IDs times its shapes, BANDs and
    TIMEs."""

    cutout_workers: int | None = pydantic.Field(None, ge=0, le=1_000)
    """Processes that cut; by default as many as there are processors.  With 0,
    the service cuts by itself, and nothing is kept."""

    cutout_seconds: int = pydantic.Field(60, ge=1)
    """Time that one cutout may take, and that a synchronous request may wait
    for its turn."""

    cutout_memory_mb: int = pydantic.Field(4_096, ge=512)
    """Memory of each process that cuts."""

    cutout_cache_mb: int = pydantic.Field(2_048, ge=0)
    """Disk, in the folder of jobs, for cutouts that may be asked for again; 0
    for none."""

    held_mb: int = pydantic.Field(1_024, ge=16)
    """Memory of answers of queries while their clients take them, of all
    together; with more, others wait, and those whose clients take nothing are
    ended.  Half of it is for those of more than ``maxrec`` rows."""

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
    """Name of the publisher, told in each answer (DataOrigin); by default the
    one that the exporter's configuration names."""

    contact: str = ""
    """Mail address or URL for questions, told in each answer (DataOrigin)."""

    service_ivoids: Mapping[Literal["tap", "sia", "datalink"], _Ivoid] = {}
    """IVOIDs under which ``tap``, ``sia`` and ``datalink`` are registered, told
    in the answers of each (DataOrigin)."""

    signing_keys: tuple[SigningKey, ...] = ()
    """Keys for the URLs of files; without any, one is made at start, and
    links end with the process."""

    link_lifetime_s: int = pydantic.Field(3600, ge=1)
    """Seconds for which the URL of a file works."""

    delivery: DeliveryConfig = DeliveryConfig()
    """How files are delivered, and to whom."""

    remember_s: float = pydantic.Field(30, ge=0)
    """Seconds for which it is remembered what registries, stores of rows and
    object stores said of a dataset; 0 for not at all.  For so long, a dataset
    that has been deleted may still be known; that a file on a local disk is
    gone is seen at once."""

    jobs_folder: Path | None = None
    """Folder, on a local disk, in which jobs (``/async``) and their results
    are kept.  Several processes that serve the same address share one.
    Without it, jobs end with the process."""

    jobs_listed: bool = True
    """Whether everybody may list the jobs of all.  There is no login: whoever
    has the address of a job can read its results, and delete it."""

    limits: Limits = Limits()
    """How much one request may ask for."""
