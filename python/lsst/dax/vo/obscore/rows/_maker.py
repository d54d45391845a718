"""Datasets become rows: the columns of ObsCore from a chunk of datasets."""

from __future__ import annotations

__all__ = ["RowMaker", "formats_of"]

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...dali import Column, arrow_type
from ...errors import UsageError
from ...store import ID_COLUMNS, batch_schema
from .._config import DatasetTypeConfig, ExtraColumn, ObscoreConfig
from .._problems import Problems, Tell
from .._schema import extra_columns_of
from ._chunk import Chunk, Coded, repeat
from ._fingerprints import Fingerprints, Words
from ._regions import REGION_COLUMNS, describe_regions
from ._templates import MissingNameError, Template, convert_texts, elements_of, plain
from ._times import mjd_utc

# Part of each fingerprint: raised when the making of rows changes, so that
# updates make them again.
_ROWS = 1
# What says which rows there are, or how they are written, but not what is in one.
_OF_NO_ROW = {
    "batch_size",
    "collection_type",
    "collections",
    "csv_null_string",
    "dataset_type_constraints",
    "origin",
    "parquet_compression",
    "spatial_plugins",
    "where",
}


class RowMaker:
    """Makes the rows of one dataset type.

    Parameters
    ----------
    config
        The configuration.
    name
        Name of the dataset type.
    columns
        The public columns of the table.
    label
        Label of the repository.
    formatted
        Columns whose texts keep ``{id}`` in the place of the id; each of
        those that `formats_of` found.
    problems
        Told what is wrong with single rows; by default that is an error.

    Raises
    ------
    UsageError
        Raised if a template is no format string.
    """

    def __init__(
        self,
        config: ObscoreConfig,
        name: str,
        columns: Sequence[Column],
        label: str,
        *,
        formatted: Collection[str] = (),
        problems: Problems | None = None,
    ) -> None:
        self._config = config
        self._kind = config.dataset_types[name]
        self._name = name
        self._columns = columns
        self._datatypes = {column.name: column.datatype for column in columns}
        self._label = label
        self._schema = batch_schema(columns, formatted=formatted)
        self._formatted = formatted
        self._problems = problems or Problems()
        self._constants = self._constants_of(self._kind)
        self._formats: dict[str, Template] = {
            column: Template(text, self._place(f"{column} of {name}"))
            for column, text in (
                ("obs_id", self._kind.obs_id_fmt),
                ("access_url", self._kind.datalink_url_fmt),
                ("obs_publisher_did", config.obs_publisher_did_fmt),
            )
            if text
        }
        self._extra = extra_columns_of(config, self._kind)
        self._fingerprints = Fingerprints(_seed(config, name, label))
        self._templates = {
            column: Template(value.template, self._place(f"{column} of {name}"))
            for column, value in self._extra.items()
            if isinstance(value, ExtraColumn)
        }

    @property
    def elements(self) -> set[str]:
        """Dimension elements whose records the templates name."""
        return elements_of(self._formats) | elements_of(self._templates)

    def make(
        self, chunk: Chunk, told: Mapping[str, pa.Array] | None = None, also: Sequence[Words] = ()
    ) -> pa.RecordBatch:
        """Make the rows of some datasets.

        Parameters
        ----------
        chunk
            The datasets.
        told
            Columns that somebody else knows, where the configuration does
            not say them.
        also
            Hashes of what those columns come from, one for each dataset.

        Returns
        -------
        batch : `pyarrow.RecordBatch`
            One row for each dataset: public columns, then the hidden ones.

        Raises
        ------
        UsageError
            Raised if a template names something that is not there, or makes
            a text that is no value of its column.
        """
        tell = self._problems.teller(chunk)
        found = self._generic(chunk, tell)
        for name, values in self._of_the_universe(chunk).items():
            found[name] = values if name not in found else pc.coalesce(plain(values), plain(found[name]))
        regions = self._describe(chunk, tell)
        found |= regions
        for name, values in (told or {}).items():
            found.setdefault(name, values)
        arrays = [
            found[column.name] if column.name in found else pa.nulls(chunk.size, arrow_type(column))
            for column in self._columns
        ]
        arrays += [
            repeat(self._label, pa.string(), chunk.size),
            pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), chunk.size, [None, pa.py_buffer(chunk.ids)]),
            regions["_region"],
            self.fingerprints(chunk, also),
        ]
        return pa.record_batch(
            [array.cast(field.type) for array, field in zip(arrays, self._schema, strict=True)],
            schema=self._schema,
        )

    def fingerprints(self, chunk: Chunk, also: Sequence[Words] = ()) -> pa.Array:
        """Return the fingerprint of what is behind each row, without making it.

        Parameters
        ----------
        chunk
            The datasets.
        also
            Hashes of what else is behind them; where one is 0, it is as if
            there were none.

        Returns
        -------
        prints : `pyarrow.Array` [`int64`]
            The column ``_print`` of `make`.
        """
        return self._fingerprints.of(chunk, also)

    def _describe(self, chunk: Chunk, tell: Tell) -> dict[str, pa.Array]:
        """Return the columns that regions say."""
        if pa.types.is_struct(chunk.regions.type):
            columns = dict(zip(chunk.regions.type.names, chunk.regions.flatten(), strict=True))
            rows = np.flatnonzero(columns["_damaged"].to_numpy(zero_copy_only=False))
            if len(rows):
                self._tell_damaged(rows, tell)
            return {name: columns[name] for name in REGION_COLUMNS}
        shared = pa.types.is_dictionary(chunk.regions.type)
        encoded = chunk.regions.dictionary if shared else chunk.regions.cast(pa.binary())
        columns, damaged = describe_regions(encoded)
        if len(damaged):
            rows = damaged
            if shared:
                rows = np.flatnonzero(np.isin(chunk.regions.indices.fill_null(-1).to_numpy(), damaged))
            self._tell_damaged(rows, tell)
        if shared:
            columns = {name: column.take(chunk.regions.indices) for name, column in columns.items()}
        return columns

    def _tell_damaged(self, rows: np.ndarray, tell: Tell) -> None:
        tell(f"{self._name}: the region in the registry is damaged", rows)

    def _place(self, what: str) -> str:
        return f"The configuration of {what}"

    def _constants_of(self, kind: DatasetTypeConfig) -> dict[str, Any]:
        """Return what templates may name besides the dataset itself."""
        values: dict[str, Any] = {
            "dataproduct_type": kind.dataproduct_type,
            "dataproduct_subtype": kind.dataproduct_subtype,
            "o_ucd": kind.o_ucd,
            "calib_level": kind.calib_level,
            "obs_collection": kind.obs_collection or self._config.obs_collection,
            "access_format": kind.access_format,
        }
        if kind.s_xel is not None:
            values["s_xel1"], values["s_xel2"] = kind.s_xel
        return values

    def _generic(self, chunk: Chunk, tell: Tell) -> dict[str, pa.Array]:
        """Return the columns that the configuration says."""
        kind = self._kind
        constants: dict[str, Any] = dict(self._constants)
        if kind.pol_states is not None:
            constants["pol_states"] = kind.pol_states
            constants["pol_xel"] = kind.pol_states.count("/") - 1
        found = {
            name: self._constant(name, value, chunk.size)
            for name, value in constants.items()
            if name in self._datatypes
        }
        if self._config.access_estsize:
            # Kilobytes of 1000 bytes, begun ones included: no file has none.
            found["access_estsize"] = pc.divide(pc.add(chunk.sizes, 999), 1000)
        names: dict[str, Any] = dict(self._constants)
        for name, template in self._formats.items():
            try:
                ids = "{id}" if name in self._formatted else None
                found[name] = template.evaluate(chunk, names, ids=ids, tell=tell)
            except MissingNameError as err:
                raise UsageError(
                    f"{self._place(f'{name} of {self._name}')}: {template.text!r} names {err.name!r}, which "
                    f"{self._name} does not have; there are {', '.join(self._known(chunk))}"
                ) from err
            if name == "obs_id":
                names["obs_id"] = found[name]
        for name, value in self._extra.items():
            if not isinstance(value, ExtraColumn):
                found[name] = self._constant(name, value, chunk.size)
                continue
            template = self._templates[name]
            known = template.plain_dimension(chunk)
            if known is not None and self._datatypes[name] == "long" and _are_integers(known):
                # {visit}: no way through texts for what is a number.
                found[name] = known.map(lambda value: value, pa.int64())
                continue
            try:
                texts = template.evaluate(chunk, names, tell=tell)
            except MissingNameError:
                # {tract} of a raw image: a general column that this dataset
                # type has no value for.
                continue
            place = self._place(f"{name} of {self._name}")
            found[name] = convert_texts(texts, self._datatypes[name], place, tell)
        return found

    def _constant(self, name: str, value: Any, size: int) -> pa.Array:
        kind = next(field.type for field in self._schema if field.name == name)
        try:
            return repeat(value, kind, size)
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as err:
            raise UsageError(
                f"{self._place(f'{name} of {self._name}')}: "
                f"{value!r} is no value of type {self._datatypes[name]}"
            ) from err

    def _known(self, chunk: Chunk) -> list[str]:
        names = [*chunk.dimensions, "id", "run", "dataset_type", *self._constants]
        return [*names, *(f"records[{element}]" for element in chunk.records)]

    def _of_the_universe(self, chunk: Chunk) -> dict[str, pa.Array]:
        """Return the columns that dimensions and their records say."""
        config = self._config
        found: dict[str, pa.Array] = {}
        instrument = chunk.dimensions.get("instrument")
        if instrument is None:
            fallback = config.fallback_instrument
            found["instrument_name"] = repeat(fallback, pa.string(), chunk.size)
            found["facility_name"] = repeat(self._facility(fallback), pa.string(), chunk.size)
        else:
            found["instrument_name"] = instrument.map(lambda name: name, pa.string())
            found["facility_name"] = instrument.map(self._facility, pa.string())
        for name, times in zip(("t_min", "t_max"), chunk.times_ns, strict=True):
            # Few times, of many datasets each.
            distinct = times.cast(pa.int64()).dictionary_encode()
            mjd = pa.array(mjd_utc(distinct.dictionary.to_numpy()), pa.float64())
            found[name] = mjd.take(distinct.indices)
        element = next((name for name in ("exposure", "visit") if name in chunk.dimensions), None)
        if element is not None and element in chunk.records:
            records = chunk.records[element]
            found["t_exptime"] = records.map(
                lambda record: getattr(record, "exposure_time", None), pa.float64()
            )
            found["target_name"] = records.map(
                lambda record: getattr(record, "target_name", None), pa.string()
            )
        return found | self._spectral(chunk.dimensions)

    def _facility(self, instrument: str | None) -> str | None:
        return self._config.facility_map.get(instrument or "", self._config.facility_name or "") or None

    def _spectral(self, dimensions: Mapping[str, Coded]) -> dict[str, pa.Array]:
        if "band" not in dimensions:
            return {}
        ranges = self._config.spectral_ranges
        found = {}
        for index, name in enumerate(("em_min", "em_max")):
            by_band = dimensions["band"].map(lambda band: ranges.get(band, (None, None))[index], pa.float64())  # noqa: B023
            found[name] = by_band
            if "physical_filter" in dimensions:
                filters = dimensions["physical_filter"]
                listed = filters.map(ranges.__contains__, pa.bool_())
                by_filter = filters.map(lambda name: ranges.get(name, (None, None))[index], pa.float64())  # noqa: B023
                # A filter that is listed without limits has none: its band's
                # would be wrong for it.
                found[name] = pc.if_else(listed, by_filter, by_band)
        return found


def formats_of(config: ObscoreConfig, names: Collection[str]) -> list[str]:
    """Find the columns whose texts are formats that need the id alone.

    Parameters
    ----------
    config
        The configuration.
    names
        Names of dataset types.

    Returns
    -------
    columns : `list` [`str`]
        Of `~lsst.dax.vo.store.ID_COLUMNS`, those that every dataset type
        fills with a template that names the id plainly, or not at all.
    """
    found = []
    for column in ID_COLUMNS:
        texts = [
            config.obs_publisher_did_fmt if column == "obs_publisher_did" else kind.datalink_url_fmt
            for name, kind in config.dataset_types.items()
            if name in names
        ]
        if all(Template(text, column).names_plain_ids for text in texts if text):
            found.append(column)
    return found


def _seed(config: ObscoreConfig, name: str, label: str) -> str:
    """Write all of the configuration that the rows of a dataset type show."""
    shown = config.model_dump(
        mode="json",
        exclude={"dataset_types"} | _OF_NO_ROW,
    )
    return repr(
        (_ROWS, label, name, config.dataset_types[name].model_dump(mode="json"), sorted(shown.items()))
    )


def _are_integers(column: Coded) -> bool:
    return all(type(value) is int for value in column.values)
