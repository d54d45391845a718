"""The floor: the decoding of the touched tiles, and nothing else."""

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from lsst.dax.vo.soda import PixelBox


def floor(path: Path, box: PixelBox) -> int:
    """Decode the touched tiles of three planes, and nothing else; return bytes that they have in the box."""
    with path.open("rb") as stream:
        for tiles in touched_tiles(path, box):
            decode_tiles(tiles, stream)
    return 3 * 4 * box.size


def write_floor(size: int, path: Path) -> None:
    """Write so many bytes, out of the processor's cache."""
    piece = memoryview(bytes(2**18))
    with path.open("wb", buffering=0) as stream:
        for start in range(0, size, len(piece)):
            stream.write(piece[: size - start])


def touched_tiles(path: Path, box: PixelBox) -> Any:
    """Find the touched tiles once, by what astropy says of the tables."""
    key = (path, box)
    if key not in _TILES:
        _TILES.clear()
        with fits.open(path, disable_image_compression=True) as hdus:
            _TILES[key] = [_plane_tiles(hdu, box) for hdu in hdus[1:4]]
    return _TILES[key]


_TILES: dict[Any, Any] = {}


def _plane_tiles(hdu: Any, box: PixelBox) -> dict[str, Any]:
    header, start = hdu.header, hdu._data_offset
    if "ZCMPTYPE" not in header:
        stride = header["NAXIS1"] * 4
        rows = [start + row * stride + box.x0 * 4 for row in range(box.y0, box.y1 + 1)]
        return {"kind": "raw", "rows": rows, "count": box.width * 4}
    width, height = header["ZTILE1"], header["ZTILE2"]
    across = -(-header["ZNAXIS1"] // width)
    numbers = [
        row * across + column
        for row in range(box.y0 // height, box.y1 // height + 1)
        for column in range(box.x0 // width, box.x1 // width + 1)
    ]
    # The descriptors as they stand, instead of what they point at.
    rows, row = header["NAXIS2"], header["NAXIS1"]
    table = np.fromfile(hdu._file.name, dtype=np.uint8, count=rows * row, offset=start).reshape(rows, row)
    pairs = np.ascontiguousarray(table[:, :8]).view(">i4")[numbers].tolist()
    heap = start + header.get("THEAP", rows * row)
    is_quantized = "ZQUANTIZ" in header and header["ZBITPIX"] < 0
    return {
        "kind": header["ZCMPTYPE"],
        "tiles": [(heap + offset, count) for count, offset in pairs],
        "numbers": numbers,
        "sizes": [
            min(width, header["ZNAXIS1"] - number % across * width)
            * min(height, header["ZNAXIS2"] - number // across * height)
            for number in numbers
        ],
        "seed": header.get("ZDITHER0", 1) if is_quantized else None,
    }


def decode_tiles(tiles: dict[str, Any], stream: Any) -> None:
    from astropy.io.fits.hdu.compressed import _compression as codecs

    if tiles["kind"] == "raw":
        for offset in tiles["rows"]:
            os.pread(stream.fileno(), tiles["count"], offset)
        return
    first = min(offset for offset, _ in tiles["tiles"])
    last = max(offset + count for offset, count in tiles["tiles"])
    heap = os.pread(stream.fileno(), last - first, first)
    for (offset, count), number, size in zip(tiles["tiles"], tiles["numbers"], tiles["sizes"], strict=True):
        packed = heap[offset - first : offset - first + count]
        if tiles["kind"] == "GZIP_2":
            shuffled = np.frombuffer(gzip.zlib.decompress(packed, 31), dtype=np.uint8).reshape(4, -1)
            plain = np.empty((shuffled.shape[1], 4), dtype=np.uint8)
            for i in range(4):
                plain[:, i] = shuffled[i]
        else:
            whole = codecs.decompress_rice_1_c(packed, 32, 4, size)
            if tiles["seed"] is not None:
                codecs.unquantize_float_c(whole, number + tiles["seed"], size, 0.5, 1.0, 2, 0, 0, 0.0, 4)
