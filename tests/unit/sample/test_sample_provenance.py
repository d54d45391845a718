"""What the sample's datasets were made from, as links tell it, is what was put in."""

from collections import defaultdict
from collections.abc import Iterator
from uuid import UUID

import pytest
from astropy.io import fits
from lsst.daf.butler import DatasetRef
from lsst.resources import ResourcePath

from lsst.dax.vo.datalink import Caller, DirectFiles, Link, RelatedLinks
from lsst.dax.vo.repo import Repositories, Repository, open_repository
from lsst.dax.vo.sample import Sample
from lsst.dax.vo.soda import FileInputs
from lsst.dax.vo.soda.backends import read_inputs

_TYPES = ("raw", "visit_image", "difference_image", "deep_coadd", "visit_summary")


@pytest.fixture(scope="module")
def repository(small_sample: Sample) -> Iterator[Repository]:
    opened = open_repository(small_sample.repositories["sample"], label="sample")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def refs(repository: Repository) -> dict[UUID, DatasetRef]:
    with repository.session() as butler:
        return {ref.id: ref for name in _TYPES for ref in butler.query_datasets(name, "*", find_first=False)}


@pytest.fixture(scope="module")
def links(repository: Repository, refs: dict[UUID, DatasetRef]) -> dict[UUID, list[Link]]:
    datasets = list(repository.datasets(refs).values())
    related = RelatedLinks(Repositories([repository]), DirectFiles())
    found = related.links(datasets, Caller("http://localhost"))
    related.close()
    assert all(link.error_message is None for some in found.values() for link in some)
    return found


@pytest.fixture(scope="module")
def uris(repository: Repository, refs: dict[UUID, DatasetRef]) -> dict[str, UUID]:
    return {str(item.uri): uuid for uuid, item in repository.datasets(refs).items()}


@pytest.fixture(scope="module")
def told(links: dict[UUID, list[Link]], uris: dict[str, UUID]) -> dict[str, dict[UUID, list[UUID]]]:
    """Return the datasets that links lead to, by semantics and dataset."""
    found: dict[str, dict[UUID, list[UUID]]] = defaultdict(lambda: defaultdict(list))
    for uuid, some in links.items():
        for link in some:
            assert link.access_url is not None
            found[link.semantics][uuid].append(uris[link.access_url])
    return found


def of_type(refs: dict[UUID, DatasetRef], name: str) -> dict[UUID, DatasetRef]:
    return {uuid: ref for uuid, ref in refs.items() if ref.datasetType.name == name}


def test_inputs_of_coadds_are_what_was_put_in(
    repository: Repository, refs: dict[UUID, DatasetRef], told: dict[str, dict[UUID, list[UUID]]]
) -> None:
    images = {
        (ref.dataId["visit"], ref.dataId["detector"]): uuid
        for uuid, ref in of_type(refs, "visit_image").items()
    }
    coadds = of_type(refs, "deep_coadd")
    assert coadds
    with repository.session() as butler:
        for uuid, ref in coadds.items():
            # The library's own tables, written when the pixels were added.
            provenance = butler.get(ref).provenance
            put_in = {images[int(row["visit"]), int(row["detector"])] for row in provenance.inputs}
            assert len(put_in) >= 2
            assert set(told["#progenitor"][uuid]) == put_in
            assert len(told["#progenitor"][uuid]) == len(put_in)
            seen = {(int(row["visit"]), int(row["detector"])) for row in provenance.contributions}
            assert {images[key] for key in seen} == put_in


def test_inputs_of_images_and_summaries(
    refs: dict[UUID, DatasetRef], told: dict[str, dict[UUID, list[UUID]]]
) -> None:
    progenitors = told["#progenitor"]
    for uuid, ref in of_type(refs, "visit_image").items():
        (raw,) = progenitors[uuid]
        assert refs[raw].datasetType.name == "raw"
        assert refs[raw].dataId["exposure"] == ref.dataId["visit"]
        assert refs[raw].dataId["detector"] == ref.dataId["detector"]
    for uuid, ref in of_type(refs, "difference_image").items():
        (image,) = progenitors[uuid]
        assert refs[image].datasetType.name == "visit_image"
        assert refs[image].dataId == ref.dataId
    for uuid, ref in of_type(refs, "visit_summary").items():
        found = [refs[image] for image in progenitors[uuid]]
        assert [(item.datasetType.name, item.dataId["visit"]) for item in found] == [
            ("visit_image", ref.dataId["visit"])
        ] * 3
    assert not any(progenitors[uuid] for uuid in of_type(refs, "raw"))


def test_derivations_are_the_inverse_of_progenitors(
    refs: dict[UUID, DatasetRef], told: dict[str, dict[UUID, list[UUID]]]
) -> None:
    forth = {(made, source) for made in refs for source in told["#progenitor"][made]}
    back = {(made, source) for source in refs for made in told["#derivation"][source]}
    assert back == forth
    assert len(forth) > 20


def test_same_observation(refs: dict[UUID, DatasetRef], told: dict[str, dict[UUID, list[UUID]]]) -> None:
    def seen(ref: DatasetRef) -> object:
        return ref.dataId["visit"] if "visit" in ref.dataId else ref.dataId["exposure"]

    for name, others in {
        "raw": ["difference_image", "visit_image", "visit_summary"],
        "visit_image": ["raw", "difference_image", "visit_summary"],
        "difference_image": ["raw", "visit_image", "visit_summary"],
    }.items():
        for uuid, ref in of_type(refs, name).items():
            found = [refs[other] for other in told["#coderived"][uuid]]
            assert [item.datasetType.name for item in found] == others
            assert {seen(item) for item in found} == {seen(ref)}
            assert {item.dataId["detector"] for item in found[:2]} == {ref.dataId["detector"]}
            assert [refs[other].datasetType.name for other in told["#auxiliary"][uuid]] == ["visit_summary"]


def test_tables_of_a_coadd_tell_the_same_as_its_header(small_sample: Sample) -> None:
    for label in ("sample", "dp02"):
        repository = open_repository(small_sample.repositories[label])
        with repository.session() as butler:
            name = "deep_coadd" if label == "sample" else "deepCoadd_calexp"
            for ref in butler.query_datasets(name, "*", find_first=False):
                uri = butler.getURI(ref)
                found = read_inputs(uri, tables=True)
                images = butler.get_many_datasets(found.ids)
                assert {
                    (image.dataId["instrument"], image.dataId["visit"], image.dataId["detector"])
                    for image in images
                } == set(found.detectors)
        repository.close()


def test_coadd_whose_header_tells_nothing(
    repository: Repository, refs: dict[UUID, DatasetRef], told: dict[str, dict[UUID, list[UUID]]]
) -> None:
    # As a file that was written without the Butler.
    (uuid, *_) = of_type(refs, "deep_coadd")
    with repository.session() as butler:
        path = butler.getURI(refs[uuid]).ospath
    before = fits.getdata(path, extname="JSON").tobytes()
    with fits.open(path, mode="update", disable_image_compression=True) as file:
        for card in [key for key in file[0].header if "INPUT" in key]:
            # As long as before: the places of the HDUs are in the file.
            file[0].header.rename_keyword(card, card.replace("INPUT", "XNPUT"))
    assert fits.getdata(path, extname="JSON").tobytes() == before
    found = read_inputs(ResourcePath(path))
    assert found == FileInputs((), len(found.detectors), found.detectors)
    related = RelatedLinks(Repositories([repository]), DirectFiles())
    datasets = repository.datasets([uuid, *told["#progenitor"][uuid]])
    try:
        again = related.links(list(datasets.values()), Caller("http://localhost"))
        with_uris = {str(item.uri): key for key, item in datasets.items()}
        progenitors = [link.access_url for link in again[uuid] if link.semantics == "#progenitor"]
        assert {with_uris[str(url)] for url in progenitors} == set(told["#progenitor"][uuid])
        for image in told["#progenitor"][uuid]:
            made = [link.access_url for link in again[image] if link.semantics == "#derivation"]
            assert str(datasets[uuid].uri) in made
    finally:
        related.close()
        with fits.open(path, mode="update", disable_image_compression=True) as file:
            for card in [key for key in file[0].header if "XNPUT" in key]:
                file[0].header.rename_keyword(card, card.replace("XNPUT", "INPUT"))
