"""Following an access_url: bytes, ranges, and refusals."""

import dataclasses
import gc
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from lsst.resources import ResourcePath

from lsst.dax.vo.dali import ParamSet, fault_of
from lsst.dax.vo.errors import (
    AuthenticationError,
    AuthorizationError,
    NotFoundError,
    TransientError,
    UnsupportedError,
    UsageError,
)
from lsst.dax.vo.repo import FileState


def follow(world, url, *, method="GET", headers=None, **changes):
    """Send what a web server would, having taken the URL apart."""
    parts = urlsplit(url)
    *_, label, dataset_id, name = parts.path.split("/")
    path = {"label": unquote(label), "dataset_id": unquote(dataset_id), "name": unquote(name)}
    path |= {key: changes.pop(key) for key in path if key in changes}
    query = dict(parse_qsl(parts.query)) | changes
    params = ParamSet.from_pairs((key, value) for key, value in query.items() if value is not None)
    return world.files.deliver(**path, params=params, method=method, headers=headers or {})


@pytest.fixture
def url(world):
    return world.links("coadd").rows[0]["access_url"]


@pytest.fixture
def content(world):
    dataset = world.repositories["coadds"].datasets([world.ids["coadd"]])[world.ids["coadd"]]
    return Path(dataset.uri.ospath).read_bytes()


@pytest.mark.parametrize("name", ["coadd", "plane", "raw", "table"])
def test_content_is_as_the_row_says(world, read_body, name):
    row = world.links(name).rows[0]
    response = follow(world, row["access_url"])
    body = read_body(response)
    assert (response.status, response.media_type) == (200, row["content_type"])
    assert response.headers["Content-Length"] == row["content_length"] == str(len(body))
    assert body.startswith(b"SIMPLE  =")
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Cache-Control"] == "private, max-age=3600"


def stored_at(world, text):
    dataset = world.repositories["coadds"].datasets([world.ids["coadd"]])[world.ids["coadd"]]
    return dataclasses.replace(dataset, uri=ResourcePath(text), file_state=FileState.UNCHECKED)


def test_url_that_is_signed_already_is_given_as_it_is(world):
    signed = "https://bucket.example.org/a/b.fits?X-Amz-Signature=abcdef&X-Amz-Expires=60"
    assert world.files.access_url(stored_at(world, signed), "https://vo.example.org") == signed


@pytest.mark.parametrize(
    "uri",
    [
        "resource://lsst.daf.butler/configs/storageClasses.yaml",
        "https://store.example.org/a/b.fits",
        "davs://store.example.org/a/b.fits",
    ],
)
def test_store_that_does_not_sign_at_once_is_read_through_here(world, uri):
    url = world.files.access_url(stored_at(world, uri), "https://vo.example.org")
    assert url.startswith(f"https://vo.example.org/api/files/coadds/{world.ids['coadd']}/")


def test_file_name_of_the_header_is_safe(world, url):
    response = follow(world, url, method="HEAD")
    assert response.headers["Content-Disposition"] == 'attachment; filename="coadd_2_.fits"'


def test_head_is_get_without_the_body(world, url, read_body):
    got, head = follow(world, url), follow(world, url, method="HEAD")
    assert (head.status, head.media_type, head.headers) == (got.status, got.media_type, got.headers)
    assert read_body(head) == b""
    assert read_body(got)


@pytest.mark.parametrize(
    ("field", "part"),
    [("bytes=0-8", slice(0, 9)), ("bytes=-5760", slice(-5760, None)), ("bytes=2880-", slice(2880, None))],
)
def test_one_range(world, url, content, read_body, field, part):
    response = follow(world, url, headers={"range": field})
    assert response.status == 206
    assert read_body(response) == content[part]


def test_several_ranges(world, url, content, read_body):
    response = follow(world, url, headers={"range": "bytes=0-8,80-159,-10"})
    body = read_body(response)
    assert response.headers["Content-Length"] == str(len(body))
    boundary = response.media_type.partition("boundary=")[2].encode()
    parts = [part.partition(b"\r\n\r\n")[2] for part in body.split(b"\r\n--" + boundary)[1:-1]]
    assert parts == [content[:9], content[80:160], content[-10:]]


def test_range_beyond_the_end(world, url, read_body):
    response = follow(world, url, headers={"range": "bytes=11520-"})
    assert (response.status, response.headers["Content-Range"]) == (416, "bytes */11520")
    assert b"the file has 11520 bytes" in read_body(response)


def test_conditional_requests(world, url, read_body):
    first = follow(world, url)
    read_body(first)
    for headers in (
        {"if-none-match": first.headers["ETag"]},
        {"if-modified-since": first.headers["Last-Modified"]},
        {"if-modified-since": formatdate(4e9, usegmt=True)},
    ):
        again = follow(world, url, headers=headers)
        assert (again.status, again.body) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]


def test_changed_file_has_another_tag(copied_world, read_body):
    url = copied_world.links("coadd").rows[0]["access_url"]
    before = follow(copied_world, url, method="HEAD").headers["ETag"]
    dataset = copied_world.repositories["coadds"].datasets([copied_world.ids["coadd"]])
    path = Path(dataset[copied_world.ids["coadd"]].uri.ospath)
    path.write_bytes(path.read_bytes() + b" " * 2880)
    response = follow(copied_world, url, headers={"range": "bytes=0-8", "if-range": before})
    assert response.status == 200
    assert response.headers["ETag"] != before
    assert len(read_body(response)) == 14400


def test_large_file_comes_in_chunks(copied_world):
    url = copied_world.links("coadd").rows[0]["access_url"]
    dataset = copied_world.repositories["coadds"].datasets([copied_world.ids["coadd"]])
    path = Path(dataset[copied_world.ids["coadd"]].uri.ospath)
    path.write_bytes(bytes(5 * 2**20))
    response = follow(copied_world, url)
    assert [len(chunk) for chunk in response.body] == [2**20] * 5


def test_file_that_shrinks_while_it_is_sent(copied_world):
    url = copied_world.links("coadd").rows[0]["access_url"]
    dataset = copied_world.repositories["coadds"].datasets([copied_world.ids["coadd"]])
    path = Path(dataset[copied_world.ids["coadd"]].uri.ospath)
    path.write_bytes(bytes(3 * 2**20))
    response = follow(copied_world, url)
    next(response.body)
    with path.open("r+b") as stream:
        stream.truncate(2**20)
    with pytest.raises(TransientError, match="became shorter while it was sent"):
        next(response.body)


def test_answer_that_nobody_reads_closes_its_file(world, url):
    # A ResourceWarning is an error in this suite.
    for read_some in (False, True):
        response = follow(world, url)
        if read_some:
            next(response.body)
        del response
        gc.collect()


@pytest.mark.parametrize(
    ("changes", "error", "status"),
    [
        pytest.param({"signature": None}, AuthenticationError, 401, id="no signature"),
        pytest.param({"expires": None}, AuthenticationError, 401, id="no end"),
        pytest.param({"key": None}, AuthenticationError, 401, id="no key"),
        pytest.param({"signature": "A" * 43}, AuthorizationError, 403, id="tampered signature"),
        pytest.param({"expires": "1900000000"}, AuthorizationError, 403, id="tampered end"),
        pytest.param({"key": "k2"}, AuthorizationError, 403, id="other key"),
        pytest.param({"label": "other"}, AuthorizationError, 403, id="other label"),
        pytest.param({"label": ".."}, AuthorizationError, 403, id="label is a path"),
        pytest.param({"name": "other.fits"}, AuthorizationError, 403, id="other name"),
        pytest.param({"name": "../../../etc/passwd"}, AuthorizationError, 403, id="name is a path"),
        pytest.param(
            {"name": "..%2F..%2Fetc%2Fpasswd"}, AuthorizationError, 403, id="name is an encoded path"
        ),
        pytest.param({"name": "coadd_2_.fits\0.png"}, AuthorizationError, 403, id="name with NUL"),
        pytest.param({"dataset_id": "../../etc/passwd"}, AuthorizationError, 403, id="dataset is a path"),
        pytest.param({"dataset_id": "x"}, AuthorizationError, 403, id="dataset is no UUID"),
    ],
)
def test_attack_is_refused(world, url, changes, error, status):
    with pytest.raises(error) as caught:
        follow(world, url, **changes)
    assert fault_of(caught.value).http_status == status
    assert "DataLink" in str(caught.value)


def test_signature_of_one_dataset_does_not_open_another(world, url):
    for spelling in (str(world.ids["other"]), world.ids["coadd"].hex, str(world.ids["coadd"]).upper()):
        with pytest.raises(AuthorizationError, match="not valid"):
            follow(world, url, dataset_id=spelling)


def test_repeated_part_is_refused(world, url):
    parts = urlsplit(url)
    params = ParamSet.from_pairs([*parse_qsl(parts.query), ("EXPIRES", "1")])
    *_, label, dataset_id, name = parts.path.split("/")
    with pytest.raises(UsageError, match="EXPIRES takes one value"):
        world.files.deliver(label, dataset_id, name, params)


def test_expired_url_is_refused_and_a_new_one_works(world, url, read_body):
    world.clock_s[0] += 3600
    with pytest.raises(AuthorizationError, match="This URL ended at 2027-01-15T09:00:00Z"):
        follow(world, url)
    assert read_body(follow(world, world.links("coadd").rows[0]["access_url"]))


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda path: path.unlink(), NotFoundError, "gone"),
        (lambda path: path.write_bytes(b""), UnsupportedError, "is empty"),
        (
            lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
            UnsupportedError,
            "LFS",
        ),
    ],
)
def test_file_that_went_bad_after_the_link_was_given(copied_world, spoil, error, message):
    url = copied_world.links("coadd").rows[0]["access_url"]
    dataset = copied_world.repositories["coadds"].datasets([copied_world.ids["coadd"]])
    path = Path(dataset[copied_world.ids["coadd"]].uri.ospath)
    spoil(path)
    with pytest.raises(error, match=message) as caught:
        follow(copied_world, url)
    assert str(path.parent) not in str(caught.value)
