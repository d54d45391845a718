"""What files say of their inputs, each read once."""

from __future__ import annotations

__all__ = ["InputReader"]

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from ..errors import VoError
from ..repo import Dataset, Memory
from ..soda import FileInputs

# Of files on other machines, so many are read at once.
_THREADS = 16
# A dataset never changes: what was read stays true.
_KEEP_S = 24 * 3600.0
_MOST = 100_000
_SUFFIXES = (".fits", ".fits.gz", ".fits.fz", ".fit", ".fz", ".parq", ".parquet")


class InputReader:
    """Reads and remembers what files say of their inputs; safe for threads.

    Parameters
    ----------
    patience_s
        How long the files of one request are read, in seconds.
    clock
        Seconds that only grow.
    """

    def __init__(self, *, patience_s: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience_s = patience_s
        self._clock = clock
        self._known: Memory[tuple[UUID, bool], FileInputs] = Memory(_KEEP_S, most=_MOST, clock=clock)

    def recall(self, uuids: Iterable[UUID]) -> dict[UUID, FileInputs]:
        """Return what was read before.

        Parameters
        ----------
        uuids
            Dataset ids.

        Returns
        -------
        inputs : `dict` [`uuid.UUID`, `FileInputs`]
        """
        known = self._known.recall((uuid, False) for uuid in uuids)
        return {uuid: inputs for (uuid, _), inputs in known.items()}

    def read(
        self, datasets: Iterable[Dataset], *, tables: bool = False
    ) -> tuple[dict[UUID, FileInputs], dict[UUID, VoError]]:
        """Read what the files of datasets say.

        Parameters
        ----------
        datasets
            The datasets, the most important ones first.
        tables
            Whether tables of visits and detectors are read of a file that
            tells ids as well.

        Returns
        -------
        inputs : `dict` [`uuid.UUID`, `FileInputs`]
            Of those that could be read in time.
        errors : `dict` [`uuid.UUID`, `VoError`]
            Why others could not; those that are in neither, had no time.
        """
        wanted = {dataset.uuid: dataset for dataset in datasets if _may_tell(dataset)}
        known = self._known.recall((uuid, tables) for uuid in wanted)
        found = {uuid: inputs for (uuid, _), inputs in known.items()}
        errors: dict[UUID, VoError] = {}
        left = [dataset for uuid, dataset in wanted.items() if uuid not in found]
        if not left:
            return found, errors
        end = self._clock() + self._patience_s

        def read_one(dataset: Dataset) -> FileInputs | VoError | None:
            return _read(dataset, tables) if self._clock() < end else None

        here = [dataset for dataset in left if dataset.uri is not None and dataset.uri.isLocal]
        away = [dataset for dataset in left if dataset.uri is None or not dataset.uri.isLocal]
        answers = [(dataset, read_one(dataset)) for dataset in here]
        if away:
            with ThreadPoolExecutor(_THREADS, "inputs") as threads:
                answers += zip(away, threads.map(read_one, away), strict=True)
        new = {}
        for dataset, answer in answers:
            if isinstance(answer, FileInputs):
                new[dataset.uuid, tables] = found[dataset.uuid] = answer
            elif answer is not None:
                errors[dataset.uuid] = answer
        self._known.keep(new)
        return found, errors


def _may_tell(dataset: Dataset) -> bool:
    return (
        dataset.file_error is None
        and (dataset.uri is None or not dataset.uri.fragment)
        and dataset.file_name.lower().endswith(_SUFFIXES)
    )


def _read(dataset: Dataset, tables: bool) -> FileInputs | VoError:
    from ..soda.backends import read_inputs

    try:
        return read_inputs(dataset.require_file(), tables=tables)
    except VoError as err:
        return err
