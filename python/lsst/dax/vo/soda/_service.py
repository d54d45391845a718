"""SODA: requests for cutouts, and what the service tells about itself."""

from __future__ import annotations

__all__ = ["CutoutSource", "SodaService"]

import datetime as dt
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from lsst.resources import ResourcePath

from ..dali import (
    XML_MEDIA_TYPE,
    Capability,
    ParamSet,
    Response,
    fault_of,
    message_of,
    vosi_capabilities,
    write_capabilities,
)
from ..errors import TransientError, VoError
from ._cutout import Cutout, cut
from ._provenance import Provenance
from ._request import parse_request

_STANDARD_ID = "ivo://ivoa.net/std/SODA#sync-1.0"
_PLAIN_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class CutoutSource:
    """A dataset that can be cut: its file, and who it is."""

    uri: ResourcePath
    """The file."""

    dataset_id: UUID | None = None
    """The Butler's dataset id; `None` for a file of no repository."""

    dataset_type: str | None = None
    """Name of the dataset type."""

    data_id: Mapping[str, object] = field(default_factory=dict)
    """Required values of the data ID."""


class SodaService:
    """Answers SODA requests.

    Parameters
    ----------
    locate
        From an identifier, as a client sends it, to the file that is cut;
        raises `VoError` where there is none.
    version
        Version of the software, for the header of each cutout.
    max_pixels
        Most pixels of one plane of a cutout; without a limit by default.
    clock
        Seconds since 1970, UTC.
    """

    def __init__(
        self,
        locate: Callable[[str], CutoutSource],
        *,
        version: str,
        max_pixels: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._locate = locate
        self._version = version
        self._max_pixels = max_pixels
        self._clock = clock

    def cut(self, params: ParamSet) -> Cutout | None:
        """Cut what a request asks for.

        Parameters
        ----------
        params
            The request.

        Returns
        -------
        cutout : `Cutout` or `None`
            `None` when the stencil touches no pixel.

        Raises
        ------
        VoError
            Raised if the request, its dataset or the file is at fault.
        """
        request = parse_request(params)
        source = self._locate(request.id)
        provenance = Provenance(
            dt.datetime.fromtimestamp(self._clock(), dt.UTC),
            self._version,
            source.dataset_id,
            source.dataset_type,
            source.data_id,
        )
        return cut(
            source.uri,
            request.region,
            detail=request.detail,
            provenance=provenance,
            max_pixels=self._max_pixels,
        )

    def sync(self, params: ParamSet) -> Response:
        """Answer ``{sync}``.

        Parameters
        ----------
        params
            The request.

        Returns
        -------
        response : `Response`
            The cutout; 204 without a body when no pixel lies inside the
            stencil; plain text that begins with a word of the standard for
            an error.

        References
        ----------
        SODA 1.0, 5.
        """
        try:
            cutout = self.cut(params)
        except VoError as err:
            fault = fault_of(err)
            headers = {"Retry-After": str(err.retry_after)} if isinstance(err, TransientError) else {}
            text = f"{fault.soda}: {message_of(err)}\n"
            return Response(fault.http_status, _PLAIN_TEXT, text.encode(), headers)
        if cutout is None:
            return Response(204, "")
        headers = {
            "Content-Disposition": f'attachment; filename="{cutout.filename}"',
            "Content-Length": str(cutout.size),
        }
        return Response(200, cutout.media_type, (bytes(part) for part in cutout.parts), headers)

    def capabilities(self, base_url: str) -> Response:
        """Answer ``/capabilities``.

        Parameters
        ----------
        base_url
            URL under which clients reach the services.

        Returns
        -------
        response : `Response`
        """
        url = f"{base_url}/api/cutout"
        entries = (Capability(_STANDARD_ID, f"{url}/sync"), *vosi_capabilities(url))
        return Response(200, XML_MEDIA_TYPE, write_capabilities(entries))
