"""Files of datasets, and results of jobs: their URLs, and how these are answered."""

from ._answer import answer_content
from ._contents import LocalContent, StreamContent
from ._direct import DirectFiles
from ._files import STABLE_PATH, FileService, stable_url
from ._nginx import HandOver
from ._plan import FileFacts, plan_delivery, safe_name
from ._results import ResultService
from ._signing import HmacKey, Signature, Signer, sign_path, verify_path

__all__ = [
    "STABLE_PATH",
    "DirectFiles",
    "FileFacts",
    "FileService",
    "HandOver",
    "HmacKey",
    "LocalContent",
    "ResultService",
    "Signature",
    "Signer",
    "StreamContent",
    "answer_content",
    "plan_delivery",
    "safe_name",
    "sign_path",
    "stable_url",
    "verify_path",
]
