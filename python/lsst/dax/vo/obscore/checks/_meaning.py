"""What is wrong with the meaning of a configuration."""

from __future__ import annotations

__all__ = ["check_meaning"]

import difflib
import itertools
import math
import re
from collections.abc import Iterator, Mapping

from ...errors import UsageError
from .._columns import MANDATORY_COLUMNS, OPTIONAL_COLUMNS, RUBIN_COLUMNS
from .._config import DatasetTypeConfig, ExtraColumn, ObscoreConfig
from .._schema import columns_of
from ._facts import RepositoryFacts
from ._findings import Finding, error, nearest, warning
from ._yaml import Places, Salvage

_DATALINK = "application/x-votable+xml;content=datalink"
# ObsCore 1.1, table of values of access_format; further ones begin application/x-.
_FORMATS = frozenset(
    {
        "application/fits",
        "application/pdf",
        "application/zip",
        "image/fits",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/x-fits-gzip",
        "image/x-fits-hcompress",
        "text/csv",
        "text/html",
        "text/plain",
        "text/tab-separated-values",
        "text/xml",
    }
)
_MEDIA_TYPE = re.compile(r"[a-z]+/[A-Za-z0-9.+-]+(;[a-z]+=[A-Za-z0-9.+-]+)*")
_UNREGISTERED = re.compile(r"ivo://(x-unregistered|example\.(org|com|net)|org\.example)\b")
_STANDARD = {column.name for column in (*MANDATORY_COLUMNS, *OPTIONAL_COLUMNS)}
_KNOWN = _STANDARD | {column.name for column in RUBIN_COLUMNS}
_POLARIZATIONS = ("I", "Q", "U", "V", "RR", "LL", "RL", "LR", "XX", "YY", "XY", "YX", "POLI", "POLA")
# Shorter than gamma rays, longer than a radio antenna: no wavelength in meters.
_SHORTEST_M, _LONGEST_M = 1e-12, 100.0
# Visible light in meters is far below this; 550 (nm) or 0.55 (um) is above.
_OPTICAL_M = 1e-4


def check_meaning(salvage: Salvage, facts: RepositoryFacts | None) -> Iterator[Finding]:
    """Find what is wrong with a configuration whose form is right.

    Parameters
    ----------
    salvage
        The configuration, and where its keys are.
    facts
        What the repository has, if there is one.

    Yields
    ------
    finding : `Finding`
    """
    config, places = salvage.config, salvage.places
    if config is None:
        return
    gone = {key[0] for key in salvage.removed}
    if not config.dataset_types and "dataset_types" not in gone:
        yield error(
            places.of("dataset_types"),
            "no dataset types are named, nothing is exported",
            "say what to export",
        )
    if not config.collections and config.collection_type is None and "collections" not in gone:
        yield warning(
            places.of("collections"),
            "no collections are named",
            "name them, in the order in which they are searched, or give --collections to each export",
        )
    if "obs_publisher_did_fmt" not in gone:
        yield from _check_identifier(config, places)
    for name, kind in config.dataset_types.items():
        yield from _check_type(config, name, kind, places, gone)
    yield from _check_columns(config, places)
    yield from _check_ranges(config, places)
    if facts is None:
        if (
            not config.facility_name
            and not config.facility_map
            and not gone & {"facility_name", "facility_map"}
        ):
            yield warning(
                places.of("facility_name"),
                "no facility is named, facility_name is empty",
                "name the telescope",
            )
    else:
        yield from _check_against(config, places, facts, gone)


def _check_identifier(config: ObscoreConfig, places: Places) -> Iterator[Finding]:
    place, text = places.of("obs_publisher_did_fmt"), config.obs_publisher_did_fmt
    if text is None:
        yield error(
            place,
            "the key is missing, no row has the obs_publisher_did that ObsCore wants",
            'give a format such as "ivo://org.example/archive?repo=main&id={id}"',
        )
        return
    if "{id}" not in text:
        yield error(
            place,
            f"{text!r} has no {{id}}, so that identifiers lead nowhere",
            "put {id} where the UUID belongs",
        )
    if not text.startswith("ivo://"):
        yield warning(place, f"{text!r} is no IVOID", "begin it with ivo:// and the registered authority")
    elif found := _UNREGISTERED.match(text):
        yield warning(
            place,
            f"nobody has registered the authority {found[1]!r}",
            "give the one that is registered for you",
        )


def _check_type(
    config: ObscoreConfig, name: str, kind: DatasetTypeConfig, places: Places, gone: set[str]
) -> Iterator[Finding]:
    def place(key: str) -> str:
        return places.of("dataset_types", name, key)

    if kind.obs_collection is None and config.obs_collection is None and "obs_collection" not in gone:
        yield error(
            place("obs_collection"),
            "no name of the data collection, which ObsCore wants",
            "add obs_collection",
        )
    if kind.obs_id_fmt is None:
        yield error(
            place("obs_id_fmt"),
            "the key is missing, no row has the obs_id that ObsCore wants",
            'give a format such as "{records[visit].name}"',
        )
    if kind.datalink_url_fmt is not None:
        if "{id}" not in kind.datalink_url_fmt:
            make, what = (
                (warning, "has no {id}, it does not say which dataset it leads to")
                if "{" in kind.datalink_url_fmt
                else (error, "has no field, all rows lead to the same place")
            )
            yield make(
                place("datalink_url_fmt"),
                f"{kind.datalink_url_fmt!r} {what}",
                "put {id} where the UUID belongs",
            )
        if "?" in kind.datalink_url_fmt and re.search(r"ID=ivo://", kind.datalink_url_fmt):
            yield warning(
                place("datalink_url_fmt"),
                "the identifier in it is not percent-encoded, its '&' ends the parameter",
                "write ivo%3A%2F%2F…%3Frepo%3D…%26id%3D{id}",
            )
    yield from _check_format(kind.access_format, place("access_format"))
    if kind.o_ucd is not None and "flux_density" in kind.o_ucd:
        yield error(place("o_ucd"), f"{kind.o_ucd!r} is no UCD", "write phot.flux.density")
    if kind.pol_states is not None:
        unknown = [state for state in kind.pol_states.strip("/").split("/") if state not in _POLARIZATIONS]
        for state in unknown:
            yield error(
                place("pol_states"),
                f"{state!r} is no polarization state",
                f"choose among {', '.join(_POLARIZATIONS)}",
            )
    if kind.s_xel is not None and min(kind.s_xel) < 1:
        yield error(place("s_xel"), f"{list(kind.s_xel)} is no size in pixels", "give columns and rows")


def _check_format(text: str | None, place: str) -> Iterator[Finding]:
    if text is None:
        yield warning(place, "the key is missing, access_format is empty", f"give {_DATALINK}")
    elif text != _DATALINK and text.replace(" ", "") == _DATALINK:
        yield error(place, f"{text!r} has a space, clients compare letter by letter", f"write {_DATALINK}")
    elif not _MEDIA_TYPE.fullmatch(text):
        yield error(place, f"{text!r} is no media type", f"give {_DATALINK}, or image/fits")
    elif text not in _FORMATS and not text.startswith("application/x-"):
        yield warning(
            place, f"{text!r} is not among the values of the standard", f"give {_DATALINK}, or image/fits"
        )


def _check_columns(config: ObscoreConfig, places: Places) -> Iterator[Finding]:
    try:
        columns_of(config)
    except UsageError as err:
        yield error(places.of("extra_columns"), str(err), "give each column one spelling and one type")
    groups: list[tuple[tuple[str, ...], Mapping[str, object] | None]] = [
        (("extra_columns",), config.extra_columns)
    ]
    for name, kind in config.dataset_types.items():
        groups.append((("dataset_types", name, "extra_columns"), kind.extra_columns))
    types = {column.name: column.datatype for column in (*MANDATORY_COLUMNS, *OPTIONAL_COLUMNS)}
    told: set[str] = set()
    for key, columns in groups:
        for name, value in (columns or {}).items():
            place = places.of(*key, name)
            if name in types:
                yield from _check_standard(name, value, types[name], place)
            elif name not in _KNOWN and name not in told:
                told.add(name)
                if near := difflib.get_close_matches(name, _STANDARD, n=1, cutoff=0.85):
                    yield warning(place, f"{name!r} is no column of ObsCore", f"did you mean {near[0]!r}?")


def _check_standard(name: str, value: object, datatype: str, place: str) -> Iterator[Finding]:
    given: str
    number = datatype in ("int", "long", "double")
    if isinstance(value, ExtraColumn):
        given = value.type
        wrong = number and given not in ("int", "float")
        wrong = wrong or (datatype in ("int", "long") and given == "float")
    else:
        given = type(value).__name__
        wrong = number and (isinstance(value, bool) or not isinstance(value, int | float))
        wrong = wrong or (datatype in ("int", "long") and isinstance(value, float))
        wrong = wrong or (datatype == "char" and not isinstance(value, str))
    if wrong:
        yield error(place, f"ObsCore's {name!r} is {datatype}, not {given}", f"give it the type {datatype}")


def _check_ranges(config: ObscoreConfig, places: Places) -> Iterator[Finding]:
    for name, (low, high) in config.spectral_ranges.items():
        place = places.of("spectral_ranges", name)
        for limit in (low, high):
            if limit is None:
                continue
            if not _SHORTEST_M < limit < _LONGEST_M or not math.isfinite(limit):
                yield error(place, f"{limit:g} is no wavelength in meters", "write 550 nm as 550.0e-9")
                break
            if limit > _OPTICAL_M:
                yield warning(place, f"{limit:g} m is not visible light", "write 550 nm as 550.0e-9")
                break
        else:
            if low is not None and high is not None and low > high:
                yield error(
                    place, f"the first limit, {low:g}, is above the second", "give the lower limit first"
                )


def _check_against(
    config: ObscoreConfig, places: Places, facts: RepositoryFacts, gone: set[str]
) -> Iterator[Finding]:
    yield from _check_collections(config, places, facts)
    missing = [name for name in config.dataset_types if name not in facts.types]
    for name in missing:
        make = error if len(missing) == len(config.dataset_types) else warning
        yield make(
            places.of("dataset_types", name),
            f"the repository {facts.label!r} has no dataset type {name!r}",
            nearest(name, facts.types),
        )
    exported = {name: facts.types[name] for name in config.dataset_types if name in facts.types}
    for name, held in exported.items():
        if not held.is_held:
            yield warning(
                places.of("dataset_types", name),
                f"the collections hold no {name!r}",
                "name another collection, or leave the dataset type out",
            )
    yield from _check_names(config, places, facts, gone)
    if any("band" in held.dimensions for held in exported.values()) and "spectral_ranges" not in gone:
        listed = config.spectral_ranges.keys()
        unknown = facts.bands - listed
        # A band may do without limits if all its filters have them.
        if unknown and not facts.filters <= listed:
            yield warning(
                places.of("spectral_ranges"),
                f"no limits for {', '.join(sorted(unknown))}, where em_min and em_max stay empty",
                "give them in meters, by band or by physical filter",
            )
    for name in config.visit_summary:
        if name not in facts.types:
            yield warning(
                places.of("visit_summary"),
                f"the repository {facts.label!r} has no dataset type {name!r}",
                nearest(name, facts.types),
            )


def _check_collections(config: ObscoreConfig, places: Places, facts: RepositoryFacts) -> Iterator[Finding]:
    for number, name in enumerate(config.collections or ()):
        place = places.of("collections", str(number))
        if config.collection_type == "RUN":
            try:
                pattern = re.compile(name)
            except re.error as err:
                yield error(place, f"{name!r} is no regular expression: {err}", "mend it")
            else:
                if not any(map(pattern.fullmatch, facts.runs)):
                    yield warning(place, f"no RUN collection matches {name!r}", nearest(name, facts.runs))
        elif name not in facts.collections:
            yield error(place, f"there is no collection {name!r}", nearest(name, facts.collections))


def _check_names(
    config: ObscoreConfig, places: Places, facts: RepositoryFacts, gone: set[str]
) -> Iterator[Finding]:
    exported = [facts.types[name] for name in config.dataset_types if name in facts.types]
    if not config.facility_name and not gone & {"facility_name", "facility_map"}:
        for name in facts.instruments:
            if name not in config.facility_map and any("instrument" in held.dimensions for held in exported):
                yield warning(
                    places.of("facility_map"),
                    f"no facility for the instrument {name!r}",
                    "name it here, or give a facility_name for all",
                )
    for name in itertools.filterfalse(facts.instruments.__contains__, config.facility_map):
        yield warning(
            places.of("facility_map", name),
            f"the repository {facts.label!r} has no instrument {name!r}",
            nearest(name, facts.instruments),
        )
    if config.fallback_instrument is None and any("instrument" not in held.dimensions for held in exported):
        yield warning(
            places.of("fallback_instrument"),
            "datasets without an instrument, such as coadds, have no instrument_name",
            "name the instrument that they are of",
        )
