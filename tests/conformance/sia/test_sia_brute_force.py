"""SIA 2.0, 2.1: each parameter, all pairs and random mixes, on both engines, against a look at every row."""

import contextlib
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lsst.sphgeom import DISJOINT, Angle, Circle, ConvexPolygon, LonLat, Region, UnitVector3d

from lsst.dax.vo.config import Limits
from lsst.dax.vo.dali import ParamSet
from lsst.dax.vo.obscore import MANDATORY_COLUMNS, OPTIONAL_COLUMNS
from lsst.dax.vo.query import Engine, open_engine, plan_query
from lsst.dax.vo.sia import PARAMETERS, SiaService
from lsst.dax.vo.store import LiveLocation, open_store, open_writer, parse_store

type Row = Any
type Rule = Callable[[Row], bool]

BASE_URL = "https://vo.example.org/rubin"
COLUMNS = [
    *MANDATORY_COLUMNS,
    *(item for item in OPTIONAL_COLUMNS if item.name in ("dataproduct_subtype", "obs_release_date")),
]
# One row that is alone with each of its values.
ALONE = {
    "dataproduct_type": "cube",
    "dataproduct_subtype": "lsst.only",
    "calib_level": 4,
    "obs_collection": "LSST.ONE",
    "access_format": "image/jpeg",
    "target_name": "the only target",
    "s_ra": 300.0,
    "s_dec": -45.0,
    "s_fov": 7.5,
    "s_resolution": 9.25,
    "t_min": 70_000.0,
    "t_max": 70_000.5,
    "t_exptime": 1234.0,
    "t_resolution": 3.5,
    "em_min": 2.0e-6,
    "em_max": 2.5e-6,
    "em_res_power": 77.0,
    "pol_states": "/XX/",
    "facility_name": "One",
    "instrument_name": "OneCam",
    "obs_release_date": "2031-05-06T07:08:09",
}


@dataclass(frozen=True)
class Served:
    """A service on the rows, and the rows."""

    rows: tuple[Row, ...]
    engine: Engine
    sia: SiaService
    matches: dict[tuple[str, int], list[str]] = field(default_factory=dict)

    def find(self, *params: tuple[str, str], label: str | None = None) -> list[str]:
        asked = ParamSet.from_pairs([*params, ("RESPONSEFORMAT", "csv")])
        response = self.sia.query(asked, BASE_URL, label=label)
        body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
        assert response.status == 200, body
        return sorted(row["obs_publisher_did"] for row in csv.DictReader(io.StringIO(body.decode())))

    def expect(self, *rules: Rule) -> list[str]:
        images = (row for row in self.rows if row["dataproduct_type"] in ("image", "cube"))
        return sorted(row["obs_publisher_did"] for row in images if all(rule(row) for rule in rules))

    def expect_cases(self, *wishes: tuple[str, Sequence[int]]) -> list[str]:
        """Return what fulfils all wishes, each by one of its values; every rule is asked once."""
        found = [
            set[str]().union(*(self._matches(name, place) for place in places)) for name, places in wishes
        ]
        return sorted(set.intersection(*found))

    def _matches(self, name: str, place: int) -> list[str]:
        if (name, place) not in self.matches:
            self.matches[name, place] = self.expect(CASES[name][place][1])
        return self.matches[name, place]


@pytest.fixture(scope="module")
def rows(sky: Any) -> tuple[Row, ...]:
    """Return rows with all that parameters ask for, and one alone with its values."""
    made = []
    for index, row in enumerate(sky):
        cells = dict(row.cells)
        cells["calib_level"] = cells["calib_level"] or 1
        if cells["dataproduct_type"] == "cube":
            cells["dataproduct_type"] = "image"
        cells["obs_release_date"] = (None, "2025-06-30T00:00:00", "2026-01-01T12:30:00.500")[index % 3]
        region = row.region
        if index == 7:
            region = ConvexPolygon(
                [
                    UnitVector3d(LonLat.fromDegrees(ra, dec))
                    for ra, dec in ((299.9, -45.1), (300.1, -45.1), (300.1, -44.9), (299.9, -44.9))
                ]
            )
            cells |= ALONE
        made.append(replace(row, cells=cells, region=region))
    return tuple(made)


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def served(
    request: pytest.FixtureRequest, rows: tuple[Row, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Serve the rows, of two repositories, from stores of either kind."""
    if request.param == "duckdb":
        folder = tmp_path_factory.mktemp("stores")
        places = {label: str(folder / f"{label}.store") for label in ("alpha", "beta")}
    else:
        url = request.getfixturevalue("postgres_module")
        places = {label: f"{url}&schema={label}" for label in ("alpha", "beta")}
    stores = []
    for label, place in places.items():
        location = parse_store(place)
        assert not isinstance(location, LiveLocation)
        own = [row for row in rows if row.label == label]
        did = f"ivo://org.Example/{label}?repo={label}&id={{id}}"
        with open_writer(
            location, columns=COLUMNS, properties={"label": label}, formatted=["obs_publisher_did"]
        ) as writer:
            hidden = [
                {
                    "_repo": label,
                    "_id": row.dataset_id.bytes,
                    "_region": None if row.region is None else row.region.encode(),
                    "_print": 0,
                    "obs_publisher_did": did,
                }
                for row in own
            ]
            cells = [row.cells | more for row, more in zip(own, hidden, strict=True)]
            writer.write(pa.RecordBatch.from_pylist(cells, writer.schema))
        stores.append(open_store(location))
    with contextlib.closing(open_engine(stores, limits=Limits())) as engine:
        yield Served(rows, engine, SiaService(engine, labels=("alpha", "beta"), limits=Limits()))


def overlaps(low: str, high: str, first: float, last: float) -> Rule:
    return lambda row: (
        row.cells.get(low) is not None
        and row.cells.get(high) is not None
        and row[low] <= last
        and row[high] >= first
    )


def within(name: str, first: Any, last: Any) -> Rule:
    return lambda row: row.cells.get(name) is not None and first <= row[name] <= last


def equals(name: str, value: Any) -> Rule:
    return lambda row: bool(row.cells.get(name) == value)


def has_state(state: str) -> Rule:
    return lambda row: state in (row.cells.get("pol_states") or "").split("/")


def touches(region: Region) -> Rule:
    return lambda row: row.region is not None and not region.relate(row.region) & DISJOINT


def circle(ra_deg: float, dec_deg: float, radius_deg: float) -> Rule:
    return touches(Circle(UnitVector3d(LonLat.fromDegrees(ra_deg, dec_deg)), Angle.fromDegrees(radius_deg)))


def polygon(*degrees: float) -> Rule:
    pairs = zip(degrees[::2], degrees[1::2], strict=True)
    return touches(ConvexPolygon([UnitVector3d(LonLat.fromDegrees(ra, dec)) for ra, dec in pairs]))


def in_range(ra1: float, ra2: float, dec1: float, dec2: float) -> Rule:
    """Look at many points of the row's edge, and at the corners of the range."""
    width = 360.0 if (ra1, ra2) == (0.0, 360.0) else (ra2 - ra1) % 360.0

    def rule(row: Row) -> bool:
        if row.region is None:
            return False
        vertices = np.array([(v.x(), v.y(), v.z()) for v in row.region.getVertices()])
        steps = np.linspace(0.0, 1.0, 400)[:, None]
        points = np.concatenate(
            [
                first + steps * (last - first)
                for first, last in zip(vertices, np.roll(vertices, 1, 0), strict=True)
            ]
        )
        x, y, z = (points / np.linalg.norm(points, axis=1, keepdims=True)).T
        east = (np.degrees(np.arctan2(y, x)) - ra1) % 360.0
        dec = np.degrees(np.arcsin(z))
        corners = [(ra, dec) for ra in (ra1, ra1 + width) for dec in (dec1, dec2)]
        return bool(np.any((east <= width) & (dec >= dec1) & (dec <= dec2))) or any(
            row.region.contains(UnitVector3d(LonLat.fromDegrees(*corner))) for corner in corners
        )

    return rule


DATALINK = "application/x-votable+xml;content=datalink"
# For each parameter: a value that no row has, one that one row has, and two that many have.
CASES: dict[str, tuple[tuple[str, Rule], tuple[str, Rule], tuple[str, Rule], tuple[str, Rule]]] = {
    "POS": (
        ("CIRCLE 300 60 0.1", circle(300, 60, 0.1)),
        ("POLYGON 299.99 -45 300.01 -45 300 -44.99", polygon(299.99, -45, 300.01, -45, 300, -44.99)),
        ("CIRCLE 55.7 -32.3 0.3", circle(55.7, -32.3, 0.3)),
        ("RANGE 359.7 0.2 -10.5 0.5", in_range(359.7, 0.2, -10.5, 0.5)),
    ),
    "BAND": (
        ("0.21", overlaps("em_min", "em_max", 0.21, 0.21)),
        ("1.5e-6 +Inf", overlaps("em_min", "em_max", 1.5e-6, np.inf)),
        ("-Inf 3.5e-7", overlaps("em_min", "em_max", 0.0, 3.5e-7)),
        ("5.5e-7 5.5e-7", overlaps("em_min", "em_max", 5.5e-7, 5.5e-7)),
    ),
    "TIME": (
        ("50000 50001", overlaps("t_min", "t_max", 50000, 50001)),
        ("70000.5", overlaps("t_min", "t_max", 70000.5, 70000.5)),
        ("60010 60020", overlaps("t_min", "t_max", 60010, 60020)),
        ("60030.25 inf", overlaps("t_min", "t_max", 60030.25, np.inf)),
    ),
    "POL": (("YX", has_state("YX")), ("XX", has_state("XX")), ("Q", has_state("Q")), ("RR", has_state("RR"))),
    "FOV": (
        ("90", within("s_fov", 90, 90)),
        ("7.5", within("s_fov", 7.5, 7.5)),
        ("0.3 0.5", within("s_fov", 0.3, 0.5)),
        ("-Inf 0.2", within("s_fov", 0, 0.2)),
    ),
    "SPATRES": (
        ("0 0.001", within("s_resolution", 0, 0.001)),
        ("9 +Inf", within("s_resolution", 9, np.inf)),
        ("-inf 0.8", within("s_resolution", 0, 0.8)),
        ("1.2 1.4", within("s_resolution", 1.2, 1.4)),
    ),
    "SPECRP": (
        ("1e6 +Inf", within("em_res_power", 1e6, np.inf)),
        ("77", within("em_res_power", 77, 77)),
        ("1 5", within("em_res_power", 1, 5)),
        ("5 50", within("em_res_power", 5, 50)),
    ),
    "EXPTIME": (
        ("31 32", within("t_exptime", 31, 32)),
        ("1000 2000", within("t_exptime", 1000, 2000)),
        ("-Inf 20", within("t_exptime", 0, 20)),
        ("300  Inf", within("t_exptime", 300, np.inf)),
    ),
    "TIMERES": (
        ("100", within("t_resolution", 100, 100)),
        ("3 4", within("t_resolution", 3, 4)),
        ("-Inf 1", within("t_resolution", 0, 1)),
        ("0.5", within("t_resolution", 0.5, 0.5)),
    ),
    "COLLECTION": (
        ("lsst.alpha", equals("obs_collection", "lsst.alpha")),
        ("LSST.ONE", equals("obs_collection", "LSST.ONE")),
        ("LSST.ALPHA", equals("obs_collection", "LSST.ALPHA")),
        ("LSST.BETA", equals("obs_collection", "LSST.BETA")),
    ),
    "FACILITY": (
        ("Rubin", equals("facility_name", "Rubin")),
        ("One", equals("facility_name", "One")),
        ("Rubin:1.2m", equals("facility_name", "Rubin:1.2m")),
        ("Rubin:Simonyi", equals("facility_name", "Rubin:Simonyi")),
    ),
    "INSTRUMENT": (
        ("' OR 1=1 --", equals("instrument_name", "' OR 1=1 --")),
        ("OneCam", equals("instrument_name", "OneCam")),
        ("LSSTCam", equals("instrument_name", "LSSTCam")),
        ("LATISS", equals("instrument_name", "LATISS")),
    ),
    "TARGET": (
        ("field", equals("target_name", "field")),
        ("the only target", equals("target_name", "the only target")),
        ("field 3", equals("target_name", "field 3")),
        ("field 4", equals("target_name", "field 4")),
    ),
    "DPTYPE": (
        ("spectrum", equals("dataproduct_type", "nothing")),
        ("cube", equals("dataproduct_type", "cube")),
        ("image", equals("dataproduct_type", "image")),
        ("image", equals("dataproduct_type", "image")),
    ),
    "DPSUBTYPE": (
        ("lsst.raw", equals("dataproduct_subtype", "lsst.raw")),
        ("lsst.only", equals("dataproduct_subtype", "lsst.only")),
        ("lsst.deep_coadd", equals("dataproduct_subtype", "lsst.deep_coadd")),
        ("lsst.visit_image", equals("dataproduct_subtype", "lsst.visit_image")),
    ),
    "CALIB": (
        ("0", equals("calib_level", 0)),
        ("4", equals("calib_level", 4)),
        ("2", equals("calib_level", 2)),
        ("3", equals("calib_level", 3)),
    ),
    "FORMAT": (
        ("metadata", equals("access_format", "metadata")),
        ("image/jpeg", equals("access_format", "image/jpeg")),
        ("image/fits", equals("access_format", "image/fits")),
        (DATALINK, equals("access_format", DATALINK)),
    ),
    "RELEASEDATE": (
        ("2025-06-30T00:00:01 2025-12-31", lambda _row: False),
        ("2031-05-06T07:08:09", equals("obs_release_date", "2031-05-06T07:08:09")),
        ("-Inf 2025-06-30", equals("obs_release_date", "2025-06-30T00:00:00")),
        ("2026-01-01T12:30:00.5", equals("obs_release_date", "2026-01-01T12:30:00.500")),
    ),
}
MANY = {name: (cases[2], cases[3]) for name, cases in CASES.items()}


def any_of(*rules: Rule) -> Rule:
    return lambda row: any(rule(row) for rule in rules)


def test_every_parameter_is_among_the_cases() -> None:
    assert {item.name for item in PARAMETERS} == {*CASES, "ID"}


@pytest.mark.parametrize("name", CASES)
def test_no_row(served: Served, name: str) -> None:
    value, rule = CASES[name][0]
    assert served.expect(rule) == []
    assert served.find((name, value)) == []


@pytest.mark.parametrize("name", CASES)
def test_one_row(served: Served, name: str) -> None:
    value, rule = CASES[name][1]
    (only,) = served.expect(rule)
    assert served.find((name, value)) == [only]


@pytest.mark.parametrize("name", CASES)
def test_many_rows_and_either_of_two_values(served: Served, name: str) -> None:
    (first, first_rule), (second, second_rule) = MANY[name]
    for value, rule in MANY[name]:
        expected = served.expect(rule)
        assert len(expected) > 1
        assert served.find((name, value)) == expected
    assert served.find((name, first), (name.lower(), second)) == served.expect(
        any_of(first_rule, second_rule)
    )


@pytest.mark.parametrize("first", list(CASES)[:-1])
def test_pairs_hold_together(served: Served, first: str) -> None:
    for second in list(CASES)[list(CASES).index(first) + 1 :]:
        # Each with both values, so that most pairs have rows in common.
        pairs = [(name, value) for name in (first, second) for value, _ in MANY[name]]
        assert served.find(*pairs) == served.expect_cases((first, (2, 3)), (second, (2, 3)))


def test_most_pairs_have_rows_in_common(served: Served) -> None:
    common = [bool(served.expect_cases((a, (2, 3)), (b, (2, 3)))) for a, b in combinations(CASES, 2)]
    assert sum(common) > 0.9 * len(common)


@pytest.mark.parametrize("label", ["alpha", "beta"])
def test_label_goes_with_all_parameters(served: Served, label: str) -> None:
    own: Rule = lambda row: row.label == label  # noqa: E731
    assert served.find(label=label) == served.expect(own)
    for name, ((value, rule), _) in MANY.items():
        assert served.find((name, value), label=label) == served.expect(own, rule)


def test_identifiers_in_any_case_and_number(served: Served) -> None:
    dids = served.expect()
    assert served.find(("ID", dids[0])) == [dids[0]]
    assert served.find(("ID", dids[1].swapcase()), ("ID", dids[-1].upper()), ("ID", "ivo://x")) == sorted(
        [dids[1], dids[-1]]
    )
    assert served.find(*(("ID", did) for did in dids)) == dids
    # The right UUID behind another format is another identifier.
    assert served.find(("ID", dids[0].replace("repo=alpha", "repo=beta"))) == []
    assert served.find(("ID", dids[0].rpartition("=")[2])) == []
    assert served.find(("ID", dids[0] + "%"), ("ID", dids[0][:-1])) == []
    (calib, rule), _ = MANY["CALIB"]
    assert served.find(*(("ID", did) for did in dids), ("CALIB", calib)) == served.expect(rule)


WISHES = st.lists(
    st.sampled_from(sorted(CASES)).flatmap(
        lambda name: st.tuples(st.just(name), st.lists(st.integers(0, 3), min_size=1, max_size=3))
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda wish: wish[0],
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wishes=WISHES, order=st.randoms(use_true_random=False))
def test_random_mixes(served: Served, wishes: list[tuple[str, list[int]]], order: Any) -> None:
    pairs = [(name, CASES[name][place][0]) for name, places in wishes for place in places]
    order.shuffle(pairs)
    assert served.find(*pairs) == served.expect_cases(*wishes)


POSITIONS = st.lists(
    st.tuples(
        st.sampled_from(
            [(55.7, -32.3), (0.0, 0.1), (359.95, -10.0), (120.0, 89.95), (180.0, 45.0), (20.0, 70.0)]
        ),
        st.floats(-1, 1),
        st.floats(-1, 1),
        st.floats(0.001, 0.5),
    ),
    min_size=2,
    max_size=90,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(positions=POSITIONS)
def test_many_positions_find_what_each_finds(served: Served, positions: list[Any]) -> None:
    circles = [
        ((place[0] + 2 * east) % 360.0, float(np.clip(place[1] + north, -90, 90)), radius)
        for place, east, north, radius in positions
    ]
    pairs = [("POS", f"CIRCLE {ra!r} {dec!r} {radius!r}") for ra, dec, radius in circles]
    assert served.find(*pairs) == served.expect(any_of(*(circle(*numbers) for numbers in circles)))


EQUAL = [
    (
        [("POS", "CIRCLE 55.7 -32.3 0.4")],
        "INTERSECTS(CIRCLE('ICRS', 55.7, -32.3, 0.4), s_region) = 1",
    ),
    (
        [("POS", "POLYGON 55 -33 56 -33 56 -32 55 -32")],
        "INTERSECTS(POLYGON('ICRS', 55, -33, 56, -33, 56, -32, 55, -32), s_region) = 1",
    ),
    (
        [("POS", "CIRCLE 0 0.1 0.2"), ("POS", "CIRCLE 180 45 0.2")],
        ("(INTERSECTS(CIRCLE(0, 0.1, 0.2), s_region) = 1 OR 1 = INTERSECTS(s_region, CIRCLE(180, 45, 0.2)))"),
    ),
    ([("BAND", "4e-7 6e-7")], "em_min <= 6e-7 AND em_max >= 4e-7"),
    ([("BAND", "6e-7")], "em_min <= 6e-7 AND em_max >= 6e-7"),
    ([("BAND", "-Inf +Inf")], "em_min IS NOT NULL AND em_max IS NOT NULL"),
    ([("TIME", "60010 60020")], "t_min <= 60020 AND t_max >= 60010"),
    ([("POL", "I")], "pol_states LIKE '%/I/%'"),
    ([("FOV", "0.2 0.4")], "s_fov BETWEEN 0.2 AND 0.4"),
    ([("EXPTIME", "30 +Inf"), ("CALIB", "1"), ("CALIB", "2")], "t_exptime >= 30 AND calib_level IN (1, 2)"),
    ([("RELEASEDATE", "2025-12-31 +Inf")], "obs_release_date > '2025-12-31'"),
]


@pytest.mark.parametrize(("params", "condition"), EQUAL, ids=[str(params) for params, _ in EQUAL])
def test_same_as_the_condition_in_adql(served: Served, params: list[tuple[str, str]], condition: str) -> None:
    query = (
        "SELECT obs_publisher_did FROM ivoa.ObsCore "
        f"WHERE dataproduct_type IN ('image', 'cube') AND ({condition})"
    )
    batches = served.engine.run(plan_query(query, served.engine.catalog), maxrec=None).batches
    expected = sorted(did for batch in batches for did in batch.column(0).to_pylist())
    assert len(expected) > 1
    assert served.find(*params) == expected
