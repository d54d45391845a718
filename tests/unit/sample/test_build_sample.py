"""The repositories of the sample: complete, the same each time, found by label."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from lsst.daf.butler import Butler, DatasetRef

from lsst.dax.vo.errors import TransientError, UsageError
from lsst.dax.vo.obscore import load_obscore_config
from lsst.dax.vo.sample import Sample, build_sample, sample_environment
from lsst.dax.vo.sample._survey import Survey, shorten


def all_refs(root: Path) -> dict[str, list[DatasetRef]]:
    found: dict[str, list[DatasetRef]] = {}
    with Butler.from_config(str(root)) as butler:
        for ref in butler.query_all_datasets("*", find_first=False, limit=None):
            found.setdefault(ref.datasetType.name, []).append(ref)
    return found


def path_of(root: Path, ref: DatasetRef) -> Path:
    with Butler.from_config(str(root)) as butler:
        return Path(butler.getURI(ref).ospath)


def test_every_image_is_there(small_sample: Sample) -> None:
    counts = {name: len(refs) for name, refs in all_refs(small_sample.repositories["sample"]).items()}
    assert counts == {"raw": 6, "visit_image": 6, "difference_image": 6, "deep_coadd": 1, "visit_summary": 2}
    counts = {name: len(refs) for name, refs in all_refs(small_sample.repositories["dp02"]).items()}
    assert counts == {"raw": 4, "calexp": 4, "deepCoadd_calexp": 2, "visitSummary": 2}


def test_same_identifiers_and_pixels_each_time(
    tmp_path: Path, small_sample: Sample, surveys: tuple[Survey, Survey]
) -> None:
    one = shorten(surveys[0], ["r"], visits=1)
    again = build_sample(tmp_path / "again", surveys=[replace(one, fields=surveys[0].fields)])
    first, second = small_sample.repositories["sample"], again.repositories["sample"]
    ids = {ref.id for refs in all_refs(first).values() for ref in refs}
    for name in ("raw", "visit_image", "difference_image"):
        for ref in all_refs(second)[name]:
            assert ref.id in ids
            assert ref.id.version == 5
            with fits.open(path_of(first, ref)) as left, fits.open(path_of(second, ref)) as right:
                for a, b in zip(left[1:-2], right[1:-2], strict=True):
                    assert a.data.tobytes() == b.data.tobytes(), (name, a.name)


def test_provenance_is_in_the_headers(small_sample: Sample) -> None:
    root = small_sample.repositories["sample"]
    refs = all_refs(root)
    images = {str(ref.id): ref for ref in refs["visit_image"]}
    header = fits.getheader(path_of(root, refs["deep_coadd"][0]))
    inputs = [header[f"LSST BUTLER INPUT {index} ID"] for index in range(header["LSST BUTLER N_INPUTS"])]
    assert header["LSST BUTLER ID"] == str(refs["deep_coadd"][0].id)
    assert 2 <= len(inputs) == len(set(inputs))
    assert set(inputs) <= set(images)
    raws = {ref.dataId["exposure"]: str(ref.id) for ref in refs["raw"] if ref.dataId["detector"] == 90}
    for ref in refs["visit_image"]:
        if ref.dataId["detector"] == 90:
            header = fits.getheader(path_of(root, ref))
            assert header["LSST BUTLER INPUT 0 ID"] == raws[ref.dataId["visit"]]


def test_objects_come_back_through_the_butler(small_sample: Sample) -> None:
    refs = all_refs(small_sample.repositories["sample"])
    with Butler.from_config(str(small_sample.repositories["sample"])) as butler:
        image = butler.get(refs["visit_image"][0])
        difference = butler.get(refs["difference_image"][0])
        coadd = butler.get(refs["deep_coadd"][0])
        raw = butler.get(refs["raw"][0])
    assert (image.unit.to_string(), image.image.array.shape) == ("nJy", (500, 480))
    assert raw.array.dtype == np.uint16
    assert image.obs_info.has_simulated_content
    assert difference.mask.get("DETECTED_NEGATIVE").shape == (500, 480)
    assert (coadd.tract, coadd.patch.id, coadd.band) == (4431, 17, "r")
    assert coadd.psf.compute_kernel_image(x=coadd.bbox.x.center, y=coadd.bbox.y.center).array.sum() > 0.99


def test_coadd_is_the_mean_of_its_inputs(small_sample: Sample) -> None:
    root = small_sample.repositories["sample"]
    with Butler.from_config(str(root)) as butler:
        coadd = butler.get(all_refs(root)["deep_coadd"][0])
    good = np.isfinite(coadd.image.array)
    assert np.array_equal(~good, coadd.mask.get("NO_DATA"))
    assert 0.5 < good.mean() < 1
    quiet = good & ~coadd.mask.get("DETECTED")
    ratio = coadd.image.array[quiet] / np.sqrt(coadd.variance.array[quiet])
    # The variance plane tells the noise that is there.
    assert 1.4826 * np.median(np.abs(ratio - np.median(ratio))) == pytest.approx(1, abs=0.1)


def test_patch_and_tract_are_where_the_field_is(small_sample: Sample) -> None:
    for label, (ra, dec, tract, patch) in {
        "sample": (55.7467, -32.2862, 4431, 17),
        "dp02": (62.0, -37.0, 3831, 10),
    }.items():
        with Butler.from_config(str(small_sample.repositories[label])) as butler:
            found = butler.query_dimension_records(
                "patch", where="patch.region OVERLAPS POINT(ra, dec)", bind={"ra": ra, "dec": dec}
            )
        assert [(record.tract, record.id) for record in found] == [(tract, patch)]


def test_names_of_dp02(small_sample: Sample) -> None:
    with Butler.from_config(str(small_sample.repositories["dp02"]), collections="2.2i/runs/DP0.2") as butler:
        ref = butler.find_dataset("calexp", instrument="LSSTCam-imSim", visit=192350, detector=175)
        coadd = butler.find_dataset("deepCoadd_calexp", skymap="DC2", tract=4431, patch=17, band="i")
    assert ref is not None
    assert coadd is not None


def test_files_are_small(small_sample: Sample) -> None:
    # 24 visits of 3 detectors and 18 coadds, 9 visits of 2 and 9 coadds:
    # with these limits the whole sample stays below 150 MB.
    limits = {"raw": 290, "visit_image": 440, "difference_image": 440, "deep_coadd": 620, "visit_summary": 20}
    total = (24 * 3 * (290 + 440 + 440) + 18 * 620 + 18 * (290 + 440) + 9 * 620) / 1000
    assert total < 150
    root = small_sample.repositories["sample"]
    for name, refs in all_refs(root).items():
        assert max(path_of(root, ref).stat().st_size for ref in refs) < limits[name] * 1000, name


def test_complete_sample_is_reused(small_sample: Sample, surveys: tuple[Survey, Survey]) -> None:
    stamp = small_sample.root / "sample.json"
    before = stamp.stat().st_mtime_ns
    lines: list[str] = []
    again = build_sample(small_sample.root, surveys=surveys, log=lines.append)
    assert again == small_sample
    assert stamp.stat().st_mtime_ns == before
    assert lines == [f"The sample in {small_sample.root} is complete."]
    assert sorted(path.name for path in small_sample.root.iterdir()) == [
        "dp02",
        "repositories.yaml",
        "sample",
        "sample.json",
    ]


def test_found_by_label(small_sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sample_environment(small_sample.root).items():
        monkeypatch.setenv(name, value)
    for label, path in small_sample.repositories.items():
        with Butler.from_config(label) as butler:
            assert Path(butler._config.configDir.ospath) == path
    monkeypatch.delenv("DAF_BUTLER_REPOSITORIES")
    monkeypatch.setenv("DAF_BUTLER_REPOSITORY_INDEX", str(small_sample.index))
    with Butler.from_config("dp02") as butler:
        assert butler.collections.query("2.2i/runs/DP0.2")


def test_somebody_elses_folder_is_not_touched(tmp_path: Path, surveys: tuple[Survey, Survey]) -> None:
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample" / "precious").touch()
    with pytest.raises(UsageError, match="holds 'sample', and no sample of ours; name another folder"):
        build_sample(tmp_path, surveys=surveys)
    assert (tmp_path / "sample" / "precious").exists()


def test_folder_that_cannot_be_made(tmp_path: Path, surveys: tuple[Survey, Survey]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file; name a folder"):
        build_sample(tmp_path / "file", surveys=surveys)
    with pytest.raises(TransientError, match="cannot be written to"):
        build_sample(tmp_path / "file" / "below", surveys=surveys)


@pytest.mark.parametrize("label", ["sample", "dp02"])
def test_exporter_configuration(small_sample: Sample, label: str) -> None:
    config = load_obscore_config(small_sample.configurations[label])
    exported = {*config.dataset_types, "visit_summary", "visitSummary"}
    assert set(all_refs(small_sample.repositories[label])) <= exported


def test_summaries_tell_what_the_images_tell(small_sample: Sample) -> None:
    root = small_sample.repositories["sample"]
    refs = all_refs(root)
    with Butler.from_config(str(root)) as butler:
        table = butler.get(refs["visit_summary"][0], storageClass="ArrowTable")
        (image,) = (
            butler.get(ref)
            for ref in refs["visit_image"]
            if ref.dataId["visit"] == refs["visit_summary"][0].dataId["visit"]
            and ref.dataId["detector"] == 91
        )
    rows = {row["id"]: row for row in table.to_pylist()}
    assert list(rows) == [90, 91, 93]
    row = rows[91]
    assert row["visit"] == refs["visit_summary"][0].dataId["visit"]
    assert (row["band"], row["physical_filter"]) == ("r", "r_57")
    assert row["psfSigma"] == image.summary_stats.psfSigma
    assert (row["bbox_min_x"], row["bbox_max_x"], row["bbox_max_y"]) == (0, 479, 499)
    kernel = image.psf.compute_kernel_image(x=200, y=200).array
    rows_px = np.arange(kernel.shape[0]) - (kernel.shape[0] - 1) / 2
    spread = np.sqrt((kernel.sum(axis=1) * rows_px**2).sum() / kernel.sum())
    assert row["psfSigma"] == pytest.approx(spread, rel=0.02)
