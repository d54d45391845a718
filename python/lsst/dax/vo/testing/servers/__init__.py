"""Real servers of each kind of store, and of the Butler, on this machine."""

from ._butler import ButlerServer, running_butler_server
from ._environment import client_environment
from ._s3 import S3Server, running_s3
from ._webdav import WebDavServer, running_webdav

__all__ = [
    "ButlerServer",
    "S3Server",
    "WebDavServer",
    "client_environment",
    "running_butler_server",
    "running_s3",
    "running_webdav",
]
