"""A small part of the sample, built once."""

import pytest

from lsst.dax.vo.sample import Sample, build_sample
from lsst.dax.vo.sample._survey import Survey, plan_dp02, plan_sample, shorten


@pytest.fixture(scope="session")
def surveys() -> tuple[Survey, Survey]:
    # Two visits in r, before and after the supernova; one visit as of DP0.2.
    return shorten(plan_sample(), ["r"], visits=2), shorten(plan_dp02(), ["i"], visits=1)


@pytest.fixture(scope="session")
def small_sample(tmp_path_factory: pytest.TempPathFactory, surveys: tuple[Survey, Survey]) -> Sample:
    return build_sample(tmp_path_factory.mktemp("sample") / "root", surveys=surveys)
