"""What every reader of a registry must do."""

from __future__ import annotations

__all__ = ["ReaderTests", "assert_falls_back"]

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Protocol
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest
from lsst.daf.butler import Butler, DatasetType
from lsst.sphgeom import Region

from ..errors import UnsupportedError, UsageError
from ..obscore._config import Where
from ..obscore.readers._described import RegionSource
from ..obscore.readers._pages import DoesNotFitError, Page, PageReader, Search
from ..obscore.readers._reader import Reader


class _Reader(PageReader, RegionSource, Protocol):
    """Both readers are both."""


class ReaderTests:
    """The contract of readers of pages; subclass it and give what raises `NotImplementedError`.

    The repository is any one with images of detectors in ``dataset_types``;
    what is right is what the Butler itself finds.
    """

    @pytest.fixture
    def butler(self) -> Butler:
        """Return the repository."""
        raise NotImplementedError("subclasses give the fixture 'butler'")

    @pytest.fixture
    def dataset_types(self) -> tuple[str, ...]:
        """Return the names of the dataset types that are read."""
        raise NotImplementedError("subclasses give the fixture 'dataset_types'")

    @pytest.fixture
    def where(self) -> Where:
        """Return an expression that some of the first type's datasets fulfil."""
        raise NotImplementedError("subclasses give the fixture 'where'")

    def open(self, butler: Butler, *, page_size: int) -> _Reader:
        """Return the reader."""
        raise NotImplementedError("subclasses give the method 'open'")

    @pytest.fixture
    def runs(self, butler: Butler) -> tuple[str, ...]:
        """Return the names of all RUN collections."""
        return tuple(info.name for info in butler.collections.query_info("*") if info.type.name == "RUN")

    def search(self, butler: Butler, name: str, runs: Iterable[str], **more: Any) -> Search:
        """Return the search for all datasets of a type.

        Parameters
        ----------
        butler
            The repository.
        name
            Name of the dataset type.
        runs
            Collections.
        **more
            Other fields of the search.

        Returns
        -------
        search : `~lsst.dax.vo.obscore.readers._pages.Search`
        """
        kind = butler.get_dataset_type(name)
        return Search(kind, tuple(runs), more.pop("constraint", Where()), **more)

    @pytest.mark.parametrize("size", [1, 7, 10_000])
    def test_finds_what_the_butler_finds(
        self, butler: Butler, dataset_types: tuple[str, ...], runs: tuple[str, ...], size: int
    ) -> None:
        """Ids, runs and data IDs, whatever the size of pages."""
        for name in dataset_types:
            reader = self.open(butler, page_size=size)
            pages = list(reader.iter_pages(self.search(butler, name, runs)))
            kind = butler.get_dataset_type(name)
            wanted = {
                ref.id: (ref.run, dict(ref.dataId.required))
                for ref in butler.query_datasets(name, list(runs), explain=False, limit=None)
            }
            assert all(page.size > 0 for page in pages)
            assert sum(page.size for page in pages) == len(wanted)
            assert {key: found for page in pages for key, found in _rows(page, kind).items()} == wanted
            if size < len(wanted):
                assert len(pages) > 1

    def test_one_collection_at_a_time_is_all(
        self, butler: Butler, dataset_types: tuple[str, ...], runs: tuple[str, ...]
    ) -> None:
        """Without a look for the first of several."""
        reader = self.open(butler, page_size=50)
        for name in dataset_types:
            kind = butler.get_dataset_type(name)
            every = butler.query_datasets(name, list(runs), find_first=False, explain=False, limit=None)
            for told in (False, True):
                found = {
                    key: values
                    for run in runs
                    for page in reader.iter_pages(
                        self.search(butler, name, [run], find_first=False, run=run if told else None)
                    )
                    for key, values in _rows(page, kind).items()
                }
                assert found == {ref.id: (ref.run, dict(ref.dataId.required)) for ref in every}

    @pytest.mark.parametrize("size", [1, 7, 10_000])
    def test_regions_are_those_of_the_records(self, butler: Butler, size: int) -> None:
        """Of all that the lists of values tell, and of nothing else."""
        element = butler.dimensions["visit_detector_region"]
        records = butler.query_dimension_records(element.name, explain=False, limit=None)
        every = {
            (record.dataId["instrument"], record.dataId["visit"], record.dataId["detector"]): record.region
            for record in records
        }
        assert every
        instruments = {key[0] for key in every}
        visits = sorted({key[1] for key in every})
        detectors = sorted({key[2] for key in every})
        for instrument in instruments:
            for values in (
                {"visit": visits},
                {"visit": visits[:2], "detector": detectors[:3]},
                {"detector": detectors[-1:], "visit": [*visits, 987_654_321]},
                {"visit": [987_654_321]},
            ):
                found: dict[Any, Any] = {}
                reader = self.open(butler, page_size=size)
                for columns, encoded in reader.iter_regions(element, {"instrument": instrument}, values):
                    assert encoded.type == pa.binary()
                    rows = zip(
                        *(
                            [columns[name].values[code] for code in columns[name].codes]
                            for name in ("instrument", "visit", "detector")
                        ),
                        strict=True,
                    )
                    found |= dict(zip(rows, encoded.to_pylist(), strict=True))
                assert {key: text and Region.decode(text) for key, text in found.items()} == {
                    key: region
                    for key, region in every.items()
                    if key[0] == instrument
                    and all(key[("visit", "detector").index(name) + 1] in few for name, few in values.items())
                }

    @pytest.mark.parametrize("limit", [1, 5])
    def test_limit(
        self, butler: Butler, dataset_types: tuple[str, ...], runs: tuple[str, ...], limit: int
    ) -> None:
        """Any of the datasets."""
        for name in dataset_types:
            search = self.search(butler, name, runs)
            every = {key for page in self.open(butler, page_size=3).iter_pages(search) for key in _keys(page)}
            few = list(self.open(butler, page_size=3).iter_pages(replace(search, limit=limit)))
            assert sum(page.size for page in few) == min(limit, len(every))
            assert {key for page in few for key in _keys(page)} <= every

    def test_expressions(
        self, butler: Butler, dataset_types: tuple[str, ...], runs: tuple[str, ...], where: Where
    ) -> None:
        """With values that are bound, and a second one."""
        name = dataset_types[0]
        reader = self.open(butler, page_size=20)
        search = self.search(butler, name, runs, constraint=where)
        refs = butler.query_datasets(
            name, list(runs), where=where.where, bind=dict(where.bind), explain=False, limit=None
        )
        found = {key for page in reader.iter_pages(search) for key in _keys(page)}
        assert found == {ref.id for ref in refs}
        assert 0 < len(found) < len(butler.query_datasets(name, list(runs), explain=False, limit=None))
        other = "instrument = 'there is no such instrument'"
        assert list(reader.iter_pages(replace(search, also=other))) == []
        both = reader.iter_pages(replace(search, also=where.where if not where.bind else "detector >= 0"))
        assert {key for page in both for key in _keys(page)} == found

    @pytest.mark.parametrize(
        "text", ["50%", "%(a)s %%s", "it's", "''", 'a "b"', ":a", "?", "\\", "\\'", "$1", "--", "/*", "ü", ""]
    )
    def test_texts_in_expressions(
        self, butler: Butler, dataset_types: tuple[str, ...], runs: tuple[str, ...], text: str
    ) -> None:
        """They are texts, whatever SQL and its drivers make of their characters."""
        (record, *_) = butler.query_dimension_records("instrument", explain=False)
        search = self.search(butler, dataset_types[0], runs)
        bind = {"name": record.name, "text": text}
        every = len(butler.query_datasets(dataset_types[0], list(runs), explain=False, limit=None))
        for operator, wanted in (("=", 0), ("!=", every)):
            where = Where(where=f"instrument = name AND detector.full_name {operator} text", bind=bind)
            pages = self.open(butler, page_size=1000).iter_pages(replace(search, constraint=where))
            assert len({key for page in pages for key in _keys(page)}) == wanted

    def test_collections_without_datasets(self, butler: Butler, dataset_types: tuple[str, ...]) -> None:
        """No page, and no error."""
        search = self.search(butler, dataset_types[0], [])
        for run in butler.collections.query("*"):
            none = Where(where="instrument = 'there is no such instrument'")
            found = replace(search, collections=(run,), constraint=none)
            assert list(self.open(butler, page_size=5).iter_pages(found)) == []

    @pytest.mark.parametrize("text", ["visit >", "nonsense = 1"])
    def test_expression_that_is_none(
        self, butler: Butler, dataset_types: tuple[str, ...], runs: tuple[str, ...], text: str
    ) -> None:
        """It is told with the dataset type."""
        search = self.search(butler, dataset_types[0], runs, constraint=Where(where=text))
        with pytest.raises(UsageError, match=f"^{dataset_types[0]}: the registry refuses the query: "):
            list(self.open(butler, page_size=5).iter_pages(search))

    def test_reading_can_end_early(
        self, butler: Butler, dataset_types: tuple[str, ...], runs: tuple[str, ...]
    ) -> None:
        """And begin again."""
        reader = self.open(butler, page_size=1)
        for _ in range(3):
            pages = reader.iter_pages(self.search(butler, dataset_types[0], runs))
            assert next(pages).size == 1
            pages.close()


def assert_falls_back(
    butler: Butler,
    search: Search,
    caplog: pytest.LogCaptureFixture,
    why: str,
) -> None:
    """Check that what cannot be read in bulk is read otherwise, or refused.

    Parameters
    ----------
    butler
        The repository.
    search
        What is searched for.
    caplog
        Collects what is logged.
    why
        Part of the reason that is told.
    """
    caplog.clear()
    caplog.set_level(logging.INFO, "lsst.dax.vo")
    found = _ids(Reader(butler, page_size=100, sizes=False), search)
    assert found == _ids(Reader(butler, page_size=100, sizes=False, pages="public"), search)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("lsst.dax.vo")]
    told = "is read through the Butler's public interface, which is slower: "
    assert [line for line in lines if told in line and why in line], lines
    with pytest.raises(UnsupportedError, match=f"cannot be read in bulk: .*{why}") as raised:
        _ids(Reader(butler, page_size=100, sizes=False, pages="bulk"), search)
    assert isinstance(raised.value.__cause__, DoesNotFitError)


def _ids(reader: Reader, search: Search) -> list[bytes]:
    chunks = reader.iter_chunks(search, set())
    return sorted(chunk.ids[start : start + 16] for chunk in chunks for start in range(0, len(chunk.ids), 16))


def _values(page: Page, name: str) -> list[Any]:
    column = page.dimensions[name]
    return [column.values[code] for code in column.codes]


def _keys(page: Page) -> list[UUID]:
    return [UUID(bytes=page.ids[start : start + 16]) for start in range(0, len(page.ids), 16)]


def _rows(page: Page, kind: DatasetType) -> dict[UUID, tuple[str, dict[str, Any]]]:
    ids = _keys(page)
    # There may be implied ones besides.
    names = list(kind.dimensions.required)
    columns = [_values(page, name) for name in names]
    runs = [page.run.values[code] for code in page.run.codes]
    data_ids = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    assert len(np.unique(np.frombuffer(page.ids, "V16"))) == len(ids) == len(runs)
    return {key: (run, data_id) for key, run, data_id in zip(ids, runs, data_ids, strict=True)}
