"""Members of zip files, as the datastore names them."""

import os
import zipfile
from pathlib import Path

import pytest
from lsst.resources import ResourcePath

from lsst.dax.vo.repo import FileState, find_member, member_path
from lsst.dax.vo.repo._files import inspect_file

STORED = b"as it is" * 1000
PACKED = b"packed" * 100_000


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as writer:
        writer.writestr("run/a b#1.fits", STORED)
        writer.writestr("run/packed.json", PACKED, zipfile.ZIP_DEFLATED)
        writer.writestr("empty", b"")
        writer.mkdir("folder")
        extra = zipfile.ZipInfo("extra.fits")
        extra.extra = b"\xfe\xca\x04\x00abcd"
        writer.writestr(extra, STORED)
    return path


def uri(archive: Path, name: str) -> ResourcePath:
    return ResourcePath(f"{archive.as_uri()}#zip-path={name}")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("file:///a/b.zip#zip-path=c/d.fits", "c/d.fits"),
        ("file:///a/b.zip#zip-path=c%20d%23.fits", "c d#.fits"),
        ("https://x/b.zip#zip-path=c", "c"),
        ("file:///a/b.fits", None),
        ("file:///a/b.fits#predicted", None),
    ],
)
def test_name_of_the_member(text: str, name: str | None) -> None:
    assert member_path(ResourcePath(text)) == name


@pytest.mark.parametrize(
    ("name", "state", "size"),
    [
        ("run/a%20b%231.fits", FileState.MEMBER, len(STORED)),
        ("run/packed.json", FileState.MEMBER, len(PACKED)),
        ("empty", FileState.EMPTY, 0),
        ("folder/", FileState.MISSING, None),
        ("../many.zip", FileState.MISSING, None),
        ("none", FileState.MISSING, None),
    ],
)
def test_what_is_known_of_a_member(archive: Path, name: str, state: FileState, size: int | None) -> None:
    assert inspect_file(uri(archive, name), 12345) == (state, size)


def test_bytes_of_a_stored_member_lie_in_the_file(archive: Path) -> None:
    descriptor = os.open(archive, os.O_RDONLY)
    for name in ("run/a b#1.fits", "extra.fits"):
        member = find_member(str(archive), name)
        assert member is not None
        assert member.is_stored
        assert os.pread(descriptor, member.size_bytes, member.locate(descriptor)) == STORED
    os.close(descriptor)


def test_archive_that_is_gone_or_none(archive: Path) -> None:
    assert find_member(str(archive), "empty") is not None
    archive.write_bytes(b"no archive at all")
    assert inspect_file(uri(archive, "empty"), None) == (FileState.UNREADABLE, None)
    archive.unlink()
    assert inspect_file(uri(archive, "empty"), None) == (FileState.MISSING, None)


def test_archive_that_changes_is_read_again(archive: Path) -> None:
    assert find_member(str(archive), "new") is None
    with zipfile.ZipFile(archive, "a") as writer:
        writer.writestr("new", b"x")
    assert find_member(str(archive), "new") is not None


def test_member_with_a_password_cannot_be_read(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    # The general purpose flags in the central directory, APPNOTE 4.3.12.
    at = content.index(b"PK\x01\x02")
    content[at + 8] |= 1
    archive.write_bytes(content)
    assert inspect_file(uri(archive, "run/a%20b%231.fits"), None) == (FileState.UNREADABLE, None)


def test_member_elsewhere_is_not_looked_at() -> None:
    remote = ResourcePath("https://store.example.org/many.zip#zip-path=a.fits")
    assert inspect_file(remote, 12345) == (FileState.MEMBER, None)
