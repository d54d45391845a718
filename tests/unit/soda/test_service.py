"""Answers of SODA sync, on a file without any repository around it."""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from lsst.resources import ResourcePath

from lsst.dax.vo.dali import ParamSet, Response
from lsst.dax.vo.errors import (
    AuthenticationError,
    AuthorizationError,
    NotFoundError,
    TransientError,
    UsageError,
    VoError,
)
from lsst.dax.vo.soda import CutoutSource, Extent, SodaService
from lsst.dax.vo.testing import IMAGE_XY0, make_image_header, make_image_planes, write_afw_file

# Wavelengths and polarization are known, times are not.
EXTENT = Extent(5e-7, 7e-7, pol_states=("I", "Q"))
DATASET = UUID("4f64102f-7923-4cf1-b981-8fbbb4bba523")
NOW_S = 1_800_000_000.0
RA_DEG, DEC_DEG = (float(value) for value in WCS(make_image_header(sip=True)).all_pix2world([[40, 30]], 0)[0])
CIRCLE = f"{RA_DEG!r} {DEC_DEG!r} 0.0004"
# SODA 1.0, 5.3.
WORD = re.compile(
    r"(Error|AuthenticationError|AuthorizationError|ServiceUnavailable|UsageError|"
    r"MultiValuedParamNotSupported): "
)
OUTCOMES = {
    "missing": (NotFoundError("no such dataset"), 404, "UsageError: no such dataset"),
    "who": (AuthenticationError("who are you?"), 401, "AuthenticationError: who are you?"),
    "no": (AuthorizationError("you may not"), 403, "AuthorizationError: you may not"),
    "busy": (TransientError("busy", retry_after=7), 503, "ServiceUnavailable: busy"),
}


@pytest.fixture
def service(tmp_path: Path) -> SodaService:
    write_afw_file(tmp_path / "image.fits", "GZIP_2")

    def locate(texts: Sequence[str], needs_extent: bool) -> list[CutoutSource | VoError]:
        return [find(text, needs_extent) for text in texts]

    def find(text: str, needs_extent: bool) -> CutoutSource | VoError:
        if text in OUTCOMES:
            return OUTCOMES[text][0]
        if text == "gone":
            return CutoutSource(ResourcePath(str(tmp_path / "gone.fits")))
        if text not in (str(DATASET), "other"):
            return UsageError(f"ID={text!r} is no identifier", parameter="ID", value=text)
        path = ResourcePath(str(tmp_path / "image.fits"))
        extent = EXTENT if needs_extent else None
        return CutoutSource(path, DATASET, "calexp", {"visit": 12, "detector": 3}, extent)

    return SodaService(locate, max_products=20, version="1.2.3", max_pixels=5000, clock=lambda: NOW_S)


def sync(service: SodaService, *pairs: tuple[str, str]) -> Response:
    return service.sync(ParamSet.from_pairs([("ID", str(DATASET)), *pairs]))


def body_of(response: Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b"".join(response.body)


def text_of(response: Response) -> str:
    """Return an error document, after a look at its form."""
    assert response.media_type == "text/plain; charset=utf-8"
    text = body_of(response).decode()
    assert WORD.match(text)
    assert text.endswith("\n")
    assert text.count("\n") == 1
    return text[:-1]


def test_cutout_has_type_length_and_name(service: SodaService) -> None:
    response = sync(service, ("CIRCLE", CIRCLE))
    content = body_of(response)
    assert (response.status, response.media_type) == (200, "application/fits")
    assert response.headers["Content-Length"] == str(len(content))
    assert re.fullmatch(
        r'attachment; filename="[A-Za-z0-9._-]+\.fits"', response.headers["Content-Disposition"]
    )
    with fits.open(io.BytesIO(content)) as hdus:
        planes = [hdu.data for hdu in hdus if hdu.is_image and hdu.data is not None]
        header = next(hdu.header for hdu in hdus if hdu.is_image and hdu.data is not None)
        x0, y0 = int(header["CRVAL1A"]) - IMAGE_XY0[0], int(header["CRVAL2A"]) - IMAGE_XY0[1]
    height, width = planes[0].shape
    wanted = make_image_planes()["image"][y0 : y0 + height, x0 : x0 + width]
    np.testing.assert_array_equal(planes[0], wanted)
    # 1.44 arcseconds to each side of the pixel (40, 30), 0.2 arcseconds each.
    assert (x0, x0 + width, y0, y0 + height) == (33, 48, 23, 38)
    assert len(planes) == 1


def test_clock_version_and_dataset_are_in_the_header(service: SodaService) -> None:
    header = fits.Header.fromstring(body_of(sync(service, ("CIRCLE", CIRCLE)))[:28800])
    assert (header["BTLRUUID"], header["BTLRNAME"]) == (DATASET.hex, "calexp")
    assert (header["BTLRK000"], header["BTLRV000"]) == ("visit", 12)
    assert header["CUTVERS"].endswith("1.2.3")
    assert header["DATE-CUT"].startswith("2027-01-15T08:00:00")


def test_names_in_any_case_and_all_shapes_give_the_same(service: SodaService) -> None:
    wanted = body_of(sync(service, ("CIRCLE", CIRCLE)))
    for pair in (("circle", CIRCLE), ("Pos", f"CIRCLE {CIRCLE}"), ("pOS", f"circle {CIRCLE}")):
        with (
            fits.open(io.BytesIO(body_of(sync(service, pair)))) as ours,
            fits.open(io.BytesIO(wanted)) as hdus,
        ):
            assert fits.FITSDiff(ours, hdus).identical


@pytest.mark.parametrize("detail", ["Image", "MaskedImage", "Exposure"])
def test_detail_decides_how_many_planes(service: SodaService, detail: str) -> None:
    with fits.open(io.BytesIO(body_of(sync(service, ("CIRCLE", CIRCLE), ("CUTOUTDETAIL", detail))))) as hdus:
        names = [hdu.name for hdu in hdus if hdu.is_image and hdu.data is not None]
    assert len(names) == (1 if detail == "Image" else 3)


def test_no_pixel_is_204_without_anything(service: SodaService) -> None:
    response = sync(service, ("CIRCLE", f"{RA_DEG + 1} {DEC_DEG} 0.0004"))
    assert (response.status, response.media_type, response.body, response.headers) == (204, "", b"", {})


@pytest.mark.parametrize("text", OUTCOMES)
def test_errors_of_the_dataset_get_status_and_word(service: SodaService, text: str) -> None:
    response = service.sync(ParamSet.from_pairs([("ID", text), ("CIRCLE", CIRCLE)]))
    _, status, message = OUTCOMES[text]
    assert (response.status, text_of(response)) == (status, message)
    assert response.headers == ({"Retry-After": "7"} if text == "busy" else {})


def test_file_that_is_gone_is_told_without_its_path(service: SodaService, tmp_path: Path) -> None:
    response = service.sync(ParamSet.from_pairs([("ID", "gone"), ("CIRCLE", CIRCLE)]))
    assert response.status == 404
    assert str(tmp_path) not in text_of(response)


@pytest.mark.parametrize(
    ("pairs", "word", "told"),
    [
        ((), "UsageError", ("stencil is missing", "CIRCLE=<ra dec radius>")),
        ((("CIRCLE", "1 2"),), "UsageError", ("CIRCLE='1 2'", "give")),
        ((("CIRCLE", "1 95 1"),), "UsageError", ("CIRCLE='1 95 1'", "-90..90")),
        ((("POLYGON", "1 2 3 4"),), "UsageError", ("POLYGON='1 2 3 4'", "three or more")),
        ((("POS", "BOX 1 2 3 4"),), "UsageError", ("POS='BOX 1 2 3 4'", "CIRCLE")),
        ((("PIXELS", "1 2"),), "UsageError", ("PIXELS='1 2'", "four whole numbers")),
        ((("CIRCLE", CIRCLE), ("CUTOUTDETAIL", "x")), "UsageError", ("CUTOUTDETAIL='x'", "MaskedImage")),
        ((("CIRCLE", CIRCLE), ("RESPONSEFORMAT", "gif")), "UsageError", ("'gif'", "application/fits", "tar")),
        (
            (("CIRCLE", CIRCLE), ("RESPONSEFORMAT", "application/zip;content=gif")),
            "UsageError",
            ("content=gif", "zip-png"),
        ),
        ((("CIRCLE", CIRCLE), ("BAND", "2 1")), "UsageError", ("BAND='2 1'", "low <= high")),
        ((("CIRCLE", CIRCLE), ("TIME", "now")), "UsageError", ("TIME='now'", "one number")),
        ((("CIRCLE", CIRCLE), ("TIME", "1 2")), "UsageError", ("TIME", "not known", "leave TIME out")),
        ((("CIRCLE", CIRCLE), ("POL", "F")), "UsageError", ("POL='F'", "RR")),
        ((("CIRCLE", CIRCLE), ("MOC", "1/1")), "UsageError", ("MOC", "leave it out")),
        ((("CIRCLE", CIRCLE), ("OUTSIDE", "x")), "UsageError", ("OUTSIDE='x'", "keep, mask, nan")),
        ((("CENTER", "1 2"),), "UsageError", ("CENTER", "SIZE")),
        (
            (("CIRCLE", CIRCLE), ("STRETCH", "x"), ("RESPONSEFORMAT", "png")),
            "UsageError",
            ("STRETCH='x'", "asinh"),
        ),
        ((("CIRCLE", CIRCLE), ("BAND", "1"), ("BAND", "2")), "MultiValuedParamNotSupported", ("BAND", "tar")),
        ((("CIRCLE", CIRCLE),) * 21, "UsageError", ("21 cutouts", "20")),
        (
            (("CIRCLE", CIRCLE), ("RESPONSEFORMAT", "mef"), ("CUTOUTDETAIL", "Exposure")),
            "UsageError",
            ("MaskedImage", "tar"),
        ),
        ((("CIRCLE", CIRCLE), ("CIRCLE", CIRCLE)), "MultiValuedParamNotSupported", ("CIRCLE", "one value")),
        (
            (("CIRCLE", CIRCLE), ("POS", f"CIRCLE {CIRCLE}")),
            "MultiValuedParamNotSupported",
            ("CIRCLE takes one value",),
        ),
        ((("ID", "x"), ("CIRCLE", CIRCLE)), "MultiValuedParamNotSupported", ("ID", "one value")),
        ((("PIXELS", "-99999 99999 -99999 99999"),), "UsageError", ("5760 pixels", "5000")),
    ],
)
def test_every_parameter_is_refused_with_what_is_accepted(
    service: SodaService, pairs: tuple[tuple[str, str], ...], word: str, told: tuple[str, ...]
) -> None:
    response = sync(service, *pairs)
    text = text_of(response)
    assert (response.status, text.partition(":")[0]) == (400, word)
    assert [part for part in told if part not in text] == []


def test_missing_id(service: SodaService) -> None:
    response = service.sync(ParamSet.from_pairs([("CIRCLE", CIRCLE)]))
    assert (response.status, text_of(response)) == (400, "UsageError: ID is missing; send ID=<value>")


def test_unknown_parameters_and_runid_are_ignored(service: SodaService) -> None:
    assert sync(service, ("CIRCLE", CIRCLE), ("RUNID", "mine"), ("foo", "1"), ("foo", "2")).status == 200


def test_defects_are_not_answered_here() -> None:
    """What is no error of ours is left to the front, which logs it."""

    def locate(texts: Sequence[str], _: bool) -> list[CutoutSource | VoError]:
        raise KeyError(texts)

    with pytest.raises(KeyError):
        sync(SodaService(locate, version="1"), ("CIRCLE", CIRCLE))


def test_capabilities_name_sync_and_vosi(service: SodaService) -> None:
    response = service.capabilities("https://vo.example.org/base")
    text = body_of(response).decode()
    assert response.media_type.partition(";")[0] in ("text/xml", "application/xml")
    assert 'standardID="ivo://ivoa.net/std/SODA#sync-1.0"' in text
    assert "https://vo.example.org/base/api/cutout/sync" in text
    assert "https://vo.example.org/base/api/cutout/availability" in text
