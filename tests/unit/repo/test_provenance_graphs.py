"""Inputs and outputs as the provenance graph of a pipeline run tells them.

The pipeline is run by `lsst.pipe.base` itself, with its own stand-ins for
tasks; it writes the graph, which is ingested as in production.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID, uuid4

import pytest

pytest.importorskip("lsst.pipe.base", reason="lsst-pipe-base is in the extra 'pipelines'")

from lsst.daf.butler import Butler, DatasetRef
from lsst.pipe.base.mp_graph_executor import MPGraphExecutor
from lsst.pipe.base.quantum_graph.ingest_graph import ingest_graph
from lsst.pipe.base.tests.mocks import DirectButlerRepo, DynamicConnectionConfig

from lsst.dax.vo.config import LinksConfig
from lsst.dax.vo.datalink import Caller, DirectFiles, LinkChoice, RelatedLinks
from lsst.dax.vo.repo import Dataset, ProvenanceGraphs, Repositories, Repository, open_repository

# The ingest of lsst-pipe-base leaves a connection to the registry behind.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

RUN = "output_run"
_DETECTOR = ["detector"]


def _connect(name: str, dimensions: list[str], *, multiple: bool = False) -> DynamicConnectionConfig:
    return DynamicConnectionConfig(dataset_type_name=name, dimensions=dimensions, multiple=multiple)


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """Return a repository in which two tasks were run: calibrate, and combine all."""
    with DirectButlerRepo.make_temporary("base.yaml") as (helper, root):
        helper.add_task(
            "calibrate",
            dimensions=_DETECTOR,
            inputs={"exposure": _connect("raw_image", _DETECTOR)},
            prerequisite_inputs={"bias": _connect("bias_frame", _DETECTOR)},
            outputs={"image": _connect("image", _DETECTOR), "catalog": _connect("catalog", _DETECTOR)},
        )
        helper.add_task(
            "combine",
            dimensions=["instrument"],
            inputs={"images": _connect("image", _DETECTOR, multiple=True)},
            outputs={"stack": _connect("stack", ["instrument"])},
        )
        graph = helper.make_quantum_graph(output_run=RUN)
        butler = helper.butler
        butler.collections.register(RUN)
        graph.init_output_run(butler)
        quantum_executor, _ = helper.make_single_quantum_executor(graph)
        file = Path(root) / "provenance.qg"
        executor = MPGraphExecutor(num_proc=1, timeout=60, quantum_executor=quantum_executor)
        executor.execute(graph, provenance_graph_file=str(file))
        ingest_graph(root, str(file), transfer="move")
        yield Path(root)


@pytest.fixture
def repository(root: Path) -> Iterator[Repository]:
    opened = open_repository(root)
    yield opened
    opened.close()


@pytest.fixture
def graphs(repository: Repository) -> Iterator[ProvenanceGraphs]:
    opened = ProvenanceGraphs(repository)
    yield opened
    opened.close()


def refs_of(repository: Repository, name: str) -> list[DatasetRef]:
    with repository.session() as butler:
        return sorted(butler.query_datasets(name, "*", find_first=False), key=lambda ref: str(ref.dataId))


def datasets_of(repository: Repository, name: str) -> list[Dataset]:
    found = repository.datasets(ref.id for ref in refs_of(repository, name))
    return sorted(found.values(), key=lambda item: str(item.data_id))


def ids_of(repository: Repository, name: str) -> set[UUID]:
    return {ref.id for ref in refs_of(repository, name)}


def test_inputs_are_those_of_the_quantum(repository: Repository, graphs: ProvenanceGraphs) -> None:
    raw = {ref.dataId["detector"]: ref.id for ref in refs_of(repository, "raw_image")}
    bias = {ref.dataId["detector"]: ref.id for ref in refs_of(repository, "bias_frame")}
    images = datasets_of(repository, "image")
    assert len(images) == len(raw) >= 4
    found = graphs.find(images)
    for image in images:
        detector = image.data_id["detector"]
        assert set(found[image.uuid].inputs or ()) == {raw[detector], bias[detector]}


def test_outputs_are_those_of_all_quanta(repository: Repository, graphs: ProvenanceGraphs) -> None:
    (stack,) = datasets_of(repository, "stack")
    images = {ref.dataId["detector"]: ref.id for ref in refs_of(repository, "image")}
    catalogs = {ref.dataId["detector"]: ref.id for ref in refs_of(repository, "catalog")}
    for image in datasets_of(repository, "image"):
        assert stack.uuid in graphs.find([image])[image.uuid].outputs
    for raw in datasets_of(repository, "raw_image"):
        detector = raw.data_id["detector"]
        found = graphs.find([raw])[raw.uuid]
        # Logs and metadata of the task as well; nothing of other detectors.
        assert {images[detector], catalogs[detector]} <= set(found.outputs)
        assert not (set(found.outputs) & (set(images.values()) | set(catalogs.values()))) - {
            images[detector],
            catalogs[detector],
        }
        # What the run began with, it does not tell the origin of.
        assert found.inputs is None


def test_stack_was_made_of_all_images(repository: Repository, graphs: ProvenanceGraphs) -> None:
    (stack,) = datasets_of(repository, "stack")
    found = graphs.find([stack])[stack.uuid]
    assert set(found.inputs or ()) == ids_of(repository, "image")


def test_many_at_once_are_the_same_as_each_alone(repository: Repository, graphs: ProvenanceGraphs) -> None:
    everything = [
        item
        for name in ("raw_image", "bias_frame", "image", "catalog", "stack")
        for item in datasets_of(repository, name)
    ]
    each = {one.uuid: graphs.find([one])[one.uuid] for one in everything}
    # Remembered, and by another that remembers nothing.
    assert graphs.find(everything) == each
    with closing(ProvenanceGraphs(repository, keep_s=0)) as others:
        assert others.find(everything) == others.find(everything) == each


def test_runs_with_a_graph(graphs: ProvenanceGraphs) -> None:
    assert graphs.runs() == {RUN}


def test_repository_without_graphs(tmp_path: Path) -> None:
    Butler.makeRepo(str(tmp_path / "repo"))
    repository = open_repository(tmp_path / "repo")
    try:
        graphs = ProvenanceGraphs(repository)
        dataset = Dataset(uuid4(), "x", "image", {}, "run", "ImageF", None)
        assert graphs.find([dataset]) == {}
        assert graphs.runs() == frozenset()
    finally:
        repository.close()


@pytest.mark.parametrize("damage", ["cut off", "no zip", "gone", "noise"])
def test_damaged_graph_tells_nothing(
    repository: Repository, graphs: ProvenanceGraphs, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    (image, *_) = datasets_of(repository, "image")
    (graph,) = datasets_of(repository, "run_provenance")
    assert graph.uri is not None
    path = Path(graph.uri.ospath)
    whole = path.read_bytes()
    try:
        match damage:
            case "cut off":
                path.write_bytes(whole[: len(whole) // 2])
            case "no zip":
                path.write_bytes(b"something else")
            case "gone":
                path.unlink()
            case "noise":
                middle = len(whole) // 3
                path.write_bytes(whole[:middle] + bytes(200) + whole[middle + 200 :])
        with closing(ProvenanceGraphs(repository)) as others:
            found = others.find([image])
    finally:
        path.write_bytes(whole)
    if image.uuid not in found:
        assert f"The provenance graph of {RUN} cannot be read" in caplog.text
    assert graphs.find([image])[image.uuid].inputs


def test_links_follow_the_graph(repository: Repository) -> None:
    wanted = LinksConfig(derivation=("image", "catalog", "stack"), coderived=False, auxiliary=False)
    choice = LinkChoice({repository.label: {"*": wanted}})
    related = RelatedLinks(Repositories([repository]), DirectFiles(), choice)
    (stack,) = datasets_of(repository, "stack")
    images = datasets_of(repository, "image")
    raws = {item.data_id["detector"]: item for item in datasets_of(repository, "raw_image")}
    biases = {item.data_id["detector"]: item for item in datasets_of(repository, "bias_frame")}
    found = related.links([stack, *images, *raws.values()], Caller("http://localhost"))
    related.close()

    def told(dataset: Dataset, semantics: str) -> set[str]:
        assert all(link.error_message is None for link in found[dataset.uuid])
        return {str(link.access_url) for link in found[dataset.uuid] if link.semantics == semantics}

    assert told(stack, "#progenitor") == {str(image.uri) for image in images}
    for image in images:
        detector = image.data_id["detector"]
        assert told(image, "#progenitor") == {str(raws[detector].uri), str(biases[detector].uri)}
        assert told(image, "#derivation") == {str(stack.uri)}
        assert str(image.uri) in told(raws[detector], "#derivation")
        assert len(told(raws[detector], "#derivation")) == 2
