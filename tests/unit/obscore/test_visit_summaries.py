"""Sizes and resolutions from summaries of visits, in all forms in which pipelines write them."""

import logging
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from astropy.io import fits
from lsst.daf.butler import Butler, DatasetRef, DatasetType, FileDataset

from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.obscore.readers import _summaries
from lsst.dax.vo.obscore.readers._summaries import RefSummaries, Summaries, VisitSummaries
from lsst.dax.vo.obscore.rows._chunk import Coded
from lsst.dax.vo.obscore.rows._summaries import merge_summaries, parse_summary

FORMATTER = "lsst.daf.butler.formatters.file.FileFormatter"
FWHM = 2.3548200450309493
VISITS = range(1, 5)
DETECTORS = (10, 11, 12)

type Write = Callable[[Path, int], None]


def afw_columns(visit: int, *, scale: bool = True) -> dict[str, Any]:
    """Return the columns of an ExposureCatalog; "detector" is a number in its archive."""
    size = len(DETECTORS)
    columns = {
        "wcs": np.arange(1, size + 1, dtype=np.int32),
        "detector": np.arange(7, size + 7, dtype=np.int32),
        "id": np.array(DETECTORS),
        "visit": np.full(size, visit),
        "bbox_min_x": np.zeros(size, np.int32),
        "bbox_min_y": np.zeros(size, np.int32),
        "bbox_max_x": np.full(size, 4071, np.int32),
        "bbox_max_y": np.full(size, 3999, np.int32),
        "band": np.array(["r"] * size),
        "psfSigma": np.array([1.5, 1.6, np.nan], np.float32) + np.float32(visit),
        "pixelScale": np.full(size, 0.2, np.float32),
    }
    if not scale:
        del columns["pixelScale"]
    return columns


def write_fits(path: Path, columns: dict[str, Any], *, padding: int = 0, archive: int = 0) -> None:
    """Write a binary table as lsst.afw.table does: the catalog, then its archive."""
    formats = {"i4": "J", "i8": "K", "f4": "E", "f8": "D"}
    made = []
    for name, values in columns.items():
        kind = values.dtype.str[1:]
        length = "" if values.ndim == 1 else str(values.shape[1])
        form = f"{length}{formats[kind]}" if kind in formats else "32A"
        made.append(fits.Column(name, form, array=values))
    if padding:
        size = len(next(iter(columns.values())))
        made.append(fits.Column("padding", f"{padding}B", array=np.zeros((size, padding), np.uint8)))
    table = fits.BinTableHDU.from_columns(made)
    table.header["AR_HDU"] = 2
    hdus = [fits.PrimaryHDU(), table]
    if archive:
        content = fits.Column("bytes", f"{archive}B", array=np.zeros((1, archive), np.uint8))
        hdus.append(fits.BinTableHDU.from_columns([content], name="ARCHIVE_INDEX"))
    fits.HDUList(hdus).writeto(path)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a repository with two instruments that have the same visits."""
    root = tmp_path_factory.mktemp("summaries") / "repo"
    Butler.makeRepo(str(root))
    with Butler.from_config(str(root), writeable=True) as butler:
        insert = butler.registry.insertDimensionData
        for name in ("Cam", "Other"):
            insert("instrument", {"name": name, "class_name": "x", "detector_max": 99, "visit_max": 99})
            insert("physical_filter", {"instrument": name, "name": "r", "band": "r"})
            insert("day_obs", {"instrument": name, "id": 20250101})
            common = {"instrument": name, "physical_filter": "r", "day_obs": 20250101}
            for visit in VISITS:
                insert("visit", {**common, "id": visit, "name": f"V{visit}"})
        for run in ("run", "later"):
            butler.registry.registerRun(run)
    return root


@pytest.fixture
def butler(registry: Path, tmp_path: Path) -> Iterator[Butler]:
    root = shutil.copytree(registry, tmp_path / "repo")
    with Butler.from_config(str(root), writeable=True) as butler:
        yield butler


@pytest.fixture
def ingest(butler: Butler, tmp_path: Path) -> Callable[..., None]:
    """Ingest a summary of each visit, as a function writes it."""

    def run(
        name: str,
        write: Write,
        *,
        suffix: str = ".fits",
        visits: Sequence[int] = VISITS,
        storage_class: str = "ExposureCatalog",
        instrument: str = "Cam",
        dimensions: Sequence[str] = ("instrument", "visit"),
    ) -> None:
        kind = DatasetType(name, butler.dimensions.conform(dimensions), storage_class)
        butler.registry.registerDatasetType(kind)
        for visit in visits:
            path = tmp_path / f"{name}-{instrument}-{visit}{suffix}"
            write(path, visit)
            data_id = {"instrument": instrument} | ({"visit": visit} if "visit" in dimensions else {})
            ref = DatasetRef(kind, butler.registry.expandDataId(data_id, dimensions=kind.dimensions), "run")
            # The formatter of lsst.afw is not here, and is not asked.
            butler.ingest(FileDataset(str(path), ref, formatter=FORMATTER), transfer="direct")

    return run


def images(
    visits: Sequence[int], detectors: Sequence[int], instruments: Sequence[str] | None = None
) -> dict[str, Coded]:
    """Return the dimensions of images."""
    columns = {"instrument": instruments or ["Cam"] * len(visits), "visit": visits, "detector": detectors}
    return {name: Coded.of(values) for name, values in columns.items()}


def look_up(
    butler: Butler,
    names: Sequence[str],
    visits: Sequence[int],
    detectors: Sequence[int],
    instruments: Sequence[str] | None = None,
) -> dict[str, list[Any]]:
    summaries = VisitSummaries(butler, names, ["run"])
    found = summaries.lookup(images(visits, detectors, instruments))
    assert [array.type for array in found.values()] == [pa.int64(), pa.int64(), pa.float64()]
    return {name: array.to_pylist() for name, array in found.items()}


def xel1(summaries: Summaries, visits: Sequence[int], detectors: Sequence[int]) -> list[int | None]:
    found: list[int | None] = summaries.lookup(images(visits, detectors))["s_xel1"].to_pylist()
    return found


def test_catalogs_of_afw(butler: Butler, ingest: Any) -> None:
    ingest("visitSummary", lambda path, visit: write_fits(path, afw_columns(visit)))
    found = look_up(butler, ["visitSummary"], [3, 1, 1, 1, 2, 9], [10, 11, 12, 99, 7, 10])
    assert found["s_xel1"] == [4072, 4072, 4072, None, None, None]
    assert found["s_xel2"] == [4000, 4000, 4000, None, None, None]
    assert found["s_resolution"] == [
        pytest.approx(FWHM * 4.5 * 0.2, rel=1e-6),
        pytest.approx(FWHM * 2.6 * 0.2, rel=1e-6),
        # Its PSF could not be measured.
        None,
        None,
        None,
        None,
    ]


def test_real_catalogs_have_corners_instead_of_a_scale(shared_data: Path) -> None:
    root = shared_data / "butler" / "jointcal_cfht_minimal" / "repo"
    with Butler.from_config(str(root)) as butler:
        summaries = VisitSummaries(butler, ["visitSummary"], ["singleFrame"])
        found = summaries.lookup(images([850587, 849375, 850587], [12, 12, 13], ["MegaPrime"] * 3))
    assert found["s_xel1"].to_pylist() == [2048, 2048, None]
    assert found["s_xel2"].to_pylist() == [4612, 4612, None]
    # MegaCam has 0.187 arcseconds per pixel; the widths are 1.68 and 2.45 pixels.
    assert found["s_resolution"].to_pylist() == [
        pytest.approx(FWHM * 1.68108 * 0.187, rel=2e-3),
        pytest.approx(FWHM * 2.45 * 0.187, rel=2e-3),
        None,
    ]
    assert summaries.unreadable == 0


@pytest.mark.parametrize("what", ["scaled", "image-first"])
def test_whatever_else_fits_allows(butler: Butler, ingest: Any, what: str) -> None:
    def write(path: Path, visit: int) -> None:
        write_fits(path, afw_columns(visit))
        with fits.open(path) as hdus:
            columns = list(hdus[1].columns)
            first = fits.PrimaryHDU()
            if what == "scaled":
                # Unsigned numbers are stored with an offset.
                columns = [column for column in columns if column.name != "id"]
                detectors = np.array(DETECTORS, np.uint32)
                columns.append(fits.Column("id", "J", bzero=2**31, array=detectors))
            else:
                first = fits.PrimaryHDU(np.zeros((50, 50)))
            table = fits.BinTableHDU.from_columns(columns)
        fits.HDUList([first, table]).writeto(path, overwrite=True)

    ingest("visitSummary", write, visits=[1])
    assert look_up(butler, ["visitSummary"], [1, 1], [10, 13])["s_xel1"] == [4072, None]


@pytest.mark.parametrize("padding", [0, 1 << 20], ids=["short", "longer-than-what-is-read-first"])
def test_only_the_table_of_a_large_catalog_matters(butler: Butler, ingest: Any, padding: int) -> None:
    def write(path: Path, visit: int) -> None:
        write_fits(path, afw_columns(visit), padding=padding, archive=3 << 20)

    ingest("finalVisitSummary", write, visits=[1])
    assert look_up(butler, ["finalVisitSummary"], [1], [10])["s_xel1"] == [4072]


@pytest.mark.parametrize("suffix", [".parq", ".arrow"])
@pytest.mark.parametrize("name", ["id", "detector"])
def test_tables_of_arrow(butler: Butler, ingest: Any, suffix: str, name: str) -> None:
    def write(path: Path, visit: int) -> None:
        columns = afw_columns(visit)
        if name == "detector":
            # A table of visits and detectors has no boxes and no archive.
            columns = {
                "detector": columns["id"],
                "visitId": columns["visit"],
                "psfSigma": columns["psfSigma"],
            }
            columns |= {"pixelScale": np.full(3, 0.2), "xSize": np.full(3, 4071), "ySize": np.full(3, 3999)}
        table = pa.table(columns)
        if suffix == ".parq":
            pyarrow.parquet.write_table(table, path)
        else:
            pyarrow.feather.write_feather(table, path)

    ingest("visit_summary", write, suffix=suffix, storage_class="ArrowTable")
    found = look_up(butler, ["visit_summary"], [2, 2], [10, 12])
    assert found["s_xel1"] == [4072, 4072]
    assert found["s_xel2"] == [4000, 4000]
    assert found["s_resolution"] == [pytest.approx(FWHM * 3.5 * 0.2, rel=1e-6), None]


def test_one_table_of_all_visits(butler: Butler, ingest: Any) -> None:
    def write(path: Path, _: int) -> None:
        visits = np.repeat(VISITS, 3)
        table = pa.table(
            {
                "visitId": pa.array([*visits[:-1].tolist(), None]),
                "detector": np.tile(DETECTORS, 4),
                "seeing": visits / 10,
                "xSize": np.full(12, 4071),
                "ySize": np.full(12, 3999),
            }
        )
        pyarrow.parquet.write_table(table, path)

    ingest(
        "visit_detector_table",
        write,
        suffix=".parq",
        storage_class="ArrowAstropy",
        dimensions=["instrument"],
        visits=[0],
    )
    found = look_up(butler, ["visit_detector_table"], [4, 4, 1, 5], [11, 12, 10, 10])
    assert found["s_resolution"] == [0.4, None, 0.1, None]
    assert found["s_xel1"] == [4072, None, 4072, None]


def test_the_first_that_knows_a_detector_counts(butler: Butler, ingest: Any) -> None:
    def write(path: Path, visit: int) -> None:
        write_fits(path, afw_columns(visit) | {"pixelScale": np.full(3, 1.0, np.float32)})

    ingest("visitSummary", lambda path, visit: write_fits(path, afw_columns(visit)))
    ingest("finalVisitSummary", write, visits=[2])
    found = look_up(butler, ["nothing", "finalVisitSummary", "visitSummary"], [1, 2], [10, 10])
    assert found["s_resolution"] == [
        pytest.approx(FWHM * 2.5 * 0.2, rel=1e-6),
        pytest.approx(FWHM * 3.5, rel=1e-6),
    ]


def test_instruments_do_not_mix(butler: Butler, ingest: Any) -> None:
    def write(path: Path, visit: int) -> None:
        write_fits(path, afw_columns(visit) | {"bbox_max_x": np.full(3, 99, np.int32)})

    ingest("visitSummary", lambda path, visit: write_fits(path, afw_columns(visit)))
    ingest("visitSummary", write, instrument="Other")
    found = look_up(butler, ["visitSummary"], [1, 1, 1], [10, 10, 10], ["Other", "Cam", "None"])
    assert found["s_xel1"] == [100, 4072, None]


def test_each_is_read_once_and_few_are_kept(
    butler: Butler, ingest: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest("visitSummary", lambda path, visit: write_fits(path, afw_columns(visit)))
    monkeypatch.setattr(_summaries, "_MOST_VISITS", 2)
    summaries = VisitSummaries(butler, ["visitSummary"], ["run"])
    # More visits at once than are kept.
    assert xel1(summaries, [1, 2, 3], [10, 10, 10]) == [4072] * 3
    for path in tmp_path.glob("visitSummary-*.fits"):
        path.unlink()
    assert xel1(summaries, [3, 2], [11, 11]) == [4072] * 2
    assert summaries.unreadable == 0
    assert xel1(summaries, [1], [11]) == [None]
    assert summaries.unreadable == 1


def write_nothing(path: Path, visit: int) -> None:
    """Write what cannot be read: whoever reads it counts it."""
    del visit
    path.touch()


class TestPrints:
    def test_one_number_for_the_summaries_of_a_visit(self, butler: Butler, ingest: Any) -> None:
        ingest("visitSummary", write_nothing, visits=[1, 2])
        ingest("visitSummary", write_nothing, visits=[1], instrument="Other")
        summaries = VisitSummaries(butler, ["visitSummary"], ["run"])
        instruments = ["Cam", "Cam", "Cam", "Cam", "Other", "Other"]
        (prints,) = summaries.prints(images([1, 2, 1, 3, 1, 2], [10, 10, 11, 10, 10, 10], instruments))
        assert prints[0] == prints[2]
        assert len({int(prints[place]) for place in (0, 1, 4)} - {0}) == 3
        assert prints[[3, 5]].tolist() == [0, 0]
        # Nothing was read.
        assert summaries.unreadable == 0

    def test_all_that_may_tell_about_a_visit_counts_in_order(self, butler: Butler, ingest: Any) -> None:
        names = ["finalVisitSummary", "visitSummary", "visit_detector_table"]

        def prints(names: Sequence[str]) -> list[int]:
            (found,) = VisitSummaries(butler, names, ["run"]).prints(images([1, 2], [10, 10]))
            return [int(word) for word in found]

        assert prints(names) == [0, 0]
        ingest("visitSummary", write_nothing, visits=[1])
        first = prints(names)
        assert [word > 0 for word in first] == [True, False]
        ingest("finalVisitSummary", write_nothing, visits=[1])
        second = prints(names)
        assert second[0] != first[0]
        assert prints([names[1], names[0]])[0] != second[0]
        ingest("visit_detector_table", write_nothing, visits=[0], dimensions=["instrument"])
        third = prints(names)
        assert third[0] != second[0]
        assert third[1] > 0

    def test_a_summary_that_is_replaced_or_hidden_has_another_number(
        self, butler: Butler, ingest: Any
    ) -> None:
        def prints(*collections: str) -> Any:
            (found,) = VisitSummaries(butler, ["visitSummary"], collections).prints(images([1, 2], [10, 10]))
            return found

        ingest("visitSummary", write_nothing, visits=[1, 2])
        before = prints("run")
        kind = butler.get_dataset_type("visitSummary")
        other = butler.registry.insertDatasets(kind, [{"instrument": "Cam", "visit": 1}], "later")
        after = prints("later", "run")
        assert (after == before).tolist() == [False, True]
        assert (prints("run", "later") == before).all()
        butler.registry.removeDatasets(other)
        assert (prints("later", "run") == before).all()

    def test_references_have_the_numbers_of_the_repository(self, butler: Butler, ingest: Any) -> None:
        names = ["nothing", "finalVisitSummary", "visitSummary", "visit_detector_table"]
        ingest("visitSummary", write_nothing)
        ingest("finalVisitSummary", write_nothing, visits=[2])
        ingest("visit_detector_table", write_nothing, visits=[0], dimensions=["instrument"])
        refs = [ref for name in names[1:] for ref in butler.query_datasets(name, "run")]
        some = images([1, 2, 3, 9], [10, 10, 11, 10])
        (known,) = VisitSummaries(butler, names, ["run"]).prints(some)
        (found,) = RefSummaries(butler, names, refs[::-1]).prints(some)
        assert found.tolist() == known.tolist()
        assert known.all()

    def test_other_images_have_none(self, butler: Butler, ingest: Any) -> None:
        ingest("visitSummary", write_nothing)
        summaries = VisitSummaries(butler, ["visitSummary"], ["run"])
        dimensions = images([1], [10])
        for name in dimensions:
            some = {key: column for key, column in dimensions.items() if key != name}
            assert summaries.prints(some) == ()
            assert summaries.lookup(some) == {}
        assert summaries.prints({}) == ()

    def test_many_visits_take_one_query(
        self, butler: Butler, ingest: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []

        class Counted(VisitSummaries):
            def _query(self, kind: Any, instrument: str, visits: Any) -> list[DatasetRef]:
                asked.append(visits)
                return super()._query(kind, instrument, visits)

        ingest("visitSummary", lambda path, visit: write_fits(path, afw_columns(visit)))
        ingest("visit_detector_table", write_nothing, visits=[0], dimensions=["instrument"])
        monkeypatch.setattr(_summaries, "_VALUES_PER_QUERY", 3)
        monkeypatch.setattr(_summaries, "_MOST_VISITS", 2)
        summaries = Counted(butler, ["visitSummary", "visit_detector_table"], ["run"])
        for _ in range(2):
            # More than are kept beyond a page.
            summaries.prints(images([*VISITS, 1], [10, 10, 10, 10, 11]))
            assert xel1(summaries, [*VISITS, 1], [10, 10, 10, 10, 99]) == [4072] * 4 + [None]
        assert asked == [[1, 2, 3], [4], None]
        assert summaries.unreadable == 1


def truncate(path: Path, visit: int) -> None:
    write_fits(path, afw_columns(visit))
    path.write_bytes(path.read_bytes()[:5900])


def without_detector(path: Path, visit: int) -> None:
    columns = afw_columns(visit)
    write_fits(path, {"visit": columns["visit"], "psfSigma": columns["psfSigma"]})


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (truncate, r"\w+: "),
        (without_detector, "no column with the number of the detector .*there are psfSigma, visit"),
        (lambda path, _: path.write_text("a pointer"), "neither FITS nor Parquet nor Arrow"),
        (lambda path, _: path.write_bytes(b"PAR1 and no more"), "Arrow"),
        (lambda path, _: path.write_bytes(b"SIMPLE"), r"\w+: "),
        (lambda path, _: path.touch(), "neither FITS nor"),
    ],
)
def test_unreadable_summaries_are_counted_and_told(
    butler: Butler, ingest: Any, write: Write, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    ingest("bad", write, visits=[1, 2])
    ingest("good", lambda path, visit: write_fits(path, afw_columns(visit)), visits=[2, 3])
    summaries = VisitSummaries(butler, ["bad", "good"], ["run"])
    with caplog.at_level(logging.WARNING):
        assert xel1(summaries, [1, 2, 3, 1], [10, 10, 10, 10]) == [None, 4072, 4072, None]
    assert summaries.unreadable == 2
    assert len(caplog.messages) == 2
    for message in caplog.messages:
        assert re.match(rf"bad [0-9a-f-]+ cannot be read, its rows get no s_resolution: .*{reason}", message)


def test_many_unreadable_ones_are_told_in_few_lines(
    butler: Butler, ingest: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ingest("bad", lambda path, _: path.touch())
    monkeypatch.setattr(_summaries, "_MOST_TOLD", 2)
    summaries = VisitSummaries(butler, ["bad"], ["run"])
    with caplog.at_level(logging.WARNING):
        summaries.lookup(images(VISITS, [10] * 4))
    assert summaries.unreadable == 4
    assert len(caplog.messages) == 2
    assert caplog.messages[-1].endswith("; further ones are only counted")


def test_a_type_of_something_else_is_refused(butler: Butler) -> None:
    kind = DatasetType("patches", butler.dimensions.conform(["patch"]), "ArrowTable")
    butler.registry.registerDatasetType(kind)
    with pytest.raises(UsageError, match=r"'patches' is neither of visits nor of instruments, but of skymap"):
        VisitSummaries(butler, ["patches"], ["run"])


class TestKernel:
    def test_boxes_without_pixels_have_no_size(self) -> None:
        columns = afw_columns(1) | {"bbox_max_x": np.array([-1, 0, 9])}
        rows = parse_summary(columns, 1)
        assert rows.columns.tolist() == [0, 1, 10]
        assert rows.rows.tolist() == [0, 4000, 4000]

    def test_the_data_id_wins_over_the_column(self) -> None:
        assert parse_summary(afw_columns(1), 5).keys.tolist() == parse_summary(afw_columns(5)).keys.tolist()

    def test_visits_must_be_told(self) -> None:
        columns = afw_columns(1)
        del columns["visit"]
        assert len(parse_summary(columns, 1).keys) == 3
        with pytest.raises(UsageError, match="no column with the number of the visit"):
            parse_summary(columns)

    def test_corners_give_the_scale(self) -> None:
        columns = afw_columns(1, scale=False)
        assert np.isnan(parse_summary(columns, 1).fwhm_arcsec).all()
        width, height = 4072 * 0.2 / 3600, 4000 * 0.2 / 3600
        ra = np.array([0, width, width, 0]) / np.cos(np.radians(60)) + 359.99
        dec = 60 + np.array([0, 0, height, height])
        columns |= {"raCorners": np.tile(ra, (3, 1)), "decCorners": np.tile(dec, (3, 1))}
        found = parse_summary(columns, 1).fwhm_arcsec
        assert found[:2] == pytest.approx(FWHM * np.array([2.5, 2.6]) * 0.2, rel=3e-3)

    def test_the_largest_numbers_fit(self) -> None:
        visits, detectors = [2**46, 2**46, 2**46 - 1], [0, 205, 65535]
        rows = parse_summary({"visit": np.array(visits), "detector": np.array(detectors)})
        places, there = rows.find(rows.keys_of(visits, detectors))
        assert there.all()
        assert sorted(places.tolist()) == [0, 1, 2]

    def test_rows_about_the_same_detector(self) -> None:
        first = parse_summary(
            {"visit": np.array([1, 1]), "detector": np.array([2, 2]), "seeing": np.array([0.7, 0.9])}
        )
        second = parse_summary({"visit": np.array([1]), "detector": np.array([2]), "seeing": np.array([0.5])})
        assert merge_summaries([first, second]).fwhm_arcsec.tolist() == [0.7]

    def test_nothing(self) -> None:
        rows = merge_summaries([])
        assert not rows.find(rows.keys_of([1], [2]))[1].any()
