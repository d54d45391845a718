"""Cutouts of an exposure of three planes: ours and the others'.

``bin/dax-vo bench cutout`` prints one page; ``--help`` tells what can be
chosen.  All cut the same pixels, in turns, so that whatever else the machine
does falls on all of them; the floor is the decoding of the touched tiles
alone.  A test run cuts everything once, out of a small exposure, so that this
never rots.
"""

import argparse
import gzip
import importlib
import importlib.util
import io
import multiprocessing
import os
import platform
import re
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from astropy.io import fits
from lsst.resources import ResourcePath

from lsst.dax.vo.soda import Detail, PixelBox, cut
from lsst.dax.vo.soda.backends import open_image
from lsst.dax.vo.testing import RangeServer, make_image_header

SIZE = 4096
SIZES = (1, 100, 500, SIZE)
PACKAGES = ("lsst-dax-vo", "numpy", "astropy", "fitsio", "lsst-images", "astrocut")
PLANES = ("image", "mask", "variance")
LATENCY_MS = 20
FACTOR, EXTRA_MS = 1.5, 5.0
"""How near to the floor a cutout of three planes is to come, with this much more for everything else."""

LAYOUTS: dict[str, tuple[str, dict[str, Any] | None]] = {
    "raw": ("uncompressed", None),
    "gzip2_rows": ("GZIP_2, rows", {"compression_type": "GZIP_2", "quantize_level": 0}),
    "rice_rows": ("RICE_1, rows", {"compression_type": "RICE_1", "quantize_method": 2, "dither_seed": 7}),
    "rice_256": (
        "RICE_1, tiles of 256 x 256",
        {"compression_type": "RICE_1", "quantize_method": 2, "dither_seed": 7, "tile_shape": (256, 256)},
    ),
}

INTRODUCTION = f"""\
What `bin/dax-vo bench cutout` printed.  Each cuts the same square out of an exposure with image, mask and
variance, noise of which the floats are quantized where the compression is RICE_1, and writes it to a file;
`Image` writes one plane.  Everything is in one process, files in the page cache, what is written in memory,
and cases take turns; times are medians of wall clocks, in milliseconds, and in parentheses the least time of
CPUs, which others on the machine lengthen less.  "Read" is the time until all is in memory: of ours, the
complete file with its headers, of the others pixels.  The floor is the time to decode the touched tiles of
the three planes, and nothing else, with the same code, by one thread; uncompressed, to read the rows.  To
be reached: the fastest of all that read and write, and less than {FACTOR} times the floor and
{EXTRA_MS:.0f} ms.  (Of whole images, most of the time is that of writing 200 MB, which the floor does not do;
uncompressed, Cutout2D maps the file into memory instead of reading it.)  lsst.images and ours, in the last
rows, cut a file of lsst.images with the same pixels and tiles."""

REMOTE = f"""\
The same files on an S3 server on the same machine, in a process of its own, that waits {LATENCY_MS} ms
before each answer: `Exposure`, cold (nothing is known of the file) and warm (headers and tile tables are
remembered by the id of the dataset), at another place each time.  Requests, of which most go out together,
bytes, and the median of the wall clock."""


class Case(NamedTuple):
    """One way to cut."""

    name: str
    suffix: str
    """What its files end with."""

    read: Callable[[Path, PixelBox], Any]
    write: Callable[[Any, Path], None]
    requires: str | None = None


class Times(NamedTuple):
    """Times of one case, seconds."""

    read: list[float]
    total: list[float]
    cpu: list[float]

    def format(self) -> tuple[str, str]:
        read, total = statistics.median(self.read) * 1e3, statistics.median(self.total) * 1e3
        return f"{read:,.2f}", f"{total:,.2f} ({min(self.cpu) * 1e3:,.2f})"


# --- Who cuts.


def read_ours(detail: Detail) -> Callable[[Path, PixelBox], Any]:
    def read(path: Path, box: PixelBox) -> Any:
        cutout = cut(str(path), box, detail=detail)
        assert cutout is not None
        return cutout.parts

    return read


def write_parts(parts: Any, path: Path) -> None:
    with path.open("wb", buffering=0) as stream:
        for part in parts:
            stream.write(part)


def read_fitsio(path: Path, box: PixelBox) -> Any:
    import fitsio

    rows, columns = slice(box.y0, box.y1 + 1), slice(box.x0, box.x1 + 1)
    with fitsio.FITS(str(path)) as file:
        return [(file[number][rows, columns], file[number].read_header()) for number in (1, 2, 3)]


def write_fitsio(planes: Any, path: Path) -> None:
    import fitsio

    with fitsio.FITS(str(path), "rw", clobber=True) as file:
        for data, header in planes:
            file.write(data, header=header)


def read_section(path: Path, box: PixelBox) -> Any:
    rows, columns = slice(box.y0, box.y1 + 1), slice(box.x0, box.x1 + 1)
    with fits.open(path) as hdus:
        return [(np.array(hdus[number].section[rows, columns]), hdus[number].header) for number in (1, 2, 3)]


def write_astropy(planes: Any, path: Path) -> None:
    hdus = [fits.ImageHDU(data, header) for data, header in planes]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path, overwrite=True)


def read_cutout2d(path: Path, box: PixelBox) -> Any:
    from astropy.nddata import Cutout2D
    from astropy.wcs import WCS

    center = (box.x0 + (box.width - 1) / 2, box.y0 + (box.height - 1) / 2)
    planes = []
    with fits.open(path) as hdus:
        for number in (1, 2, 3):
            header = hdus[number].header
            found = Cutout2D(hdus[number].data, center, (box.height, box.width), wcs=WCS(header))
            header.update(found.wcs.to_header(relax=True))
            planes.append((found.data, header))
        return planes


def read_astrocut(path: Path, box: PixelBox) -> Any:
    from astrocut import FITSCutout
    from astropy.wcs import WCS

    with fits.open(path) as hdus:
        center = WCS(hdus[1].header).pixel_to_world(
            box.x0 + (box.width - 1) / 2, box.y0 + (box.height - 1) / 2
        )
    return FITSCutout([str(path)], center, [box.width, box.height], extension=[1, 2, 3], fill_value=0)


def write_astrocut(cutout: Any, path: Path) -> None:
    cutout.write_as_fits(path.parent)


def read_lsst_images(path: Path, box: PixelBox) -> Any:
    from lsst.images import Box, MaskedImage

    return MaskedImage.read(path, bbox=Box.factory[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1])


def write_lsst_images(image: Any, path: Path) -> None:
    from lsst.images.serialization import write_archive

    path.unlink(missing_ok=True)
    write_archive(image, path, compression_options=dict.fromkeys(PLANES))


def read_afw(path: Path, box: PixelBox) -> Any:
    import lsst.afw.image as afw
    import lsst.geom as geom

    corner, extent = geom.Point2I(box.x0, box.y0), geom.Extent2I(box.width, box.height)
    return afw.ExposureF(str(path), geom.Box2I(corner, extent))


CASES = (
    *(Case(f"ours, {detail.value}", ".fits", read_ours(detail), write_parts) for detail in Detail),
    Case("fitsio", ".fits", read_fitsio, write_fitsio, "fitsio"),
    Case("astropy .section", ".fits", read_section, write_astropy),
    Case("astropy Cutout2D", ".fits", read_cutout2d, write_astropy),
    Case("astrocut", ".fits", read_astrocut, write_astrocut, "astrocut"),
    Case("lsst.afw", ".fits", read_afw, lambda exposure, path: exposure.writeFits(str(path)), "lsst.afw"),
    Case("lsst.images", ".lsst.fits", read_lsst_images, write_lsst_images),
    Case("ours, MaskedImage of lsst.images", ".lsst.fits", read_ours(Detail.MASKED_IMAGE), write_parts),
)


# --- What they cut.


def write_exposures(folder: Path, layouts: Sequence[str], size: int) -> None:
    """Write the exposure in every layout, as afw and lsst.images lay it out."""
    rng = np.random.default_rng(1)
    planes = {
        "image": rng.normal(100, 10, (size, size)).astype("f4"),
        "mask": (rng.random((size, size)) < 0.01).astype("i4") * 4,
        "variance": rng.normal(100, 1, (size, size)).astype("f4"),
    }
    for layout in layouts:
        options = LAYOUTS[layout][1]
        hdus: list[Any] = [fits.PrimaryHDU()]
        for name, data in planes.items():
            header = make_image_header(sip=True)
            header["EXTTYPE"] = name.upper()
            make = fits.ImageHDU if options is None else fits.CompImageHDU
            hdus.append(
                make(
                    data,
                    header,
                    name=name.upper(),
                    **({"tile_shape": (1, size)} | options if options else {}),
                )
            )
        fits.HDUList(hdus).writeto(folder / f"{layout}.fits")
        write_lsst_file(folder / f"{layout}.lsst.fits", planes, options, size)


def write_lsst_file(path: Path, planes: dict[str, Any], options: dict[str, Any] | None, size: int) -> None:
    from astropy import units as u
    from astropy.wcs import WCS
    from lsst.images import GeneralFrame, Image, Mask, MaskedImage, MaskPlane, MaskSchema, SkyProjection
    from lsst.images.fits import FitsCompressionOptions
    from lsst.images.serialization import write_archive

    box = Image(planes["image"]).bbox
    mask = Mask(0, schema=MaskSchema([MaskPlane("BAD", "bad")]), bbox=box)
    mask.set("BAD", planes["mask"] != 0)
    image = MaskedImage(
        Image(planes["image"], bbox=box, unit=u.nJy),
        mask=mask,
        variance=Image(planes["variance"], bbox=box, unit=u.nJy**2),
        sky_projection=SkyProjection.from_fits_wcs(
            WCS(make_image_header()), GeneralFrame(unit=u.pix), x0=0, y0=0
        ),
    )
    chosen: dict[str, Any] = dict.fromkeys(PLANES)
    if options:
        lossless = {
            "algorithm": options["compression_type"],
            "tile_shape": options.get("tile_shape", (1, size)),
        }
        lossy = {"quantization": {"dither": "SUBTRACTIVE_DITHER_2", "level": 16, "seed": 7}}
        for name in PLANES:
            is_lossy = "quantize_method" in options and name != "mask"
            chosen[name] = FitsCompressionOptions(**lossless | (lossy if is_lossy else {}))
    write_archive(image, path, compression_options=chosen)


# --- The floor.


def floor(path: Path, box: PixelBox) -> None:
    """Decode the touched tiles of three planes, and nothing else."""
    with path.open("rb") as stream:
        for tiles in touched_tiles(path, box):
            decode_tiles(tiles, stream)


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


# --- In turns.


def available(cases: Sequence[Case]) -> list[Case]:
    def is_there(name: str) -> bool:
        with suppress(ImportError):
            return importlib.util.find_spec(name) is not None
        return False

    return [case for case in cases if case.requires is None or is_there(case.requires)]


def measure(folder: Path, output: Path, layout: str, side: int, size: int, rounds: int) -> dict[str, Times]:
    """Let all cut the same square, in turns, after one round that does not count."""
    start = 0 if side == size else min(1000, size // 4)
    box = PixelBox(start, start + side - 1, start, start + side - 1)
    cases = available(CASES)
    results = {name: Times([], [], []) for name in ("floor", *(case.name for case in cases))}
    for turn in range(rounds + 1):
        for case in (None, *cases):
            path = folder / f"{layout}{case.suffix if case else '.fits'}"
            if case is None:
                touched_tiles(path, box)
            # Each begins without a file of another, whose pages it would get.
            for old in output.iterdir():
                old.unlink()
            began, cpu = time.perf_counter(), time.process_time()
            if case is None:
                floor(path, box)
            else:
                found = case.read(path, box)
            read = time.perf_counter()
            if case is not None:
                case.write(found, output / "cutout.fits")
                del found
            ended, used = time.perf_counter(), time.process_time() - cpu
            if turn:
                times = results[case.name if case else "floor"]
                times.read.append(read - began)
                times.total.append(ended - began)
                times.cpu.append(used)
    return results


def format_results(results: dict[str, Times]) -> str:
    lowest = statistics.median(results["floor"].read)
    rows = [("what", "read", "read and write (of CPUs)", "times the floor")]
    for name, times in results.items():
        read, total = times.format()
        if name == "floor":
            rows.append((name, read, f"({min(times.cpu) * 1e3:,.2f})", "1.0"))
        else:
            rows.append((name, read, total, f"{statistics.median(times.total) / lowest:,.1f}"))
    return format_table(rows)


def format_table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| "
        + " | ".join(
            word.ljust(width) if i == 0 else word.rjust(width)
            for i, (word, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in rows
    ]
    dashes = ["-" * width if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join([lines[0], "| " + " | ".join(dashes) + " |", *lines[1:]])


def judge(results: dict[str, Times]) -> str:
    """Say whether what is to be reached is reached."""
    ours = statistics.median(results["ours, MaskedImage"].total)
    peers = {
        name: statistics.median(times.total) for name, times in results.items() if not name.startswith("ours")
    }
    lowest = peers.pop("floor")
    best = min(peers, key=peers.__getitem__)
    allowed = FACTOR * lowest + EXTRA_MS / 1e3
    return (
        f"Three planes, read and written: {peers[best] / ours:.1f} times as fast as the next, {best}; "
        f"{ours * 1e3:.2f} ms of {allowed * 1e3:.2f} ms allowed by the floor."
    )


# --- Far away.


def serve(folder: str, latency_s: float, pipe: Any) -> None:
    """Serve files, and tell of requests when asked."""
    server = RangeServer(Path(folder), latency_s=latency_s)
    with server.running():
        pipe.send(server.url)
        while pipe.recv() != "stop":
            pipe.send((len(server.requests), server.bytes_sent, server.most_at_once))
            server.clear()


@contextmanager
def serving(folder: Path, latency_s: float) -> Iterator[tuple[str, Callable[[], tuple[int, int, int]]]]:
    """Run the server in a process of its own, whose work is not ours."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(str(folder), latency_s, there), daemon=True)
    process.start()

    def report() -> tuple[int, int, int]:
        here.send("report")
        found: tuple[int, int, int] = here.recv()
        return found

    try:
        yield here.recv(), report
    finally:
        here.send("stop")
        process.join(10)


def measure_remote(
    url: str, report: Callable[[], tuple[int, int, int]], layout: str, side: int, size: int, rounds: int
) -> list[tuple[str, ...]]:
    """Cut cold and warm."""
    os.environ |= {"S3_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    uri = ResourcePath(f"s3://bucket/{layout}.fits")
    rows = []
    found: dict[str, list[tuple[int, int, int, float]]] = {"cold": [], "warm": []}
    for turn in range(rounds):
        key = f"{layout} {side} {turn} {url}"
        for number, state in enumerate(found):
            start = (size // 4 + 300 * number + 37 * turn) % max(size - side, 1)
            box = PixelBox(start, start + side - 1, start, start + side - 1)
            report()
            began = time.perf_counter()
            with open_image(uri, key) as image:
                image.cut(box, Detail.EXPOSURE, ())
            took = time.perf_counter() - began
            found[state].append((*report(), took))
    for state, values in found.items():
        requests, sent, at_once, took = (statistics.median(column) for column in zip(*values, strict=True))
        rows.append(
            (
                f"{layout}, {side}², {state}",
                f"{requests:.0f}",
                f"{at_once:.0f}",
                f"{sent / 1e6:,.2f}",
                f"{took * 1e3:,.0f}",
            )
        )
    return rows


def memory_folder() -> str | None:
    folder = Path("/dev/shm")  # noqa: S108 - a file system, not a name in it
    with suppress(OSError):
        status = os.statvfs(folder)
        return str(folder) if status.f_bavail * status.f_frsize > 2**30 else None
    return None


def describe_machine() -> str:
    processor = platform.processor() or platform.machine()
    with suppress(OSError):
        match = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
        processor = match[1] if match else processor
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = []
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions.append(f"{name} {metadata.version(name)}")
    missing = [case.name for case in CASES if case not in available(CASES)]
    return (
        f"- {os.cpu_count()} cores ({processor}), {memory:.0f} GiB, {platform.system()}\n"
        f"- Python {platform.python_version()}, {', '.join(versions)}"
        + (f"\n- not installed, and so not measured: {', '.join(missing)}" if missing else "")
    )


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="dax-vo bench cutout", description="Compare cutouts of an exposure."
    )
    add = parser.add_argument
    add("--size", type=int, default=SIZE, help="columns and rows of the exposure (%(default)s)")
    add("--sides", type=int, nargs="+", help="pixels of the squares (1 100 500 and all)")
    add(
        "--layouts",
        nargs="+",
        choices=LAYOUTS,
        default=list(LAYOUTS),
        metavar="LAYOUT",
        help=" ".join(LAYOUTS),
    )
    add(
        "--rounds",
        type=int,
        default=15,
        help="of which medians are taken (%(default)s; whole images: a fifth)",
    )
    add("--output", type=Path, help="Markdown file for what is printed")
    chosen = parser.parse_args(words)
    sides = chosen.sides or [side for side in SIZES if side < chosen.size] + [chosen.size]
    page = ["# Cutouts", INTRODUCTION, describe_machine()]
    print("\n\n".join(page), flush=True)
    warnings.simplefilter("ignore")
    with (
        tempfile.TemporaryDirectory(prefix="bench-cutout-") as name,
        # In memory, if there is a file system for that: disks write when they like.
        tempfile.TemporaryDirectory(prefix="bench-cutout-", dir=memory_folder()) as written,
    ):
        folder, output = Path(name) / "bucket", Path(written)
        folder.mkdir()
        write_exposures(folder, chosen.layouts, chosen.size)
        for layout in chosen.layouts:
            for side in sides:
                rounds = chosen.rounds if side < chosen.size else -(-chosen.rounds // 5)
                results = measure(folder, output, layout, side, chosen.size, rounds)
                page += [
                    f"## {LAYOUTS[layout][0]}: {side} x {side} of {chosen.size} x {chosen.size}",
                    format_results(results),
                    judge(results),
                ]
                print("\n" + "\n\n".join(page[-3:]), flush=True)
        with serving(folder.parent, LATENCY_MS / 1e3) as (url, report):
            rows = [("what", "requests", "at once", "MB", "ms")]
            for layout in chosen.layouts:
                for side in [side for side in sides if side < chosen.size]:
                    rows += measure_remote(url, report, layout, side, chosen.size, -(-chosen.rounds // 3))
        page += [f"## From an S3 server, {LATENCY_MS} ms away", REMOTE, format_table(rows)]
        print("\n" + "\n\n".join(page[-3:]), flush=True)
    if chosen.output is not None:
        chosen.output.parent.mkdir(parents=True, exist_ok=True)
        chosen.output.write_text("\n\n".join(page) + "\n")


# --- In a test run.


@pytest.fixture(scope="module")
def exposures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exposures")
    write_exposures(folder, list(LAYOUTS), 300)
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_cut_the_same(exposures: Path, tmp_path: Path, layout: str) -> None:
    """What they wrote is what ours wrote."""
    box = PixelBox(40, 99, 30, 89)
    with fits.open(
        io.BytesIO(cut(str(exposures / f"{layout}.fits"), box, detail=Detail.EXPOSURE).content)
    ) as hdus:
        wanted = [hdus[number].data for number in (1, 2, 3)]
    for case in available(CASES):
        if case.name.startswith("ours") or case.name in ("astrocut", "lsst.afw", "lsst.images"):
            continue
        planes = case.read(exposures / f"{layout}.fits", box)
        assert all(np.array_equal(found[0], plane) for found, plane in zip(planes, wanted, strict=True)), (
            case.name
        )
    results = measure(exposures, tmp_path, layout, 60, 300, 1)
    assert set(results) >= {"floor", "fitsio", "astropy .section", "lsst.images", "ours, Exposure"}
    table = format_results(results)
    assert len({len(line) for line in table.splitlines()}) == 1, table
    assert "times as fast as the next" in judge(results)


def test_page_of_results(tmp_path: Path) -> None:
    words = ["--size", "120", "--sides", "1", "50", "--rounds", "1", "--layouts", "raw", "rice_256"]
    with warnings.catch_warnings():
        main([*words, "--output", str(tmp_path / "results" / "cutout.md")])
    page = (tmp_path / "results" / "cutout.md").read_text()
    assert "## uncompressed: 50 x 50 of 120 x 120" in page
    assert "raw, 50², warm" in page


if __name__ == "__main__":
    main()
