"""Datasets that the datastore keeps in a file for each component."""

import json
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from lsst.daf.butler import Butler, Config, DatasetType
from lsst.daf.butler.tests import MetricsExample

from lsst.dax.vo.dali import ParamSet
from lsst.dax.vo.datalink import FileService, HmacKey, Signer
from lsst.dax.vo.errors import AuthorizationError, NotFoundError
from lsst.dax.vo.repo import Repositories, open_repository

BASE_URL = "https://vo.example.org"
KIND = "lsst.daf.butler.tests.MetricsExample"
CONFIG = {
    "storageClasses": {
        "Metrics": {
            "pytype": KIND,
            "delegate": "lsst.daf.butler.tests.MetricsDelegate",
            "components": {"summary": "StructuredDataDict", "output": "StructuredDataDict"},
        }
    },
    "datastore": {
        "composites": {"default": False, "disassembled": {"Metrics": True}},
        "formatters": {"StructuredDataDict": "lsst.daf.butler.formatters.json.JsonFormatter"},
    },
}


@pytest.fixture
def parts(tmp_path: Path):
    root = tmp_path / "parts"
    Butler.makeRepo(str(root), config=Config(CONFIG))
    with Butler.from_config(str(root), run="run") as butler:
        kind = DatasetType("metrics", butler.dimensions.empty, "Metrics")
        butler.registry.registerDatasetType(kind)
        ref = butler.put(MetricsExample({"a": 1}, {"b": [2, 3]}), kind)
    repositories = Repositories([open_repository(root)])
    signer = Signer([HmacKey("k", b"sixteen characters")], lifetime_s=60, clock=lambda: 1_800_000_000.0)
    yield FileService(repositories, signer), repositories.get_dataset(str(ref.id)), root
    repositories.close()


def follow(files, url):
    parts = urlsplit(url)
    label, dataset_id, name = map(unquote, parts.path.split("/")[-3:])
    answer = files.deliver(label, dataset_id, name, ParamSet.from_pairs(parse_qsl(parts.query)))
    return json.loads(b"".join(answer.body))


def test_each_is_a_row_and_leads_to_its_own_file(parts, world):
    files, dataset, _ = parts
    service = world.build(files._repositories, files)
    document = service.links(ParamSet.from_pairs([("ID", str(dataset.uuid))]), BASE_URL).body.decode()
    assert document.count("<TD>#this</TD>") == 2
    for part, content in (("output", {"b": [2, 3]}), ("summary", {"a": 1})):
        assert f"<TD>metrics: {part}</TD><TD>#this</TD><TD>application/json</TD>" in document
        assert f"<TD>metrics.{part}</TD>" in document
        item = files.parts(dataset)[part]
        assert follow(files, files.access_url(item, BASE_URL, None, part)) == content
        stable = urlsplit(files.stable_url(item, BASE_URL, part))
        answer = files.redirect(ParamSet.from_pairs(parse_qsl(stable.query)), BASE_URL)
        assert follow(files, answer.headers["Location"]) == content
    # In the order of their names, so that documents are alike.
    assert document.index("metrics: output") < document.index("metrics: summary")


def test_one_that_is_gone_is_an_error_row_and_the_other_is_there(parts, world):
    files, dataset, _ = parts
    gone = Path(files.parts(dataset)["summary"].uri.ospath)
    gone.unlink()
    service = world.build(files._repositories, files)
    document = service.links(ParamSet.from_pairs([("ID", str(dataset.uuid))]), BASE_URL).body.decode()
    assert "<TD>metrics: output</TD>" in document
    assert document.count("<TD>NotFoundFault: ") == 1


def test_url_of_one_is_not_that_of_another(parts):
    files, dataset, _ = parts
    url = files.access_url(files.parts(dataset)["output"], BASE_URL, None, "output")
    with pytest.raises(AuthorizationError):
        follow(files, url.replace("/output-", "/summary-"))


@pytest.mark.parametrize("part", ["none", "", "../output", "output\0"])
def test_no_such_part(parts, part):
    files, dataset, _ = parts
    with pytest.raises(NotFoundError, match="has no such file of its own"):
        files.redirect(ParamSet.from_pairs([("ID", str(dataset.uuid)), ("PART", part)]), BASE_URL)
