"""Passwords in URLs of stores, registries and repositories: no message has them."""

import logging
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy

from lsst.dax.vo.config import Limits
from lsst.dax.vo.errors import TransientError, UsageError, VoError, without_secrets
from lsst.dax.vo.obscore.readers._bulk import _connect_postgresql
from lsst.dax.vo.obscore.readers._pages import DoesNotFitError, one_line, registry_errors
from lsst.dax.vo.query.engines.postgres import PostgresEngine
from lsst.dax.vo.query.engines.postgres._connections import Connections
from lsst.dax.vo.repo import open_repository
from lsst.dax.vo.sample import build_registry
from lsst.dax.vo.services import update_store
from lsst.dax.vo.store import LiveLocation, PostgresLocation, open_store, open_writer, parse_store
from lsst.dax.vo.testing import STORE_COLUMNS


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("postgresql://me:s3cr%2Fet@h/db", ("s3cr%2Fet", "s3cr/et")),
        ("postgresql://me:s3cr@et/@h/db", ("s3cr@et/",)),
        ("postgresql:///db?user=me&password=s3cr+et%40", ("s3cr+et%40", "s3cr et@")),
        ("postgresql://h/db?sslPassword=s3cr%zzt&oauth_client_secret=0ther&x=y", ("s3cr%zzt", "0ther")),
        ("https://me:s3cret@host/repo", ("s3cret",)),
        ("mysql+driver://me:s3cret@/", ("s3cret",)),
    ],
)
def test_passwords_are_taken_out_of_texts(url: str, secrets: tuple[str, ...]) -> None:
    assert not any(secret in without_secrets(url, url) for secret in secrets)
    for secret in secrets:
        assert without_secrets(f"cannot use '{secret}' there", url) == "cannot use '***' there"


@pytest.mark.parametrize("url", ["postgresql://me@h:5433/db?schema=x", "/a/folder", "label", "https://h/x@y"])
def test_other_texts_stay(url: str) -> None:
    assert without_secrets(f"{url} is there", url) == f"{url} is there"


def _texts(err: BaseException | None) -> Iterator[str]:
    while err is not None:
        yield f"{err} {err!r}"
        err = err.__cause__ or (None if err.__suppress_context__ else err.__context__)


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize(
    "url",
    ["postgresql://h/db?password=s3cr%zzt", "postgresql://h/db?sslpassword=s3cr%zzt"],
)
def test_password_that_libpq_quotes_is_not_told_by_a_store(url: str) -> None:
    with pytest.raises(
        UsageError, match=r"cannot be asked for: invalid percent-encoded token: .*\*\*\*"
    ) as caught:
        open_store(PostgresLocation(url))
    assert not any("s3cr" in text for text in _texts(caught.value))


@pytest.mark.parametrize("url", ["postgresql://me:s3cr%zzt@h/db", "postgresql://h/db?password=s3cr%zzt"])
def test_password_that_libpq_quotes_is_not_told_by_the_reader_of_a_registry(url: str) -> None:
    with pytest.raises(
        DoesNotFitError, match=r"cannot connect \(.*invalid percent-encoded token: .*\*\*\*"
    ) as caught:
        _connect_postgresql(url, 10)
    assert not any("s3cr" in text for text in _texts(caught.value))


def test_url_that_an_error_of_the_registry_quotes_has_no_password() -> None:
    url = "postgresql://me:s3cret@h/db?sslpassword=s3cret"
    error = sqlalchemy.exc.ProgrammingError("SELECT 1", {}, ValueError(f"cannot use\n{url} now"))
    with (
        pytest.raises(
            UsageError, match=r"^raw: the registry cannot be read: cannot use postgresql://me:\*\*\*@h/db"
        ),
        registry_errors("raw"),
    ):
        raise error
    assert "s3cret" not in one_line(ValueError(url))


def test_password_is_not_in_the_log_of_queries(
    postgres: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = parse_store(postgres)
    assert isinstance(location, PostgresLocation)
    with open_writer(location, columns=STORE_COLUMNS, properties={}):
        pass
    with closing(PostgresEngine([location], limits=Limits(), access_url="exported")) as engine:
        # The server is the same, what the driver is given is none of it.
        engine._connections.close()
        wrong = Connections("postgresql://me:s3cr%zzt@h/db", Limits())
        monkeypatch.setattr(engine, "_connections", wrong)
        with (
            caplog.at_level(logging.ERROR, "lsst.dax.vo"),
            pytest.raises(TransientError, match=r"^The ObsCore table cannot be read now; try again later$"),
        ):
            engine.count_rows()
    assert "invalid percent-encoded token" in caplog.text
    assert "s3cr" not in caplog.text


def test_update_of_a_store_of_another_label(postgres: str, tmp_path: Path) -> None:
    url = postgres.replace("postgres@", "postgres:s3cret@")
    with open_writer(parse_store(url), columns=STORE_COLUMNS, properties={"label": "here"}):
        pass
    with pytest.raises(UsageError, match="was exported under the label 'here', not 'there'") as caught:
        update_store(tmp_path, url, label="there")
    assert "postgresql://postgres@" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["mysql://me:s3cret@host/db", "postgresql//me:s3cret@host/db", "x://h?password=s3cret"]
)
def test_database_that_is_none_of_postgres(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no PostgreSQL database; write postgresql://") as caught:
        build_registry(tmp_path / "new", datasets=5, database=url)
    assert "s3cret" not in str(caught.value)


def test_registry_that_is_down(tmp_path: Path, closed_port: int) -> None:
    url = f"postgresql://me:s3cret@127.0.0.1:{closed_port}/db"
    with pytest.raises(UsageError, match=r"^The database db cannot hold a registry: .*refused") as caught:
        build_registry(tmp_path / "new", datasets=5, database=url)
    assert "s3cret" not in str(caught.value)
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "butler.yaml").write_text(
        f"registry:\n  db: postgresql+psycopg://{url.partition('//')[2]}\n"
    )
    with pytest.raises(VoError) as down:
        open_repository(tmp_path / "repo")
    assert "s3cret" not in str(down.value)


def test_repository_whose_configuration_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "butler.yaml").write_text('registry: {db: "postgresql://me:s3cret@h/db"')
    with pytest.raises(UsageError, match="cannot be opened: ") as caught:
        open_repository(tmp_path)
    assert "s3cret" not in str(caught.value)


def test_repository_at_a_url_with_a_password() -> None:
    url = "https://me:s3cret@127.0.0.1:1/repo"
    with pytest.raises(VoError) as caught:
        open_repository(f"{url}/butler.yaml.nothing")
    assert "s3cret" not in str(caught.value)
    assert str(LiveLocation(url)) == "live:https://me:***@127.0.0.1:1/repo"
