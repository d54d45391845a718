"""The second half of the tour: follow links, open images, cut."""

__all__ = [
    "compare_with_butler",
    "cut_all_bands",
    "cut_all_visits",
    "find_variable",
    "follow_link",
    "open_signed",
]

import io
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyvo
from astropy import units as u
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS
from lsst.images.serialization import read_archive
from lsst.resources import ResourcePath
from pyvo.dal.adhoc import DatalinkResults, SodaQuery

from ..errors import NotFoundError
from ._figures import LightCurve, Stamp, draw_bands, draw_visits
from ._tour_catalogue import CoaddFound, ask
from ._tour_measure import Peak, find_peak, gather, local_affine, measure_flux
from ._tour_report import Report

_BANDS = "ugrizy"
_SAME_PLACE_ARCSEC = 1.0
_SIGNIFICANT = 8.0
_PATIENCE_S = 30.0


def follow_link(report: Report, row: Any) -> DatalinkResults:
    """Follow the DataLink of a row, and print what it leads to.

    Parameters
    ----------
    report
        Where it is printed.
    row
        A row of ObsCore.

    Returns
    -------
    links : `pyvo.dal.adhoc.DatalinkResults`
        Record 0 is ``#this``.

    Raises
    ------
    NotFoundError
        Raised if it is not.
    """
    report.step("Follow its DataLink")
    report.code('links = DatalinkResults.from_result_url(row["access_url"])')
    links = _ask_for_links(row["access_url"])
    # Many links of one kind, such as the inputs of a coadd, are one line.
    kinds: dict[tuple[str, ...], list[str]] = {}
    for link in links:
        semantics = re.sub("^.+#", "…#", link.semantics)
        kind = (semantics, str(link["local_semantics"]), link.content_type)
        kinds.setdefault(kind, []).append(link.service_def or link.access_url)
    report.table(
        ["semantics", "local_semantics", "content_type", "links", "leads to"],
        [(*kind, len(targets), _shorten(targets[0])) for kind, targets in kinds.items()],
    )
    if links.getrecord(0).semantics != "#this":
        raise NotFoundError(f"The first link is {links.getrecord(0).semantics}, and not #this")
    report.say("    URLs are signed, and end; the column stable_url has those to keep.")
    for service in links.iter_adhocservices():
        report.say(f"    service {service.ID}: {' '.join((service.description or '').split())}")
    return links


def _ask_for_links(url: str) -> DatalinkResults:
    """Ask until pictures are offered: a server that has just started may not know yet whether it can."""
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        links = DatalinkResults.from_result_url(url)
        if any(link.semantics == "#preview" for link in links) or time.monotonic() > give_up:
            return links
        time.sleep(0.2)


def _shorten(url: str) -> str:
    """Leave host, dataset and signature of a URL out, and the long name of a file."""
    parts = urlsplit(url)
    if not parts.netloc:
        return f"service {url}"
    family, _, name = parts.path.removeprefix("/api/").partition("/")
    name = name.rpartition("/")[2]
    if len(name) > 20:
        name = f"{name[:11]}….{name.rpartition('.')[2]}"
    return f"/api/{family}/…/{name}"


def open_signed(report: Report, links: DatalinkResults) -> fits.Header:
    """Open the whole image by its signed URL, in two ways.

    Parameters
    ----------
    report
        Where it is printed.
    links
        The links of the image.

    Returns
    -------
    header : `astropy.io.fits.Header`
        Its primary header.
    """
    url = links.getrecord(0).access_url
    report.step("Open the signed URL with astropy")
    report.code("hdus = fits.open(links.getrecord(0).access_url)")
    with fits.open(url, cache=False) as hdus:
        report.table(
            ["HDU", "name", "kind", "shape"],
            [
                (number, hdu.name, type(hdu).__name__, "×".join(map(str, hdu.shape)) if hdu.is_image else "")
                for number, hdu in enumerate(hdus)
            ],
        )
        header = hdus[0].header.copy()
    report.step("Open the signed URL with lsst.images")
    report.code("image = read_archive(ResourcePath(links.getrecord(0).access_url))")
    image = read_archive(ResourcePath(url))
    psf = getattr(image, "psf", None)
    report.table(
        ["part", "value"],
        [
            ("class", type(image).__name__),
            ("box", str(image.bbox)),
            ("unit", str(image.unit)),
            ("mask planes", ", ".join(plane.name for plane in image.mask.schema if plane is not None)),
            ("PSF", type(psf).__name__ if psf is not None else None),
        ],
    )
    return header


def compare_with_butler(
    report: Report,
    links: DatalinkResults,
    coadd: CoaddFound,
    folder: Path,
    *,
    ra_deg: float,
    dec_deg: float,
    radius_arcsec: float,
) -> None:
    """Cut a circle, and compare it with the same box read by the Butler.

    Parameters
    ----------
    report
        Where it is printed.
    links
        The links of the coadd.
    coadd
        The coadd in the repository.
    folder
        Where the cutout is written.
    ra_deg, dec_deg, radius_arcsec
        The circle, ICRS.

    Raises
    ------
    NotFoundError
        Raised if a pixel differs.
    """
    report.step("Cut a circle out of it")
    report.code(
        'cut = SodaQuery.from_resource(links, links.get_adhocservice_by_id("cutout-sync"))\n'
        f"cut.circle = ({ra_deg} * u.deg, {dec_deg} * u.deg, {radius_arcsec} * u.arcsec)\n"
        "content = cut.execute_stream().read()"
    )
    content = _cut(links, ra_deg=ra_deg, dec_deg=dec_deg, radius_arcsec=radius_arcsec)
    path = folder / "cutout.fits"
    path.write_bytes(content)
    ours = read_archive(ResourcePath(path))
    report.say(f"    {path.name}: {len(content) // 1024} kB, {type(ours).__name__}, box {ours.bbox}")

    report.step("Compare it, pixel for pixel, with the same box read by the Butler")
    report.code('butler.get("deep_coadd.image", ..., parameters={"bbox": ours.bbox})')
    theirs = coadd.butler.get(coadd.ref.makeComponentRef("image"), parameters={"bbox": ours.bbox})
    same = (ours.array == theirs.array) | (np.isnan(ours.array) & np.isnan(theirs.array))
    report.table(["pixels", "equal", "different"], [(same.size, int(same.sum()), int((~same).sum()))])
    if ours.bbox != theirs.bbox or not same.all():
        raise NotFoundError("The cutout is not what the Butler reads")


def _cut(
    links: DatalinkResults,
    *,
    ra_deg: float,
    dec_deg: float,
    radius_arcsec: float,
    service: str = "cutout-sync",
) -> bytes:
    query = SodaQuery.from_resource(links, links.get_adhocservice_by_id(service))
    query.circle = (ra_deg * u.deg, dec_deg * u.deg, radius_arcsec * u.arcsec)
    with query.execute_stream() as stream:
        content: bytes = stream.read()
    return content


def find_variable(
    report: Report, tap: pyvo.dal.TAPService, *, ra_deg: float, dec_deg: float, band: str
) -> Peak:
    """Find the source that changes, on the difference images around a point.

    Parameters
    ----------
    report
        Where it is printed.
    tap
        The service.
    ra_deg, dec_deg
        The point, ICRS.
    band
        Band of the difference images.

    Returns
    -------
    peak : `Peak`
        Mean place, and the largest significance.

    Raises
    ------
    NotFoundError
        Raised if nothing changes.
    """
    report.step("Find an object: what changes on the difference images?")
    rows = ask(
        report,
        tap,
        "SELECT obs_id, lsst_visit, lsst_detector, t_min, access_url FROM ivoa.ObsCore\n"
        f"WHERE dataproduct_subtype = 'lsst.difference_image' AND lsst_band = '{band}'\n"
        f"AND CONTAINS(POINT('ICRS', {ra_deg}, {dec_deg}), s_region) = 1 ORDER BY t_min, lsst_detector",
        columns=("lsst_visit", "lsst_detector", "t_min"),
    )
    peaks = []
    for row in rows:
        url = DatalinkResults.from_result_url(row["access_url"]).getrecord(0).access_url
        with fits.open(url, cache=False) as hdus:
            image, variance = hdus["IMAGE"], hdus["VARIANCE"]
            peak = find_peak(image.data, variance.data, WCS(image.header))
        if abs(peak.significance) >= _SIGNIFICANT:
            peaks.append(peak)
    group = gather(peaks, within_arcsec=_SAME_PLACE_ARCSEC)
    if len(group) < 2:
        raise NotFoundError(f"Nothing changes between the {len(rows)} visits in {band}")
    found = Peak(
        float(np.mean([peak.ra_deg for peak in group])),
        float(np.mean([peak.dec_deg for peak in group])),
        max((peak.significance for peak in group), key=abs),
    )
    report.say(
        f"    {len(group)} of {len(rows)} differences have their largest peak at the same place, "
        f"RA {found.ra_deg:.5f}, Dec {found.dec_deg:.5f}; the strongest has {found.significance:+.0f} sigma."
    )
    return found


def cut_all_bands(
    report: Report,
    tap: pyvo.dal.TAPService,
    coadd: CoaddFound,
    folder: Path,
    *,
    ra_deg: float,
    dec_deg: float,
    radius_arcsec: float,
) -> None:
    """Cut the object out of the coadds of all bands, and draw them.

    Parameters
    ----------
    report
        Where it is printed.
    tap
        The service.
    coadd
        The patch.
    folder
        Where cutouts and figure are written.
    ra_deg, dec_deg, radius_arcsec
        Circle around the object, ICRS.
    """
    report.step("Cut the object out in all six bands")
    rows = ask(
        report,
        tap,
        "SELECT lsst_band, em_min, em_max, s_resolution, access_url FROM ivoa.ObsCore\n"
        "WHERE dataproduct_subtype = 'lsst.deep_coadd'\n"
        f"AND lsst_tract = {coadd.tract} AND lsst_patch = {coadd.patch} ORDER BY em_min",
        columns=("lsst_band", "em_min", "em_max"),
    )
    stamps, written = [], []
    for row in rows:
        band = str(row["lsst_band"])
        links = DatalinkResults.from_result_url(row["access_url"])
        content = _cut(links, ra_deg=ra_deg, dec_deg=dec_deg, radius_arcsec=radius_arcsec)
        path = folder / "bands" / f"{band}.fits"
        _write(path, content)
        with fits.open(io.BytesIO(content)) as hdus:
            image = hdus["IMAGE"]
            affine = local_affine(WCS(image.header), ra_deg=ra_deg, dec_deg=dec_deg)
            pixels = image.data.astype(float)
        shortest_nm, longest_nm = float(row["em_min"]) * 1e9, float(row["em_max"]) * 1e9
        stamp = Stamp(pixels, affine, band, band, f"{shortest_nm:.0f}–{longest_nm:.0f} nm")
        stamps.append(stamp)
        written.append(
            (f"bands/{path.name}", "×".join(map(str, pixels.shape[::-1])), stamp.noise, np.nanmax(pixels))
        )
    report.table(["file", "pixels", "noise [nJy]", "brightest [nJy]"], written)
    figure = folder / "bands.png"
    draw_bands(
        stamps,
        figure,
        heading=f"RA {ra_deg:.4f}, Dec {dec_deg:.4f} in six bands\n"
        f"tract {coadd.tract}, patch {coadd.patch}: cutouts of deep_coadd by SODA, asinh stretch",
        radius_arcsec=0.97 * radius_arcsec,
    )
    report.picture(figure, "the six bands, and g, r, i in color")


def input_ids(header: fits.Header) -> list[str]:
    """Return the datasets that went into an image.

    Parameters
    ----------
    header
        Primary header, in which the Butler wrote the provenance.

    Returns
    -------
    ids : `list` [`str`]
        UUIDs.
    """
    return [header[f"LSST BUTLER INPUT {index} ID"] for index in range(header["LSST BUTLER N_INPUTS"])]


def cut_all_visits(
    report: Report,
    tap: pyvo.dal.TAPService,
    headers: Sequence[fits.Header],
    folder: Path,
    *,
    did_prefix: str,
    ra_deg: float,
    dec_deg: float,
    radius_arcsec: float,
    aperture_arcsec: float,
) -> None:
    """Cut the object out of all visits that went into coadds, and draw them.

    Parameters
    ----------
    report
        Where it is printed.
    tap
        The service.
    headers
        Primary headers of the coadds.
    folder
        Where cutouts and figure are written.
    did_prefix
        What stands before a UUID in the publisher's identifiers.
    ra_deg, dec_deg, radius_arcsec
        Circle around the object, ICRS.
    aperture_arcsec
        Radius in which the flux is measured.
    """
    ids = sorted({dataset for header in headers for dataset in input_ids(header)})
    report.step("Cut it out of all visits that went into the coadds")
    report.say(f"    The coadds' provenance names {len(ids)} images. Those that contain the object:")
    listed = ", ".join(f"'{did_prefix}{dataset}'" for dataset in ids)
    adql = (
        "SELECT lsst_visit, lsst_detector, lsst_band, t_min, t_max, s_resolution, access_url\n"
        f"FROM ivoa.ObsCore WHERE CONTAINS(POINT('ICRS', {ra_deg:.6f}, {dec_deg:.6f}), s_region) = 1\n"
        "AND obs_publisher_did IN ({}) ORDER BY t_min, lsst_detector"
    )
    report.code(adql.format(f"'{did_prefix}{ids[0]}', …"))
    rows = tap.search(adql.format(listed))
    stamps, times, fluxes, errors, bands, written = [], [], [], [], [], []
    for row in rows:
        links = DatalinkResults.from_result_url(row["access_url"])
        content = _cut(
            links,
            ra_deg=ra_deg,
            dec_deg=dec_deg,
            radius_arcsec=radius_arcsec,
            service="cutout-sync-maskedimage",
        )
        if not content:
            # Regions in registries are padded: this image ends before.
            continue
        visit, band = int(row["lsst_visit"]), str(row["lsst_band"])
        path = folder / "visits" / f"{visit}-{int(row['lsst_detector'])}-{band}.fits"
        _write(path, content)
        with fits.open(io.BytesIO(content)) as hdus:
            image, variance = hdus["IMAGE"], hdus["VARIANCE"].data
            wcs = WCS(image.header)
            affine = local_affine(wcs, ra_deg=ra_deg, dec_deg=dec_deg)
            pixels = image.data.astype(float)
        x, y = (float(value) for value in wcs.world_to_pixel_values(ra_deg, dec_deg))
        scale = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
        flux, error = measure_flux(pixels, variance, x=x, y=y, radius_px=aperture_arcsec / scale)
        middle_mjd = (float(row["t_min"]) + float(row["t_max"])) / 2
        shown = Time(middle_mjd, format="mjd").strftime("%b %d %H:%M")
        stamps.append(Stamp(pixels, affine, band, f"{band}  {visit}", shown))
        times.append(middle_mjd)
        fluxes.append(flux)
        errors.append(error)
        bands.append(band)
        written.append(
            (
                visit,
                int(row["lsst_detector"]),
                band,
                round(middle_mjd, 4),
                # A bad column may cross the aperture.
                *(round(value) if np.isfinite(value) else None for value in (flux, error)),
            )
        )
    report.table(
        ["visit", "detector", "band", "middle (MJD)", "flux [nJy]", "error [nJy]"],
        written,
        unit="visits",
        most_rows=18,
    )
    figure = folder / "visits.png"
    draw_visits(
        stamps,
        LightCurve(np.array(times), np.array(fluxes), np.array(errors), np.array(bands), "nJy"),
        figure,
        heading=f"RA {ra_deg:.4f}, Dec {dec_deg:.4f} in {len(stamps)} visits\n"
        "cutouts of visit_image by SODA, north up; one stretch for each band",
        radius_arcsec=0.97 * radius_arcsec,
    )
    report.picture(figure, f"the {len(stamps)} visits, and the light curve measured on the cutouts")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
