"""How long the property tests search, a database for tests that need one, and the IVOA's schemas."""

import os
import zipfile
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import settings
from lxml import etree

from lsst.dax.vo.testing import NoServerError, PostgresServer, running_postgres

# "fast" is for every run; "thorough", for 'bin/dax-vo test all', finds rarer
# cases.  Machines of continuous integration are slow and shared: no deadline.
settings.register_profile("fast", max_examples=60, deadline=None)
settings.register_profile("thorough", max_examples=400, deadline=None)
settings.load_profile(os.environ.get("DAX_VO_HYPOTHESIS", "fast"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Run PostgreSQL with pgSphere; tests are skipped where it is not installed."""
    try:
        with running_postgres() as server:
            yield server
    except NoServerError as err:
        pytest.skip(str(err))


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """Return the URL of an empty database with pgSphere, for one test."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(scope="module")
def postgres_module(postgres_server: PostgresServer) -> Iterator[str]:
    """Return the URL of an empty database with pgSphere, for the tests of a module."""
    with postgres_server.database() as url:
        yield url


_IVOA = "http://www.ivoa.net/xml"
# Of each namespace the schema that holds today; STILTS comes with all but VOTable's.
_SCHEMAS = {
    f"{_IVOA}/UWS/v1.0": "UWS-v1.1.xsd",
    f"{_IVOA}/VOSIAvailability/v1.0": "VOSIAvailability-v1.0.xsd",
    f"{_IVOA}/VOSICapabilities/v1.0": "VOSICapabilities-v1.0.xsd",
    f"{_IVOA}/VOSITables/v1.0": "VOSITables-v1.1.xsd",
    f"{_IVOA}/VOResource/v1.0": "VOResource-v1.1.xsd",
    f"{_IVOA}/VODataService/v1.1": "VODataService-v1.1.xsd",
    f"{_IVOA}/TAPRegExt/v1.0": "TAPRegExt-v1.0-Erratum1.xsd",
    f"{_IVOA}/STC/stc-v1.30.xsd": "stc-v1.30.xsd",
    "http://www.w3.org/1999/xlink": "xlink.xsd",
    "http://www.w3.org/XML/1998/namespace": "xmlnamespace.xsd",
}
_STILTS = Path("/usr/share/java/starlink-ttools.jar")
_XS = "http://www.w3.org/2001/XMLSchema"


@pytest.fixture(scope="session")
def ivoa_schemas(tmp_path_factory: pytest.TempPathFactory) -> etree.XMLSchema:
    """Return the schemas of VOSI, UWS, TAPRegExt and what they are made of."""
    if not _STILTS.exists():
        pytest.skip("stilts is not installed (Debian package 'stilts'), which has the IVOA's schemas")
    folder = tmp_path_factory.mktemp("schemas")
    with zipfile.ZipFile(_STILTS) as archive:
        for name in archive.namelist():
            if Path(name).name in _SCHEMAS.values():
                schema = etree.fromstring(archive.read(name))
                for needed in schema.iter(f"{{{_XS}}}import"):
                    # Nothing is fetched.
                    needed.set("schemaLocation", _SCHEMAS[needed.get("namespace")])
                (folder / Path(name).name).write_bytes(etree.tostring(schema))
    imports = "".join(
        f'<xs:import namespace="{space}" schemaLocation="{name}"/>' for space, name in _SCHEMAS.items()
    )
    whole = folder / "all.xsd"
    whole.write_text(f'<xs:schema xmlns:xs="{_XS}">{imports}</xs:schema>')
    return etree.XMLSchema(etree.parse(str(whole)))


@pytest.fixture(scope="session")
def votable_schema() -> etree.XMLSchema:
    """Return the schema of VOTable 1.4."""
    with resources.as_file(resources.files("astropy.io.votable") / "data" / "VOTable.v1.4.xsd") as path:
        return etree.XMLSchema(etree.parse(str(path)))


@pytest.fixture(scope="session")
def xsd_errors(
    request: pytest.FixtureRequest, votable_schema: etree.XMLSchema
) -> Callable[[bytes, str], str]:
    """Validate an XML document, whose root is known, against the schemas of the IVOA."""

    def check(content: bytes, root: str) -> str:
        document = etree.fromstring(content, etree.XMLParser(no_network=True, resolve_entities=False))
        if document.tag != root:
            return f"The root is {document.tag}"
        is_votable = root.endswith("}VOTABLE")
        schema = votable_schema if is_votable else request.getfixturevalue("ivoa_schemas")
        schema.validate(document)
        return "\n".join(f"line {error.line}: {error.message}" for error in schema.error_log)

    return check
