"""The tour: ``bin/dax-vo demo``, or ``python -m lsst.dax.vo.sample._tour``.

It builds the sample, exports it, serves it, and then is an astronomer with
public clients alone: what it finds comes over HTTP, or from the Butler to
compare with.
"""

__all__ = ["main", "take_tour"]

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import click
import pyarrow.parquet
import pyvo
from astropy.io import fits
from astropy.utils import iers
from lsst.daf.butler import Butler
from lsst.rsp import RSPDiscovery, get_siav2_service, get_tap_service
from pyvo.dal.adhoc import DatalinkResults

from ..errors import NotFoundError, TransientError, VoError
from ..services import export_repository
from . import _tour_catalogue as catalogue
from . import _tour_images as images
from ._build import Sample, build_sample, sample_environment
from ._tour_report import Report
from ._tour_server import running_server

_RA_DEG, _DEC_DEG = 55.7467, -32.2862
_BAND = "i"
_VARIABLE_BAND = "r"
_CUTOUT_ARCSEC = 15.0
_OBJECT_ARCSEC = 20.0
_STAMP_ARCSEC = 7.0
_APERTURE_ARCSEC = 1.2

_INTRODUCTION = (
    "A small simulated survey is exported to an ObsCore table, served, and looked at with pyvo, astropy, "
    "requests, lsst.rsp and lsst.images. All that is found comes from the running service; the Butler is "
    "there to compare with."
)


def take_tour(output: Path, *, quiet: bool = False, sample_root: Path | None = None) -> str:
    """Take the tour.

    Parameters
    ----------
    output
        Folder for the report, the exported table, cutouts and figures; made
        when it does not exist.
    quiet
        Write the report only; print nothing.
    sample_root
        Folder of the sample, which is built when it is not there; by default
        ``sample`` in ``output``.

    Returns
    -------
    text : `str`
        What was printed; only its last line differs from tour to tour.

    Raises
    ------
    VoError
        Raised if something on the way is not as it should be.
    """
    report = Report(quiet=quiet)
    report.begin("From a Butler repository to a cutout", _INTRODUCTION)
    try:
        output.mkdir(parents=True, exist_ok=True)
        for folder in ("bands", "visits"):
            shutil.rmtree(output / folder, ignore_errors=True)
    except OSError as err:
        raise TransientError(f"Nothing can be written to {output}: {err.strerror}") from err
    sample = _build(report, sample_root or output / "sample", quiet=quiet)
    # Earth's rotation, to seconds, is of no use here, and is not fetched.
    with _variables(sample_environment(sample.root)), iers.conf.set_temp("auto_download", False):
        _show_repositories(report, sample)
        _export(report, sample, output)
        report.step("Serve both repositories")
        report.code("butler vo serve sample dp02 --store sample.store --store dp02.store")
        arguments = [*sample.repositories]
        for label in sample.repositories:
            arguments += ["--store", str(sample.store(label))]
        with running_server(arguments, log=output / "server.log") as server:
            report.say("    It answers on a free port of this machine until the tour is over.")
            with _variables(_client_environment(server.base_url)):
                _walk(report, output, server.base_url)
    report.finish(f"The cutouts, the figures and this text are in {output.name}/")
    text = report.text()
    (output / "tour.txt").write_text(text)
    return text


def _build(report: Report, root: Path, *, quiet: bool) -> Sample:
    report.step("Build the sample")
    report.code("python -m lsst.dax.vo.sample build --root sample")

    def log(line: str) -> None:
        # What goes on, for those who wait; it is no finding.
        if not quiet:
            click.echo(f"    {line}", err=True)

    return build_sample(root, log=log)


def _show_repositories(report: Report, sample: Sample) -> None:
    rows = []
    for label in sample.repositories:
        with Butler.from_config(label) as butler:
            found = butler.query_all_datasets("*", find_first=False, limit=None)
            counts = Counter(
                (ref.run, ref.datasetType.name, ref.datasetType.storageClass_name) for ref in found
            )
            rows += [(label, *key, count) for key, count in sorted(counts.items())]
    report.table(["repository", "collection", "dataset type", "storage class", "datasets"], rows)


def _export(report: Report, sample: Sample, output: Path) -> None:
    report.step("Export the ObsCore tables: to a Parquet file, and to the stores of the service")
    report.code("butler vo export sample obscore.parquet --config sample.yaml")
    path = output / "obscore.parquet"
    first = next(iter(sample.repositories))
    export_repository(first, str(path), config_path=sample.configurations[first], label=first)
    for label, configuration in sample.configurations.items():
        report.code(f"butler vo export {label} {label}.store --config {label}.yaml")
        export_repository(label, str(sample.store(label)), config_path=configuration, label=label)
    metadata = pyarrow.parquet.read_metadata(path)
    report.table(["file", "rows", "columns"], [(path.name, metadata.num_rows, metadata.num_columns)])


def _walk(report: Report, output: Path, base_url: str) -> None:
    coadd = catalogue.find_coadd(report, "sample", ra_deg=_RA_DEG, dec_deg=_DEC_DEG, band=_BAND)
    with coadd.butler:
        tap = _connect(report, base_url)
        catalogue.list_tables(report, tap)
        catalogue.count_images(report, tap)
        row = catalogue.search_images(report, tap, coadd, ra_deg=_RA_DEG, dec_deg=_DEC_DEG, band=_BAND)
        _search_by_sia(report, tap)
        _ask_as_dp02(report, tap)
        links = images.follow_link(report, row)
        images.open_signed(report, links)
        images.compare_with_butler(
            report, links, coadd, output, ra_deg=_RA_DEG, dec_deg=_DEC_DEG, radius_arcsec=_CUTOUT_ARCSEC
        )
        peak = images.find_variable(report, tap, ra_deg=_RA_DEG, dec_deg=_DEC_DEG, band=_VARIABLE_BAND)
        images.cut_all_bands(
            report, tap, coadd, output, ra_deg=peak.ra_deg, dec_deg=peak.dec_deg, radius_arcsec=_OBJECT_ARCSEC
        )
        images.cut_all_visits(
            report,
            tap,
            _coadd_headers(tap, coadd),
            output,
            did_prefix=str(row["obs_publisher_did"])[:-36],
            ra_deg=peak.ra_deg,
            dec_deg=peak.dec_deg,
            radius_arcsec=_STAMP_ARCSEC,
            aperture_arcsec=_APERTURE_ARCSEC,
        )


def _connect(report: Report, base_url: str) -> pyvo.dal.TAPService:
    report.step("Connect, as in a notebook of the Rubin Science Platform")
    report.code('RSPDiscovery("sample", discovery_url=url, token=token)')
    # The service asks for no token; lsst.rsp does.
    discovery = RSPDiscovery("sample", discovery_url=base_url, token="none")  # noqa: S106
    services = ("tap", "sia", "datalink", "cutout")
    report.table(
        ["service", "path"], [(name, urlsplit(discovery.get_service_url(name)).path) for name in services]
    )
    report.code('tap = get_tap_service("tap")')
    tap = get_tap_service("tap")
    if urlsplit(tap.baseurl).netloc != urlsplit(base_url).netloc:
        raise NotFoundError(
            f"lsst.rsp leads to {tap.baseurl}, and not to our service; unset EXTERNAL_TAP_URL"
        )
    return tap


def _search_by_sia(report: Report, tap: pyvo.dal.TAPService) -> None:
    report.step("The same images by SIAv2")
    report.code(
        'sia = get_siav2_service("sample")\n'
        f"rows = sia.search(pos=({_RA_DEG} * u.deg, {_DEC_DEG} * u.deg, 1 * u.arcsec), calib_level=2)"
    )
    rows = get_siav2_service("sample").search(pos=(_RA_DEG, _DEC_DEG, 1 / 3600), calib_level=2)
    counts = Counter((str(row["obs_collection"]), str(row["dataproduct_subtype"])) for row in rows)
    report.table(
        ["obs_collection", "dataproduct_subtype", "images"], [(*key, n) for key, n in counts.items()]
    )
    wanted = tap.search(
        "SELECT COUNT(*) AS images FROM ivoa.ObsCore WHERE calib_level = 2 AND obs_collection = 'Sample'\n"
        f"AND INTERSECTS(CIRCLE('ICRS', {_RA_DEG}, {_DEC_DEG}, {1 / 3600}), s_region) = 1"
    )[0]["images"]
    if int(wanted) != len(rows):
        raise NotFoundError(f"SIAv2 finds {len(rows)} images where TAP finds {wanted}")


def _ask_as_dp02(report: Report, tap: pyvo.dal.TAPService) -> None:
    report.step("A query that was written for DP0.2")
    catalogue.ask(
        report,
        tap,
        "SELECT lsst_visit, lsst_detector, lsst_band, s_ra, s_dec, dataproduct_subtype\n"
        "FROM ivoa.ObsCore WHERE obs_collection = 'LSST.DP02'\n"
        "AND CONTAINS(POINT('ICRS', 62, -37), s_region) = 1\n"
        "AND calib_level = 2 AND lsst_band IN ('g', 'r', 'i')\n"
        "ORDER BY lsst_visit, lsst_detector",
    )


def _coadd_headers(tap: pyvo.dal.TAPService, coadd: catalogue.CoaddFound) -> list[fits.Header]:
    rows = tap.search(
        "SELECT access_url FROM ivoa.ObsCore WHERE dataproduct_subtype = 'lsst.deep_coadd'\n"
        f"AND lsst_tract = {coadd.tract} AND lsst_patch = {coadd.patch} ORDER BY em_min"
    )
    urls = [DatalinkResults.from_result_url(row["access_url"]).getrecord(0).access_url for row in rows]
    return [fits.getheader(url, cache=False) for url in urls]


def _client_environment(base_url: str) -> dict[str, str]:
    return {
        "EXTERNAL_INSTANCE_URL": f"{base_url}/",
        "RSP_SITE_TYPE": "science",
        # No proxy knows this machine's loopback.
        "no_proxy": ",".join(filter(None, [os.environ.get("no_proxy"), "127.0.0.1"])),
    }


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process, and set them back."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for report and figures.",
)
@click.option("--quiet", is_flag=True, help="Write the report, print nothing.")
def main(output: Path, quiet: bool) -> None:
    """Build the sample, serve it, and walk through the services."""
    try:
        take_tour(output, quiet=quiet)
    except VoError as err:
        raise click.ClickException(str(err)) from err


if __name__ == "__main__":
    main()
