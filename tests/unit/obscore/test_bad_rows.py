"""What a damaged registry, or a template that does not fit, does to single rows."""

import base64
import copy
import math
import re
import shutil
import sqlite3
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from lsst.daf.butler import Butler, DatasetType
from lsst.sphgeom import Box, Circle, Ellipse, IntersectionRegion, Region, UnionRegion

from lsst.dax.vo.errors import NotFoundError, UsageError, VoError
from lsst.dax.vo.obscore.rows._regions import describe_regions
from lsst.dax.vo.services import export_repository

READERS = ("bulk", "public")
FILLED = ("s_ra", "s_dec", "s_fov", "s_region", "_region")


def _encoded(text: str) -> bytes:
    return base64.b64decode(text)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _nan_at(place: int) -> Callable[[str], str]:
    def change(text: str) -> str:
        content = _encoded(text)
        return _text(content[:place] + struct.pack("<d", math.nan) + content[place + 8 :])

    return change


DAMAGES: dict[str, Callable[[str], str]] = {
    "truncated base64": lambda text: text[:-3],
    "truncated bytes": lambda text: _text(_encoded(text)[:-3]),
    "no base64": lambda text: "!" + text[1:],
    "no ASCII": lambda text: "é" + text[1:],
    "wrong type": lambda text: _text(b"?" + _encoded(text)[1:]),
    "NaN": _nan_at(1),
    "two vertices": lambda text: _text(_encoded(text)[:49]),
    "zeros": lambda text: _text(_encoded(text)[:1] + bytes(len(_encoded(text)) - 1)),
    "not of this world": lambda text: _text(_encoded(text)[:1] + b"\x42" * (len(_encoded(text)) - 1)),
}


@pytest.fixture
def root(odd_repository: Path, tmp_path: Path) -> Path:
    """Copy the registry."""
    shutil.copytree(odd_repository, tmp_path / "repo")
    return tmp_path / "repo"


@pytest.fixture
def edit(root: Path) -> Callable[..., None]:
    """Change the registry behind the Butler's back."""

    def run(sql: str, *values: Any) -> None:
        connection = sqlite3.connect(root / "gen3.sqlite3")
        with connection:
            assert connection.execute(sql, values).rowcount == 1, sql
        connection.close()

    return run


@pytest.fixture
def spoil(root: Path, edit: Callable[..., None]) -> Callable[..., None]:
    """Damage the region of one record."""

    def run(element: str, change: Callable[[str], str], **key: int) -> None:
        where = " AND ".join(f"{name} = {value}" for name, value in key.items())
        connection = sqlite3.connect(root / "gen3.sqlite3")
        ((text,),) = connection.execute(f"SELECT region FROM {element} WHERE {where}").fetchall()
        connection.close()
        edit(f"UPDATE {element} SET region = ? WHERE {where}", change(text))

    return run


@pytest.fixture
def butler(root: Path) -> Iterator[Butler]:
    with Butler.from_config(str(root)) as butler:
        yield butler


def _check(
    butler: Butler,
    export: Any,
    config: Any,
    message: str,
    bad: set[str],
    columns: tuple[str, ...],
    **choice: Any,
) -> list[dict[str, Any]]:
    """Check both choices: the error names a dataset, NULL is where it should be."""
    with pytest.raises(UsageError) as raised:
        export(butler, config, **choice)
    text = str(raised.value)
    assert message in text
    assert any(f"(dataset {key}" in text for key in bad), text
    assert text.endswith("mend it, or export NULL in its place with --on-error null")
    rows, report = export(butler, config, on_error="null", **choice)
    found = {row["obs_publisher_did"][-36:]: row for row in rows}
    assert bad <= found.keys()
    for key in bad:
        assert [found[key][name] for name in columns] == [None] * len(columns)
    told = [line for line in report.problems if message in line]
    assert told
    assert sum(int(line.split()[2].replace(",", "")) for line in told) == len(bad)
    assert all(line in report.describe("x") for line in told)
    assert any(key in line for line in told for key in bad)
    return list(rows)


def _ids(rows: list[dict[str, Any]], **wanted: Any) -> set[str]:
    return {
        row["obs_publisher_did"][-36:]
        for row in rows
        if all(row[name] == value for name, value in wanted.items())
    }


@pytest.mark.parametrize("reader", READERS)
class TestDamagedRegions:
    @pytest.mark.parametrize("damage", DAMAGES)
    def test_of_a_detector_image(
        self, butler: Butler, spoil: Any, export: Any, config: Any, reader: str, damage: str
    ) -> None:
        config["extra_columns"]["detector"] = {"template": "{detector}", "type": "int"}
        before, _ = export(butler, config, dataset_types=["calexp"], reader=reader)
        spoil("visit_detector_region", DAMAGES[damage], visit=2, detector=1)
        bad = _ids(before, obs_id="V2", detector=1)
        assert len(bad) == 1
        rows = _check(
            butler,
            export,
            config,
            "calexp: the region in the registry is damaged",
            bad,
            FILLED,
            dataset_types=["calexp"],
            reader=reader,
        )
        for row in before:
            if row["obs_publisher_did"][-36:] not in bad:
                assert row in rows

    @pytest.mark.parametrize("size", [1, 4, 10_000])
    def test_all_others_are_there_once(
        self, butler: Butler, spoil: Any, export: Any, config: Any, reader: str, size: int
    ) -> None:
        config["batch_size"] = size
        before, _ = export(butler, config, reader=reader)
        for visit, detector in ((1, 0), (3, 2), (4, 1)):
            spoil("visit_detector_region", DAMAGES["wrong type"], visit=visit, detector=detector)
        rows, report = export(butler, config, on_error="null", reader=reader)
        assert _ids(rows) == _ids(before)
        assert len(rows) == len(before)
        # A raw image and the calibrated one, of each.
        assert sorted(line.split(":")[0] for line in report.problems) == ["NULL in 3 rows"] * 2

    @pytest.mark.parametrize("damage", DAMAGES)
    def test_of_a_patch(
        self, butler: Butler, spoil: Any, export: Any, config: Any, reader: str, damage: str
    ) -> None:
        before, _ = export(butler, config, dataset_types=["coadd"], reader=reader)
        spoil("patch", DAMAGES[damage], id=0)
        bad = {row["obs_publisher_did"][-36:] for row in before if "-7-000-" in row["obs_id"]}
        assert len(bad) == 2
        rows = _check(
            butler,
            export,
            config,
            "coadd: the region in the registry is damaged",
            bad,
            FILLED,
            dataset_types=["coadd"],
            reader=reader,
        )
        assert [row for row in before if row["obs_publisher_did"][-36:] not in bad] == [
            row for row in rows if row["obs_publisher_did"][-36:] not in bad
        ]

    @pytest.mark.parametrize(("patch", "place"), [(1, 1), (1, 33), (2, 1), (2, 73)])
    def test_of_other_types_with_numbers_that_are_none(
        self, butler: Butler, spoil: Any, export: Any, config: Any, reader: str, patch: int, place: int
    ) -> None:
        before, _ = export(butler, config, dataset_types=["coadd"], reader=reader)
        spoil("patch", _nan_at(place), id=patch)
        bad = {row["obs_publisher_did"][-36:] for row in before if f"-7-{patch:03d}-" in row["obs_id"]}
        _check(butler, export, config, "is damaged", bad, FILLED, dataset_types=["coadd"], reader=reader)

    @pytest.mark.parametrize("damage", ["truncated base64", "NaN"])
    def test_of_a_visit_whose_record_is_needed(
        self, butler: Butler, spoil: Any, export: Any, config: Any, reader: str, damage: str
    ) -> None:
        # The rest of the record is told all the same.
        kind = DatasetType("focal", butler.dimensions.conform(["visit"]), "StructuredDataDict")
        with Butler.from_config(str(butler._config.configDir.ospath), writeable=True) as writer:  # type: ignore[union-attr]
            writer.registry.registerDatasetType(kind)
            for visit in range(1, 5):
                writer.put({}, kind, instrument="Cam", visit=visit, run="new")
        config["dataset_types"] = {"focal": config["dataset_types"]["calexp"]}
        config["extra_columns"]["begin"] = {"template": "{records[visit].timespan.begin.utc.isot}"}
        butler.registry.refresh()
        before, _ = export(butler, config, reader=reader)
        assert sorted(row["obs_id"] for row in before) == ["V1", "V2", "V3", "V4"]
        spoil("visit", DAMAGES[damage], id=2)
        rows = _check(
            butler, export, config, "focal: the region", _ids(before, obs_id="V2"), FILLED, reader=reader
        )
        for row in before:
            others = {name: value for name, value in row.items() if name not in (*FILLED, "_print")}
            assert any(others.items() <= found.items() for found in rows)

    def test_of_one_of_two_that_overlap(
        self, root: Path, spoil: Any, export: Any, config: Any, reader: str
    ) -> None:
        with Butler.from_config(str(root), writeable=True) as butler:
            kind = DatasetType("warp", butler.dimensions.conform(["visit", "patch"]), "StructuredDataDict")
            butler.registry.registerDatasetType(kind)
            for patch in (0, 1):
                data_id = {"instrument": "Cam", "visit": 3, "skymap": "sky", "tract": 7, "patch": patch}
                butler.put({}, kind, data_id, run="new")
            config["dataset_types"] = {"warp": {"dataproduct_type": "image", "calib_level": 2}}
            config["extra_columns"]["patch"] = {"template": "{patch}", "type": "int"}
            before, _ = export(butler, config, reader=reader)
            spoil("patch", DAMAGES["wrong type"], id=1)
            _check(butler, export, config, "warp: the region", _ids(before, patch=1), FILLED, reader=reader)


@pytest.mark.parametrize("reader", READERS)
class TestTemplates:
    def test_values_that_cannot_be_formatted(
        self, butler: Butler, export: Any, config: Any, reader: str
    ) -> None:
        config["dataset_types"]["raw"]["obs_id_fmt"] = "{records[exposure].obs_id}"
        config["extra_columns"]["letter"] = {"template": "{records[physical_filter].name[6]}"}
        before, _ = export(butler, config | {"extra_columns": {}}, dataset_types=["calexp"], reader=reader)
        # 'white' has five letters, 'g_main' six.
        bad = {row["obs_publisher_did"][-36:] for row in before if row["obs_id"] in ("V2", "V3")}
        rows = _check(
            butler,
            export,
            config,
            "the field {records[physical_filter].name[6]}",
            bad,
            ("letter",),
            dataset_types=["calexp"],
            reader=reader,
        )
        assert {row["letter"] for row in rows if row["obs_publisher_did"][-36:] not in bad} == {"i"}

    def test_texts_that_are_no_numbers(self, butler: Butler, export: Any, config: Any, reader: str) -> None:
        config["extra_columns"]["number"] = {"template": "{band}{detector}", "type": "int"}
        message = "number of calexp: '[grw]0' is no value of type long; change the template or its type"
        with pytest.raises(UsageError, match=message) as raised:
            export(butler, config, dataset_types=["calexp"], reader=reader)
        assert "(dataset " in str(raised.value)
        rows, report = export(butler, config, dataset_types=["calexp"], reader=reader, on_error="null")
        assert {row["number"] for row in rows} == {None}
        assert len(report.problems) == 9
        assert sum(int(line.split()[2]) for line in report.problems) == len(rows) == 12

    def test_some_texts_are_numbers(
        self, butler: Butler, edit: Any, export: Any, config: Any, reader: str
    ) -> None:
        for visit, name in ((1, "7"), (2, "8"), (3, "99999999999999999999"), (4, "-1")):
            edit("UPDATE visit SET name = ? WHERE id = ?", name, visit)
        config["extra_columns"]["number"] = {"template": "{records[visit].name}", "type": "int"}
        config["extra_columns"]["half"] = {"template": "{records[visit].name}.5", "type": "float"}
        before, _ = export(butler, config | {"extra_columns": {}}, dataset_types=["calexp"], reader=reader)
        bad = _ids(before, obs_id="99999999999999999999")
        rows = _check(
            butler,
            export,
            config,
            "number of calexp: '99999999999999999999' is no value of type long",
            bad,
            ("number",),
            dataset_types=["calexp"],
            reader=reader,
        )
        assert {(row["number"], row["half"]) for row in rows} == {
            (7, 7.5),
            (8, 8.5),
            (-1, -1.5),
            (None, 99999999999999999999.5),
        }


def test_many_problems_are_counted_with_a_few_examples(butler: Butler, export: Any, config: Any) -> None:
    config["extra_columns"]["bad"] = {"template": "{run}", "type": "float"}
    rows, report = export(butler, config, on_error="null", dataset_types=["calexp"])
    assert {row["bad"] for row in rows} == {None}
    (line,) = report.problems
    assert line.startswith(f"NULL in {len(rows)} rows: ")
    assert line.endswith(", …)")
    assert sum(row["obs_publisher_did"][-36:] in line for row in rows) == 5


def test_problems_of_many_kinds_make_no_long_report(butler: Butler, export: Any, config: Any) -> None:
    config["extra_columns"]["bad"] = {"template": "{id}", "type": "float"}
    rows, report = export(butler, config, on_error="null")
    assert {row["bad"] for row in rows} == {None}
    assert len(report.problems) == 21
    assert report.problems[-1] == "NULL in 15 rows: other values of the same kinds"


class TestWholeExports:
    """No output under the final name, and a message that names the thing."""

    @pytest.fixture
    def write(self, tmp_path: Path, config: Any) -> Callable[..., Path]:
        def run(change: Any) -> Path:
            path = tmp_path / "config.yaml"
            path.write_text(yaml.safe_dump(copy.deepcopy(config) | change))
            return path

        return run

    @pytest.mark.parametrize("destination", ["rows.parquet", "rows.csv", "rows.vot", "rows.arrow", "store"])
    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            (
                {"dataset_types": {"nope": {"dataproduct_type": "image", "calib_level": 1}}},
                NotFoundError,
                "no dataset type 'nope'; its image dataset types: ",
            ),
            (
                {"spatial_plugins": {"mine": {"cls": "my.Plugin"}}},
                UsageError,
                "plugin 'my.Plugin' of 'mine' is not known; known: lsst.daf.butler",
            ),
            (
                {"obs_publisher_did_fmt": "{healpix9}/{id}"},
                UsageError,
                "names 'healpix9', which [a-z]+ does not have; there are ",
            ),
            ({"collections": ["nope"]}, NotFoundError, "no collection 'nope' in this repository"),
            ({"csv_null_strnig": ""}, UsageError, "csv_null_string"),
        ],
    )
    def test_bad_configuration(
        self,
        root: Path,
        tmp_path: Path,
        write: Any,
        destination: str,
        change: Any,
        error: type[VoError],
        message: str,
    ) -> None:
        config_path = write(change)
        names = sorted(tmp_path.iterdir())
        with pytest.raises(error, match=message):
            export_repository(root, tmp_path / destination, config_path=config_path)
        assert sorted(tmp_path.iterdir()) == names

    @pytest.mark.parametrize("destination", ["rows.parquet", "rows.vot", "store"])
    def test_damaged_region(
        self, root: Path, tmp_path: Path, write: Any, spoil: Any, destination: str
    ) -> None:
        config_path = write({"batch_size": 5})
        spoil("patch", DAMAGES["NaN"], id=0)
        names = sorted(tmp_path.iterdir())
        with pytest.raises(UsageError, match=r"coadd: the region .* is damaged \(dataset "):
            export_repository(root, tmp_path / destination, config_path=config_path)
        assert sorted(tmp_path.iterdir()) == names
        report = export_repository(root, tmp_path / destination, config_path=config_path, on_error="null")
        assert report.total == 35
        assert report.problems[0].startswith("NULL in 2 rows: coadd: the region in the registry is damaged")

    @pytest.mark.parametrize("reader", READERS)
    def test_collections_without_datasets(self, root: Path, tmp_path: Path, write: Any, reader: str) -> None:
        with Butler.from_config(str(root), writeable=True) as butler:
            for name in ("empty", "void"):
                butler.registry.registerRun(name)
        names = sorted(tmp_path.iterdir())
        config_path = write({"collections": ["empty", "void"]})
        with pytest.raises(NotFoundError, match="'empty', 'void' hold no dataset of the types "):
            export_repository(root, tmp_path / "x.csv", config_path=config_path, reader=reader)
        config_path.unlink()
        assert sorted(tmp_path.iterdir()) == names
        config_path = write({"collections": ["empty", "all", "void"]})
        report = export_repository(root, tmp_path / "x.csv", config_path=config_path, reader=reader)
        assert report.rows == {"raw": 15, "calexp": 12, "coadd": 8}
        assert "empty, void" in report.describe("x")

    @pytest.mark.parametrize("version", ["99.0.0", "0.0.1"])
    def test_registry_of_another_release(
        self, root: Path, tmp_path: Path, write: Any, edit: Any, version: str
    ) -> None:
        edit(f"UPDATE butler_attributes SET value = '{version}' WHERE name LIKE 'version:%StaticDimension%'")
        with pytest.raises(VoError, match=re.escape(version)):
            export_repository(root, tmp_path / "x.csv", config_path=write({}))
        assert not (tmp_path / "x.csv").exists()

    def test_registry_that_is_no_database(self, root: Path, tmp_path: Path, write: Any) -> None:
        (root / "gen3.sqlite3").write_bytes(b"no database" * 1000)
        with pytest.raises(VoError, match="not a database"):
            export_repository(root, tmp_path / "x.csv", config_path=write({}))

    @pytest.mark.parametrize("reader", READERS)
    @pytest.mark.parametrize("closed", ["gen3.sqlite3", "butler.yaml", "."])
    @pytest.mark.parametrize("destination", ["rows.parquet", "store"])
    def test_registry_without_permission(
        self, odd_repository: Path, nobody: Any, write: Any, destination: str, closed: str, reader: str
    ) -> None:
        root = nobody.folder / "repo"
        shutil.copytree(odd_repository, root)
        config_path = shutil.copy(write({}), nobody.folder)

        def export(name: str) -> None:
            export_repository(root, nobody.folder / name, config_path=config_path, reader=reader)

        # With permission it works, which imports what the next one needs.
        export(f"first-{destination}")
        names = sorted(nobody.folder.iterdir())
        (root / closed).chmod(0)
        file = root / ("butler.yaml" if closed == "." else closed)
        message = re.escape(
            f"The Butler repository '{root}' cannot be opened: [Errno 13] Permission denied: '{file}'"
        )
        with nobody.acting(), pytest.raises(UsageError, match=message):
            export(destination)
        assert sorted(nobody.folder.iterdir()) == names


def test_sound_regions_are_no_problem() -> None:
    """Regions that hold nothing, or everything, are regions."""
    regions: list[Region] = [Circle.empty(), Circle.full(), Ellipse.empty(), Ellipse.full(), Box.empty()]
    regions += [Box.full(), UnionRegion(*regions[:2]), IntersectionRegion(*regions[2:4])]
    columns, damaged = describe_regions(pa.array([region.encode() for region in regions], pa.binary()))
    assert damaged.tolist() == []
    assert columns["_region"].null_count == 0
