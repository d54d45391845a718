"""Whether the files of a store's rows are there."""

from __future__ import annotations

__all__ = ["check_files"]

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import batched

from ...errors import NotFoundError, TransientError, UsageError, VoError
from ...obscore import Finding
from ...query import OBSCORE_TABLE, Engine, plan_query
from ...repo import Dataset, FileState, Repositories, Repository, StoreProbe
from ...store import Store
from .._export import publisher_forms

# Rows whose files are looked for at once.
_ROWS = 2_000
_NAMED = 5
# Longer than a service may make a client wait.
_PATIENCE_S = 60.0
# Connections that the clients of stores keep.
_AT_ONCE = 10
_BACK = "bring them back, or remove the datasets from the repository and update the store"
_MEND: Mapping[FileState | str, str] = {
    FileState.UNRECORDED: _BACK,
    FileState.MISSING: _BACK,
    FileState.EMPTY: _BACK,
    FileState.POINTER: "fetch the files in the repository",
    FileState.OUTSIDE: "name the folder in link_folders of the service, if the links are meant",
    FileState.UNREADABLE: "give the service the right to read them",
    FileState.UNREACHABLE: "check again when the store answers",
    FileState.PARTS: "they are delivered one by one, and cannot be cut",
    "not in the repository": "update the store",
    "not known to be ones of the repository": "export again, or name the repository of the store",
}


def check_files(repository: Repository, store: Store, engine: Engine) -> tuple[list[Finding], list[str]]:
    """Look for the file of each row.

    Parameters
    ----------
    repository
        The repository of the store; closed in the end.
    store
        The store.
    engine
        Reads it.

    Returns
    -------
    findings : `list` [`~lsst.dax.vo.obscore.Finding`]
        One for each state in which files should not be, with how many they
        are and the first of them.
    notes : `list` [`str`]
        How many files are there.
    """
    _, forms = publisher_forms(store.properties, repository.label)
    probe = StoreProbe(patience_s=_PATIENCE_S, budget_s=_PATIENCE_S, at_once=_AT_ONCE, most_of_a_server=_ROWS)
    counts: dict[FileState | str, int] = defaultdict(int)
    named: dict[FileState | str, list[str]] = defaultdict(list)
    with closing(Repositories([repository], forms, probe=probe)) as repositories:
        for texts in batched(_iter_identifiers(engine), _ROWS):
            for text, found in zip(texts, repositories.find(texts), strict=True):
                state = _state_of(found, repository, probe)
                counts[state] += 1
                if len(named[state]) < _NAMED:
                    named[state].append(_name_of(text, found))
    total, good = sum(counts.values()), counts.pop(FileState.PRESENT, 0)
    findings = [
        Finding(
            "error",
            "files",
            f"{count:,} of {total:,} rows: the file is {_words(state)}: {', '.join(named[state])}"
            + (" ..." if count > _NAMED else ""),
            _MEND.get(state, "look at the repository"),
        )
        for state, count in sorted(counts.items(), key=lambda item: -item[1])
    ]
    return findings, [f"{good:,} of {total:,} files are there"]


def _iter_identifiers(engine: Engine) -> Iterator[str]:
    adql = f"SELECT obs_publisher_did FROM {OBSCORE_TABLE}"
    for batch in engine.run(plan_query(adql, engine.catalog), maxrec=None).batches:
        yield from (text for text in batch.column(0).to_pylist() if text is not None)


def _state_of(found: Dataset | VoError, repository: Repository, probe: StoreProbe) -> FileState | str:
    match found:
        case Dataset():
            if not found.parts:
                return found.file_state
            # Of several files, the worst one counts.
            states = [part.file_state for part in probe.look(list(repository.parts(found).values()))]
            return next((state for state in states if state is not FileState.PRESENT), FileState.PRESENT)
        case TransientError():
            raise found
        case NotFoundError():
            return "not in the repository"
        case UsageError():
            return "not known to be ones of the repository"
    return str(found)


def _name_of(text: str, found: Dataset | VoError) -> str:
    return f"{found.dataset_type} {found.uuid}" if isinstance(found, Dataset) else text


def _words(state: FileState | str) -> str:
    return state.value if isinstance(state, FileState) else state
