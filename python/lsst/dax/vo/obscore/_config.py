"""The exporter's configuration: a superset of the YAML of ``lsst-dax-obscore``."""

from __future__ import annotations

__all__ = [
    "LEGACY_KEYS",
    "MODELS",
    "DatasetTypeConfig",
    "ExtraColumn",
    "ObscoreConfig",
    "Origin",
    "Where",
    "bad_column_names",
    "identifier_formats",
    "load_obscore_config",
    "parse_obscore_config",
    "unknown_constraints",
]

import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import Discriminator, Tag

from ..config import DatasetOrigin, explain_validation
from ..errors import NotFoundError, UsageError

_LOG = logging.getLogger(__name__)

# Keys of older exporters and of daf_butler's live table that change no row.
LEGACY_KEYS = frozenset({"indices", "namespace", "table_name", "use_butler_uri", "version"})
# Plugins whose columns a store makes by itself, exactly and for all regions.
_PLUGINS = frozenset(
    {
        "lsst.daf.butler.registry.obscore.default_spatial.DefaultSpatialObsCorePlugin",
        "lsst.daf.butler.registry.obscore.pgsphere.PgSphereObsCorePlugin",
    }
)
# Tags of the union below: pydantic puts them into the place of an error.
_TEMPLATE, _CONSTANT = "<template>", "<constant>"
_COLUMN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_PRODUCT_TYPES = ("image", "cube", "spectrum", "sed", "timeseries", "visibility", "event", "measurements")


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Where(_Model):
    """A Butler expression and what belongs to it."""

    where: str = ""
    """Expression that data IDs must fulfil."""

    bind: dict[str, Any] = {}
    """Values of the names in the expression."""

    extra_dims: frozenset[str] = frozenset()
    """Dimensions that the expression needs beside the dataset type's own."""

    @pydantic.field_serializer("extra_dims", when_used="json")
    def _sort(self, value: frozenset[str]) -> list[str]:
        # The same configuration is the same text in each process.
        return sorted(value)


class ExtraColumn(_Model):
    """A column that is formatted from each dataset."""

    template: str
    """Format string, as in ``{visit}`` or ``{records[exposure].obs_id}``."""

    type: Literal["bool", "int", "float", "string"] = "string"
    """What the formatted text is turned into."""

    length: int | None = pydantic.Field(None, ge=1)
    """Characters of the longest text."""

    doc: str | None = None
    """One sentence about the column."""


def _kind_of_extra(value: Any) -> str:
    return _TEMPLATE if isinstance(value, Mapping | ExtraColumn) else _CONSTANT


Constant = pydantic.StrictBool | pydantic.StrictInt | pydantic.StrictFloat | pydantic.StrictStr
Extra = Annotated[
    Annotated[ExtraColumn, Tag(_TEMPLATE)] | Annotated[Constant, Tag(_CONSTANT)],
    Discriminator(_kind_of_extra),
]


class DatasetTypeConfig(_Model):
    """What the rows of one dataset type hold."""

    dataproduct_type: Literal[_PRODUCT_TYPES] | None  # type: ignore[valid-type]
    """One of the legal words of ObsCore."""

    dataproduct_subtype: str | None = None
    """More specific type, for example ``lsst.visit_image``."""

    calib_level: int = pydantic.Field(ge=0, le=4)
    """Calibration level."""

    o_ucd: str | None = None
    """UCD of the pixels."""

    access_format: str | None = None
    """Media type of what ``access_url`` leads to."""

    obs_id_fmt: str | None = None
    """Format string of ``obs_id``."""

    datalink_url_fmt: str | None = None
    """Format string of ``access_url``."""

    obs_collection: str | None = None
    """Name of the collection, instead of the general one."""

    s_xel: tuple[int, int] | None = None
    """Pixels along the first and the second axis."""

    pol_states: str | None = pydantic.Field(None, pattern=r"^/([A-Z]+/)+$")
    """Polarization states, as in ``/I/``; also gives ``pol_xel``."""

    extra_columns: dict[str, Extra] | None = None
    """Further columns of this dataset type: constants or templates."""


class SpatialPlugin(_Model):
    """A plugin of daf_butler's live table; a store needs none."""

    cls: str
    """Name of its class."""

    config: dict[str, Any] = {}
    """Its options."""


class Origin(DatasetOrigin):
    """Where the table comes from (IVOA note DataOrigin 1.2)."""

    publisher: str
    """Data center that issues the table."""

    title: str | None = None
    """Title of the table."""


class ObscoreConfig(_Model):
    """What an export makes of a repository."""

    collections: tuple[str, ...] | None = None
    """Butler collections, searched in order; the first that has a dataset
    with a given type and data ID counts."""

    dataset_types: dict[str, DatasetTypeConfig] = {}
    """What to export, by the name of the dataset type."""

    obs_collection: str | None = None
    """ObsCore's name of the data collection."""

    facility_name: str | None = None
    """Facility of all instruments that ``facility_map`` does not name."""

    facility_map: dict[str, str] = {}
    """Facility by name of the instrument."""

    fallback_instrument: str | None = None
    """Instrument of datasets without one, such as coadds."""

    obs_publisher_did_fmt: str | None = None
    """Format string of ``obs_publisher_did``."""

    extra_columns: dict[str, Extra] | None = None
    """Further columns of all dataset types: constants or templates."""

    spectral_ranges: dict[str, tuple[float | None, float | None]] = {}
    """Limits in meters by physical filter or, where that is not listed, by
    band."""

    where: Where = Where()
    """What data IDs must fulfil, unless their dataset type has its own list."""

    dataset_type_constraints: dict[str, tuple[Where, ...]] = {}
    """What data IDs must fulfil, one of the list, by dataset type."""

    visit_summary: tuple[str, ...] = ()
    """Dataset types with a summary of each visit, such as ``visit_summary``:
    the first that knows a detector gives its size in pixels and the width of
    its PSF, for ``s_xel1``, ``s_xel2`` and ``s_resolution``."""

    access_estsize: bool = True
    """Whether sizes of files are looked up in the datastore's records, which
    takes about as long as the rest of a row."""

    batch_size: int = pydantic.Field(20_000, ge=1)
    """Rows that travel together."""

    parquet_compression: Literal["zstd", "snappy", "gzip", "brotli", "lz4", "none"] = "zstd"
    """Compression of Parquet files."""

    csv_null_string: str = r"\N"
    """What stands for a missing value in CSV files."""

    origin: Origin | None = None
    """Where the table comes from."""

    collection_type: Literal["RUN", "TAGGED"] | None = None
    """With ``RUN``, ``collections`` are regular expressions for the names of
    RUN collections, as daf_butler's live table has them."""

    spatial_plugins: dict[str, SpatialPlugin] = {}
    """Accepted from older files; a store keeps its own geometry."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _drop_legacy_keys(cls, values: Any) -> Any:
        if isinstance(values, dict) and (found := sorted(LEGACY_KEYS & values.keys())):
            _LOG.info("Keys of older configurations that change nothing here: %s", ", ".join(found))
            values = {key: value for key, value in values.items() if key not in LEGACY_KEYS}
        return values

    @pydantic.field_validator("where", mode="before")
    @classmethod
    def _accept_bare_expression(cls, value: Any) -> Any:
        # Before version 26 of the exporter, an expression was just a text.
        return {"where": value} if isinstance(value, str) else value

    @pydantic.field_validator("spatial_plugins")
    @classmethod
    def _check_plugins(cls, value: dict[str, SpatialPlugin]) -> dict[str, SpatialPlugin]:
        for name, plugin in value.items():
            if plugin.cls not in _PLUGINS:
                raise ValueError(
                    f"the plugin {plugin.cls!r} of {name!r} is not known; "
                    f"known: {', '.join(sorted(_PLUGINS))}"
                )
        return value

    @pydantic.model_validator(mode="after")
    def _check_names(self) -> ObscoreConfig:
        values = {
            "extra_columns": self.extra_columns or {},
            "dataset_types": {
                name: {"extra_columns": kind.extra_columns or {}} for name, kind in self.dataset_types.items()
            },
            "dataset_type_constraints": self.dataset_type_constraints,
        }
        for *_, name in bad_column_names(values):
            raise ValueError(
                f"extra_columns: {name!r} is no name of a column; a letter comes first, "
                "then letters, digits and underscores"
            )
        for _, name in unknown_constraints(values):
            raise ValueError(
                f"dataset_type_constraints: {name!r} is not one of dataset_types "
                f"({', '.join(self.dataset_types) or 'none'})"
            )
        return self

    def to_yaml(self) -> str:
        """Write the configuration as YAML.

        Returns
        -------
        text : `str`
            What `parse_obscore_config` makes an equal configuration of.
        """
        return yaml.safe_dump(self.model_dump(mode="json", exclude_defaults=True), sort_keys=False)


MODELS: dict[str, type[pydantic.BaseModel]] = {
    "at the top": ObscoreConfig,
    "in an entry of 'dataset_types'": DatasetTypeConfig,
    "in an entry of 'extra_columns'": ExtraColumn,
    "in an entry of 'dataset_type_constraints'": Where,
    "in 'origin'": Origin,
    "in an entry of 'spatial_plugins'": SpatialPlugin,
}
"""The models of the configuration, by where their keys belong."""


def bad_column_names(values: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Find extra columns with names that no column can have.

    Parameters
    ----------
    values
        The configuration, as YAML has it.

    Returns
    -------
    keys : `list` [`tuple` [`str`, ...]]
        Paths of the columns.
    """
    kinds = values.get("dataset_types")
    kinds = kinds if isinstance(kinds, Mapping) else {}
    groups: dict[tuple[str, ...], Any] = {("extra_columns",): values.get("extra_columns")}
    for name, kind in kinds.items():
        if isinstance(kind, Mapping):
            groups["dataset_types", str(name), "extra_columns"] = kind.get("extra_columns")
    return [
        (*place, name)
        for place, columns in groups.items()
        if isinstance(columns, Mapping)
        for name in columns
        if isinstance(name, str) and not _COLUMN_NAME.fullmatch(name)
    ]


def unknown_constraints(values: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Find constraints of dataset types that are not exported.

    Parameters
    ----------
    values
        The configuration, as YAML has it.

    Returns
    -------
    keys : `list` [`tuple` [`str`, ...]]
        Paths of the constraints.
    """
    constraints, kinds = values.get("dataset_type_constraints"), values.get("dataset_types")
    if not isinstance(constraints, Mapping):
        return []
    known = kinds if isinstance(kinds, Mapping) else {}
    return [("dataset_type_constraints", name) for name in constraints if name not in known]


def load_obscore_config(path: Path | str) -> ObscoreConfig:
    """Read an exporter configuration.

    Parameters
    ----------
    path
        YAML file.

    Returns
    -------
    config : `ObscoreConfig`

    Raises
    ------
    NotFoundError
        Raised if there is no such file.
    UsageError
        Raised if it cannot be read, or a key or value is not accepted; the
        message names file and key, and the nearest known key.
    """
    try:
        text = Path(path).read_text()
    except FileNotFoundError as err:
        raise NotFoundError(
            f"There is no exporter configuration {path}; give the path of a YAML file"
        ) from err
    except (OSError, UnicodeDecodeError) as err:
        raise UsageError(f"The exporter configuration {path} cannot be read: {err}") from err
    return parse_obscore_config(text, str(path))


def parse_obscore_config(text: str, where: str) -> ObscoreConfig:
    """Parse an exporter configuration.

    Parameters
    ----------
    text
        YAML.
    where
        What the text is, for messages.

    Returns
    -------
    config : `ObscoreConfig`

    Raises
    ------
    UsageError
        Raised if the text is no YAML mapping, or a key or value is not
        accepted.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as err:
        raise UsageError(f"{where} is not YAML: {' '.join(str(err).split())}") from err
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise UsageError(f"{where} holds no mapping; give keys such as 'dataset_types:' and 'collections:'")
    try:
        return ObscoreConfig.model_validate(values)
    except pydantic.ValidationError as err:
        raise UsageError(f"{where}: {explain_validation(err, MODELS)}") from err


def identifier_formats(config: ObscoreConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the forms of the identifiers that a configuration makes.

    Parameters
    ----------
    config
        The configuration.

    Returns
    -------
    dids, urls : `tuple` [`str`, ...]
        Format strings of ``obs_publisher_did`` and of ``access_url``, each
        once.
    """
    urls = (kind.datalink_url_fmt for kind in config.dataset_types.values())
    return _distinct([config.obs_publisher_did_fmt]), _distinct(urls)


def _distinct(texts: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))
