"""``butler vo`` as a user types it, on the sample."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import numpy as np
import pyarrow.parquet as pq
import pytest
import requests
from astropy.io import fits
from lsst.daf.butler import Butler
from lsst.images.serialization import read_archive
from lsst.resources import ResourcePath

from lsst.dax.vo.sample import Sample
from lsst.dax.vo.services import cut_dataset

type Run = Callable[..., subprocess.CompletedProcess[bytes]]

BUTLER = str(Path(sys.executable).with_name("butler"))
VOT = "{http://www.ivoa.net/xml/VOTable/v1.3}"
COUNT = "SELECT COUNT(*) AS n FROM ivoa.ObsCore"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run ``butler vo`` in an empty folder; it must succeed and complain of nothing."""

    def call(*arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [BUTLER, "vo", *arguments],
            capture_output=True,
            cwd=tmp_path,
            env=os.environ | variables,
            timeout=240,
            check=False,
        )
        # The log may tell what goes on; a warning would be a complaint.
        complaints = [line for line in done.stderr.decode().splitlines() if " INFO: " not in line]
        assert (done.returncode, complaints) == (0, [])
        return done

    return call


def test_butler_help_lists_vo() -> None:
    done = subprocess.run([BUTLER, "--help"], capture_output=True, text=True, check=True, timeout=120)
    assert any(line.split()[:1] == ["vo"] for line in done.stdout.splitlines())


@pytest.mark.parametrize("suffix", ["parquet", "csv", "vot", "arrow"])
def test_export_to_a_file(run: Run, sample: Sample, tmp_path: Path, suffix: str) -> None:
    config = str(sample.configurations["dp02"])
    done = run(
        "export", str(sample.repositories["dp02"]), f"out.{suffix}", "--config", config, "--limit", "7"
    )
    assert done.stdout.startswith(b"7 rows in ")
    assert [path.name for path in tmp_path.iterdir()] == [f"out.{suffix}"]
    if suffix == "parquet":
        assert pq.read_table(tmp_path / "out.parquet").num_rows == 7
    if suffix == "csv":
        assert len(list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))) == 7
    if suffix == "vot":
        assert len(list(ET.parse(tmp_path / "out.vot").getroot().iter(f"{VOT}TR"))) == 7


def test_export_of_chosen_datasets(run: Run, sample: Sample, tmp_path: Path) -> None:
    config = str(sample.configurations["dp02"])
    run(
        "export", str(sample.repositories["dp02"]), "out.csv", "--config", config,
        "--dataset-type", "calexp", "--where", "band = 'i'",
    )  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert rows
    assert {(row["dataproduct_subtype"], row["lsst_band"]) for row in rows} == {("lsst.calexp", "i")}


def test_export_to_a_store_and_query_it(run: Run, sample: Sample) -> None:
    repo, config = str(sample.repositories["dp02"]), str(sample.configurations["dp02"])
    done = run("export", repo, "dp02.store", "--config", config)
    rows = int(done.stdout.split()[0].replace(b",", b""))
    assert run("query", "dp02.store", COUNT, "--format", "csv").stdout.split() == [b"n", str(rows).encode()]
    # Again over itself, while it is there.
    run("export", repo, "dp02.store", "--config", config, "--limit", "3")
    assert run("query", "dp02.store", COUNT, "--format", "tsv").stdout.split() == [
        b"n",
        b"3",
    ]


def test_query_prints_a_table(run: Run, sample: Sample) -> None:
    query = "SELECT TOP 2 obs_collection, calib_level FROM ivoa.ObsCore ORDER BY obs_publisher_did"
    text = run("query", str(sample.store("sample")), query).stdout.decode()
    assert "obs_collection" in text
    assert text.rstrip().endswith("2 rows")


@pytest.mark.parametrize("name", ["csv", "tsv", "votable"])
def test_query_into_a_file(run: Run, sample: Sample, tmp_path: Path, name: str) -> None:
    query = "SELECT obs_publisher_did FROM ivoa.ObsCore"
    done = run(
        "query", str(sample.store("sample")), query, "--format", name, "--maxrec", "4", "--output", "rows.txt"
    )
    assert done.stdout == b""
    text = (tmp_path / "rows.txt").read_text()
    count = text.count("<TR>") if name == "votable" else len(text.splitlines()) - 1
    assert count == 4


def test_links_of_two_datasets_and_a_wrong_one(sample: Sample, image_id: str) -> None:
    uuid = image_id[-36:]
    repo = str(sample.repositories["sample"])
    done = subprocess.run(
        [BUTLER, "vo", "links", repo, uuid, f"butler://sample/{uuid}", "no"],
        capture_output=True,
        timeout=240,
        check=False,
    )
    # The document is complete; status and one line tell of the wrong one.
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("Error: ID='no' is no identifier of a dataset; give ")
    root = ET.fromstring(done.stdout)
    names = [item.get("name") for item in root.iter(f"{VOT}FIELD")]
    rows = [dict(zip(names, [cell.text for cell in row], strict=True)) for row in root.iter(f"{VOT}TR")]
    these = [row for row in rows if row["semantics"] == "#this"]
    assert [row["ID"] for row in these] == [uuid, f"butler://sample/{uuid}", "no"]
    assert Path((these[0]["access_url"] or "").removeprefix("file://")).is_file()
    assert (these[2]["error_message"] or "").startswith("UsageFault: ")


def test_cutout_of_a_dataset_is_the_pixels_of_its_file(
    run: Run, sample: Sample, image_id: str, place: tuple[float, float], tmp_path: Path
) -> None:
    uuid = UUID(image_id[-36:])
    circle = f"{place[0]} {place[1]} 0.002"
    done = run(
        "cutout", str(sample.repositories["sample"]), str(uuid), "--circle", circle, "--detail", "Exposure",
        "-o", "cut.fits",
    )  # fmt: skip
    assert done.stdout.startswith(b"Wrote cut.fits: ")
    assert [path.name for path in tmp_path.iterdir()] == ["cut.fits"]
    with Butler.from_config(str(sample.repositories["sample"]), writeable=False) as butler:
        ref = butler.get_dataset(uuid)
        assert ref is not None
        path = butler.getURI(ref).ospath
    ours = read_archive(ResourcePath(str(tmp_path / "cut.fits")))
    whole = read_archive(ResourcePath(path))
    np.testing.assert_array_equal(ours.image.array, whole.image[ours.bbox].array)


def test_cutout_of_a_file_by_pixels(run: Run, tmp_path: Path) -> None:
    pixels = np.arange(20 * 30, dtype="i2").reshape(20, 30)
    fits.PrimaryHDU(pixels).writeto(tmp_path / "plain.fits")
    run("cutout", "--file", "plain.fits", "--pixels", "3 9 4 5", "-o", "cut.fits")
    with fits.open(tmp_path / "cut.fits") as hdus:
        np.testing.assert_array_equal(hdus[0].data, pixels[4:6, 3:10])


def test_backends_of_one_file_give_the_same_pixels(
    run: Run, sample: Sample, image_id: str, tmp_path: Path
) -> None:
    with Butler.from_config(str(sample.repositories["sample"]), writeable=False) as butler:
        ref = butler.get_dataset(UUID(image_id[-36:]))
        assert ref is not None
        path = butler.getURI(ref).ospath
    found = {}
    for backend in ("auto", "images", "FITS"):
        run("cutout", "--file", path, "--pixels", "9 40 9 30", "--backend", backend, "-o", f"{backend}.fits")
        with fits.open(tmp_path / f"{backend}.fits") as hdus:
            found[backend] = (hdus["IMAGE"].data, "JSON" in hdus)
    np.testing.assert_array_equal(found["images"][0], found["FITS"][0])
    np.testing.assert_array_equal(found["images"][0], found["auto"][0])
    # One reads it as an object, with its tree; the other as FITS like any,
    # and what it makes is that: no pointers lead to what is not there.
    assert [found[name][1] for name in found] == [True, True, False]
    run("cutout", "--file", "FITS.fits", "--pixels", "10 12 10 12", "-o", "again.fits")
    with fits.open(tmp_path / "again.fits") as hdus:
        np.testing.assert_array_equal(hdus["IMAGE"].data, found["FITS"][0][1:4, 1:4])


def test_cutout_of_a_url(run: Run, shelf: tuple[Path, str], tmp_path: Path) -> None:
    folder, host = shelf
    pixels = np.arange(20 * 30, dtype="i2").reshape(20, 30)
    fits.PrimaryHDU(pixels).writeto(folder / "away.fits", overwrite=True)
    run("cutout", "--file", f"http://{host}/away.fits", "--pixels", "3 9 4 5", "-o", "cut.fits")
    with fits.open(tmp_path / "cut.fits") as hdus:
        np.testing.assert_array_equal(hdus[0].data, pixels[4:6, 3:10])


def test_service_command_and_function_give_the_same_bytes(
    run: Run, sample: Sample, base_url: str, image_id: str, place: tuple[float, float], tmp_path: Path
) -> None:
    circle = f"{place[0]} {place[1]} 0.002"
    repository = sample.repositories["sample"]
    pairs = [("CIRCLE", circle), ("CUTOUTDETAIL", "Exposure"), ("OUTSIDE", "mask")]
    served = requests.get(f"{base_url}/api/cutout/sync", params=[("ID", image_id), *pairs], timeout=60)
    assert served.status_code == 200
    run(
        "cutout", str(repository), image_id[-36:], "--circle", circle, "--detail", "Exposure",
        "--outside", "mask", "-o", "cut.fits",
    )  # fmt: skip
    found = cut_dataset(repository, image_id[-36:], pairs)
    assert found is not None
    contents = [served.content, (tmp_path / "cut.fits").read_bytes(), found.content]
    # But for the time of the cut.
    assert len({re.sub(rb"(DATE(-CUT)?) *= *'[^']*'", rb"\1", content) for content in contents}) == 1


def test_many_cutouts_into_a_folder_or_a_package(run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        fits.PrimaryHDU(np.full((20, 30), ord(name), dtype="i2")).writeto(tmp_path / f"{name}.fits")
    several = ("--file", "a.fits", "--file", "b.fits", "--pixels", "3 9 4 5", "--pixels", "0 0 0 0")
    (tmp_path / "cuts").mkdir()
    done = run("cutout", *several, "-o", "cuts")
    assert len(done.stdout.splitlines()) == 4
    names = sorted(path.name for path in (tmp_path / "cuts").iterdir())
    assert names == [
        "0001_a_3_4_7x2.fits",
        "0002_a_0_0_1x1.fits",
        "0003_b_3_4_7x2.fits",
        "0004_b_0_0_1x1.fits",
    ]
    run("cutout", *several, "--format", "tar", "-o", "cuts.tar")
    with tarfile.open(tmp_path / "cuts.tar") as archive:
        assert archive.getnames() == [name.lstrip("0") for name in names] + ["products.csv"]
        first = archive.extractfile("1_a_3_4_7x2.fits")
        assert first is not None
        with fits.open(io.BytesIO(first.read())) as hdus:
            np.testing.assert_array_equal(hdus[0].data, np.full((2, 7), ord("a")))


def test_picture_of_one_of_several_images_in_a_file(run: Run, tmp_path: Path) -> None:
    planes = [fits.ImageHDU(np.full((5, 6 + n), n, dtype="f4"), name=name) for n, name in enumerate("XY")]
    fits.HDUList([fits.PrimaryHDU(), *planes]).writeto(tmp_path / "two.fits")
    run(
        "cutout", "--file", "two.fits", "--hdu", "Y", "--pixels", "0 +Inf 0 +Inf", "--format", "png",
        "--stretch", "linear", "--limits", "0 2", "--colormap", "viridis", "-o", "y.png",
    )  # fmt: skip
    assert (tmp_path / "y.png").read_bytes().startswith(b"\x89PNG")


def test_repository_by_label(run: Run, sample: Sample, image_id: str) -> None:
    repositories = {label: str(path) for label, path in sample.repositories.items()}
    done = run("links", "sample", image_id[-36:], DAF_BUTLER_REPOSITORIES=json.dumps(repositories))
    assert b"file://" in done.stdout


def test_serve_get_prints_one_answer(run: Run, sample_arguments: list[str]) -> None:
    path = "/api/sia/query?POS=CIRCLE 55.7467 -32.2862 0.01&MAXREC=3&RESPONSEFORMAT=csv"
    rows = list(csv.DictReader(io.StringIO(run("serve", *sample_arguments, "--get", path).stdout.decode())))
    assert len(rows) == 3
    assert rows[0]["access_url"].startswith("http://localhost/api/datalink/links?ID=")


def test_serve_without_a_store_makes_the_table(run: Run, sample: Sample) -> None:
    done = run("serve", str(sample.repositories["dp02"]), "--get", "/health")
    document = json.loads(done.stdout)
    assert document["status"] == "healthy"
    assert document["rows"]["dp02"] > 0


def test_serve_makes_a_missing_store_and_keeps_it(run: Run, sample: Sample, tmp_path: Path) -> None:
    arguments = ["serve", str(sample.repositories["dp02"]), "--store", "new.store"]
    made = run(*arguments, "--obscore", str(sample.configurations["dp02"]), "--get", "/health")
    assert (tmp_path / "new.store").exists()
    assert run(*arguments, "--get", "/health").stdout == made.stdout


def test_serve_by_configuration(run: Run, sample: Sample, tmp_path: Path) -> None:
    (tmp_path / "service.yaml").write_text(
        "publisher: Example Observatory\n"
        f"repositories:\n- {{repo: {sample.repositories['dp02']}, store: {sample.store('dp02')}}}\n"
    )
    path = "/api/sia/dp02/query?MAXREC=0"
    done = run("serve", "--config", "service.yaml", "--get", path, DAX_VO_CONTACT="help@example.org")
    assert b'name="publisher" value="Example Observatory"' in done.stdout
    assert b"help@example.org" in done.stdout
