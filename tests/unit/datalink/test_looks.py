"""One dataset of each kind is looked at, and nobody waits long."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import pytest

from lsst.dax.vo.datalink._looks import Looks
from lsst.dax.vo.errors import TransientError, UnsupportedError, VoError
from lsst.dax.vo.repo import Dataset
from lsst.dax.vo.soda import Facts

FIRST = Dataset(UUID(int=1), "main", "calexp", {}, "run", "ExposureF", None)
FACTS = Facts(has_mask=True, psf="GaussianPsf")


class Looker:
    """Tells the same of all that it looks at, when it may."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.error: VoError | None = None

    def __call__(self, dataset: Dataset) -> Facts:
        self.seen.append(dataset.uuid.int)
        assert self.may_go.wait(60)
        if self.error is not None:
            raise self.error
        return FACTS


def dataset(number: int, **changed: str) -> Dataset:
    return replace(FIRST, uuid=UUID(int=number), **changed)


@pytest.fixture
def looker() -> Looker:
    return Looker()


@pytest.fixture
def now_s() -> list[float]:
    return [100.0]


@pytest.fixture
def looks(looker: Looker, now_s: list[float]) -> Iterator[Looks]:
    looks = Looks(looker, patience_s=30, clock=lambda: now_s[0])
    yield looks
    looker.may_go.set()
    looks.close()


def test_one_of_a_kind_tells_for_all(looks: Looks, looker: Looker) -> None:
    many = [dataset(number) for number in range(1, 1000)]
    assert looks.find(many) == {one.uuid: FACTS for one in many}
    assert looks.find([dataset(5000)]) == {UUID(int=5000): FACTS}
    assert len(looker.seen) == 1


@pytest.mark.parametrize("field", ["label", "dataset_type", "run", "storage_class"])
def test_kinds_are_told_apart(looks: Looks, looker: Looker, field: str) -> None:
    looks.find([dataset(1), dataset(2, **{field: "other"})])
    assert sorted(looker.seen) == [1, 2]


def test_many_new_kinds_are_looked_at_a_few_at_a_time(looks: Looks, looker: Looker) -> None:
    kinds = [dataset(number, run=f"run{number}") for number in range(1, 21)]
    assert len(looks.find(kinds)) == 8
    assert len(looks.find(kinds)) == 16
    assert len(looks.find(kinds)) == 20
    assert sorted(looker.seen) == list(range(1, 21))


def test_what_is_damaged_is_looked_at_again_after_a_while(
    looks: Looks, looker: Looker, now_s: list[float]
) -> None:
    looker.error = UnsupportedError("damaged")
    assert looks.find([dataset(1)]) == {}
    assert looks.find([dataset(2)]) == {}
    assert looker.seen == [1]
    looker.error = None
    now_s[0] += 61
    assert looks.find([dataset(2)]) == {UUID(int=2): FACTS}
    now_s[0] += 1e6
    assert looks.find([dataset(3)]) == {UUID(int=3): FACTS}
    assert looker.seen == [1, 2]


def test_store_that_is_away_is_asked_again_when_it_said(
    looks: Looks, looker: Looker, now_s: list[float]
) -> None:
    looker.error = TransientError("The store does not answer", retry_after=3)
    assert looks.find([dataset(1)]) == {}
    looker.error = None
    now_s[0] += 2.9
    assert looks.find([dataset(1)]) == {}
    now_s[0] += 0.2
    assert looks.find([dataset(1)]) == {UUID(int=1): FACTS}


def test_what_takes_long_counts_for_the_next_document(looker: Looker) -> None:
    looker.may_go.clear()
    looks = Looks(looker, patience_s=0.05)
    assert looks.find([dataset(1)]) == {}
    # The next family of the same document does not wait once more.
    assert looks.find([dataset(1)]) == {}
    assert looker.seen == [1]
    looker.may_go.set()
    looks._threads.shutdown(wait=True)
    assert looks.find([dataset(1)]) == {UUID(int=1): FACTS}
    assert looker.seen == [1]


def test_after_its_end_nothing_is_promised(looks: Looks) -> None:
    looks.close()
    assert looks.find([dataset(1)]) == {}


def test_defect_is_no_end(looks: Looks, looker: Looker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looker.may_go, "wait", lambda _s: False)
    assert looks.find([dataset(1)]) == {}
    monkeypatch.undo()
    assert looks.find([dataset(1, run="other")]) == {UUID(int=1): FACTS}
