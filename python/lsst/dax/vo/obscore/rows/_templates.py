"""Format strings of a configuration, evaluated a column at a time.

A template means what `str.format` makes of it.  Each of its fields depends on
one thing only (a dimension, a dimension record, the run, the id), so that it
is formatted once for each distinct value, and the columns of texts are joined
by Arrow.
"""

from __future__ import annotations

__all__ = ["MissingNameError", "Template", "convert_texts", "elements_of", "plain"]

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

from ...errors import UsageError
from .._problems import Tell, refuse
from ._chunk import Chunk, Coded, coded_texts, repeat

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

    @property
    def names_plain_ids(self) -> bool:
        """Whether it names the id, and in its usual form only."""
        ids = [part for part in self._parts if isinstance(part, _Field) and part.root == "id"]
        nested = any("{" in part.spec for part in self._parts if isinstance(part, _Field))
        simple = all(part.path == "id" and not part.spec and part.conversion in (None, "s") for part in ids)
        literal = any("{id}" in part for part in self._parts if isinstance(part, str))
        return bool(ids) and simple and not nested and not literal

    def plain_dimension(self, chunk: Chunk) -> Coded | None:
        """Return the dimension that the whole template is, if it is one.

        Parameters
        ----------
        chunk
            The datasets.

        Returns
        -------
        column : `Coded` or `None`
            The visits of ``{visit}``; `None` of anything else.
        """
        match self._parts:
            case [_Field(root, path, None, "")] if root == path and not _RECORD.match(root):
                try:
                    found = _lookup(root, chunk, {})
                except MissingNameError:
                    return None
                return found if isinstance(found, Coded) else None
        return None

    def evaluate(
        self, chunk: Chunk, names: Mapping[str, Any], *, ids: str | None = None, tell: Tell = refuse
    ) -> pa.Array:
        """Format the template for each dataset of a chunk.

        Parameters
        ----------
        chunk
            The datasets.
        names
            Further names: constants, or columns of texts.
        ids
            What stands in the place of ``{id}``, instead of each id.
        tell
            Told of values that cannot be formatted so; their texts are NULL.

        Returns
        -------
        texts : `pyarrow.Array`
            Plain, or a dictionary where many are the same; NULL where
            something that a field names is not there, such as the begin of
            an open timespan.

        Raises
        ------
        MissingNameError
            Raised if a field names something that no dataset of this type
            has.
        UsageError
            Raised by ``tell``, or if a constant cannot be formatted so.
        """
        if ids is not None:
            names = {**names, "id": ids}
        pieces = [
            part if isinstance(part, str) else self._column(part, chunk, names, tell) for part in self._parts
        ]
        columns: list[Any] = [piece for piece in pieces if not isinstance(piece, str)]
        if not columns:
            return repeat("".join(map(str, pieces)), pa.string(), chunk.size)
        if len(pieces) == 1:
            return columns[0]
        if len(columns) == 1 and pa.types.is_dictionary(columns[0].type):
            # Joined once for each distinct value.
            column: Any = columns[0]
            inner = [piece if isinstance(piece, str) else column.dictionary for piece in pieces]
            return coded_texts(column.indices, pc.binary_join_element_wise(*inner, ""))
        return pc.binary_join_element_wise(*map(plain, pieces), "")

    def _make_field(self, name: str, conversion: str | None, spec: str) -> _Field:
        root = record.group() if (record := _RECORD.match(name)) else _ROOT.match(name)[0]  # type: ignore[index]
        if not root or root.isdigit() or root == "records":
            raise UsageError(
                f"{self._where}: the field {{{name}}} of {self.text!r} names nothing; give a dimension "
                "such as {visit}, a record such as {records[visit].name}, {id}, {run} or {dataset_type}"
            )
        return _Field(root, name, conversion, spec)

    def _column(self, field: _Field, chunk: Chunk, names: Mapping[str, Any], tell: Tell) -> pa.Array:
        simple = field.path == field.root and not field.spec and field.conversion in (None, "s")
        source = _lookup(field.root, chunk, names)
        if isinstance(source, pa.Array):
            if simple:
                return source
            source = Coded.of(plain(source))
        elif source is _IDS:
            if simple:
                return chunk.id_texts()
            uuids = [UUID(bytes=chunk.ids[start : start + 16]) for start in range(0, len(chunk.ids), 16)]
            source = Coded(np.arange(chunk.size), uuids)
        if "{" in field.spec:
            return self._column_of_specs(field, source, chunk, names, tell)
        if isinstance(source, Coded):
            wrong: dict[str, list[int]] = {}
            codes = Coded(source.codes, range(len(source.values)))
            column = codes.map(
                lambda code: self._try(field, source.values[code], field.spec, wrong, code), pa.string()
            )
            for what, those in wrong.items():
                tell(what, np.flatnonzero(np.isin(source.codes, those)))
            return column
        return repeat(self._format(field, source, field.spec), pa.string(), chunk.size)

    def _column_of_specs(
        self, field: _Field, source: Any, chunk: Chunk, names: Mapping[str, Any], tell: Tell
    ) -> pa.Array:
        """Format with specifications that differ from row to row."""
        specs = Template(field.spec, self._where).evaluate(chunk, names, tell=tell).to_pylist()
        values = (
            [source.values[code] for code in source.codes]
            if isinstance(source, Coded)
            else [source] * chunk.size
        )
        wrong: dict[str, list[int]] = {}
        texts = [
            None if spec is None else self._try(field, value, spec, wrong, row)
            for row, (value, spec) in enumerate(zip(values, specs, strict=True))
        ]
        for what, rows in wrong.items():
            tell(what, np.array(rows))
        return pa.array(texts, pa.string())

    def _try(
        self, field: _Field, value: Any, spec: str, wrong: dict[str, list[int]], place: int
    ) -> str | None:
        try:
            return self._format(field, value, spec)
        except UsageError as err:
            wrong.setdefault(str(err), []).append(place)
            return None

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


def convert_texts(texts: pa.Array, datatype: str, where: str, tell: Tell = refuse) -> pa.Array:
    """Turn formatted texts into the values of a column.

    Parameters
    ----------
    texts
        The texts.
    datatype
        VOTable type word of the column.
    where
        What the column is, for messages.
    tell
        Told of texts that are no such value; they become NULL.

    Returns
    -------
    values : `pyarrow.Array`

    Raises
    ------
    UsageError
        Raised by ``tell``.
    """
    if datatype == "char":
        return texts
    convert = _CONVERSIONS[datatype]
    kind = {"boolean": pa.bool_(), "int": pa.int32(), "long": pa.int64(), "double": pa.float64()}[datatype]
    encoded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
    values = []
    wrong = []
    for code, text in enumerate(encoded.dictionary.to_pylist()):
        try:
            values.append(None if text is None else pa.scalar(convert(text), kind))
        except (ValueError, OverflowError):
            values.append(None)
            wrong.append(code)
    for code in wrong:
        what = f"{where}: {encoded.dictionary[code].as_py()!r} is no value of type {datatype}"
        rows = np.flatnonzero(encoded.indices.fill_null(-1).to_numpy() == code)
        tell(f"{what}; change the template or its type", rows)
    return pa.array(values, kind).take(encoded.indices)


def plain(column: pa.Array | str) -> pa.Array | str:
    """Write a dictionary out.

    Parameters
    ----------
    column
        A column, or the same text for all rows.

    Returns
    -------
    column : `pyarrow.Array` or `str`
        One value for each row.
    """
    if isinstance(column, str) or not pa.types.is_dictionary(column.type):
        return column
    return column.dictionary_decode()


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
