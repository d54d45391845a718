"""Files in a bucket of Google's protocol, on a server that others wrote."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from lsst.resources import ResourcePath

from lsst.dax.vo.errors import NotFoundError, UnsupportedError
from lsst.dax.vo.soda import Detail, PixelBox, cut
from lsst.dax.vo.soda.backends import open_image
from lsst.dax.vo.testing import make_image_header

pytest.importorskip("google.cloud.storage", reason="google-cloud-storage is not installed")
pytest.importorskip("gcp_storage_emulator", reason="gcp-storage-emulator is not installed")
SIZE = 1500


@pytest.fixture(scope="module")
def exposure(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exposure") / "exposure.fits"
    hdus: list[Any] = [fits.PrimaryHDU()]
    rng = np.random.default_rng(1)
    for name, dtype in {"IMAGE": "f4", "MASK": "i4", "VARIANCE": "f4"}.items():
        header = make_image_header(sip=True)
        header["EXTTYPE"] = name
        data = rng.normal(100, 10, (SIZE, SIZE)).astype(dtype)
        hdus.append(fits.CompImageHDU(data, header, name=name, compression_type="RICE_1"))
    fits.HDUList(hdus).writeto(path)
    return path


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, free_tcp_port: int) -> Iterator[ResourcePath]:
    """Run an emulator, with an empty bucket."""
    import lsst.resources.gs
    from gcp_storage_emulator.server import create_server

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_tcp_port}")
    # A client is made once and remembers its server.
    monkeypatch.setattr(lsst.resources.gs, "_client", None)
    with create_server("127.0.0.1", free_tcp_port, in_memory=True, default_bucket="bucket"):
        yield ResourcePath("gs://bucket/")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return the first and the last byte of each read, as they are asked for."""
    from google.cloud.storage import Blob

    found: list[tuple[int, int]] = []
    download = Blob.download_as_bytes

    def watched(blob: Any, *args: Any, **options: Any) -> bytes:
        found.append((options["start"], options["end"]))
        return download(blob, *args, **options)

    monkeypatch.setattr(Blob, "download_as_bytes", watched)
    return found


def test_cutouts(bucket: ResourcePath, exposure: Path, reads: list[tuple[int, int]]) -> None:
    """By ranged reads; the second costs its pixels alone."""
    uri = bucket.join("visits/exposure.fits")
    uri.write(exposure.read_bytes())
    for turn, x0 in enumerate((300, 900)):
        box = PixelBox(x0, x0 + 99, 700, 799)
        reads.clear()
        with open_image(uri, "test_google_files") as image:
            found = b"".join(image.cut(box, Detail.EXPOSURE, ()))
        assert found == cut(str(exposure), box, detail=Detail.EXPOSURE).content
        read = sum(last + 1 - first for first, last in reads)
        # Once headers are known, of a tenth of the rows of each plane.
        assert 0 < read < exposure.stat().st_size * (0.12 if turn else 0.9)
        assert len(reads) <= (3 if turn else 6)


def test_no_such_object(bucket: ResourcePath) -> None:
    with pytest.raises(NotFoundError, match=r"no file 'none.fits'"):
        cut(str(bucket.join("none.fits")), PixelBox(0, 1, 0, 1))


def test_empty_object(bucket: ResourcePath) -> None:
    uri = bucket.join("empty.fits")
    uri.write(b"")
    with pytest.raises(UnsupportedError, match=r"'empty.fits' is empty"):
        cut(str(uri), PixelBox(0, 1, 0, 1))
