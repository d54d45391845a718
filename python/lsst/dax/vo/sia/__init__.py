"""SIAv2: simple image access."""

from ._parameters import PARAMETERS, SiaParameter
from ._request import SiaRequest, parse_request
from ._service import SiaService

__all__ = ["PARAMETERS", "SiaParameter", "SiaRequest", "SiaService", "parse_request"]
