"""What is wrong with a store: asked in ADQL, whatever it is made of."""

from __future__ import annotations

__all__ = ["check_store"]

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from ...config import Limits
from ...errors import NotFoundError, TransientError, UsageError
from ...obscore import MANDATORY_COLUMNS, OPTIONAL_COLUMNS, Finding
from ...query import OBSCORE_TABLE, Engine, open_engine, plan_query
from ...repo import known_labels, open_repository
from ...store import LiveLocation, Location, Store, parse_store
from .._export import served_label
from .._stores import open_named_store
from ._files import check_files

_TYPES = ("image", "cube", "spectrum", "sed", "timeseries", "visibility", "event", "measurements")
_AGAIN = "mend the configuration or the registry, and export again"
_NOT_LOOKED_FOR = "No file was looked for; name the repository for that: --repo REPO"
# Files that are looked for without being told to: some seconds.
_FILES_UNASKED = 20_000
# Rows whose regions are compared with their middle: each takes a look at the
# region itself.
_PLACED_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class _Rule:
    """Something that no row may be."""

    column: str
    where: str
    what: str
    mend: str
    severity: Any = "error"
    needs: tuple[str, ...] = ()


def _rules() -> Iterator[_Rule]:
    for name in ("calib_level", "obs_collection", "obs_id", "obs_publisher_did"):
        yield _Rule(name, f"{name} IS NULL", "have no value, which ObsCore wants", _AGAIN)
    # That access_url is empty is right: a service shows its own.
    yield _Rule(
        "access_format",
        "access_format IS NULL",
        "have no value",
        "set access_format in the configuration, and export again",
        "warning",
    )
    types = ", ".join(f"'{name}'" for name in _TYPES)
    yield _Rule(
        "dataproduct_type",
        f"dataproduct_type IS NOT NULL AND dataproduct_type NOT IN ({types})",
        "have a type that ObsCore does not know",
        f"use one of {', '.join(_TYPES)}",
    )
    yield _Rule(
        "calib_level",
        "calib_level NOT BETWEEN 0 AND 4",
        "have a level that ObsCore does not know",
        "use 0 to 4",
    )
    yield _Rule("s_ra", "s_ra < 0 OR s_ra >= 360", "are outside of 0 to 360 degrees", _AGAIN)
    yield _Rule("s_dec", "s_dec < -90 OR s_dec > 90", "are outside of -90 to 90 degrees", _AGAIN)
    yield _Rule("s_fov", "s_fov <= 0 OR s_fov > 360", "are no diameter in degrees", _AGAIN)
    yield _Rule("t_min", "t_min > t_max", "begin after they end (t_max)", _AGAIN, needs=("t_max",))
    yield _Rule(
        "t_min",
        "t_min < 10000 OR t_min > 100000",
        "are no MJD of this century or the last",
        "look at the time spans of the registry",
        "warning",
    )
    yield _Rule(
        "t_exptime",
        "t_exptime > (t_max - t_min) * 86400 + 1",
        "are longer than the time from t_min to t_max",
        "look at the time spans of the registry",
        "warning",
        ("t_min", "t_max"),
    )
    yield _Rule("t_exptime", "t_exptime < 0", "are negative", _AGAIN)
    yield _Rule("em_min", "em_min > em_max", "are above em_max", "mend spectral_ranges", needs=("em_max",))
    yield _Rule(
        "em_min",
        "em_min <= 0 OR em_min > 100",
        "are no wavelength in meters",
        "mend spectral_ranges, in meters",
    )
    yield _Rule("access_estsize", "access_estsize < 0", "are negative", _AGAIN)
    yield _Rule(
        "pol_states",
        "pol_states NOT LIKE '/%/'",
        "do not begin and end with a slash",
        "write them as in /I/Q/U/",
    )
    yield _Rule(
        "s_region",
        "s_region IS NULL AND s_ra IS NOT NULL",
        "are missing although there is a position",
        _AGAIN,
        needs=("s_ra",),
    )
    yield _Rule(
        "access_format",
        "access_format LIKE '% %'",
        "have a space, clients compare letter by letter",
        "write application/x-votable+xml;content=datalink",
        "warning",
    )


def check_store(text: str, repo: str | None = None) -> tuple[list[Finding], list[str]]:
    """Find what is wrong with a store, and which files of its rows are gone.

    Parameters
    ----------
    text
        The store.
    repo
        Path, URI or label of its repository.  By default that of ``live:``,
        or, of a store of moderate size, the one that the environment's index
        has under the store's label; without any, no file is looked for.

    Returns
    -------
    findings : `list` [`~lsst.dax.vo.obscore.Finding`]
        What is wrong.
    notes : `list` [`str`]
        What is there.

    Raises
    ------
    NotFoundError
        Raised if there is no such store.
    """
    location = parse_store(text)
    name = str(location)
    try:
        store = open_named_store(text)
        with closing(open_engine([store], limits=Limits(), access_url="exported")) as engine:
            findings, notes = _check(store, engine, name)
            where = repo or _find_repository(location, store, engine)
            if where is None:
                return findings, [*notes, _NOT_LOOKED_FOR]
            label = served_label(store.properties, None, name)
            more, told = check_files(open_repository(where, label=label), store, engine)
            return [*findings, *more], [*notes, *told]
    except NotFoundError:
        raise
    except (UsageError, TransientError) as err:
        return [Finding("error", name, str(err), "then check again")], []


def _find_repository(location: Location, store: Store, engine: Engine) -> str | None:
    if isinstance(location, LiveLocation):
        return location.repo
    label = store.properties.get("label")
    if label in known_labels() and sum(engine.count_rows().values()) <= _FILES_UNASKED:
        return label
    return None


def _check(store: Store, engine: Engine, name: str) -> tuple[list[Finding], list[str]]:
    findings = list(_check_columns(store))
    there = {column.name for column in store.columns}
    asker = _Asker(engine)
    total = asker.number(f"SELECT COUNT(*) AS n FROM {OBSCORE_TABLE}") or 0
    findings += _check_counts(store, engine, name, total)
    for rule in _rules():
        if not {rule.column, *rule.needs} <= there:
            continue
        count = asker.number(f"SELECT COUNT(*) AS n FROM {OBSCORE_TABLE} WHERE {rule.where}")
        if count:
            findings.append(Finding(rule.severity, rule.column, _count(count, rule.what), rule.mend))
    if "obs_publisher_did" in there:
        findings += _check_unique(asker)
    if {"s_ra", "s_dec", "s_region"} <= there:
        findings += _check_places(asker, total)
    findings += [
        Finding("warning", name, f"it was not possible to ask: {reason}", "check again with less load")
        for reason in asker.failures
    ]
    return findings, _notes(store, engine, asker, total)


class _Asker:
    """Asks a store, and keeps what went wrong."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.failures: list[str] = []

    def rows(self, adql: str) -> list[dict[str, Any]]:
        try:
            result = self._engine.run(plan_query(adql, self._engine.catalog), maxrec=None)
            return [row for batch in result.batches for row in batch.to_pylist()]
        except (UsageError, TransientError) as err:
            self.failures.append(str(err))
            return []

    def number(self, adql: str) -> int | None:
        rows = self.rows(adql)
        return int(rows[0]["n"]) if rows else None


def _count(count: int, what: str) -> str:
    return f"{count:,} rows {what}"


def _check_columns(store: Store) -> Iterator[Finding]:
    there = {column.name.lower(): column for column in store.columns}
    for wanted in MANDATORY_COLUMNS:
        found = there.get(wanted.name)
        if found is None:
            yield Finding("error", wanted.name, "this mandatory column of ObsCore is missing", _AGAIN)
    for wanted in (*MANDATORY_COLUMNS, *OPTIONAL_COLUMNS):
        found = there.get(wanted.name)
        if found is None:
            continue
        for key in ("datatype", "unit", "ucd", "utype"):
            given, right = getattr(found, key), getattr(wanted, key)
            if (given or "") != (right or ""):
                yield Finding(
                    "error", wanted.name, f"its {key} is {given!r}, ObsCore's is {right!r}", "export again"
                )


def _check_counts(store: Store, engine: Engine, name: str, total: int) -> Iterator[Finding]:
    if total == 0:
        yield Finding("warning", name, "it holds no rows", "look at the collections of the configuration")
    told = store.properties.get("rows")
    if told is not None and told != str(total):
        yield Finding("error", name, f"it should hold {told} rows, and holds {total}", "export again")
    labels, label = engine.count_rows(), store.properties.get("label")
    if label is not None and labels.keys() - {label}:
        others = ", ".join(map(repr, sorted(labels.keys() - {label})))
        yield Finding("error", name, f"it is of {label!r}, but has rows of {others}", "export again")
    if sum(labels.values()) != total:
        yield Finding(
            "error", name, f"{total} rows, but {sum(labels.values())} of all repositories", "export again"
        )


def _check_unique(asker: _Asker) -> Iterator[Finding]:
    found = asker.rows(
        f"SELECT COUNT(obs_publisher_did) AS n, COUNT(DISTINCT obs_publisher_did) AS d FROM {OBSCORE_TABLE}"
    )
    if found and found[0]["n"] != found[0]["d"]:
        examples = asker.rows(
            f"SELECT TOP 1 obs_publisher_did, COUNT(*) AS n FROM {OBSCORE_TABLE} "
            "GROUP BY obs_publisher_did HAVING COUNT(*) > 1"
        )
        example = f", for example {examples[0]['obs_publisher_did']!r}" if examples else ""
        more = found[0]["n"] - found[0]["d"]
        yield Finding(
            "error",
            "obs_publisher_did",
            f"{more:,} rows have an identifier of another row{example}",
            "put {id} into obs_publisher_did_fmt",
        )


def _check_places(asker: _Asker, total: int) -> Iterator[Finding]:
    without = asker.number(f"SELECT COUNT(*) AS n FROM {OBSCORE_TABLE} WHERE s_region IS NULL")
    if without:
        everything = without == total
        yield Finding(
            "warning",
            "s_region",
            f"{'all' if everything else f'{without:,} of {total:,}'} rows have no region, "
            "no search by place finds them",
            "look for visits without regions in the registry",
        )
    outside = asker.number(
        f"SELECT COUNT(*) AS n FROM (SELECT TOP {_PLACED_ROWS} s_ra, s_dec, s_region FROM {OBSCORE_TABLE} "
        "WHERE s_region IS NOT NULL) AS t WHERE CONTAINS(POINT(s_ra, s_dec), s_region) = 0"
    )
    if outside:
        yield Finding(
            "warning",
            "s_region",
            f"{outside:,} of the first {_PLACED_ROWS:,} regions do not contain their own middle",
            "look at the regions of the registry",
        )


def _notes(store: Store, engine: Engine, asker: _Asker, total: int) -> list[str]:
    labels = ", ".join(f"{count:,} of {label!r}" for label, count in engine.count_rows().items())
    kinds = asker.rows(
        f"SELECT dataproduct_type, calib_level, COUNT(*) AS n FROM {OBSCORE_TABLE} "
        "GROUP BY dataproduct_type, calib_level ORDER BY dataproduct_type, calib_level"
    )
    told = ", ".join(
        f"{row['n']:,} {row['dataproduct_type'] or 'without type'} of level {row['calib_level']}"
        for row in kinds
    )
    return [
        f"{total:,} rows{f' ({labels})' if labels else ''} in {len(store.columns)} columns"
        + (f": {told}" if told else "")
    ]
