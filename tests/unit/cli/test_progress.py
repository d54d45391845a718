"""A bar on a terminal, lines in the log elsewhere, or nothing."""

import logging
import re

import pytest

from lsst.dax.vo.cli import _progress
from lsst.dax.vo.cli._progress import watched
from lsst.dax.vo.obscore import ExportReport

REPORT = ExportReport(
    rows={"raw": 1000, "calexp": 500, "later": 0}, looked_at=1500, expected=6000, seconds=2.0
)


def test_bar_shows_kind_number_and_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with watched(shown=True) as watch:
        assert watch is not None
        assert watch.count
        watch.tell(REPORT)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
    assert "calexp" in shown
    assert "1500/6000" in shown
    assert "750/s" in shown


def test_lines_go_to_the_log_from_time_to_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    times = iter((0.0, 1.0, 9.0, 10.5, 12.0, 21.0))
    monkeypatch.setattr(_progress.time, "monotonic", lambda: next(times))
    with watched(shown=None) as watch:
        assert watch is not None
        # Counting takes time that nobody sees.
        assert not watch.count
        for _ in range(5):
            watch.tell(REPORT)
    assert caplog.messages == ["calexp: 1,500 datasets (750/s)"] * 2


def test_nothing_is_shown_on_demand() -> None:
    with watched(shown=False) as watch:
        assert watch is None
