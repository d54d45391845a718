"""Stores of Parquet files in buckets of S3, and behind other URLs."""

import contextlib
import errno
import fcntl
import functools
import http.client
import http.server
import json
import os
import socket
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lsst.dax.vo.config import Limits
from lsst.dax.vo.errors import NotFoundError, TransientError, UsageError
from lsst.dax.vo.query import open_engine
from lsst.dax.vo.store import ParquetLocation, open_store, open_writer, parse_store
from lsst.dax.vo.store.parquet import ParquetStore, _bucket, _lease, _objects
from lsst.dax.vo.testing import STORE_COLUMNS, make_store_rows, write_store

from .conftest import Bucket
from .test_store_parquet import ParquetTests, ask


def _place(location: ParquetLocation) -> tuple[str, str]:
    name, _, prefix = str(location.place).removeprefix("s3://").partition("/")
    return name, prefix


class TestBucketStore(ParquetTests):
    """The contract."""

    late = (("parquet._writing", "write_table"), ("parquet._bucket", "put_pointer"))
    late_changes = late

    # What is in the files does not depend on where they are.
    test_every_type_comes_back = None
    test_columns_that_cannot_be = None

    @pytest.fixture(autouse=True)
    def _bucket(self, bucket: Bucket) -> None:
        self.bucket = bucket

    @pytest.fixture
    def location(self, bucket: Bucket) -> ParquetLocation:
        return ParquetLocation(f"{bucket.url}/some/folder")

    @pytest.fixture
    def forbidden(self, bucket: Bucket, location: ParquetLocation) -> ParquetLocation:
        write_store(location, 1.0)
        open_store(location)
        bucket.demand_rights(True)
        return location

    def names(self, location: ParquetLocation) -> list[str]:  # type: ignore[override]
        name, prefix = _place(location)
        found = self.bucket.client.list_objects_v2(Bucket=name, Prefix=prefix)
        return sorted(item["Key"] for item in found.get("Contents", []))

    def tell(self, location: ParquetLocation, name: str, value: str | None) -> None:  # type: ignore[override]
        where, prefix = _place(location)
        key = {"Bucket": where, "Key": f"{prefix}/current.json"}
        told = json.load(self.bucket.client.get_object(**key)["Body"]) | {name: json.loads(value or "0")}
        self.bucket.client.put_object(**key, Body="{" if value is None else json.dumps(told))

    def put_something_else(self, location: ParquetLocation) -> None:  # type: ignore[override]
        name, prefix = _place(location)
        self.bucket.client.put_object(Bucket=name, Key=f"{prefix}/butler.yaml", Body="x")


@pytest.fixture
def location(bucket: Bucket) -> ParquetLocation:
    return ParquetLocation(f"{bucket.url}/s")


def _open(location: ParquetLocation) -> ParquetStore:
    store = open_store(location)
    assert isinstance(store, ParquetStore)
    return store


def test_whole_bucket_is_a_place_as_well(bucket: Bucket) -> None:
    location = parse_store(bucket.url)
    assert isinstance(location, ParquetLocation)
    write_store(location, 1.0)
    assert open_store(location).properties["rows"] == "1"
    bucket.client.put_object(Bucket=bucket.name, Key="beside/butler.yaml", Body="x")
    with pytest.raises(UsageError, match=r"is no store, it holds 'butler.yaml'; give another"):
        open_store(ParquetLocation(f"{bucket.url}/beside"))


def test_profile_names_server_and_keys(
    bucket: Bucket, location: ParquetLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_store(location, 1.0)
    host = bucket.server.removeprefix("http://")
    monkeypatch.setenv("LSST_RESOURCES_S3_PROFILE_mine", f"http://someone:s3%2Fcret@{host}")
    monkeypatch.delenv("S3_ENDPOINT_URL")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    named = parse_store(f"s3://mine@{bucket.name}/s")
    assert isinstance(named, ParquetLocation)
    assert open_store(named).properties["rows"] == "1"
    bucket.demand_rights(True)
    with pytest.raises(
        TransientError, match=r"permission denied \(InvalidAccessKeyId\); look at the cred"
    ) as caught:
        open_store(named)
    assert "cret" not in str(caught.value)


@pytest.mark.usefixtures("bucket")
def test_bucket_that_there_is_not() -> None:
    for run in (open_store, lambda place: write_store(place, 1.0)):
        with pytest.raises(UsageError, match="is in a bucket that there is not; look at its name"):
            run(ParquetLocation("s3://nowhere-to-be-found/s"))


def test_no_credentials(location: ParquetLocation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="there are no credentials; set AWS_ACCESS_KEY_ID and"):
        open_store(location)


@pytest.mark.parametrize("answering", [True, False], ids=["silent", "closed"])
def test_server_that_does_not_answer(
    location: ParquetLocation, monkeypatch: pytest.MonkeyPatch, answering: bool
) -> None:
    monkeypatch.setitem(_objects._CONFIG, "read_timeout", 0.2)
    monkeypatch.setitem(_objects._CONFIG, "retries", {"total_max_attempts": 1})
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        if not answering:
            listening.close()
        monkeypatch.setenv("S3_ENDPOINT_URL", f"http://someone:s3cret@127.0.0.1:{port}")
        with pytest.raises(
            TransientError, match="cannot be read now: the server of the bucket does not an"
        ) as caught:
            open_store(location)
        with pytest.raises(TransientError, match="cannot be written now: the server of the bucket does not"):
            write_store(location, 1.0)
    assert "s3cret" not in str(caught.value)


def test_endpoint_that_is_no_url(location: ParquetLocation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT_URL", "me:s3cret@nowhere")
    with pytest.raises(UsageError, match="S3_ENDPOINT_URL is no URL") as caught:
        open_store(location)
    assert "s3cret" not in str(caught.value)


def test_table_that_is_gone(bucket: Bucket, location: ParquetLocation) -> None:
    write_store(location, 1.0)
    bucket.client.delete_object(Bucket=bucket.name, Key=f"s/{_open(location).table}")
    with pytest.raises(UsageError, match="is gone; make the store again with 'butler vo export REPO s3://"):
        open_store(location)


def test_writer_that_another_one_overtook(bucket: Bucket, location: ParquetLocation) -> None:
    # It stood still for longer than its lease holds.
    write_store(location, 1.0)
    other = json.dumps({"layout": 2, "table": "obscore-0.parquet"})

    def write() -> None:
        with open_writer(location, columns=STORE_COLUMNS, properties={}) as writer:
            writer.write(make_store_rows(1.0, 2.0))
            bucket.client.put_object(Bucket=bucket.name, Key="s/current.json", Body=other)

    with pytest.raises(TransientError, match="was written by another process meanwhile; try again"):
        write()
    key = {"Bucket": bucket.name, "Key": "s/current.json"}
    assert bucket.client.get_object(**key)["Body"].read().decode() == other


def test_writer_whose_lease_was_taken(bucket: Bucket, location: ParquetLocation) -> None:
    def write() -> None:
        with open_writer(location, columns=STORE_COLUMNS, properties={}) as writer:
            writer.write(make_store_rows(1.0, 2.0))
            bucket.client.put_object(Bucket=bucket.name, Key="s/writer.lease", Body="of somebody else")

    with pytest.raises(TransientError, match="is being written by another process; try again"):
        write()
    with pytest.raises(NotFoundError, match="There is no store s3://"):
        open_store(location)
    key = {"Bucket": bucket.name, "Key": "s/writer.lease"}
    assert bucket.client.get_object(**key)["Body"].read() == b"of somebody else"


def test_lease_of_a_machine_that_went_ends(
    bucket: Bucket, location: ParquetLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.client.put_object(Bucket=bucket.name, Key="s/writer.lease", Body="elsewhere 12345 x")
    with pytest.raises(TransientError, match="is being written by another process"):
        write_store(location, 1.0)
    monkeypatch.setattr("lsst.dax.vo.store.parquet._lease._SECONDS", 0.0)
    write_store(location, 1.0)
    assert open_store(location).properties["rows"] == "1"


def test_copies_are_used_again_and_make_room(
    location: ParquetLocation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_store(location, 1.0)
    first = _open(location)
    state = first.path.stat()
    assert first.path.parent == tmp_path / "cache"
    assert _open(location).path.stat().st_ino == state.st_ino
    # What is cut off is no copy.
    first.path.write_bytes(b"PAR1")
    assert len(ask(_open(location), "SELECT obs_id FROM ivoa.ObsCore")) == 1
    monkeypatch.setattr("lsst.dax.vo.store.parquet._cache._MOST_BYTES", 0)
    write_store(location, 1.0, 2.0)
    second = _open(location)
    assert list(first.path.parent.glob("*.parquet")) == [second.path]


def test_what_killed_downloads_left_goes(location: ParquetLocation, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    left, held, other = (
        cache / name
        for name in (".0-obscore-1.parquet.0123abcd.part", ".0-obscore-2.parquet.0123abcd.part", "mine.part")
    )
    for path in (left, held, other):
        path.write_bytes(b"PAR1")
    write_store(location, 1.0)
    with held.open("r+b") as file:
        # Another process is at it.
        fcntl.flock(file, fcntl.LOCK_EX)
        copy = _open(location).path
    assert sorted(cache.iterdir()) == sorted([held, other, copy])


def test_folder_of_copies_that_cannot_be(
    location: ParquetLocation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_store(location, 1.0)
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("DAX_VO_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UsageError, match="name another folder in the environment variable DAX_VO_CACHE"):
        open_store(location)


def test_engine_follows_a_bucket_and_outlives_its_silence(
    bucket: Bucket, location: ParquetLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsst.dax.vo.store.parquet._reading._WATCH_SECONDS", 0.05)
    write_store(location, 1.0)
    with contextlib.closing(open_engine([open_store(location)], limits=Limits())) as engine:
        assert engine.count_rows() == {"here": 1}
        bucket.demand_rights(True)
        time.sleep(0.3)
        assert engine.count_rows() == {"here": 1}
        bucket.demand_rights(False)
        write_store(location, 1.0, 2.0)
        for _ in range(200):
            if engine.count_rows() == {"here": 2}:
                break
            time.sleep(0.05)
        assert engine.count_rows() == {"here": 2}


@pytest.fixture
def published(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Serve a folder by HTTP; return its URL and its path."""
    folder = tmp_path / "published"
    folder.mkdir()
    handler = functools.partial(_Silent, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def test_store_behind_a_url_is_read(
    published: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DAX_VO_CACHE", str(tmp_path / "cache"))
    url, folder = published
    location = parse_store(f"parquet:{url}/s")
    assert isinstance(location, ParquetLocation)
    with pytest.raises(NotFoundError, match="There is no store parquet:http://"):
        open_store(location)
    write_store(ParquetLocation(folder / "s"), 1.0, 2.0)
    assert len(ask(open_store(location), "SELECT obs_id FROM ivoa.ObsCore")) == 2
    with pytest.raises(UsageError, match="can only be read; write it to a folder, or to s3://bucket/folder"):
        write_store(location, 1.0)


def test_full_cache_is_no_fault_of_the_server(
    published: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DAX_VO_CACHE", str(tmp_path / "cache"))
    url, folder = published
    write_store(ParquetLocation(folder / "s"), 1.0)

    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # Not that of all: the server of this test copies, too.
    monkeypatch.setattr("lsst.dax.vo.store.parquet._web.shutil", types.SimpleNamespace(copyfileobj=fail))
    with pytest.raises(UsageError, match=r"cannot be written: No space left.*DAX_VO_CACHE"):
        ask(open_store(parse_store(f"parquet:{url}/s")), "SELECT obs_id FROM ivoa.ObsCore")
    assert not [path for path in tmp_path.joinpath("cache").rglob("*") if path.is_file()]


class _Faulty(http.server.BaseHTTPRequestHandler):
    """Passes requests on to the server of S3, and breaks off what it answers."""

    server: "_Proxy"
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        there = http.client.HTTPConnection(self.server.there)
        there.request(self.command, self.path, body, dict(self.headers))
        answer = there.getresponse()
        content = answer.read()
        there.close()
        self.close_connection = True
        if self.server.lost > 0 and self.command == "PUT":
            self.server.lost -= 1
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "server", "date"):
                self.send_header(name, value)
        self.end_headers()
        half = self.command == "GET" and self.server.is_cutting and self.path.endswith(".parquet")
        self.wfile.write(content[: len(content) // 2] if half else content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815


class _Proxy(http.server.ThreadingHTTPServer):
    there = ""
    is_cutting = False
    """Whether tables are cut off on their way."""
    lost = 0
    """How many answers to PUT are lost."""


@pytest.fixture
def proxy(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Proxy]:
    """Stand before the server of S3."""
    with _Proxy(("127.0.0.1", 0), _Faulty) as server:
        server.there = bucket.server.removeprefix("http://")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("S3_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()
        thread.join()


def test_table_that_breaks_off_on_its_way(proxy: _Proxy, location: ParquetLocation, tmp_path: Path) -> None:
    write_store(location, 1.0)
    proxy.is_cutting = True
    with pytest.raises(TransientError, match="cannot be read now: the server of the bucket does not answer"):
        open_store(location)
    assert list((tmp_path / "cache").iterdir()) == []
    proxy.is_cutting = False
    assert open_store(location).properties["rows"] == "1"


def test_engine_follows_after_tables_that_broke_off(
    proxy: _Proxy,
    location: ParquetLocation,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("lsst.dax.vo.store.parquet._reading._WATCH_SECONDS", 0.05)
    write_store(location, 1.0)
    with contextlib.closing(open_engine([open_store(location)], limits=Limits())) as engine:
        proxy.is_cutting = True
        write_store(location, 1.0, 2.0)
        while "The table goes on to be served as it was" not in caplog.text:
            time.sleep(0.05)
        assert engine.count_rows() == {"here": 1}
        proxy.is_cutting = False
        for _ in range(200):
            if engine.count_rows() == {"here": 2}:
                break
            time.sleep(0.05)
        assert engine.count_rows() == {"here": 2}


def test_answers_that_are_lost_are_no_other_writer(proxy: _Proxy, location: ParquetLocation) -> None:
    # The library asks again, and is told that there is such an object already.
    proxy.lost = 1
    lease = _lease.Lease(_objects.Bucket(str(location.place), writing=True), location)
    proxy.lost = 1
    assert lease.is_held()
    proxy.lost = 1
    lease.require()
    lease.release()
    bucket = _objects.Bucket(str(location.place), writing=True)
    tag = bucket.put("x", b"1", replaces=None)
    proxy.lost = 1
    tag = bucket.put("x", b"2", replaces=tag)
    assert bucket.read("x") == (b"2", tag)
    with pytest.raises(_objects.ChangedError):
        bucket.put("x", b"3", replaces=None)


def test_copy_that_is_damaged_is_fetched_again(location: ParquetLocation) -> None:
    write_store(location, 1.0)
    path = _open(location).path
    # As a machine that went down can leave it: of the right size, and empty.
    path.write_bytes(bytes(path.stat().st_size))
    assert len(ask(_open(location), "SELECT obs_id FROM ivoa.ObsCore")) == 1


def test_table_that_is_damaged_itself(bucket: Bucket, location: ParquetLocation) -> None:
    write_store(location, 1.0)
    table = _open(location).table
    bucket.client.put_object(Bucket=bucket.name, Key=f"s/{table}", Body="no table")
    with pytest.raises(UsageError, match="is damaged; make the store again"):
        open_store(location)


def test_engine_serves_what_it_has_while_a_second_bucket_is_silent(
    bucket: Bucket, location: ParquetLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsst.dax.vo.store.parquet._reading._WATCH_SECONDS", 0.05)
    second = ParquetLocation(f"{bucket.url}/second")
    write_store(location, 1.0)
    write_store(second, 5.0)
    stores = [open_store(location), open_store(second)]
    with contextlib.closing(open_engine(stores, limits=Limits())) as engine:
        assert engine.count_rows() == {"here": 2}
        # The first is replaced, and seen to be, when the second cannot be read.
        pointer = {"Bucket": bucket.name, "Key": "second/current.json"}
        content = bucket.client.get_object(**pointer)["Body"].read()
        bucket.client.put_object(**pointer, Body=b"{")
        write_store(location, 1.0, 2.0)
        time.sleep(0.5)
        assert engine.count_rows() == {"here": 2}
        bucket.client.put_object(**pointer, Body=content)
        for _ in range(200):
            if engine.count_rows() == {"here": 3}:
                break
            time.sleep(0.05)
        assert engine.count_rows() == {"here": 3}


def test_writer_that_stood_still_publishes_no_table_that_is_gone(
    location: ParquetLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_store(location, 1.0)
    put_pointer = _bucket.put_pointer
    took_over = []

    def late(*given: Any) -> None:
        # It has looked whether it has the lease, and then its machine slept.
        if not took_over:
            took_over.append(True)
            monkeypatch.setattr("lsst.dax.vo.store.parquet._lease._SECONDS", -1.0)
            monkeypatch.setattr("lsst.dax.vo.store.parquet._lease._is_dead", lambda _: True)
            with (
                contextlib.suppress(ZeroDivisionError),
                open_writer(location, columns=STORE_COLUMNS, properties={}) as writer,
            ):
                writer.write(make_store_rows(7.0))
                raise ZeroDivisionError
        put_pointer(*given)

    monkeypatch.setattr("lsst.dax.vo.store.parquet._bucket.put_pointer", late)
    with pytest.raises(TransientError, match="was written by another process meanwhile; try again"):
        write_store(location, 2.0, 3.0)
    assert took_over
    assert open_store(location).properties["rows"] == "1"
    write_store(location, 2.0, 3.0)
    assert open_store(location).properties["rows"] == "2"


def test_uploads_that_were_broken_off_take_no_room(bucket: Bucket, location: ParquetLocation) -> None:
    write_store(location, 1.0)
    names = ("s/obscore-0.parquet", "other/obscore-0.parquet", "s/else")
    for name in names:
        bucket.client.create_multipart_upload(Bucket=bucket.name, Key=name)
    write_store(location, 1.0, 2.0)
    found = bucket.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
    assert sorted(upload["Key"] for upload in found) == sorted(names[1:])
