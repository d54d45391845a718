"""A private PostgreSQL with pgSphere, for as long as tests need it."""

from __future__ import annotations

__all__ = ["NoServerError", "PostgresServer", "running_postgres"]

import contextlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

# The server refuses root: then one of these runs it.
_USERS = ("postgres", "nobody")
_ADMIN = "postgres"
_VERSIONS = Path("/usr/lib/postgresql")
_START_SECONDS = 60.0
# Nothing here outlives the tests, so nothing waits for the disk.
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": "40",
    "shared_buffers": "64MB",
}
# A shell that holds a pipe of ours: when that is closed, be it because this
# process was killed, the server is stopped and its folder removed.
_GUARD = """
"$1" -D "$2/data" -k "$2" >"$2/log" 2>&1 &
server=$!
cat >/dev/null
kill -INT $server 2>/dev/null
wait $server
rm -rf "$2"
"""


class NoServerError(Exception):
    """There is no server to run here; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A server that is running; it listens on a socket in its folder alone."""

    folder: Path
    """Where it is."""

    def url(self, database: str = _ADMIN, user: str = _ADMIN) -> str:
        """Return where to connect.

        Parameters
        ----------
        database
            Name of a database.
        user
            Name of a role; none needs a password.

        Returns
        -------
        url : `str`
            A URL of libpq.
        """
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def connect(self, database: str = _ADMIN) -> psycopg.Connection[Any]:
        """Connect as the administrator.

        Parameters
        ----------
        database
            Name of a database.

        Returns
        -------
        connection : `psycopg.Connection`
            Each statement is a transaction; to be closed by the caller.
        """
        return psycopg.connect(self.url(database), autocommit=True)

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Make a database that has pgSphere, and drop it in the end.

        Yields
        ------
        url : `str`
            Where it is, for the administrator.
        """
        name = f"test_{uuid.uuid4().hex}"
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield self.url(name)
        finally:
            with self.connect() as connection:
                drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
                connection.execute(drop.format(sql.Identifier(name)))


@contextlib.contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Run a server of our own.

    Yields
    ------
    server : `PostgresServer`
        Its new databases have pgSphere.

    Raises
    ------
    NoServerError
        Raised if PostgreSQL or pgSphere is not installed, or root finds
        nobody to run it.
    """
    programs = _find_programs()
    user = _find_user()
    folder = Path(tempfile.mkdtemp(prefix="dax-vo-pg-"))
    guard = None
    try:
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        account: dict[str, Any] = (
            {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        )
        _make_cluster(programs, folder, account)
        guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", programs / "postgres", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd="/",
            # The interrupt of a terminal is for the tests, not for the server.
            start_new_session=True,
            **account,
        )
        server = PostgresServer(folder)
        _wait_until_it_answers(server, guard)
        with server.connect("template1") as connection:
            _load_pgsphere(connection, programs)
        yield server
    finally:
        if guard is not None:
            guard.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def _find_programs() -> Path:
    # Debian has each version in a folder of its own, away from the PATH.
    found = [Path(path).resolve() for name in ("postgres", "initdb") if (path := shutil.which(name))]
    folders = [path.parent for path in found]
    if config := shutil.which("pg_config"):
        told = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        folders.append(Path(told.stdout.strip()))
    versions = _VERSIONS.glob("*/bin")
    folders += sorted(versions, key=lambda path: float(path.parent.name), reverse=True)
    for folder in folders:
        if all((folder / name).exists() for name in ("postgres", "initdb")):
            return folder
    raise NoServerError("PostgreSQL is not installed (Debian: apt install postgresql)")


def _find_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in _USERS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise NoServerError(f"PostgreSQL does not run as root, and there is no user {' or '.join(_USERS)}")


def _make_cluster(programs: Path, folder: Path, account: dict[str, Any]) -> None:
    options = ["--username", _ADMIN, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
    done = subprocess.run(
        [programs / "initdb", "--pgdata", folder / "data", *options],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        **account,
    )
    if done.returncode:
        raise NoServerError(f"initdb failed: {done.stderr.strip()}")
    with (folder / "data" / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in _SETTINGS.items())


def _wait_until_it_answers(server: PostgresServer, guard: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            server.connect().close()
        except psycopg.OperationalError:
            if time.monotonic() > end or guard.poll() is not None:
                log = (server.folder / "log").read_text(errors="replace")
                raise NoServerError(f"PostgreSQL does not start: {log.strip()[-500:]}") from None
            time.sleep(0.05)
        else:
            return


def _load_pgsphere(connection: psycopg.Connection[Any], programs: Path) -> None:
    try:
        connection.execute("CREATE EXTENSION pg_sphere")
    except psycopg.errors.InvalidFunctionDefinition:
        _load_mended_pgsphere(connection, programs)
    except psycopg.Error as err:
        reason = str(err).splitlines()[0]
        raise NoServerError(
            f"pgSphere is not installed: {reason} (Debian: apt install postgresql-15-pgsphere)"
        ) from err


def _load_mended_pgsphere(connection: psycopg.Connection[Any], programs: Path) -> None:
    # Version 1.2.0 gives two operators the commutator and negator of others,
    # which PostgreSQL has refused since 15.9.  Without those lines its
    # statements can be run one after the other; that the extension is not
    # known as one then is no difference to its types.
    (shared,) = subprocess.run(
        [programs / "pg_config", "--sharedir"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    folder = Path(shared) / "extension"
    control = (folder / "pg_sphere.control").read_text()
    version = _setting(control, "default_version")
    script = (folder / f"pg_sphere--{version}.sql").read_text()
    operator = re.compile(r"CREATE OPERATOR @ \([^)]*RIGHTARG\s*=\s*smoc[^)]*\)")
    script = operator.sub(
        lambda found: re.sub(r"^\s*(COMMUTATOR|NEGATOR).*\n", "", found[0], flags=re.MULTILINE), script
    )
    script = re.sub(r"^\\echo.*$", "", script, flags=re.MULTILINE)
    connection.execute(script.replace("MODULE_PATHNAME", _setting(control, "module_pathname")).encode())


def _setting(control: str, name: str) -> str:
    found = re.search(rf"^{name}\s*=\s*'([^']*)'", control, re.MULTILINE)
    if found is None:
        raise NoServerError(f"The control file of pgSphere has no {name}")
    return found[1]
