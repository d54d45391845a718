"""SODA 1.0 and UWS 1.1 over HTTP: each clause, on all services together."""

import io
import re
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from lsst.dax.vo.config import ServiceConfig
from lsst.dax.vo.services import build_services

from .conftest import BASE_URL, DEC_DEG, RA_DEG, UWS, Site

CIRCLE = f"{RA_DEG!r} {DEC_DEG!r} 0.0004"
FAR = f"{RA_DEG - 359!r} {DEC_DEG!r} 0.0004"
LISTS = ("/api/cutout/async", "/api/cutout/jobs")
HREF = "{http://www.w3.org/1999/xlink}href"
LABEL = re.compile(
    r"(Error|AuthenticationError|AuthorizationError|ServiceUnavailable|UsageError|"
    r"MultiValuedParamNotSupported): \S"
)
BANDS = {"g": "4.5e-7", "r": "6e-7", "i": "7.5e-7"}


def results_of(job: ET.Element) -> dict[str, ET.Element]:
    return {item.get("id", ""): item for item in job.iter(f"{UWS}result")}


# -- sync


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_3_2_cutout_by_get_and_post(site: Site, method: str) -> None:
    response = site.sync(("ID", "g"), ("CIRCLE", CIRCLE), method=method)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/fits"
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.headers["content-disposition"].startswith('attachment; filename="')
    with fits.open(io.BytesIO(response.content)) as hdus:
        assert hdus[1].data.shape == (15, 15)
        assert hdus[0].header["BTLRUUID"] == site.ids["g"].replace("-", "")


def test_3_3_shapes_of_pos_are_those_of_the_others(site: Site) -> None:
    corners = " ".join(
        f"{RA_DEG + x * 0.0004!r} {DEC_DEG + y * 0.0004!r}" for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    )
    for name, value in (("CIRCLE", CIRCLE), ("POLYGON", corners)):
        alone = site.sync(("ID", "g"), (name, value)).content
        assert site.sync(("ID", "g"), ("POS", f"{name} {value}")).content == alone
    limits = f"{RA_DEG - 0.0004!r} {RA_DEG + 0.0004!r} {DEC_DEG - 0.0004!r} {DEC_DEG + 0.0004!r}"
    assert site.sync(("ID", "g"), ("POS", f"RANGE {limits}")).status_code == 200


@pytest.mark.parametrize("name", BANDS)
def test_3_3_5_band_selects_by_the_row_of_the_dataset(site: Site, name: str) -> None:
    statuses = {
        band: site.sync(("ID", name), ("CIRCLE", CIRCLE), ("BAND", wavelength)).status_code
        for band, wavelength in BANDS.items()
    }
    assert statuses == {band: 200 if band == name else 204 for band in BANDS}


def test_3_3_6_what_nobody_knows_cannot_be_a_filter(site: Site) -> None:
    response = site.sync(("ID", "g"), ("CIRCLE", CIRCLE), ("TIME", "60000"))
    assert (response.status_code, "leave TIME out" in response.text) == (400, True)


@pytest.mark.parametrize(
    ("pairs", "status", "word"),
    [
        ((("ID", "g"), ("CIRCLE", FAR)), 204, None),
        ((("ID", "g"), ("CIRCLE", CIRCLE), ("BAND", "1e-2")), 204, None),
        ((("CIRCLE", CIRCLE),), 400, "UsageError"),
        ((("ID", "g"),), 400, "UsageError"),
        ((("ID", "g"), ("CIRCLE", f"{RA_DEG} {DEC_DEG} 0")), 400, "UsageError"),
        ((("ID", "g"), ("CIRCLE", f"{RA_DEG} {DEC_DEG} -1")), 400, "UsageError"),
        ((("ID", "g"), ("CIRCLE", "0 91 1")), 400, "UsageError"),
        ((("ID", "g"), ("CIRCLE", "nan 0 1")), 400, "UsageError"),
        ((("ID", "g"), ("CIRCLE", "inf 0 1")), 400, "UsageError"),
        ((("ID", "g"), ("POLYGON", "0 0 1 1")), 400, "UsageError"),
        ((("ID", "g"), ("POLYGON", "0 0 1 1 1 0 0 1")), 400, "UsageError"),
        ((("ID", "g"), ("POLYGON", "0 0 1 0 2 0")), 400, "UsageError"),
        ((("ID", "g"), ("CIRCLE", CIRCLE), ("RESPONSEFORMAT", "image/gif")), 400, "UsageError"),
        ((("ID", "g"), ("BAND", "1 0")), 400, "UsageError"),
        ((("ID", "g"), ("CIRCLE", CIRCLE), ("CIRCLE", FAR)), 400, "MultiValuedParamNotSupported"),
        ((("ID", "g"), ("ID", "r"), ("CIRCLE", CIRCLE)), 400, "MultiValuedParamNotSupported"),
        ((("ID", "nonsense"), ("CIRCLE", CIRCLE)), 400, "UsageError"),
        ((("ID", "00000000-0000-0000-0000-000000000000"), ("CIRCLE", CIRCLE)), 404, "UsageError"),
        ((("ID", "lost"), ("CIRCLE", CIRCLE)), 404, "UsageError"),
        ((("ID", "table"), ("CIRCLE", CIRCLE)), 400, "UsageError"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_5_statuses_and_words(
    site: Site, pairs: tuple[tuple[str, str], ...], status: int, word: str | None, method: str
) -> None:
    response = site.sync(*pairs, method=method)
    assert response.status_code == status, response.text
    if word is None:
        assert response.content == b""
        assert "content-type" not in response.headers
    else:
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert LABEL.match(response.text)
        assert response.text.startswith(f"{word}: ")
    assert site.sync(("ID", "g"), ("CIRCLE", CIRCLE)).status_code == 200


@pytest.mark.parametrize(
    ("name", "status", "told"),
    [
        ("lost", 404, "gone"),
        ("empty", 400, "empty"),
        ("pointer", 400, "git lfs pull"),
        ("text", 400, "not FITS"),
        ("short", 400, "cut short"),
        ("bare", 400, "by pixels instead"),
    ],
)
def test_bad_file_is_told_and_harms_nobody(site: Site, name: str, status: int, told: str) -> None:
    response = site.sync(("ID", name), ("CIRCLE", CIRCLE))
    assert (response.status_code, response.text.partition(":")[0]) == (status, "UsageError")
    assert told in response.text
    job = site.wait(site.make(LISTS[0], ("ID", name), ("ID", "g"), ("CIRCLE", CIRCLE), ("PHASE", "RUN")))
    results = results_of(job)
    assert told in site("GET", results["cutout-1"].get(HREF, "")).text
    assert results["cutout-2"].get("mime-type") == "application/fits"


def test_too_many_products(site: Site) -> None:
    many = [("PIXELS", f"{1000 + i} {1000 + i} 0 0") for i in range(51)]
    response = site.sync(("ID", "g"), *many, ("RESPONSEFORMAT", "tar"))
    assert (response.status_code, "at most 50" in response.text) == (400, True)


def test_several_in_one_answer(site: Site) -> None:
    pairs = (("ID", "g"), ("ID", "r"), ("CIRCLE", CIRCLE), ("CIRCLE", FAR))
    response = site.sync(*pairs, ("RESPONSEFORMAT", "application/x-tar"))
    assert response.headers["content-type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(response.content)) as archive:
        assert len(archive.getnames()) == 3


def test_three_bands_make_a_picture(site: Site) -> None:
    three = [("ID", name) for name in ("i", "r", "g")]
    response = site.sync(*three, ("CIRCLE", CIRCLE), ("RESPONSEFORMAT", "image/jpeg"))
    assert response.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(response.content)).size == (15, 15)


# -- async


@pytest.mark.parametrize("path", LISTS)
def test_5_2_each_product_is_a_result(site: Site, path: str) -> None:
    pairs = (("ID", "g"), ("ID", "r"), ("CIRCLE", CIRCLE), ("CIRCLE", FAR), ("PHASE", "RUN"))
    url = site.make(path, *pairs)
    assert re.fullmatch(f"{BASE_URL}{path}/[0-9a-f]{{32}}", url)
    job = site.wait(url)
    assert job.findtext(f"{UWS}phase") == "COMPLETED"
    results = results_of(job)
    assert sorted(results) == ["cutout-1", "cutout-2", "cutout-3", "cutout-4"]
    for number, dataset in ((1, "g"), (3, "r")):
        result = results[f"cutout-{number}"]
        assert result.get("mime-type") == "application/fits"
        answer = site("GET", result.get(HREF, ""))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/fits")
        assert answer.headers["content-length"] == result.get("size")
        assert answer.content == site.sync(("ID", dataset), ("CIRCLE", CIRCLE)).content
        # And where UWS has it.
        assert site("GET", f"{url}/results/cutout-{number}").content == answer.content
    for number in (2, 4):
        result = results[f"cutout-{number}"]
        answer = site("GET", result.get(HREF, ""))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert LABEL.match(answer.text)


def test_3_2_products_of_all_filters(site: Site) -> None:
    """All values of POL are one; others multiply out."""
    pairs = [("ID", "g"), ("CIRCLE", CIRCLE), ("CIRCLE", CIRCLE), ("POL", "I"), ("POL", "Q")]
    pairs += [("BAND", BANDS["g"]), ("BAND", BANDS["r"]), ("PHASE", "RUN")]
    job = site.wait(site.make(LISTS[0], *pairs))
    assert len(results_of(job)) == 4


def test_job_whose_file_is_gone_says_so_for_that_one(site: Site) -> None:
    job = site.wait(site.make(LISTS[0], ("ID", "lost"), ("ID", "g"), ("CIRCLE", CIRCLE), ("PHASE", "RUN")))
    assert job.findtext(f"{UWS}phase") == "COMPLETED"
    results = results_of(job)
    assert [results[name].get("mime-type") for name in ("cutout-1", "cutout-2")] == [
        "text/plain; charset=utf-8",
        "application/fits",
    ]
    assert "gone" in site("GET", results["cutout-1"].get(HREF, "")).text


@pytest.mark.parametrize(
    "pairs", [(("ID", "lost"), ("CIRCLE", CIRCLE)), (("ID", "g"),), (("CIRCLE", CIRCLE),)]
)
def test_5_2_failed_job_has_an_error_document(site: Site, pairs: tuple[tuple[str, str], ...]) -> None:
    url = site.make(LISTS[0], *pairs, ("PHASE", "RUN"))
    job = site.wait(url)
    assert job.findtext(f"{UWS}phase") == "ERROR"
    answer = site("GET", f"{url}/error")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert LABEL.match(answer.text)
    assert job.findtext(f"{UWS}errorSummary/{UWS}message") in answer.text


def test_uws_life_of_a_job(site: Site) -> None:
    url = site.make(LISTS[0], ("ID", "g"), ("RUNID", "mine"))
    assert site("GET", f"{url}/phase").text == "PENDING"
    # Parameters that may be repeated are added to; the others are replaced.
    for name, value in (("CIRCLE", CIRCLE), ("ID", site.ids["r"]), ("CUTOUTDETAIL", "MaskedImage")):
        assert site("POST", f"{url}/parameters", data={name: value}).status_code == 303
    assert site("POST", f"{url}/parameters", data={"CUTOUTDETAIL": "Exposure"}).status_code == 303
    root = ET.fromstring(site("GET", f"{url}/parameters").content)
    told = [(item.get("id"), item.text) for item in root]
    assert sorted(told) == sorted(
        [
            ("ID", site.ids["g"]),
            ("ID", site.ids["r"]),
            ("RUNID", "mine"),
            ("CIRCLE", CIRCLE),
            ("CUTOUTDETAIL", "Exposure"),
        ]
    )
    assert site("POST", f"{url}/executionduration", data={"EXECUTIONDURATION": "30"}).status_code == 303
    answer = site("POST", f"{url}/phase", data={"PHASE": "RUN"})
    assert (answer.status_code, answer.headers["location"]) == (303, url)
    job = site.wait(url)
    assert job.findtext(f"{UWS}phase") == "COMPLETED"
    assert job.findtext(f"{UWS}runId") == "mine"
    assert len(results_of(job)) == 2
    # The second list is the same.
    other = url.replace(*LISTS)
    assert ET.fromstring(site("GET", other).content).findtext(f"{UWS}jobId") == job.findtext(f"{UWS}jobId")
    assert other in [item.get(HREF) for item in ET.fromstring(site("GET", LISTS[1]).content)]
    assert site("DELETE", url).status_code == 303
    assert site("GET", url).status_code == 404
    assert site("GET", other).status_code == 404


def test_uws_abort(site: Site) -> None:
    url = site.make(LISTS[1], ("ID", "g"), ("CIRCLE", CIRCLE))
    assert site("POST", f"{url}/phase", data={"PHASE": "ABORT"}).status_code == 303
    assert site("GET", f"{url}/phase").text == "ABORTED"
    assert site("POST", f"{url}/phase", data={"PHASE": "RUN"}).status_code == 403


def test_results_are_signed_and_do_not_name_the_job(site: Site) -> None:
    url = site.make(LISTS[0], ("ID", "g"), ("CIRCLE", CIRCLE), ("PHASE", "RUN"))
    job = site.wait(url)
    href = results_of(job)["cutout"].get(HREF, "")
    assert url.rpartition("/")[2] not in href
    assert href.startswith(f"{BASE_URL}/api/cutout/results/")
    parts = urlsplit(href)
    assert list(dict(parse_qsl(parts.query))) == ["expires", "key", "signature"]
    whole = site("GET", href)
    assert 'filename="cutout.fits"' in whole.headers["content-disposition"]
    part = site("GET", href, headers={"Range": "bytes=0-79"})
    assert (part.status_code, part.content) == (206, whole.content[:80])
    head = site("HEAD", href)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    # Neither without a signature, nor with that of another.
    bare = parts._replace(query="").geturl()
    assert site("GET", bare).status_code == 401
    assert site("GET", href.replace("/cutout?", "/cutout-1?")).status_code == 403
    assert site("GET", href[:-1] + ("A" if href[-1] != "A" else "B")).status_code == 403
    site("DELETE", url)
    assert site("GET", href).status_code == 404


def test_jobs_and_results_survive_a_restart(site: Site, config: ServiceConfig) -> None:
    url = site.make(LISTS[0], ("ID", "g"), ("CIRCLE", CIRCLE), ("PHASE", "RUN"))
    site.wait(url)
    content = site("GET", f"{url}/results/cutout").content
    services = build_services(config)
    try:
        second = Site(services, site.ids)
        job = ET.fromstring(second("GET", url).content)
        assert job.findtext(f"{UWS}phase") == "COMPLETED"
        assert second("GET", results_of(job)["cutout"].get(HREF, "")).content == content
    finally:
        services.close()


# -- what the service tells


def test_2_capabilities(site: Site, xsd_errors: Callable[..., str]) -> None:
    content = site("GET", "/api/cutout/capabilities").content
    assert xsd_errors(content, "{http://www.ivoa.net/xml/VOSICapabilities/v1.0}capabilities") == ""
    found = {item.get("standardID"): item.findtext("interface/accessURL") for item in ET.fromstring(content)}
    for kind in ("sync", "async"):
        assert found[f"ivo://ivoa.net/std/SODA#{kind}-1.0"] == f"{BASE_URL}/api/cutout/{kind}"
    assert found["ivo://ivoa.net/std/DALI#examples"] == f"{BASE_URL}/api/cutout/examples"


def test_2_1_examples_work(site: Site) -> None:
    page = ET.fromstring(site("GET", "/api/cutout/examples").content)
    shown = [item for item in page.iter() if item.get("typeof") == "example"]
    assert len(shown) == 3
    for example in shown:
        pairs = [
            (
                "".join(item.find(".//*[@property='key']").itertext()),  # type: ignore[union-attr]
                "".join(item.find(".//*[@property='value']").itertext()),  # type: ignore[union-attr]
            )
            for item in example.iter()
            if item.get("property") == "generic-parameter"
        ]
        assert pairs[0][0] == "ID"
        assert site.sync(*pairs).status_code == 200
        link = next(item.get("href", "") for item in example.iter() if item.tag.endswith("}a"))
        assert site("GET", link).status_code == 200


def test_4_limits_of_the_descriptor_cut_the_whole_image(site: Site) -> None:
    answer = site("GET", "/api/datalink/links", params={"ID": site.ids["g"]})
    root = ET.fromstring(answer.content)
    vot = "{http://www.ivoa.net/xml/VOTable/v1.3}"
    resource = next(item for item in root.iter(f"{vot}RESOURCE") if item.get("ID") == "cutout-sync")
    params: dict[str, Any] = {item.get("name"): item for item in resource.iter(f"{vot}PARAM")}
    circle = params["CIRCLE"].find(f"{vot}VALUES/{vot}MAX").get("value")
    low, high = (params["BAND"].find(f"{vot}VALUES/{vot}{end}").get("value") for end in ("MIN", "MAX"))
    assert float(low) < float(BANDS["g"]) < float(high)
    assert not {"TIME", "POL"} & set(params)
    pairs = (("ID", "g"), ("CIRCLE", circle), ("BAND", f"{low} {high}"), ("CUTOUTDETAIL", "Image"))
    with fits.open(io.BytesIO(site.sync(*pairs).content)) as hdus:
        assert hdus[1].data.shape == (72, 80)
    # Each format that is listed can be had.
    formats = [item.get("value") for item in params["RESPONSEFORMAT"].iter(f"{vot}OPTION")]
    for media_type in formats:
        answer = site.sync(("ID", "g"), ("CIRCLE", CIRCLE), ("RESPONSEFORMAT", media_type))
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)


@pytest.mark.parametrize("path", ["/api/tap/sync", "/api/sia/query"])
def test_4_tables_of_datasets_describe_cutouts(site: Site, path: str) -> None:
    query = {"QUERY": "SELECT obs_publisher_did FROM ivoa.ObsCore", "LANG": "ADQL"}
    root = ET.fromstring(site("GET", path, params=query if "tap" in path else {}).content)
    vot = "{http://www.ivoa.net/xml/VOTable/v1.3}"
    found = {
        item.get("ID"): [param.get("ref") for param in item.iter(f"{vot}PARAM") if param.get("ref")]
        for item in root.iter(f"{vot}RESOURCE")
    }
    assert found["cutout-sync"] == found["cutout-async"] == ["obs_publisher_did"]


def test_pixels_are_those_of_the_file(site: Site, repository: Any) -> None:
    response = site.sync(("ID", "g"), ("PIXELS", "1010 1019 -35 -30"), ("CUTOUTDETAIL", "MaskedImage"))
    with (
        fits.open(io.BytesIO(response.content)) as ours,
        fits.open(repository[0] / "run" / "g.fits") as parent,
    ):
        for number in (1, 2, 3):
            np.testing.assert_array_equal(ours[number].data, parent[number].data[5:11, 10:20])
