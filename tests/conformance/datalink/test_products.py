"""Pictures, PSFs, legends and metadata: promised only if they can be made, and delivered by signed URLs."""

import hashlib
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import numpy as np
import pytest
from astropy.io import fits
from lsst.images.serialization import write_archive
from PIL import Image

from lsst.dax.vo.config import LinksConfig
from lsst.dax.vo.dali import ParamSet, Response
from lsst.dax.vo.datalink import (
    AuxiliaryLinks,
    Caller,
    HmacKey,
    LinkChoice,
    LinksService,
    PreviewLinks,
    ProductService,
    Signer,
)
from lsst.dax.vo.errors import (
    AuthenticationError,
    AuthorizationError,
    NotFoundError,
    TransientError,
    UnsupportedError,
    UsageError,
)
from lsst.dax.vo.repo import Dataset, Repositories
from lsst.dax.vo.services import link_datasets
from lsst.dax.vo.soda import CutoutWork, Derived, LocalRunner
from lsst.dax.vo.testing.lsst_images import make_visit_image

BASE = "https://vo.example.org/rubin"
NOW_S = 1_800_000_000.0
CALLER = Caller(BASE)

type ReadBody = Callable[[Response], bytes]


class CountingRunner(LocalRunner):
    """Makes all, and notes what."""

    def __init__(self) -> None:
        self.works: list[CutoutWork] = []

    def run(self, work, hangup, *, background=False):
        self.works.append(work)
        yield from super().run(work, hangup, background=background)

    def made(self) -> list[str]:
        return [work.derived.value for work in self.works if work.derived is not Derived.FACTS]


@dataclass
class Shop:
    """The service of products on a copy of the repository, and what it does."""

    products: ProductService
    runner: CountingRunner
    repositories: Repositories
    ids: dict[str, UUID]
    clock_s: list[float] = field(default_factory=lambda: [NOW_S])

    def dataset(self, name: str) -> Dataset:
        return self.repositories["coadds"].datasets([self.ids[name]])[self.ids[name]]

    def links(self, *names: str, choice: LinkChoice | None = None, caller: Caller = CALLER):
        datasets = [self.dataset(name) for name in names]
        found = {}
        for source in (PreviewLinks(self.products, choice), AuxiliaryLinks(self.products, choice)):
            for uuid, links in source.links(datasets, caller).items():
                found.setdefault(uuid, []).extend(links)
        return [found.get(self.ids[name], []) for name in names]

    def get(self, url: str, *, method: str = "GET", user: str | None = None, **headers: str) -> Response:
        parts = urlsplit(url)
        assert url.startswith(f"{BASE}/api/products/")
        *_, label, dataset_id, name = parts.path.split("/")
        return self.products.deliver(
            label,
            dataset_id,
            name,
            ParamSet.from_pairs(parse_qsl(parts.query)),
            base_url=BASE,
            method=method,
            headers={key.replace("_", "-"): value for key, value in headers.items()},
            user=user,
        )

    def url(self, name: str, derived: Derived, user: str | None = None) -> str:
        return self.products.url(self.dataset(name), derived, BASE, user)


@pytest.fixture
def shop(copied_world) -> Iterator[Shop]:
    runner, clock_s = CountingRunner(), [NOW_S]
    signer = Signer([HmacKey("k1", b"sixteen characters")], lifetime_s=3600, clock=lambda: clock_s[0])
    repositories = copied_world.repositories
    products = ProductService(repositories, signer, runner, version="1", clock=lambda: clock_s[0])
    shop = Shop(products, runner, repositories, copied_world.ids, clock_s)
    yield shop
    products.close()


@pytest.fixture
def visit(shop: Shop) -> None:
    """Put a visit image with mask and PSF in the place of two coadds."""
    for name in ("coadd", "other"):
        path = Path(shop.dataset(name).uri.ospath)
        path.unlink()
        write_archive(make_visit_image(), path)


def labels(links) -> list[str]:
    return [link.local_semantics for link in links]


@pytest.mark.usefixtures("visit")
def test_rows_of_an_image_with_everything(shop: Shop) -> None:
    (links,) = shop.links("coadd")
    assert [(link.semantics, link.local_semantics, link.content_type) for link in links] == [
        ("#preview", "preview", "image/png"),
        ("#preview-image", "thumbnail", "image/png"),
        ("#auxiliary", "psf", "application/fits"),
        ("#auxiliary", "mask-planes", "application/json"),
        ("#auxiliary", "metadata", "application/json"),
    ]
    for link in links:
        assert link.content_length is None
        assert link.description
        assert link.link_auth == "false"
        assert link.link_authorized
        response = shop.get(link.access_url)
        assert response.status == 200
        assert response.media_type == link.content_type


def test_only_what_can_be_made_is_promised(shop: Shop) -> None:
    """Plain images have no mask and no PSF; what is no image, or gone, has nothing."""
    images, raw, table, gone = shop.links("coadd", "raw", "table", "gone")
    assert labels(images) == labels(raw) == ["preview", "thumbnail", "metadata"]
    assert table == gone == []


@pytest.mark.usefixtures("visit")
def test_mask_by_itself_has_no_picture(shop: Shop) -> None:
    dataset = replace(shop.dataset("coadd"), storage_class="MaskX")
    assert PreviewLinks(shop.products).links([dataset], CALLER) == {}
    (links,) = AuxiliaryLinks(shop.products).links([dataset], CALLER).values()
    assert "mask-planes" in labels(links)


def test_one_file_of_each_kind_is_looked_at(shop: Shop) -> None:
    for _ in range(3):
        coadd, other, plane = shop.links("coadd", "other", "plane")
        assert labels(coadd) == labels(other) == labels(plane) == ["preview", "thumbnail", "metadata"]
    assert len(shop.runner.works) == 2
    assert shop.runner.made() == []


def test_damaged_file_promises_nothing(shop: Shop) -> None:
    Path(shop.dataset("plane").uri.ospath).write_bytes(b"SIMPLE  =" + b" " * 5000)
    (links,) = shop.links("plane")
    assert links == []


@pytest.mark.usefixtures("visit")
@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        (LinksConfig(preview=False), ["psf", "mask-planes", "metadata"]),
        (LinksConfig(psf=False), ["preview", "thumbnail", "mask-planes", "metadata"]),
        (LinksConfig(mask_planes=False), ["preview", "thumbnail", "psf", "metadata"]),
        (LinksConfig(metadata=False), ["preview", "thumbnail", "psf", "mask-planes"]),
        (LinksConfig(preview=True), ["preview", "thumbnail", "psf", "mask-planes", "metadata"]),
    ],
)
def test_families_are_configured(shop: Shop, entry: LinksConfig, wanted: list[str]) -> None:
    (links,) = shop.links("coadd", choice=LinkChoice({"coadds": {"deepCoadd_*": entry}}))
    assert labels(links) == wanted


def test_nothing_of_a_server_without_one(copied_world) -> None:
    """What 'butler vo links' writes leads to no server for what would have to be made."""
    root = Path(
        copied_world.repositories["coadds"].datasets([copied_world.ids["coadd"]]).popitem()[1].uri.ospath
    )
    document = b"".join(link_datasets(root.parents[1], [str(copied_world.ids["coadd"])]))
    assert b"#this" in document
    assert b"/api/products" not in document
    assert b"#preview" not in document


def test_preview_is_delivered(shop: Shop, read_body: ReadBody) -> None:
    response = shop.get(shop.url("coadd", Derived.PREVIEW))
    headers = dict(response.headers)
    assert headers["Content-Disposition"] == 'inline; filename="coadd_2__preview.png"'
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "private, max-age=3600"
    content = read_body(response)
    assert headers["Content-Length"] == str(len(content))
    picture = Image.open(io.BytesIO(content))
    assert picture.size == (50, 40)
    assert str(shop.ids["coadd"].hex) in picture.text["Comment"]


@pytest.mark.usefixtures("visit")
def test_psf_says_which_dataset_it_is(shop: Shop, read_body: ReadBody) -> None:
    content = read_body(shop.get(shop.url("coadd", Derived.PSF)))
    with fits.open(io.BytesIO(content)) as hdus:
        assert hdus[0].header["BTLRUUID"] == shop.ids["coadd"].hex
        assert hdus[0].header["BTLRNAME"] == "deepCoadd_calexp"
        assert hdus[0].data.sum() == pytest.approx(1)


@pytest.mark.usefixtures("visit")
def test_metadata_has_what_the_registry_knows(shop: Shop, read_body: ReadBody) -> None:
    found = json.loads(read_body(shop.get(shop.url("coadd", Derived.METADATA))))
    assert found["dataset"] == {
        "id": str(shop.ids["coadd"]),
        "repository": "coadds",
        "type": "deepCoadd_calexp",
        "storage_class": "ExposureF",
        "run": "run",
        "data_id": {"skymap": "sky", "tract": 4431, "patch": 2},
        "url": f"{BASE}/api/datalink/file?ID=butler://coadds/{shop.ids['coadd']}",
    }
    assert found["dimensions"]["patch"] == {
        "skymap": "sky",
        "tract": 4431,
        "id": 2,
        "cell_x": 2,
        "cell_y": 0,
    }
    assert found["dimensions"]["skymap"]["tract_max"] == 9
    assert found["psf"] == {"model": "gaussian_psf", "can_be_computed": True}
    assert found["file"]["name"] == "coadd+(2).fits"


@pytest.mark.parametrize("derived", [Derived.PREVIEW, Derived.THUMBNAIL, Derived.METADATA])
def test_conditional_requests(shop: Shop, derived: Derived, read_body: ReadBody) -> None:
    url = shop.url("coadd", derived)
    first = shop.get(url)
    etag = first.headers["ETag"]
    again = shop.get(url, If_None_Match=f'"other", {etag}')
    assert again.status == 304
    assert read_body(again) == b""
    assert again.headers["ETag"] == etag
    assert shop.get(url, If_None_Match='"other"').status == 200
    assert shop.get(url, If_Match='"other"').status == 412
    # What the client has need not be made; metadata may have changed in the registry.
    assert shop.runner.made().count(derived.value) == (3 if derived is not Derived.METADATA else 4)


def test_tags_tell_products_and_datasets_apart(shop: Shop) -> None:
    urls = [
        shop.url(name, one) for name in ("coadd", "plane") for one in (Derived.PREVIEW, Derived.THUMBNAIL)
    ]
    assert len({shop.get(url).headers["ETag"] for url in urls}) == 4


def test_head_and_ranges(shop: Shop, read_body: ReadBody) -> None:
    url = shop.url("coadd", Derived.PREVIEW)
    whole = read_body(shop.get(url))
    head = shop.get(url, method="HEAD")
    assert (head.status, read_body(head)) == (200, b"")
    assert head.headers["Content-Length"] == str(len(whole))
    part = shop.get(url, Range="bytes=1-3")
    assert (part.status, read_body(part)) == (206, b"PNG")
    assert shop.get(url, Range=f"bytes={len(whole)}-").status == 416


def test_stable_url_leads_to_one_that_is_signed_now(shop: Shop) -> None:
    (links,) = shop.links("coadd")
    for link in links:
        path, _, query = link.stable_url.partition("?")
        assert path == f"{BASE}/api/datalink/product"
        params = ParamSet.from_pairs(parse_qsl(query))
        response = shop.products.redirect(params, BASE)
        assert response.status == 302
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Location"] == link.access_url
        # Tomorrow the signed one has ended.
        shop.clock_s[0] += 86_400
        with pytest.raises(AuthorizationError):
            shop.get(link.access_url)
        assert shop.get(shop.products.redirect(params, BASE).headers["Location"]).status == 200
        shop.clock_s[0] -= 86_400


@pytest.mark.parametrize(
    ("pairs", "error", "message"),
    [
        ([("NAME", "preview.png")], UsageError, "ID"),
        ([("ID", "coadd")], UsageError, "NAME='' is not accepted; give one of preview.png, thumbnail.png"),
        ([("ID", "coadd"), ("NAME", "facts.json")], UsageError, "give one of preview.png, thumbnail.png"),
        ([("ID", "coadd"), ("NAME", "../x\r\nX: y")], UsageError, "is not accepted"),
        ([("ID", "nonsense"), ("NAME", "preview.png")], UsageError, "nonsense"),
        ([("ID", str(UUID(int=5))), ("NAME", "preview.png")], NotFoundError, "no repository"),
        ([("ID", "gone"), ("NAME", "preview.png")], NotFoundError, "gone"),
    ],
    ids=["no-id", "no-name", "internal", "hostile", "no-identifier", "no-dataset", "no-file"],
)
def test_stable_url_that_leads_nowhere(
    shop: Shop, pairs: list[tuple[str, str]], error: type[Exception], message: str
) -> None:
    sent = [(name, str(shop.ids.get(value, value))) for name, value in pairs]
    with pytest.raises(error, match=message):
        shop.products.redirect(ParamSet.from_pairs(sent), BASE)


def test_signature_is_needed(shop: Shop) -> None:
    url = shop.url("coadd", Derived.PREVIEW)
    with pytest.raises(AuthenticationError):
        shop.get(url.partition("?")[0])
    for changed in (
        url.replace("preview.png", "thumbnail.png"),
        url.replace("preview.png", "facts.json"),
        url.replace(str(shop.ids["coadd"]), str(shop.ids["other"])),
        url.replace("/coadds/", "/others/"),
        url.replace("key=k1", "key=k2"),
        url[:-1],
    ):
        with pytest.raises(AuthorizationError):
            shop.get(changed)
    shop.clock_s[0] += 3601
    with pytest.raises(AuthorizationError, match="ended"):
        shop.get(url)
    assert shop.runner.works == []


def test_signature_for_one_user(shop: Shop) -> None:
    (links,) = shop.links("coadd", caller=Caller(BASE, "rachel"))
    assert {link.link_auth for link in links} == {"true"}
    assert shop.get(links[0].access_url, user="rachel").status == 200
    with pytest.raises(AuthorizationError):
        shop.get(links[0].access_url, user="eve")
    with pytest.raises(AuthenticationError):
        shop.get(links[0].access_url)


def test_what_cannot_be_made_says_why(shop: Shop) -> None:
    with pytest.raises(UnsupportedError, match="has no point spread function"):
        shop.get(shop.url("coadd", Derived.PSF))
    with pytest.raises(UnsupportedError, match="has no mask whose bits have names"):
        shop.get(shop.url("coadd", Derived.MASK_PLANES))


def test_file_that_has_gone_since(shop: Shop) -> None:
    url = shop.url("coadd", Derived.PREVIEW)
    Path(shop.dataset("coadd").uri.ospath).unlink()
    with pytest.raises(NotFoundError):
        shop.get(url)


def test_dataset_that_has_gone_since(shop: Shop) -> None:
    dataset = shop.dataset("coadd")
    shop.ids["none"] = UUID(int=5)
    signer = shop.products._signer
    path = f"/api/products/coadds/{UUID(int=5)}/preview.png"
    with pytest.raises(NotFoundError, match="has no dataset"):
        shop.get(BASE + signer.sign(path))
    with pytest.raises(NotFoundError):
        shop.get(BASE + signer.sign(f"/api/products/coadds/{dataset.uuid}/facts.json"))


def test_busy_processes_are_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args, **_options):
        raise TransientError("All processes that cut are busy", retry_after=7)

    monkeypatch.setattr(shop.runner, "run", refuse)
    with pytest.raises(TransientError) as info:
        shop.get(shop.url("coadd", Derived.PREVIEW))
    assert info.value.retry_after == 7
    # A document promises nothing that could not be looked at.
    assert shop.links("coadd") == [[]]


def test_same_bytes_as_without_a_server(shop: Shop, read_body: ReadBody) -> None:
    from lsst.dax.vo.soda.derived import make_derived

    dataset = shop.dataset("plane")
    alone = np.array(Image.open(io.BytesIO(make_derived(dataset.uri, Derived.PREVIEW).content)))
    served = np.array(Image.open(io.BytesIO(read_body(shop.get(shop.url("plane", Derived.PREVIEW))))))
    assert hashlib.sha256(alone.tobytes()).hexdigest() == hashlib.sha256(served.tobytes()).hexdigest()


@pytest.mark.usefixtures("visit")
@pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed")
@pytest.mark.parametrize("task", ["datalinklint", "votlint"])
def test_stilts_has_nothing_to_say(shop: Shop, task: str) -> None:
    sources = (PreviewLinks(shop.products), AuxiliaryLinks(shop.products))
    pairs = [("ID", str(shop.ids[name])) for name in ("coadd", "plane", "raw", "table", "gone")]
    response = LinksService(shop.repositories, sources).links(ParamSet.from_pairs(pairs), BASE)
    command = [shutil.which("stilts"), task, "-"]
    done = subprocess.run(command, input=response.body, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode()
    assert not re.search(r"^\s*([EWF]-|ERROR|WARNING)", said, re.MULTILINE), said
    assert response.body.count(b"/api/products/") == 11
    assert response.body.count(b"/api/datalink/product?") == 11
