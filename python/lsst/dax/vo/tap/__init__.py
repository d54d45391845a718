"""TAP: table access."""

from ._examples import EXAMPLES, QueryExample
from ._request import LANGUAGES, TapRequest, UploadSource, merge_uploads, parse_request
from ._service import TapService

__all__ = [
    "EXAMPLES",
    "LANGUAGES",
    "QueryExample",
    "TapRequest",
    "TapService",
    "UploadSource",
    "merge_uploads",
    "parse_request",
]
