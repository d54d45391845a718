"""DALI 1.1, 2 and 3: requests by GET and POST, names in any case, answers alike."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import requests

COUNT = (
    "SELECT dataproduct_subtype, COUNT(*) AS n FROM ivoa.ObsCore GROUP BY dataproduct_subtype ORDER BY n, 1"
)
# What differs between two answers to the same request: when they were made.
_TIMES = re.compile(
    rb'name="request_date" value="[^"]*"|expires=[0-9]+|signature=[A-Za-z0-9_-]+|'
    rb"DATE-CUT= '[^']*'|DATE    = '[^']*'"
)


@dataclass(frozen=True)
class Case:
    """A request that every method can carry."""

    path: str
    pairs: tuple[tuple[str, str], ...]
    media_type: str

    def url(self, base_url: str) -> str:
        return base_url + self.path


VOTABLE = "application/x-votable+xml"
LINKS = f"{VOTABLE};content=datalink"
CASES = {
    "tap": Case("/api/tap/sync", (("LANG", "ADQL"), ("QUERY", COUNT)), VOTABLE),
    "tap-csv": Case(
        "/api/tap/sync",
        (("LANG", "ADQL-2.1"), ("QUERY", COUNT), ("RESPONSEFORMAT", "csv"), ("REQUEST", "doQuery")),
        "text/csv;header=present",
    ),
    "sia": Case(
        "/api/sia/query", (("POS", "CIRCLE {ra} {dec} 0.01"), ("CALIB", "2"), ("CALIB", "3")), VOTABLE
    ),
    "sia-label": Case(
        "/api/sia/sample/query", (("BAND", "5.5e-7 6.9e-7"), ("MAXREC", "20"), ("Dpsubtype", "x")), VOTABLE
    ),
    "datalink": Case("/api/datalink/links", (("ID", "{id}"), ("ID", "no"), ("ID", "{id}&x=+%2F")), LINKS),
    "soda": Case("/api/cutout/sync", (("ID", "{id}"), ("CIRCLE", "{ra} {dec} 0.002")), "application/fits"),
    "soda-older-path": Case(
        "/api/image/soda/sync",
        (("ID", "{id}"), ("POS", "CIRCLE {ra} {dec} 0.002"), ("CUTOUTDETAIL", "MaskedImage")),
        "application/fits",
    ),
}


@pytest.fixture
def fill(place: tuple[float, float], image_id: str) -> dict[str, object]:
    return {"ra": place[0], "dec": place[1], "id": image_id}


def filled(case: Case, fill: dict[str, object]) -> list[tuple[str, str]]:
    return [(name, value.format(**fill)) for name, value in case.pairs]


def timeless(content: bytes) -> bytes:
    return _TIMES.sub(b"", content)


def get(base_url: str, case: Case, pairs: list[tuple[str, str]]) -> requests.Response:
    return requests.get(case.url(base_url), params=pairs, timeout=60)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_get_is_answered(base_url: str, case: Case, fill: dict[str, object]) -> None:
    answer = get(base_url, case, filled(case, fill))
    assert answer.status_code == 200, answer.text[:500]
    assert answer.headers["Content-Type"] == case.media_type
    assert len(answer.content) > 50


def test_urlencoded_post_is_answered_alike(base_url: str, case: Case, fill: dict[str, object]) -> None:
    pairs = filled(case, fill)
    by_get, by_post = get(base_url, case, pairs), requests.post(case.url(base_url), data=pairs, timeout=60)
    assert (by_post.status_code, by_post.headers["Content-Type"]) == (200, case.media_type)
    assert timeless(by_post.content) == timeless(by_get.content)


def test_multipart_post_is_answered_alike(base_url: str, case: Case, fill: dict[str, object]) -> None:
    pairs = filled(case, fill)
    fields = [(name, (None, value)) for name, value in pairs]
    by_get, by_post = get(base_url, case, pairs), requests.post(case.url(base_url), files=fields, timeout=60)
    assert (by_post.status_code, by_post.headers["Content-Type"]) == (200, case.media_type)
    assert timeless(by_post.content) == timeless(by_get.content)


@pytest.mark.parametrize("change", [str.lower, str.title, str.swapcase])
def test_names_in_any_case(base_url: str, case: Case, fill: dict[str, object], change: object) -> None:
    assert callable(change)
    pairs = filled(case, fill)
    changed = [(change(name), value) for name, value in pairs]
    assert timeless(get(base_url, case, changed).content) == timeless(get(base_url, case, pairs).content)


def test_unknown_parameters_are_ignored(base_url: str, case: Case, fill: dict[str, object]) -> None:
    pairs = filled(case, fill)
    more = [*pairs, ("DUMMY", "1"), ("DUMMY", "2"), ("", "x"), ("no_value", "")]
    assert timeless(get(base_url, case, more).content) == timeless(get(base_url, case, pairs).content)


def test_query_string_and_form_of_one_post(base_url: str, fill: dict[str, object]) -> None:
    case = CASES["tap-csv"]
    answer = requests.post(
        f"{case.url(base_url)}?LANG=ADQL&responseformat=csv", data={"query": COUNT}, timeout=60
    )
    assert answer.content == get(base_url, case, filled(case, fill)).content


def test_many_at_once_are_answered_as_one_by_one(base_url: str, fill: dict[str, object]) -> None:
    chosen = list(CASES.values()) * 6
    alone = {case: timeless(get(base_url, case, filled(case, fill)).content) for case in CASES.values()}
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda case: get(base_url, case, filled(case, fill)).content, chosen))
    assert [timeless(content) == alone[case] for case, content in zip(chosen, together, strict=True)] == [
        True
    ] * len(chosen)


def test_sia_of_a_label_has_the_rows_of_that_repository(base_url: str) -> None:
    def count(path: str, where: str) -> tuple[int, int]:
        rows = requests.get(
            f"{base_url}{path}", params={"RESPONSEFORMAT": "csv", "MAXREC": "100000"}, timeout=60
        )
        query = f"SELECT COUNT(*) AS n FROM ivoa.ObsCore WHERE dataproduct_type IN ('image', 'cube'){where}"
        counted = requests.get(
            f"{base_url}/api/tap/sync",
            params={"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": "csv"},
            timeout=60,
        )
        return len(rows.text.splitlines()) - 1, int(counted.text.split()[1])

    found = {label: count(f"/api/sia{label}/query", "")[0] for label in ("", "/sample", "/dp02")}
    assert found["/sample"] > 0
    assert found["/dp02"] > 0
    assert found[""] == found["/sample"] + found["/dp02"] == count("/api/sia/query", "")[1]


def test_service_closes_no_socket_between_requests(base_url: str) -> None:
    with requests.Session() as session:
        for _ in range(3):
            answer = session.get(f"{base_url}/api/tap/availability", timeout=60)
            assert answer.headers.get("Connection", "keep-alive") != "close"
