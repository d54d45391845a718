"""STILTS' validators against the running server; they are the clients' own code."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from lsst.dax.vo.sample._tour_server import running_server

# All of them but LOC, which is about tables of another standard, ObsLocTAP.
STAGES = "TMV TME TMS TMC CPV CAP AVV QGE QPO QAS UWS MDQ OBS UPL EXA"

WAIVED = {
    # TAPRegExt's feature names in lower case, as pyvo and the newer text of
    # the standard write them; STILTS 3.4.7 knows the older spelling alone.
    "W-CAP-CULF": 'Custom feature type "ivo://ivoa.net/std/tapregext#features-',
}
"""Reports that stay, each with its reason."""

UNKNOWN_TO_STILTS = {
    # DataLink 1.1 has four columns more than the list of STILTS 3.4.7.
    "content_qualifier",
    "local_semantics",
    "link_auth",
    "link_authorized",
}


@pytest.fixture(scope="module")
def stilts() -> str:
    found = shutil.which("stilts")
    if found is None:
        pytest.skip("stilts is not installed (Debian package 'stilts')")
    return found


def reports(stilts: str, *arguments: str) -> list[str]:
    """Return the errors, warnings and failures that a validator reports."""
    done = subprocess.run([stilts, *arguments], capture_output=True, text=True, check=False, timeout=240)
    lines = (done.stdout + done.stderr).splitlines()
    assert any(line.startswith("Totals: ") for line in lines), done.stdout + done.stderr
    return [line for line in lines if re.match(r"[EWF]-\w+-\w+-", line)]


def test_taplint_finds_nothing(stilts: str, base_url: str) -> None:
    found = reports(
        stilts, "taplint", f"tapurl={base_url}/api/tap", f"stages={STAGES}", "report=EWF", "maxrepeat=999"
    )
    left = [
        line
        for line in found
        if not any(line.startswith(code) and text in line for code, text in WAIVED.items())
    ]
    assert left == []
    # A waiver that nothing needs any more is to be taken out.
    assert {code for code in WAIVED if not any(line.startswith(code) for line in found)} == set()


def test_taplint_finds_no_error_in_a_service_that_is_not_configured(
    stilts: str, sample_arguments: list[str], tmp_path: Path
) -> None:
    # It fetches from no host, and yet takes URLs: those of results of jobs.
    with running_server(sample_arguments, log=tmp_path / "server.log") as server:
        found = reports(
            stilts, "taplint", f"tapurl={server.base_url}/api/tap", "stages=CPV CAP UPL", "report=EWF"
        )
    assert [line for line in found if not line.startswith(tuple(WAIVED))] == []


@pytest.mark.parametrize("kind", ["one", "two", "unknown", "none"])
def test_datalinklint_finds_nothing(stilts: str, base_url: str, image_id: str, kind: str) -> None:
    ids = {"one": [image_id], "two": [image_id, image_id[-36:]], "unknown": ["no"], "none": []}[kind]
    request = requests.Request("GET", f"{base_url}/api/datalink/links", params=[("ID", text) for text in ids])
    url = request.prepare().url
    assert url is not None
    found = reports(stilts, "datalinklint", f"votable={url}", "report=EF")
    assert [line for line in found if not any(name in line for name in UNKNOWN_TO_STILTS)] == []
