"""The engine on DuckDB.

An instance in memory holds the tables of TAP_SCHEMA and a view on the files
of the stores, which are attached for reading alone.  Then it is shut: no file
or address can be reached any more, and no setting changed.  When a store's
table has been replaced, the next query gets a new instance, and the one
before is closed when the last query on it has ended.
"""

from __future__ import annotations

__all__ = ["DuckdbEngine"]

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, override

import duckdb
import pyarrow as pa
from sqlglot import exp

from ....config import Limits
from ....dali import ResultTable
from ....errors import TransientError, VoError
from ....store import FileLocation
from ..._catalog import OBSCORE_TABLE, Catalog
from ..._engine import Engine
from ..._limit import limit_rows
from ..._plan import Plan, render_sql
from ..._width import MOST_ROW_BYTES, row_bytes
from ...lowering._named import naming_columns
from .._clock import Clock, StoppedError, read_ahead
from .._uploads import largest_value, name_uploads
from .._words import UNREADABLE, explain_evaluation, explain_memory, explain_stop, quote_name
from ._match import Shape, compute_shapes, take_shapes_out
from ._tables import select_rows
from ._world import World, make_world

_LOG = logging.getLogger(__name__)

# One of the database's own vectors.  Two batches of a query whose client does
# not read took 51 MB with 10,000 rows of 37 columns, and take 9 MB; reading as
# many rows takes the same time of a CPU.
_BATCH_ROWS = 2_048
# A batch is no memory of the database, whose limit does not hold for it.
_BATCH_BYTES = 32 * 2**20


# Who cannot read new tables tries again after so long, and works meanwhile for
# so much longer than the try took.
_AGAIN_SECONDS = 1.0
_AGAIN_FACTOR = 10.0


class Sent(NamedTuple):
    """An uploaded table on its way into the database."""

    name: str
    """Its name there."""

    rows: pa.Table
    """What was sent."""

    shapes: tuple[Shape, ...] = ()
    """What is computed of it."""


_MOST_COLLECTED = 9_999
"""Rows of a LIMIT that is worked at in parallel; with a higher one, without an
order, the database goes through the table in one thread."""


def _first_rows(batches: Generator[pa.RecordBatch], most: int | None) -> Generator[pa.RecordBatch]:
    left = most
    with contextlib.closing(batches):
        for batch in batches:
            yield batch if left is None else batch.slice(0, left)
            if left is not None:
                left -= batch.num_rows
                if left <= 0:
                    return


class DuckdbEngine(Engine):
    """Runs plans on stores in DuckDB; see `~lsst.dax.vo.query.Engine`.

    Parameters
    ----------
    locations
        Of one or more stores.
    limits
        Time and memory of a query.
    access_url
        Whether ``access_url`` leads to the service, or is the one that was
        exported.

    Raises
    ------
    UsageError
        Raised if two stores have a column of one name and different types.
    TransientError
        Raised if a store cannot be read now.
    """

    def __init__(
        self,
        locations: Sequence[FileLocation],
        *,
        limits: Limits,
        access_url: Literal["service", "exported"],
    ) -> None:
        self._locations = tuple(locations)
        self._limits = limits
        self._access_url = access_url
        self._lock = threading.Lock()
        self._is_closed = False
        self._renewed_from_s = 0.0
        self._world: World | None = self._make_world()

    @property
    @override
    def catalog(self) -> Catalog:
        # Docstring inherited.
        with self._enter() as world:
            return world.catalog

    @override
    def run(
        self,
        plan: Plan,
        *,
        maxrec: int | None,
        base_url: str | None = None,
        uploads: Mapping[str, pa.Table] | None = None,
        seconds: float | None = None,
    ) -> ResultTable:
        # Docstring inherited.
        most = None if maxrec is None else maxrec + 1
        tree, end = limit_rows(plan.tree, most)
        if most is not None and most > _MOST_COLLECTED and tree.args.get("order") is None:
            end = ""
        tree, tables = name_uploads(tree, uploads)
        shapes = take_shapes_out(tree, tables) if tables else {}
        size = (
            row_bytes(tree, {name: largest_value(rows) for name, rows in tables.items()})
            if tables
            else plan.row_bytes
        )
        if size > MOST_ROW_BYTES:
            raise explain_memory(
                f"rows of up to {size // 2**20} MB, because values of an uploaded table are so large"
            )
        places = {table.name for table in tree.find_all(exp.Table)} if tables else set()
        sent = [Sent(name, table) for name, table in tables.items() if name in places]
        sent += [Sent(name, tables[own], tuple(made)) for name, (own, made) in shapes.items()]
        planned = plan if tree is plan.tree else replace(plan, tree=tree)
        clock = Clock(self._limits.query_seconds if seconds is None else seconds)

        service = base_url if self._access_url == "service" else None

        def render(world: World) -> str:
            named = naming_columns(world.formats, access_url=self._access_url, base_url=base_url)

            def published(wanted: Collection[str]) -> str:
                return select_rows(world.stores, wanted=wanted, service=service)

            return render_sql(planned, named=named, published=published)

        def write(world: World) -> str:
            # What is made for this run alone does not come again.
            sql = world.texts.get(plan, base_url, lambda: render(world)) if planned is plan else render(world)
            return sql + end

        count = max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(size, 1)))
        batches = _first_rows(self._stream(write, clock, sent, batch_rows=count), most)
        return ResultTable(plan.columns, read_ahead(batches), maxrec, clock.cancel)

    @override
    def count_rows(self) -> dict[str, int]:
        # Docstring inherited.
        counts: dict[str, int] = {}
        query = f"SELECT _repo, COUNT(*) AS n FROM {OBSCORE_TABLE} GROUP BY _repo ORDER BY _repo"
        for batch in self._stream(lambda _: query, Clock(self._limits.query_seconds)):
            counts |= {row["_repo"]: row["n"] for row in batch.to_pylist()}
        return counts

    @override
    def close(self) -> None:
        # Docstring inherited.
        with self._lock:
            self._is_closed = True
            self._retire()

    def _stream(
        self,
        render: Callable[[World], str],
        clock: Clock,
        uploads: Sequence[Sent] = (),
        *,
        batch_rows: int = _BATCH_ROWS,
    ) -> Generator[pa.RecordBatch]:
        with (
            self._enter() as world,
            contextlib.closing(world.connection.cursor()) as cursor,
            contextlib.closing(clock),
        ):
            sql = render(world)
            with self._explained(world, clock), clock.watching(cursor.interrupt):
                for upload in uploads:
                    _place(world, cursor, upload)
                cursor.execute("BEGIN TRANSACTION READ ONLY")
                # This relation streams; a cursor that executes would hold
                # the whole result.
                reader = cursor.sql(sql).to_arrow_reader(batch_rows)
            while True:
                with self._explained(world, clock), clock.watching(cursor.interrupt):
                    try:
                        batch = reader.read_next_batch()
                    except StopIteration:
                        return
                yield batch

    @contextlib.contextmanager
    def _enter(self) -> Iterator[World]:
        with self._lock:
            world = self._current_world()
            world.users += 1
        try:
            yield world
        finally:
            with self._lock:
                world.users -= 1
                if world.retired and world.users == 0:
                    world.close()

    def _current_world(self) -> World:
        if self._is_closed:
            raise TransientError("The service is being closed; try again later")
        try:
            if self._world is None:
                self._world = self._make_world()
            elif time.monotonic() >= self._renewed_from_s and not self._world.is_current:
                self._renew()
        except VoError as err:
            # Its text may name the server's files: that is for the log alone.
            _LOG.error("The ObsCore table cannot be read: %s", err)
            raise TransientError(UNREADABLE) from err
        return self._world

    def _renew(self) -> None:
        """Go over to the new tables; if they cannot be read, stay with the old ones for a while."""
        begin_s = time.monotonic()
        try:
            fresh = self._make_world()
        except VoError as err:
            # All queries have waited: far away, a server may not answer.
            end_s = time.monotonic()
            self._renewed_from_s = end_s + max(_AGAIN_SECONDS, _AGAIN_FACTOR * (end_s - begin_s))
            _LOG.error("The tables go on to be served as they were: %s", err)
            return
        self._retire()
        self._world = fresh

    def _make_world(self) -> World:
        return make_world(self._locations, self._limits)

    def _retire(self) -> None:
        world, self._world = self._world, None
        if world is not None:
            world.retired = True
            if world.users == 0:
                world.close()

    @contextlib.contextmanager
    def _explained(self, world: World, clock: Clock) -> Iterator[None]:
        try:
            yield
        except StoppedError as err:
            raise explain_stop(clock) from err
        except (duckdb.Error, pa.ArrowException, OSError) as err:
            # Behind Arrow, the text alone tells what kind of error it was.
            kind, _, reason = str(err).partition("\n")[0].partition(" Error: ")
            kind = kind.rpartition(": ")[2].lower()
            if clock.has_stopped or kind == "interrupt":
                raise explain_stop(clock) from err
            if kind == "out of memory":
                raise explain_memory(f"more than {self._limits.query_memory_mb} MB of memory") from err
            if kind in ("fatal", "internal"):
                # The instance answers nothing any more; the next query gets a new one.
                with self._lock:
                    if self._world is world:
                        self._retire()
                _LOG.error("The database failed", exc_info=err)
                raise TransientError(UNREADABLE) from err
            if kind == "io" or not reason:
                _LOG.error("The ObsCore table cannot be read: %s", err)
                raise TransientError(UNREADABLE) from err
            # Advice on settings of the database is for nobody here.
            raise explain_evaluation(reason.partition(". Use TRY")[0]) from err


def _place(world: World, cursor: duckdb.DuckDBPyConnection, upload: Sent) -> None:
    rows = upload.rows
    if upload.shapes:
        rows = compute_shapes(cursor, rows, upload.shapes, world.blocks(cursor))
    # Temporary tables are seen by their own cursor alone, and go with it.
    cursor.register("rows", rows)
    cursor.execute(f"CREATE TEMPORARY TABLE {quote_name(upload.name)} AS SELECT * FROM rows")
    cursor.unregister("rows")
