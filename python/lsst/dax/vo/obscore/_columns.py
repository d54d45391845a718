"""The columns of the ObsCore table: one table feeds all that describe it.

Names, units, utypes and UCDs are those of ObsCore 1.1 (appendices B and C)
with its errata; the rest of the house takes them from here.
"""

from __future__ import annotations

__all__ = ["MANDATORY_COLUMNS", "OBSCORE_COLUMNS", "OPTIONAL_COLUMNS", "RUBIN_COLUMNS"]

from ..dali import Column

_AXIS = "Char.SpatialAxis."
_TIME = "Char.TimeAxis."
_SPECTRUM = "Char.SpectralAxis."
_OBSERVABLE = "Char.ObservableAxis."


def _standard(
    name: str,
    datatype: str,
    unit: str | None,
    utype: str,
    ucd: str,
    description: str,
    *,
    arraysize: str | None = None,
    xtype: str | None = None,
    ref: str | None = None,
    principal: bool = True,
    indexed: bool = False,
) -> Column:
    return Column(
        name,
        datatype,
        description,
        arraysize=arraysize or ("*" if datatype == "char" else None),
        xtype=xtype,
        unit=unit,
        ucd=ucd,
        utype=f"obscore:{utype}",
        principal=principal,
        indexed=indexed,
        std=True,
        ref=ref,
    )


# Indexed are the columns by which a store is sorted: rows lie along the sky,
# so that a search by position reads few of them.
MANDATORY_COLUMNS: tuple[Column, ...] = (
    _standard(
        "dataproduct_type",
        "char",
        None,
        "ObsDataset.dataProductType",
        "meta.code.class",
        "Primary type of the data product",
    ),
    _standard(
        "calib_level",
        "int",
        None,
        "ObsDataset.calibLevel",
        "meta.code;obs.calib",
        "Calibration level of the observation: 0, 1, 2, 3 or 4",
    ),
    _standard("obs_collection", "char", None, "DataID.collection", "meta.id", "Name of the data collection"),
    _standard(
        "obs_id",
        "char",
        None,
        "DataID.observationID",
        "meta.id",
        "Identifier of the observation, the same for all products of it",
    ),
    _standard(
        "obs_publisher_did",
        "char",
        None,
        "Curation.publisherDID",
        "meta.ref.ivoid",
        "Identifier of the dataset given by the publisher",
    ),
    _standard(
        "access_url", "char", None, "Access.reference", "meta.ref.url", "URL used to access the dataset"
    ),
    _standard("access_format", "char", None, "Access.format", "meta.code.mime", "Format of the content"),
    _standard(
        "access_estsize",
        "long",
        "kbyte",
        "Access.size",
        "phys.size;meta.file",
        "Estimated size of the dataset in kilobytes",
    ),
    _standard("target_name", "char", None, "Target.name", "meta.id;src", "Object of interest"),
    _standard(
        "s_ra",
        "double",
        "deg",
        f"{_AXIS}Coverage.Location.Coord.Position2D.Value2.C1",
        "pos.eq.ra",
        "Central right ascension, ICRS",
        ref="icrs",
        indexed=True,
    ),
    _standard(
        "s_dec",
        "double",
        "deg",
        f"{_AXIS}Coverage.Location.Coord.Position2D.Value2.C2",
        "pos.eq.dec",
        "Central declination, ICRS",
        ref="icrs",
        indexed=True,
    ),
    _standard(
        "s_fov",
        "double",
        "deg",
        f"{_AXIS}Coverage.Bounds.Extent.diameter",
        "phys.angSize;instr.fov",
        "Diameter of a circle that contains the covered region",
    ),
    _standard(
        "s_region",
        "char",
        None,
        f"{_AXIS}Coverage.Support.Area",
        "pos.outline;obs.field",
        "Region of the sky covered by the data product, ICRS",
        xtype="adql:REGION",
        ref="icrs",
        indexed=True,
    ),
    _standard(
        "s_resolution",
        "double",
        "arcsec",
        f"{_AXIS}Resolution.Refval.value",
        "pos.angResolution",
        "Spatial resolution of the data as full width at half maximum of the point spread function",
    ),
    _standard(
        "s_xel1",
        "long",
        None,
        f"{_AXIS}numBins1",
        "meta.number",
        "Number of elements along the first coordinate of the spatial axis",
    ),
    _standard(
        "s_xel2",
        "long",
        None,
        f"{_AXIS}numBins2",
        "meta.number",
        "Number of elements along the second coordinate of the spatial axis",
    ),
    _standard(
        "t_min",
        "double",
        "d",
        f"{_TIME}Coverage.Bounds.Limits.StartTime",
        "time.start;obs.exposure",
        "Start time, MJD in UTC",
        ref="utc",
    ),
    _standard(
        "t_max",
        "double",
        "d",
        f"{_TIME}Coverage.Bounds.Limits.StopTime",
        "time.end;obs.exposure",
        "Stop time, MJD in UTC",
        ref="utc",
    ),
    _standard(
        "t_exptime",
        "double",
        "s",
        f"{_TIME}Coverage.Support.Extent",
        "time.duration;obs.exposure",
        "Total exposure time",
    ),
    _standard(
        "t_resolution",
        "double",
        "s",
        f"{_TIME}Resolution.Refval.value",
        "time.resolution",
        "Temporal resolution, full width at half maximum",
    ),
    _standard(
        "t_xel", "long", None, f"{_TIME}numBins", "meta.number", "Number of elements along the time axis"
    ),
    _standard(
        "em_min",
        "double",
        "m",
        f"{_SPECTRUM}Coverage.Bounds.Limits.LoLimit",
        "em.wl;stat.min",
        "Start in spectral coordinates, wavelength in vacuum",
    ),
    _standard(
        "em_max",
        "double",
        "m",
        f"{_SPECTRUM}Coverage.Bounds.Limits.HiLimit",
        "em.wl;stat.max",
        "Stop in spectral coordinates, wavelength in vacuum",
    ),
    _standard(
        "em_res_power",
        "double",
        None,
        f"{_SPECTRUM}Resolution.ResolPower.refVal",
        "spect.resolution",
        "Resolving power along the spectral axis",
    ),
    _standard(
        "em_xel",
        "long",
        None,
        f"{_SPECTRUM}numBins",
        "meta.number",
        "Number of elements along the spectral axis",
    ),
    _standard("o_ucd", "char", None, f"{_OBSERVABLE}ucd", "meta.ucd", "Nature of the observable axis"),
    _standard(
        "pol_states",
        "char",
        None,
        "Char.PolarizationAxis.stateList",
        "meta.code;phys.polarization",
        "List of polarization states present in the data, as in /I/Q/U/",
    ),
    _standard(
        "pol_xel",
        "long",
        None,
        "Char.PolarizationAxis.numBins",
        "meta.number",
        "Number of elements along the polarization axis",
    ),
    _standard(
        "facility_name",
        "char",
        None,
        "Provenance.ObsConfig.Facility.name",
        "meta.id;instr.tel",
        "Name of the facility or telescope used for the observation",
    ),
    _standard(
        "instrument_name",
        "char",
        None,
        "Provenance.ObsConfig.Instrument.name",
        "meta.id;instr",
        "Name of the instrument used for the observation",
    ),
)
"""The 30 columns that are always there, filled or not (ObsCore 1.1, B.6)."""

_SUBTYPE = _standard(
    "dataproduct_subtype",
    "char",
    None,
    "ObsDataset.dataProductSubtype",
    "meta.code.class",
    "Specific type of the data product",
)
_TITLE = _standard(
    "obs_title",
    "char",
    None,
    "DataID.title",
    "meta.title;obs",
    "Brief description of the dataset",
    arraysize="200*",
)

OPTIONAL_COLUMNS: tuple[Column, ...] = (
    _SUBTYPE,
    _TITLE,
    _standard(
        "target_class",
        "char",
        None,
        "Target.class",
        "src.class",
        "Class of the object of interest, as in SSA",
    ),
    _standard(
        "obs_creation_date",
        "char",
        None,
        "DataID.date",
        "time;meta.dataset",
        "Date when the dataset was created",
        xtype="timestamp",
    ),
    _standard(
        "obs_creator_name", "char", None, "DataID.creator", "meta.id", "Name of the creator of the data"
    ),
    _standard(
        "obs_creator_did",
        "char",
        None,
        "DataID.creatorDID",
        "meta.id",
        "Identifier of the dataset given by its creator",
        principal=False,
    ),
    _standard(
        "publisher_id", "char", None, "Curation.publisherID", "meta.ref.ivoid", "Identifier of the publisher"
    ),
    _standard(
        "bib_reference",
        "char",
        None,
        "Curation.reference",
        "meta.bib",
        "Bibliographic reference of the dataset",
        principal=False,
    ),
    _standard(
        "data_rights",
        "char",
        None,
        "Curation.rights",
        "meta.code",
        "Access rights: public, secure or proprietary",
        principal=False,
    ),
    _standard(
        "obs_release_date",
        "char",
        None,
        "Curation.releaseDate",
        "time.release",
        "Date of the release of the observation",
        xtype="timestamp",
    ),
    _standard("s_ucd", "char", None, f"{_AXIS}ucd", "meta.ucd", "Nature of the spatial axis"),
    _standard("s_unit", "char", None, f"{_AXIS}unit", "meta.unit", "Unit of the spatial axis"),
    _standard(
        "s_resolution_min",
        "double",
        "arcsec",
        f"{_AXIS}Resolution.Bounds.Limits.LoLimit",
        "pos.angResolution;stat.min",
        "Smallest resolution on the spatial axis",
    ),
    _standard(
        "s_resolution_max",
        "double",
        "arcsec",
        f"{_AXIS}Resolution.Bounds.Limits.HiLimit",
        "pos.angResolution;stat.max",
        "Largest resolution on the spatial axis",
    ),
    _standard(
        "s_pixel_scale",
        "double",
        "arcsec",
        f"{_AXIS}Sampling.RefVal.SamplingPeriod",
        "phys.angSize;instr.pixel",
        "Sampling period along the spatial axis",
    ),
    _standard(
        "s_calib_status",
        "char",
        None,
        f"{_AXIS}calibrationStatus",
        "meta.code.qual",
        "Calibration along the spatial axis: uncalibrated, raw or calibrated",
    ),
    _standard(
        "s_stat_error",
        "double",
        "arcsec",
        f"{_AXIS}Accuracy.StatError.Refval.value",
        "stat.error;pos.eq",
        "Astrometric precision along the spatial axis",
        principal=False,
    ),
    _standard(
        "t_calib_status",
        "char",
        None,
        f"{_TIME}calibrationStatus",
        "meta.code.qual",
        "Calibration along the time axis",
        principal=False,
    ),
    _standard(
        "t_stat_error",
        "double",
        "s",
        f"{_TIME}Accuracy.StatError.Refval.value",
        "stat.error;time",
        "Statistical error of the time coordinate",
        principal=False,
    ),
    _standard("em_ucd", "char", None, f"{_SPECTRUM}ucd", "meta.ucd", "Nature of the spectral axis"),
    _standard("em_unit", "char", None, f"{_SPECTRUM}unit", "meta.unit", "Unit of the spectral axis"),
    _standard(
        "em_calib_status",
        "char",
        None,
        f"{_SPECTRUM}calibrationStatus",
        "meta.code.qual",
        "Calibration along the spectral axis",
        principal=False,
    ),
    _standard(
        "em_res_power_min",
        "double",
        None,
        f"{_SPECTRUM}Resolution.ResolPower.LoLimit",
        "spect.resolution;stat.min",
        "Smallest resolving power on the spectral axis",
    ),
    _standard(
        "em_res_power_max",
        "double",
        None,
        f"{_SPECTRUM}Resolution.ResolPower.HiLimit",
        "spect.resolution;stat.max",
        "Largest resolving power on the spectral axis",
    ),
    _standard(
        "em_resolution",
        "double",
        "m",
        f"{_SPECTRUM}Resolution.Refval.value",
        "spect.resolution;stat.mean",
        "Mean resolution along the spectral axis",
    ),
    _standard(
        "em_stat_error",
        "double",
        "m",
        f"{_SPECTRUM}Accuracy.StatError.Refval.value",
        "stat.error;em",
        "Statistical error of the spectral coordinate",
        principal=False,
    ),
    _standard("o_unit", "char", None, f"{_OBSERVABLE}unit", "meta.unit", "Unit of the observable"),
    _standard(
        "o_calib_status",
        "char",
        None,
        f"{_OBSERVABLE}calibrationStatus",
        "meta.code.qual",
        "Calibration of the observable: absolute, relative, normalized or any",
    ),
    _standard(
        "o_stat_error",
        "double",
        None,
        f"{_OBSERVABLE}Accuracy.StatError.Refval.value",
        "stat.error",
        "Statistical error of the observable, in units of o_unit",
        principal=False,
    ),
    _standard(
        "proposal_id",
        "char",
        None,
        "Provenance.Proposal.identifier",
        "meta.id;obs.proposal",
        "Identifier of the proposal to which the observation belongs",
        principal=False,
    ),
)
"""What a table may have besides (ObsCore 1.1, C): there when a configuration fills it."""

OBSCORE_COLUMNS: tuple[Column, ...] = (*MANDATORY_COLUMNS, _SUBTYPE, _TITLE)
"""The mandatory columns and the two optional ones that Rubin's exporters fill."""

# Names and UCDs of Rubin's published tables (sdm_schemas, dp02_obscore).
RUBIN_COLUMNS: tuple[Column, ...] = (
    Column("lsst_visit", "long", "Identifier of the visit or exposure", ucd="meta.id;obs", principal=True),
    Column(
        "lsst_detector", "long", "Identifier of the detector", ucd="meta.id.part;instr.det", principal=True
    ),
    Column("lsst_tract", "long", "Identifier of the tract of the sky map", ucd="meta.id", principal=True),
    Column("lsst_patch", "long", "Identifier of the patch in its tract", ucd="meta.id.part", principal=True),
    Column(
        "lsst_band", "char", "Name of the band", arraysize="*", ucd="meta.id;instr.bandpass", principal=True
    ),
    Column(
        "lsst_filter",
        "char",
        "Name of the physical filter",
        arraysize="*",
        ucd="meta.id;instr.filter",
        principal=True,
    ),
)
"""Metadata of the provider's columns that Rubin's configurations add, by whose
names notebooks select; a configuration's own ``doc`` and ``length`` win."""
