"""What a benchmark says when it cannot run: one sentence, as a command does."""

from __future__ import annotations

__all__ = ["in_one_sentence"]

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lsst.dax.vo.errors import VoError


@contextmanager
def in_one_sentence(name: str) -> Iterator[None]:
    """End the process with a sentence if a store or a database is not there.

    Parameters
    ----------
    name
        Name of the benchmark.
    """
    try:
        yield
    except subprocess.CalledProcessError as err:
        # It has said why, as all commands of this package do.
        sys.exit(err.returncode)
    except Exception as err:
        if not _is_of_the_world(err):
            raise
        text = " ".join(str(err).split())
        sys.exit(f"dax-vo bench {name}: {text or type(err).__name__}")


def _is_of_the_world(error: Exception) -> bool:
    """Return whether an error is none of the benchmark's own."""
    if isinstance(error, (VoError, OSError)):
        return True
    from psycopg import OperationalError
    from sqlalchemy.exc import SQLAlchemyError

    from lsst.dax.vo.testing import NoServerError

    return isinstance(error, (OperationalError, SQLAlchemyError, NoServerError))
