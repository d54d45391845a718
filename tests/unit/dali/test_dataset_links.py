"""Tables of datasets: pyvo follows their links, whatever form they have."""

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pytest
import pyvo
from astropy.io import votable

from lsst.dax.vo.dali import (
    Column,
    DataOrigin,
    ParamSet,
    ResultTable,
    link_datasets,
    parse_format,
    write_table,
    write_votable,
)

DIDS = ["ivo://example.org/x?repo=a&id=1", "ivo://example.org/x?repo=a&id=2"]
COLUMNS = (
    Column("s_ra", "double", unit="deg", ucd="pos.eq.ra", ref="icrs"),
    Column("t_min", "double", unit="d", ucd="time.start;obs.exposure", ref="utc"),
    Column(
        "obs_publisher_did",
        "char",
        arraysize="*",
        ucd="meta.ref.ivoid",
        utype="obscore:Curation.PublisherDID",
    ),
)
LINKS = (
    Column("ID", "char", arraysize="*", ucd="meta.id;meta.main"),
    Column("access_url", "char", arraysize="*", ucd="meta.ref.url"),
    Column("semantics", "char", arraysize="*", ucd="meta.code"),
)


class _Links(BaseHTTPRequestHandler):
    """Answers ``links`` with one row for each ID that it is asked about."""

    def _answer(self, asked: str) -> None:
        ids = parse_qs(asked).get("ID", [])
        batch = pa.record_batch(
            [
                pa.array(ids),
                pa.array([f"http://file/{did[-1]}" for did in ids]),
                pa.array(["#this"] * len(ids)),
            ],
            names=[column.name for column in LINKS],
        )
        body = b"".join(write_votable(ResultTable(LINKS, iter([batch]))))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-votable+xml;content=datalink")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def base_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Links) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["votable", "votable/b", "votable/b2"])
def test_pyvo_iterates_over_the_links_of_rows(base_url: str, name: str) -> None:
    batch = pa.record_batch(
        [pa.array([1.0, None]), pa.array([60000.0, None]), pa.array(DIDS)],
        names=[column.name for column in COLUMNS],
    )
    columns, descriptors = link_datasets(COLUMNS, base_url)
    answer = parse_format(ParamSet.from_pairs([("RESPONSEFORMAT", name)]))
    document = b"".join(write_table(ResultTable(columns, iter([batch])), answer, descriptors=descriptors))
    results = pyvo.dal.TAPResults(votable.parse(io.BytesIO(document), verify="exception"))
    found = [link.getrecord(0).access_url for link in results.iter_datalinks()]
    assert found == ["http://file/1", "http://file/2"]
    table = results.resultstable
    (coordinates,) = results.votable.resources[0].coordinate_systems
    (times,) = results.votable.resources[0].time_systems
    assert (coordinates.ID, coordinates.system) == (table.get_field_by_id_or_name("s_ra").ref, "ICRS")
    assert (times.ID, times.timescale) == (table.get_field_by_id_or_name("t_min").ref, "UTC")


def test_origin_tells_of_the_service_and_of_the_data() -> None:
    origin = DataOrigin(
        publisher="Somebody",
        service_ivoid="ivo://example.org/tap",
        datasets={"a": (("creator", "A. Nobody"),), "b": (("creator", "B. Nobody"),)},
    )
    infos = origin.to_infos(
        service_protocol="ivo://ivoa.net/std/TAP", query="SELECT 1", time_s=0, labels=["a"]
    )
    assert [(info.name, info.value) for info in infos] == [
        ("publisher", "Somebody"),
        ("service_protocol", "ivo://ivoa.net/std/TAP"),
        ("service_ivoid", "ivo://example.org/tap"),
        ("query", "SELECT 1"),
        ("request_date", "1970-01-01T00:00:00"),
        ("creator", "A. Nobody"),
    ]
