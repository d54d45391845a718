"""URLs of files to keep: they lead to a URL that is signed when they are visited."""

import dataclasses
import os
import shutil
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from lsst.daf.butler import Butler, FileDataset
from lsst.resources import ResourcePath

from lsst.dax.vo.dali import ParamSet
from lsst.dax.vo.datalink import FileService, HandOver, HmacKey, Signer
from lsst.dax.vo.errors import AuthenticationError, AuthorizationError, NotFoundError, UsageError
from lsst.dax.vo.repo import FileState, Repositories, open_repository

BASE_URL = "https://vo.example.org/rubin"
DAY_S = 86_400


def build(world, repositories=None, **options) -> FileService:
    signer = Signer([HmacKey("k1", b"sixteen characters")], lifetime_s=3600, clock=lambda: world.clock_s[0])
    return FileService(repositories or world.repositories, signer, **options)


def visit(files, url, **options):
    """Send what a web server would for a stable URL."""
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{BASE_URL}/api/datalink/file"
    return files.redirect(ParamSet.from_pairs(parse_qsl(parts.query)), BASE_URL, **options)


def follow(files, url, **options):
    """Send what a web server would for a signed URL."""
    parts = urlsplit(url)
    label, dataset_id, name = map(unquote, parts.path.split("/")[-3:])
    params = ParamSet.from_pairs(parse_qsl(parts.query))
    return files.deliver(label, dataset_id, name, params, base_url=BASE_URL, **options)


def test_link_in_a_notebook_works_tomorrow(world, read_body):
    row = world.links("coadd").rows[0]
    content = read_body(follow(world.files, row["access_url"]))
    world.clock_s[0] += DAY_S
    with pytest.raises(AuthorizationError, match="ended at") as caught:
        follow(world.files, row["access_url"])
    # Who has only the one that has ended is told of the other.
    assert str(caught.value).endswith(f"get a new one from {row['stable_url']}")
    for _ in range(3):
        world.clock_s[0] += 30 * DAY_S
        answer = visit(world.files, row["stable_url"])
        assert (answer.status, answer.headers["Cache-Control"]) == (302, "no-store")
        assert read_body(follow(world.files, answer.headers["Location"])) == content


def test_answer_says_under_which_url_it_stays(world):
    row = world.links("coadd").rows[0]
    answer = follow(world.files, row["access_url"], method="HEAD")
    assert answer.headers["Link"] == f'<{row["stable_url"]}>; rel="bookmark"'


@pytest.mark.parametrize("form", ["{0}", "butler://coadds/{0}", "ivo://org.rubinobs/x?repo=coadds&id={0}"])
def test_all_forms_of_identifiers_lead_there(world, form):
    params = ParamSet.from_pairs([("id", form.format(world.ids["coadd"]))])
    assert "/api/files/coadds/" in world.files.redirect(params, BASE_URL).headers["Location"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("blah", UsageError),
        ("", UsageError),
        ("00000000-0000-4000-8000-000000000000", NotFoundError),
        ("butler://other/00000000-0000-4000-8000-000000000000", NotFoundError),
        ("gone", NotFoundError),
    ],
)
def test_what_leads_nowhere(world, text, error):
    params = ParamSet.from_pairs([("ID", str(world.ids.get(text, text)))])
    with pytest.raises(error):
        world.files.redirect(params, BASE_URL)


def test_no_identifier(world):
    with pytest.raises(UsageError, match="ID"):
        world.files.redirect(ParamSet.from_pairs([]), BASE_URL)


def test_links_document_can_give_it_for_the_other(world):
    files = build(world, urls="stable")
    links = world.build(files=files).links(ParamSet.from_pairs([("ID", str(world.ids["coadd"]))]), BASE_URL)
    cell = f"<TD>{BASE_URL}/api/datalink/file?ID=butler://coadds/{world.ids['coadd']}</TD>"
    assert links.body.decode().count(cell) == 2
    assert b"signature=" not in links.body


def test_url_is_for_the_user_who_visits(world, read_body):
    row = world.links("coadd").rows[0]
    url = visit(world.files, row["stable_url"], user="ada").headers["Location"]
    assert read_body(follow(world.files, url, user="ada")).startswith(b"SIMPLE")
    with pytest.raises(AuthorizationError):
        follow(world.files, url, user="bob")
    with pytest.raises(AuthenticationError):
        follow(world.files, url)


def in_store(world, monkeypatch, uri):
    """Let a dataset be in a store."""
    repository = world.repositories["coadds"]
    uuid = world.ids["coadd"]
    moved = dataclasses.replace(
        repository.datasets([uuid])[uuid], uri=ResourcePath(uri), file_state=FileState.UNCHECKED
    )
    monkeypatch.setattr(type(repository), "datasets", lambda _self, uuids: dict.fromkeys(uuids, moved))
    monkeypatch.setattr(type(world.repositories), "get_dataset", lambda _self, _text: moved)
    return moved


def test_store_that_signs_is_where_it_leads(world, monkeypatch):
    signed = "https://bucket.example.org/a/b.fits?X-Amz-Signature=abcdef"
    moved = in_store(world, monkeypatch, signed)
    stable = world.files.stable_url(moved, BASE_URL)
    assert visit(world.files, stable).headers["Location"] == signed
    # What a store signs is for GET alone, and for everybody.
    assert "/api/files/" in visit(world.files, stable, method="HEAD").headers["Location"]
    own = visit(world.files, stable, user="ada").headers["Location"]
    assert "bound=1" in own
    answer = follow(world.files, own, user="ada")
    assert (answer.status, answer.headers["Location"]) == (302, signed)
    assert answer.headers["Cache-Control"] == "no-store"


def test_store_that_clients_cannot_reach(world, monkeypatch):
    moved = in_store(world, monkeypatch, "https://bucket.example.org/a/b.fits?X-Amz-Signature=abcdef")
    files = build(world, from_stores=False)
    assert files.access_url(moved, BASE_URL).startswith(f"{BASE_URL}/api/files/")
    stable = files.stable_url(moved, BASE_URL)
    assert visit(files, stable).headers["Location"].startswith(f"{BASE_URL}/api/files/")


def test_member_of_a_zip_file_is_delivered(copied_world, tmp_path, read_body):
    # As Butler.ingest_zip records it; its own writer needs formatters.
    root, uuid = tmp_path / "coadds", copied_world.ids["coadd"]
    with Butler.from_config(str(root)) as butler:
        path = Path(butler.getURI(butler.get_dataset(uuid)).ospath)
    content = path.read_bytes()
    with zipfile.ZipFile(path.with_name("many.zip"), "w") as writer:
        writer.writestr("a+b.fits", content)
    with closing(sqlite3.connect(root / "gen3.sqlite3")) as registry, registry:
        registry.execute(
            "UPDATE file_datastore_records SET path = 'run/many.zip#zip-path=a+b.fits' "
            "WHERE path LIKE 'run/coadd%'"
        )
        assert registry.total_changes == 1
    path.unlink()
    row = copied_world.links("coadd").rows[0]
    assert (row["content_length"], row["content_type"]) == (str(len(content)), "application/fits")
    assert urlsplit(row["access_url"]).path.endswith("/a_b.fits")
    assert read_body(follow(copied_world.files, row["access_url"])) == content
    part = follow(copied_world.files, row["access_url"], headers={"range": "bytes=10-19"})
    assert read_body(part) == content[10:20]


def test_raws_that_were_ingested_by_links(world, coadd_repository, tmp_path, read_body):
    # Butler.ingest(transfer="symlink") into a datastore, of files beside it.
    root = tmp_path / "coadds"
    shutil.copytree(coadd_repository[0], root)
    (tmp_path / "raws").mkdir()
    raw = shutil.copy(next(root.glob("run/raw*")), tmp_path / "raws" / "raw.json")
    with Butler.from_config(str(root), run="links") as butler:
        old = butler.get_dataset(world.ids["raw"])
        ref = type(old)(old.datasetType, old.dataId, run="links")
        # One that takes the suffix, whatever the file is.
        formatter = "lsst.daf.butler.formatters.json.JsonFormatter"
        butler.ingest(FileDataset(path=str(raw), refs=[ref], formatter=formatter), transfer="symlink")
        assert os.path.islink(butler.getURI(ref).ospath)  # noqa: PTH114
    for folders, error in (((), AuthorizationError), ((tmp_path / "raws",), None)):
        repositories = Repositories([open_repository(root, link_folders=folders)])
        files = build(world, repositories)
        if error is not None:
            with pytest.raises(
                error, match="link out of the datastore, to no folder that link_folders names"
            ):
                files.access_url(repositories.get_dataset(str(ref.id)), BASE_URL)
        else:
            url = files.access_url(repositories.get_dataset(str(ref.id)), BASE_URL)
            assert read_body(follow(files, url)) == (tmp_path / "raws" / "raw.json").read_bytes()
        repositories.close()


def test_nginx_is_told_of_files_that_it_has_and_by_proxies_alone(world, coadd_repository):
    root = coadd_repository[0]
    files = build(world, hand_over=HandOver({root / "run": "/_run/", root.parent: "/_all"}))
    url = files.access_url(world.repositories.get_dataset(str(world.ids["coadd"])), BASE_URL)
    answer = follow(files, url, is_behind_proxy=True)
    assert answer.headers["X-Accel-Redirect"] == "/_run/coadd%2B%282%29.fits"
    assert (answer.status, answer.body, answer.media_type) == (200, b"", "application/fits")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="coadd_2_.fits"'
    # Who is no proxy would learn where files are, and get nothing.
    direct = follow(files, url, method="HEAD")
    assert "X-Accel-Redirect" not in direct.headers
    elsewhere = build(world, hand_over=HandOver({root / "other": "/_run"}))
    assert "X-Accel-Redirect" not in follow(elsewhere, url, is_behind_proxy=True, method="HEAD").headers
