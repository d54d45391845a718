"""nginx in front, which sends files itself (``X-Accel-Redirect``), and names the user."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from lsst.dax.vo.sample import Sample
from lsst.dax.vo.sample._tour_server import running_server

_PROGRAM = shutil.which("nginx", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
pytestmark = pytest.mark.skipif(_PROGRAM is None, reason="nginx is not installed")

_SETTINGS = """\
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; {user}
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass {service};
      proxy_set_header Host $http_host;
      proxy_set_header X-Auth-Request-User $arg_who;
    }}
    location /_store/ {{ internal; alias {store}/; }}
  }}
}}
"""


@dataclass(frozen=True)
class Front:
    """An address of nginx's, and the folder of what it can send."""

    url: str
    store: Path
    folder: Path

    def signed(self, image_id: str, **params: str) -> str:
        answer = requests.get(f"{self.url}/api/datalink/links", params={"ID": image_id, **params}, timeout=60)
        found = re.search(r"<TD>(http[^<]*/api/files/[^<]*)</TD>", answer.text)
        assert found is not None, answer.text
        return found[1].replace("&amp;", "&")


@pytest.fixture(scope="module")
def front(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    assert _PROGRAM is not None
    folder, store = tmp_path_factory.mktemp("nginx"), sample.repositories["sample"]
    arguments = [str(store), "--store", str(sample.store("sample"))]
    environment = {
        "DAX_VO_TRUSTED_PROXIES": "[127.0.0.1]",
        "DAX_VO_DELIVERY": f"{{user_header: X-Auth-Request-User, nginx: {{'{store}': /_store}}}}",
    }
    with (
        running_server(arguments, log=folder / "server.log", environment=environment) as service,
        socket.create_server(("127.0.0.1", 0)) as free,
    ):
        port = free.getsockname()[1]
        free.close()
        settings = folder / "nginx.conf"
        user = "user root;" if os.getuid() == 0 else ""
        settings.write_text(
            _SETTINGS.format(folder=folder, port=port, service=service.base_url, store=store, user=user)
        )
        with subprocess.Popen([_PROGRAM, "-c", settings, "-e", folder / "nginx.log"]) as process:
            try:
                _wait_for(port)
                yield Front(f"http://127.0.0.1:{port}", store, folder)
            finally:
                process.terminate()


def _wait_for(port: int) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module")
def url(front: Front, image_id: str) -> str:
    return front.signed(image_id)


@pytest.fixture(scope="module")
def content(base_url: str, image_id: str) -> bytes:
    # As the service sends it without nginx.
    stable = f"{base_url}/api/datalink/file"
    return requests.get(stable, params={"ID": image_id}, timeout=60).content


def test_file_is_sent_by_nginx(url: str, content: bytes) -> None:
    answer = requests.get(url, timeout=60)
    assert (answer.status_code, answer.content == content) == (200, True)
    assert answer.headers["Server"].startswith("nginx/")
    assert answer.headers["Content-Type"] == "application/fits"
    assert answer.headers["Content-Length"] == str(len(content))
    assert re.fullmatch(
        r'attachment; filename="[A-Za-z0-9._-]+\.fits"', answer.headers["Content-Disposition"]
    )
    assert answer.headers["Cache-Control"].startswith("private, max-age=")
    # Where the file is on the disk is nobody's business.
    assert "X-Accel-Redirect" not in answer.headers


def test_ranges_and_conditions_are_those_of_nginx(url: str, content: bytes) -> None:
    part = requests.get(url, headers={"Range": "bytes=100-299"}, timeout=60)
    assert (part.status_code, part.content) == (206, content[100:300])
    assert part.headers["Content-Range"] == f"bytes 100-299/{len(content)}"
    again = requests.get(url, headers={"If-None-Match": part.headers["ETag"]}, timeout=60)
    assert (again.status_code, again.content) == (304, b"")
    head = requests.head(url, timeout=60)
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(content)))


def test_nobody_comes_to_the_store_by_another_way(front: Front, url: str) -> None:
    assert requests.get(f"{front.url}/_store/butler.yaml", timeout=60).status_code == 404
    refused = requests.get(url.replace("signature=", "signature=A"), timeout=60)
    assert (refused.status_code, refused.text.startswith("AuthorizationError: ")) == (403, True)


def test_stable_url_leads_there_too(front: Front, image_id: str, content: bytes) -> None:
    answer = requests.get(f"{front.url}/api/datalink/file", params={"ID": image_id}, timeout=60)
    assert (answer.status_code, answer.content == content) == (200, True)
    assert urlsplit(answer.url).path.startswith("/api/files/")


def test_url_of_a_user_is_followed_by_that_user_alone(front: Front, image_id: str) -> None:
    url = front.signed(image_id, who="ada")
    assert "&bound=1&" in url
    statuses = [requests.get(url + who, timeout=60).status_code for who in ("&who=ada", "&who=bob", "")]
    assert statuses == [200, 403, 401]
    # A header of the sender's own is replaced by the proxy's.
    forged = requests.get(f"{url}&who=bob", headers={"X-Auth-Request-User": "ada"}, timeout=60)
    assert forged.status_code == 403


def test_log_says_who_was_refused_and_no_signature(front: Front, url: str) -> None:
    for secret in ("A" * 43, url.partition("signature=")[2][:-1]):
        requests.get(f"{url.partition('signature=')[0]}signature={secret}", timeout=60)
    log = (front.folder / "server.log").read_text()
    assert re.search(r"Refused GET /api/files/sample/\S+ to 127\.0\.0\.1: The signature of this URL", log)
    assert "signature=" not in log
    assert url.partition("signature=")[2][:20] not in log
