"""Signed paths: what is accepted, and every way of cheating."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsst.dax.vo.datalink import HmacKey, Signature, Signer, sign_path, verify_path
from lsst.dax.vo.errors import AuthenticationError, AuthorizationError, UsageError

PATH = "/api/files/dp1/c6956c99-88d9-4678-a3df-36dd913dd4bc/visit_image.fits"
NOW_S = 1_800_000_000
LIFETIME_S = 3600
NEW = HmacKey("k2", b"a secret of the new key")
OLD = HmacKey("k1", b"a secret of the old key")


def parts(target: str) -> dict[str, str]:
    return dict(item.split("=", 1) for item in target.partition("?")[2].split("&"))


def verify(path, query, *, now_s=NOW_S, keys=(NEW, OLD), user=None) -> int:
    given = Signature(query.get("expires"), query.get("key"), query.get("signature"), query.get("bound"))
    return verify_path(path, given, keys=keys, now_s=now_s, lifetime_s=LIFETIME_S, user=user)


@pytest.fixture
def signer() -> Signer:
    return Signer([NEW, OLD], lifetime_s=LIFETIME_S, clock=lambda: NOW_S)


@pytest.fixture
def query(signer: Signer) -> dict[str, str]:
    return parts(signer.sign(PATH))


def test_signed_path_is_accepted_until_it_ends(query):
    assert verify(PATH, query) == LIFETIME_S
    assert verify(PATH, query, now_s=NOW_S + LIFETIME_S - 0.5) == 0


def test_first_key_signs_and_all_verify(query):
    assert query["key"] == "k2"
    assert verify(PATH, parts("?" + sign_path(PATH, OLD, NOW_S + 60))) == 60


def test_key_that_was_taken_away_does_not_verify(query):
    with pytest.raises(AuthorizationError, match="not valid"):
        verify(PATH, query, keys=(OLD,))


def test_characters_are_those_that_cfitsio_leaves_alone():
    for i in range(200):
        query = sign_path(PATH, NEW, NOW_S + i)
        assert re.fullmatch(r"[A-Za-z0-9_=&-]+", query)


OTHER = PATH.replace("c6956c99", "c6956c98")
ATTACKS = {
    "other dataset": (OTHER, {}),
    "other label": (PATH.replace("/dp1/", "/dp2/"), {}),
    "other name": (PATH.replace("visit_image.fits", "x.html"), {}),
    "path traversal": (PATH.replace("visit_image.fits", "..%2F..%2Fetc%2Fpasswd"), {}),
    "longer path": (PATH + "/", {}),
    "case of the path": (PATH.upper(), {}),
    "later end": (PATH, {"expires": str(NOW_S + LIFETIME_S + 1)}),
    "earlier end": (PATH, {"expires": str(NOW_S + 1)}),
    "end with leading zero": (PATH, {"expires": "0" + str(NOW_S + LIFETIME_S)}),
    "end with a sign": (PATH, {"expires": "+" + str(NOW_S + LIFETIME_S)}),
    "end with blanks": (PATH, {"expires": f" {NOW_S + LIFETIME_S} "}),
    "end in other digits": (PATH, {"expires": "".join(chr(0x660 + int(c)) for c in str(NOW_S + LIFETIME_S))}),
    "end is no number": (PATH, {"expires": "never"}),
    "end is empty": (PATH, {"expires": ""}),
    "end is huge": (PATH, {"expires": "9" * 5000}),
    "end is infinite": (PATH, {"expires": "inf"}),
    "end holds a NUL": (PATH, {"expires": f"{NOW_S + LIFETIME_S}\0"}),
    "other key": (PATH, {"key": "k1"}),
    "unknown key": (PATH, {"key": "k3"}),
    "no key id": (PATH, {"key": ""}),
    "no signature": (PATH, {"signature": ""}),
    "truncated signature": (PATH, {"signature": slice(0, -1)}),
    "half a signature": (PATH, {"signature": slice(0, 20)}),
    "signature with more": (PATH, {"signature": "append"}),
    "signature in lower case": (PATH, {"signature": "lower"}),
    "padded signature": (PATH, {"signature": "pad"}),
    "other text of the same bytes": (PATH, {"signature": "twin"}),
    "signature beyond ASCII": (PATH, {"signature": "é" * 43}),
    "signature with a lone surrogate": (PATH, {"signature": "\ud800" * 43}),
    "line ends that move the fields": (PATH + "\nk2", {}),
}


@pytest.mark.parametrize(("path", "changes"), ATTACKS.values(), ids=ATTACKS.keys())
def test_attack_is_refused_without_a_hint(path, changes, query):
    changed = dict(query)
    for name, change in changes.items():
        text = query[name]
        match change:
            case slice():
                changed[name] = text[change]
            case "append":
                changed[name] = text + "A"
            case "lower":
                changed[name] = text.lower()
            case "pad":
                changed[name] = text + "="
            case "twin":
                alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
                # The last of 43 characters holds four bits and two unused.
                changed[name] = text[:-1] + alphabet[alphabet.index(text[-1]) ^ 1]
            case _:
                changed[name] = change
    assert (path, changed) != (PATH, query)
    with pytest.raises(AuthorizationError) as caught:
        verify(path, changed)
    assert str(caught.value) == (
        "The signature of this URL is not valid; follow the dataset's DataLink for a new one"
    )


def test_signature_may_be_for_one_user_alone(signer):
    query = parts(signer.sign(PATH, "ada"))
    assert verify(PATH, query, user="ada") == LIFETIME_S
    assert "ada" not in "".join(query.values())
    with pytest.raises(AuthenticationError, match="for one user alone; log in"):
        verify(PATH, query)
    for path, changed, user in (
        (PATH, query, "bob"),
        (PATH, query, "Ada"),
        (PATH, query, ""),
        (PATH, {**query, "bound": "2"}, "ada"),
        (PATH, {**query, "bound": ""}, "ada"),
        (PATH, {name: value for name, value in query.items() if name != "bound"}, "ada"),
        (PATH, {**parts(signer.sign(PATH)), "bound": "1"}, "ada"),
    ):
        with pytest.raises(AuthorizationError, match="not valid"):
            verify(path, changed, user=user)


def test_signature_for_all_does_not_ask_who_it_is(query):
    assert verify(PATH, query, user="ada") == LIFETIME_S


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_two_users_share_a_signature(one, other):
    queries = [sign_path(PATH, NEW, NOW_S + 60, user) for user in (one, other)]
    assert (queries[0] == queries[1]) is (one == other)
    assert queries[0] != sign_path(PATH, NEW, NOW_S + 60)


@pytest.mark.parametrize("missing", ["expires", "key", "signature"])
def test_missing_part_asks_for_a_signature(missing, query):
    del query[missing]
    with pytest.raises(AuthenticationError, match="needs its signature; follow the dataset's DataLink"):
        verify(PATH, query)


@pytest.mark.parametrize("late_s", [0, 1, 10**6])
def test_expired_url_says_when_it_ended(late_s, query):
    ended = datetime.fromtimestamp(NOW_S + LIFETIME_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with pytest.raises(AuthorizationError, match=f"ended at {ended}; follow the dataset's DataLink"):
        verify(PATH, query, now_s=NOW_S + LIFETIME_S + late_s)


def test_signature_from_the_future_is_refused():
    # A leaked key could sign for ever; the lifetime still bounds it.
    with pytest.raises(AuthorizationError, match="not valid"):
        verify(PATH, parts("?" + sign_path(PATH, NEW, NOW_S + LIFETIME_S + 60)))


def test_secret_is_never_shown(signer):
    assert repr(NEW) == "HmacKey(id='k2')"
    given = repr(Signature("1", "k2", "a secret signature"))
    for shown in (str(NEW), repr(signer), str(vars(signer)), given):
        assert "secret" not in shown
    with pytest.raises(UsageError) as caught:
        HmacKey("k", b"hunter2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("key_id", ["", "a b", "a&b", "a+b", "é", "x" * 33, "a\nb"])
def test_key_id_that_would_not_fit_a_url_is_refused(key_id):
    with pytest.raises(UsageError, match="give 1 to 32 letters, digits, '_' or '-'"):
        HmacKey(key_id, b"x" * 16)


@pytest.mark.parametrize(
    ("keys", "message"),
    [([], "give one or more signing_keys"), ([NEW, HmacKey("k2", b"y" * 16)], "the same id")],
)
def test_signer_needs_distinct_keys(keys, message):
    with pytest.raises(UsageError, match=message):
        Signer(keys, lifetime_s=1, clock=lambda: 0)
