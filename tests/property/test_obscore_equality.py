"""Generated repositories: both readers against each other and ``lsst-dax-obscore``.

Each example is a copy of one empty registry, filled through the public
interface of the Butler.
"""

import copy
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import astropy.time
import astropy.units as u
import pyarrow as pa
import pytest
import yaml
from hypothesis import HealthCheck, Phase, assume, event, given, settings
from hypothesis import strategies as st
from lsst.daf.butler import Butler, CollectionType, DatasetRef, DatasetType, Timespan
from lsst.dax.obscore import ExporterConfig
from lsst.dax.obscore.obscore_exporter import ObscoreExporter
from lsst.sphgeom import (
    Angle,
    Box,
    Circle,
    ConvexPolygon,
    Ellipse,
    IntersectionRegion,
    LonLat,
    Region,
    UnionRegion,
    UnitVector3d,
)

from lsst.dax.vo.errors import NotFoundError
from lsst.dax.vo.obscore import ExportChoice, ExportReport, iter_rows, parse_obscore_config

Row = dict[str, Any]

START = astropy.time.Time("2016-12-31T23:59:00", scale="tai")
KINDS: dict[str, tuple[str, ...]] = {
    "raw": ("exposure", "detector"),
    "raw_whole": ("exposure",),
    "calexp": ("visit", "detector"),
    "visit_whole": ("visit",),
    "both": ("visit", "exposure"),
    "coadd": ("patch", "band"),
    "tract_whole": ("tract", "band"),
    "warp": ("visit", "patch"),
    "warp_detector": ("visit", "detector", "tract"),
    "daily": ("day_obs", "detector"),
    "grouped": ("group", "detector"),
    "flat": ("physical_filter", "detector"),
    "pixel": ("healpix3", "band"),
    "band_only": ("band",),
    "single": (),
}
# Types of which the other exporter makes no row at all, in any repository.
REFUSED = {"pixel", "band_only", "single"}
FORMATS = {
    "exposure": "{records[exposure].obs_id}!",
    "visit": "{records[visit].name}?",
    "tract": "{tract:04d}",
}
EXTRA: dict[str, Any] = {
    name: {"template": f"{{{name}}}", "type": "int"} for name in ("visit", "detector", "tract", "patch")
}
EXTRA |= {
    "day": {"template": "{day_obs}"},
    "filter": {"template": "{physical_filter:>9}|{band}"},
    "where_from": {"template": "{run} {dataset_type} {id.hex}"},
    "seconds": {"template": "{records[exposure].exposure_time:.3f}", "type": "float"},
    "always": 7,
}
WHERE: dict[str, tuple[dict[str, Any], ...]] = {
    "exposure": (
        {"where": "instrument = 'A' AND exposure > limit", "bind": {"limit": 2}},
        {"where": "instrument = name AND exposure.exposure_time < 31.5", "bind": {"name": "A"}},
    ),
    "visit": (
        {"where": "instrument = 'A' AND visit IN (1, 3, 4)"},
        {"where": "visit < 3 AND instrument = 'A' OR visit > 2 AND instrument = 'B'"},
        {"where": "instrument = 'A' AND skymap = 'S' AND tract = 0", "extra_dims": ["tract"]},
        {"where": "instrument = 'A' AND skymap = 'S' AND patch > 0", "extra_dims": ["patch", "tract"]},
    ),
    "detector": ({"where": "instrument = 'B' AND detector = 1"}, {"where": "detector.purpose = 'SCIENCE'"}),
    "band": ({"where": "band IN ('g', 'r')"}, {"where": "band = b", "bind": {"b": "r"}}),
    "tract": ({"where": "skymap = 'S' AND tract = 1"}, {"where": "skymap = 'S'"}),
}
# Each example takes a tenth of a second: shrinking one takes minutes.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
SPATIAL = ("s_ra", "s_dec", "s_fov", "s_region")


@dataclass
class World:
    """What is in a repository."""

    records: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    datasets: list[tuple[str, str, list[dict[str, Any]]]] = field(default_factory=list)
    tagged: list[tuple[int, int, int]] = field(default_factory=list)
    chains: dict[str, list[str]] = field(default_factory=dict)
    ambiguous: set[tuple[str, int]] = field(default_factory=set)


def _place(ra: float, dec: float) -> UnitVector3d:
    return UnitVector3d(LonLat.fromDegrees(ra, dec))


def _square(ra: float, dec: float, size: float) -> ConvexPolygon:
    corners = ((0, 0), (size, 0), (size, size), (0, size))
    return ConvexPolygon([_place(ra + x, dec + y) for x, y in corners])


@st.composite
def regions(draw: st.DrawFn, center: tuple[float, float] = (0.0, 10.0)) -> Region | None:
    # On a grid, so that some overlap and some touch.
    ra = center[0] + draw(st.integers(-3, 3)) / 10
    dec = center[1] + draw(st.integers(-3, 3)) / 10
    size = draw(st.sampled_from([0.01, 0.1, 0.3]))
    square, circle = _square(ra, dec, size), Circle(_place(ra, dec), Angle.fromDegrees(size))
    match draw(
        st.sampled_from([*["polygon"] * 8, "circle", "ellipse", "box", "union", "overlap", "empty", ""])
    ):
        case "polygon":
            return square
        case "circle":
            return circle
        case "ellipse":
            return Ellipse(_place(ra, dec), Angle.fromDegrees(size), Angle.fromDegrees(size / 2), Angle(0.3))
        case "box":
            return Box.fromDegrees((ra - size) % 360, dec - size, (ra + size) % 360, dec + size)
        case "union":
            return UnionRegion(square, circle)
        case "overlap":
            return IntersectionRegion(square, circle)
        case "empty":
            return Circle.empty()
    return None


@st.composite
def timespans(draw: st.DrawFn) -> Timespan | None:
    begin = START + draw(st.integers(0, 10**12)) * u.ns
    match draw(st.sampled_from([*["closed"] * 12, "begin", "end", "open", "empty", ""])):
        case "closed":
            return Timespan(begin, begin + draw(st.integers(1, 60)) * u.s)
        case "begin":
            return Timespan(None, begin)
        case "end":
            return Timespan(begin, None)
        case "open":
            return Timespan(None, None)
        case "empty":
            return Timespan.makeEmpty()
    return None


def _some(draw: st.DrawFn, values: list[Any], least: int, most: int) -> list[Any]:
    # Indices: lists are the faster, the smaller the values.
    count = len(values)
    indices = st.lists(
        st.integers(0, count - 1), min_size=min(least, count), max_size=min(most, count), unique=True
    )
    return [values[index] for index in draw(indices)] if values else []


@st.composite
def worlds(draw: st.DrawFn) -> World:
    world = World()
    ids: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    add = world.records.append
    for instrument in ("A", "B")[: draw(st.integers(1, 2))]:
        key = {"instrument": instrument}
        add(("instrument", {"name": instrument, "class_name": "x", "detector_max": 9}))
        for name, band in (("g1", "g"), ("r1", "r")):
            add(("physical_filter", {**key, "name": name, "band": band}))
        for detector in range(2):
            purpose = "SCIENCE" if detector else None
            add(("detector", {**key, "id": detector, "full_name": f"{detector}", "purpose": purpose}))
        for day in (1, 2):
            add(("day_obs", {**key, "id": day, "timespan": draw(timespans())}))
            ids["daily"] += [{**key, "day_obs": day, "detector": detector} for detector in range(2)]
        add(("group", {**key, "name": "o"}))
        ids["grouped"] += [{**key, "group": "o", "detector": detector} for detector in range(2)]
        ids["flat"] += [{**key, "physical_filter": "g1", "detector": detector} for detector in range(2)]
        _add_observations(draw, world, ids, key)
    if draw(st.booleans()):
        _add_skymap(draw, world, ids)
    ids["pixel"] = [{"healpix3": pixel, "band": band} for pixel in (5, 700) for band in "gr"]
    ids["band_only"], ids["single"] = [{"band": "g"}, {"band": "r"}], [{}]
    for kind in _some(draw, [kind for kind in KINDS if ids[kind]], 4, 7):
        for run in _some(draw, ["run0", "run1", "run2"], 1, 3):
            if data_ids := _some(draw, ids[kind], 2, 7):
                world.datasets.append((kind, run, data_ids))
    world.tagged = [(draw(st.integers(0, 1)), index, draw(st.integers(0, 5))) for index in range(4)]
    world.chains["inner"] = _some(draw, ["run0", "run1", "tag0"], 1, 3)
    world.chains["outer"] = _some(draw, ["inner", "run2", "run1", "tag1"], 1, 4)
    return world


def _add_observations(
    draw: st.DrawFn, world: World, ids: dict[str, list[dict[str, Any]]], key: dict[str, Any]
) -> None:
    def observation(number: int) -> dict[str, Any]:
        return {
            **key,
            "id": number,
            "physical_filter": draw(st.sampled_from(["g1", "r1"])),
            "day_obs": draw(st.integers(1, 2)),
            "exposure_time": draw(st.sampled_from([None, 30.0, 33.25])),
            "target_name": draw(st.sampled_from([None, "there", 'a "b", c'])),
            "timespan": draw(timespans()),
        }

    exposures, visits = _some(draw, [1, 2, 3, 4], 2, 4), _some(draw, [1, 2, 3, 4, 9], 2, 4)
    for number in exposures:
        add = {**observation(number), "obs_id": f"E{number}", "group": "o"}
        # A template cannot format what is not there (both exporters tell so).
        world.records.append(("exposure", add | {"exposure_time": add["exposure_time"] or 1.0}))
    for number in visits:
        region = draw(regions())
        world.records.append(("visit", {**observation(number), "name": f"V{number}", "region": region}))
        for detector in range(2):
            if draw(st.integers(0, 4)) == 4:
                continue
            record = {**key, "visit": number, "detector": detector, "region": draw(regions())}
            world.records.append(("visit_detector_region", record))
    pairs = _some(draw, [*product(visits, exposures)], 1, 5) if draw(st.booleans()) else []
    pairs = pairs or [(number, number) for number in visits if number in exposures]
    for visit, exposure in pairs:
        world.records.append(("visit_definition", {**key, "visit": visit, "exposure": exposure}))
        ids["both"].append({**key, "visit": visit, "exposure": exposure})
        if sum(other == exposure for _, other in pairs) > 1:
            world.ambiguous.add((key["instrument"], exposure))
    for detector in range(2):
        ids["raw"] += [{**key, "exposure": number, "detector": detector} for number in exposures]
        ids["calexp"] += [{**key, "visit": number, "detector": detector} for number in visits]
    ids["raw_whole"] += [{**key, "exposure": number} for number in exposures]
    ids["visit_whole"] += [{**key, "visit": number} for number in visits]


def _add_skymap(draw: st.DrawFn, world: World, ids: dict[str, list[dict[str, Any]]]) -> None:
    key: dict[str, Any] = {"skymap": "S"}
    limits = {"tract_max": 9, "patch_nx_max": 9, "patch_ny_max": 9}
    world.records.append(("skymap", {"name": "S", "hash": b"h", **limits}))
    for tract in range(2):
        place = {**key, "tract": tract}
        world.records.append(("tract", {**key, "id": tract, "region": draw(regions())}))
        ids["tract_whole"] += [{**place, "band": band} for band in "gr"]
        ids["warp_detector"] += [{**place, **other} for other in ids["calexp"]]
        for patch in range(draw(st.integers(0, 2))):
            region = draw(regions())
            world.records.append(
                ("patch", {**place, "id": patch, "cell_x": 0, "cell_y": 0, "region": region})
            )
            ids["coadd"] += [{**place, "patch": patch, "band": band} for band in "gr"]
            ids["warp"] += [{**place, "patch": patch, **other} for other in ids["visit_whole"]]


@st.composite
def configurations(draw: st.DrawFn, world: World) -> dict[str, Any]:
    kinds = sorted({kind for kind, _, _ in world.datasets})
    kinds = kinds and draw(st.permutations(kinds))
    config: dict[str, Any] = {
        "facility_name": "Somewhere",
        "facility_map": {"B": "Elsewhere"},
        "fallback_instrument": "A",
        "obs_collection": "TEST",
        "collections": _some(draw, ["run0", "run1", "run2", "outer", "inner", "tag0", "tag1"], 2, 5),
        "obs_publisher_did_fmt": "ivo://org.example/test?id={id}",
        "extra_columns": EXTRA,
        "spectral_ranges": {"g": [4.0e-7, 5.5e-7], "r1": [5.5e-7, 7.0e-7]},
        "batch_size": draw(st.sampled_from([1, 3, 10_000])),
        "dataset_types": {},
        "dataset_type_constraints": {},
    }
    for kind in kinds:
        found = next((text for name, text in FORMATS.items() if name in KINDS[kind]), "{dataset_type}{run!r}")
        config["dataset_types"][kind] = {
            "dataproduct_type": "image",
            "calib_level": 2,
            "obs_id_fmt": found,
            "s_xel": [3, 4],
            "datalink_url_fmt": "https://example.org/{obs_collection}/{id}",
        }
        fitting = [where for name, wheres in WHERE.items() if name in KINDS[kind] for where in wheres]
        if "patch" in KINDS[kind]:
            fitting += WHERE["tract"]
        if draw(st.booleans()) and (chosen := _some(draw, fitting, 1, 2)):
            config["dataset_type_constraints"][kind] = chosen
    return config


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a registry with the dataset types alone."""
    root = tmp_path_factory.mktemp("empty") / "repo"
    Butler.makeRepo(str(root))
    with Butler.from_config(str(root), writeable=True) as butler:
        for name, dimensions in KINDS.items():
            group = butler.dimensions.conform(dimensions)
            butler.registry.registerDatasetType(DatasetType(name, group, "StructuredDataDict"))
        for run in ("run0", "run1", "run2"):
            butler.registry.registerRun(run)
        for tag in ("tag0", "tag1"):
            butler.registry.registerCollection(tag, CollectionType.TAGGED)
        for chain in ("inner", "outer"):
            butler.registry.registerCollection(chain, CollectionType.CHAINED)
    return root


def _fill(butler: Butler, world: World) -> None:
    registry = butler.registry
    with butler.transaction():
        for element, record in world.records:
            registry.insertDimensionData(element, record)
        refs: list[list[DatasetRef]] = [
            registry.insertDatasets(kind, data_ids, run=run) for kind, run, data_ids in world.datasets
        ]
        tagged: dict[str, dict[Any, DatasetRef]] = {"tag0": {}, "tag1": {}}
        for tag, index, place in world.tagged:
            if index < len(refs):
                ref = refs[index][place % len(refs[index])]
                tagged[f"tag{tag}"].setdefault((ref.datasetType.name, ref.dataId), ref)
        for name, found in tagged.items():
            registry.associate(name, found.values())
        for name, children in world.chains.items():
            registry.setCollectionChain(name, children)


def _rows(butler: Butler, config: dict[str, Any], **choice: Any) -> tuple[list[Row], ExportReport]:
    report = ExportReport()
    parsed = parse_obscore_config(yaml.safe_dump(config), "the test")
    try:
        batches = list(iter_rows(butler, parsed, ExportChoice(**choice), label="test", report=report))
    except NotFoundError:
        # No collection has any of the types.
        batches = []
    rows = pa.Table.from_batches(batches).to_pylist() if batches else []
    assert report.total == len(rows) == len({row["_id"] for row in rows}), "each dataset once"
    return sorted(rows, key=lambda row: row["_id"]), report


def _oracle(butler: Butler, config: dict[str, Any], kind: str) -> list[Row] | None:
    """Return the rows of one dataset type, or `None` if it cannot make them."""
    config = copy.deepcopy(config)
    config["dataset_types"] = {kind: config["dataset_types"][kind]}
    found = config["dataset_type_constraints"].get(kind)
    config["dataset_type_constraints"] = {kind: found} if found else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return list(ObscoreExporter(butler, ExporterConfig.model_validate(config)).iter_records())
        except Exception as err:
            event(f"the other exporter fails on {kind}: {type(err).__name__}: {str(err)[:60]}")
            if kind not in REFUSED and not re.search("No 'band' record|_SpecialTimespanBound", str(err)):
                raise
            return None


@pytest.fixture(scope="module")
def copies(empty: Path) -> Iterator[Any]:
    """Return what makes a repository of an example."""
    with tempfile.TemporaryDirectory(dir=empty.parent) as folder:
        count = 0

        def make(world: World) -> Butler:
            nonlocal count
            count += 1
            root = Path(folder) / f"{count}"
            root.mkdir()
            for name in ("butler.yaml", "gen3.sqlite3"):
                shutil.copy(empty / name, root)
            butler = Butler.from_config(str(root), writeable=True)
            _fill(butler, world)
            return butler

        yield make


def _differences(ours: list[Row], theirs: list[Row], world: World) -> list[Any]:
    known = {row["obs_publisher_did"]: row for row in ours}
    found = []
    for row in theirs:
        mine = known.get(row["obs_publisher_did"])
        if mine is None:
            found.append((row["obs_publisher_did"], "is missing"))
            continue
        for name, value in row.items():
            if name not in mine or mine[name] == value:
                continue
            other = name in SPATIAL and value is None and mine["_region"][:1] != b"p"
            # It takes any visit of an exposure that has several.
            unclear = name in SPATIAL and mine["obs_id"].startswith("E") and world.ambiguous
            if not other and not unclear:
                found.append((row["obs_publisher_did"], name, mine[name], value))
    return found


@settings(
    max_examples=max(settings.default.max_examples // 3, 10),
    phases=PHASES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(st.data())
def test_readers_and_oracle_agree(copies: Any, data: st.DataObject) -> None:
    world = data.draw(worlds())
    config = data.draw(configurations(world))
    assume(config["dataset_types"])
    with copies(world) as butler:
        bulk, report = _rows(butler, config, reader="bulk" if not _needs_python(config) else None)
        public, again = _rows(butler, config, reader="public")
        assert bulk == public
        assert (report.rows, report.without_region) == (again.rows, again.without_region)
        for kind in config["dataset_types"]:
            ours = [row for row in bulk if f" {kind} " in row["where_from"]]
            theirs = _oracle(butler, config, kind)
            if theirs is None:
                continue
            event(f"compared {kind}: {'some' if theirs else 'no'} rows")
            assert _differences(ours, theirs, world) == []
            # What it leaves out has no region.
            missing = {row["obs_publisher_did"] for row in ours} - {
                row["obs_publisher_did"] for row in theirs
            }
            assert all(row["_region"] is None for row in ours if row["obs_publisher_did"] in missing)


def _needs_python(config: dict[str, Any]) -> bool:
    return any(
        "extra_dims" in where for wheres in config["dataset_type_constraints"].values() for where in wheres
    ) or any("patch" in KINDS[kind] or kind == "warp_detector" for kind in config["dataset_types"])


@settings(
    max_examples=max(settings.default.max_examples // 6, 8),
    phases=PHASES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(st.data())
def test_runs_by_pattern_and_limits(copies: Any, data: st.DataObject) -> None:
    world = data.draw(worlds())
    config = data.draw(configurations(world))
    assume(config["dataset_types"])
    config |= {
        "collection_type": "RUN",
        "collections": data.draw(st.sampled_from([["run[01]"], [], ["run2"]])),
    }
    runs = {"run0", "run1", "run2"}
    limit = data.draw(st.integers(1, 6))
    with copies(world) as butler:
        bulk, _ = _rows(butler, config)
        public, _ = _rows(butler, config, reader="public")
        assert bulk == public
        # Side by side: each run as if it were alone.
        matched = {
            run for run in runs if not config["collections"] or re.fullmatch(config["collections"][0], run)
        }
        alone = [
            row
            for run in matched
            for row in _rows(butler, config | {"collection_type": None, "collections": [run]})[0]
        ]
        assert sorted(alone, key=lambda row: row["_id"]) == bulk
        for pages in (None, "public"):
            few, _ = _rows(butler, config, reader=pages, limit=limit)
            assert len(few) == min(limit, len(bulk))
            assert all(row in bulk for row in few)
