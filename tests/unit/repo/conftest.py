"""A small repository whose files are in every state, and the real ones."""

import os
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from lsst.daf.butler import Butler, DatasetType

from lsst.dax.vo.repo import Repository, open_repository

STATES = ("present", "missing", "empty", "pointer", "unstored")


@dataclass(frozen=True)
class Sample:
    """A repository on disk and the datasets that its test made."""

    root: Path
    ids: dict[str, UUID]
    size_bytes: int


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    root = tmp_path_factory.mktemp("repositories") / "metrics_repo"
    Butler.makeRepo(str(root))
    ids = {}
    with Butler.from_config(str(root), run="run") as butler:
        butler.registry.insertDimensionData("instrument", {"name": "Cam", "detector_max": 9})
        dimensions = butler.dimensions.conform(["instrument", "detector"])
        kind = DatasetType("metrics", dimensions, "StructuredDataDict")
        butler.registry.registerDatasetType(kind)
        for detector, state in enumerate(STATES):
            butler.registry.insertDimensionData(
                "detector", {"instrument": "Cam", "id": detector, "full_name": state}
            )
            ref = butler.put(
                {"state": state, "padding": "x" * 1000}, kind, instrument="Cam", detector=detector
            )
            ids[state] = ref.id
            path = Path(butler.getURI(ref).ospath)
            match state:
                case "present":
                    size_bytes = path.stat().st_size
                case "missing":
                    path.unlink()
                case "empty":
                    path.write_bytes(b"")
                case "pointer":
                    path.write_text(
                        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1234567\n"
                    )
                case "unstored":
                    butler.pruneDatasets([ref], disassociate=False, unstore=True)
    return Sample(root, ids, size_bytes)


@pytest.fixture
def repository(sample: Sample):
    opened = open_repository(sample.root)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    default = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("DAX_VO_TEST_DATA", default))
    if not (folder / "butler").is_dir():
        pytest.skip(f"real repositories are not at {folder}; set DAX_VO_TEST_DATA")
    return folder


def dataset_ids(repository: Repository) -> list[UUID]:
    with repository.session() as butler:
        found = butler.query_all_datasets("*", find_first=False, limit=None)
    return [ref.id for ref in found]


@pytest.fixture(name="dataset_ids")
def _dataset_ids():
    return dataset_ids
