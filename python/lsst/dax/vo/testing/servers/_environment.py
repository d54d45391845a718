"""Variables of the environment by which `lsst.resources` reaches stores."""

from __future__ import annotations

__all__ = ["client_environment"]

import gc
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest.mock import patch


@contextmanager
def client_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for a while, and let them be read.

    Parameters
    ----------
    variables
        Names and values; those of Amazon's and of S3 that are set otherwise
        are taken away.

    Yields
    ------
    nothing : `None`
        Afterwards all is as before.
    """
    others = [name for name in os.environ if name.startswith(("AWS_", "S3_", "LSST_RESOURCES_"))]
    with patch.dict(os.environ):
        for name in others:
            del os.environ[name]
        os.environ.update(variables)
        _forget()
        yield
    _forget()


def _forget() -> None:
    # It reads the configuration of WebDAV when it is imported, and no more.
    from lsst.resources.dav import dav_globals
    from lsst.resources.davutils import DavConfigPool

    DavConfigPool()._destroy()
    dav_globals._reset()
    # Its clients close no connection: here nobody minds, in a later test
    # somebody might.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
