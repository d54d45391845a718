"""Files on a web server and in an object store: what is asked of it."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from lsst.resources import ResourcePath

from lsst.dax.vo.dali import Circle
from lsst.dax.vo.errors import NotFoundError, TransientError, UnsupportedError, VoError
from lsst.dax.vo.soda import Detail, PixelBox, cut
from lsst.dax.vo.soda.backends import open_image
from lsst.dax.vo.soda.backends._fits_file import FitsFile
from lsst.dax.vo.soda.backends._open import open_source
from lsst.dax.vo.testing import RangeServer, make_image_header, write_afw_file

SIZE = 2048
DATA = Path(os.environ.get("DAX_VO_TEST_DATA", Path(__file__).parents[4] / "shared/data"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write exposures of three planes: rows uncompressed, rows of Rice, tiles."""
    folder = tmp_path_factory.mktemp("server") / "bucket"
    folder.mkdir()
    rng = np.random.default_rng(1)
    planes = {
        "IMAGE": rng.normal(100, 10, (SIZE, SIZE)).astype("f4"),
        "MASK": (rng.random((SIZE, SIZE)) < 0.01).astype("i4") * 4,
        "VARIANCE": rng.normal(100, 1, (SIZE, SIZE)).astype("f4"),
    }
    layouts = {"plain": None, "rows": (1, SIZE), "tiles": (256, 256)}
    for name, tile in layouts.items():
        hdus = [fits.PrimaryHDU()]
        for plane, data in planes.items():
            header = make_image_header(sip=True)
            header["EXTTYPE"] = plane
            if tile is None:
                hdus.append(fits.ImageHDU(data, header, name=plane))
            else:
                hdus.append(
                    fits.CompImageHDU(data, header, name=plane, compression_type="RICE_1", tile_shape=tile)
                )
        fits.HDUList(hdus).writeto(folder / f"{name}.fits")
    write_afw_file(folder / "small.fits")
    (folder / "small.fits.gz").write_bytes(gzip.compress((folder / "small.fits").read_bytes()))
    (folder / "short.fits").write_bytes((folder / "plain.fits").read_bytes()[:40_000_000])
    (folder / "empty.fits").write_bytes(b"")
    (folder / "pointer.fits").write_bytes(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    )
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[RangeServer]:
    with RangeServer(folder.parent).running() as server:
        yield server


@pytest.fixture(params=["http", "s3"])
def root(request: pytest.FixtureRequest, server: RangeServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the address under which the files are."""
    if request.param == "http":
        return f"{server.url}/bucket"
    pytest.importorskip("boto3")
    monkeypatch.setenv("S3_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return "s3://bucket"


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    return request.node.nodeid


def content(uri: str, box: PixelBox, key: str | None, detail: Detail = Detail.EXPOSURE) -> bytes:
    with open_image(ResourcePath(uri), key) as image:
        return b"".join(image.cut(box, detail, ()))


@pytest.mark.parametrize("name", ["plain", "rows", "tiles"])
def test_second_cutout_costs_its_pixels(
    server: RangeServer, root: str, folder: Path, name: str, key: str
) -> None:
    """Three requests at the same time, one a plane, and nothing else."""
    for turn, at in enumerate((1000, 1300, 400)):
        box = PixelBox(at, at + 99, at + 50, at + 149)
        server.clear()
        server.at_once = 3 if turn else 1
        found = content(f"{root}/{name}.fits", box, key)
        assert found == content(str(folder / f"{name}.fits"), box, None)
        gets = [request for request in server.requests if request[0] == "GET"]
        if turn == 0:
            # Size and first HDU, the other HDUs, and pixels.
            assert len(server.requests) <= 12
            assert server.bytes_sent < 3 * 2_100_000 + 4_300_000
        else:
            assert len(gets) == len(server.requests)
            # A box of 100 rows is one range of each plane; two runs of
            # tiles may lie further apart than another request costs.
            assert len(gets) <= 6
            assert server.most_at_once >= 3
            wanted = {"plain": 3 * 100 * SIZE * 4, "rows": 900_000, "tiles": 700_000}[name]
            assert server.bytes_sent <= wanted


def test_pieces_of_a_large_box_are_read_together(server: RangeServer, root: str, folder: Path) -> None:
    """Of about two megabytes each."""
    with open_image(ResourcePath(f"{root}/plain.fits"), "pieces") as image:
        assert image.box.width == SIZE
    server.clear()
    server.at_once = 4
    box = PixelBox(0, SIZE - 1, 100, 1499)
    assert content(f"{root}/plain.fits", box, "pieces", Detail.IMAGE) == content(
        str(folder / "plain.fits"), box, None, Detail.IMAGE
    )
    sizes = [count for method, _, _, count in server.requests if method == "GET"]
    assert max(sizes) <= 2880 * 728
    assert sum(size == 2880 * 728 for size in sizes) >= 5
    assert server.most_at_once >= 4
    assert sum(sizes) == 1400 * SIZE * 4


def test_headers_are_read_together(server: RangeServer, root: str, folder: Path) -> None:
    """Where something says where they are, as an index at the end of a file."""
    with open_source(ResourcePath(str(folder / "plain.fits"))) as source:
        offsets = [hdu.offset for hdu in FitsFile(source).hdus()]
    with open_source(ResourcePath(f"{root}/plain.fits")) as source:
        file = FitsFile(source)
        server.clear()
        server.at_once = 2
        found = file.hdus_at(offsets)
    assert [hdu.header.text("EXTTYPE") for hdu in found] == ["", "IMAGE", "MASK", "VARIANCE"]
    assert len(server.requests) == 2


def test_without_a_key_nothing_is_remembered(server: RangeServer, root: str) -> None:
    box = PixelBox(10, 20, 10, 20)
    content(f"{root}/tiles.fits", box, None)
    first = len(server.requests)
    server.clear()
    content(f"{root}/tiles.fits", box, None)
    assert len(server.requests) == first


def test_wcs_is_remembered(server: RangeServer, root: str, key: str) -> None:
    """A stencil asks for no more than a box."""
    path = next((DATA / "fits/afw").glob("obs_base_calexp.fits"), None)
    if path is None:
        pytest.skip("no calexp with an archive; set DAX_VO_TEST_DATA")
    copy = server.folder / "bucket/calexp.fits"
    copy.write_bytes(path.read_bytes())
    for turn in range(2):
        server.clear()
        with open_image(ResourcePath(f"{root}/calexp.fits"), key) as image:
            box = image.box
            lon, lat = image.projection().to_sky(np.array([box.x0 + 9.0]), np.array([box.y0 + 9.0]))
            parts = image.cut(PixelBox(box.x0, box.x0, box.y0, box.y0), Detail.EXPOSURE, ())
        assert np.isfinite(lon[0] + lat[0])
        assert b"".join(parts) == content(str(path), PixelBox(box.x0, box.x0, box.y0, box.y0), None)
        if turn:
            # The archive is kept, too.
            assert [method for method, *_ in server.requests] == ["GET"] * len(server.requests)
            assert len(server.requests) <= 3
            assert server.bytes_sent < 100_000


def test_small_files_are_read_at_once(server: RangeServer, root: str, folder: Path) -> None:
    circle = Circle(359.9995, -32.3, 0.001)
    found = cut(f"{root}/small.fits", circle, detail=Detail.EXPOSURE)
    assert found.content == cut(str(folder / "small.fits"), circle, detail=Detail.EXPOSURE).content
    assert sum(method == "GET" for method, *_ in server.requests) == 1


def test_compressed_as_a_whole(root: str, folder: Path, key: str) -> None:
    """Nothing of an archive is remembered under the places in its content."""
    box = PixelBox(1003, 1009, -30, -20)
    for _ in range(2):
        assert content(f"{root}/small.fits.gz", box, key) == content(str(folder / "small.fits"), box, None)


def test_webdav(server: RangeServer, folder: Path, key: str) -> None:
    """Read by the handles of lsst.resources, which keep blocks of their own."""
    root = f"dav://127.0.0.1:{server.port}/bucket"
    for at in (1000, 200):
        box = PixelBox(at, at + 9, at, at + 9)
        server.clear()
        found = content(f"{root}/tiles.fits", box, key)
        assert found == content(str(folder / "tiles.fits"), box, None)
    assert sum(method == "GET" for method, *_ in server.requests) == 3
    with pytest.raises(NotFoundError, match=r"no file 'missing\.fits'"):
        content(f"{root}/missing.fits", box, None)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("missing.fits", NotFoundError, r"no file 'missing\.fits'"),
        ("short.fits", UnsupportedError, "is cut short or damaged"),
        ("empty.fits", UnsupportedError, "is empty"),
        ("pointer.fits", UnsupportedError, "is a Git LFS pointer"),
    ],
)
def test_files_that_cannot_be_cut(root: str, name: str, error: type[VoError], message: str, key: str) -> None:
    for _ in range(2):
        with pytest.raises(error, match=message):
            content(f"{root}/{name}", PixelBox(0, 9, 0, 9), key)


def test_file_that_went_away(root: str, folder: Path, key: str) -> None:
    """What is remembered does not outlive the file."""
    copy = folder / "going.fits"
    copy.write_bytes((folder / "tiles.fits").read_bytes())
    box = PixelBox(10, 20, 10, 20)
    content(f"{root}/going.fits", box, key)
    copy.unlink()
    for _ in range(2):
        with pytest.raises(NotFoundError, match=r"no file 'going\.fits'"):
            content(f"{root}/going.fits", PixelBox(900, 1000, 900, 1000), key)
    copy.write_bytes((folder / "small.fits").read_bytes())
    box = PixelBox(1003, 1009, -30, -20)
    assert content(f"{root}/going.fits", box, key) == content(str(folder / "small.fits"), box, None)


def test_local_file_that_was_replaced(tmp_path: Path, key: str) -> None:
    path = tmp_path / "afw.fits"
    write_afw_file(path)
    box = PixelBox(1003, 1009, -30, -20)
    content(str(path), box, key)
    write_afw_file(tmp_path / "other.fits", "GZIP_2")
    (tmp_path / "other.fits").replace(path)
    assert content(str(path), box, key) == content(str(path), box, None)


@pytest.mark.parametrize(
    ("status", "error"), [(403, UnsupportedError), (401, UnsupportedError), (418, TransientError)]
)
def test_server_that_refuses(server: RangeServer, status: int, error: type[VoError]) -> None:
    server.status = status
    with pytest.raises(error, match=r"'plain\.fits'"):
        content(f"{server.url}/bucket/plain.fits", PixelBox(0, 9, 0, 9), None)


def test_server_without_ranges_sends_the_whole_file(server: RangeServer, folder: Path, key: str) -> None:
    server.has_ranges = False
    box = PixelBox(1003, 1009, -30, -20)
    for _ in range(2):
        found = content(f"{server.url}/bucket/small.fits", box, key)
        assert found == content(str(folder / "small.fits"), box, None)


def test_nobody_answers(tmp_path: Path) -> None:
    with RangeServer(tmp_path).running() as server:
        url = server.url
    with pytest.raises(TransientError, match=r"store of 'plain\.fits' does not answer"):
        content(f"{url}/plain.fits", PixelBox(0, 9, 0, 9), None)
