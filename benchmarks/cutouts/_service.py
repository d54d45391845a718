"""The same files in the object store, cut by a server of ours."""

import http.client
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from lsst.daf.butler import Butler, DataCoordinate, DatasetRef, DatasetType, FileDataset

from lsst.dax.vo.sample._tour_server import running_server

_FORMATTER = "lsst.daf.butler.formatters.file.FileFormatter"


@contextmanager
def serving_cutouts(folder: Path, urls: Sequence[str]) -> Iterator[tuple[str, list[UUID]]]:
    """Serve a repository whose datasets are these files; yield its address, and their ids."""
    root = folder / "repository"
    ids = _make_repository(root, urls)
    # One process cuts, so that the second cutout comes to who made the first.
    environment = {"DAX_VO_LIMITS": "{cutout_workers: 1, cutout_cache_mb: 0}"}
    with running_server([str(root)], log=folder / "server.log", environment=environment) as server:
        yield server.base_url, ids


def measure_service(
    base_url: str,
    ids: Sequence[UUID],
    report: Callable[[], tuple[int, int, int]],
    name: str,
    side: int,
    size: int,
) -> list[tuple[str, ...]]:
    """Ask for two cutouts of each dataset: cold and warm."""
    connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=120)
    found: dict[str, list[tuple[int, int, int, float]]] = {"cold": [], "warm": []}
    for turn, uuid in enumerate(ids):
        for number, state in enumerate(found):
            start = (size // 4 + 300 * number + 37 * turn) % max(size - side, 1)
            box = f"{start} {start + side - 1} {start} {start + side - 1}"
            query = urlencode({"ID": str(uuid), "PIXELS": box, "CUTOUTDETAIL": "Exposure"})
            report()
            began = time.perf_counter()
            connection.request("GET", f"/api/cutout/sync?{query}")
            answer = connection.getresponse()
            content = answer.read()
            took = time.perf_counter() - began
            if answer.status != 200:
                raise RuntimeError(content[:300])
            found[state].append((*report(), took))
    connection.close()
    return [format_requests(f"{name}, {side}², {state}", values) for state, values in found.items()]


def format_requests(name: str, values: Sequence[tuple[int, int, int, float]]) -> tuple[str, ...]:
    """Return a row: medians of requests, of those at once, of bytes, and of times."""
    requests, sent, at_once, took = (statistics.median(column) for column in zip(*values, strict=True))
    return name, f"{requests:.0f}", f"{at_once:.0f}", f"{sent / 1e6:,.2f}", f"{took * 1e3:,.0f}"


def _make_repository(root: Path, urls: Sequence[str]) -> list[UUID]:
    Butler.makeRepo(str(root))
    with Butler.from_config(str(root), run="run") as butler:
        registry = butler.registry
        registry.insertDimensionData(
            "skymap",
            {"name": "sky", "hash": b"1", "tract_max": 1, "patch_nx_max": 100, "patch_ny_max": 100},
        )
        registry.insertDimensionData("tract", {"skymap": "sky", "id": 0})
        patches = range(len(urls))
        registry.insertDimensionData(
            "patch",
            *({"skymap": "sky", "tract": 0, "id": i, "cell_x": i % 100, "cell_y": i // 100} for i in patches),
        )
        kind = DatasetType(
            "deepCoadd_calexp", butler.dimensions.conform(["skymap", "tract", "patch"]), "ExposureF"
        )
        registry.registerDatasetType(kind)
        datasets = []
        for i, url in enumerate(urls):
            data_id = DataCoordinate.standardize(skymap="sky", tract=0, patch=i, universe=butler.dimensions)
            ref = DatasetRef(kind, data_id, run="run")
            datasets.append(FileDataset(path=url, refs=[ref], formatter=_FORMATTER))
        butler.ingest(*datasets, transfer="direct")
    return [dataset.refs[0].id for dataset in datasets]


def use_store(url: str) -> None:
    """Make this process, and those that it starts, find the store."""
    os.environ |= {"S3_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
