"""The first half of the tour: ask the repository, then ask the services."""

__all__ = ["CoaddFound", "ask", "count_images", "find_coadd", "list_tables", "search_images"]

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pyvo
from lsst.daf.butler import Butler, DatasetRef

from ..errors import NotFoundError
from ._tour_report import Report


@dataclass(frozen=True, slots=True)
class CoaddFound:
    """The coadd at the target, as the repository knows it."""

    butler: Butler
    """The repository."""

    ref: DatasetRef
    """The dataset."""

    tract: int
    """Tract of the sky map."""

    patch: int
    """Patch of the tract."""


def ask(
    report: Report, tap: pyvo.dal.TAPService, adql: str, *, columns: tuple[str, ...] = (), most_rows: int = 12
) -> pyvo.dal.TAPResults:
    """Send a query, and print it and its answer.

    Parameters
    ----------
    report
        Where it is printed.
    tap
        The service.
    adql
        The query.
    columns
        Columns printed; all by default.
    most_rows
        Rows printed.

    Returns
    -------
    rows : `pyvo.dal.TAPResults`
    """
    report.code(adql)
    rows = tap.search(adql)
    names = columns or rows.fieldnames
    # The table, unlike the records, knows which cells are empty.
    cells = rows.to_table()
    report.table(names, [[row[name] for name in names] for row in cells], most_rows=most_rows)
    return rows


def find_coadd(report: Report, label: str, *, ra_deg: float, dec_deg: float, band: str) -> CoaddFound:
    """Find the coadd at a point, through the Butler alone.

    Parameters
    ----------
    report
        Where it is printed.
    label
        Label of the repository.
    ra_deg, dec_deg
        The point, ICRS.
    band
        Band of the coadd.

    Returns
    -------
    found : `CoaddFound`

    Raises
    ------
    NotFoundError
        Raised if no patch, or no coadd, is there.
    """
    report.step("Open the repository by its label")
    report.code(f'butler = Butler.from_config("{label}")')
    with Butler.from_config(label, writeable=False) as butler:
        collections = sorted(butler.collections.query("*"))
        report.table(
            ["collection", "kind"],
            [(name, butler.collections.get_info(name).type.name) for name in collections],
        )
        searched = _default_collections(butler)
    butler = Butler.from_config(label, collections=searched, writeable=False)

    report.step(f"Find the tract and patch at RA {ra_deg}, Dec {dec_deg}")
    where = "patch.region OVERLAPS POINT(ra, dec)"
    report.code(
        f'butler.query_dimension_records("patch", where="{where}", bind={{"ra": {ra_deg}, "dec": {dec_deg}}})'
    )
    patches = butler.query_dimension_records("patch", where=where, bind={"ra": ra_deg, "dec": dec_deg})
    report.table(["skymap", "tract", "patch"], [(p.skymap, p.tract, p.id) for p in patches])

    report.step("Ask for the coadd there")
    for patch in patches:
        data_id = {"skymap": patch.skymap, "tract": patch.tract, "patch": patch.id, "band": band}
        ref = butler.find_dataset("deep_coadd", data_id)
        if ref is not None:
            report.code(
                f'butler.find_dataset("deep_coadd", tract={patch.tract}, patch={patch.id}, band="{band}").id'
            )
            report.say(f"{ref.id}")
            return CoaddFound(butler, ref, patch.tract, patch.id)
    raise NotFoundError(f"No {band} coadd at {ra_deg} {dec_deg} in the repository {label!r}")


def _default_collections(butler: Butler) -> list[str]:
    chains = [info.name for info in butler.collections.query_info("*") if info.type.name == "CHAINED"]
    return chains or [info.name for info in butler.collections.query_info("*") if info.type.name == "RUN"]


def list_tables(report: Report, tap: pyvo.dal.TAPService) -> None:
    """Print the schemas of the service, and the tables of ``ivoa``.

    Parameters
    ----------
    report
        Where they are printed.
    tap
        The service.
    """
    report.step("Which schemas are there?")
    ask(report, tap, "SELECT * FROM tap_schema.schemas", columns=("schema_name", "description"))
    report.step("Which tables does the schema ivoa have?")
    ask(
        report,
        tap,
        "SELECT * FROM tap_schema.tables WHERE tap_schema.tables.schema_name = 'ivoa'",
        columns=("table_name", "table_type", "description"),
    )


def count_images(report: Report, tap: pyvo.dal.TAPService) -> int:
    """Count the images in several ways.

    Parameters
    ----------
    report
        Where the counts are printed.
    tap
        The service.

    Returns
    -------
    count : `int`
        Rows of ``ivoa.ObsCore``.
    """
    report.step("How many images?")
    total = int(ask(report, tap, "SELECT COUNT(*) AS images FROM ivoa.ObsCore")[0]["images"])
    for title, columns in (
        ("Of which type of product?", "dataproduct_type"),
        ("Of which subtype?", "dataproduct_subtype"),
        ("Of which level of calibration?", "calib_level"),
        ("Level and subtype together", "calib_level, dataproduct_subtype"),
    ):
        report.step(title)
        ask(
            report,
            tap,
            f"SELECT {columns}, COUNT(*) AS images FROM ivoa.ObsCore GROUP BY {columns} ORDER BY {columns}",
        )
    report.step("A number written as a string, as many tutorials have it")
    ask(report, tap, "SELECT COUNT(*) AS images FROM ivoa.ObsCore WHERE calib_level = '1'")
    return total


def search_images(
    report: Report, tap: pyvo.dal.TAPService, coadd: CoaddFound, *, ra_deg: float, dec_deg: float, band: str
) -> Any:
    """Find images by place, by tract and patch, and by identifier.

    Parameters
    ----------
    report
        Where they are printed.
    tap
        The service.
    coadd
        The coadd that the repository told of.
    ra_deg, dec_deg
        A point, ICRS.
    band
        Band of the coadd.

    Returns
    -------
    row : `pyvo.dal.Record`
        The row of the coadd.

    Raises
    ------
    NotFoundError
        Raised if the service and the repository do not agree.
    """
    shown = ("dataproduct_subtype", "lsst_band", "lsst_visit", "lsst_detector", "t_min", "s_ra", "s_dec")
    report.step(f"All images that contain RA {ra_deg}, Dec {dec_deg}")
    ask(
        report,
        tap,
        f"SELECT * FROM ivoa.ObsCore WHERE CONTAINS(POINT('ICRS', {ra_deg}, {dec_deg}), s_region) = 1 "
        "ORDER BY dataproduct_subtype, lsst_band, t_min, lsst_detector",
        columns=shown,
        most_rows=10,
    )
    report.step("One coadd by tract, patch and band")
    rows = ask(
        report,
        tap,
        "SELECT access_format, access_url, dataproduct_subtype, lsst_tract, lsst_patch, lsst_band\n"
        "FROM ivoa.ObsCore WHERE dataproduct_type = 'image'\n"
        "AND dataproduct_subtype = 'lsst.deep_coadd'\n"
        f"AND lsst_tract = {coadd.tract} AND lsst_patch = {coadd.patch} AND lsst_band = '{band}'",
        columns=("dataproduct_subtype", "lsst_tract", "lsst_patch", "lsst_band", "access_format"),
    )
    report.step("The same one by the identifier that the Butler gave")
    found = ask(
        report,
        tap,
        f"SELECT * FROM ivoa.ObsCore WHERE access_url LIKE '%{coadd.ref.id}'",
        columns=("obs_collection", "obs_id", "lsst_band", "obs_publisher_did"),
    )
    if len(found) != 1 or UUID(str(found[0]["obs_publisher_did"])[-36:]) != coadd.ref.id or len(rows) != 1:
        raise NotFoundError(f"The service has no single row for {coadd.ref.id}, which the repository has")
    return found[0]
