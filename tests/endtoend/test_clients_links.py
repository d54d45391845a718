"""The conveniences of clients that follow links: pyvo, lsst.rsp, astropy by ranges."""

import contextlib
import gc
import io
import json
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit
from uuid import UUID

import lsst.rsp
import numpy as np
import pytest
import pyvo
import requests
from astropy import units as u
from astropy.io import fits
from lsst.daf.butler import Butler
from pyvo.dal.adhoc import DatalinkRecord, DatalinkResults, SodaQuery
from pyvo.utils import vocabularies

from lsst.dax.vo.sample import Sample

# pyvo (1.9) streams documents and closes none of them.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

# DataLink's core vocabulary: each term and those that are narrower.
VOCABULARY = {
    "this": [],
    "progenitor": [],
    "derivation": [],
    "auxiliary": ["weight", "error", "noise"],
    "calibration": ["bias", "dark", "flat"],
    "preview": ["preview-image", "preview-plot", "thumbnail"],
    "proc": ["cutout"],
    "documentation": ["detached-header"],
    "coderived": [],
    "counterpart": [],
    "package": [],
}
TERMS = {*VOCABULARY, *(term for narrower in VOCABULARY.values() for term in narrower)}


@pytest.fixture
def vocabulary(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the IVOA's vocabulary from this machine, in the form (desise) that pyvo fetches."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            terms = {term: {"narrower": VOCABULARY.get(term, [])} for term in TERMS}
            body = json.dumps({"uri": "http://www.ivoa.net/rdf/datalink/core", "terms": terms}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setattr(
            vocabularies, "IVOA_VOCABULARY_ROOT", f"http://127.0.0.1:{server.server_address[1]}/rdf/"
        )
        vocabularies.get_vocabulary.cache_clear()
        yield
        vocabularies.get_vocabulary.cache_clear()
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def rows(base_url: str, place: tuple[float, float]) -> pyvo.dal.SIA2Results:
    service = pyvo.dal.SIA2Service(f"{base_url}/api/sia")
    pos = (place[0] * u.deg, place[1] * u.deg, 1e-5 * u.deg)
    return service.search(pos=pos, dpsubtype="lsst.deep_coadd", maxrec=8)


@pytest.fixture(scope="module")
def links(rows: pyvo.dal.SIA2Results) -> DatalinkResults:
    return rows[0].getdatalink()


def test_iter_datalinks_in_batches(rows: pyvo.dal.SIA2Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """All identifiers go in one request, and each document knows the row that it belongs to."""
    sent = []
    post = requests.Session.post

    def note(self: requests.Session, url: str, *args: object, **kwargs: object) -> requests.Response:
        sent.append(url)
        return post(self, url, *args, **kwargs)

    monkeypatch.setattr(requests.Session, "post", note)
    found = list(rows.iter_datalinks())
    assert len(sent) == 1
    assert len(found) == len(rows) > 2
    by_id = {str(row["obs_publisher_did"]): row for row in rows}
    for document in found:
        identifiers = {record.id for record in document}
        assert len(identifiers) == 1
        assert document.original_row["obs_publisher_did"] == identifiers.pop()
        assert document.original_row.access_url == by_id[document[0].id].access_url
        this = list(document.bysemantics("#this", include_narrower=False))
        assert len(this) == 1


def test_documents_of_a_batch_describe_their_own_cutouts(
    rows: pyvo.dal.SIA2Results, place: tuple[float, float]
) -> None:
    for document in list(rows.iter_datalinks())[:3]:
        record = document.get_first_proc()
        query = SodaQuery.from_resource(record, document.get_adhocservice_by_id(record.service_def))
        assert query["ID"] == record.id
        query.circle = (place[0] * u.deg, place[1] * u.deg, 0.001 * u.deg)
        with query.execute_stream() as stream:
            assert stream.read(6) == b"SIMPLE"


@pytest.mark.usefixtures("vocabulary")
def test_bysemantics_knows_narrower_terms(links: DatalinkResults) -> None:
    procs = list(links.bysemantics("#proc"))
    assert [record.semantics for record in procs] == ["#cutout"]
    assert len(list(links.bysemantics("http://www.ivoa.net/rdf/datalink/core#this"))) == 1
    terms = {record.semantics for record in links if record.semantics.startswith("#")}
    assert {term.removeprefix("#") for term in terms} <= TERMS
    # Other terms are compared as they are.
    other = "https://rsp.lsst.io/guides/api/soda.html#MaskedImage"
    assert [record.service_def for record in links.bysemantics(other)] == ["cutout-sync-maskedimage"]


@pytest.mark.usefixtures("vocabulary")
def test_getdataset_gives_the_file(rows: pyvo.dal.SIA2Results, links: DatalinkResults) -> None:
    size = next(links.bysemantics("#this")).content_length
    for ask in (links.getdataset, rows[0].getdataset):
        stream = ask()
        content = stream.read()
        assert (content[:6], len(content)) == (b"SIMPLE", size)
        stream.close()


def test_first_proc_can_be_processed(links: DatalinkResults, place: tuple[float, float]) -> None:
    proc = links.get_first_proc()
    assert (proc.semantics, proc.service_def) == ("#cutout", "cutout-sync")
    assert urlsplit(proc.access_url).path == "/api/cutout/sync"
    assert {param.name for param in proc.input_params} >= {"ID", "CIRCLE", "POLYGON", "POS", "CUTOUTDETAIL"}
    stream = proc.process(circle=[place[0], place[1], 0.001] * u.deg)
    assert stream.read(6) == b"SIMPLE"
    stream.close()


@pytest.mark.parametrize("kind", ["row of SIAv2", "row of links"])
def test_processed(
    rows: pyvo.dal.SIA2Results, links: DatalinkResults, place: tuple[float, float], kind: str
) -> None:
    record = rows[0] if kind == "row of SIAv2" else links.get_first_proc()
    circle = (place[0] * u.deg, place[1] * u.deg, 0.001 * u.deg)
    stream = record.processed(circle=circle)
    content = stream.read()
    stream.close()
    with fits.open(io.BytesIO(content)) as hdus:
        shape = next(hdu.shape for hdu in hdus if hdu.is_image and hdu.header.get("NAXIS") == 2)
    assert 10 < shape[0] < 100


def test_soda_query_has_all_that_pyvo_sends(links: DatalinkResults, place: tuple[float, float]) -> None:
    ra, dec = place
    step = 0.0005
    resource = links.get_adhocservice_by_ivoid("ivo://ivoa.net/std/SODA#sync-1")
    band = next(
        (param.values.min, param.values.max)
        for group in resource.groups
        for param in group.entries
        if param.name == "BAND"
    )
    sizes = {}
    for name, value in {
        "circle": (ra * u.deg, dec * u.deg, step * u.deg),
        "range": (ra * u.deg, (ra + step) * u.deg, dec * u.deg, (dec + step) * u.deg),
        "polygon": np.array([ra, dec, ra + step, dec, ra, dec + step]) * u.deg,
    }.items():
        query = SodaQuery.from_resource(links, resource)
        setattr(query, name, value)
        query.band = (float(band[0]) * u.m, float(band[1]) * u.m)
        with query.execute_stream() as stream:
            content = stream.read()
        assert content[:6] == b"SIMPLE"
        sizes[name] = len(content)
    assert len(sizes) == 3


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    # What is not closed is found here, not in the tests of others.
    gc.collect()


@pytest.fixture
def platform(base_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Point lsst.rsp at this server."""
    for name in [name for name in os.environ if name.startswith("EXTERNAL_") or name.endswith("_ROUTE")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EXTERNAL_INSTANCE_URL", f"{base_url}/")
    monkeypatch.setenv("RSP_SITE_TYPE", "science")
    return base_url


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize("token", [None, "of-nobody"])
def test_rsp_datalink_result(
    place: tuple[float, float], monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    """With a token as well as without: what we do not ask for does no harm."""
    monkeypatch.delenv("ACCESS_TOKEN", raising=False)
    if token is not None:
        monkeypatch.setenv("ACCESS_TOKEN", token)
    rows = lsst.rsp.get_siav2_service("sample").search(
        pos=(place[0] * u.deg, place[1] * u.deg, 1e-5 * u.deg), dpsubtype="lsst.deep_coadd"
    )
    links = lsst.rsp.get_datalink_result(rows[0])
    this: DatalinkRecord = links[0]
    assert this.semantics == "#this"
    assert requests.get(this.access_url, timeout=60).content[:6] == b"SIMPLE"
    query = SodaQuery.from_resource(
        links, links.get_adhocservice_by_id("cutout-sync"), session=links._session
    )
    query.circle = (place[0] * u.deg, place[1] * u.deg, 0.001 * u.deg)
    with query.execute_stream() as stream:
        assert stream.read(6) == b"SIMPLE"


@pytest.mark.usefixtures("platform")
def test_rsp_retrieves_a_query() -> None:
    service = lsst.rsp.get_tap_service("tap")
    job = service.submit_job("SELECT TOP 3 obs_id FROM ivoa.ObsCore")
    job.run().wait(timeout=60)
    again = lsst.rsp.retrieve_query(job.url)
    assert again.phase == "COMPLETED"
    assert len(again.fetch_result()) == 3
    again.delete()


def test_rsp_discovers_all(platform: str) -> None:
    discovery = lsst.rsp.RSPDiscovery("sample", discovery_url=platform, token="of-nobody")
    rows = discovery.get_sia_client().search(calib_level=3, maxrec=2)
    assert len(rows) == 2
    for document in rows.iter_datalinks():
        assert [record.semantics for record in document.bysemantics("#this", include_narrower=False)] == [
            "#this"
        ]


class Relay:
    """Passes bytes to and from a server, and counts those that come back."""

    def __init__(self, port: int) -> None:
        self.received = 0
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._port))
            for source, target, counts in ((client, server, False), (server, client, True)):
                thread = threading.Thread(target=self._pass, args=(source, target, counts))
                thread.start()
                self._threads.append(thread)

    def _pass(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        with source, contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.received += len(data) if counts else 0
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def relay(base_url: str) -> Iterator[Relay]:
    relay = Relay(int(base_url.rpartition(":")[2]))
    yield relay
    relay.close()


def test_astropy_reads_a_section_by_ranges(links: DatalinkResults, sample: Sample, relay: Relay) -> None:
    """Of the file behind a signed URL, only what is needed is sent."""
    this = links[0]
    assert this.semantics == "#this"
    with Butler.from_config(str(sample.repositories["sample"])) as butler:
        ref = butler.get_dataset(UUID(this.id[-36:]))
        assert ref is not None
        path = butler.getURI(ref).ospath
    with fits.open(path) as whole:
        index = next(i for i, hdu in enumerate(whole) if hdu.is_image and hdu.header.get("NAXIS") == 2)
        wanted = np.array(whole[index].section[10:20, 30:50])
    url = urlsplit(this.access_url)._replace(netloc=f"127.0.0.1:{relay.port}").geturl()
    # fsspec reads 5 MB at once unless it is told otherwise.
    options = {"block_size": 5760, "cache_type": "readahead"}
    with fits.open(url, use_fsspec=True, fsspec_kwargs=options) as hdus:
        np.testing.assert_array_equal(hdus[index].section[10:20, 30:50], wanted)
    assert wanted.nbytes < relay.received < this.content_length / 4
