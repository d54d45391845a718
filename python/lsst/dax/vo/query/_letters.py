"""Texts in upper and lower case, as Unicode has them.

DuckDB changes letter by letter, so that a sharp s becomes a letter that nobody
writes.  PostgreSQL, with ICU, does as here.
"""

from __future__ import annotations

__all__ = ["lower", "upper"]

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc


def upper(texts: pa.Array) -> pa.Array:
    """Return texts in upper case.

    Parameters
    ----------
    texts
        Type ``string``.

    Returns
    -------
    texts : `pyarrow.Array`

    References
    ----------
    Unicode, 3.13, toUppercase.
    """
    return _convert(texts, pc.ascii_upper, str.upper)


def lower(texts: pa.Array) -> pa.Array:
    """Return texts in lower case; as `upper`.

    Parameters
    ----------
    texts
        Type ``string``.

    Returns
    -------
    texts : `pyarrow.Array`

    References
    ----------
    Unicode, 3.13, toLowercase.
    """
    return _convert(texts, pc.ascii_lower, str.lower)


def _convert(
    texts: pa.Array, quick: Callable[[pa.Array], pa.Array], convert: Callable[[str], str]
) -> pa.Array:
    if pc.all(pc.string_is_ascii(texts)).as_py() is not False:
        return quick(texts)
    return pa.array([None if text is None else convert(text) for text in texts.to_pylist()], type=texts.type)
