"""Symbolic links: which of them may be followed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lsst.dax.vo.repo import Places


@pytest.fixture
def ground(tmp_path: Path) -> Path:
    """Make a datastore, raws beside it, and a file that nobody may have."""
    for name in ("store/run/a.fits", "raws/r.fits", "raws2/r.fits", "secret/key", "direct/d.fits"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "store/raw.fits").symlink_to(tmp_path / "raws/r.fits")
    (tmp_path / "store/inside.fits").symlink_to("run/a.fits")
    (tmp_path / "store/key").symlink_to("../secret/key")
    (tmp_path / "store/chain").symlink_to("key")
    (tmp_path / "store/folder").symlink_to(tmp_path / "secret")
    (tmp_path / "raws/out").symlink_to(tmp_path / "secret/key")
    (tmp_path / "store/by-raws").symlink_to(tmp_path / "raws/out")
    (tmp_path / "store/beside").symlink_to(tmp_path / "raws2/r.fits")
    (tmp_path / "direct/key").symlink_to(tmp_path / "secret/key")
    (tmp_path / "direct/same").symlink_to("d.fits")
    (tmp_path / "store/butler.yaml").write_text("password")
    (tmp_path / "store/run/config").symlink_to("../butler.yaml")
    (tmp_path / "store/config").symlink_to("butler.yaml")
    (tmp_path / "store/top.fits").write_text("a file without a folder")
    (tmp_path / "alias").symlink_to("store")
    return tmp_path


CASES = {
    "store/run/a.fits": True,
    "store/inside.fits": True,
    "store/raw.fits": True,
    "store/key": False,
    "store/chain": False,
    "store/folder/key": False,
    "store/by-raws": False,
    # The repository's own files, beside the folders of its datasets.
    "store/run/config": False,
    "store/config": False,
    "store/top.fits": True,
    "alias/top.fits": True,
    # A folder whose name begins alike.
    "store/beside": False,
    # Ingested where they are.
    "direct/d.fits": True,
    "direct/same": True,
    "direct/key": False,
    "alias/run/a.fits": True,
}


@pytest.mark.parametrize("how", ["holds", "open", "checker"])
@pytest.mark.parametrize(("name", "is_held"), CASES.items())
def test_links_out_of_the_datastore_lead_to_named_folders_alone(
    ground: Path, name: str, is_held: bool, how: str
) -> None:
    places = Places([f"{ground}/store/", f"{ground}/alias"], [ground / "raws"])
    path = str(ground / name)
    ask: dict[str, Callable[[], bool]] = {
        "holds": lambda: places.holds(path),
        "checker": lambda: places.checker()(path),
        "open": lambda: places.holds(path, descriptor),
    }
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert ask[how]() is is_held
    finally:
        os.close(descriptor)


def test_file_that_is_open_counts_and_not_what_took_its_place(ground: Path) -> None:
    places, path = Places([str(ground / "store")]), ground / "store/run/a.fits"
    descriptor = os.open(ground / "store/key", os.O_RDONLY)
    assert places.holds(str(path))
    assert not places.holds(str(path), descriptor)
    os.close(descriptor)


def test_links_are_followed_anew_each_time(ground: Path) -> None:
    places, path = Places([str(ground / "store")]), ground / "store/run/a.fits"
    assert places.checker()(str(path))
    path.unlink()
    path.symlink_to(ground / "secret/key")
    assert not places.checker()(str(path))


def test_file_that_is_gone_is_no_matter_of_links(ground: Path) -> None:
    assert Places([str(ground / "store")]).holds(str(ground / "store/run/none.fits"))
