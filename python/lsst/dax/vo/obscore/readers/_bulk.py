"""Datasets of a direct repository in bulk: the Butler's own SQL, read as Arrow.

The Butler turns the search into SQL; that statement, with the file sizes
joined to it, is run by an ADBC driver, which gives Arrow batches
without a Python object for each value.  For this, it reaches into daf_butler
beyond what is public: all of that is in this module, and where the release
or the search is not one that it knows, it says so (`DoesNotFitError`) and
another reader does the work.
"""

from __future__ import annotations

__all__ = ["BulkReader"]

import binascii
import contextlib
import copy
import weakref
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, override

import adbc_driver_manager.dbapi as adbc
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
import sqlalchemy.exc
from lsst.daf.butler import Butler, DatasetType, DimensionElement
from lsst.daf.butler import version as butler_version
from lsst.daf.butler.datastores.chainedDatastore import ChainedDatastore
from lsst.daf.butler.datastores.fileDatastore import FileDatastore

from ...errors import TransientError, without_secrets
from ..rows._chunk import Coded
from ._described import RegionSource
from ._pages import DoesNotFitError, Page, PageReader, Search, one_line, registry_errors, search_query

# Releases whose insides were compared with the public interface.
_RELEASES = ("30",)
# How the datastore writes that a file is a whole dataset.
_WHOLE = "__NULL_STRING__"
_PADDING = ord("=")
_ID, _RUN, _REGION, _SIZE = "_id", "_run", "_region", "_size"


class BulkReader(PageReader, RegionSource):
    """Reads datasets of a repository whose registry is an SQL database.

    Parameters
    ----------
    butler
        The repository; used by one thread at a time.
    page_size
        Datasets in one page.
    sizes
        Whether sizes of files are read.

    Raises
    ------
    DoesNotFitError
        Raised if the repository, or the release of the Butler, is none that
        can be read so; the message says why.
    """

    def __init__(self, butler: Butler, *, page_size: int, sizes: bool) -> None:
        release = str(butler_version.__version__)
        # A build of the stack has a commit in the place of a number: what is
        # used of it is looked for below.
        if (number := release.split(".")[0]).isdigit() and number not in _RELEASES:
            raise DoesNotFitError(f"daf_butler {release} is not one of the releases {', '.join(_RELEASES)}")
        self._butler = butler
        self._page_size = page_size
        try:
            with butler.query() as query:
                driver: Any = query._driver
                self._database = driver.db
                self._dimensions = driver.managers.dimensions
            self._connect = _driver_of(self._database._engine.url)
            # Opening one in PostgreSQL takes 0.1 s: it is kept from one
            # search to the next.
            self._idle: list[_Connection] = []
            weakref.finalize(self, _close_all, self._idle)
            self._records = list(_record_tables(butler._datastore)) if sizes else []
        except AttributeError as err:
            raise DoesNotFitError(f"this Butler has no registry of its own ({one_line(err)})") from err

    @override
    def iter_pages(self, search: Search) -> Generator[Page]:
        # Docstring inherited.
        name = search.dataset_type.name
        with registry_errors(name):
            for batch in self._run(name, self._compile(search)):
                yield _page(search.dataset_type, batch)

    @override
    def iter_regions(
        self, element: DimensionElement, governed: Mapping[str, Any], values: Mapping[str, Sequence[Any]]
    ) -> Generator[tuple[dict[str, Coded], pa.Array]]:
        # Docstring inherited.
        names = element.required.names
        with registry_errors(f"regions of {element.name}"):
            table = self._dimensions._tables[element.name]
            # The driver tells types by the first rows: no column begins with
            # NULLs only.
            text = sa.func.coalesce(sa.type_coerce(table.c.region, sa.Text), "").label(_REGION)
            statement = self._render(
                sa.select(*(table.c[name] for name in names), text).where(
                    *(table.c[name] == value for name, value in governed.items()),
                    *(table.c[name].in_(few) for name, few in values.items()),
                )
            )
            for batch in self._run("regions", statement):
                yield {name: Coded.of(batch[name]) for name in names}, _decode(batch[_REGION])

    def _run(self, what: str, statement: str) -> Iterator[pa.RecordBatch]:
        started = False
        try:
            with self._connection() as connection:
                for batch in _iter_batches(connection, statement):
                    started = True
                    yield batch
        except (adbc.Error, pa.ArrowException) as err:
            if not started:
                raise DoesNotFitError(f"the driver refuses the query ({one_line(err)})") from err
            raise TransientError(f"{what}: the registry has stopped to answer: {one_line(err)}") from err

    @contextlib.contextmanager
    def _connection(self) -> Iterator[_Connection]:
        connection = self._idle.pop() if self._idle else self._connect(self._page_size)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        connection.finish()
        self._idle.append(connection)

    def _compile(self, search: Search) -> str:
        name = search.dataset_type.name
        with self._butler.query() as query:
            rows: Any = search_query(query, search).general(
                search.dataset_type.dimensions,
                dataset_fields={name: {"dataset_id", "run"}},
                find_first=search.find_first,
            )
            spec = rows._spec
            columns = spec.get_result_columns()
            # They are in the records, which are read once.
            columns.drop_implied_dimension_keys()
            builder = rows._driver.build_query(
                rows._tree, columns, find_first_dataset=spec.find_first_dataset
            )
            if builder.postprocessing:
                raise DoesNotFitError("a part of 'where' is decided outside the database")
            found, _ = builder.finish_select()
            found = found.limit(search.limit) if search.limit is not None else found
        return self._render(self._join(found.subquery("found"), search.dataset_type))

    def _join(self, found: sa.Subquery, kind: DatasetType) -> sa.Select[Any]:
        """Add the size to each dataset, and make all columns plain."""
        ids = found.c[f"{kind.name}:dataset_id"]
        columns = [found.c[name].label(name) for name in kind.dimensions.required]
        columns += [self._plain_id(ids).label(_ID), found.c[f"{kind.name}:run"].label(_RUN)]
        joined: Any = found
        known = []
        for records in self._records:
            alias = records.alias()
            joined = joined.outerjoin(alias, sa.and_(alias.c.dataset_id == ids, alias.c.component == _WHOLE))
            known.append(alias.c.file_size)
        if known:
            columns.append(_single(known).label(_SIZE))
        return sa.select(*columns).select_from(joined)

    def _plain_id(self, column: Any) -> Any:
        if self._database.dialect.name == "sqlite":
            return sa.type_coerce(column, sa.Text)
        return sa.func.uuid_send(column)

    def _render(self, statement: sa.Select[Any]) -> str:
        # As the engine writes it, but for a driver that takes no parameters:
        # for psycopg each % is written twice, and nobody undoes that here.
        dialect = copy.copy(self._database._engine.dialect)
        dialect.paramstyle, dialect.positional = "named", False
        dialect.identifier_preparer = dialect.preparer(dialect)
        try:
            compiled = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        except sqlalchemy.exc.CompileError as err:
            raise DoesNotFitError(f"a value has no text in SQL ({one_line(err)})") from err
        return str(compiled)


def _driver_of(url: sa.URL) -> Any:
    """Return what opens a connection that gives Arrow."""
    match url.get_backend_name():
        case "sqlite" if url.database and url.database != ":memory:":
            return lambda size: _connect_sqlite(str(url.database), size)
        case "postgresql":
            address = url.set(drivername="postgresql").render_as_string(hide_password=False)
            return lambda size: _connect_postgresql(address, size)
    raise DoesNotFitError(f"the registry is in {url.get_backend_name()}, in memory or unknown")


def _connect_sqlite(path: str, size: int) -> Any:
    import adbc_driver_sqlite.dbapi as driver
    from adbc_driver_sqlite import StatementOptions

    # What SQLite's own URIs give a meaning.
    quoted = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    connection = driver.connect(f"file:{quoted}?mode=ro")
    return _Connection(connection, {StatementOptions.BATCH_ROWS.value: str(size)})


def _connect_postgresql(address: str, size: int) -> Any:
    try:
        import adbc_driver_postgresql.dbapi as driver
    except ImportError as err:
        raise DoesNotFitError("adbc-driver-postgresql is not installed") from err
    from adbc_driver_postgresql import StatementOptions

    # No row is shorter.
    hint = {StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(64 * size)}
    try:
        connection = driver.connect(address)
    except adbc.Error as err:
        reason = without_secrets(one_line(err), address)
        raise DoesNotFitError(f"the driver cannot connect ({reason})") from None
    return _Connection(connection, hint)


class _Connection:
    """An ADBC connection for one statement at a time."""

    def __init__(self, connection: Any, options: dict[str, str]) -> None:
        self._connection = connection
        self._options = options
        self._cursor: Any = None

    def read(self, statement: str) -> pa.RecordBatchReader:
        self._cursor = self._connection.cursor()
        self._cursor.adbc_statement.set_options(**self._options)
        self._cursor.execute(statement)
        return self._cursor.fetch_record_batch()

    def finish(self) -> None:
        if self._cursor is not None:
            self._cursor.close()
            # The next statement sees what the registry holds then.
            self._connection.rollback()

    def close(self) -> None:
        if self._cursor is not None:
            self._cursor.close()
        self._connection.close()


def _close_all(connections: list[_Connection]) -> None:
    for connection in connections:
        connection.close()


def _iter_batches(connection: _Connection, statement: str) -> Iterator[pa.RecordBatch]:
    """Read ahead by one batch: the database works while the rows are made."""
    with ThreadPoolExecutor(1, "registry") as thread:
        reader = thread.submit(connection.read, statement).result()

        def read() -> pa.RecordBatch | None:
            try:
                return reader.read_next_batch()
            except StopIteration:
                return None

        ahead = thread.submit(read)
        while (batch := ahead.result()) is not None:
            ahead = thread.submit(read)
            if batch.num_rows:
                yield batch


def _record_tables(datastore: Any) -> Iterator[sa.Table]:
    """Yield the tables in which datastores keep the sizes of files."""
    if isinstance(datastore, ChainedDatastore):
        for child in datastore.datastores:
            yield from _record_tables(child)
    elif isinstance(datastore, FileDatastore):
        yield datastore._table._table  # type: ignore[attr-defined]


def _single(sizes: list[Any]) -> Any:
    """Return the size if one datastore alone knows it, else -1."""
    known: list[Any] = [sa.case((size.is_not(None), 1), else_=0) for size in sizes]
    total = known[0]
    for one in known[1:]:
        total = total + one
    return sa.case((total == 1, sa.func.coalesce(*sizes, -1)), else_=-1)


def _page(kind: DatasetType, batch: pa.RecordBatch) -> Page:
    sizes = batch[_SIZE] if _SIZE in batch.schema.names else None
    return Page(
        _id_bytes(batch[_ID]),
        Coded.of(batch[_RUN]),
        {name: Coded.of(batch[name]) for name in kind.dimensions.required},
        # -1: ingested in place, without a look at the size.
        None if sizes is None else pc.if_else(pc.less(sizes, 0), pa.scalar(None, pa.int64()), sizes),
    )


def _id_bytes(column: pa.Array) -> bytes:
    if pa.types.is_string(column.type):
        return binascii.unhexlify(_content(column))
    return bytes(_content(column.cast(pa.binary())))


def _content(column: pa.Array) -> memoryview:
    """Return the bytes of a column of texts, one after the other."""
    _, offsets, data = column.buffers()
    if data is None:
        return memoryview(b"")
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    return memoryview(data)[ends[0] : ends[-1]]


def _decode(texts: pa.Array) -> pa.Array:
    """Decode base64; "" means NULL, and what is damaged becomes empty.

    Texts of one length, which nearly all are, are decoded at once: with 'A'
    in the place of the padding, one text ends where the next one begins.
    """
    lengths = np.unique(pc.binary_length(texts).to_numpy())
    if len(lengths) == 1 and lengths[0] > 0 and lengths[0] % 4 == 0:
        data = np.frombuffer(_content(texts), np.uint8).reshape(len(texts), -1)
        padding = int((data[0, -2:] == _PADDING).sum())
        if (data == _PADDING).sum() == padding * len(data) and (data[:, -1] == data[0, -1]).all():
            data = data.copy()
            data[:, data.shape[1] - padding :] = ord("A")
            with contextlib.suppress(binascii.Error):
                raw = np.frombuffer(binascii.a2b_base64(data, strict_mode=True), np.uint8)
                content = np.ascontiguousarray(
                    raw.reshape(len(texts), -1)[:, : raw.size // len(texts) - padding]
                )
                offsets = np.arange(0, content.size + 1, content.shape[1], dtype=np.int32)
                buffers = [None, pa.py_buffer(offsets), pa.py_buffer(content)]
                return pa.BinaryArray.from_buffers(pa.binary(), len(texts), buffers)
    return pa.array(map(_decode_one, texts.to_pylist()), pa.binary())


def _decode_one(text: str) -> bytes | None:
    try:
        return binascii.a2b_base64(text, strict_mode=True) if text else None
    except ValueError:
        return b""
