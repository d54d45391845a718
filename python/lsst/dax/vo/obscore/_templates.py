"""Format strings of a configuration, evaluated a column at a time.

A template means what `str.format` makes of it.  Each of its fields depends on
one thing only (a dimension, a dimension record, the run, the id), so that it
is formatted once for each distinct value, and the columns of texts are joined
by Arrow.
"""

from __future__ import annotations

__all__ = ["MissingNameError", "Template", "convert_texts", "elements_of"]

import enum
import re
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import UsageError
from ._chunk import Chunk, Coded, repeat

_FORMATTER = string.Formatter()
_ROOT = re.compile(r"[^.\[]*")
_RECORD = re.compile(r"records\[([^\]]*)\]")
# Stands for the ids of a chunk, which differ from row to row.
_IDS = object()
_CONVERSIONS: dict[str, Callable[[str], Any]] = {
    # As lsst-dax-obscore has it: truth is spelt as a number.
    "boolean": lambda text: bool(int(text)),
    "int": int,
    "long": int,
    "double": float,
    "char": str,
}


class MissingNameError(LookupError):
    """A template names something that its dataset type does not have.

    Parameters
    ----------
    name
        What is missing.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class _Field:
    root: str
    path: str
    conversion: str | None
    spec: str


class Template:
    """A format string.

    Parameters
    ----------
    text
        As `str.format` accepts it, with named fields only.
    where
        What the template is for, for messages.

    Raises
    ------
    UsageError
        Raised if it is no format string, or has unnamed fields.
    """

    def __init__(self, text: str, where: str) -> None:
        self.text = text
        self._where = where
        self._parts: list[str | _Field] = []
        try:
            for literal, name, spec, conversion in _FORMATTER.parse(text):
                if literal:
                    self._parts.append(literal)
                if name is not None:
                    self._parts.append(self._make_field(name, conversion, spec or ""))
        except ValueError as err:
            raise UsageError(f"{where}: {text!r} is no format string: {err}") from err

    def __iter__(self) -> Iterator[str]:
        """Yield the roots of all fields, nested ones included."""
        for part in self._parts:
            if isinstance(part, _Field):
                yield part.root
                if "{" in part.spec:
                    yield from Template(part.spec, self._where)

    def evaluate(self, chunk: Chunk, names: Mapping[str, Any]) -> pa.Array:
        """Format the template for each dataset of a chunk.

        Parameters
        ----------
        chunk
            The datasets.
        names
            Further names: constants, or columns of texts.

        Returns
        -------
        texts : `pyarrow.Array`
            NULL where something that a field names is not there, such as
            the begin of an open timespan.

        Raises
        ------
        MissingNameError
            Raised if a field names something that no dataset of this type
            has.
        UsageError
            Raised if a value cannot be formatted so.
        """
        pieces = [part if isinstance(part, str) else self._column(part, chunk, names) for part in self._parts]
        columns = [piece for piece in pieces if not isinstance(piece, str)]
        if not columns:
            return repeat("".join(map(str, pieces)), pa.string(), chunk.size)
        return columns[0] if len(pieces) == 1 else pc.binary_join_element_wise(*pieces, "")

    def _make_field(self, name: str, conversion: str | None, spec: str) -> _Field:
        root = record.group() if (record := _RECORD.match(name)) else _ROOT.match(name)[0]  # type: ignore[index]
        if not root or root.isdigit() or root == "records":
            raise UsageError(
                f"{self._where}: the field {{{name}}} of {self.text!r} names nothing; give a dimension "
                "such as {visit}, a record such as {records[visit].name}, {id}, {run} or {dataset_type}"
            )
        return _Field(root, name, conversion, spec)

    def _column(self, field: _Field, chunk: Chunk, names: Mapping[str, Any]) -> pa.Array:
        plain = field.path == field.root and not field.spec and field.conversion in (None, "s")
        source = _lookup(field.root, chunk, names)
        if isinstance(source, pa.Array):
            if plain:
                return source
            source = Coded.of(source.to_pylist())
        elif source is _IDS:
            if plain:
                return chunk.id_texts()
            uuids = [UUID(bytes=chunk.ids[start : start + 16]) for start in range(0, len(chunk.ids), 16)]
            source = Coded(np.arange(chunk.size), uuids)
        if "{" in field.spec:
            return self._column_of_specs(field, source, chunk, names)
        if isinstance(source, Coded):
            return source.map(lambda value: self._format(field, value, field.spec), pa.string())
        return repeat(self._format(field, source, field.spec), pa.string(), chunk.size)

    def _column_of_specs(
        self, field: _Field, source: Any, chunk: Chunk, names: Mapping[str, Any]
    ) -> pa.Array:
        """Format with specifications that differ from row to row."""
        specs = Template(field.spec, self._where).evaluate(chunk, names).to_pylist()
        values = (
            [source.values[code] for code in source.codes]
            if isinstance(source, Coded)
            else [source] * chunk.size
        )
        texts = [
            None if spec is None else self._format(field, value, spec)
            for value, spec in zip(values, specs, strict=True)
        ]
        return pa.array(texts, pa.string())

    def _format(self, field: _Field, value: Any, spec: str) -> str | None:
        if value is None:
            return None
        record = _RECORD.match(field.root)
        found = {"records": {record[1]: value}} if record else {field.root: value}
        try:
            value, _ = _FORMATTER.get_field(field.path, (), found)
            if field.conversion:
                value = _FORMATTER.convert_field(value, field.conversion)
            return None if value is None else str(_FORMATTER.format_field(value, spec))
        except AttributeError as err:
            if err.obj is None or isinstance(err.obj, enum.Enum):
                # The begin of a timespan that is missing, open or empty.
                return None
            raise self._refused(field, err) from err
        except (LookupError, TypeError, ValueError) as err:
            raise self._refused(field, err) from err

    def _refused(self, field: _Field, err: Exception) -> UsageError:
        return UsageError(
            f"{self._where}: the field {{{field.path}}} of {self.text!r} cannot be formatted: {err}"
        )


def elements_of(templates: Mapping[str, Template]) -> set[str]:
    """Return the dimension elements whose records templates name.

    Parameters
    ----------
    templates
        The templates.

    Returns
    -------
    elements : `set` [`str`]
    """
    roots = (root for template in templates.values() for root in template)
    return {record[1] for root in roots if (record := _RECORD.match(root))}


def convert_texts(texts: pa.Array, datatype: str, where: str) -> pa.Array:
    """Turn formatted texts into the values of a column.

    Parameters
    ----------
    texts
        The texts.
    datatype
        VOTable type word of the column.
    where
        What the column is, for messages.

    Returns
    -------
    values : `pyarrow.Array`

    Raises
    ------
    UsageError
        Raised if a text is no such value.
    """
    if datatype == "char":
        return texts
    convert = _CONVERSIONS[datatype]
    kind = {"boolean": pa.bool_(), "int": pa.int32(), "long": pa.int64(), "double": pa.float64()}[datatype]
    encoded = texts.dictionary_encode()
    values = []
    for text in encoded.dictionary.to_pylist():
        try:
            values.append(pa.scalar(convert(text), kind))
        except (ValueError, OverflowError) as err:
            raise UsageError(
                f"{where}: {text!r} is no value of type {datatype}; change the template or its type"
            ) from err
    return pa.array(values, kind).take(encoded.indices)


def _lookup(root: str, chunk: Chunk, names: Mapping[str, Any]) -> Any:
    if record := _RECORD.match(root):
        if record[1] not in chunk.records:
            raise MissingNameError(root)
        return chunk.records[record[1]]
    if root in names:
        return names[root]
    match root:
        case "id":
            return _IDS
        case "run":
            return chunk.run
        case "dataset_type":
            return chunk.dataset_type
        case "visit" if "visit" not in chunk.dimensions and "exposure" in chunk.dimensions:
            # One name for both, so that {visit} fits raw images as well.
            return chunk.dimensions["exposure"]
    if root not in chunk.dimensions:
        raise MissingNameError(root)
    return chunk.dimensions[root]
