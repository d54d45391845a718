"""Several IDs and shapes in one request: filters, packages, pictures in colour, and jobs."""

import csv
import io
import socket
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from lsst.images.serialization import write_archive
from lsst.resources import ResourcePath
from PIL import Image

from lsst.dax.vo.dali import ParamSet, Response
from lsst.dax.vo.errors import NotFoundError, TransientError, UsageError, VoError
from lsst.dax.vo.soda import (
    Cutout,
    CutoutCache,
    CutoutSource,
    Extent,
    PooledRunner,
    SodaService,
    WorkerPool,
)
from lsst.dax.vo.testing import IMAGE_XY0, make_image_header, write_afw_file
from lsst.dax.vo.testing.lsst_images import make_masked_image
from lsst.dax.vo.uws import Job, JobLimits, JobService, Phase

X0, Y0 = IMAGE_XY0
RA_DEG, DEC_DEG = (float(value) for value in WCS(make_image_header(sip=True)).all_pix2world([[40, 30]], 0)[0])
CIRCLE = f"{RA_DEG!r} {DEC_DEG!r} 0.0004"
FAR = f"{RA_DEG - 359!r} {DEC_DEG!r} 0.0004"
NOW_S = 1_800_000_000.0
NAMES = ("one", "two", "three", "lost")
EXTENTS = {
    "one": Extent(5e-7, 6e-7, 60000.0, 60000.5, ("I",)),
    "two": Extent(7e-7, 8e-7, 60001.0, 60001.5, ("Q", "U")),
}


@pytest.fixture(scope="module")
def locate(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[CutoutSource | VoError]]:
    """Return the files of three datasets; that of a fourth is gone."""
    folder = tmp_path_factory.mktemp("images")
    for name in NAMES[:3]:
        write_afw_file(folder / f"{name}.fits", "GZIP_2")

    def find(text: str, needs_extent: bool) -> CutoutSource | VoError:
        if text.startswith("http"):
            return CutoutSource(ResourcePath(text), UUID(int=99))
        if text not in NAMES:
            return NotFoundError(f"there is no {text}")
        uri = ResourcePath(str(folder / f"{text}.fits"))
        extent = EXTENTS.get(text) if needs_extent else None
        return CutoutSource(uri, UUID(int=NAMES.index(text)), "calexp", {"visit": 1}, extent)

    return lambda texts, needs_extent: [find(text, needs_extent) for text in texts]


@pytest.fixture
def service(locate: Callable[..., list[CutoutSource | VoError]]) -> SodaService:
    return SodaService(locate, version="1", clock=lambda: NOW_S)


def params(*pairs: tuple[str, str]) -> ParamSet:
    return ParamSet.from_pairs(pairs)


def body_of(response: Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b"".join(response.body)


def sync(service: SodaService, *pairs: tuple[str, str]) -> Response:
    return service.sync(params(*pairs))


@pytest.mark.parametrize(
    ("pairs", "status"),
    [
        ((("BAND", "5.5e-7"),), 200),
        ((("BAND", "6e-7 9e-7"),), 200),
        ((("BAND", "6.1e-7 9e-7"),), 204),
        ((("BAND", "-Inf +Inf"),), 200),
        ((("TIME", "60000.2 60000.3"),), 200),
        ((("TIME", "60000.6 60001"),), 204),
        ((("POL", "Q"), ("POL", "I")), 200),
        ((("POL", "Q"), ("POL", "U")), 204),
        # All filters hold.
        ((("BAND", "5.5e-7"), ("TIME", "60000.2"), ("POL", "I")), 200),
        ((("BAND", "5.5e-7"), ("TIME", "60001.2"), ("POL", "I")), 204),
    ],
)
def test_filters_take_the_image_or_nothing(
    service: SodaService, pairs: Sequence[tuple[str, str]], status: int
) -> None:
    response = sync(service, ("ID", "one"), ("CIRCLE", CIRCLE), *pairs)
    assert response.status == status
    if status == 200:
        alone = sync(service, ("ID", "one"), ("CIRCLE", CIRCLE))
        with (
            fits.open(io.BytesIO(body_of(response))) as ours,
            fits.open(io.BytesIO(body_of(alone))) as wanted,
        ):
            np.testing.assert_array_equal(ours[1].data, wanted[1].data)
    else:
        assert (response.body, response.media_type) == (b"", "")


def test_filter_without_shape_is_the_whole_image(service: SodaService) -> None:
    with fits.open(io.BytesIO(body_of(sync(service, ("ID", "one"), ("BAND", "5.5e-7"))))) as hdus:
        assert hdus[1].data.shape == (72, 80)


def test_filter_asks_the_header_of_a_dataset_without_a_row(service: SodaService, locate: Callable) -> None:
    """The files of these tests have no such cards."""
    response = sync(service, ("ID", "three"), ("CIRCLE", CIRCLE), ("TIME", "60000"))
    assert (response.status, body_of(response).split(b":")[0]) == (400, b"UsageError")
    path = locate(["three"], False)[0].uri.ospath
    with fits.open(path, mode="update", disable_image_compression=True) as hdus:
        hdus[0].header["MJD-BEG"], hdus[0].header["MJD-END"] = 60000.0, 60000.1
    try:
        for time, status in (("60000.05", 200), ("60000.2", 204)):
            assert sync(service, ("ID", "three"), ("CIRCLE", CIRCLE), ("TIME", time)).status == status
    finally:
        with fits.open(path, mode="update", disable_image_compression=True) as hdus:
            del hdus[0].header["MJD-BEG"], hdus[0].header["MJD-END"]


SEVERAL = (("ID", "one"), ("ID", "two"), ("ID", "lost"), ("ID", "?"), ("CIRCLE", CIRCLE), ("CIRCLE", FAR))
STATUSES = ["OK", "NoContent", "OK", "NoContent", *["UsageError"] * 4]


def singles(service: SodaService, *pairs: tuple[str, str]) -> list[bytes]:
    """Return the cutouts of the two datasets, each asked for alone."""
    return [body_of(sync(service, ("ID", name), ("CIRCLE", CIRCLE), *pairs)) for name in ("one", "two")]


def check_table(content: bytes) -> None:
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert [row["product"] for row in rows] == [str(number) for number in range(1, 9)]
    assert [row["status"] for row in rows] == STATUSES
    assert rows[0]["request"] == f"ID=one CIRCLE {CIRCLE}"
    assert "there is no ?" in rows[6]["message"]
    assert [bool(row["file"]) for row in rows] == [status == "OK" for status in STATUSES]


@pytest.mark.parametrize("form", ["tar", "application/x-tar"])
def test_tar(service: SodaService, form: str) -> None:
    response = sync(service, *SEVERAL, ("RESPONSEFORMAT", form))
    assert (response.status, response.media_type) == (200, "application/x-tar")
    assert 'filename="cutouts.tar"' in response.headers["Content-Disposition"]
    with tarfile.open(fileobj=io.BytesIO(body_of(response)), mode="r:") as archive:
        names = archive.getnames()
        contents = [archive.extractfile(name).read() for name in names]  # type: ignore[union-attr]
        assert all(member.mtime == NOW_S for member in archive.getmembers())
    assert [name[:5] for name in names] == ["1_one", "3_two", "produ"]
    assert contents[:2] == singles(service)
    check_table(contents[2])


def test_zip(service: SodaService) -> None:
    detail = ("CUTOUTDETAIL", "MaskedImage")
    response = sync(service, *SEVERAL, ("RESPONSEFORMAT", "zip"), detail)
    assert (response.status, response.media_type) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(body_of(response))) as archive:
        assert archive.testzip() is None
        contents = [archive.read(name) for name in archive.namelist()]
    assert contents[:2] == singles(service, detail)
    check_table(contents[2])


def test_zip_of_pictures(service: SodaService) -> None:
    response = sync(service, *SEVERAL, ("RESPONSEFORMAT", "application/zip; content=png"))
    assert (response.status, response.media_type) == (200, "application/zip;content=png")
    with zipfile.ZipFile(io.BytesIO(body_of(response))) as archive:
        pictures = [name for name in archive.namelist() if name.endswith(".png")]
        sizes = [Image.open(io.BytesIO(archive.read(name))).size for name in pictures]
    assert sizes == [(15, 15), (15, 15)]


def test_one_fits_file_with_all_planes(service: SodaService, tmp_path: Path) -> None:
    detail = ("CUTOUTDETAIL", "MaskedImage")
    response = sync(service, *SEVERAL, ("RESPONSEFORMAT", "mef"), detail)
    assert (response.status, response.media_type) == (200, "application/fits;content=mef")
    path = tmp_path / "all.fits"
    path.write_bytes(body_of(response))
    with fits.open(path) as hdus:
        hdus.verify("exception")
        for number, single in ((1, 0), (3, 1)):
            with fits.open(io.BytesIO(singles(service, detail)[single])) as alone:
                for name in ("IMAGE", "MASK", "VARIANCE"):
                    ours, wanted = hdus[name, number], alone[name]
                    np.testing.assert_array_equal(ours.data, wanted.data)
                    kept = [key for key in wanted.header if key not in ("EXTVER", "COMMENT", "HISTORY", "")]
                    assert {key: ours.header.get(key) for key in kept} == {
                        key: wanted.header[key] for key in kept
                    }
                assert hdus["CUTOUT", number].header["BTLRUUID"] == alone[0].header["BTLRUUID"]
        table = hdus["PRODUCTS"].data
        assert list(table["STATUS"]) == STATUSES
        assert table["VERSION"][2] == "EXTVER=3"
        assert len(hdus) == 2 + 2 * 4


def test_one_fits_file_has_no_complete_exposures(service: SodaService) -> None:
    """Each would be found by its place in the file, of which there is one."""
    exposures = (("RESPONSEFORMAT", "mef"), ("CUTOUTDETAIL", "Exposure"))
    response = sync(service, *SEVERAL, *exposures)
    assert response.status == 400
    assert b"ask for CUTOUTDETAIL=MaskedImage, or for RESPONSEFORMAT=tar" in body_of(response)
    assert sync(service, *SEVERAL, ("RESPONSEFORMAT", "tar"), exposures[1]).status == 200


def test_one_fits_file_of_objects_has_no_pointers(tmp_path: Path) -> None:
    path = tmp_path / "masked.fits"
    write_archive(make_masked_image(), path)

    def locate(texts: Sequence[str], _: bool) -> list[CutoutSource | VoError]:
        return [CutoutSource(ResourcePath(str(path))) for _ in texts]

    service = SodaService(locate, version="1")
    response = sync(service, ("ID", "x"), ("PIXELS", "1010 1030 -20 5"), ("RESPONSEFORMAT", "mef"))
    with fits.open(io.BytesIO(body_of(response))) as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "CUTOUT", "IMAGE", "PRODUCTS"]
        assert not {"DATAMODL", "INDXADDR", "JSONADDR"} & set(hdus["CUTOUT"].header)


def test_package_ends_with_its_client(
    locate: Callable[..., list[CutoutSource | VoError]], tmp_path: Path
) -> None:
    """The first file is there; the others are at a host that never answers."""
    pool = WorkerPool(2, seconds=60, memory_bytes=1 << 30)
    runner = PooledRunner(pool, CutoutCache(tmp_path, 10**7), "1")
    service = SodaService(locate, version="1", runner=runner)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/image.fits"
        asked = params(("ID", "one"), ("ID", url), ("CIRCLE", CIRCLE), ("RESPONSEFORMAT", "tar"))
        response = service.sync(asked)
        assert response.status == 200
        chunks = iter(response.body)  # type: ignore[arg-type]
        header = next(chunks)
        assert header.startswith(b"1_one")  # type: ignore[arg-type, union-attr]
        threading.Timer(0.3, response.cancel).start()
        with pytest.raises(TransientError, match="Nobody waits"):
            list(chunks)
    assert len(pool._idle) == 2
    service.close()


def test_package_of_nothing(service: SodaService) -> None:
    tar = ("RESPONSEFORMAT", "tar")
    empty = sync(service, ("ID", "one"), ("ID", "two"), ("CIRCLE", FAR), tar)
    assert (empty.status, empty.body) == (204, b"")
    failed = sync(service, ("ID", "lost"), ("ID", "?"), ("CIRCLE", CIRCLE), tar)
    assert (failed.status, failed.media_type) == (404, "text/plain; charset=utf-8")


def test_three_datasets_are_the_colours_of_one_picture(service: SodaService) -> None:
    three = [("ID", name) for name in ("one", "two", "three")]
    response = sync(service, *three, ("CIRCLE", CIRCLE), ("RESPONSEFORMAT", "image/png"))
    assert (response.status, response.media_type) == (200, "image/png")
    assert response.headers["Content-Disposition"].endswith('.png"')
    picture = Image.open(io.BytesIO(body_of(response)))
    assert (picture.size, picture.mode[:3]) == ((15, 15), "RGB")
    # Two are two pictures, which one answer cannot hold.
    assert sync(service, *three[:2], ("CIRCLE", CIRCLE), ("RESPONSEFORMAT", "png")).status == 400
    lost = sync(service, *three[:2], ("ID", "lost"), ("CIRCLE", CIRCLE), ("RESPONSEFORMAT", "png"))
    assert lost.status == 404


def test_pixels_outside_are_nan_or_transparent(service: SodaService) -> None:
    pairs = (("ID", "one"), ("CIRCLE", CIRCLE), ("OUTSIDE", "nan"))
    with fits.open(io.BytesIO(body_of(sync(service, *pairs)))) as hdus:
        outside = np.isnan(hdus[1].data)
    assert 0 < outside.sum() < outside.size
    picture = Image.open(io.BytesIO(body_of(sync(service, *pairs, ("RESPONSEFORMAT", "png")))))
    np.testing.assert_array_equal(np.asarray(picture)[::-1, :, -1] == 0, outside)


def test_each_file_is_opened_once(service: SodaService, monkeypatch: pytest.MonkeyPatch) -> None:
    from lsst.dax.vo.soda import backends

    opened = []
    real = backends.open_image

    def count(uri: ResourcePath, *args: object, **options: object) -> object:
        opened.append(uri.basename())
        return real(uri, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(backends, "open_image", count)
    boxes = [("PIXELS", f"{X0 + i} {X0 + i} {Y0} {Y0}") for i in range(20)]
    outcomes = list(service.cut(params(("ID", "one"), ("ID", "two"), *boxes)))
    assert sum(isinstance(outcome, Cutout) for _, outcome in outcomes) == 40
    assert opened == ["one.fits", "two.fits"]


@pytest.fixture
def jobs(locate: Callable[..., list[CutoutSource | VoError]], tmp_path: Path) -> Iterator[JobService]:
    """Run jobs with processes of their own."""
    pool = WorkerPool(3, seconds=60, memory_bytes=1 << 30)
    runner = PooledRunner(pool, CutoutCache(tmp_path / "cutouts", 10**7), "1")
    service = SodaService(locate, version="1", runner=runner, max_products=100, clock=lambda: NOW_S)
    jobs = JobService(
        tmp_path / "jobs",
        service.run_job,
        service.describe_error,
        limits=JobLimits(60, 60, 600, 600, 2),
    )
    jobs.start()
    yield jobs
    jobs.close()
    service.close()


def run(jobs: JobService, *pairs: tuple[str, str]) -> Job:
    """Run a job to its end."""
    job_id = jobs.create(pairs, {}, base_url="http://h").job_id
    changed = threading.Event()
    end = jobs.listen(job_id, changed.set)
    jobs.run(job_id)
    for _ in range(600):
        job = jobs.find(job_id)
        if job.phase not in (Phase.QUEUED, Phase.EXECUTING):
            end()
            return job
        changed.wait(0.1)
        changed.clear()
    raise AssertionError(f"still {job.phase}")


def results(jobs: JobService, job: Job) -> dict[str, tuple[str, bytes]]:
    return {
        item.result_id: (item.media_type, jobs.result_path(job, item.result_id).read_bytes())
        for item in job.results
    }


def test_job_has_a_result_for_each_product(jobs: JobService, service: SodaService) -> None:
    job = run(jobs, *SEVERAL)
    assert job.phase is Phase.COMPLETED
    found = results(jobs, job)
    assert sorted(found) == [f"cutout-{number}" for number in range(1, 9)]
    for number, status in enumerate(STATUSES, start=1):
        media_type, content = found[f"cutout-{number}"]
        assert media_type == ("application/fits" if status == "OK" else "text/plain; charset=utf-8")
        if status != "OK":
            assert content.startswith(b"UsageError: ")
            assert content.endswith(b")\n")
    assert [found[name][1] for name in ("cutout-1", "cutout-3")] == singles(service)
    assert b"No pixel" in found["cutout-2"][1]
    assert f"(ID=one CIRCLE {FAR})".encode() in found["cutout-2"][1]
    assert all(item.size == len(found[item.result_id][1]) for item in job.results)


def test_identical_jobs_share_one_file_and_keep_their_own(jobs: JobService) -> None:
    first, second = (run(jobs, ("ID", "one"), ("CIRCLE", CIRCLE)) for _ in range(2))
    assert [item.result_id for item in first.results] == ["cutout"]
    paths = [jobs.result_path(job, "cutout") for job in (first, second)]
    assert paths[0].samefile(paths[1])
    jobs.delete(first.job_id)
    assert paths[1].read_bytes().startswith(b"SIMPLE")


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        ((("ID", "one"),), "stencil is missing"),
        ((("ID", "?"), ("CIRCLE", CIRCLE)), "there is no ?"),
        ((("ID", "lost"), ("ID", "?"), ("CIRCLE", CIRCLE)), "lost.fits"),
        ((("ID", "one"), *[("CIRCLE", CIRCLE)] * 101), "at most 100"),
        ((("ID", "one"), ("CIRCLE", FAR), ("RESPONSEFORMAT", "tar")), "No pixel"),
    ],
)
def test_job_of_which_nothing_is_left_fails(
    jobs: JobService, pairs: Sequence[tuple[str, str]], told: str
) -> None:
    job = run(jobs, *pairs)
    assert job.phase is Phase.ERROR
    assert job.error is not None
    assert told in job.error.message
    assert job.error.media_type == "text/plain; charset=utf-8"
    assert job.error.document.startswith(b"UsageError: ")


def test_job_without_pixels_is_no_failure(jobs: JobService) -> None:
    job = run(jobs, ("ID", "one"), ("CIRCLE", FAR))
    assert job.phase is Phase.COMPLETED
    assert results(jobs, job)["cutout"][1].startswith(b"UsageError: No pixel")


@pytest.mark.parametrize("end", ["abort", "delete", "time"])
def test_job_that_takes_long_can_be_ended(jobs: JobService, end: str) -> None:
    """The file of its dataset is at a host that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as stack:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/image.fits"
        pairs = (("ID", url), ("CIRCLE", CIRCLE))
        job_id = jobs.create(pairs, {}, base_url="http://h", execution_s=1 if end == "time" else 60).job_id
        jobs.run(job_id)
        if end == "time":
            # On a busy machine the second is over before anybody connects.
            until(lambda: jobs.find(job_id).phase is Phase.ERROR)
        else:
            server.settimeout(60)
            stack.enter_context(server.accept()[0])
            (jobs.abort if end == "abort" else jobs.delete)(job_id)
        until(lambda: jobs.running == 0)
        if end == "delete":
            with pytest.raises(NotFoundError):
                jobs.find(job_id)
        else:
            job = jobs.find(job_id)
            assert job.phase is (Phase.ABORTED if end == "abort" else Phase.ERROR)
        if end == "time":
            assert job.error is not None
            assert job.error.message.startswith("The job took more than 1 s")
    # What it held is free again.
    assert run(jobs, ("ID", "one"), ("CIRCLE", CIRCLE)).phase is Phase.COMPLETED


def until(is_so: Callable[[], bool]) -> None:
    for _ in range(600):
        if is_so():
            return
        time.sleep(0.05)
    raise AssertionError("it does not come about")


def test_job_makes_a_package(jobs: JobService) -> None:
    job = run(jobs, *SEVERAL, ("RESPONSEFORMAT", "tar"))
    assert job.phase is Phase.COMPLETED
    ((name, (media_type, content)),) = results(jobs, job).items()
    assert (name, media_type) == ("cutouts", "application/x-tar")
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        assert len(archive.getnames()) == 3
        check_table(archive.extractfile("products.csv").read())  # type: ignore[union-attr]


def test_defect_of_one_is_told_without_its_text() -> None:
    def locate(texts: Sequence[str], _: bool) -> list[CutoutSource | VoError]:
        raise UsageError(f"no {texts[0]}")

    response = SodaService(locate, version="1").sync(params(("ID", "x"), ("CIRCLE", CIRCLE)))
    assert (response.status, body_of(response)) == (400, b"UsageError: no x\n")
