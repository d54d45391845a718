"""The page on links shows what each kind of dataset leads to: so it does."""

import re
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import pyvo

PAGE = Path(__file__).parents[2] / "doc" / "links.md"
RUBIN = "https://rsp.lsst.io/guides/api/soda.html"
ROW = re.compile(r"\| `([^`]*)` \| `([^`]*)` \| `([^`]*)` \| .*\|")

type Rows = list[tuple[str, str, str]]


def tables() -> dict[str, Rows]:
    """Return the tables of the page by the kinds of datasets, their headings."""
    sections = re.split(r"^### ", PAGE.read_text(), flags=re.M)[1:]
    found = {}
    for section in sections:
        kind, _, text = section.partition("\n")
        found[kind] = [match.groups() for match in ROW.finditer(text.partition("\n## ")[0])]
    return found


def links_of(base_url: str, ids: list[str]) -> list[Mapping[str, str]]:
    query = pyvo.dal.adhoc.DatalinkQuery(f"{base_url}/api/datalink/links", id=ids)
    return [{name: str(value) for name, value in row.items()} for row in query.execute(post=True)]


def wait_for_pictures(base_url: str, ids: list[str]) -> list[Mapping[str, str]]:
    """Return the rows of datasets when a service that has just begun knows what it can make of each kind."""
    for _ in range(60):
        rows = links_of(base_url, ids)
        images = {row["ID"] for row in rows if row["content_qualifier"] == "#image"}
        if images == {row["ID"] for row in rows if row["semantics"] == "#preview"}:
            return rows
        time.sleep(1)
    raise AssertionError("not every kind of image has a preview")


@pytest.fixture(scope="module")
def shown(sample_server) -> dict[str, Rows]:
    """Return the rows of all datasets, each kind of row once, by dataset type."""
    base_url = sample_server.base_url
    table = pyvo.dal.TAPService(f"{base_url}/api/tap").search(
        "SELECT obs_publisher_did FROM ivoa.ObsCore WHERE obs_publisher_did LIKE '%repo=sample%'"
    )
    rows = wait_for_pictures(base_url, list(table["obs_publisher_did"]))
    summaries = {
        row["access_url"].split("/")[-2] for row in rows if row["local_semantics"] == "visit_summary"
    }
    rows += links_of(base_url, sorted(summaries))
    assert not [row for row in rows if row["error_message"]]
    found: dict[str, Rows] = {}
    for row in rows:
        if row["semantics"] == "#this":
            kind = found.setdefault(row["local_semantics"], [])
        cells = (row["semantics"].replace(RUBIN, "…"), row["local_semantics"], row["content_type"])
        if cells not in kind:
            kind.append(cells)
    return found


def test_every_kind_of_the_sample_is_shown(shown):
    assert tables().keys() == shown.keys()


@pytest.mark.parametrize("kind", tables())
def test_table_is_what_the_documents_have(shown, kind):
    order = list(dict.fromkeys(semantics for semantics, _, _ in tables()[kind]))
    assert sorted(tables()[kind]) == sorted(shown[kind])
    # Families stand in the order of the documents.
    assert order == list(dict.fromkeys(semantics for semantics, _, _ in shown[kind]))
