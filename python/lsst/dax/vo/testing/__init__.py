"""Contract suites and other test support; imported by tests only."""

from ._adql_cases import ADQL_QUERIES, ADQL_ROWS, ADQL_VALUES, ADQL_WHERE, adql_region
from ._adql_features import ADQL_FEATURES
from ._cut_image import CutImageTests
from ._cutout_backend import CutoutBackendTests, CutoutSample
from ._cutout_files import IMAGE_SHAPE, IMAGE_XY0, make_image_header, make_image_planes, write_afw_file
from ._postgres import NoServerError, PostgresServer, running_postgres
from ._range_server import RangeServer
from ._reader import ReaderTests, assert_falls_back
from ._repositories import copy_repository, ingest_in_place
from .engines._case import ENGINE_COLUMNS, engine_rows, write_engine_store
from .engines._contract import EngineTests
from .servers import (
    ButlerServer,
    S3Server,
    WebDavServer,
    client_environment,
    running_butler_server,
    running_s3,
    running_webdav,
)
from .stores._contract import StoreTests
from .stores._rows import STORE_COLUMNS, make_store_rows, update_store, write_store

__all__ = [
    "ADQL_FEATURES",
    "ADQL_QUERIES",
    "ADQL_ROWS",
    "ADQL_VALUES",
    "ADQL_WHERE",
    "ENGINE_COLUMNS",
    "IMAGE_SHAPE",
    "IMAGE_XY0",
    "STORE_COLUMNS",
    "ButlerServer",
    "CutImageTests",
    "CutoutBackendTests",
    "CutoutSample",
    "EngineTests",
    "NoServerError",
    "PostgresServer",
    "RangeServer",
    "ReaderTests",
    "S3Server",
    "StoreTests",
    "WebDavServer",
    "adql_region",
    "assert_falls_back",
    "client_environment",
    "copy_repository",
    "engine_rows",
    "ingest_in_place",
    "make_image_header",
    "make_image_planes",
    "make_store_rows",
    "running_butler_server",
    "running_postgres",
    "running_s3",
    "running_webdav",
    "update_store",
    "write_afw_file",
    "write_engine_store",
    "write_store",
]
