"""A repository from nothing: what its registry knows before any dataset."""

__all__ = ["build_registry"]

import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sqlalchemy
from astropy.time import Time
from lsst.daf.butler import (  # type: ignore[attr-defined]  # CollectionType is not in its __all__
    Butler,
    CollectionType,
    Config,
    DatasetType,
    Timespan,
)
from sqlalchemy.schema import CreateSchema

from ...errors import UsageError, quoted, without_secrets
from ._counts import BANDS, CHAIN, INSTRUMENT, KINDS, PATCHES, SKYMAP, Counts
from ._fill import fill
from ._sky import (
    EXPOSURE_S,
    FIRST_DAY,
    Camera,
    Visits,
    field_area_deg2,
    polygon,
    tract_frames,
    tract_patches,
)

_VISIT_SYSTEM = 0
_DAY_OFFSET_S = 43200  # a day of observations begins at noon


def build_registry(
    root: Path,
    *,
    datasets: int,
    database: str | None = None,
    schema: str | None = None,
    seed: int = 1,
    overlaps: bool = True,
    log: Callable[[str], None] = lambda _: None,
) -> None:
    """Build a repository that has datasets, regions and times, but no files.

    It has the images of DP0.2 in their numbers if ``datasets`` is 8475974,
    and in their proportions otherwise; all in the collection ``survey/dr1``.
    Rows go past the registry, straight into its tables: those 8.5 million
    take 2.5 minutes in SQLite and 5 in PostgreSQL on two cores, and 11 GB.

    Parameters
    ----------
    root
        Folder of the repository, which does not exist.
    datasets
        How many datasets.
    database
        URL of a PostgreSQL database, as SQLAlchemy writes it; else the
        registry is an SQLite file in the folder.
    schema
        Schema within that database, instead of its default; made when it does
        not exist.  The builder leaves no half of a folder behind, but it may
        leave half of a registry in a database.
    seed
        The same registry comes from the same seed.
    overlaps
        Whether the registry knows what detectors overlap, which expressions
        about tracts and patches need.
    log
        Called with each line that tells a person what goes on.

    Raises
    ------
    UsageError
        Raised if the folder exists, the number is none, or the database is
        not one of PostgreSQL that can take a registry.
    """
    if datasets < 1:
        raise UsageError(f"A registry of {datasets} datasets cannot be built; ask for 1 or more")
    if root.exists():
        raise UsageError(f"{root} exists; name a folder that does not, or remove it")
    config = _configure(database, schema)
    counts = Counts.scale(datasets)
    rng = np.random.default_rng(seed)
    start = time.perf_counter()
    log(f"Building {datasets} datasets of {counts.visits} visits and {counts.patches} patches …")
    root.parent.mkdir(parents=True, exist_ok=True)
    # All of it or nothing; nothing within knows where it is.
    with tempfile.TemporaryDirectory(prefix=".building-", dir=root.parent) as folder:
        part = Path(folder) / "repository"
        Butler.makeRepo(str(part), config=config)
        visits = Visits.scatter(counts.visits, field_area_deg2(counts.tracts), rng)
        camera = Camera()
        with Butler.from_config(str(part), writeable=True) as butler:
            _insert_instrument(butler, camera)
            _insert_visits(butler, camera, visits)
            _insert_skymap(butler, counts)
            _register(butler)
            log(f"Dimension records are in after {time.perf_counter() - start:.0f} s.")
            fill(butler, counts, camera, visits, rng, overlaps=overlaps)
        part.rename(root)
    log(f"The registry is complete after {time.perf_counter() - start:.0f} s.")


def _configure(database: str | None, schema: str | None) -> Config:
    config = Config()
    if database is None:
        return config
    try:
        url = sqlalchemy.make_url(database)
    except sqlalchemy.exc.ArgumentError:
        url = sqlalchemy.make_url("none://")
    if url.get_backend_name() != "postgresql":
        raise UsageError(
            f"{quoted(without_secrets(database, database))} is no PostgreSQL database; "
            "write postgresql://user@host/name, or name none for a registry in SQLite"
        )
    url = url.set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.begin() as connection:
            # The Butler wants this of its database.
            connection.execute(sqlalchemy.text("CREATE EXTENSION IF NOT EXISTS btree_gist"))
            if schema is not None:
                connection.execute(CreateSchema(schema, if_not_exists=True))
                config["registry", "namespace"] = schema
            if sqlalchemy.inspect(connection).has_table("butler_attributes", schema=schema):
                where = f"the schema {schema}" if schema else "that schema"
                raise UsageError(
                    f"The database {url.database} has a registry in {where}; drop it, or name another schema"
                )
    except sqlalchemy.exc.DBAPIError as err:
        reason = without_secrets(str(err.orig).strip().splitlines()[0], database)
        raise UsageError(f"The database {url.database} cannot hold a registry: {reason}") from err
    finally:
        engine.dispose()
    config["registry", "db"] = url.render_as_string(hide_password=False)
    return config


def _insert_instrument(butler: Butler, camera: Camera) -> None:
    insert = butler.registry.insertDimensionData
    insert(
        "instrument",
        {
            "name": INSTRUMENT,
            "visit_max": 10**13,
            "exposure_max": 10**13,
            "detector_max": len(camera.names),
            "visit_system": _VISIT_SYSTEM,
            "class_name": "",
        },
    )
    insert(
        "physical_filter",
        *({"instrument": INSTRUMENT, "name": f"{band}_sim", "band": band} for band in BANDS),
    )
    insert(
        "detector",
        *(
            {
                "instrument": INSTRUMENT,
                "id": number,
                "full_name": f"{raft}_{slot}",
                "name_in_raft": slot,
                "raft": raft,
                "purpose": "SCIENCE",
            }
            for number, (raft, slot) in enumerate(camera.names)
        ),
    )
    insert("visit_system", {"instrument": INSTRUMENT, "id": _VISIT_SYSTEM, "name": "one-to-one"})


def _insert_visits(butler: Butler, camera: Camera, visits: Visits) -> None:
    insert = butler.registry.insertDimensionData
    day_ids, first = np.unique(visits.days, return_index=True)
    begin = Time(FIRST_DAY, scale="tai").unix_tai
    noon = (visits.begin_s[first] // 86400) * 86400 - _DAY_OFFSET_S
    insert(
        "day_obs",
        *(
            {"instrument": INSTRUMENT, "id": day, "timespan": _timespan(begin + start, 86400)}
            for day, start in zip(day_ids.tolist(), noon.tolist(), strict=True)
        ),
    )
    names = [f"SC_O_{number // 100_000}_{number % 100_000:06d}" for number in visits.ids.tolist()]
    insert("group", *({"instrument": INSTRUMENT, "name": name} for name in names))
    outlines = camera.outlines(visits.frames)
    ra, dec = np.degrees(
        (np.arctan2(visits.frames[:, 2, 1], visits.frames[:, 2, 0]), np.arcsin(visits.frames[:, 2, 2]))
    )
    exposures, records, links, members = [], [], [], []
    for index, (number, name) in enumerate(zip(visits.ids.tolist(), names, strict=True)):
        common = {
            "instrument": INSTRUMENT,
            "id": number,
            "day_obs": int(visits.days[index]),
            "physical_filter": f"{BANDS[visits.bands[index]]}_sim",
            "seq_num": number % 100_000,
            "exposure_time": float(EXPOSURE_S),
            "target_name": f"field {index % 997:03d}",
            "observation_reason": "science",
            "science_program": "survey",
            "timespan": _timespan(begin + int(visits.begin_s[index]), EXPOSURE_S),
        }
        records.append(common | {"name": name, "region": polygon(outlines[index])})
        exposures.append(
            common
            | {
                "obs_id": name,
                "group": name,
                "dark_time": float(EXPOSURE_S),
                "observation_type": "science",
                "seq_start": common["seq_num"],
                "seq_end": common["seq_num"],
                "tracking_ra": float(ra[index]) % 360,
                "tracking_dec": float(dec[index]),
                "sky_angle": float(visits.turns_deg[index]),
                "has_simulated": True,
                "can_see_sky": True,
            }
        )
        links.append({"instrument": INSTRUMENT, "exposure": number, "visit": number})
        members.append({"instrument": INSTRUMENT, "visit": number, "visit_system": _VISIT_SYSTEM})
    insert("exposure", *exposures)
    insert("visit", *records)
    insert("visit_definition", *links)
    insert("visit_system_membership", *members)


def _timespan(begin_s: float, length_s: int) -> Timespan:
    begin = round(begin_s) * 10**9
    # What it is made of; through astropy it would take as long as all else.
    return Timespan(None, None, _nsec=(begin, begin + length_s * 10**9))


def _insert_skymap(butler: Butler, counts: Counts) -> None:
    if not counts.tracts:
        return
    insert = butler.registry.insertDimensionData
    insert(
        "skymap",
        {
            "name": SKYMAP,
            "hash": hashlib.sha1(f"{SKYMAP} {counts.tracts}".encode(), usedforsecurity=False).digest(),
            "tract_max": counts.tracts,
            "patch_nx_max": PATCHES,
            "patch_ny_max": PATCHES,
        },
    )
    tracts, patches = [], []
    for tract, frame in enumerate(tract_frames(counts.tracts)):
        outline, corners = tract_patches(frame)
        tracts.append({"skymap": SKYMAP, "id": tract, "region": polygon(outline)})
        patches += [
            {
                "skymap": SKYMAP,
                "tract": tract,
                "id": patch,
                "cell_x": patch % PATCHES,
                "cell_y": patch // PATCHES,
                "region": polygon(corners[patch]),
            }
            for patch in range(PATCHES**2)
        ]
    insert("tract", *tracts)
    insert("patch", *patches)


def _register(butler: Butler) -> None:
    for kind in KINDS:
        dimensions = butler.dimensions.conform(kind.dimensions)
        butler.registry.registerDatasetType(DatasetType(kind.name, dimensions, kind.storage_class))
    runs = list(dict.fromkeys(run for kind in KINDS for run in kind.runs))
    for run in runs:
        butler.collections.register(run)
    butler.collections.register(CHAIN, CollectionType.CHAINED)
    # As in a data release, what was made last is found first.
    butler.collections.redefine_chain(CHAIN, runs[::-1])
