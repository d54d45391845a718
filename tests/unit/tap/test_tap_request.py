"""TAP parameters: from text to typed values."""

import pytest

from lsst.dax.vo.config import Limits
from lsst.dax.vo.dali import ParamSet
from lsst.dax.vo.errors import MultiValuedError, UnsupportedError, UsageError, VoError
from lsst.dax.vo.tap import TapRequest, parse_request

LIMITS = Limits(maxrec=100, maxrec_hard=1000, query_characters=100)


def _parse(**params: str) -> TapRequest:
    return parse_request(ParamSet.from_pairs(params.items()), LIMITS)


@pytest.mark.parametrize(
    ("sent", "rows"),
    [
        ({}, 100),
        ({"maxrec": "0"}, 0),
        ({"maxrec": "7"}, 7),
        ({"MaxRec": "1000"}, 1000),
        ({"MAXREC": "9" * 30}, 1000),
    ],
)
def test_rows_stay_within_the_limits(sent: dict[str, str], rows: int) -> None:
    assert _parse(query="SELECT", **sent) == TapRequest("SELECT", rows)


@pytest.mark.parametrize("language", ["ADQL", "ADQL-2.0", "ADQL-2.1", "adql-2.1", None])
def test_known_languages(language: str | None) -> None:
    sent = {} if language is None else {"lang": language}
    assert _parse(QUERY="q", **sent).query == "q"


@pytest.mark.parametrize(
    ("sent", "kind", "message"),
    [
        ({}, UsageError, "QUERY is missing; send QUERY=<value>"),
        ({"QUERY": " \n"}, UsageError, "QUERY is missing"),
        (
            {"LANG": "OOBLECK", "QUERY": "q"},
            UsageError,
            "LANG='OOBLECK' is not accepted; give one of ADQL, ADQL-2.0, ADQL-2.1",
        ),
        ({"LANG": "ADQL-3.0", "QUERY": "q"}, UsageError, "LANG='ADQL-3.0' is not accepted"),
        ({"QUERY": "x" * 101}, UsageError, "QUERY has 101 characters; this service reads up to 100"),
        ({"QUERY": "q", "MAXREC": "many"}, UsageError, "MAXREC='many' is not accepted"),
        ({"QUERY": "q", "RUNID": "r" * 65}, UsageError, "RUNID has 65 characters; give up to 64"),
        ({"QUERY": "q", "UPLOAD": "t,param:t"}, UnsupportedError, "This service takes no UPLOAD"),
    ],
)
def test_bad_request_is_refused(sent: dict[str, str], kind: type[VoError], message: str) -> None:
    with pytest.raises(kind) as caught:
        _parse(**sent)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", ["LANG", "QUERY", "MAXREC", "RUNID"])
def test_repeated_parameter_is_refused(name: str) -> None:
    pairs = [("QUERY", "q"), ("LANG", "ADQL"), ("MAXREC", "1"), ("RUNID", "r"), (name, "1")]
    with pytest.raises(MultiValuedError, match=f"{name} takes one value, 2 were given"):
        parse_request(ParamSet.from_pairs(pairs), LIMITS)


def test_leftovers_and_unknown_parameters_are_ignored() -> None:
    assert (
        _parse(QUERY="q", REQUEST="doQuery", VERSION="1.0", DUMMY="x", UPLOAD="", RUNID="r" * 64).query == "q"
    )
