"""An installation without the extra ``server``."""

import sys

import pytest
from click.testing import CliRunner

from lsst.dax.vo.cli import vo


def test_missing_web_framework_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("lsst.dax.vo.http")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    result = CliRunner().invoke(vo, ["serve", "no/such/repository"])
    assert result.exit_code == 1
    assert (
        result.output == "Error: Serving needs fastapi, which is not installed; install lsst-dax-vo[server]\n"
    )
