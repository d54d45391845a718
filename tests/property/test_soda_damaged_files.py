"""Files with wrong bytes: a cutout or one sentence, never anything else."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsst.dax.vo.dali import Circle
from lsst.dax.vo.errors import VoError
from lsst.dax.vo.soda import Detail, PixelBox, cut
from lsst.dax.vo.testing import write_afw_file

# Header words and numbers that send a trusting reader astray.
_WORDS = [
    b"99999999999999999999",
    b"-1                  ",
    b"'                   ",
    b"NaN                 ",
    b"1e400               ",
    b"2147483648          ",
    b"0                   ",
]


@pytest.fixture(scope="module", params=[None, "GZIP_2", "RICE_1", "HCOMPRESS_1"])
def healthy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("healthy") / "afw.fits"
    options = {"tile_shape": (18, 20)} if request.param else {}
    write_afw_file(path, request.param, **options)
    return path


wounds = st.tuples(
    st.floats(0, 1, exclude_max=True),
    st.one_of(
        st.binary(min_size=1, max_size=40),
        st.sampled_from([b"END".ljust(80), b" " * 80, *_WORDS]),
        st.none(),
    ),
)


def damaged(healthy: bytes, where: float, wound: bytes | None) -> bytes:
    """Cut a file off, or write into it."""
    at = int(where * len(healthy))
    if wound is None:
        return healthy[:at]
    if len(wound) == 80:
        at -= at % 80
    elif wound in _WORDS:
        # The value field of the header card before this place.
        at = max(healthy.rfind(b"= ", 0, at), 0) + 2
    return healthy[:at] + wound + healthy[at + len(wound) :]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wounds=st.lists(wounds, min_size=1, max_size=4), detail=st.sampled_from(list(Detail)))
def test_damage_is_an_error_or_nothing(
    healthy: Path, tmp_path: Path, wounds: list[tuple[float, bytes | None]], detail: Detail
) -> None:
    content = healthy.read_bytes()
    for where, wound in wounds:
        content = damaged(content, where, wound)
    path = tmp_path / "damaged.fits"
    path.write_bytes(content)
    for region in (PixelBox(1001, 1030, -38, -10), Circle(359.9995, -32.3, 0.001)):
        try:
            cutout = cut(str(path), region, detail=detail)
        except VoError as err:
            message = str(err)
            assert len(message) > 20
            assert "\n" not in message
        else:
            assert cutout is None or cutout.size % 2880 == 0
