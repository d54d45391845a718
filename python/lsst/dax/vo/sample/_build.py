"""Build the sample: both repositories, at once or not at all."""

__all__ = ["Sample", "build_sample", "sample_environment"]

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import resources
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lsst.daf.butler import DatasetRef, DimensionUniverse

from ..errors import TransientError, UsageError
from ._camera import DetectorPlan
from ._coadd import TractPlan, make_coadd, save_input
from ._coadd_inputs import CoaddInput
from ._images import make_difference_image, make_raw, make_visit_image, write_dataset
from ._pixels import expose, render
from ._repository import References, create_repository, ingest
from ._sky import BANDS, Profile, Sky, Sources, make_sky
from ._summary import make_summary, write_summary
from ._survey import Survey, Visit, plan_dp02, plan_sample
from ._wcs import visit_projection

VERSION = 3
"""Counts the changes of what is built; an older sample is built anew."""

_STAMP = "sample.json"
_INDEX = "repositories.yaml"
_PROCESSES = 2

type _Written = list[tuple[DatasetRef, Path]]


@dataclass(frozen=True, slots=True)
class Sample:
    """A complete sample on disk."""

    root: Path
    """Folder with everything."""

    repositories: dict[str, Path]
    """Folder of each repository by label: ``sample`` first, then ``dp02``."""

    index: Path
    """Their index, for ``DAF_BUTLER_REPOSITORY_INDEX``."""

    configurations: dict[str, Path]
    """Exporter configuration of each repository by label."""

    def store(self, label: str) -> Path:
        """Return where the ObsCore store of a repository belongs.

        Parameters
        ----------
        label
            Label of the repository.

        Returns
        -------
        path : `pathlib.Path`
        """
        return self.root / f"{label}.store"


def build_sample(
    root: Path, *, log: Callable[[str], None] = lambda _: None, surveys: Sequence[Survey] | None = None
) -> Sample:
    """Build both repositories in a folder, unless they are there.

    Parameters
    ----------
    root
        The folder; made when it does not exist.
    log
        Called with each line that tells a person what goes on.
    surveys
        What is built; by default the survey with DP2's names and the smaller
        one with DP0.2's.  Given surveys are built in this process.

    Returns
    -------
    sample : `Sample`

    Raises
    ------
    UsageError
        Raised if the folder holds something else.
    TransientError
        Raised if it cannot be written.
    """
    plans = tuple(surveys) if surveys is not None else (plan_sample(), plan_dp02())
    stamp = json.dumps({"version": VERSION, "surveys": [_summarize(plan) for plan in plans]}, indent=1) + "\n"
    sample = _describe(root.resolve(), [plan.label for plan in plans])
    if _read(root / _STAMP) == stamp:
        log(f"The sample in {root} is complete.")
        return sample
    _check_folder(root, sample)
    start = time.perf_counter()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=root) as folder:
            with _executor(len(plans) if surveys is None else 0) as executor:
                for plan in plans:
                    log(f"Simulating {plan.label}: {len(plan.visits)} visits of {plan.camera.instrument} …")
                    _build_repository(Path(folder) / plan.label, Path(folder), plan, executor)
            _move_into_place(Path(folder), sample)
        sample.index.write_text(
            yaml.safe_dump({label: str(path) for label, path in sample.repositories.items()}, sort_keys=False)
        )
        # The stamp comes last: whatever is without it is no sample.
        _replace(root / _STAMP, stamp)
    except OSError as err:
        raise TransientError(f"The sample cannot be written to {root}: {err.strerror or err}") from err
    log(f"The sample is complete after {time.perf_counter() - start:.0f} s.")
    return sample


def sample_environment(root: Path) -> dict[str, str]:
    """Return the variables by which the Butler finds the sample by label.

    Parameters
    ----------
    root
        Folder of the sample.

    Returns
    -------
    variables : `dict` [`str`, `str`]
        ``DAF_BUTLER_REPOSITORIES``, for the environment of a process.
    """
    labels = [plan.label for plan in (plan_sample(), plan_dp02())]
    repositories = _describe(root.resolve(), labels).repositories
    return {"DAF_BUTLER_REPOSITORIES": json.dumps({label: str(path) for label, path in repositories.items()})}


def _describe(root: Path, labels: Sequence[str]) -> Sample:
    folder = resources.files(__package__) / "obscore"
    return Sample(
        root=root,
        repositories={label: root / label for label in labels},
        index=root / _INDEX,
        configurations={label: Path(str(folder / f"{label}.yaml")) for label in labels},
    )


def _summarize(survey: Survey) -> list[Any]:
    return [survey.label, [visit.id for visit in survey.visits], [field.coadds for field in survey.fields]]


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.replace(path)


def _check_folder(root: Path, sample: Sample) -> None:
    """Refuse to touch what somebody else put here."""
    if not root.exists():
        return
    if not root.is_dir():
        raise UsageError(f"{root} is a file; name a folder for the sample")
    if (root / _STAMP).exists():
        return  # an older sample
    found = [label for label, path in sample.repositories.items() if path.exists()]
    if found and not (root / f".{_STAMP}.began").exists():
        raise UsageError(
            f"{root} holds {' and '.join(map(repr, found))}, and no sample of ours; name another folder"
        )


def _move_into_place(folder: Path, sample: Sample) -> None:
    # While the stamp is away and this mark is there, whatever has a name of
    # ours is ours, and half done.
    mark = sample.root / f".{_STAMP}.began"
    mark.touch()
    (sample.root / _STAMP).unlink(missing_ok=True)
    for label, path in sample.repositories.items():
        shutil.rmtree(sample.store(label), ignore_errors=True)
        shutil.rmtree(path, ignore_errors=True)
        (folder / label).rename(path)
    mark.unlink()


@contextmanager
def _executor(processes: int) -> Iterator[Executor | None]:
    if processes == 0:
        yield None
        return
    # Spawned, not forked: the Butler has threads, and threads do not survive
    # a fork.  Dataset references travel only to where their universe is.
    count = min(_PROCESSES, os.cpu_count() or 1)
    with ProcessPoolExecutor(
        count, mp_context=get_context("spawn"), initializer=DimensionUniverse
    ) as executor:
        yield executor


def _build_repository(root: Path, folder: Path, survey: Survey, executor: Executor | None) -> None:
    references = create_repository(root, survey)
    apply: Callable[..., Iterator[Any]] = executor.map if executor is not None else map
    skies = [
        make_sky(
            field.seed,
            ra_deg=field.ra_deg,
            dec_deg=field.dec_deg,
            half_width_arcsec=field.half_width_arcsec,
            explosion_mjd=survey.explosion_mjd,
        )
        for field in survey.fields
    ]
    work = folder / f"{survey.label}.work"
    work.mkdir()
    observe = partial(_observe, survey, skies, references, work)
    written = [file for files in apply(observe, survey.visits) for file in files]
    coadd = partial(_coadd, survey, references, work)
    written += [file for files in apply(coadd, references.coadd) for file in files]
    ingest(root, written)
    shutil.rmtree(work)


def _observe(
    survey: Survey, skies: Sequence[Sky], references: References, folder: Path, visit: Visit
) -> _Written:
    """Make all images of one visit, and their summary."""
    frames = survey.camera.frames()
    sky = skies[visit.field]
    changing = _supernova_source(sky, visit)
    physical_filter = survey.names.physical_filters[visit.band]
    images = {}
    written: _Written = []
    for detector in survey.camera.detectors:
        key = visit.id, detector.id
        projection = _projection(frames, detector, visit)
        draw = partial(
            render,
            projection=projection,
            shape=survey.camera.shape,
            band=visit.band,
            seeing_arcsec=visit.seeing_arcsec,
        )
        seed = [survey.fields[visit.field].seed, visit.id, detector.id]
        pixels = expose(draw(sky.steady), draw(changing), band=visit.band, seed=seed)
        save_input(_input_path(folder, *key), pixels)
        image = make_visit_image(
            pixels,
            projection,
            survey.camera.detector(detector, frames, visit.id),
            visit,
            physical_filter,
        )
        images[detector.id] = image
        todo = [
            (make_raw(pixels, projection), references.raw[key], ()),
            (image, references.visit_image[key], (references.raw[key],)),
        ]
        if references.difference_image:
            difference = make_difference_image(image, pixels, visit, seed=[*seed, 1])
            todo.append((difference, references.difference_image[key], (references.visit_image[key],)))
        written += [_write(folder, *one) for one in todo]
    ref = references.visit_summary[visit.id]
    path = folder / f"{ref.id}.parq"
    inputs = [references.visit_image[visit.id, detector.id] for detector in survey.camera.detectors]
    write_summary(make_summary(visit, physical_filter, images), ref, path, inputs)
    return [*written, (ref, path)]


def _coadd(survey: Survey, references: References, folder: Path, key: tuple[int, int, str]) -> _Written:
    """Make one coadd, if anything reaches its patch."""
    tract, patch, band = key
    number = next(index for index, field in enumerate(survey.fields) if field.tract == tract)
    plan = TractPlan(survey.names.skymap, survey.fields[number])
    frames = survey.camera.frames()
    pairs = [
        (visit, detector)
        for visit in survey.visits
        if (visit.field, visit.band) == (number, band)
        for detector in survey.camera.detectors
    ]
    inputs = [
        CoaddInput(
            _input_path(folder, visit.id, detector.id),
            survey.camera.shape,
            _projection(frames, detector, visit),
            visit.seeing_arcsec,
            survey.camera.instrument,
            visit.id,
            detector.id,
            survey.names.physical_filters[band],
            visit.day_obs,
        )
        for visit, detector in pairs
    ]
    coadd, used = make_coadd(plan, patch, band, inputs)
    if not used:
        return []
    refs = [references.visit_image[pairs[index][0].id, pairs[index][1].id] for index in used]
    return [_write(folder, coadd, references.coadd[key], refs)]


def _write(
    folder: Path, dataset: Any, ref: DatasetRef, inputs: Sequence[DatasetRef]
) -> tuple[DatasetRef, Path]:
    path = folder / f"{ref.id}.fits"
    write_dataset(dataset, ref, path, inputs)
    return ref, path


def _input_path(folder: Path, visit: int, detector: int) -> Path:
    return folder / f"{visit}-{detector}.npz"


def _projection(frames: Any, detector: DetectorPlan, visit: Visit) -> Any:
    return visit_projection(
        frames,
        detector=detector.id,
        visit=visit.id,
        ra_deg=visit.ra_deg,
        dec_deg=visit.dec_deg,
        rotator_deg=visit.rotator_deg,
    )


def _supernova_source(sky: Sky, visit: Visit) -> Sources:
    flux = sky.supernova.flux_njy(visit.band, visit.middle_mjd)
    return Sources(
        ra_deg=np.array([sky.supernova.ra_deg]),
        dec_deg=np.array([sky.supernova.dec_deg]),
        flux_njy=np.where(np.array(BANDS) == visit.band, flux, 0.0)[np.newaxis],
        profile=np.array([int(Profile.POINT)]),
        radius_arcsec=np.zeros(1),
        axis_ratio=np.ones(1),
        angle_rad=np.zeros(1),
    )
