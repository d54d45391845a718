"""What is asked: in ADQL of us, in SQL of plain pgSphere."""

from typing import NamedTuple

PEER_TABLE = "bench_peer.obscore"
"""Table of the peer."""


class Place(NamedTuple):
    """What one question is about: a dataset, and a coadd."""

    ra: float
    dec: float
    visit: int
    t_min: float
    band: str
    did: str
    uuid: str
    tract: int
    patch: int
    coadd_band: str


class Question(NamedTuple):
    """One question, in ADQL and in SQL of pgSphere."""

    title: str
    adql: str
    sql: str
    reach_ms: float | None = None
    """Time in the engine that is to be reached on the full table, 8,475,974 rows."""


_SHOWN = "obs_id, dataproduct_subtype, lsst_band, s_ra, s_dec, t_min, access_url"
_CORNERS = ("{west} {south}", "{east} {south}", "{east} {north}", "{west} {north}")
_ADQL = ", ".join(corner.replace(" ", ", ") for corner in _CORNERS)
_POLYGON = f"INTERSECTS(POLYGON('ICRS', {_ADQL}), s_region) = 1"
_SPOLY = ",".join(f"({corner.replace(' ', 'd,')}d)" for corner in _CORNERS)
_POLYGON_SQL = f"s_region && spoly '{{{{{_SPOLY}}}}}'"
_POSITION_SQL = "spoint(radians(s_ra), radians(s_dec)) <@ "
_POINT_SQL = "s_region @> spoint(radians({ra}), radians({dec}))"
_POINT = "CONTAINS(POINT('ICRS', {ra}, {dec}), s_region) = 1"


def _circle(radius: float) -> tuple[str, str]:
    return (
        f"INTERSECTS(CIRCLE('ICRS', {{ra}}, {{dec}}, {radius}), s_region) = 1",
        f"s_region && scircle(spoint(radians({{ra}}), radians({{dec}})), radians({radius}))",
    )


def _same(title: str, words: str, reach_ms: float | None = None) -> Question:
    ours, theirs = (words.format_map(_Table(name)) for name in ("ivoa.ObsCore", PEER_TABLE))
    return Question(title, ours, theirs, reach_ms)


def _where(title: str, shown: str, adql: str, sql: str, reach_ms: float | None = None) -> Question:
    return Question(
        title,
        f"SELECT {shown} FROM ivoa.ObsCore WHERE {adql}",
        f"SELECT {shown} FROM {PEER_TABLE} WHERE {sql}",
        reach_ms,
    )


class _Table(dict[str, str]):
    """Fills in the table, and leaves the rest for later."""

    def __init__(self, name: str) -> None:
        super().__init__(table=name)

    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"


QUESTIONS: dict[str, Question] = {
    "count": _same("count of all", "SELECT COUNT(*) AS images FROM {table}", 50),
    "subtypes": _same(
        "count of each subtype",
        "SELECT dataproduct_subtype, COUNT(*) AS images FROM {table} GROUP BY dataproduct_subtype",
        50,
    ),
    "levels": _same(
        "count of each level and subtype",
        "SELECT calib_level, dataproduct_subtype, COUNT(*) AS images FROM {table} "
        "GROUP BY calib_level, dataproduct_subtype ORDER BY calib_level, dataproduct_subtype",
        50,
    ),
    "level": _same(
        "count of one level, as a string",
        "SELECT COUNT(*) AS images FROM {table} WHERE calib_level = '1'",
        50,
    ),
    "reach": _same(
        "reach in time of each band",
        "SELECT lsst_band, COUNT(*) AS images, MIN(t_min) AS t_first, MAX(t_max) AS t_last FROM {table} "
        "GROUP BY lsst_band",
        50,
    ),
    "point": _where("regions with a point", _SHOWN, _POINT, _POINT_SQL, 10),
    "point-all": _where("the same, all columns", "*", _POINT, _POINT_SQL, 10),
    "point-band": _where(
        "of one band, in order",
        _SHOWN,
        f"{_POINT} AND lsst_band = '{{band}}' AND calib_level = 2 ORDER BY t_min, obs_id",
        f"{_POINT_SQL} AND lsst_band = '{{band}}' AND calib_level = 2 ORDER BY t_min, obs_id",
        10,
    ),
    "circle": _where("regions that meet a circle of 0.1°", _SHOWN, *_circle(0.1), 50),
    "circle-count": _where("count of those of 1°", "COUNT(*) AS images", *_circle(1.0), 50),
    "polygon": _where("regions that meet a polygon of 0.3° x 0.2°", _SHOWN, _POLYGON, _POLYGON_SQL, 50),
    "within": _where(
        "regions inside a circle of 0.5°",
        _SHOWN,
        "CONTAINS(s_region, CIRCLE('ICRS', {ra}, {dec}, 0.5)) = 1",
        "s_region <@ scircle(spoint(radians({ra}), radians({dec})), radians(0.5))",
        50,
    ),
    "positions": _where(
        "positions in a circle of 0.2°",
        _SHOWN,
        "CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', {ra}, {dec}, 0.2)) = 1",
        f"{_POSITION_SQL} scircle(spoint(radians({{ra}}), radians({{dec}})), radians(0.2))",
        50,
    ),
    "patch": _same(
        "coadd by tract, patch and band",
        f"SELECT {_SHOWN} FROM {{table}} "
        "WHERE lsst_tract = {tract} AND lsst_patch = {patch} AND lsst_band = '{coadd_band}'",
        50,
    ),
    "visit": _same("images of a visit", f"SELECT {_SHOWN} FROM {{table}} WHERE lsst_visit = {{visit}}", 50),
    "night": _same(
        "count of a night",
        "SELECT COUNT(*) AS images FROM {table} WHERE t_min BETWEEN {t_min} AND {t_min} + 0.5",
        50,
    ),
    "url": _same("one by the end of its URL", "SELECT * FROM {table} WHERE access_url LIKE '%{uuid}'", 50),
    "did": _same("one by its identifier", "SELECT * FROM {table} WHERE obs_publisher_did = '{did}'", 50),
    "top": _same("ten of all", "SELECT TOP 10 * FROM {table}", 50),
}
"""What is asked, by name."""

MIX = {"point": 4, "point-band": 2, "circle": 2, "visit": 1, "patch": 1, "did": 2, "url": 1, "count": 1}
"""What many clients ask at once, and how often each."""


def fill(text: str, place: Place) -> str:
    sides = {"west": -0.15, "east": 0.15}, {"south": -0.1, "north": 0.1}
    return text.format_map(
        place._asdict()
        | {name: round(place.ra + shift, 6) for name, shift in sides[0].items()}
        | {name: round(place.dec + shift, 6) for name, shift in sides[1].items()}
    )
