"""Cutouts of a 4096 x 4096 exposure of three planes: ours and the others'.

Ours reads and writes a complete file; the peers only read.
``bin/dax-vo bench cutout`` takes arguments of pytest.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from lsst.dax.vo.soda import Detail, PixelBox, cut
from lsst.dax.vo.testing import make_image_header

SIZE = 4096
LAYOUTS: dict[str, dict[str, Any] | None] = {
    "raw": None,
    "gzip2_rows": {"compression_type": "GZIP_2", "tile_shape": (1, SIZE), "quantize_level": 0},
    "rice_rows": {
        "compression_type": "RICE_1",
        "tile_shape": (1, SIZE),
        "quantize_method": 2,
        "dither_seed": 7,
    },
    "rice_256": {
        "compression_type": "RICE_1",
        "tile_shape": (256, 256),
        "quantize_method": 2,
        "dither_seed": 7,
    },
}


@pytest.fixture(scope="module")
def exposures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the exposure in every layout."""
    rng = np.random.default_rng(1)
    shape = (SIZE, SIZE)
    planes = {
        "IMAGE": rng.normal(100, 10, shape).astype("f4"),
        "MASK": (rng.random(shape) < 0.01).astype("i4") * 4,
        "VARIANCE": rng.normal(100, 1, shape).astype("f4"),
    }
    folder = tmp_path_factory.mktemp("exposures")
    for layout, options in LAYOUTS.items():
        hdus: list[Any] = [fits.PrimaryHDU()]
        for name, data in planes.items():
            header = make_image_header(sip=True)
            header["EXTTYPE"] = name
            make = fits.ImageHDU if options is None else fits.CompImageHDU
            hdus.append(make(data, header, name=name, **(options or {})))
        fits.HDUList(hdus).writeto(folder / f"{layout}.fits")
    return {layout: folder / f"{layout}.fits" for layout in LAYOUTS}


@pytest.mark.parametrize("size", [1, 100, 500])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("reader", ["Image", "MaskedImage", "Exposure", "fitsio", "astropy"])
def test_cutout(benchmark: Any, exposures: dict[str, Path], layout: str, size: int, reader: str) -> None:
    """Time one box; the warm-up round leaves the file in the page cache."""
    path = str(exposures[layout])
    rows = columns = slice(1000, 1000 + size)
    box = PixelBox(1000, 999 + size, 1000, 999 + size)
    benchmark.group = f"{layout} {size}"
    if reader == "fitsio":
        fitsio = pytest.importorskip("fitsio")

        def read() -> list[np.ndarray]:
            with fitsio.FITS(path) as file:
                return [file[number][rows, columns] for number in (1, 2, 3)]

        planes = benchmark(read)
    elif reader == "astropy":

        def read() -> list[np.ndarray]:
            with fits.open(path) as hdus:
                return [np.array(hdus[number].section[rows, columns]) for number in (1, 2, 3)]

        planes = benchmark(read)
    else:
        cutout = benchmark(cut, path, box, detail=Detail(reader))
        assert cutout.box == box
        return
    assert planes[0].shape == (size, size)


if __name__ == "__main__":
    sys.exit(pytest.main(["--benchmark-only", "--benchmark-enable", __file__, *sys.argv[1:]]))
