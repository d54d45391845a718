"""The row that leads to what is made of an image."""

from __future__ import annotations

__all__ = ["product_link"]

from ...repo import Dataset
from ...soda import Derived
from .._link import Caller, Link
from .._products import ProductService


def product_link(
    products: ProductService,
    dataset: Dataset,
    caller: Caller,
    derived: Derived,
    *,
    semantics: str,
    label: str,
    text: str,
    qualifier: str | None = None,
) -> Link:
    """Return the row of a product.

    Parameters
    ----------
    products
        Makes it.
    dataset
        What it is made of.
    caller
        Who asks.
    derived
        Which one.
    semantics, label, text, qualifier
        ``semantics``, ``local_semantics``, ``description`` and
        ``content_qualifier`` of the row.

    Returns
    -------
    link : `~lsst.dax.vo.datalink.Link`
    """
    return Link(
        semantics=semantics,
        access_url=products.url(dataset, derived, caller.base_url, caller.user),
        stable_url=products.stable_url(dataset, derived, caller.base_url),
        description=text,
        content_type=derived.media_type,
        content_qualifier=qualifier,
        local_semantics=label,
        link_auth=caller.link_auth,
    )
