"""Documents of all kinds of datasets: STILTS reads them, and all that they lead to is as they say."""

import re
import shutil
import subprocess
import time
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
import requests
from lsst.daf.butler import Butler

from lsst.dax.vo.sample import Sample

_NS = "{http://www.ivoa.net/xml/VOTable/v1.3}"
# http://www.ivoa.net/rdf/datalink/core
TERMS = {
    "this",
    "progenitor",
    "derivation",
    "auxiliary",
    "weight",
    "error",
    "noise",
    "calibration",
    "bias",
    "dark",
    "flat",
    "preview",
    "preview-image",
    "preview-plot",
    "thumbnail",
    "proc",
    "cutout",
    "documentation",
    "detached-header",
    "coderived",
    "counterpart",
    "package",
}
# STILTS 3.4.7 knows the columns of DataLink 1.0 and the terms of its time.
_NEWER_COLUMNS = ("content_qualifier", "local_semantics", "link_auth", "link_authorized")


@dataclass(frozen=True)
class Document:
    """A links document, taken apart."""

    response: requests.Response

    @property
    def root(self) -> ET.Element:
        return ET.fromstring(self.response.content)

    @property
    def rows(self) -> list[dict[str, str]]:
        names = [field.get("name", "") for field in self.root.iter(f"{_NS}FIELD")]
        return [
            dict(zip(names, [cell.text or "" for cell in row], strict=True))
            for row in self.root.iter(f"{_NS}TR")
        ]

    @property
    def services(self) -> dict[str, ET.Element]:
        return {
            item.get("ID", ""): item
            for item in self.root.iter(f"{_NS}RESOURCE")
            if item.get("type") == "meta"
        }


@pytest.fixture(scope="module")
def datasets(sample: Sample) -> dict[str, list[str]]:
    """Return identifiers by label and dataset type."""
    found = {}
    for label, repository in sample.repositories.items():
        with Butler.from_config(str(repository)) as butler:
            for ref in butler.query_all_datasets("*", find_first=False, limit=None):
                found.setdefault(f"{label} {ref.datasetType.name}", []).append(f"butler://{label}/{ref.id}")
    return {name: sorted(ids) for name, ids in found.items()}


def ids_of(kind: str, datasets: Mapping[str, list[str]]) -> list[str]:
    """Return what a request of some kind asks for."""
    one_each = [ids[0] for ids in datasets.values()]
    match kind:
        case "none":
            return []
        case "unknown":
            return [str(uuid.UUID(int=1))]
        case "malformed":
            return ["<no> \"'& such", "ñ", "x" * 3000, "butler://nowhere/" + str(uuid.UUID(int=2))]
        case "one of each type":
            return one_each
        case "good and bad":
            return [*one_each[:2], "no such", str(uuid.UUID(int=3)), *one_each[2:]]
        case "forms of one":
            text = one_each[0]
            return [text, text[-36:], text[-36:].upper(), text[-36:].replace("-", "")]
        case "many":
            return [text for ids in datasets.values() for text in ids][::4]
        case "more than the limit":
            return [one_each[0], *(str(uuid.UUID(int=number)) for number in range(5001))]
    raise AssertionError(kind)


KINDS = (
    "none",
    "unknown",
    "malformed",
    "one of each type",
    "good and bad",
    "forms of one",
    "many",
    "more than the limit",
)


@pytest.fixture(scope="module")
def ask(base_url: str, datasets):
    """Return what asks for a document, once its server knows what can be made of each kind."""
    counts: list[int] = []
    for _ in range(100):
        ids = [("ID", text) for text in ids_of("one of each type", datasets)]
        counts.append(
            requests.post(f"{base_url}/api/datalink/links", data=ids, timeout=120).text.count("<TR>")
        )
        if len(set(counts[-4:])) == 1 and counts[-1] > counts[0] + 10:
            break
        time.sleep(0.25)
    kept: dict[tuple[str, ...], Document] = {}

    def post(ids: list[str]) -> Document:
        key = tuple(ids)
        if key not in kept:
            url = f"{base_url}/api/datalink/links"
            kept[key] = Document(requests.post(url, data=[("ID", text) for text in ids], timeout=120))
        return kept[key]

    return post


def lint(document: bytes) -> list[str]:
    stilts = shutil.which("stilts")
    if stilts is None:
        pytest.skip("stilts is not installed (Debian package 'stilts')")
    done = subprocess.run(
        [stilts, "datalinklint", "-", "report=EWF", "maxrepeat=99999"],
        input=document,
        capture_output=True,
        check=False,
        timeout=120,
    )
    said = (done.stdout + done.stderr).decode()
    assert "Totals: " in said, said
    lines = [line for line in said.splitlines() if re.match(r"[EWF]-\w+-", line)]
    return [line for line in lines if not is_waived(line)]


def is_waived(line: str) -> bool:
    if line.startswith(("E-SMCO", "W-SMCO")):
        term = re.search(r"'([a-z-]+)'", line)
        return term is not None and term[1] in TERMS
    return any(name in line for name in _NEWER_COLUMNS)


@pytest.mark.parametrize("kind", KINDS)
def test_datalinklint_finds_nothing(ask, datasets, kind: str) -> None:
    document = ask(ids_of(kind, datasets))
    assert document.response.status_code == 200
    assert lint(document.response.content) == []


def test_datalinklint_finds_nothing_in_documents_of_each_type(ask, datasets) -> None:
    assert len(datasets) >= 8
    for name, ids in datasets.items():
        assert lint(ask(ids[:1]).response.content) == [], name


def test_datalinklint_would_find_something(ask, datasets) -> None:
    content = ask(ids_of("one of each type", datasets)).response.content
    assert lint(content.replace(b">#this<", b">#thus<")) != []
    assert lint(content.replace(b'ref="ID"', b'ref="IDD"')) != []


@pytest.mark.parametrize("kind", KINDS)
def test_semantics_are_terms_or_uris(ask, datasets, kind: str) -> None:
    for row in ask(ids_of(kind, datasets)).rows:
        assert row["semantics"].removeprefix("#") in TERMS or row["semantics"].startswith("https://"), row


def test_each_access_url_is_what_its_row_says(ask, datasets) -> None:
    followed = set()
    with requests.Session() as session:
        for ids in datasets.values():
            for row in ask(ids[:1]).rows:
                if not row["access_url"]:
                    continue
                answer = session.get(row["access_url"], timeout=120)
                assert answer.status_code == 200, (row, answer.text[:500])
                assert answer.headers["Content-Type"] == row["content_type"], row
                assert int(answer.headers["Content-Length"]) == len(answer.content)
                assert row["content_length"] in ("", str(len(answer.content))), row
                assert answer.content
                # Whatever is signed has an address to keep, too.
                kept = session.get(row["stable_url"], timeout=120)
                assert kept.status_code == 200, row
                assert kept.content == answer.content, row
                followed.add(row["semantics"])
    assert {"#this", "#preview", "#auxiliary", "#progenitor", "#derivation", "#coderived"} <= followed


def test_each_dataset_has_one_this(ask, datasets) -> None:
    for row_ids in datasets.values():
        rows = ask(row_ids[:3]).rows
        assert [row["ID"] for row in rows if row["semantics"] == "#this"] == row_ids[:3]


def params_of(service: ET.Element) -> Iterator[ET.Element]:
    for group in service.iter(f"{_NS}GROUP"):
        if group.get("name") == "inputParams":
            yield from group.iter(f"{_NS}PARAM")


def call(document: Document, row: Mapping[str, str]) -> requests.Response:
    """Invoke the service of a row: what is fixed, what the row has, and a shape inside of its limits."""
    service = document.services[row["service_def"]]
    fields = {field.get("ID"): field.get("name", "") for field in document.root.iter(f"{_NS}FIELD")}
    told = {item.get("name"): item.get("value", "") for item in service if item.tag == f"{_NS}PARAM"}
    sent = []
    for param in params_of(service):
        name, value, ref = param.get("name", ""), param.get("value", ""), param.get("ref")
        if ref:
            sent.append((name, row[fields[ref]]))
        elif value:
            sent.append((name, value))
        elif name == "CIRCLE":
            (largest,) = [item.get("value", "") for item in param.iter(f"{_NS}MAX")]
            ra, dec, radius = map(float, largest.split())
            sent.append((name, f"{ra!r} {dec!r} {radius / 20!r}"))
    return requests.post(told["accessURL"], data=sent, timeout=120)


@pytest.mark.parametrize("count", [1, 2])
def test_each_service_can_be_called(ask, datasets, count: int) -> None:
    called = set()
    for ids in datasets.values():
        document = ask(ids[:count])
        for row in document.rows:
            if not row["service_def"]:
                continue
            if not list(limits_of(document, row)):
                # That of all datasets of a document.
                assert count > 1
                continue
            answer = call(document, row)
            assert answer.status_code == 200, (row, answer.text[:500])
            assert (
                answer.headers["Content-Type"].partition(";")[0] == row["content_type"].partition(";")[0]
            ), row
            called.add(row["service_def"])
    assert any(name.startswith("cutout-sync") for name in called)


def limits_of(document: Document, row: Mapping[str, str]) -> Iterator[ET.Element]:
    for param in params_of(document.services[row["service_def"]]):
        if param.get("name") == "CIRCLE":
            yield from param.iter(f"{_NS}MAX")


def test_examples_work(ask, datasets) -> None:
    for ids in datasets.values():
        for service in ask(ids[:1]).services.values():
            for param in service:
                if param.get("name") == "exampleURL":
                    assert requests.get(param.get("value", ""), timeout=120).status_code == 200


def test_more_than_the_limit_is_an_overflow(ask, datasets) -> None:
    document = ask(ids_of("more than the limit", datasets))
    states = [
        item.get("value") for item in document.root.iter(f"{_NS}INFO") if item.get("name") == "QUERY_STATUS"
    ]
    assert states[-1] == "OVERFLOW"
    assert len({row["ID"] for row in document.rows}) == 5000


def test_get_is_post(base_url: str, ask, datasets) -> None:
    ids = ids_of("one of each type", datasets)
    query = urlencode([("ID", text) for text in ids])
    found = Document(requests.get(f"{base_url}/api/datalink/links?{query}", timeout=120))
    assert found.response.headers["Content-Type"] == "application/x-votable+xml;content=datalink"

    def plain(rows: list[dict[str, str]]) -> list[tuple[str, ...]]:
        names = ("ID", "semantics", "service_def", "error_message", "description", "content_type")
        return [tuple(row[name] for name in names) for row in rows]

    assert plain(found.rows) == plain(ask(ids).rows)
