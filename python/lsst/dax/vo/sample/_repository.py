"""A Butler repository: records of dimensions, dataset types, files."""

__all__ = ["References", "create_repository", "ingest"]

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from astropy.time import Time
from lsst.daf.butler import (  # type: ignore[attr-defined]  # CollectionType is not in its __all__
    Butler,
    CollectionType,
    Config,
    DatasetIdGenEnum,
    DatasetRef,
    DatasetType,
    FileDataset,
    Timespan,
)
from lsst.sphgeom import ConvexPolygon

from ._coadd import TractPlan
from ._images import RECIPES, recipe_of
from ._survey import PATCHES, Survey, Visit
from ._wcs import outline, visit_projection

_PADDING_PX = 40
"""Pixels by which regions of detectors reach beyond them on each side: what a
registry knows of the pointing before astrometry is uncertain by as much."""

_STORAGE_CLASSES = ("ImageV2", "VisitImage", "DifferenceImage", "CellCoadd")
_VISIT_SYSTEM = 0


@dataclass(frozen=True, slots=True)
class References:
    """All datasets of a repository, before any of them has a file."""

    raw: dict[tuple[int, int], DatasetRef]
    """Raw images by visit and detector."""

    visit_image: dict[tuple[int, int], DatasetRef]
    """Calibrated images by visit and detector."""

    difference_image: dict[tuple[int, int], DatasetRef]
    """Difference images by visit and detector; empty if there are none."""

    coadd: dict[tuple[int, int, str], DatasetRef]
    """Coadds by tract, patch and band."""

    visit_summary: dict[int, DatasetRef]
    """Summaries of visits by visit."""


def create_repository(root: Path, survey: Survey) -> References:
    """Create a repository that knows the survey and has no datasets yet.

    Parameters
    ----------
    root
        Folder, which does not exist.
    survey
        The survey.

    Returns
    -------
    references : `References`
        Datasets that it may get, with identifiers that follow from names and
        data IDs alone.
    """
    Butler.makeRepo(str(root), config=_configure())
    with Butler.from_config(str(root), writeable=True) as butler:
        _insert_instrument(butler, survey)
        _insert_skymap(butler, survey)
        _insert_visits(butler, survey)
        names = survey.names
        runs = list(dict.fromkeys([names.run, names.raw_run]))
        for run in runs:
            butler.collections.register(run)
        butler.collections.register(names.chain, CollectionType.CHAINED)
        butler.collections.redefine_chain(names.chain, runs)
        return _make_references(butler, survey)


def ingest(root: Path, files: Iterable[tuple[DatasetRef, Path]]) -> None:
    """Move files into a repository, and register their datasets.

    Parameters
    ----------
    root
        The repository.
    files
        Datasets and their files.
    """
    datasets = [FileDataset(str(path), ref) for ref, path in files]
    with Butler.from_config(str(root), writeable=True) as butler:
        butler.ingest(*datasets, transfer="move")


def _configure() -> Config:
    formatter = "lsst.images.formatters.GenericFormatter"
    return Config(
        {
            "datastore": {
                "formatters": {
                    "write_recipes": {formatter: RECIPES},
                    **{
                        name: {"formatter": formatter, "parameters": {"recipe": recipe_of(name)}}
                        for name in _STORAGE_CLASSES
                    },
                }
            }
        }
    )


def _insert_instrument(butler: Butler, survey: Survey) -> None:
    instrument = survey.camera.instrument
    registry = butler.registry
    registry.insertDimensionData(
        "instrument",
        {
            "name": instrument,
            "visit_max": 10**13 + 10**12,
            "exposure_max": 10**13 + 10**12,
            "detector_max": 205,
            "visit_system": _VISIT_SYSTEM,
            "class_name": "",
        },
    )
    registry.insertDimensionData(
        "physical_filter",
        *(
            {"instrument": instrument, "name": name, "band": band}
            for band, name in survey.names.physical_filters.items()
        ),
    )
    registry.insertDimensionData(
        "detector",
        *(
            {
                "instrument": instrument,
                "id": detector.id,
                "full_name": detector.full_name,
                "name_in_raft": detector.slot,
                "raft": detector.raft,
                "purpose": "SCIENCE",
            }
            for detector in survey.camera.detectors
        ),
    )
    registry.insertDimensionData(
        "visit_system", {"instrument": instrument, "id": _VISIT_SYSTEM, "name": "one-to-one"}
    )


def _insert_skymap(butler: Butler, survey: Survey) -> None:
    skymap = survey.names.skymap
    plans = [TractPlan(skymap, field) for field in survey.fields]
    # The Butler wants to know by a hash that two sky maps are the same.
    geometry = json.dumps([asdict(field) for field in survey.fields], sort_keys=True)
    butler.registry.insertDimensionData(
        "skymap",
        {
            "name": skymap,
            "hash": hashlib.sha1(geometry.encode(), usedforsecurity=False).digest(),
            "tract_max": 18938,
            "patch_nx_max": PATCHES,
            "patch_ny_max": PATCHES,
        },
    )
    for plan in plans:
        projection = plan.projection()
        butler.registry.insertDimensionData(
            "tract",
            {"skymap": skymap, "id": plan.field.tract, "region": outline(projection, plan.box)},
        )
        butler.registry.insertDimensionData(
            "patch",
            *(
                {
                    "skymap": skymap,
                    "tract": plan.field.tract,
                    "id": patch,
                    "cell_x": plan.cell(patch)[0],
                    "cell_y": plan.cell(patch)[1],
                    "region": outline(projection, plan.outer_box(patch)),
                }
                for patch in range(PATCHES**2)
            ),
        )


def _insert_visits(butler: Butler, survey: Survey) -> None:
    instrument = survey.camera.instrument
    registry = butler.registry
    frames = survey.camera.frames()
    registry.insertDimensionData(
        "day_obs",
        *(
            {"instrument": instrument, "id": day}
            for day in sorted({visit.day_obs for visit in survey.visits})
        ),
    )
    registry.insertDimensionData(
        "group", *({"instrument": instrument, "name": visit.name} for visit in survey.visits)
    )
    for visit in survey.visits:
        registry.insertDimensionData("exposure", _exposure_record(survey, visit))
        regions = {
            detector.id: outline(
                visit_projection(
                    frames,
                    detector=detector.id,
                    visit=visit.id,
                    ra_deg=visit.ra_deg,
                    dec_deg=visit.dec_deg,
                    rotator_deg=visit.rotator_deg,
                ),
                survey.camera.box,
                padding=_PADDING_PX,
            )
            for detector in survey.camera.detectors
        }
        corners = [corner for region in regions.values() for corner in region.getVertices()]
        registry.insertDimensionData(
            "visit", _visit_record(survey, visit) | {"region": ConvexPolygon.convexHull(corners)}
        )
        registry.insertDimensionData(
            "visit_definition", {"instrument": instrument, "exposure": visit.id, "visit": visit.id}
        )
        registry.insertDimensionData(
            "visit_system_membership",
            {"instrument": instrument, "visit_system": _VISIT_SYSTEM, "visit": visit.id},
        )
        registry.insertDimensionData(
            "visit_detector_region",
            *(
                {"instrument": instrument, "visit": visit.id, "detector": detector, "region": region}
                for detector, region in regions.items()
            ),
        )


def _visit_record(survey: Survey, visit: Visit) -> dict[str, object]:
    azimuth_deg, zenith_deg = visit.horizontal_deg()
    begin = Time(visit.begin_mjd, format="mjd", scale="tai")
    end = Time(visit.begin_mjd + visit.exposure_s / 86400, format="mjd", scale="tai")
    return {
        "instrument": survey.camera.instrument,
        "id": visit.id,
        "name": visit.name,
        "physical_filter": survey.names.physical_filters[visit.band],
        "day_obs": visit.day_obs,
        "seq_num": visit.seq_num,
        "exposure_time": visit.exposure_s,
        "target_name": f"field_{survey.fields[visit.field].tract}",
        "observation_reason": "science",
        "science_program": "simulation",
        "azimuth": azimuth_deg,
        "zenith_angle": zenith_deg,
        "timespan": Timespan(begin, end),
    }


def _exposure_record(survey: Survey, visit: Visit) -> dict[str, object]:
    return _without(_visit_record(survey, visit), "name") | {
        "obs_id": visit.name,
        "group": visit.name,
        "dark_time": visit.exposure_s,
        "observation_type": "science",
        "seq_start": visit.seq_num,
        "seq_end": visit.seq_num,
        "tracking_ra": visit.ra_deg,
        "tracking_dec": visit.dec_deg,
        "sky_angle": visit.rotator_deg,
        "has_simulated": True,
        "can_see_sky": True,
    }


def _without(record: dict[str, object], key: str) -> dict[str, object]:
    return {name: value for name, value in record.items() if name != key}


def _make_references(butler: Butler, survey: Survey) -> References:
    names, instrument = survey.names, survey.camera.instrument

    def register(name: str, dimensions: list[str], storage_class: str) -> DatasetType:
        dataset_type = DatasetType(name, butler.dimensions.conform(dimensions), storage_class)
        butler.registry.registerDatasetType(dataset_type)
        return dataset_type

    def refer(dataset_type: DatasetType, run: str, **data_id: Any) -> DatasetRef:
        return DatasetRef(
            dataset_type,
            butler.registry.expandDataId(dimensions=dataset_type.dimensions, **data_id),
            run,
            # The same name, data ID and run give the same identifier.
            id_generation_mode=DatasetIdGenEnum.DATAID_TYPE_RUN,
        )

    pairs = [(visit.id, detector.id) for visit in survey.visits for detector in survey.camera.detectors]
    raw = register(names.raw, ["instrument", "exposure", "detector"], "ImageV2")
    image = register(names.visit_image, ["instrument", "visit", "detector"], "VisitImage")
    coadd = register(names.coadd, ["skymap", "tract", "patch", "band"], "CellCoadd")
    # In the real repositories it is a catalog of lsst.afw, which only the
    # full stack can write.
    summary = register(names.visit_summary, ["instrument", "visit"], "ArrowAstropy")
    differences = {}
    if names.difference_image is not None:
        difference = register(names.difference_image, ["instrument", "visit", "detector"], "DifferenceImage")
        differences = {
            (visit, detector): refer(
                difference, names.run, instrument=instrument, visit=visit, detector=detector
            )
            for visit, detector in pairs
        }
    bands = [band for band in names.physical_filters if any(visit.band == band for visit in survey.visits)]
    return References(
        raw={
            (visit, detector): refer(
                raw, names.raw_run, instrument=instrument, exposure=visit, detector=detector
            )
            for visit, detector in pairs
        },
        visit_image={
            (visit, detector): refer(image, names.run, instrument=instrument, visit=visit, detector=detector)
            for visit, detector in pairs
        },
        difference_image=differences,
        coadd={
            (field.tract, patch, band): refer(
                coadd, names.run, skymap=names.skymap, tract=field.tract, patch=patch, band=band
            )
            for field in survey.fields
            for patch in field.coadds
            for band in bands
        },
        visit_summary={
            visit.id: refer(summary, names.run, instrument=instrument, visit=visit.id)
            for visit in survey.visits
        },
    )
