"""What datasets were made from, and what was made from them.

A provenance graph of the dataset's RUN tells both exactly.  Where there is
none, the file of the dataset tells its inputs; and of what was made from it,
the registry tells what may have been, by observation and place, and the files
of these candidates tell whether it was.
"""

from __future__ import annotations

__all__ = ["Ancestry", "AncestryReader"]

import fnmatch
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from uuid import UUID

from ..errors import TransientError, VoError
from ..repo import Choice, Dataset, Lineage, ProvenanceGraphs, RelatedDatasets, Relations, Repository
from ..soda import FileInputs
from ._file_inputs import InputReader

_AGAIN = "not all files could be read in time; ask again"
_NOTHING = FileInputs()


@dataclass(slots=True)
class Ancestry:
    """Inputs and outputs of a dataset, as far as this repository has them."""

    inputs: list[UUID] = field(default_factory=list)
    """What it was made from, without calibrations."""

    calibrations: list[UUID] = field(default_factory=list)
    """Calibrations that it was made with."""

    outputs: list[UUID] = field(default_factory=list)
    """What was made from it."""

    count: int = 0
    """How many inputs it had, calibrations among them."""

    input_error: VoError | None = None
    """Why its inputs are not known."""

    output_error: VoError | None = None
    """Why further outputs may be missing."""


class AncestryReader:
    """Finds inputs and outputs of a repository's datasets; safe for threads.

    Parameters
    ----------
    repository
        The repository.
    related
        Finds datasets by observation and place.
    choose
        From a dataset to what is of interest for it.
    inputs
        Reads files.
    """

    def __init__(
        self,
        repository: Repository,
        related: RelatedDatasets,
        choose: Callable[[Dataset], Choice],
        inputs: InputReader,
    ) -> None:
        self._repository = repository
        self._related = related
        self._choose = choose
        self._inputs = inputs
        self._graphs = ProvenanceGraphs(repository)

    def close(self) -> None:
        """Close what is kept open."""
        self._graphs.close()

    def find(
        self, datasets: Sequence[Dataset], relations: Mapping[UUID, Relations], others: Set[UUID]
    ) -> tuple[dict[UUID, Ancestry], dict[UUID, Dataset]]:
        """Find inputs and outputs.

        Parameters
        ----------
        datasets
            Datasets of the repository.
        relations
            What belongs to each.
        others
            Further datasets that are looked up with those found here.

        Returns
        -------
        ancestries : `dict` [`uuid.UUID`, `Ancestry`]
            Of each dataset.
        known : `dict` [`uuid.UUID`, `Dataset`]
            All datasets that are named in these, and the further ones.

        Raises
        ------
        TransientError
            Raised if the registry does not answer.
        """
        told = self._graphs.find(datasets)
        runs = self._graphs.runs()
        candidates = {item.uuid for found in relations.values() for item in found.candidates}
        before = self._inputs.recall(candidates | {dataset.uuid for dataset in datasets})
        candidates -= _unrelated(datasets, before, candidates)
        ids = {uuid for one in told.values() for uuid in (*(one.inputs or ()), *one.outputs)}
        ids |= {uuid for dataset in datasets for uuid in before.get(dataset.uuid, _NOTHING).ids}
        known = self._repository.datasets(candidates | ids | others)
        asked = {dataset.uuid: dataset for dataset in datasets if self._choose(dataset).inputs is not False}
        own = [item for uuid, item in asked.items() if _inputs_of(told, uuid) is None]
        # What a graph tells the inputs of, need not be read.
        unread = [known[uuid] for uuid in candidates if uuid in known and known[uuid].run not in runs]
        files, errors = self._inputs.read([*own, *unread])
        file_ids = {uuid for dataset in own for uuid in files.get(dataset.uuid, _NOTHING).ids}
        known |= self._repository.datasets(file_ids - known.keys())
        ancestries = {dataset.uuid: Ancestry() for dataset in datasets}
        self._fill_inputs(ancestries, asked, told, files, errors, known)
        self._fill_outputs(
            ancestries, datasets, relations, told, files, errors, known, {item.uuid for item in unread}
        )
        return ancestries, known

    def _fill_inputs(
        self,
        ancestries: Mapping[UUID, Ancestry],
        asked: Mapping[UUID, Dataset],
        told: Mapping[UUID, Lineage],
        files: Mapping[UUID, FileInputs],
        errors: Mapping[UUID, VoError],
        known: dict[UUID, Dataset],
    ) -> None:
        calibrations = self._related.calibration_types()
        unknown = []
        for uuid, dataset in asked.items():
            ancestry, inputs = ancestries[uuid], _inputs_of(told, uuid)
            if inputs is None:
                found = files.get(uuid)
                inputs = () if found is None else found.ids
                ancestry.count = 0 if found is None else found.count
                ancestry.input_error = errors.get(uuid)
                if found is None and uuid not in errors and dataset.file_error is None and dataset.is_image:
                    ancestry.input_error = TransientError(
                        f"Inputs of {dataset.dataset_type} {uuid}: {_AGAIN}"
                    )
                if not any(item in known for item in inputs):
                    unknown.append(dataset)
            ancestry.count = max(ancestry.count, len(inputs))
            for item in inputs:
                # A damaged file may name itself.
                if item in known and item != uuid:
                    is_calibration = known[item].dataset_type in calibrations
                    (ancestry.calibrations if is_calibration else ancestry.inputs).append(item)
        self._fill_detectors(ancestries, unknown, files, known)

    def _fill_detectors(
        self,
        ancestries: Mapping[UUID, Ancestry],
        datasets: Sequence[Dataset],
        files: Mapping[UUID, FileInputs],
        known: dict[UUID, Dataset],
    ) -> None:
        """Fill in inputs that are told by visit and detector alone."""
        # Tables were not read of a file that tells ids, all of which are unknown here.
        again = [item for item in datasets if files.get(item.uuid, _NOTHING).ids]
        files = {item.uuid: files[item.uuid] for item in datasets if item.uuid in files}
        files |= self._inputs.read(again, tables=True)[0]
        wanted = {uuid: inputs.detectors for uuid, inputs in files.items() if inputs.detectors}
        images = self._related.detector_images(wanted, [item for item in datasets if item.uuid in wanted])
        known |= self._repository.datasets(
            {item.uuid for found in images.values() for item in found} - known.keys()
        )
        for uuid, found in images.items():
            ancestries[uuid].inputs = [item.uuid for item in found if item.uuid in known]
            ancestries[uuid].count = len(wanted[uuid])

    def _fill_outputs(
        self,
        ancestries: Mapping[UUID, Ancestry],
        datasets: Sequence[Dataset],
        relations: Mapping[UUID, Relations],
        told: Mapping[UUID, Lineage],
        files: Mapping[UUID, FileInputs],
        errors: Mapping[UUID, VoError],
        known: Mapping[UUID, Dataset],
        read: Iterable[UUID],
    ) -> None:
        by_file = set(read)
        doubtful: dict[UUID, list[tuple[Dataset, tuple[str | None, int, int]]]] = defaultdict(list)
        for dataset in datasets:
            choice = self._choose(dataset).candidates
            if choice is False:
                continue
            ancestry = ancestries[dataset.uuid]
            graph = told.get(dataset.uuid)
            ancestry.outputs = [
                uuid
                for uuid in (graph.outputs if graph is not None else ())
                if uuid in known and _is_of_interest(known[uuid], choice)
            ]
            late = 0
            for item in relations[dataset.uuid].candidates:
                # Neither told by a graph, nor known to be made of others.
                if item.uuid not in by_file:
                    continue
                found = files.get(item.uuid)
                if found is None:
                    late += item.uuid not in errors and known[item.uuid].file_error is None
                elif dataset.uuid in found.ids:
                    ancestry.outputs.append(item.uuid)
                elif (place := _place_in(dataset, found)) is not None:
                    doubtful[item.uuid].append((dataset, place))
            if late:
                text = (
                    f"{late} datasets may have been made from {dataset.dataset_type} {dataset.uuid}: {_AGAIN}"
                )
                ancestry.output_error = TransientError(text)
        self._decide(ancestries, doubtful, known)
        for ancestry in ancestries.values():
            ancestry.outputs = list(dict.fromkeys(ancestry.outputs))

    def _decide(
        self,
        ancestries: Mapping[UUID, Ancestry],
        doubtful: Mapping[UUID, Sequence[tuple[Dataset, tuple[str | None, int, int]]]],
        known: Mapping[UUID, Dataset],
    ) -> None:
        """Find out which dataset a visit and a detector in a coadd stand for."""
        wanted = {uuid: [place for _, place in pairs] for uuid, pairs in doubtful.items()}
        images = self._related.detector_images(wanted, [known[uuid] for uuid in wanted])
        for uuid, pairs in doubtful.items():
            made_from = {item.uuid for item in images[uuid]}
            for dataset, _ in pairs:
                if dataset.uuid in made_from:
                    ancestries[dataset.uuid].outputs.append(uuid)


def _unrelated(
    datasets: Sequence[Dataset], before: Mapping[UUID, FileInputs], candidates: Iterable[UUID]
) -> set[UUID]:
    """Return those candidates that are known to be made of others."""
    asked = {dataset.uuid for dataset in datasets}
    found = ((uuid, before[uuid]) for uuid in candidates if uuid in before)
    return {uuid for uuid, inputs in found if not inputs.detectors and asked.isdisjoint(inputs.ids)}


def _inputs_of(told: Mapping[UUID, Lineage], uuid: UUID) -> tuple[UUID, ...] | None:
    found = told.get(uuid)
    return None if found is None else found.inputs


def _is_of_interest(dataset: Dataset, choice: bool | tuple[str, ...] | None) -> bool:
    if isinstance(choice, tuple):
        return any(fnmatch.fnmatchcase(dataset.dataset_type, pattern) for pattern in choice)
    # Not logs, metadata and configurations.
    return dataset.product_type is not None


def _place_in(dataset: Dataset, inputs: FileInputs) -> tuple[str | None, int, int] | None:
    visit, detector = dataset.data_id.get("visit"), dataset.data_id.get("detector")
    for place in inputs.detectors if visit is not None else ():
        if place[1:] == (visit, detector) and place[0] in (None, dataset.data_id.get("instrument")):
            return place
    return None
