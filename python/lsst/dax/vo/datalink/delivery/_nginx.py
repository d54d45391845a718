"""Files that a web server in front sends itself."""

from __future__ import annotations

__all__ = ["HandOver"]

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from ...dali import Response
from ._plan import FileFacts, describe_file


class HandOver:
    """Tells nginx which file to send (``X-Accel-Redirect``).

    Parameters
    ----------
    folders
        From folders to the internal locations under which nginx has them.
    """

    def __init__(self, folders: Mapping[Path, str]) -> None:
        # The deepest folder first, where one is inside another.
        self._folders = sorted(folders.items(), key=lambda item: -len(item[0].parts))

    def answer(self, path: str, facts: FileFacts, left_s: int) -> Response | None:
        """Answer a request by handing it over.

        Parameters
        ----------
        path
            The file.
        facts
            What is known of it.
        left_s
            Seconds for which its URL still works.

        Returns
        -------
        response : `Response` or `None`
            `None` if nginx does not have the file.  Ranges and conditions are
            then its own matter, and so are the tags.
        """
        for folder, location in self._folders:
            if Path(path).is_relative_to(folder):
                where = Path(path).relative_to(folder).as_posix()
                headers = {
                    **describe_file(facts),
                    "Cache-Control": f"private, max-age={left_s}",
                    "X-Accel-Redirect": f"{location.rstrip('/')}/{quote(where)}",
                }
                return Response(200, facts.media_type, b"", headers)
        return None
