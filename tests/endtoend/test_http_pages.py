"""Beside the protocols: discovery, health, metrics, documentation, and whom the server believes."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from lsst.dax.vo import __version__
from lsst.dax.vo.sample._tour_server import RunningServer, running_server

FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "data.example.org"}


def raw(base_url: str, request: bytes) -> bytes:
    """Send bytes as they are, and return all that comes back."""
    parts = urlsplit(base_url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def test_front_page_names_both_repositories(base_url: str) -> None:
    page = requests.get(f"{base_url}/", timeout=60)
    assert page.headers["Content-Type"].startswith("text/html")
    for text in ("sample", "dp02", f"{base_url}/api/tap", "images"):
        assert text in page.text


def test_server_header_is_product_and_version(base_url: str) -> None:
    assert requests.get(f"{base_url}/health", timeout=60).headers["Server"] == f"lsst-dax-vo/{__version__}"


def test_health_has_the_rows_of_the_stores(base_url: str) -> None:
    document = requests.get(f"{base_url}/health", timeout=60).json()
    assert document["status"] == "healthy"
    assert set(document["rows"]) == {"sample", "dp02"}
    assert all(count > 0 for count in document["rows"].values())


def test_metrics_are_prometheus_text(base_url: str) -> None:
    answer = requests.get(f"{base_url}/metrics", timeout=60)
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert re.search(
        r'^dax_vo_requests_total\{service="\w+",status="200"\} [0-9.]+$', answer.text, re.MULTILINE
    )


def test_docs_load_nothing_from_elsewhere(base_url: str) -> None:
    page = requests.get(f"{base_url}/docs", timeout=60)
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert sources
    assert not [source for source in sources if "//" in source]
    kinds = {
        source.rpartition(".")[2]: requests.get(f"{base_url}/{source}", timeout=60) for source in sources
    }
    assert {answer.status_code for answer in kinds.values()} == {200}
    assert "javascript" in kinds["js"].headers["Content-Type"]
    assert requests.get(f"{base_url}/openapi.json", timeout=60).json()["openapi"].startswith("3.")


def test_discovery_leads_to_services_that_answer(base_url: str) -> None:
    datasets = requests.get(f"{base_url}/discovery", timeout=60).json()["datasets"]
    assert list(datasets) == ["sample", "dp02"]
    for dataset in datasets.values():
        for name, service in dataset["services"].items():
            assert requests.get(f"{service['url']}/capabilities", timeout=60).status_code == 200, name
            for version in service["versions"].values():
                # SODA without parameters is a usage error, and an answer.
                assert requests.get(version["url"], timeout=60).status_code in (200, 400)


def test_cors_on_success_error_and_file(base_url: str) -> None:
    origin = {"Origin": "https://elsewhere.example.org"}
    for path in ("/health", "/api/sia/query?MAXREC=x", "/api/files/a/b/c", "/nowhere", "/api/cutout/sync"):
        answer = requests.get(base_url + path, headers=origin, timeout=60)
        assert answer.headers["Access-Control-Allow-Origin"] == "*", path


def test_base_url_is_the_one_that_the_client_used(base_url: str) -> None:
    port = urlsplit(base_url).port
    answer = requests.get(f"http://localhost:{port}/api/tap/capabilities", timeout=60)
    assert f"http://localhost:{port}/api/tap" in answer.text
    answer = requests.get(
        f"{base_url}/api/tap/capabilities", headers={"Host": "data.example.org:81"}, timeout=60
    )
    assert "http://data.example.org:81/api/tap" in answer.text


def test_rows_lead_to_the_address_that_the_client_used(base_url: str) -> None:
    query = "SELECT TOP 1 access_url FROM ivoa.ObsCore"
    rows = requests.get(
        f"{base_url}/api/tap/sync",
        params={"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": "csv"},
        headers={"Host": "data.example.org"},
        timeout=60,
    ).text.splitlines()
    assert rows[1].strip('"').startswith("http://data.example.org/api/datalink/links?ID=")


def test_forwarded_headers_of_anybody_do_not_count(base_url: str) -> None:
    answer = requests.get(f"{base_url}/api/tap/capabilities", headers=FORWARDED, timeout=60)
    assert "data.example.org" not in answer.text


@pytest.mark.parametrize(
    "host", [b"x'||(SELECT 1)||'", b'"><b>', b"a b", b"[::1", b"a/b", b"\xff\xfe", b"h:p"]
)
def test_hostile_host_gets_into_no_document(base_url: str, host: bytes) -> None:
    query = b"QUERY=SELECT+TOP+1+access_url+FROM+ivoa.ObsCore"
    answer = raw(
        base_url,
        b"GET /api/tap/sync?" + query + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"<TR>" not in answer
    assert b"Traceback" not in answer


def test_request_without_a_host(base_url: str) -> None:
    answer = raw(base_url, b"GET /health HTTP/1.0\r\n\r\n")
    assert b" 200 " in answer.split(b"\r\n")[0]


def test_two_hosts_are_refused(base_url: str) -> None:
    answer = raw(base_url, b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n")
    assert b" 400 " in answer.split(b"\r\n")[0]


def test_bytes_that_are_no_request(base_url: str) -> None:
    assert b" 400 " in raw(base_url, b"\x16\x03\x01\x02\x00nonsense\r\n\r\n").split(b"\r\n")[0]
    assert requests.get(f"{base_url}/health", timeout=60).ok


@pytest.fixture(scope="module")
def small_server(
    sample_arguments: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """Run a server with small limits, behind a proxy on this machine."""
    environment = {
        "DAX_VO_TRUSTED_PROXIES": "[127.0.0.1]",
        "DAX_VO_LIMITS": json.dumps(
            {"request_bytes": 4096, "links": 3, "maxrec": 5, "maxrec_hard": 8, "cutout_pixels": 100}
        ),
    }
    log = tmp_path_factory.mktemp("small") / "server.log"
    with running_server(sample_arguments, log=log, environment=environment) as server:
        yield server


def test_forwarded_headers_of_a_trusted_proxy_count(small_server: RunningServer) -> None:
    answer = requests.get(f"{small_server.base_url}/api/tap/capabilities", headers=FORWARDED, timeout=60)
    assert "https://data.example.org/api/tap" in answer.text
    assert small_server.base_url not in answer.text


@pytest.mark.parametrize(
    ("path", "kind", "word"),
    [
        ("/api/tap/sync", "application/x-votable+xml", ">The request is too long"),
        ("/api/sia/query", "application/x-votable+xml", ">UsageFault: The request is too long"),
        ("/api/datalink/links", "application/x-votable+xml", ">UsageFault: The request is too long"),
        ("/api/cutout/sync", "text/plain; charset=utf-8", "UsageError: The request is too long"),
    ],
)
@pytest.mark.parametrize("form", ["urlencoded", "multipart", "pieces"])
def test_bodies_that_are_too_long(
    small_server: RunningServer, path: str, kind: str, word: str, form: str
) -> None:
    url = small_server.base_url + path
    long = "x" * 5000
    match form:
        case "urlencoded":
            answer = requests.post(url, data={"ID": long}, timeout=60)
        case "multipart":
            answer = requests.post(url, files={"ID": (None, long)}, timeout=60)
        case _:
            pieces = iter([b"ID=", *[b"x" * 100] * 50])
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = requests.post(url, data=pieces, headers=headers, timeout=60)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, kind)
    assert word in answer.text
    assert "4096 bytes" in answer.text


def test_more_identifiers_than_the_limit_overflow(small_server: RunningServer) -> None:
    answer = requests.get(
        f"{small_server.base_url}/api/datalink/links", params=[("ID", f"x{n}") for n in range(5)], timeout=60
    )
    assert answer.status_code == 200
    assert 'value="OVERFLOW"' in answer.text
    assert "<TD>x2</TD>" in answer.text
    assert "<TD>x3</TD>" not in answer.text


@pytest.mark.parametrize(("maxrec", "rows"), [(None, 5), ("7", 7), ("100", 8), ("0", 0)])
@pytest.mark.parametrize("path", ["/api/tap/sync", "/api/sia/query"])
def test_rows_are_limited_as_the_configuration_says(
    small_server: RunningServer, path: str, maxrec: str | None, rows: int
) -> None:
    params = {"QUERY": "SELECT * FROM ivoa.ObsCore", "LANG": "ADQL"} | ({"MAXREC": maxrec} if maxrec else {})
    answer = requests.get(small_server.base_url + path, params=params, timeout=60)
    assert answer.text.count("<TR>") == rows
    assert 'name="QUERY_STATUS" value="OVERFLOW"' in answer.text.partition("</TABLE>")[2]


def test_cutouts_that_are_too_large(small_server: RunningServer, image_id: str) -> None:
    answer = requests.get(
        f"{small_server.base_url}/api/cutout/sync",
        params={"ID": image_id, "CIRCLE": "55.7 -32.3 90"},
        timeout=60,
    )
    assert answer.status_code == 400
    assert re.match(r"UsageError: The region covers [0-9]+ pixels of the image; at most 100 ", answer.text)


def test_configured_base_url_is_in_every_document(
    sample_arguments: list[str], image_id: str, tmp_path: Path
) -> None:
    environment = {"DAX_VO_BASE_URL": "https://data.example.org/vo"}
    with running_server(sample_arguments, log=tmp_path / "server.log", environment=environment) as server:
        here = server.base_url
        for path in (
            "/api/tap/capabilities",
            "/api/sia/capabilities",
            "/api/datalink/capabilities",
            "/api/cutout/capabilities",
            "/api/tap/examples",
            "/discovery",
            f"/api/datalink/links?ID={requests.utils.quote(image_id, safe='')}",
            "/api/sia/query?MAXREC=2",
        ):
            text = requests.get(here + path, timeout=60).text
            assert "https://data.example.org/vo/" in text, path
            assert here not in text, path
