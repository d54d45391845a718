"""Pictures and the like over real sockets, from every store, as clients find them."""

import io
import json
import re
import time

import numpy as np
import pytest
import pyvo
import requests
from astropy.io import fits
from PIL import Image

from .conftest import Stored


def products_of(links_url: str, identifier: str) -> dict[str, str]:
    """Return the URLs of what is made of a dataset, by their local semantics."""
    # The first document of a kind does not wait for a server that still loads.
    for _ in range(150):
        found = pyvo.dal.adhoc.DatalinkResults.from_result_url(f"{links_url}?ID={identifier}")
        if any(row["semantics"] == "#preview" for row in found):
            break
        time.sleep(0.5)
    urls = {row["local_semantics"]: str(row["access_url"]) for row in found}
    return {name: url for name, url in urls.items() if "/api/products/" in url}


def fetch(url: str, **headers: str) -> requests.Response:
    return requests.get(
        url, headers={key.replace("_", "-"): value for key, value in headers.items()}, timeout=60
    )


@pytest.fixture(scope="module")
def urls(base_url: str, image_id: str) -> dict[str, str]:
    return products_of(f"{base_url}/api/datalink/links", requests.utils.quote(image_id, safe=""))


def test_links_of_an_image(urls: dict[str, str]) -> None:
    assert list(urls) == ["preview", "thumbnail", "psf", "mask-planes", "metadata"]


def test_everything_is_what_the_document_says(urls: dict[str, str]) -> None:
    kinds = {}
    for name, url in urls.items():
        answer = fetch(url)
        assert answer.status_code == 200
        assert len(answer.content) == int(answer.headers["Content-Length"])
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Disposition"].startswith("inline")
        head = requests.head(url, timeout=60)
        assert (head.status_code, head.content) == (200, b"")
        for header in ("Content-Length", "Content-Type", "ETag"):
            assert head.headers[header] == answer.headers[header]
        kinds[name] = answer.headers["Content-Type"]
    assert kinds == {
        "preview": "image/png",
        "thumbnail": "image/png",
        "psf": "application/fits",
        "mask-planes": "application/json",
        "metadata": "application/json",
    }


def test_pictures(urls: dict[str, str]) -> None:
    sizes = [Image.open(io.BytesIO(fetch(urls[name]).content)).size for name in ("preview", "thumbnail")]
    assert max(sizes[0]) <= 1024
    assert max(sizes[1]) <= 256


def test_psf(urls: dict[str, str], image_id: str) -> None:
    with fits.open(io.BytesIO(fetch(urls["psf"]).content)) as hdus:
        assert hdus[0].data.sum() == pytest.approx(1)
        assert hdus[0].header["BTLRUUID"] == image_id[-36:].replace("-", "")


def test_metadata(urls: dict[str, str], image_id: str) -> None:
    found = fetch(urls["metadata"]).json()
    assert found["dataset"]["id"] == image_id[-36:]
    assert {"band", *found["dataset"]["data_id"]} <= set(found["dimensions"])
    assert [plane["name"] for plane in fetch(urls["mask-planes"]).json()["planes"]] == found["mask_planes"]
    # Its stable URL leads to the file.
    assert fetch(found["dataset"]["url"]).content.startswith(b"SIMPLE")


def test_client_that_has_it(urls: dict[str, str]) -> None:
    for url in urls.values():
        first = fetch(url)
        again = fetch(url, If_None_Match=first.headers["ETag"])
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda url: url.partition("?")[0], 401),
        (lambda url: url.replace("preview.png", "thumbnail.png"), 403),
        (lambda url: re.sub("signature=.", "signature=!", url), 403),
        (lambda url: url.replace("preview.png", "..%2f..%2fpreview.png"), 404),
        (lambda url: url.replace("preview.png", "facts.json"), 403),
    ],
    ids=["unsigned", "other-product", "changed", "traversal", "internal"],
)
def test_urls_that_nobody_gave(urls: dict[str, str], change, status: int) -> None:
    answer = fetch(change(urls["preview"]))
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_url_to_keep(base_url: str, image_id: str) -> None:
    for method in ("GET", "HEAD"):
        answer = requests.request(
            method,
            f"{base_url}/api/datalink/product",
            params={"ID": image_id, "NAME": "thumbnail.png"},
            timeout=60,
        )
        assert [one.status_code for one in (*answer.history, answer)] == [302, 200]
        assert answer.headers["Content-Type"] == "image/png"
    assert fetch(f"{base_url}/api/datalink/product?ID=nonsense&NAME=thumbnail.png").status_code == 400


def test_other_methods(urls: dict[str, str]) -> None:
    answer = requests.post(urls["preview"], timeout=60)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"


def test_openapi_tells_of_them(base_url: str) -> None:
    paths = fetch(f"{base_url}/openapi.json").json()["paths"]
    told = paths["/api/products/{label}/{dataset_id}/{name}"]["get"]
    assert "preview.png" in told["description"]
    assert set(told["responses"]["200"]["content"]) >= {"image/png", "application/fits", "application/json"}


def test_the_same_from_every_store(stored: Stored) -> None:
    """Wherever the file is, the same is made of it."""
    uuid = stored.ids("visit_image")[0]
    made = {}
    for label in stored.labels:
        urls = products_of(f"{stored.url}/api/datalink/links", f"butler://{label}/{uuid}")
        assert list(urls) == ["preview", "thumbnail", "psf", "mask-planes", "metadata"], label
        picture = np.array(Image.open(io.BytesIO(fetch(urls["preview"]).content)))
        with fits.open(io.BytesIO(fetch(urls["psf"]).content)) as hdus:
            psf = hdus[0].data.tobytes()
        dimensions = fetch(urls["metadata"]).json()["dimensions"]
        assert dimensions["detector"]["purpose"] == "SCIENCE"
        assert all(re.fullmatch(r"2025-11-0[0-9T:.-]+", time) for time in dimensions["visit"]["timespan"])
        made[label] = (picture.tobytes(), psf, json.dumps(fetch(urls["mask-planes"]).json()))
    assert len(set(made.values())) == 1
