"""Links to other datasets, of a small repository whose files tell much, or nonsense."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid4

import pytest
from astropy.io import fits
from astropy.time import Time
from lsst.daf.butler import Butler, CollectionType, Config, DatasetRef, DatasetType, FileDataset, Timespan

from lsst.dax.vo.config import LinksConfig
from lsst.dax.vo.datalink import Caller, DirectFiles, Link, LinkChoice, RelatedLinks
from lsst.dax.vo.datalink._file_inputs import InputReader
from lsst.dax.vo.datalink.links import _related as module
from lsst.dax.vo.errors import TransientError
from lsst.dax.vo.repo import Repositories, Repository, open_repository

_FORMATTER = "lsst.images.formatters.GenericFormatter"
_TYPES: dict[str, tuple[list[str], str]] = {
    "raw": (["instrument", "exposure", "detector"], "ImageV2"),
    "visit_image": (["instrument", "visit", "detector"], "VisitImage"),
    "difference_image": (["instrument", "visit", "detector"], "DifferenceImage"),
    "deep_coadd": (["skymap", "tract", "patch", "band"], "CellCoadd"),
    "bias": (["instrument", "detector"], "ImageV2"),
    "flat": (["instrument", "detector"], "ImageV2"),
    "defects": (["instrument", "detector"], "ImageV2"),
}
_CALLER = Caller("http://localhost")
_DETECTORS = 30
_COADD = {"skymap": "S", "tract": 1, "patch": 0, "band": "r"}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository without datasets."""
    root = tmp_path_factory.mktemp("related") / "repo"
    config = Config()
    for name in ("ImageV2", "VisitImage", "DifferenceImage", "CellCoadd"):
        config["datastore", "formatters", name] = _FORMATTER
    Butler.makeRepo(str(root), config=config)
    with Butler.from_config(str(root), writeable=True) as butler:
        insert = butler.registry.insertDimensionData
        insert("instrument", {"name": "Cam", "detector_max": 99})
        insert("physical_filter", {"instrument": "Cam", "name": "r_1", "band": "r"})
        insert("day_obs", {"instrument": "Cam", "id": 20230101})
        insert(
            "detector",
            *({"instrument": "Cam", "id": at, "full_name": str(at)} for at in range(_DETECTORS)),
        )
        insert(
            "skymap",
            {"name": "S", "hash": b"0", "tract_max": 9, "patch_nx_max": 9, "patch_ny_max": 9},
        )
        insert("tract", {"skymap": "S", "id": 1})
        insert("patch", {"skymap": "S", "tract": 1, "id": 0, "cell_x": 0, "cell_y": 0})
        span = Timespan(Time(60_000, format="mjd", scale="tai"), Time(60_001, format="mjd", scale="tai"))
        for number in range(3):
            told = {"instrument": "Cam", "physical_filter": "r_1", "day_obs": 20230101, "timespan": span}
            insert("group", {"instrument": "Cam", "name": str(number)})
            insert("exposure", told | {"id": number, "obs_id": str(number), "group": str(number)})
            insert("visit", told | {"id": number, "name": str(number)})
            insert("visit_definition", {"instrument": "Cam", "exposure": number, "visit": number})
        for name, (dimensions, storage_class) in _TYPES.items():
            is_calibration = name in ("bias", "flat", "defects")
            kind = DatasetType(
                name, butler.dimensions.conform(dimensions), storage_class, isCalibration=is_calibration
            )
            butler.registry.registerDatasetType(kind)
        butler.collections.register("run")
        butler.collections.register("calib", CollectionType.CALIBRATION)
        butler.collections.register("all", CollectionType.CHAINED)
        butler.collections.redefine_chain("all", ["run", "calib"])
    return root


class Files:
    """A repository whose datasets get files with any header."""

    def __init__(self, empty: Path, root: Path) -> None:
        self.root = Path(shutil.copytree(empty, root))
        self.butler = Butler.from_config(str(self.root), writeable=True)
        self._count = 0

    def close(self) -> None:
        self.butler.close()

    def add(self, name: str, cards: Mapping[str, Any] | Path = MappingProxyType({}), **data_id: Any) -> UUID:
        """Add a dataset with a file of such a header, or a copy of one."""
        self._count += 1
        path = self.root / f"file{self._count}.fits"
        if isinstance(cards, Path):
            path.write_bytes(cards.read_bytes())
        else:
            header = fits.Header()
            for key, value in cards.items():
                header.set(f"HIERARCH LSST BUTLER {key}", value)
            fits.PrimaryHDU(header=header).writeto(path)
        kind = self.butler.get_dataset_type(name)
        where = self.butler.registry.expandDataId(data_id, dimensions=kind.dimensions)
        ref = DatasetRef(kind, where, "run")
        self.butler.ingest(FileDataset(str(path), ref), transfer="direct")
        return ref.id

    def image(self, name: str, inputs: Sequence[UUID] = (), *, detector: int = 0, visit: int = 0) -> UUID:
        """Add an image of a detector, made from others."""
        dimension = "exposure" if name == "raw" else "visit"
        return self.add(name, _cards(inputs), **{"instrument": "Cam", dimension: visit, "detector": detector})

    def certify(self, *uuids: UUID) -> None:
        found = self.butler.get_many_datasets(uuids)
        self.butler.registry.certify("calib", found, Timespan(None, None))


def _cards(inputs: Sequence[Any], count: Any = None) -> dict[str, Any]:
    cards = {"N_INPUTS": len(inputs) if count is None else count}
    return cards | {f"INPUT {number} ID": str(one) for number, one in enumerate(inputs)}


@pytest.fixture
def files(empty: Path, tmp_path: Path) -> Iterator[Files]:
    made = Files(empty, tmp_path / "repo")
    yield made
    made.close()


@pytest.fixture
def find(files: Files) -> Iterator[Callable[..., dict[UUID, list[Link]]]]:
    opened: list[Repository] = []

    def find(
        *uuids: UUID, choice: Mapping[str, LinksConfig] | None = None, **options: Any
    ) -> dict[UUID, list[Link]]:
        repository = open_repository(files.root, label="repo")
        opened.append(repository)
        related = RelatedLinks(
            Repositories([repository]), DirectFiles(), LinkChoice({"repo": choice or {}}), **options
        )
        return related.links(list(repository.datasets(uuids).values()), _CALLER)

    yield find
    for repository in opened:
        repository.close()


def rows(links: Sequence[Link], semantics: str) -> list[str]:
    return [
        link.error_message or f"{link.local_semantics} {(link.description or '').partition(': ')[2]}"
        for link in links
        if link.semantics == semantics
    ]


def test_rows_lead_to_files(files: Files, find: Callable[..., dict[UUID, list[Link]]]) -> None:
    raw = files.image("raw")
    image = files.image("visit_image", [raw])
    (link, *others) = find(image)[image]
    assert link == Link(
        semantics="#progenitor",
        access_url=(files.root / "file1.fits").as_uri(),
        description="raw: instrument Cam, detector 0, exposure 0",
        content_type="application/fits",
        content_length=2880,
        content_qualifier="#image",
        local_semantics="raw",
    )
    assert [(other.semantics, other.local_semantics) for other in others] == [("#coderived", "raw")]
    assert rows(find(raw)[raw], "#derivation") == ["visit_image instrument Cam, detector 0, visit 0"]


def test_calibrations_that_were_used_and_that_are_valid(
    files: Files, find: Callable[..., dict[UUID, list[Link]]]
) -> None:
    chip = {"instrument": "Cam", "detector": 0}
    bias, flat, defects = (files.add(name, **chip) for name in ("bias", "flat", "defects"))
    files.certify(bias, flat, defects)
    raw = files.image("raw")
    image = files.image("visit_image", [raw, flat])
    found = find(raw, image)
    assert [
        (link.semantics, link.local_semantics, (link.description or "").partition(", valid")[1:])
        for link in found[raw]
        if link.local_semantics in ("bias", "flat", "defects")
    ] == [
        ("#bias", "bias", (", valid", " at the time of the image")),
        ("#calibration", "defects", (", valid", " at the time of the image")),
        ("#flat", "flat", (", valid", " at the time of the image")),
    ]
    # What is known to be used, is better than what could be.
    assert [
        (link.semantics, link.description)
        for link in found[image]
        if link.local_semantics in ("bias", "flat", "defects")
    ] == [("#flat", "flat: instrument Cam, detector 0")]
    assert rows(found[image], "#progenitor") == ["raw instrument Cam, detector 0, exposure 0"]


def test_choice_of_dataset_types(files: Files, find: Callable[..., dict[UUID, list[Link]]]) -> None:
    raw = files.image("raw")
    image = files.image("visit_image", [raw, uuid4()])
    difference = files.image("difference_image", [image])
    off = dict.fromkeys(("progenitor", "derivation", "coderived", "calibration", "auxiliary"), False)
    assert find(image, choice={"visit_*": LinksConfig(**off)}) == {image: []}  # type: ignore[arg-type]
    some = LinksConfig(progenitor=("visit_image",), derivation=("deep_coadd",), coderived=("diff*",))
    found = find(image, choice={"visit_image": some})[image]
    assert [(link.semantics, link.local_semantics) for link in found] == [("#coderived", "difference_image")]
    some = LinksConfig(progenitor=("raw",), derivation=("difference_image",), coderived=False)
    found = find(image, choice={"visit_image": some})[image]
    assert [(link.semantics, link.local_semantics) for link in found] == [
        ("#progenitor", "raw"),
        ("#derivation", "difference_image"),
    ]
    assert rows(find(difference)[difference], "#progenitor") == [
        "visit_image instrument Cam, detector 0, visit 0"
    ]


@pytest.mark.parametrize(
    ("cards", "missing"),
    [
        ({}, None),
        ({"N_INPUTS": 0}, None),
        ({"N_INPUTS": 4711}, "4711 of the 4711"),
        ({"N_INPUTS": -3, "INPUT 0 ID": "x"}, None),
        ({"N_INPUTS": "many", "INPUT 0 ID": 12}, None),
        ({"N_INPUTS": 2, "INPUT 0 ID": "g" * 36, "INPUT 1 ID": "-" * 36}, "2 of the 2"),
        ({"N_INPUTS": 1, "INPUT 0 ID": "0" * 33}, "1 of the 1"),
        (_cards([UUID(int=5), UUID(int=6)]), "2 of the 2"),
        (_cards(["0" * 32], 999_999_999), "999999999 of the 999999999"),
        ({"INPUT 99999999999 ID": str(UUID(int=1)), "INPUT -1 ID": str(UUID(int=2))}, None),
    ],
)
def test_nonsense_in_a_header_harms_nothing(
    files: Files,
    find: Callable[..., dict[UUID, list[Link]]],
    cards: Mapping[str, Any],
    missing: str | None,
) -> None:
    raw = files.image("raw")
    image = files.add("visit_image", cards, instrument="Cam", visit=0, detector=0)
    found = find(image, raw)
    errors = rows(found[image], "#progenitor")
    if missing is None:
        assert errors == []
    else:
        (error,) = errors
        assert error.startswith(f"NotFoundFault: {missing} inputs of visit_image {image}")
    assert rows(found[image], "#coderived") == ["raw instrument Cam, detector 0, exposure 0"]
    assert rows(found[raw], "#derivation") == []


def test_circles_and_repetitions(files: Files, find: Callable[..., dict[UUID, list[Link]]]) -> None:
    raw = files.image("raw")
    image = files.image("visit_image", [raw, raw, raw])
    other = files.image("difference_image", [image, raw])
    for path, inputs in (
        (files.root / "file2.fits", [raw, raw, image, other]),
        (files.root / "file1.fits", [image]),
    ):
        with fits.open(path, mode="update") as file:
            for key, value in _cards([str(uuid).upper() for uuid in inputs]).items():
                file[0].header.set(f"HIERARCH LSST BUTLER {key}", value)
    found = find(raw, image, other)
    assert rows(found[image], "#progenitor") == [
        "raw instrument Cam, detector 0, exposure 0",
        "difference_image instrument Cam, detector 0, visit 0",
        # Itself is no input of a dataset.
        f"NotFoundFault: 1 of the 3 inputs of visit_image {image} are not told, or the repository 'repo' has "
        "not got them",
    ]
    assert sorted(rows(found[raw], "#derivation")) == [
        "difference_image instrument Cam, detector 0, visit 0",
        "visit_image instrument Cam, detector 0, visit 0",
    ]
    assert rows(found[raw], "#progenitor") == ["visit_image instrument Cam, detector 0, visit 0"]
    assert rows(found[image], "#derivation") == ["difference_image instrument Cam, detector 0, visit 0"]


def test_more_inputs_than_there_is_room_for(
    files: Files, find: Callable[..., dict[UUID, list[Link]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [files.image("visit_image", detector=detector) for detector in range(_DETECTORS)]
    coadd = files.add("deep_coadd", _cards(images), **_COADD)
    raw = files.image("raw")
    assert len(rows(find(coadd)[coadd], "#progenitor")) == _DETECTORS
    monkeypatch.setattr(module, "_MOST_ROWS", 40)
    listed = [link for link in find(coadd, raw)[coadd] if link.semantics == "#progenitor"]
    assert len(listed) == 21
    assert [link.content_type for link in listed[:20]] == ["application/fits"] * 20
    assert listed[20].access_url == f"http://localhost/api/datalink/links?ID=butler%3A%2F%2Frepo%2F{coadd}"
    assert listed[20].content_type == "application/x-votable+xml;content=datalink"
    assert listed[20].description is not None
    assert listed[20].description.startswith("There are 30 of these, of which 20 are listed here")
    monkeypatch.setattr(module, "_MOST_OF_ONE", 25)
    listed = [link for link in find(coadd)[coadd] if link.semantics == "#progenitor"]
    assert len(listed) == 26
    assert (listed[25].error_message or "").startswith("FatalFault: There are 30 of these, of which 25 are")


def test_thousands_of_inputs_of_which_none_is_here(
    files: Files, find: Callable[..., dict[UUID, list[Link]]]
) -> None:
    coadd = files.add("deep_coadd", _cards([UUID(int=number) for number in range(3000)]), **_COADD)
    (error,) = rows(find(coadd)[coadd], "#progenitor")
    assert error.startswith("NotFoundFault: 3000 of the 3000 inputs")


def test_input_whose_file_is_gone(files: Files, find: Callable[..., dict[UUID, list[Link]]]) -> None:
    raw = files.image("raw")
    image = files.image("visit_image", [raw])
    (files.root / "file1.fits").unlink()
    (error,) = rows(find(image)[image], "#progenitor")
    assert error.startswith(f"NotFoundFault: The file of raw {raw} of 'repo' is ")
    gone = files.butler.get_many_datasets([raw])
    files.butler.pruneDatasets(gone, disassociate=False, unstore=True)
    found = find(image)[image]
    # Of what is stored nowhere, it is told how many there are.
    (error,) = rows(found, "#progenitor")
    assert error.startswith(f"NotFoundFault: 1 of the 1 inputs of visit_image {image}")
    assert rows(found, "#coderived") == []


@pytest.mark.parametrize(
    "content", [b"", b"no FITS at all", b"SIMPLE  =" + b"x" * 3000, b"PAR1" + b"\xff" * 60]
)
def test_file_that_is_damaged_tells_nothing(
    files: Files, find: Callable[..., dict[UUID, list[Link]]], content: bytes
) -> None:
    raw = files.image("raw")
    image = files.image("visit_image", [raw])
    (files.root / "file2.fits").write_bytes(content)
    found = find(raw, image)
    assert [error for error in rows(found[image], "#progenitor") if "NotFoundFault" in error] == []
    assert rows(found[image], "#coderived") == ["raw instrument Cam, detector 0, exposure 0"]
    assert rows(found[raw], "#derivation") == []


def test_files_that_are_slow_are_told_of(files: Files, find: Callable[..., dict[UUID, list[Link]]]) -> None:
    raw = files.image("raw")
    image = files.image("visit_image", [raw])
    now = [0.0]

    def clock() -> float:
        now[0] += 0.3
        return now[0]

    reader = InputReader(patience_s=0.5, clock=clock)
    first = find(raw, image, reader=reader)
    late = [
        link for some in first.values() for link in some if "TransientFault" in (link.error_message or "")
    ]
    assert {link.semantics for link in late} & {"#progenitor", "#derivation"}
    assert all("ask again" in (link.error_message or "") for link in late)
    assert all(link.retry_after is not None for link in late)
    # What was read is remembered: at some time, all is known.
    for _ in range(5):
        again = find(raw, image, reader=reader)
    assert rows(again[raw], "#derivation") == ["visit_image instrument Cam, detector 0, visit 0"]
    assert rows(again[image], "#progenitor") == ["raw instrument Cam, detector 0, exposure 0"]


def test_repository_that_is_down_takes_no_other_with_it(
    empty: Path, tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = Files(empty, tmp_path / "other")
    raws = files.image("raw"), others.image("raw")
    files.image("visit_image", [raws[0]])
    opened = [open_repository(files.root, label="up"), open_repository(others.root, label="down")]
    datasets = [opened[number].datasets([uuid])[uuid] for number, uuid in enumerate(raws)]

    def refuse() -> Any:
        raise TransientError("The registry of 'down' does not answer; try again")

    monkeypatch.setattr(opened[1], "session", refuse)
    found = RelatedLinks(Repositories(opened), DirectFiles()).links(datasets, _CALLER)
    assert rows(found[raws[0]], "#derivation") == ["visit_image instrument Cam, detector 0, visit 0"]
    assert rows(found[raws[1]], "#progenitor") == [
        "TransientFault: The registry of 'down' does not answer; try again"
    ]
    for repository in opened:
        repository.close()
    others.close()


def _afw_coadd() -> Path:
    default = Path(__file__).parents[4] / "shared" / "data"
    path = (
        Path(os.environ.get("DAX_VO_TEST_DATA", default))
        / "fits/afw/pipe_tasks_testCoaddInputs_coadd_v1.fits"
    )
    if not path.exists():
        pytest.skip(f"there is no {path}; set DAX_VO_TEST_DATA")
    return path


def test_coadd_of_old_afw_tells_visits_and_detectors(
    files: Files, find: Callable[..., dict[UUID, list[Link]]]
) -> None:
    path = _afw_coadd()
    # Its table names visits 0, 1 and 2, each with the detector of the same number.
    images = [files.image("visit_image", detector=number, visit=number) for number in (0, 2)]
    others = [files.image("difference_image", detector=number, visit=number) for number in (0, 1)]
    coadd = files.add("deep_coadd", path, **_COADD)
    found = find(coadd, *images, *others)
    assert rows(found[coadd], "#progenitor") == [
        "visit_image instrument Cam, detector 0, visit 0",
        "visit_image instrument Cam, detector 2, visit 2",
        f"NotFoundFault: 1 of the 3 inputs of deep_coadd {coadd} are not told, or the repository 'repo' has "
        "not got them",
    ]
    configured = {"deep_coadd": LinksConfig(progenitor=("difference_image",))}
    assert rows(find(coadd, choice=configured)[coadd], "#progenitor") == [
        "difference_image instrument Cam, detector 0, visit 0",
        "difference_image instrument Cam, detector 1, visit 1",
    ]


def test_coadd_whose_header_names_what_is_not_here(
    files: Files, find: Callable[..., dict[UUID, list[Link]]]
) -> None:
    # As of warps that were thrown away: the table of detectors is the next best.
    image = files.image("visit_image", detector=1, visit=1)
    coadd = files.add("deep_coadd", _afw_coadd(), **_COADD)
    with fits.open(files.root / "file2.fits", mode="update") as file:
        for key, value in _cards([UUID(int=1), UUID(int=2)]).items():
            file[0].header.set(f"HIERARCH LSST BUTLER {key}", value)
    found = find(coadd, image)
    assert rows(found[coadd], "#progenitor")[0] == "visit_image instrument Cam, detector 1, visit 1"
    assert len(rows(found[coadd], "#progenitor")) == 2
