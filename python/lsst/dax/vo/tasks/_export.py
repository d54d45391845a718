"""ObsCore rows of one visit, one tract, or one exposure."""

from __future__ import annotations

__all__ = ["ExportObsCoreConfig", "ExportObsCoreConnections", "ExportObsCoreTask"]

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any
from uuid import UUID

from lsst.daf.butler import DataCoordinate, DatasetRef, DeferredDatasetHandle
from lsst.pex.config import ChoiceField, DictField, Field, FieldValidationError, ListField
from lsst.pipe.base import (
    InputQuantizedConnection,
    NoWorkFound,
    OutputQuantizedConnection,
    PipelineTask,
    PipelineTaskConfig,
    PipelineTaskConnections,
    QuantaAdjuster,
    QuantumContext,
    Struct,
    connectionTypes,
)
from lsst.resources import ResourcePath

from ..errors import NotFoundError, UsageError
from ..obscore import (
    ObscoreConfig,
    chosen_ids,
    parse_obscore_config,
    rows_of_refs,
    summaries_of_refs,
    visits_of_exposures,
)
from ..repo import recorded_sizes
from ..services import table_of_rows
from ._inputs import QUANTA, InputRefs, InputType, OutputRefs, connect_inputs, describe_input, find_inputs


class ExportObsCoreConnections(PipelineTaskConnections, dimensions=QUANTA["visit"]):
    """Connections of `ExportObsCoreTask`.

    The inputs follow from the configuration.  They are prerequisites, so that
    none of them has to be there, and none keeps others from being found.

    Parameters
    ----------
    config
        The task's configuration.
    """

    table = connectionTypes.Output(
        doc="ObsCore rows, a part of the whole table.",
        name="obscore_visit",
        storageClass="ArrowTable",
        dimensions=QUANTA["visit"],
    )
    # A quantum knows what the data IDs of its datasets tell, and those of raw
    # images tell no region.  A predicted output has the data ID that does.
    # With a pixel of the sky in it, only detectors that have a region are
    # predicted: pipe_base fails on data IDs whose records are missing.
    places = connectionTypes.Output(
        doc="Never written: that it is predicted tells where the detectors of the visit are.",
        name="obscore_raw_place",
        storageClass="StructuredDataDict",
        dimensions=(*QUANTA["raw"], "detector", "htm7"),
        multiple=True,
    )

    config: ExportObsCoreConfig

    def __init__(self, *, config: ExportObsCoreConfig) -> None:
        quantum = config.quantum
        self._types = {kind.connection: kind for kind in config.find_inputs()}
        for kind in self._types.values():
            setattr(self, kind.connection, connect_inputs(kind, "What becomes rows; the files are not read."))
        for kind in config.find_summaries():
            setattr(self, kind.connection, connect_inputs(kind, "Tells about the detectors of the visit."))
        self.dimensions.clear()
        self.dimensions.update(QUANTA[quantum])
        name = self.table.name
        if name == type(self).table.name:
            name = f"obscore_{quantum}"
        self.table = dataclasses.replace(self.table, name=name, dimensions=QUANTA[quantum])
        self._detectors = any(kind.is_placed_by_detectors for kind in self._types.values())
        if quantum != "raw" or not self._detectors:
            del self.places
        # What `adjust_all_quanta` finds out while a graph is made.
        self._visits: Mapping[tuple[Any, ...], int | None] | None = None
        self._chosen: dict[str, set[UUID]] = {}

    def adjust_all_quanta(self, adjuster: QuantaAdjuster) -> None:
        # Docstring inherited.
        butler, config = adjuster.butler, self.config.read_obscore()
        for connection, kind in self._types.items():
            ids = chosen_ids(butler, config, kind.name, list(butler.collections.defaults))
            if ids is not None:
                self._chosen[connection] = ids
        quanta = list(adjuster.iter_data_ids())
        if self.config.quantum == "exposure":
            self._visits = visits_of_exposures(
                butler, map(_exposure_of, quanta), with_detectors=self._detectors
            )
            for data_id in quanta:
                if self._visits[_exposure_of(data_id)] is not None:
                    adjuster.remove_quantum(data_id)
        elif self.config.quantum == "raw":
            exposures = {
                _exposure_of(data_id)
                for quantum in quanta
                for found in adjuster.get_prerequisite_inputs(quantum).values()
                for data_id in found.values()
            }
            self._visits = visits_of_exposures(butler, exposures, with_detectors=False)

    def adjustQuantum(
        self,
        inputs: dict[str, InputRefs],
        outputs: dict[str, OutputRefs],
        label: str,
        data_id: DataCoordinate,
    ) -> tuple[Mapping[str, InputRefs], Mapping[str, OutputRefs]]:
        # Docstring inherited.
        super().adjustQuantum(inputs, outputs, label, data_id)
        kept = {
            name: (connection, [ref for ref in refs if self._is_row(name, ref, data_id)])
            for name, (connection, refs) in inputs.items()
            if name in self._types
        }
        refs = list(chain.from_iterable(refs for _, refs in kept.values()))
        if not refs:
            raise NoWorkFound(f"{label} has nothing to export for {data_id}")
        if "places" not in outputs:
            return kept, {}
        # One place for each detector is enough.
        connection, predicted = outputs["places"]
        places = {ref.dataId["detector"]: ref for ref in predicted}
        wanted = {ref.dataId.get("detector") for ref in refs}
        return kept, {"places": (connection, [places[key] for key in sorted(places.keys() & wanted)])}

    def _is_row(self, connection: str, ref: DatasetRef, quantum: DataCoordinate) -> bool:
        """Tell whether a dataset is a row of this quantum and of no other."""
        if connection in self._chosen and ref.id not in self._chosen[connection]:
            return False
        # An exposure may belong to several visits.
        return (
            self._visits is None
            or self.config.quantum != "raw"
            or self._visits[_exposure_of(ref.dataId)] == quantum["visit"]
        )


def _exposure_of(data_id: DataCoordinate) -> tuple[Any, ...]:
    return data_id["instrument"], data_id["exposure"]


class ExportObsCoreConfig(PipelineTaskConfig, pipelineConnections=ExportObsCoreConnections):
    """Configuration of `ExportObsCoreTask`."""

    quantum = ChoiceField[str](
        doc="What one quantum is about.",
        allowed={
            "visit": "What has the visit among its dimensions.",
            "raw": "What has an exposure among its dimensions, by the visit that places it on the sky.",
            "exposure": "The same, by exposure, of exposures that no visit places.",
            "tract": "What has the tract among its dimensions.",
        },
        default="visit",
        optional=False,
    )
    obscore = Field[str](
        doc="Exporter configuration, as 'butler vo export --config' takes it: path or URI of a YAML file, or "
        "the YAML itself. A file is read once, when the pipeline is; its 'collections' are not used.",
        default="",
    )
    label = Field[str](
        doc="Label of the repository, under which a store of the rows is served; without it, no store can be "
        "made of them.",
        default="",
    )
    dataset_types = ListField[str](
        doc="Only these of the configured dataset types; by default all of them.", default=[]
    )
    dimensions = DictField[str, str](
        doc="Dimensions of dataset types, such as 'instrument visit detector', where they are not Rubin's.",
        default={},
    )
    storage_classes = DictField[str, str](
        doc="Storage classes of dataset types, where they are not those of Rubin's releases.", default={}
    )

    def read_obscore(self) -> ObscoreConfig:
        """Read the exporter configuration.

        Returns
        -------
        config : `~lsst.dax.vo.obscore.ObscoreConfig`

        Raises
        ------
        NotFoundError
            Raised if there is no such file.
        UsageError
            Raised if it cannot be read, or is not accepted.
        """
        return parse_obscore_config(_read(self.obscore), _shorten(self.obscore))

    def find_inputs(self) -> list[InputType]:
        """Return the dataset types that the quanta read.

        Returns
        -------
        inputs : `list` [`InputType`]

        Raises
        ------
        UsageError
            Raised if one is not configured, or not enough is known of it.
        """
        configured = self.read_obscore().dataset_types
        for name in self.dataset_types:
            if name not in configured:
                raise UsageError(
                    f"The dataset type {name!r} is not configured; configured: {', '.join(configured)}"
                )
        return find_inputs(
            [name for name in configured if not self.dataset_types or name in self.dataset_types],
            self.quantum,
            dimensions=self.dimensions,
            storage_classes=self.storage_classes,
        )

    def find_summaries(self) -> list[InputType]:
        """Return the dataset types of the summaries of visits that the quanta read.

        Returns
        -------
        summaries : `list` [`InputType`]
            None where no row has a visit and a detector.

        Raises
        ------
        UsageError
            Raised if not enough is known of one.
        """
        kinds = self.find_inputs()
        if self.quantum == "exposure" or not any(
            {"visit", "detector"} <= {*kind.dimensions} for kind in kinds
        ):
            return []
        names = self.read_obscore().visit_summary
        return [describe_input(name, self.dimensions, self.storage_classes) for name in names]

    def validate(self) -> None:
        # Docstring inherited.
        super().validate()
        try:
            config = self.read_obscore()
            self.find_inputs()
            self.find_summaries()
        except (UsageError, NotFoundError) as err:
            raise FieldValidationError(type(self).obscore, self, str(err)) from err
        if config.collection_type == "RUN":
            raise FieldValidationError(
                type(self).obscore,
                self,
                "'collection_type: RUN' exports datasets that others hide, and a pipeline does not see them; "
                "leave it out, or take 'butler vo export'",
            )

    def freeze(self) -> None:
        # Docstring inherited.
        # What is saved, with a graph and in a repository, says it all, and
        # jobs elsewhere need no file.
        if not self._frozen:
            self.obscore = _read(self.obscore)
        super().freeze()


class ExportObsCoreTask(PipelineTask):
    """Make the ObsCore rows of one visit, one tract, or one exposure."""

    ConfigClass = ExportObsCoreConfig
    _DefaultName = "exportObsCore"

    config: ExportObsCoreConfig

    def runQuantum(
        self,
        butlerQC: QuantumContext,
        inputRefs: InputQuantizedConnection,
        outputRefs: OutputQuantizedConnection,
    ) -> None:
        # Docstring inherited.
        found: dict[str, list[DeferredDatasetHandle]] = butlerQC.get(inputRefs)
        summaries = {kind.connection for kind in self.config.find_summaries()}
        refs = [handle.ref for name in sorted(found.keys() - summaries) for handle in found[name]]
        told = [handle.ref for name in sorted(summaries) for handle in found[name]]
        # Whether it has a registry or not, the butler with which a handle
        # loads its dataset knows sizes and places of files.
        butler = next(handle.butler for handles in found.values() for handle in handles)
        visits = []
        if self.config.quantum == "raw":
            visits = [butlerQC.quantum.dataId, *(ref.dataId for ref in getattr(outputRefs, "places", ()))]
        outputs = self.run(
            refs=refs,
            visits=visits,
            sizes=partial(recorded_sizes, butler),
            summaries=summaries_of_refs(butler, self.config.read_obscore(), told) if told else None,
        )
        butlerQC.put(outputs, outputRefs)

    def run(
        self,
        *,
        refs: Iterable[DatasetRef],
        visits: Sequence[DataCoordinate] = (),
        sizes: Callable[[Sequence[UUID]], Mapping[UUID, int]] | None = None,
        summaries: Any = None,
    ) -> Struct:
        """Make rows.

        Parameters
        ----------
        refs
            The datasets; their data IDs have dimension records.
        visits
            Data IDs, with records, of the visit that all exposures belong to
            and of its detectors.
        sizes
            Looks up bytes of files by dataset id.
        summaries
            What `~lsst.dax.vo.obscore.summaries_of_refs` made.

        Returns
        -------
        outputs : `lsst.pipe.base.Struct`
            ``table``, a `pyarrow.Table` for `ConsolidateObsCoreTask`.
        """
        config, label = self.config.read_obscore(), self.config.label
        rows = rows_of_refs(refs, config, label=label, visits=visits, sizes=sizes, summaries=summaries)
        table = table_of_rows(rows, config, label=label)
        self.log.info("%d rows", table.num_rows)
        return Struct(table=table)


def _read(text: str) -> str:
    """Return the YAML that a text is, or names."""
    if "\n" in text or text.lstrip().startswith("{"):
        return text
    if not text.strip():
        raise UsageError("No exporter configuration is given; give the path or URI of a YAML file, or YAML")
    try:
        return ResourcePath(text).read().decode()
    except (FileNotFoundError, IsADirectoryError) as err:
        raise NotFoundError(
            f"There is no exporter configuration {text}; give the path or URI of a YAML file, or YAML"
        ) from err
    except (OSError, ValueError, NotImplementedError) as err:
        raise UsageError(f"The exporter configuration {text} cannot be read: {err}") from err


def _shorten(text: str) -> str:
    return "The exporter configuration" if "\n" in text else text
