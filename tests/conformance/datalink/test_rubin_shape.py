"""Our documents beside those of Rubin's own service: its clients must not notice."""

import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

_NS = "{http://www.ivoa.net/xml/VOTable/v1.3}"
# Rubin's name of our dataset, by its document.
DOCUMENTS = {
    "calexp": ("coadd",),
    "raw": ("raw",),
    "multiple": ("coadd", "raw", "abb90721-3735-477d-ae8c-7726ec118c50"),
    "nonexistent": ("abb90721-3735-477d-ae8c-7726ec118c50",),
    "invalid-repo": ("butler://invalid-repo/abb90721-3735-477d-ae8c-7726ec118c50",),
    "invalid": ("blah-blah",),
    "empty": (),
}


@pytest.fixture(params=DOCUMENTS)
def pair(request, world):
    default = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("DAX_VO_TEST_DATA", default)) / "vo/rsp/datalinker/links"
    if not folder.is_dir():
        pytest.skip(f"Rubin's documents are not at {folder}; set DAX_VO_TEST_DATA")
    theirs = ET.parse(folder / f"{request.param}.xml").getroot()
    return world.links(*DOCUMENTS[request.param]).root, theirs


def fields(root):
    names = ("datatype", "arraysize", "ucd", "unit")
    return {field.get("name"): tuple(map(field.get, names)) for field in root.iter(f"{_NS}FIELD")}


def cells(root, *names):
    columns = list(fields(root))
    rows = [
        dict(zip(columns, [cell.text or "" for cell in row], strict=True)) for row in root.iter(f"{_NS}TR")
    ]
    return [tuple(row[name] for name in names) for row in rows]


def descriptors(root):
    found = {}
    for resource in root.iter(f"{_NS}RESOURCE"):
        if resource.get("type") == "meta" and resource.get("ID"):
            names = ("datatype", "arraysize", "xtype", "unit", "ref")
            found[resource.get("ID")] = {
                param.get("name"): (
                    *map(param.get, names),
                    bool(param.get("value")),
                    [option.get("value") for option in param.iter(f"{_NS}OPTION")],
                )
                for param in resource.iter(f"{_NS}PARAM")
            }
    return found


def test_fields_are_theirs_and_those_of_1_1(pair):
    ours, theirs = pair
    assert list(fields(ours))[:8] == list(fields(theirs))
    assert fields(theirs).items() <= fields(ours).items()


def test_rows_lead_to_the_same(pair):
    ours, theirs = pair
    names = ("semantics", "service_def", "content_type")
    assert cells(ours, *names) == cells(theirs, *names)


def test_errors_have_the_same_word(pair):
    def words(root):
        return [message.partition(":")[0] for (message,) in cells(root, "error_message")]

    ours, theirs = pair
    assert words(ours) == words(theirs)


def test_descriptors_take_all_of_their_parameters(pair):
    ours, theirs = map(descriptors, pair)
    assert list(ours) == [*theirs, *(["cutout-async"] if theirs else [])]
    for name, params in theirs.items():
        assert params.items() <= ours[name].items()
