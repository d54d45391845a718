"""The same datasets in each kind of store, behind one service: links, bytes and cutouts are the same."""

import csv
import io
import re
import time
from uuid import UUID

import astropy.io.votable
import numpy as np
import pytest
import requests
from astropy.io import fits

LABELS = ("posix", "postgres", "s3", "webdav", "web", "remote")


@pytest.fixture(params=LABELS)
def label(stored, request):
    if request.param not in stored.labels:
        pytest.skip("PostgreSQL is not installed")
    return request.param


def links(stored, label, uuids):
    """Return the rows of a links document, by dataset."""
    ids = [f"butler://{label}/{uuid}" for uuid in uuids]
    for _ in range(10):
        answer = requests.post(
            f"{stored.url}/api/datalink/links", data=[("ID", text) for text in ids], timeout=60
        )
        assert answer.status_code == 200
        if "Retry-After" not in answer.headers:
            break
        # What files say of their inputs is read within a time: the rest when asked again.
        time.sleep(0.5)
    table = astropy.io.votable.parse_single_table(io.BytesIO(answer.content)).to_table()
    found = {uuid: [] for uuid in uuids}
    for row in table:
        cells = {name: None if np.ma.is_masked(row[name]) else row[name] for name in table.colnames}
        found[UUID(cells.pop("ID")[-36:])].append(cells)
    return found


def this_of(rows):
    (row,) = [row for row in rows if row["semantics"] == "#this"]
    assert not row["error_message"], row
    return row


def test_this_is_the_file_byte_for_byte(stored, label):
    found = links(stored, label, stored.contents)
    for uuid, content in stored.contents.items():
        row = this_of(found[uuid])
        answer = requests.get(row["access_url"], timeout=60)
        assert (answer.status_code, answer.content) == (200, content)
        assert row["content_length"] == len(content)
        if stored.types[uuid] != "visit_summary":
            assert content.startswith(b"SIMPLE")
            assert row["content_type"] == "application/fits"
        part = requests.get(row["access_url"], headers={"Range": "bytes=2880-5759"}, timeout=60)
        assert (part.status_code, part.content) == (206, content[2880:5760])


def without_places(label, rows):
    """Return rows without what has to be different: labels, stores and signatures."""

    def neutral(value):
        if not isinstance(value, str):
            return value
        if re.match(r"http://[^?]*/(images/repo|api/files)/", value):
            # The name of a file.
            return value.partition("?")[0].rpartition("/")[2]
        return re.sub(r"\?(expires|AWSAccessKeyId)=.*", "", value).replace(label, "x")

    return [{name: neutral(cell) for name, cell in row.items()} for row in rows]


def test_links_are_those_of_the_direct_repository(stored, label):
    ours, wanted = (links(stored, name, stored.contents) for name in (label, "posix"))
    for uuid in stored.contents:
        assert without_places(label, ours[uuid]) == without_places("posix", wanted[uuid])


def test_rows_are_those_of_the_direct_repository(stored, label):
    """Those of a Butler server are made by the reader on the public API."""
    ours, wanted = (table(stored, name) for name in (label, "posix"))
    assert len(ours) == len(stored.contents) - 1
    assert ours == wanted


def table(stored, label):
    where = f"obs_publisher_did LIKE '%repo={label}&%'"
    query = f"SELECT * FROM ivoa.ObsCore WHERE {where} ORDER BY obs_publisher_did"
    answer = requests.post(
        f"{stored.url}/api/tap/sync",
        data={"LANG": "ADQL", "RESPONSEFORMAT": "csv", "QUERY": query},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    rows = csv.DictReader(io.StringIO(answer.text))
    return [{name: cell.replace(label, "x") for name, cell in row.items()} for row in rows]


@pytest.mark.parametrize(("dataset_type", "detail"), [("visit_image", "Exposure"), ("deep_coadd", "Image")])
def test_cutouts_are_those_of_the_direct_repository(stored, label, dataset_type, detail):
    uuid = stored.ids(dataset_type)[0]
    ours, wanted = (cut(stored, f"butler://{name}/{uuid}", detail) for name in (label, "posix"))
    with fits.open(io.BytesIO(ours)) as our_hdus, fits.open(io.BytesIO(wanted)) as wanted_hdus:
        difference = fits.FITSDiff(our_hdus, wanted_hdus, ignore_keywords=["DATE-CUT", "DATE", "CHECKSUM"])
        assert difference.identical, difference.report()


def cut(stored, identifier, detail):
    answer = requests.post(
        f"{stored.url}/api/cutout/sync",
        data={"ID": identifier, "CIRCLE": circle_of(stored, identifier), "CUTOUTDETAIL": detail},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return answer.content


def circle_of(stored, identifier):
    did = f"%repo=posix&id={identifier[-36:]}"
    query = f"SELECT s_ra, s_dec FROM ivoa.ObsCore WHERE obs_publisher_did LIKE '{did}'"
    answer = requests.get(
        f"{stored.url}/api/tap/sync",
        params={"LANG": "ADQL", "RESPONSEFORMAT": "csv", "QUERY": query},
        timeout=60,
    )
    ra, dec = answer.text.split()[1].split(",")
    return f"{ra} {dec} 0.002"


def test_copies_of_a_dataset_lead_to_their_own_files(stored):
    """Two repositories have the dataset: each link is into the one that was named."""
    (uuid,) = stored.ids("visit_summary")
    ids = [f"butler://{label}/{uuid}" for label in stored.labels]
    answer = requests.post(
        f"{stored.url}/api/datalink/links", data=[("ID", text) for text in ids], timeout=60
    )
    rows = astropy.io.votable.parse_single_table(io.BytesIO(answer.content)).to_table()
    urls = {str(row["ID"]): str(row["access_url"]) for row in rows if row["semantics"] == "#this"}
    assert list(urls) == ids
    for label in stored.labels:
        url = urls[f"butler://{label}/{uuid}"]
        assert (f"/api/files/{label}/" in url) or (label == "s3" and url.startswith(stored.s3.url)), url


def test_many_datasets_of_a_butler_server_cost_few_requests(stored):
    known = list(stored.contents)
    unknown = [UUID(int=number) for number in range(1, 1000)]
    ids = [("ID", f"butler://remote/{uuid}") for uuid in [*known, *unknown]]
    counts = [stored.butler.count_requests()]
    for _ in range(3):
        answer = requests.post(f"{stored.url}/api/datalink/links", data=ids, timeout=60)
        assert answer.text.count("no such dataset") == len(unknown)
        counts.append(stored.butler.count_requests())
    # At first, each file that there is is looked for, and read for what it was made from.
    assert counts[1] - counts[0] < 10 * len(known)
    assert counts[3] - counts[2] < 20, counts


def test_store_that_does_not_answer_concerns_its_own_rows_alone(stored):
    uuids = [*stored.ids("raw"), *stored.ids("visit_image")]
    ids = [
        f"butler://{label}/{uuid}"
        for label, uuid in zip(("posix", "s3", "s3", "webdav"), uuids, strict=False)
    ]
    url, data = f"{stored.url}/api/datalink/links", [("ID", text) for text in ids]
    stored.s3.stop()
    try:
        # It is asked again some seconds after it was heard.
        answer = wait_for(lambda: requests.post(url, data=data, timeout=60), "Retry-After", is_there=True)
        again = requests.post(url, data=data, timeout=60)
    finally:
        stored.s3.start()
    for found in (answer, again):
        assert found.status_code == 200
        assert 0 < int(found.headers["Retry-After"]) <= 60
        rows = astropy.io.votable.parse_single_table(io.BytesIO(found.content)).to_table()
        errors = {str(row["ID"]): str(row["error_message"]) for row in rows if row["semantics"] == "#this"}
        assert list(errors) == ids
        for text in ids:
            if "s3" in text:
                assert errors[text].startswith("TransientFault: "), errors
            else:
                assert errors[text] == ""
    answer = wait_for(lambda: requests.post(url, data=data, timeout=60), "Retry-After", is_there=False)
    assert b"TransientFault" not in answer.content


def wait_for(ask, header, *, is_there):
    for _ in range(60):
        answer = ask()
        if (header in answer.headers) is is_there:
            return answer
        time.sleep(0.5)
    pytest.fail(f"{header} should {'' if is_there else 'not '}be in {answer.headers}")
