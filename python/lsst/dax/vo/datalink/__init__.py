"""DataLink: from an identifier to files and services, and file delivery."""

from ._descriptors import describe_cutouts
from ._files import DirectFiles, FileService
from ._links import DATALINK_MEDIA_TYPE, LinksService
from ._results import ResultService
from ._signing import HmacKey, Signer, sign_path, verify_path

__all__ = [
    "DATALINK_MEDIA_TYPE",
    "DirectFiles",
    "FileService",
    "HmacKey",
    "LinksService",
    "ResultService",
    "Signer",
    "describe_cutouts",
    "sign_path",
    "verify_path",
]
