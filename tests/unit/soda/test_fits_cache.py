"""What is remembered of files, and how much of it."""

import pytest

from lsst.dax.vo.soda.backends import _cache
from lsst.dax.vo.soda.backends._cache import FileCache, FileEntry


def test_last_files_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cache, "_MAX_FILES", 3)
    cache = FileCache()
    entries = {key: cache.get(key) for key in "abc"}
    assert cache.get("a") is entries["a"]
    cache.get("d")
    assert len(cache) == 3
    assert cache.get("a") is entries["a"]
    assert cache.get("b") is not entries["b"]


def test_bytes_of_all_files_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cache, "_MAX_KEPT", 1000)
    cache = FileCache()
    first = cache.get("first")
    first.keep(0, bytes(600))
    second = cache.get("second")
    assert cache.get("first") is first
    second.keep(0, bytes(600))
    # The one that is used stays, however large.
    assert cache.get("second") is second
    assert len(cache) == 1


def test_bytes_of_a_file_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cache, "_MAX_KEPT_OF_A_FILE", 1000)
    entry = FileEntry()
    for offset in range(0, 900, 300):
        entry.keep(offset, bytes(300))
    entry.keep(900, bytes(300))
    assert list(entry.kept) == [(0, 300), (300, 300), (600, 300)]
    assert entry.kept_size == 900


def test_notes_are_made_once() -> None:
    entry = FileEntry()
    assert entry.note("wcs", lambda: None) is None
    assert entry.note("wcs", lambda: 1 / 0) is None
    entry.forget()
    assert entry.note("wcs", lambda: 5) == 5


def test_forgotten_file_begins_anew() -> None:
    cache = FileCache()
    entry = cache.get("a")
    cache.drop("a")
    cache.drop("a")
    assert cache.get("a") is not entry
