"""TAP parameters: from text to typed values."""

import pytest

from lsst.dax.vo.config import Limits
from lsst.dax.vo.dali import ParamSet
from lsst.dax.vo.errors import MultiValuedError, UsageError, VoError
from lsst.dax.vo.tap import TapRequest, merge_uploads, parse_request

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
        *(
            ({"QUERY": "q", "UPLOAD": text}, UsageError, f"UPLOAD='{text}' is not accepted; {advice}")
            for text, advice in (
                ("t", "give name,param:part or name,URL"),
                ("t,", "give name,param:part or name,URL"),
                (",param:t", "give name,param:part or name,URL"),
                ("1t,param:t", "give name,param:part or name,URL"),
                ("a.t,param:t", "give name,param:part or name,URL"),
                ("t,up", "give name,param:part or name,URL with a name of letters, digits and _; URLs begin"),
                ("t,file:///etc/passwd", "give name,param:part or name,URL with a name of letters"),
                ("t,ftp://x/y", "give name,param:part or name,URL with a name of letters"),
                ("t,http:///x", "the URL has no host"),
                ("t,http://[x/", "the URL has no host"),
            )
        ),
        (
            {"QUERY": "q", "UPLOAD": "Tab,param:a;TAB,param:b"},
            UsageError,
            "UPLOAD names two tables Tab and TAB; the case of letters does not count",
        ),
        (
            {"QUERY": "q", "UPLOAD": ";".join(f"t{n},param:a" for n in range(21))},
            UsageError,
            "UPLOAD has 21 tables; this service reads up to 20",
        ),
    ],
)
def test_bad_request_is_refused(sent: dict[str, str], kind: type[VoError], message: str) -> None:
    with pytest.raises(kind) as caught:
        _parse(**sent)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        ([], []),
        (["", " ; "], []),
        (["t1,param:up"], [("t1", "up", None)]),
        ([" t1 , param:up "], [("t1", "up", None)]),
        (["t1,PARAM:a b"], [("t1", "a b", None)]),
        # TAP 1.0's form, which pyvo sends, and DALI's.
        (["a,param:x;b,param:y;"], [("a", "x", None), ("b", "y", None)]),
        (["a,param:x", "b,param:y"], [("a", "x", None), ("b", "y", None)]),
        (["a,https://x.org/t;v=1?a=1,2"], [("a", None, "https://x.org/t;v=1?a=1,2")]),
        (
            ["a,http://x.org/1?q=a;b,http://x.org/2"],
            [("a", None, "http://x.org/1?q=a"), ("b", None, "http://x.org/2")],
        ),
    ],
)
def test_uploads(texts: list[str], wanted: list[tuple[str, str | None, str | None]]) -> None:
    pairs = [("query", "q"), *(("upload", text) for text in texts)]
    found = parse_request(ParamSet.from_pairs(pairs), LIMITS).uploads
    assert [(item.name, item.part, item.url) for item in found] == wanted


@pytest.mark.parametrize("name", ["LANG", "QUERY", "MAXREC", "RUNID"])
def test_repeated_parameter_is_refused(name: str) -> None:
    pairs = [("QUERY", "q"), ("LANG", "ADQL"), ("MAXREC", "1"), ("RUNID", "r"), (name, "1")]
    with pytest.raises(MultiValuedError, match=f"{name} takes one value, 2 were given"):
        parse_request(ParamSet.from_pairs(pairs), LIMITS)


def test_leftovers_and_unknown_parameters_are_ignored() -> None:
    assert (
        _parse(QUERY="q", REQUEST="doQuery", VERSION="1.0", DUMMY="x", UPLOAD="", RUNID="r" * 64).query == "q"
    )


@pytest.mark.parametrize(
    ("before", "added", "values"),
    [
        ([], ["a,param:a"], ["a,param:a"]),
        (["a,param:a"], ["b,param:b"], ["a,param:a", "b,param:b"]),
        (["a,param:a"], ["a,param:other"], ["a,param:other"]),
        (["Tab , param:a"], ["tAB,https://example.org/x;y"], ["tAB,https://example.org/x;y"]),
        (["a,param:a;b,param:b;"], ["b,param:c"], ["a,param:a", "b,param:c"]),
        (
            ["a,param:a", "b,param:b", "c,param:c"],
            ["c,param:1;a,param:2"],
            ["b,param:b", "c,param:1;a,param:2"],
        ),
        # Whatever cannot be read is for the job to refuse, or to be sent better.
        (["a"], ["b"], ["a", "b"]),
        (["a"], ["a,param:a"], ["a,param:a"]),
    ],
)
def test_2_2_2_new_upload_takes_the_place_of_its_name(
    before: list[str], added: list[str], values: list[str]
) -> None:
    assert merge_uploads(before, added) == values
