"""What a reader of datasets is asked, and what it gives: pages."""

from __future__ import annotations

__all__ = ["DoesNotFitError", "Page", "PageReader", "Search", "one_line", "registry_errors", "search_query"]

import sqlite3
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import sqlalchemy.exc
from lsst.daf.butler import ButlerUserError, DatasetType, MissingCollectionError
from lsst.daf.butler.queries import Query

from ...errors import NotFoundError, TransientError, UsageError, without_secrets
from .._config import Where
from ..rows._chunk import Coded


class DoesNotFitError(Exception):
    """A reader cannot do this search; another one can."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search for datasets of one type."""

    dataset_type: DatasetType
    """The dataset type."""

    collections: tuple[str, ...]
    """Collections, searched in order."""

    constraint: Where
    """What data IDs must fulfil."""

    also: str | None = None
    """A further expression that they must fulfil."""

    find_first: bool = True
    """Whether of datasets with the same data ID the first one counts."""

    limit: int | None = None
    """Most datasets."""

    run: str | None = None
    """The one RUN collection that is searched, if it is one."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some datasets that a search found."""

    ids: bytes
    """UUIDs, 16 bytes each."""

    run: Coded
    """RUN collections."""

    dimensions: Mapping[str, Coded]
    """Values of the required dimensions, perhaps of implied ones."""

    sizes: pa.Array | None = None
    """Bytes of files, NULL if unknown; `None` if they are to be looked up."""

    @property
    def size(self) -> int:
        """Number of datasets."""
        return len(self.ids) // 16

    def take(self, indices: np.ndarray) -> Page:
        """Choose datasets.

        Parameters
        ----------
        indices
            Their numbers.

        Returns
        -------
        page : `Page`
        """
        return Page(
            np.frombuffer(self.ids, "V16")[indices].tobytes(),
            self.run.take(indices),
            {name: column.take(indices) for name, column in self.dimensions.items()},
            None if self.sizes is None else self.sizes.take(pa.array(indices)),
        )


class PageReader(Protocol):
    """Reads what a search finds, page by page."""

    def iter_pages(self, search: Search) -> Generator[Page]:
        """Yield what a search finds.

        Parameters
        ----------
        search
            What to search for.

        Yields
        ------
        page : `Page`
            Each dataset once, in any order.

        Raises
        ------
        DoesNotFitError
            Raised, before the first page, if this reader cannot do it.
        """


def search_query(query: Query, search: Search) -> Query:
    """Restrict a query to what is searched for.

    Parameters
    ----------
    query
        The query.
    search
        What to search for.

    Returns
    -------
    query : `lsst.daf.butler.queries.Query`
    """
    constraint = search.constraint
    if constraint.extra_dims:
        query = query.join_dimensions(constraint.extra_dims)
    query = query.join_dataset_search(search.dataset_type.name, collections=list(search.collections))
    if constraint.where:
        query = query.where(constraint.where, bind=constraint.bind)
    return query.where(search.also) if search.also else query


@contextmanager
def registry_errors(what: str) -> Iterator[None]:
    """Turn what the registry raises into errors of ours.

    Parameters
    ----------
    what
        What was being read, for messages.

    Yields
    ------
    nothing : `None`
        The block asks the registry.
    """
    try:
        yield
    except MissingCollectionError as err:
        raise NotFoundError(f"{what}: {one_line(err)}") from err
    except (sqlalchemy.exc.OperationalError, sqlite3.OperationalError, ConnectionError) as err:
        raise TransientError(f"{what}: the registry does not answer; try again") from err
    except (sqlalchemy.exc.DBAPIError, sqlite3.Error) as err:
        # Without the SQL that such an error tells.
        reason = one_line(getattr(err, "orig", None) or err)
        raise UsageError(f"{what}: the registry cannot be read: {reason}") from err
    except (ButlerUserError, ValueError, TypeError, LookupError, RuntimeError, NotImplementedError) as err:
        raise UsageError(f"{what}: the registry refuses the query: {one_line(err)}") from err


def one_line(err: Exception) -> str:
    """Write the message of an error in one line.

    Parameters
    ----------
    err
        The error.

    Returns
    -------
    text : `str`
        At most 500 characters; of a URL, no password.
    """
    text = " ".join(str(err).split())
    return without_secrets(text, text)[:500]
