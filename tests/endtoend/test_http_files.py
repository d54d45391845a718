"""Signed URLs of files over real sockets (RFC 9110): whole, in parts, and not any more."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

import httpx
import pytest
import requests
from astropy.io import fits
from fastapi import FastAPI
from lsst.daf.butler import Butler

from lsst.dax.vo.config import RepositoryConfig, ServiceConfig
from lsst.dax.vo.http import create_app
from lsst.dax.vo.sample import Sample
from lsst.dax.vo.services import build_services


@dataclass(frozen=True)
class Signed:
    """A signed URL, and the file that it leads to."""

    url: str
    content: bytes

    def get(self, **headers: str) -> requests.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.get(self.url, headers=names, timeout=60)


def access_url(links: str) -> str:
    found = re.search(r"<TD>(http[^<]*/api/files/[^<]*)</TD>", links)
    assert found is not None
    return found[1].replace("&amp;", "&")


@pytest.fixture(scope="module")
def signed(base_url: str, image_id: str, sample: Sample) -> Signed:
    links = requests.get(f"{base_url}/api/datalink/links", params={"ID": image_id}, timeout=60)
    url = access_url(links.text)
    with Butler.from_config(str(sample.repositories["sample"]), writeable=False) as butler:
        ref = butler.get_dataset(_uuid(image_id))
        assert ref is not None
        content = Path(butler.getURI(ref).ospath).read_bytes()
    return Signed(url, content)


def _uuid(identifier: str) -> UUID:
    return UUID(identifier[-36:])


def test_whole_file(signed: Signed) -> None:
    answer = signed.get()
    assert (answer.status_code, answer.content) == (200, signed.content)
    assert answer.headers["Content-Type"] == "application/fits"
    assert answer.headers["Content-Length"] == str(len(signed.content))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert re.fullmatch(
        r'attachment; filename="[A-Za-z0-9._-]+\.fits"', answer.headers["Content-Disposition"]
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"].startswith("private, max-age=")


def test_url_has_only_characters_that_cfitsio_leaves_alone(signed: Signed) -> None:
    assert re.fullmatch(r"[A-Za-z0-9:/?&=._~%-]+", signed.url)


def test_head_has_the_headers_and_no_body(signed: Signed) -> None:
    head, whole = requests.head(signed.url, timeout=60), signed.get()
    assert (head.status_code, head.content) == (200, b"")
    for name in ("Content-Type", "Content-Length", "ETag", "Last-Modified", "Accept-Ranges"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    ("given", "start", "stop"),
    [("0-2879", 0, 2880), ("2880-", 2880, None), ("-100", -100, None), ("5-5", 5, 6)],
)
def test_one_range(signed: Signed, given: str, start: int, stop: int | None) -> None:
    answer = signed.get(Range=f"bytes={given}")
    wanted = signed.content[start:stop]
    assert (answer.status_code, answer.content) == (206, wanted)
    first = start % len(signed.content)
    total = len(signed.content)
    assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(wanted) - 1}/{total}"


def test_several_ranges(signed: Signed) -> None:
    answer = signed.get(Range="bytes=0-9,100-109")
    assert answer.status_code == 206
    assert answer.headers["Content-Type"].startswith("multipart/byteranges; boundary=")
    assert signed.content[:10] in answer.content
    assert signed.content[100:110] in answer.content


def test_range_beyond_the_end(signed: Signed) -> None:
    answer = signed.get(Range=f"bytes={len(signed.content)}-")
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(signed.content)}"


def test_unchanged_file_is_not_sent_again(signed: Signed) -> None:
    answer = signed.get(If_None_Match=signed.get().headers["ETag"])
    assert (answer.status_code, answer.content) == (304, b"")
    assert "Content-Type" not in answer.headers


def test_unchanged_since_is_not_sent_again(signed: Signed) -> None:
    answer = signed.get(If_Modified_Since=signed.get().headers["Last-Modified"])
    assert (answer.status_code, answer.content) == (304, b"")


def test_other_tag_is_sent_whole(signed: Signed) -> None:
    assert signed.get(If_None_Match='"other"').status_code == 200
    answer = signed.get(Range="bytes=0-9", If_Range='"other"')
    assert (answer.status_code, len(answer.content)) == (200, len(signed.content))


def test_range_of_the_same_file(signed: Signed) -> None:
    answer = signed.get(Range="bytes=0-9", If_Range=signed.get().headers["ETag"])
    assert (answer.status_code, answer.content) == (206, signed.content[:10])


def test_precondition_that_fails(signed: Signed) -> None:
    assert signed.get(If_Match='"other"').status_code == 412


def test_clients_that_hang_up_do_no_harm(signed: Signed) -> None:
    for _ in range(5):
        with requests.get(signed.url, stream=True, timeout=60) as answer:
            next(answer.iter_content(1000))
    assert signed.get().content == signed.content


def changed(url: str, **query: str | None) -> str:
    parts = urlsplit(url)
    values = {name: value[0] for name, value in parse_qs(parts.query).items()} | query
    kept = {name: value for name, value in values.items() if value is not None}
    return parts._replace(query=urlencode(kept)).geturl()


def check_refused(answer: requests.Response, status: int, text: str) -> None:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert text in answer.text
    assert answer.text.endswith("follow the dataset's DataLink for a new one\n")


@pytest.mark.parametrize("name", ["expires", "key", "signature"])
def test_url_without_its_signature_is_401(signed: Signed, name: str) -> None:
    answer = requests.get(changed(signed.url, **{name: None}), timeout=60)
    check_refused(answer, 401, "AuthenticationError: The URL of a file needs its signature")


@pytest.mark.parametrize(
    "query",
    [{"expires": "4000000000"}, {"key": "other"}, {"signature": "AAAA"}, {"expires": "soon"}],
    ids=str,
)
def test_changed_signature_is_403(signed: Signed, query: dict[str, str | None]) -> None:
    answer = requests.get(changed(signed.url, **query), timeout=60)
    check_refused(answer, 403, "AuthorizationError: The signature of this URL is not valid")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_signature_is_of_one_dataset(signed: Signed, method: str) -> None:
    parts = urlsplit(signed.url)
    label, dataset, name = parts.path.split("/")[-3:]
    for path in (
        f"/api/files/dp02/{dataset}/{name}",
        f"/api/files/{label}/00000000-0000-4000-8000-000000000000/{name}",
        f"/api/files/{label}/{dataset}/other.fits",
    ):
        answer = requests.request(method, parts._replace(path=path).geturl(), timeout=60)
        assert answer.status_code == 403


@pytest.mark.parametrize("path", ["..%2f..%2fetc%2fpasswd", "sample/..%2f..%2fbutler.yaml/x", "sample/1/2/3"])
def test_paths_of_the_machine_are_not_to_be_had(base_url: str, path: str) -> None:
    answer = requests.get(
        f"{base_url}/api/files/{path}?expires=4000000000&key=process&signature=x", timeout=60
    )
    assert answer.status_code in (403, 404)
    assert "root:" not in answer.text


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


def get(app: FastAPI, target: str) -> httpx.Response:
    async def run() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://vo.example.org"
        ) as session:
            return await session.get(target)

    return asyncio.run(run())


def test_url_ends_when_it_says(sample: Sample, image_id: str) -> None:
    clock = Clock()
    entry = RepositoryConfig(repo=str(sample.repositories["sample"]), store=str(sample.store("sample")))
    services = build_services(ServiceConfig(repositories=(entry,), link_lifetime_s=100), clock=clock)
    try:
        app = create_app(services)
        url = access_url(get(app, f"/api/datalink/links?{urlencode({'ID': image_id})}").text)
        assert url.startswith("http://vo.example.org/api/files/sample/")
        clock.now_s += 99
        assert get(app, url).headers["cache-control"] == "private, max-age=1"
        clock.now_s += 1
        ended = get(app, url)
        assert (ended.status_code, ended.headers["content-type"]) == (403, "text/plain; charset=utf-8")
        told = "AuthorizationError: This URL ended at 2027-01-15T08:01:40Z; get a new one"
        assert ended.text.startswith(told)
        stable = re.search(r"(http://\S+/api/datalink/file\S+)", ended.text)
        assert stable is not None
        # The one that it names works, and does so for ever.
        again = get(app, stable[1])
        assert get(app, again.headers["location"]).headers["cache-control"] == "private, max-age=100"
    finally:
        services.close()


def test_links_are_not_to_be_cached(base_url: str, image_id: str) -> None:
    answer = requests.get(f"{base_url}/api/datalink/links", params={"ID": image_id}, timeout=60)
    assert answer.headers["Cache-Control"] == "no-store"


def test_parts_are_read_at_the_same_time(signed: Signed) -> None:
    piece = len(signed.content) // 8 + 1
    starts = range(0, len(signed.content), piece)
    with ThreadPoolExecutor(8) as pool:
        pieces = pool.map(
            lambda start: signed.get(Range=f"bytes={start}-{start + piece - 1}").content, starts
        )
        assert b"".join(pieces) == signed.content


@pytest.fixture(scope="module")
def stable_url(base_url: str, image_id: str) -> str:
    links = requests.get(f"{base_url}/api/datalink/links", params={"ID": image_id}, timeout=60)
    found = re.search(r"<TD>(http[^<]*/api/datalink/file[^<]*)</TD>", links.text)
    assert found is not None
    return found[1].replace("&amp;", "&")


def test_stable_url_leads_there_for_each_method(stable_url: str, signed: Signed) -> None:
    answer = requests.get(stable_url, allow_redirects=False, timeout=60)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (302, "no-store")
    assert requests.get(stable_url, timeout=60).content == signed.content
    assert (
        requests.get(stable_url, headers={"Range": "bytes=5-9"}, timeout=60).content == signed.content[5:10]
    )
    head = requests.head(stable_url, allow_redirects=True, timeout=60)
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(signed.content)))


def test_stable_url_is_followed_by_cfitsio(stable_url: str, signed: Signed) -> None:
    # It follows some redirects only, and reads some names of headers only.
    fitsio = pytest.importorskip("fitsio")
    with fitsio.FITS(stable_url) as found, fitsio.FITS(signed.url) as wanted:
        assert len(found) == len(wanted) > 1
        assert found[1].read_header()["EXTNAME"] == wanted[1].read_header()["EXTNAME"]


def test_stable_url_is_read_in_parts_by_astropy(stable_url: str, signed: Signed) -> None:
    with fits.open(stable_url, use_fsspec=True) as found, fits.open(BytesIO(signed.content)) as wanted:
        assert (found[1].section[3:5, 7:9] == wanted[1].section[3:5, 7:9]).all()
