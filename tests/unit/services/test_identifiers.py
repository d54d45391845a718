"""What an identifier can be in the table, and which label the rows of a store have."""

from types import SimpleNamespace
from typing import Any

import pytest

from lsst.dax.vo.config import ServiceConfig
from lsst.dax.vo.errors import UsageError
from lsst.dax.vo.repo import PublisherForm, parse_dataset_id
from lsst.dax.vo.services import build_services
from lsst.dax.vo.services._export import publisher_forms, served_label
from lsst.dax.vo.services._identifiers import PublisherDids

UUID = "4f64102f-7923-4cf1-b981-8fbbb4bba523"
FORMATS = {
    "dp1": ("ivo://org.rubinobs/usdac/lsst-dp1?repo=dp1&id={id}",),
    "dp02": ("ivo://org.rubinobs/usdac/dp02?repo=dp02&id={id}", "old:{id}"),
}
CONFIG = """
facility_name: Rubin:Simonyi
obs_collection: LSST.DP1
obs_publisher_did_fmt: "ivo://org.example/a?repo=dp1&id={id}"
dataset_types:
  visit_image:
    dataproduct_type: image
    calib_level: 2
    obs_id_fmt: "{visit}"
    o_ucd: phot.count
    access_format: image/fits
    datalink_url_fmt: "https://data.example.org/links?ID=butler%3A//dp1/{id}"
  difference_image:
    dataproduct_type: image
    calib_level: 3
    obs_id_fmt: "{visit}"
    o_ucd: phot.count
    access_format: image/fits
    datalink_url_fmt: "https://data.example.org/other?ID={id}"
"""


def expand(text: str) -> list[str]:
    forms = [PublisherForm.from_format(form, label) for label, found in FORMATS.items() for form in found]
    known = [form for form in forms if form is not None]
    parsing: Any = SimpleNamespace(parse=lambda given: parse_dataset_id(given, FORMATS, known))
    return list(PublisherDids(parsing, FORMATS).expand(text))


def test_bare_uuid_can_be_of_any_repository() -> None:
    wanted = [form.format(id=UUID) for forms in FORMATS.values() for form in forms]
    assert expand(UUID) == [UUID, *wanted]
    assert expand(UUID.replace("-", "").upper())[1:] == wanted


def test_labelled_identifier_is_of_one_repository() -> None:
    text = f"butler://dp1/{UUID}"
    assert expand(text) == [text, FORMATS["dp1"][0].format(id=UUID)]


def test_publisher_did_is_itself_first() -> None:
    did = FORMATS["dp02"][0].format(id=UUID)
    assert expand(did)[0] == did
    assert expand(did)[1:] == [form.format(id=UUID) for form in FORMATS["dp02"]]


@pytest.mark.parametrize("text", ["ivo://elsewhere/x?y", "no", "", f"butler://other/{UUID}"])
def test_identifiers_of_others_stay_what_they_are(text: str) -> None:
    assert expand(text) == [text]


@pytest.mark.parametrize(
    ("exported", "wanted", "label"),
    [(None, None, None), ("dp1", None, "dp1"), (None, "dp1", "dp1"), ("dp1", "dp1", "dp1")],
)
def test_label_of_store_and_configuration(
    exported: str | None, wanted: str | None, label: str | None
) -> None:
    properties = {} if exported is None else {"label": exported}
    assert served_label(properties, wanted, "x.store") == label


def test_labels_that_differ_are_refused() -> None:
    with pytest.raises(UsageError, match=r"exported under the label 'dp1', not 'dp2'; .* --label dp2"):
        served_label({"label": "dp1"}, "dp2", "x.store")


def test_forms_of_the_store_are_those_of_its_configuration() -> None:
    formats, forms = publisher_forms({"obscore_config": CONFIG}, "dp1")
    assert formats == ("ivo://org.example/a?repo=dp1&id={id}",)
    assert len(forms) == 3
    assert {form.label for form in forms} == {"dp1"}


def test_nothing_to_serve() -> None:
    with pytest.raises(UsageError, match="nothing to serve; name a repository: butler vo serve REPO"):
        build_services(ServiceConfig())
