"""The sample, built and exported once, and a server on both its repositories."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import requests
import yaml
from lsst.daf.butler import Butler

from lsst.dax.vo.sample import Sample, build_sample
from lsst.dax.vo.sample._tour_server import RunningServer, running_server
from lsst.dax.vo.services import export_repository
from lsst.dax.vo.testing import (
    ButlerServer,
    NoServerError,
    RangeServer,
    S3Server,
    WebDavServer,
    client_environment,
    copy_repository,
    ingest_in_place,
    running_butler_server,
    running_postgres,
    running_s3,
    running_webdav,
)

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


VISIT, PATCH = 2025110400180, 16


@dataclass(frozen=True)
class Stored:
    """Copies of a repository whose files are in stores of every kind, and one server on all of them."""

    server: RunningServer
    labels: tuple[str, ...]
    roots: Mapping[str, Path]
    environment: Mapping[str, str]
    contents: Mapping[UUID, bytes]
    types: Mapping[UUID, str]
    s3: S3Server
    webdav: WebDavServer
    web: RangeServer
    butler: ButlerServer

    @property
    def url(self) -> str:
        return self.server.base_url

    def ids(self, dataset_type: str) -> list[UUID]:
        return sorted(uuid for uuid, name in self.types.items() if name == dataset_type)


def _choose(sample: Sample) -> dict[UUID, tuple[str, Path]]:
    """Return the datasets of one visit, and the coadds of one patch, with their files."""
    wanted = {
        "raw": f"exposure = {VISIT}",
        "visit_image": f"visit = {VISIT}",
        "difference_image": f"visit = {VISIT}",
        "visit_summary": f"visit = {VISIT}",
        "deep_coadd": f"patch = {PATCH} AND band IN ('g', 'r')",
    }
    with Butler.from_config(str(sample.repositories["sample"])) as butler:
        collections = butler.collections.query("*")
        return {
            ref.id: (name, Path(butler.getURI(ref).ospath))
            for name, where in wanted.items()
            for ref in butler.query_datasets(
                name,
                collections,
                where=where,
                find_first=False,
                instrument="LSSTCam",
                skymap="lsst_cells_v1",
            )
        }


@pytest.fixture(scope="session")
def stored(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    """Serve the same datasets from each kind of store, registry and Butler."""
    source, folder = sample.repositories["sample"], tmp_path_factory.mktemp("stored")
    chosen = _choose(sample)
    with ExitStack() as stack:
        s3 = stack.enter_context(running_s3())
        webdav = stack.enter_context(running_webdav(folder / "webdav-server"))
        web = stack.enter_context(RangeServer(source).running())
        environment = {**s3.environment, **webdav.environment}
        stack.enter_context(client_environment(environment))
        roots = {"posix": None, "s3": f"{s3.make_bucket('images')}/repo/", "webdav": f"{webdav.url}/repo/"}
        for label, root in roots.items():
            copy_repository(source, folder / label, chosen, root=root)
        ingest_in_place(
            source,
            folder / "web",
            {uuid: f"{web.url}/{path.relative_to(source)}" for uuid, (_, path) in chosen.items()},
        )
        labels = [*roots, "web"]
        try:
            postgres = stack.enter_context(running_postgres())
            registry = stack.enter_context(postgres.database())
        except NoServerError:
            pass
        else:
            with psycopg.connect(registry, autocommit=True) as connection:
                connection.execute("CREATE EXTENSION btree_gist")
            copy_repository(source, folder / "postgres", chosen, registry=registry)
            labels.append("postgres")
        places = {label: str(folder / label) for label in labels}
        butler = stack.enter_context(
            running_butler_server(
                {"remote": folder / "s3"}, log=folder / "butler.log", environment=environment
            )
        )
        environment |= butler.environment
        places["remote"] = butler.url("remote")
        config = folder / "service.yaml"
        entries = [{"repo": place, "label": label} for label, place in places.items()]
        config.write_text(yaml.safe_dump({"repositories": entries, "limits": {"store_seconds": 2}}))
        server = stack.enter_context(
            running_server(["--config", str(config)], log=folder / "server.log", environment=environment)
        )
        yield Stored(
            server=server,
            labels=tuple(places),
            roots={label: Path(folder / label) for label in labels},
            environment=environment,
            contents={uuid: path.read_bytes() for uuid, (_, path) in chosen.items()},
            types={uuid: name for uuid, (name, _) in chosen.items()},
            s3=s3,
            webdav=webdav,
            web=web,
            butler=butler,
        )
