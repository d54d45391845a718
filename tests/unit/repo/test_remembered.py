"""What is remembered of datasets, for how long, and what never is."""

from pathlib import Path

import pytest
import sqlalchemy
from lsst.daf.butler import Butler, DatasetRef, DatasetType

from lsst.dax.vo.repo import FileState, Memory, Repository, open_repository


def test_answers_count_for_a_while_and_only_the_latest() -> None:
    now_s = [0.0]
    memory: Memory[str, int] = Memory(30, most=3, clock=lambda: now_s[0])
    memory.keep({"a": 1, "b": 2})
    now_s[0] = 20.0
    memory.keep({"c": 3, "b": 22})
    assert memory.recall(["a", "b", "c", "d"]) == {"a": 1, "b": 22, "c": 3}
    now_s[0] = 31.0
    assert memory.recall(["a", "b", "c"]) == {"b": 22, "c": 3}
    memory.keep({"d": 4, "e": 5})
    assert len(memory.recall(["b", "c", "d", "e"])) == 3


def test_no_time_is_no_memory() -> None:
    memory: Memory[str, int] = Memory(0)
    memory.keep({"a": 1})
    assert memory.recall(["a"]) == {}


@pytest.fixture
def growing(tmp_path: Path):
    """Return a repository with one dataset, which is opened anew for writing, and its dataset."""
    root = tmp_path / "growing"
    Butler.makeRepo(str(root))
    with Butler.from_config(str(root), run="run") as butler:
        kind = DatasetType("metrics", butler.dimensions.empty, "StructuredDataDict")
        butler.registry.registerDatasetType(kind)
        ref = butler.put({"a": 1}, kind)
    return root, ref


def count_statements(repository: Repository) -> list[str]:
    statements: list[str] = []
    with repository.session() as butler:
        engine = butler._registry._db._engine
    sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    return statements


def state_of(repository: Repository, ref: DatasetRef) -> FileState:
    return repository.datasets([ref.id])[ref.id].file_state


def test_registry_is_asked_once_and_the_file_each_time(growing):
    root, ref = growing
    repository = open_repository(root, remember_s=600)
    statements = count_statements(repository)
    assert state_of(repository, ref) is FileState.PRESENT
    asked = len(statements)
    assert asked > 0
    assert state_of(repository, ref) is FileState.PRESENT
    path = Path(repository.datasets([ref.id])[ref.id].require_file().ospath)
    size = path.stat().st_size
    path.write_bytes(b"")
    assert state_of(repository, ref) is FileState.EMPTY
    path.unlink()
    assert state_of(repository, ref) is FileState.MISSING
    path.write_bytes(b"x" * (size + 5))
    assert repository.datasets([ref.id])[ref.id].size_bytes == size + 5
    assert len(statements) == asked
    repository.close()


def test_deleted_dataset_leads_to_no_file_at_once_and_is_forgotten_soon(growing):
    root, ref = growing
    repository = open_repository(root)
    now_s = [0.0]
    repository._memory = Memory(30, clock=lambda: now_s[0])
    assert state_of(repository, ref) is FileState.PRESENT
    with Butler.from_config(str(root), writeable=True) as butler:
        butler.pruneDatasets([ref], disassociate=True, unstore=True, purge=True)
    assert state_of(repository, ref) is FileState.MISSING
    now_s[0] = 31.0
    assert repository.datasets([ref.id]) == {}
    repository.close()


def test_dataset_without_a_file_is_not_remembered(growing):
    root, ref = growing
    repository = open_repository(root, remember_s=600)
    with Butler.from_config(str(root), writeable=True) as butler:
        butler.pruneDatasets([ref], disassociate=False, unstore=True)
        assert state_of(repository, ref) is FileState.UNRECORDED
        butler.put({"a": 2}, ref)
    assert state_of(repository, ref) is FileState.PRESENT
    repository.close()


def test_unknown_dataset_is_not_remembered(growing):
    root, ref = growing
    repository = open_repository(root, remember_s=600)
    with Butler.from_config(str(root), run="other") as butler:
        later = DatasetRef(ref.datasetType, ref.dataId, run="other")
        assert repository.datasets([later.id]) == {}
        butler.put({"a": 2}, later)
    assert repository.datasets([later.id])[later.id].run == "other"
    repository.close()
