"""The tour: what the documentation shows is what it prints and writes."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from lsst.images.serialization import read_archive
from lsst.resources import ResourcePath
from PIL import Image

from lsst.dax.vo.sample import Sample
from lsst.dax.vo.sample._tour import take_tour

PAGE = Path(__file__).parents[2] / "doc/tour.txt"


@pytest.fixture(scope="module")
def tour(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Take the tour once; return its folder and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, take_tour(folder, quiet=True, sample_root=sample.root)


def test_page_of_the_documentation_is_what_it_prints(tour: tuple[Path, str]) -> None:
    # The last line has the time that it took.
    printed, shown = (text.splitlines()[:-1] for text in (tour[1], PAGE.read_text()))
    assert len(printed) == len(shown)
    for ours, theirs in zip(printed, shown, strict=True):
        assert ours == theirs or same_words(ours, theirs), f"run bin/dax-vo demo and copy it: {ours!r}"


def same_words(ours: str, theirs: str) -> bool:
    """Compare two lines; simulated pixels may differ in a last digit between processors."""
    first, second = ours.split(), theirs.split()
    return len(first) == len(second) and all(map(same_word, first, second))


def same_word(ours: str, theirs: str) -> bool:
    if ours == theirs:
        return True
    try:
        return float(ours.strip(",;")) == pytest.approx(float(theirs.strip(",;")), rel=0.02)
    except ValueError:
        return False


def test_every_question_is_answered(tour: tuple[Path, str]) -> None:
    lines = tour[1].splitlines()
    steps = [int(line.split()[0]) for line in lines if line[:2].strip().isdigit() and line[2:4] == "  "]
    assert steps == list(range(1, steps[-1] + 1))
    assert steps[-1] >= 28
    assert tour[0].joinpath("tour.txt").read_text() == tour[1]


def test_figures_are_pictures_with_something_on_them(tour: tuple[Path, str]) -> None:
    for name in ("bands.png", "visits.png"):
        with Image.open(tour[0] / name) as picture:
            assert min(picture.size) > 600
            levels = np.asarray(picture.convert("L"))
        assert levels.std() > 10
        assert levels.max() == 255


def test_cutouts_are_written(tour: tuple[Path, str]) -> None:
    folder = tour[0]
    bands = sorted(path.stem for path in (folder / "bands").glob("*.fits"))
    assert bands == sorted("ugrizy")
    visits = list((folder / "visits").glob("*.fits"))
    assert len(visits) > 15
    for path in [folder / "cutout.fits", *(folder / "bands").glob("*.fits"), *visits]:
        with fits.open(path) as hdus:
            hdus.verify("exception")
            assert hdus[0].header["ST_TYPE"] == "CIRCLE"
        assert read_archive(ResourcePath(path)).bbox.x.size > 1


def test_server_is_stopped_and_complained_of_nothing(tour: tuple[Path, str]) -> None:
    log = (tour[0] / "server.log").read_text()
    assert log.startswith("Serving at http://127.0.0.1:")
    assert len(log.splitlines()) == 1


def test_fluxes_of_the_variable_change(tour: tuple[Path, str]) -> None:
    lines = tour[1].split("Cut it out of all visits")[1].splitlines()
    rows = [line.split() for line in lines if line.split()[2:3] and line.split()[2] in "ugrizy"]
    fluxes = [float(row[4]) for row in rows if row[2] == "r"]
    assert max(fluxes) > 3 * min(fluxes)
