"""The application: what is no protocol, and errors around the protocols."""

import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from lsst.dax.vo import __version__
from lsst.dax.vo.config import ServiceConfig
from lsst.dax.vo.dali import ParamSet, Response
from lsst.dax.vo.errors import AuthenticationError, TransientError
from lsst.dax.vo.http import create_app
from lsst.dax.vo.http.server import get_once

type Ask = Callable[..., httpx.Response]

VOTABLE = "application/x-votable+xml"


class Broken:
    """A service of which every call fails in an unforeseen way."""

    def __getattr__(self, name: str) -> Any:
        def call(*_args: object, **_options: object) -> Response:
            raise RuntimeError(f"secret of {name}")

        return call


class Echo:
    """A service that tells what it was asked."""

    def __getattr__(self, name: str) -> Any:
        def call(*args: object, **options: object) -> Response:
            params = next((dict(item.pairs) for item in args if isinstance(item, ParamSet)), {})
            return Response(200, "application/json", json.dumps([name, params, options]).encode())

        return call


@dataclass
class Parts:
    """What the front needs of the services, made by hand."""

    tap: Any = field(default_factory=Echo)
    tap_jobs: Any = field(default_factory=lambda: SimpleNamespace(running=3))
    sia: Any = field(default_factory=Echo)
    links: Any = field(default_factory=Echo)
    files: Any = field(default_factory=Echo)
    cutouts: Any = field(default_factory=Echo)
    cutout_jobs: Any = field(default_factory=lambda: SimpleNamespace(running=2))
    cutout_results: Any = field(default_factory=Echo)
    config: ServiceConfig = field(default_factory=ServiceConfig)
    repositories: dict[str, object] = field(default_factory=lambda: {"alpha": None, "<b>": None})
    rows: dict[str, int] | Exception = field(default_factory=lambda: {"alpha": 12345, "<b>": 0})
    started: bool = False
    closed: bool = False

    def start(self) -> None:
        self.started = True

    def count_rows(self) -> dict[str, int]:
        if isinstance(self.rows, Exception):
            raise self.rows
        return self.rows

    def availability(self) -> Response:
        return Response(200, "text/xml", b"<up/>")

    def close(self) -> None:
        self.closed = True


def make_app(**parts: Any) -> FastAPI:
    services: Any = Parts(**parts)
    return create_app(services)


BROKEN = {name: Broken() for name in ("tap", "sia", "links", "files", "cutouts")}

DOCUMENTS = [
    ("/api/tap/sync", "tap", ""),
    ("/api/sia/query", "sia", "DefaultFault: "),
    ("/api/sia/alpha/query", "sia", "DefaultFault: "),
    ("/api/datalink/links", "links", "DefaultFault: "),
]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("path", "part", "word"), DOCUMENTS)
def test_defects_in_a_votable(ask: Ask, path: str, part: str, word: str, method: str) -> None:
    response = ask(make_app(**{part: Broken()}), method, path)
    assert (response.status_code, response.headers["content-type"]) == (500, VOTABLE)
    assert f">{word}The service failed in a way it did not foresee" in response.text
    assert "(log id " in response.text
    assert "secret" not in response.text


@pytest.mark.parametrize(
    "path",
    [
        "/api/cutout/sync",
        "/api/image/soda/sync",
        "/api/files/alpha/4f64102f-7923-4cf1-b981-8fbbb4bba523/a.fits",
        "/api/tap/tables",
        "/api/tap/capabilities",
        "/api/tap/examples",
        "/api/sia/availability",
        "/api/datalink/capabilities",
        "/api/cutout/capabilities",
        "/health",
        "/",
    ],
)
def test_defects_in_plain_text(ask: Ask, path: str) -> None:
    response = ask(make_app(**BROKEN, rows=RuntimeError("secret")), "GET", path)
    assert (response.status_code, response.headers["content-type"]) == (500, "text/plain; charset=utf-8")
    assert re.fullmatch(r"Error: The service failed .*\(log id [0-9a-f]{12}\)\n", response.text)


@pytest.mark.parametrize("path", ["/", "/health"])
def test_stores_that_do_not_answer_are_503(ask: Ask, path: str) -> None:
    response = ask(make_app(rows=TransientError("The store is away", retry_after=5)), "GET", path)
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert response.text == "ServiceUnavailable: The store is away\n"


def test_errors_of_files_have_their_status(ask: Ask) -> None:
    def refuse(*_args: object, **_options: object) -> Response:
        raise AuthenticationError("The URL of a file needs its signature")

    app = make_app(files=SimpleNamespace(deliver=refuse))
    response = ask(app, "GET", "/api/files/alpha/1/a.fits")
    assert response.status_code == 401
    assert response.text == "AuthenticationError: The URL of a file needs its signature\n"


ROUTES = [
    ("/api/tap/sync", "sync"),
    ("/api/tap/tables", "tables"),
    ("/api/tap/tables/ivoa.ObsCore", "tables"),
    ("/api/tap/capabilities", "capabilities"),
    ("/api/tap/availability", "availability"),
    ("/api/tap/examples", "examples"),
    ("/api/sia/query", "query"),
    ("/api/sia/alpha/query", "query"),
    ("/api/sia/alpha/capabilities", "capabilities"),
    ("/api/sia/capabilities", "capabilities"),
    ("/api/sia/availability", "availability"),
    ("/api/datalink/links", "links"),
    ("/api/datalink/capabilities", "capabilities"),
    ("/api/cutout/sync", "sync"),
    ("/api/image/soda/sync", "sync"),
    ("/api/cutout/capabilities", "capabilities"),
    ("/api/cutout/examples", "examples"),
    ("/api/cutout/results/a/b", "deliver"),
]


@pytest.mark.parametrize(("path", "call"), ROUTES)
def test_paths_lead_to_their_service(ask: Ask, path: str, call: str) -> None:
    assert ask(make_app(), "GET", path).json()[0] == call


def test_label_of_sia_is_passed_on(ask: Ask) -> None:
    assert ask(make_app(), "GET", "/api/sia/alpha/query").json()[2] == {"label": "alpha"}
    assert ask(make_app(), "GET", "/api/sia/query").json()[2] == {"label": None}


@pytest.mark.parametrize(
    "path", ["/api/tap/sync", "/api/sia/query", "/api/datalink/links", "/api/cutout/sync"]
)
def test_get_and_post_meet_before_the_service(ask: Ask, path: str) -> None:
    pairs = {"Id": "x", "pos": "1 2"}
    app = make_app()
    wanted = {"ID": "x", "POS": "1 2"}
    assert ask(app, "GET", path, params=pairs).json()[1] == wanted
    assert ask(app, "POST", path, data=pairs).json()[1] == wanted
    assert ask(app, "POST", path, files={k: (None, v) for k, v in pairs.items()}).json()[1] == wanted


@pytest.mark.parametrize(
    "path", ["/api/nothing", "/nothing", "/api/tap/nothing", "/api/tap", "/api/sia/a/b/c"]
)
def test_unknown_paths_are_404_in_plain_text(ask: Ask, path: str) -> None:
    response = ask(make_app(), "GET", path)
    assert (response.status_code, response.headers["content-type"]) == (404, "text/plain; charset=utf-8")
    assert response.text == f"UsageError: There is nothing at '{path}'; the page at / shows what there is\n"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/tap/sync", "GET, HEAD, POST"),
        ("POST", "/api/tap/tables", "GET, HEAD"),
        ("DELETE", "/health", "GET, HEAD"),
        ("POST", "/docs/static/swagger-ui.css", "GET, HEAD"),
        ("PUT", "/api/tap/async", "GET, HEAD, POST"),
        ("PUT", "/api/tap/async/1", "GET, HEAD, POST, DELETE"),
        ("DELETE", "/api/tap/async/1/phase", "GET, HEAD, POST"),
    ],
)
def test_other_methods_are_405(ask: Ask, method: str, path: str, allowed: str) -> None:
    response = ask(make_app(), method, path)
    assert (response.status_code, response.headers["content-type"]) == (405, "text/plain; charset=utf-8")
    assert response.headers["allow"] == allowed
    told = allowed.replace(", ", " or ")
    assert response.text == f"UsageError: {method} is not accepted at '{path}'; send {told}\n"


@pytest.mark.parametrize("path", ["/api/tap/sync", "/api/nothing", "/discovery", "/api/tap/tables"])
def test_pages_of_other_sites_may_read_answers(ask: Ask, path: str) -> None:
    response = ask(make_app(), "GET", path, headers={"Origin": "https://elsewhere.example.org"})
    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize(("path", "part", "_word"), DOCUMENTS)
def test_pages_of_other_sites_may_read_errors(ask: Ask, path: str, part: str, _word: str) -> None:
    response = ask(
        make_app(**{part: Broken()}), "GET", path, headers={"Origin": "https://elsewhere.example.org"}
    )
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (500, "*")


def test_preflight_of_a_ranged_read(ask: Ask) -> None:
    response = ask(
        make_app(),
        "OPTIONS",
        "/api/files/alpha/1/a.fits",
        headers={
            "Origin": "https://elsewhere.example.org",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "range",
        },
    )
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "*"
    assert "range" in response.headers["access-control-allow-headers"].lower()


def test_preflight_of_a_job_that_is_removed(ask: Ask) -> None:
    response = ask(
        make_app(),
        "OPTIONS",
        "/api/tap/async/1",
        headers={"Origin": "https://elsewhere.example.org", "Access-Control-Request-Method": "DELETE"},
    )
    assert response.status_code == 200
    assert "DELETE" in response.headers["access-control-allow-methods"]


def test_scripts_see_the_headers_of_a_file(ask: Ask) -> None:
    response = ask(make_app(), "GET", "/health", headers={"Origin": "https://elsewhere.example.org"})
    exposed = {name.strip() for name in response.headers["access-control-expose-headers"].split(",")}
    assert {"Content-Range", "Content-Length", "ETag", "Accept-Ranges"} <= exposed


def test_front_page_names_repositories_and_services(ask: Ask) -> None:
    response = ask(make_app(), "GET", "/")
    assert response.headers["content-type"].startswith("text/html")
    assert "12,345 images" in response.text
    assert "http://vo.example.org/api/tap" in response.text
    # A label is text, never markup.
    assert "<b>" not in response.text
    assert "&lt;b&gt;" in response.text


def test_front_page_links_lead_somewhere(ask: Ask) -> None:
    app = make_app(repositories={"alpha": None})
    targets = re.findall(r'href="([^"]+)"', ask(app, "GET", "/").text)
    assert len(targets) > 6
    missing = [target for target in targets if ask(app, "GET", f"/{target}").status_code != 200]
    assert missing == []


def test_discovery_has_each_repository_and_its_services(ask: Ask) -> None:
    document = ask(make_app(), "GET", "/discovery").json()
    assert list(document["datasets"]) == ["alpha", "<b>"]
    services = document["datasets"]["alpha"]["services"]
    assert services["sia"]["url"] == "http://vo.example.org/api/sia/alpha"
    assert services["cutout"]["versions"]["soda-sync-1.0"]["url"] == "http://vo.example.org/api/cutout/sync"
    assert ask(make_app(), "GET", "/repertoire/discovery").json() == document


def test_health_counts_rows(ask: Ask) -> None:
    assert ask(make_app(), "GET", "/health").json() == {
        "status": "healthy",
        "rows": {"alpha": 12345, "<b>": 0},
    }


def test_whatever_can_be_got_has_a_head(ask: Ask) -> None:
    app = make_app()
    told = ask(app, "GET", "/openapi.json").json()["paths"]
    paths = [re.sub(r"\{\w+\}", "x", path) for path, methods in told.items() if "get" in methods]
    assert len(paths) > 20
    for path in (*paths, "/", "/repertoire/discovery", "/docs", "/openapi.json"):
        assert "HEAD" in ask(app, "PUT", path).headers["allow"].split(", "), path


@pytest.mark.parametrize(
    "path", ["/", "/health", "/discovery", "/repertoire/discovery", "/metrics", "/docs", "/api/tap/sync"]
)
def test_head_is_the_answer_without_its_body(ask: Ask, path: str) -> None:
    app = make_app()
    got, head = ask(app, "GET", path), ask(app, "HEAD", path)
    assert (got.status_code, head.status_code) == (200, 200)
    assert head.headers["content-type"] == got.headers["content-type"]


def test_metrics_tell_what_is_being_worked_on(ask: Ask) -> None:
    text = ask(make_app(), "GET", "/metrics").text
    assert 'dax_vo_jobs_running{service="tap"} 3.0' in text
    # This request.
    assert 'dax_vo_requests_in_progress{service="other"} 1.0' in text


def test_metrics_count_requests_by_service(ask: Ask) -> None:
    app = make_app(sia=Broken())

    def count(service: str, status: int) -> float:
        found = re.search(
            rf'^dax_vo_requests_total{{service="{service}",status="{status}"}} (\S+)$',
            ask(app, "GET", "/metrics").text,
            re.MULTILINE,
        )
        return float(found[1]) if found else 0.0

    before = count("tap", 200), count("sia", 500), count("other", 404)
    ask(app, "GET", "/api/tap/sync")
    ask(app, "GET", "/api/sia/alpha/query")
    ask(app, "GET", "/nowhere/4f64102f")
    after = count("tap", 200), count("sia", 500), count("other", 404)
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 1]
    # Neither a label nor an identifier makes a series of its own.
    assert "4f64102f" not in ask(app, "GET", "/metrics").text


def test_openapi_describes_every_parameter(ask: Ask) -> None:
    document = ask(make_app(), "GET", "/openapi.json").json()
    assert document["info"]["version"] == __version__
    names = {
        path: {item["name"] for item in document["paths"][path]["get"]["parameters"]}
        for path in ("/api/tap/sync", "/api/sia/query", "/api/cutout/sync", "/api/datalink/links")
    }
    assert {"QUERY", "LANG", "MAXREC", "RESPONSEFORMAT"} <= names["/api/tap/sync"]
    assert {"POS", "BAND", "TIME", "CALIB", "DPSUBTYPE"} <= names["/api/sia/query"]
    assert {"ID", "CIRCLE", "POLYGON", "POS", "CUTOUTDETAIL"} <= names["/api/cutout/sync"]
    assert "ID" in names["/api/datalink/links"]
    operations = [item["operationId"] for path in document["paths"].values() for item in path.values()]
    assert len(set(operations)) == len(operations)


def test_docs_need_no_internet(ask: Ask) -> None:
    app = make_app()
    page = ask(app, "GET", "/docs")
    assert page.status_code == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(sources) >= 3
    assert [source for source in sources if "//" in source] == []
    for source in sources:
        assert ask(app, "GET", f"/{source}").status_code == 200, source
    assert ask(app, "GET", "/openapi.json").status_code == 200


def get(path: str, **parts: Any) -> tuple[int, bytes, Parts]:
    services: Any = Parts(**parts)
    stream = io.BytesIO()
    return get_once(services, path, stream), stream.getvalue(), services


@pytest.mark.parametrize(
    "path", ["/api/sia/query?POS=CIRCLE 1 2 3&calib=2", "api/sia/query?pos=CIRCLE+1+2%203&CALIB=2"]
)
def test_get_once_prints_one_answer(path: str) -> None:
    status, content, services = get(path)
    assert status == 0
    assert json.loads(content)[1] == {"POS": "CIRCLE 1 2 3", "CALIB": "2"}
    assert services.closed


def test_get_once_decodes_the_path() -> None:
    assert json.loads(get("/api/sia/a%20b/query")[1])[2] == {"label": "a b"}


def test_get_once_tells_failure_by_its_status() -> None:
    status, content, services = get("/nowhere")
    assert (status, content[:11]) == (1, b"UsageError:")
    assert services.closed


def test_get_once_of_a_defect() -> None:
    status, content, services = get("/api/tap/sync", tap=Broken())
    assert (status, services.closed) == (1, True)
    assert b"(log id " in content


def test_get_once_of_a_defect_beside_the_protocols() -> None:
    status, content, services = get("/health", rows=RuntimeError("secret"))
    assert (status, services.closed) == (1, True)
    assert b"secret" not in content


def test_get_once_writes_chunks() -> None:
    tap = SimpleNamespace(sync=lambda *_: Response(200, "text/csv", iter([b"a\n", b"1\n"])))
    assert get("/api/tap/sync", tap=tap)[:2] == (0, b"a\n1\n")


@pytest.mark.parametrize("error", [TransientError("away"), RuntimeError("secret")])
def test_get_once_of_an_answer_cut_short_is_no_success(error: Exception) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"a\n"
        raise error

    tap = SimpleNamespace(sync=lambda *_: Response(200, "text/csv", chunks()))
    assert get("/api/tap/sync", tap=tap)[:2] == (1, b"a\n")
