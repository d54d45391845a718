"""Every form of an identifier, and what is none."""

from uuid import UUID, uuid4

import pytest

from lsst.dax.vo.dali import ParamSet
from lsst.dax.vo.errors import NotFoundError, TransientError, UsageError
from lsst.dax.vo.repo import (
    Dataset,
    DatasetId,
    PublisherForm,
    Repositories,
    format_butler_uri,
    format_ivoid,
    open_repository,
    parse_dataset_id,
)

ID = UUID("c6956c99-88d9-4678-a3df-36dd913dd4bc")
LABELS = ("dp02", "dp1")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (f"{ID}", None),
        (f"{ID.hex}", None),
        (f"{ID}".upper(), None),
        (f"  {ID}\n", None),
        (f"butler://dp1/{ID}", "dp1"),
        (f"BUTLER://dp1/{ID.hex}", "dp1"),
        (f"ivo://org.rubinobs/usdac/lsst-dp1?repo=dp1&id={ID}", "dp1"),
        (f"IVO://Org.RubinObs/usdac/lsst-dp1?repo=dp1&id={ID}", "dp1"),
        (f"ivo://org.rubinobs/lsst-dp1?id={ID}&repo=dp1", "dp1"),
        (f"ivo://org.rubinobs/something?id={ID}", None),
        (f"https://data.lsst.cloud/api/datalink/links?ID=butler%3A//dp02/{ID}", "dp02"),
        (
            "https://data.lsst.cloud/api/datalink/links"
            f"?ID=ivo%3A%2F%2Forg.rubinobs%2Flsst-dp1%3Frepo%3Ddp1%26id%3D{ID}",
            "dp1",
        ),
        (f"http://localhost:8000/api/datalink/links?id={ID}", None),
    ],
)
def test_accepted(text, label):
    assert parse_dataset_id(text, LABELS) == DatasetId(ID, label)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "blah-blah",
        f"{ID}0",
        f"{ID}"[:-1],
        f"{{{ID}}}",
        f"urn:uuid:{ID}",
        f"butler:///{ID}",
        f"butler://dp1/{ID}/x",
        f"butler://dp1//{ID}",
        "butler://dp1/",
        f"butler://dp1/../{ID}",
        "ivo://org.rubinobs/lsst-dp1?repo=dp1",
        f"ivo://org.rubinobs/x?repo=dp1&repo=dp02&id={ID}",
        f"ivo://org.rubinobs/x?repo=&repo=dp1&id={ID}&id={ID}",
        f"ivo:///x?repo=dp1&id={ID}",
        "http://[",
        f"https://host/links?ID=https%3A//host/links%3FID%3D{ID}",
        f"file:///data/{ID}",
        f"/repo/main/{ID}",
        "\0",
        f"{ID}\0",
        "\N{MATHEMATICAL DOUBLE-STRUCK DIGIT ZERO}" * 32,
        "'; DROP TABLE dataset; --",
    ],
)
def test_refused_form_says_what_is_accepted(text):
    with pytest.raises(UsageError, match=r"is no identifier of a dataset; give a UUID, butler://") as caught:
        parse_dataset_id(text, LABELS)
    assert caught.value.parameter == "ID"


def test_long_text_is_not_echoed_whole():
    with pytest.raises(UsageError) as caught:
        parse_dataset_id("x" * 100_000, LABELS)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "text",
    [
        f"butler://dr1/{ID}",
        f"butler://DP1/{ID}",
        f"ivo://org.rubinobs/usdac/hsc?repo=/repo/main&id={ID}",
        f"ivo://org.rubinobs/x?repo=..%2F..%2Fetc&id={ID}",
        f"https://host/links?ID=butler%3A//dr1/{ID}",
    ],
)
def test_foreign_label_names_those_served(text):
    with pytest.raises(NotFoundError, match="which is not served here; served: dp02, dp1"):
        parse_dataset_id(text, LABELS)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (
            "ivo://org.rubinobs/usdac/hsc?repo=/repo/main&id={id}",
            f"ivo://org.rubinobs/usdac/hsc?repo=/repo/main&id={ID}",
        ),
        (
            "ivo://org.rubinobs/usdac/hsc?repo=/repo/main&id={id}",
            f"IVO://ORG.rubinobs/usdac/hsc?repo=/repo/main&id={ID}",
        ),
        ("ivo://org.example/x/{instrument}?id={id}", f"ivo://org.example/x/LSSTCam?id={ID}"),
        ("https://host/l/{id}/{id}", f"https://HOST/l/{ID}/{ID}"),
    ],
)
def test_form_of_a_sites_configuration(template, text):
    form = PublisherForm.from_format(template, "dp1")
    assert parse_dataset_id(text, LABELS, [form]) == DatasetId(ID, "dp1")


def test_form_matches_whole_texts_only():
    form = PublisherForm.from_format("ivo://org.rubinobs/usdac/hsc?repo=/repo/main&id={id}", "dp1")
    with pytest.raises(UsageError):
        parse_dataset_id(f"ivo://org.rubinobs/usdac/hsc?repo=/repo/main&id={ID}0", LABELS, [form])
    with pytest.raises(NotFoundError):
        parse_dataset_id(f"ivo://org.rubinobs/usdac/HSC?repo=/repo/main&id={ID}", LABELS, [form])


def test_form_without_id_is_none():
    assert PublisherForm.from_format("http://datalink.org/{obs_id}", "dp1") is None


def test_every_real_configuration_leads_to_its_label(shared_data):
    import yaml

    count = 0
    for path in sorted((shared_data / "obscore/dax_obscore").glob("*.yaml")):
        config = yaml.safe_load(path.read_text())
        templates = [config.get("obs_publisher_did_fmt")] + [
            kind.get("datalink_url_fmt") for kind in (config.get("dataset_types") or {}).values()
        ]
        for template in filter(None, templates):
            form = PublisherForm.from_format(template, "here")
            if form is not None:
                count += 1
                assert parse_dataset_id(template.replace("{id}", str(ID)), ["here"], [form]) == DatasetId(
                    ID, "here"
                )
    assert count > 10


def test_label_is_encoded_in_a_uri():
    odd = DatasetId(ID, "my repo/2")
    assert format_butler_uri(odd) == f"butler://my%20repo%2F2/{ID}"
    assert parse_dataset_id(format_butler_uri(odd), [odd.label]) == odd
    assert parse_dataset_id(format_ivoid(odd, "org.example/dp"), [odd.label]) == odd


def test_find_answers_each_text_in_order(sample):
    repositories = Repositories([open_repository(sample.root), open_repository(sample.root, label="again")])
    known = sample.ids["present"]
    texts = [str(known), "nonsense", f"butler://again/{known}", f"butler://other/{known}", str(uuid4())]
    found = repositories.find(texts)
    assert [type(item) for item in found] == [Dataset, UsageError, Dataset, NotFoundError, NotFoundError]
    assert [found[0].label, found[2].label] == ["metrics_repo", "again"]
    assert "no repository here has such a dataset" in str(found[4])
    with pytest.raises(NotFoundError, match="'again' has no such dataset"):
        repositories.get_dataset(f"butler://again/{uuid4()}")
    repositories.close()


def test_registry_that_is_down_fails_its_own_datasets_only(sample):
    down = open_repository(sample.root, label="down")
    repositories = Repositories([open_repository(sample.root), down])
    down.close()
    known = sample.ids["present"]
    here, there, unknown = repositories.find(
        [f"butler://metrics_repo/{known}", f"butler://down/{known}", str(uuid4())]
    )
    assert isinstance(here, Dataset)
    assert isinstance(there, TransientError)
    # It might be in the one that does not answer.
    assert isinstance(unknown, TransientError)
    repositories.close()


def test_raw_parameters_reach_the_parser_decoded_once():
    params = ParamSet.from_pairs([("id", f"butler://dp1/{ID}")])
    assert parse_dataset_id(params.values("ID")[0], LABELS).label == "dp1"
