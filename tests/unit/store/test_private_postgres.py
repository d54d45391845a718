"""The server that tests run for themselves."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from lsst.dax.vo.testing import NoServerError, PostgresServer, running_postgres
from lsst.dax.vo.testing._postgres import _find_programs, _load_mended_pgsphere


def test_database_has_pgsphere_and_is_empty(postgres: str) -> None:
    with psycopg.connect(postgres) as connection:
        ((meets,),) = connection.execute("SELECT scircle(spoint(0, 0), 1) && scircle(spoint(1.5, 0), 1)")
        assert meets
        assert connection.execute("SELECT to_regnamespace('ivoa')").fetchall() == [(None,)]


def test_mended_script_makes_the_same_functions(postgres_server: PostgresServer) -> None:
    query = (
        "SELECT proname, pg_get_function_arguments(oid) FROM pg_proc "
        "WHERE probin LIKE '%pg_sphere%' ORDER BY 1, 2"
    )
    with postgres_server.connect() as connection:
        connection.execute("CREATE DATABASE mended TEMPLATE template0")
    with postgres_server.connect("mended") as connection:
        _load_mended_pgsphere(connection, _find_programs())
        mended = connection.execute(query).fetchall()
        ((meets,),) = connection.execute("SELECT spoint(0, 0) <@ scircle(spoint(0.5, 0), 1)")
    assert meets
    with postgres_server.connect("template1") as connection:
        assert connection.execute(query).fetchall() == mended
    assert len(mended) > 100


def test_server_of_a_killed_process_is_stopped() -> None:
    pytest.importorskip("psycopg")
    program = (
        "import time\n"
        "from lsst.dax.vo.testing import running_postgres\n"
        "with running_postgres() as server:\n"
        "    print(server.folder, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    if not line:
        pytest.skip("there is no PostgreSQL here")
    folder = Path(line)
    end = time.monotonic() + 20
    while folder.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not folder.exists()


def test_without_a_server_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lsst.dax.vo.testing._postgres._VERSIONS", Path("/nonexistent"))
    monkeypatch.setitem(os.environ, "PATH", "/nonexistent")
    with (
        pytest.raises(NoServerError, match=r"PostgreSQL is not installed \(Debian: apt install"),
        running_postgres(),
    ):
        pass
