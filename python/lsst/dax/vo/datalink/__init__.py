"""DataLink: from an identifier to files and services, and file delivery."""

from ._files import DirectFiles, FileService
from ._links import DATALINK_MEDIA_TYPE, LinksService
from ._signing import HmacKey, Signer, sign_path, verify_path

__all__ = [
    "DATALINK_MEDIA_TYPE",
    "DirectFiles",
    "FileService",
    "HmacKey",
    "LinksService",
    "Signer",
    "sign_path",
    "verify_path",
]
