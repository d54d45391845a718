"""DataLink: all that gives links."""

from __future__ import annotations

__all__ = ["build_links"]

from contextlib import ExitStack

from ..datalink import (
    AuxiliaryLinks,
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
from ._ground import Ground


def build_links(
    ground: Ground, files: FileService, products: ProductService, stack: ExitStack
) -> LinksService:
    """Build the service of links.

    Parameters
    ----------
    ground
        The repositories that are served, and what is known of them.
    files
        Gives the URLs of files.
    products
        Tells what can be made of images.
    stack
        Closes what is kept open.

    Returns
    -------
    links : `~lsst.dax.vo.datalink.LinksService`
    """
    config, repositories = ground.config, ground.repositories
    choice = LinkChoice(
        {label: entry.links for label, entry in zip(repositories, config.repositories, strict=True)}
    )
    related = RelatedLinks(repositories, files, choice, collections=ground.collections)
    stack.callback(related.close)
    # In this order they stand in the document.
    sources: list[LinkSource] = [
        ThisLinks(files, choice),
        CutoutLinks(repositories, ground.coverage, choice),
        PreviewLinks(products, choice),
        related,
        AuxiliaryLinks(products, choice),
    ]
    return LinksService(
        repositories,
        sources,
        max_ids=config.limits.links,
        origin=ground.origins["datalink"],
        clock=ground.clock,
    )
