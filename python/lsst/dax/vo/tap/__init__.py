"""TAP: table access."""

from ._examples import EXAMPLES, Example
from ._request import LANGUAGES, TapRequest, UploadSource, parse_request
from ._service import TapService

__all__ = ["EXAMPLES", "LANGUAGES", "Example", "TapRequest", "TapService", "UploadSource", "parse_request"]
