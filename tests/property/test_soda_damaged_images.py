"""Files of lsst.images with wrong bytes: a cutout or one sentence, never anything else."""

import contextlib
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lsst.images.serialization import write_archive
from lsst.resources import ResourcePath

from lsst.dax.vo.dali import Circle
from lsst.dax.vo.errors import VoError
from lsst.dax.vo.soda import Detail, PixelBox, cut
from lsst.dax.vo.soda.backends import open_image
from lsst.dax.vo.testing.lsst_images import make_cell_coadd, make_difference_image

from .test_soda_damaged_files import damaged, wounds

BOX = PixelBox(1005, 1040, -38, -10)


@pytest.fixture(scope="module", params=[make_difference_image, make_cell_coadd], ids=["difference", "coadd"])
def healthy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("healthy") / "images.fits"
    write_archive(request.param(), path)
    return path


def cuts_or_says_why(path: Path, detail: Detail) -> None:
    with warnings.catch_warnings():
        # What astropy and the library think of it.
        warnings.simplefilter("ignore")
        for region in (BOX, Circle(359.9995, -32.3, 0.001)):
            try:
                cutout = cut(str(path), region, detail=detail)
            except VoError as err:
                message = str(err)
                assert len(message) > 20
                assert "\n" not in message
            else:
                assert cutout is None or cutout.size % 2880 == 0
        with contextlib.suppress(VoError), open_image(ResourcePath(str(path))) as image:
            image.pixels(BOX.clipped_to(image.box) or image.box)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wounds=st.lists(wounds, min_size=1, max_size=4), detail=st.sampled_from(list(Detail)))
def test_damaged_bytes(
    healthy: Path, tmp_path: Path, wounds: list[tuple[float, bytes | None]], detail: Detail
) -> None:
    content = healthy.read_bytes()
    for where, wound in wounds:
        content = damaged(content, where, wound)
    path = tmp_path / "damaged.fits"
    path.write_bytes(content)
    cuts_or_says_why(path, detail)


def places(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the ways to all parts of a tree."""
    parts = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [at, *(place for key, part in parts for place in places(part, (*at, key)))]


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(
        [[], {}, [1, 2], [[3]], {"source": "fits:MASK", "shape": [1, 1]}, "fits:IMAGE", "fits:PSF"]
    ),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.floats(0, 1, exclude_max=True),
    value=st.one_of(values, st.just(...)),
    detail=st.sampled_from(list(Detail)),
    near=st.sampled_from(["image", "mask", "variance", "psf", "provenance", "sky_projection", "bounds", ""]),
)
def test_damaged_trees(
    healthy: Path, tmp_path: Path, which: float, value: Any, detail: Detail, near: str
) -> None:
    """One part of the tree is another, or is missing."""
    content = healthy.read_bytes()
    begin = content.index(b'{"schema_version"')
    end = content.index(b"\0", begin)
    tree = json.loads(content[begin:end])
    all_places = [place for place in places(tree) if place and (not near or place[0] == near)]
    if all_places:
        *way, last = all_places[int(which * len(all_places))]
        parent = tree
        for key in way:
            parent = parent[key]
        if value is ...:
            del parent[last]
        else:
            parent[last] = value
    text = json.dumps(tree, separators=(",", ":")).encode()
    # The same length, since blanks after a text are no error in JSON; what
    # does not fit is cut off.
    path = tmp_path / "damaged.fits"
    path.write_bytes(content[:begin] + text[: end - begin].ljust(end - begin) + content[end:])
    cuts_or_says_why(path, detail)
