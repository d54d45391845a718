"""All parts of the ObsCore table together."""

from __future__ import annotations

__all__ = ["ConsolidateObsCoreConfig", "ConsolidateObsCoreConnections", "ConsolidateObsCoreTask"]

from collections.abc import Iterable, Mapping
from itertools import chain

import pyarrow as pa
from lsst.daf.butler import DataCoordinate, DeferredDatasetHandle
from lsst.pex.config import Field, FieldValidationError
from lsst.pipe.base import (
    InputQuantizedConnection,
    OutputQuantizedConnection,
    PipelineTask,
    PipelineTaskConfig,
    PipelineTaskConnections,
    QuantumContext,
    Struct,
    connectionTypes,
)

from ..errors import VoError
from ..services import consolidate_tables
from ..store import parse_store
from ._inputs import QUANTA, InputRefs, InputType, OutputRefs, connect_inputs


def _rows_of(quantum: str, doc: str) -> connectionTypes.PrerequisiteInput:
    # What `ExportObsCoreTask` writes.
    return connect_inputs(InputType(f"obscore_{quantum}", QUANTA[quantum], "ArrowTable"), doc)


class ConsolidateObsCoreConnections(PipelineTaskConnections, dimensions=()):
    """Connections of `ConsolidateObsCoreTask`.

    The inputs are prerequisites: as regular ones they would make the graph a
    query for visits that overlap tracts, and others would be left out.  So
    this task runs after the exporting ones, not together with them.
    """

    visits = _rows_of("visit", "Rows by visit.")
    raws = _rows_of("raw", "Rows of exposures, by visit.")
    exposures = _rows_of("exposure", "Rows of exposures that no visit places on the sky.")
    tracts = _rows_of("tract", "Rows by tract.")
    table = connectionTypes.Output(
        doc="The ObsCore table, along the sky.", name="obscore", storageClass="ArrowTable", dimensions=()
    )

    def adjustQuantum(
        self,
        inputs: dict[str, InputRefs],
        outputs: dict[str, OutputRefs],
        label: str,
        data_id: DataCoordinate,
    ) -> tuple[Mapping[str, InputRefs], Mapping[str, OutputRefs]]:
        # Docstring inherited.
        if not any(refs for _, refs in inputs.values()):
            names = ", ".join(sorted(connection.name for connection, _ in inputs.values()))
            # As pipe_base does where prerequisites are missing: an empty graph would not say why.
            raise FileNotFoundError(
                f"{label} finds no tables ({names}) in the input collections; run the exporting tasks first, "
                "and give their output collection as input"
            )
        return super().adjustQuantum(inputs, outputs, label, data_id)


class ConsolidateObsCoreConfig(PipelineTaskConfig, pipelineConnections=ConsolidateObsCoreConnections):
    """Configuration of `ConsolidateObsCoreTask`."""

    store = Field[str](
        doc="Store that the rows are written to as well, as 'butler vo export' takes it; it is replaced at "
        "once when all is written. A path is one where the task runs.",
        optional=True,
    )

    def validate(self) -> None:
        # Docstring inherited.
        super().validate()
        if self.store is None:
            return
        try:
            parse_store(self.store)
        except VoError as err:
            raise FieldValidationError(type(self).store, self, str(err)) from err


class ConsolidateObsCoreTask(PipelineTask):
    """Put all parts of the ObsCore table together."""

    ConfigClass = ConsolidateObsCoreConfig
    _DefaultName = "consolidateObsCore"

    config: ConsolidateObsCoreConfig

    def runQuantum(
        self,
        butlerQC: QuantumContext,
        inputRefs: InputQuantizedConnection,
        outputRefs: OutputQuantizedConnection,
    ) -> None:
        # Docstring inherited.
        found: dict[str, list[DeferredDatasetHandle]] = butlerQC.get(inputRefs)
        handles = chain.from_iterable(found[name] for name in sorted(found))
        butlerQC.put(self.run(tables=(handle.get() for handle in handles)), outputRefs)

    def run(self, *, tables: Iterable[pa.Table]) -> Struct:
        """Put tables together, and write them into the store.

        Parameters
        ----------
        tables
            What `ExportObsCoreTask` made; a dataset that is in several counts
            once.

        Returns
        -------
        outputs : `lsst.pipe.base.Struct`
            ``table``, a `pyarrow.Table` with the public columns: what an
            export to a Parquet file holds.
        """
        table = consolidate_tables(tables, store=self.config.store)
        self.log.info("%d rows in all", table.num_rows)
        return Struct(table=table)
