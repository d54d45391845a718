"""DataLink: all that gives links."""

from __future__ import annotations

__all__ = ["build_links"]

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from uuid import UUID

from ..config import ServiceConfig
from ..dali import DataOrigin
from ..datalink import (
    AuxiliaryLinks,
    Coverage,
    CutoutLinks,
    FileService,
    LinkChoice,
    LinkSource,
    LinksService,
    PreviewLinks,
    ProductService,
    RelatedLinks,
    ThisLinks,
)
from ..repo import Dataset, Repositories


def build_links(
    config: ServiceConfig,
    repositories: Repositories,
    files: FileService,
    products: ProductService,
    *,
    find_coverage: Callable[[Sequence[Dataset]], Mapping[UUID, Coverage]],
    collections: Mapping[str, Sequence[str]],
    origin: DataOrigin,
    clock: Callable[[], float],
    stack: ExitStack,
) -> LinksService:
    """Build the service of links.

    Parameters
    ----------
    config
        Limits, and the links of each dataset type.
    repositories
        The repositories that are served, in the order of the configuration.
    files
        Gives the URLs of files.
    products
        Tells what can be made of images.
    find_coverage
        From datasets to what they cover.
    collections
        Collections of each repository that are searched for what belongs to
        a dataset, by label.
    origin
        Who answers.
    clock
        Seconds since 1970, UTC.
    stack
        Closes what is kept open.

    Returns
    -------
    links : `~lsst.dax.vo.datalink.LinksService`
    """
    choice = LinkChoice(
        {label: entry.links for label, entry in zip(repositories, config.repositories, strict=True)}
    )
    related = RelatedLinks(repositories, files, choice, collections=collections)
    stack.callback(related.close)
    # In this order they stand in the document.
    sources: list[LinkSource] = [
        ThisLinks(files, choice),
        CutoutLinks(repositories, find_coverage, choice),
        PreviewLinks(products, choice),
        related,
        AuxiliaryLinks(products, choice),
    ]
    return LinksService(repositories, sources, max_ids=config.limits.links, origin=origin, clock=clock)
