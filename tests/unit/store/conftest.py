"""Where stores can be: in a folder, in a bucket of a server of this process."""

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lsst.dax.vo.store import StoreLocation


@pytest.fixture
def folder(tmp_path: Path) -> StoreLocation:
    """Return a place in a folder whose name has a quote in it."""
    return StoreLocation(tmp_path / "its store's")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Run a server of S3; return its URL."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Bucket(SimpleNamespace):
    """A bucket of the server."""

    url: str
    client: Any
    server: str

    def demand_rights(self, demanded: bool) -> None:
        """Refuse all keys, for the server knows nobody, or none."""
        request = urllib.request.Request(  # noqa: S310
            f"{self.server}/moto-api/reset-auth",
            b"0" if demanded else b"inf",
            {"Content-Type": "text/plain"},
            method="POST",
        )
        assert json.load(urllib.request.urlopen(request))["status"] == "ok"  # noqa: S310


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bucket]:
    """Return a new bucket, with keys for it in the environment."""
    import boto3

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("S3_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("DAX_VO_CACHE", str(tmp_path / "cache"))
    client = boto3.client("s3", endpoint_url=s3_server)
    name = f"b{os.urandom(8).hex()}"
    client.create_bucket(Bucket=name)
    made = Bucket(url=f"s3://{name}", name=name, client=client, server=s3_server)
    yield made
    made.demand_rights(False)
