"""Stores that can only be read, wherever `lsst.resources` finds files."""

from __future__ import annotations

__all__ = ["WebPlace"]

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, override

from lsst.resources import ResourcePath

from ...errors import NotFoundError, TransientError, UsageError, without_secrets
from .._home import Home
from .._location import ParquetLocation
from .._pointer import PARQUET, POINTER, parse_pointer
from ._cache import cached
from ._places import Place


class WebPlace(Place):
    """A folder behind a URL.

    Parameters
    ----------
    location
        Where it is.
    """

    is_remote = True

    def __init__(self, location: ParquetLocation) -> None:
        self._location = location
        self._url = str(location.place)

    @override
    def read_pointer(self) -> str:
        # Docstring inherited.
        try:
            content = self._resource(POINTER).read()
        except FileNotFoundError as err:
            raise NotFoundError(
                f"There is no store {self._location}; make it in a folder or a bucket "
                "with 'butler vo export REPO parquet:FOLDER', and publish that"
            ) from err
        except Exception as err:  # the kinds depend on the scheme
            raise self._unreadable(err) from err
        return parse_pointer(content, without_secrets(self._url, self._url), PARQUET)

    @override
    def bring(self, name: str) -> Path:
        # Docstring inherited.
        resource = self._resource(name)

        def download(stream: BinaryIO) -> None:
            with ExitStack() as stack:
                try:
                    local = stack.enter_context(resource.as_local())
                except FileNotFoundError:
                    raise
                except Exception as err:  # the kinds depend on the scheme
                    raise self._unreadable(err) from err
                # A full cache is no fault of the server.
                shutil.copyfileobj(stack.enter_context(Path(local.ospath).open("rb")), stream)

        try:
            size = resource.size()
        except FileNotFoundError:
            raise
        except Exception as err:  # the kinds depend on the scheme
            raise self._unreadable(err) from err
        return cached(self._url, name, size, download)

    @override
    def home(self) -> Home:
        # Docstring inherited.
        raise UsageError(
            f"The store {self._location} can only be read; write it to a folder, or to s3://bucket/folder"
        )

    def _resource(self, name: str) -> ResourcePath:
        return ResourcePath(f"{self._url}/{name}")

    def _unreadable(self, error: Exception) -> TransientError:
        told = without_secrets(str(error), self._url).partition("\n")[0]
        return TransientError(f"The store {self._location} cannot be read now: {told}")
