"""Cutouts of an exposure of three planes: ours and the others'.

``bin/dax-vo bench cutout`` prints one page; ``--help`` tells what can be
chosen.  All cut the same pixels, in turns, so that whatever else the machine
does falls on all of them; the floor is the decoding of the touched tiles
alone.  A test run cuts everything once, out of a small exposure, so that this
never rots.
"""

import argparse
import io
import itertools
import re
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from cutouts._cases import CASES, available
from cutouts._exposures import LAYOUTS, write_exposures
from cutouts._machine import describe_machine, memory_folder
from cutouts._remote import LATENCY_MS, measure_remote, serving
from cutouts._service import measure_service, serving_cutouts, use_store
from cutouts._turns import EXTRA_MS, FACTOR, format_results, format_table, judge, measure

from lsst.dax.vo.soda import Detail, PixelBox, cut

SIZE = 4096
SIZES = (1, 100, 500, SIZE)

INTRODUCTION = f"""\
What `bin/dax-vo bench cutout` printed.  Each cuts the same square out of an exposure with image, mask and
variance, noise of which the floats are quantized where the compression is RICE_1, and writes it to a file;
`Image` writes one plane.  Everything is in one process, files in the page cache, what is written in memory,
and cases take turns; times are medians of wall clocks, in milliseconds, and in parentheses the least time of
CPUs, which others on the machine lengthen less.  "Read" is the time until all is in memory: of ours, the
complete file with its headers, of the others pixels.  The floor is the time to decode the touched tiles of
the three planes, and nothing else, with the same code, by one thread; uncompressed, to read the rows.  To
be reached: the fastest of all that read and write, and less than {FACTOR} times the floor and
{EXTRA_MS:.0f} ms.  The floor is what it is to read; its "read and write" writes as many bytes as the three
planes have, out of the processor's cache: of whole images, most of the time of all is that of writing 200 MB.
(Uncompressed, planes of whole rows are read by ours while they are written, and never are in memory;
Cutout2D maps the file into memory.)  lsst.images and ours, in the last rows, cut a file of lsst.images with
the same pixels and tiles."""

REMOTE = f"""\
The same files on an S3 server on the same machine, in a process of its own, that waits {LATENCY_MS} ms
before each answer: `Exposure`, cold (nothing is known of the file) and warm (headers and tile tables are
remembered by the id of the dataset), at another place each time.  Requests, of which most go out together,
bytes, and the median of the wall clock."""

SERVICE = """\
The same cutouts from a running `butler vo serve` on a repository whose datasets are these files in that
store, asked for by one client: `CUTOUTDETAIL=Exposure` and `PIXELS`, with one process that cuts.  Cold is
the first request for a dataset, warm the second, for other pixels.  Requests are those of the server to the
store; times are those of the client."""


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
            use_store(url)
            head = ("what", "requests", "at once", "MB", "ms")
            turns = -(-chosen.rounds // 3)
            cases = [(layout, side) for layout in chosen.layouts for side in sides if side < chosen.size]
            rows = [head]
            for layout, side in cases:
                rows += measure_remote(url, report, layout, side, chosen.size, turns)
            page += [f"## From an S3 server, {LATENCY_MS} ms away", REMOTE, format_table(rows)]
            print("\n" + "\n\n".join(page[-3:]), flush=True)
            urls = [f"s3://bucket/{layout}.fits" for layout, _ in cases for _ in range(turns)]
            rows = [head]
            with serving_cutouts(Path(name), urls) as (base_url, ids):
                for (layout, side), some in zip(cases, itertools.batched(ids, turns), strict=True):
                    rows += measure_service(base_url, some, report, layout, side, chosen.size)
            page += ["## The same through the service", SERVICE, format_table(rows)]
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
    assert page.count("| raw, 50², warm") == 2
    # Nothing is asked of the store a second time but pixels.
    rows = re.findall(
        r"\| raw, 50², (\w+) +\| +(\d+) \|", page.partition("## The same through the service")[2]
    )
    assert int(dict(rows)["warm"]) <= int(dict(rows)["cold"])


if __name__ == "__main__":
    from _sentence import in_one_sentence

    with in_one_sentence("cutout"):
        main()
