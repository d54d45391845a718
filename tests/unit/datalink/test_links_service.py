"""The service of links: what becomes of its sources' rows, and of their failures."""

import logging
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from lsst.dax.vo.dali import InputParam, ParamSet, ServiceDescriptor
from lsst.dax.vo.datalink import Caller, Link, LinksService, error_link
from lsst.dax.vo.errors import NotFoundError, TransientError, UsageError, VoError
from lsst.dax.vo.repo import Dataset

NS = "{http://www.ivoa.net/xml/VOTable/v1.3}"
BASE = "http://vo.example.org"


def dataset(number: int, label: str = "label") -> Dataset:
    return Dataset(UUID(int=number), label, "calexp", {"visit": number}, "run", "ExposureF", None)


DATASETS = {"one": dataset(1), "two": dataset(2), "same": dataset(1), "copy": dataset(1, "copies")}
ERRORS = {
    "none": NotFoundError("no such dataset"),
    "bad": UsageError("no identifier"),
    "down": TransientError("registry", retry_after=7),
}


class FewRepositories:
    """Knows what is above."""

    def find(self, texts: Sequence[str]) -> list[Dataset | VoError]:
        return [DATASETS.get(text) or ERRORS[text] for text in texts]


@dataclass
class Source:
    """Gives each dataset some rows, or fails; notes what it was asked."""

    semantics: str = "#this"
    error: Exception | None = None
    left_out: frozenset[UUID] = frozenset()
    service: ServiceDescriptor | None = None
    asked: list[tuple[list[int], Caller]] = field(default_factory=list)
    labels: list[list[str]] = field(default_factory=list)

    def links(self, datasets: Sequence[Dataset], caller: Caller) -> Mapping[UUID, Sequence[Link]]:
        self.asked.append(([item.uuid.int for item in datasets], caller))
        self.labels.append([item.label for item in datasets])
        if self.error is not None:
            raise self.error
        return {
            item.uuid: (
                Link(semantics=self.semantics, access_url=f"{caller.base_url}/{item.label}/{item.uuid.int}"),
            )
            for item in datasets
            if item.uuid not in self.left_out
        }


class DescribedSource(Source):
    """Describes a service, too."""

    def descriptors(self, asked: Any, links: Any, caller: Caller) -> tuple[ServiceDescriptor, ...]:
        self.described = ([text for text, item in asked if item is None], sorted(uuid.int for uuid in links))
        return (ServiceDescriptor(caller.base_url, "ivo://x/y", (InputParam("ID"),), xml_id="own"),)


def ask(*ids: str, sources: Sequence[Any], user: str | None = None, **options: Any) -> SimpleNamespace:
    repositories: Any = FewRepositories()
    service = LinksService(repositories, sources, **options)
    response = service.links(ParamSet.from_pairs(("ID", text) for text in ids), BASE, user)
    root = ET.fromstring(response.body)
    names = [item.get("name") for item in root.iter(f"{NS}FIELD")]
    rows = [dict(zip(names, [cell.text for cell in row], strict=True)) for row in root.iter(f"{NS}TR")]
    return SimpleNamespace(
        response=response, rows=rows, services=[item.get("ID") for item in root.iter(f"{NS}RESOURCE")][1:]
    )


def test_families_stand_in_their_order_whatever_the_order_of_the_ids() -> None:
    sources = [Source("#this"), Source("#preview", left_out=frozenset([UUID(int=1)])), Source("#progenitor")]
    answer = ask("two", "one", sources=sources)
    assert [(row["ID"], row["semantics"]) for row in answer.rows] == [
        ("two", "#this"),
        ("two", "#preview"),
        ("two", "#progenitor"),
        ("one", "#this"),
        ("one", "#progenitor"),
    ]


def test_each_source_is_asked_once_for_each_dataset_once() -> None:
    sources = [Source("#this"), Source("#preview")]
    answer = ask("one", "none", "same", "two", sources=sources, user="somebody")
    for source in sources:
        assert source.asked == [([1, 2], Caller(BASE, "somebody"))]
    # Both names of one dataset have its rows.
    assert [row["ID"] for row in answer.rows] == ["one", "one", "none", "same", "same", "two", "two"]


def test_copies_of_a_dataset_are_told_apart() -> None:
    sources = [Source("#this"), DescribedSource("#proc")]
    answer = ask("copy", "two", "one", "same", sources=sources)
    urls = [(row["ID"], row["access_url"]) for row in answer.rows if row["semantics"] == "#this"]
    assert urls == [
        ("copy", f"{BASE}/copies/1"),
        ("two", f"{BASE}/label/2"),
        ("one", f"{BASE}/label/1"),
        ("same", f"{BASE}/label/1"),
    ]
    assert sources[0].labels == [["copies", "label"], ["label"]]
    # A service is described once, for all.
    assert len(sources[1].asked) == len(answer.services) == 1
    assert [row["ID"] for row in answer.rows if row["semantics"] == "#proc"] == ["copy", "two", "one", "same"]


def test_sources_are_left_alone_when_there_is_no_dataset() -> None:
    source = Source("#this")
    assert [row["error_message"] for row in ask("none", "bad", sources=[source]).rows] == [
        "NotFoundFault: no such dataset",
        "UsageFault: no identifier",
    ]
    assert source.asked == []


def test_failing_source_takes_no_other_with_it(caplog: pytest.LogCaptureFixture) -> None:
    sources = [
        Source("#this"),
        Source("#progenitor", TransientError("The registry is down", retry_after=12)),
        Source("#preview", RuntimeError("secret of /a/path")),
        Source("#coderived"),
    ]
    with caplog.at_level(logging.ERROR):
        answer = ask("one", "two", sources=sources)
    assert answer.response.status == 200
    for name in ("one", "two"):
        rows = {row["semantics"]: row for row in answer.rows if row["ID"] == name}
        assert list(rows) == ["#this", "#progenitor", "#preview", "#coderived"]
        assert rows["#progenitor"]["error_message"] == "TransientFault: The registry is down"
        assert rows["#preview"]["error_message"].startswith("DefaultFault: The service failed")
        assert rows["#this"]["access_url"]
        assert rows["#coderived"]["access_url"]
    log_id = re.fullmatch(r"Log id ([0-9a-f]{12})", rows["#preview"]["description"])
    assert log_id is not None
    assert log_id[1] in caplog.text
    assert "secret" in caplog.text
    assert b"secret" not in answer.response.body


def test_retry_after_is_that_of_the_row_that_takes_longest() -> None:
    slow = Source("#preview", TransientError("later", retry_after=12))
    assert "Retry-After" not in ask("one", "none", sources=[Source()]).response.headers
    assert ask("one", "down", sources=[Source()]).response.headers["Retry-After"] == "7"
    assert ask("one", "down", sources=[Source(), slow]).response.headers["Retry-After"] == "12"
    # What is beyond the limit is not waited for.
    assert "Retry-After" not in ask("one", "down", sources=[Source()], max_ids=1).response.headers


def test_services_are_described_after_the_rows() -> None:
    source = DescribedSource("#proc")
    assert ask("one", "none", "two", sources=[Source(), source]).services == ["own"]
    assert source.described == (["none"], [1, 2])


def test_overflow_ends_between_two_identifiers() -> None:
    sources = [Source("#this"), Source("#preview")]
    answer = ask("two", "one", "same", sources=sources, max_ids=2)
    assert [row["ID"] for row in answer.rows] == ["two", "two", "one", "one"]
    assert answer.response.body.count(b'value="OVERFLOW"') == 1
    assert sources[0].asked[0][0] == [2, 1]


@pytest.mark.parametrize(
    "given", [{}, {"access_url": "x", "error_message": "y"}, {"access_url": "x", "service_def": "y"}]
)
def test_row_is_one_thing(given: dict[str, str]) -> None:
    with pytest.raises(AssertionError, match="one of access_url, service_def and error_message"):
        Link(semantics="#this", **given)


def test_error_row_says_no_more_than_that() -> None:
    link = error_link("#preview", ValueError("/secret/path"), local_semantics="preview")
    assert link.error_message is not None
    assert link.error_message.startswith("DefaultFault: The service failed in a way it did not foresee")
    assert (link.link_auth, link.link_authorized, link.local_semantics) == (None, None, "preview")
    assert error_link("#this", TransientError("x", retry_after=3)).retry_after == 3
    assert error_link("#this", NotFoundError("x")).retry_after is None


def test_texts_of_clients_stay_texts() -> None:
    hostile = "<script>&'\" \r\n é"
    DATASETS[hostile] = dataset(1)
    try:
        answer = ask(hostile, sources=[Source()])
    finally:
        del DATASETS[hostile]
    assert answer.rows[0]["ID"] == hostile
