"""Which rows lead to cutouts, and which descriptors they name."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from lsst.sphgeom import Angle, Circle, LonLat, UnitVector3d

from lsst.dax.vo.config import LinksConfig
from lsst.dax.vo.datalink import Caller, Coverage, CutoutLinks, LinkChoice
from lsst.dax.vo.errors import TransientError, UsageError, VoError
from lsst.dax.vo.repo import Dataset, FileState
from lsst.dax.vo.soda import Extent

CALLER = Caller("http://vo.example.org")


def image(number: int, *, label: str = "main", **changes: Any) -> Dataset:
    values: dict[str, Any] = {
        "dataset_type": "calexp",
        "data_id": {"visit": number},
        "storage_class": "ExposureF",
        "file_state": FileState.PRESENT,
    }
    return Dataset(uuid=UUID(int=number), label=label, run="run", uri=None, **values | changes)


def circle(number: int) -> Circle:
    return Circle(UnitVector3d(LonLat.fromDegrees(number, 0)), Angle.fromDegrees(0.1))


class Source:
    """Answers for the registry and for the table; counts what it was asked."""

    def __init__(self, error: VoError | None = None) -> None:
        self.error = error
        self.regions_asked: list[UUID] = []
        self.rows_asked: list[int] = []
        registry = SimpleNamespace(regions=self.regions)
        repositories: Any = {"main": registry, "copies": registry}
        self.links = CutoutLinks(repositories, self.find)

    def regions(self, uuids: list[UUID]) -> dict[UUID, Circle]:
        self.regions_asked += uuids
        if self.error is not None:
            raise self.error
        return {uuid: circle(uuid.int) for uuid in uuids}

    def find(self, datasets: list[Dataset]) -> dict[UUID, Coverage]:
        self.rows_asked += [item.uuid.int for item in datasets]
        if self.error is not None:
            raise self.error
        # Those with an even number have a row.
        return {
            item.uuid: Coverage(circle(item.uuid.int), Extent(em_min=1e-7, em_max=item.uuid.int * 1e-6))
            for item in datasets
            if item.uuid.int % 2 == 0
        }

    def ask(self, *datasets: Dataset | None) -> tuple[dict[int, list[str | None]], dict[str, Any]]:
        """Return the XML IDs that rows name, and the descriptors."""
        distinct = list({item.uuid: item for item in reversed(datasets) if item is not None}.values())[::-1]
        given = self.links.links(distinct, CALLER)
        asked = [(f"id{place}", item) for place, item in enumerate(datasets)]
        described = self.links.descriptors(asked, given, CALLER)
        named = {uuid.int: [link.service_def for link in links] for uuid, links in given.items()}
        assert {name for names in named.values() for name in names} <= {item.xml_id for item in described}
        return named, {str(item.xml_id): {param.name: param for param in item.params} for item in described}


def test_one_image_has_its_id_and_limits() -> None:
    named, described = Source().ask(image(2))
    assert named == {2: ["cutout-sync", "cutout-sync-maskedimage", "cutout-sync-exposure"]}
    for params in described.values():
        assert (params["ID"].value, params["ID"].ref) == ("id0", None)
        assert params["CIRCLE"].maximum.startswith("2.0000")
        assert params["BAND"].maximum == repr(2e-6)


def test_region_of_an_image_without_a_row_is_the_registrys() -> None:
    source = Source()
    _, described = source.ask(image(1), image(2), image(3))
    assert source.regions_asked == [UUID(int=1), UUID(int=3)]
    assert [described[f"cutout-sync-{n}"]["CIRCLE"].maximum[0] for n in (1, 2, 3)] == ["1", "2", "3"]
    # Of those nothing is known of their wavelengths.
    assert described["cutout-sync-2"].keys() >= {"BAND"}
    assert described["cutout-sync-1"]["BAND"].maximum is None


@pytest.mark.parametrize("count", [2, 3, 16, 17, 40])
def test_of_several_each_has_its_own_up_to_a_number(count: int) -> None:
    source = Source()
    named, described = source.ask(*(image(number) for number in range(1, count + 1)))
    assert all(params["ID"].ref == "ID" and not params["ID"].value for params in described.values())
    assert described["cutout-sync"]["CIRCLE"].maximum is None
    if count > 16:
        assert {names[0] for names in named.values()} == {"cutout-sync"}
        assert len(described) == 4
        assert source.rows_asked == source.regions_asked == []
        return
    assert [names[0] for names in named.values()] == [f"cutout-sync-{n}" for n in range(1, count + 1)]
    assert len(described) == 4 + 3 * count
    for number in range(1, count + 1):
        limit = described[f"cutout-sync-maskedimage-{number}"]["CIRCLE"].maximum
        assert limit.split()[0] == f"{number:.9f}"


def test_images_of_one_plane_have_one_kind() -> None:
    named, described = Source().ask(image(1, storage_class="ImageF"), image(2))
    assert named == {
        1: ["cutout-sync-1"],
        2: ["cutout-sync-2", "cutout-sync-maskedimage-2", "cutout-sync-exposure-2"],
    }
    assert "cutout-sync-maskedimage-1" not in described
    # By kind, the common one first: some clients take the first that they see.
    assert list(described)[:4] == ["cutout-sync", "cutout-sync-1", "cutout-sync-2", "cutout-sync-maskedimage"]


@pytest.mark.parametrize(
    "changes",
    [
        {"storage_class": "SourceCatalog"},
        {"storage_class": "ColorImage"},
        {"data_id": {"detector": 1}},
        {"file_state": FileState.MISSING},
        {"file_state": FileState.EMPTY},
        {"file_state": FileState.MEMBER},
    ],
)
def test_what_cannot_be_cut_has_none(changes: dict[str, Any]) -> None:
    assert Source().ask(image(1, **changes)) == ({}, {})
    named, described = Source().ask(image(1, **changes), image(2))
    assert named == {2: ["cutout-sync", "cutout-sync-maskedimage", "cutout-sync-exposure"]}
    # Of the one that can be, with its limits; but other rows are there, too.
    assert (described["cutout-sync"]["ID"].ref, described["cutout-sync"]["ID"].value) == ("ID", "")
    assert described["cutout-sync"]["CIRCLE"].maximum.startswith("2.0")


def test_configuration_offers_none() -> None:
    choice = LinkChoice({"main": {"cal*": LinksConfig(cutout=False)}})
    repositories: Any = {}
    links = CutoutLinks(repositories, choice=choice)
    assert links.links([image(1)], CALLER) == {}
    assert list(links.links([image(1, dataset_type="raw")], CALLER)) == [UUID(int=1)]
    assert list(links.links([image(1, label="other")], CALLER)) == [UUID(int=1)]


@pytest.mark.parametrize("error", [TransientError("down"), UsageError("took more than 60 s")])
def test_limits_that_cannot_be_found_are_left_out(error: VoError) -> None:
    named, described = Source(error).ask(image(1), image(2))
    assert named[1] == ["cutout-sync-1", "cutout-sync-maskedimage-1", "cutout-sync-exposure-1"]
    assert all(params["CIRCLE"].maximum is None for params in described.values())


def test_copies_share_the_descriptors_of_the_first() -> None:
    named, described = Source().ask(
        image(2), image(3), image(2, label="copies", file_state=FileState.MISSING), None
    )
    assert named.keys() == {2, 3}
    assert "cutout-sync-exposure-1" in described
