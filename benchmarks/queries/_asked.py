"""Who is asked: our engines, plain pgSphere, and servers."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

import pyarrow as pa

from lsst.dax.vo.query import Engine, plan_query

from ._made import PEER_COLUMNS
from ._questions import Place, Question, fill

MOST_CONNECTIONS = 32
"""Of the peer: of a hundred clients, some wait, as those of a service do."""

type Ask = Callable[[Question, Place], int]
"""From a question to the rows of its answer."""


def ask_engine(engine: Engine) -> Ask:
    def ask(question: Question, place: Place) -> int:
        plan = plan_query(fill(question.adql, place), engine.catalog)
        table = engine.run(plan, maxrec=1_000_000, base_url="https://vo.example.org")
        return sum(batch.num_rows for batch in table.batches)

    return ask


@contextmanager
def asking_peer(url: str) -> Iterator[Ask]:
    from adbc_driver_postgresql import dbapi

    idle: list[Any] = []
    free = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def ask(question: Question, place: Place) -> int:
        sql = fill(question.sql, place)
        if " TOP 10 " in sql:
            sql = f"{sql.replace(' TOP 10 ', ' ')} LIMIT 10"
        sql = sql.replace("SELECT *", f"SELECT {', '.join(PEER_COLUMNS.split())}, s_region::text")
        with free:
            connection = idle.pop() if idle else dbapi.connect(url, autocommit=True)
            with closing(connection.cursor()) as cursor:
                cursor.execute(sql)
                found: pa.Table = cursor.fetch_arrow_table()
            idle.append(connection)
        return found.num_rows

    yield ask
    for connection in idle:
        connection.close()


class Connections(threading.local):
    """Of each client's thread its own, kept open, as clients do."""

    connection: http.client.HTTPConnection | None = None


@contextmanager
def asking_http(base_url: str, response_format: str) -> Iterator[Ask]:
    opened: list[http.client.HTTPConnection] = []
    parts = urlsplit(base_url)
    own = Connections()

    def fetch(path: str) -> tuple[http.client.HTTPResponse, bytes]:
        if own.connection is None:
            own.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
            opened.append(own.connection)
        own.connection.request("GET", path)
        answer = own.connection.getresponse()
        return answer, answer.read()

    def ask(question: Question, place: Place) -> int:
        words = {
            "LANG": "ADQL",
            "QUERY": fill(question.adql, place),
            "MAXREC": "1000000",
            "RESPONSEFORMAT": response_format,
        }
        path = f"/api/tap/sync?{urlencode(words)}"
        try:
            answer, body = fetch(path)
        except (http.client.RemoteDisconnected, ConnectionResetError):
            # It was kept open too long, while others were asked.
            own.connection = None
            answer, body = fetch(path)
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {body[:500]!r}")
        return body.count(b"<TR>") if response_format == "votable" else max(body.count(b"\n") - 1, 0)

    yield ask
    for connection in opened:
        connection.close()
