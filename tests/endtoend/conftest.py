"""The sample, built and exported once, and a server on both its repositories."""

import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from lsst.dax.vo.sample import Sample, build_sample
from lsst.dax.vo.sample._tour_server import RunningServer, running_server
from lsst.dax.vo.services import export_repository

RA_DEG, DEC_DEG = 55.7467, -32.2862
"""The middle of the sample's field, where its coadds and visits overlap."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the limit of time be that of a test, without the building of the sample before it."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(300, func_only=True))


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Return both repositories of the sample, each with its store.

    The variable ``DAX_VO_SAMPLE`` names a folder where they are kept from
    one session to the next.
    """
    kept = os.environ.get("DAX_VO_SAMPLE")
    sample = build_sample(Path(kept) if kept else tmp_path_factory.mktemp("sample"))
    for label, repository in sample.repositories.items():
        if not kept or not sample.store(label).exists():
            export_repository(
                repository, sample.store(label), config_path=sample.configurations[label], label=label
            )
    return sample


@pytest.fixture(scope="session")
def sample_root(sample: Sample) -> Path:
    """Return the folder of the sample."""
    return sample.root


@pytest.fixture(scope="session")
def sample_arguments(sample: Sample) -> list[str]:
    """Return what ``butler vo serve`` needs to serve both repositories."""
    stores = [item for label in sample.repositories for item in ("--store", str(sample.store(label)))]
    return [*map(str, sample.repositories.values()), *stores]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Return a folder, and the host that gives its files to whoever asks."""
    folder = tmp_path_factory.mktemp("shelf")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def sample_server(
    sample_arguments: list[str], shelf: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """Run a server on both repositories, which fetches tables from the shelf."""
    log = tmp_path_factory.mktemp("server") / "server.log"
    environment = {"DAX_VO_PUBLISHER": "Sample", "DAX_VO_LIMITS": f"{{upload_hosts: ['{shelf[1]}']}}"}
    with running_server(sample_arguments, log=log, environment=environment) as server:
        yield server


@pytest.fixture(scope="session")
def base_url(sample_server: RunningServer) -> str:
    """Return where the server listens."""
    return sample_server.base_url


@pytest.fixture(scope="session")
def place() -> tuple[float, float]:
    """Return a point that coadds and visits of the sample contain."""
    return RA_DEG, DEC_DEG


@pytest.fixture(scope="session")
def image_id(base_url: str) -> str:
    """Return the ``obs_publisher_did`` of a coadd that contains the place."""
    answer = requests.get(
        f"{base_url}/api/tap/sync",
        params={
            "LANG": "ADQL",
            "RESPONSEFORMAT": "csv",
            "QUERY": "SELECT TOP 1 obs_publisher_did FROM ivoa.ObsCore WHERE calib_level = 3 AND "
            f"CONTAINS(POINT({RA_DEG}, {DEC_DEG}), s_region) = 1 ORDER BY obs_publisher_did",
        },
        timeout=60,
    )
    answer.raise_for_status()
    header, row = answer.text.split()
    assert header == "obs_publisher_did"
    return row.strip('"')
