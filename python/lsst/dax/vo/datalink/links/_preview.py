"""Links to pictures of images: ``#preview``, and a small one."""

from __future__ import annotations

__all__ = ["PreviewLinks"]

from collections.abc import Sequence
from uuid import UUID

from ...repo import Dataset
from ...soda import Derived
from .._choice import LinkChoice
from .._link import Caller, Link
from .._products import ProductService
from ._product import product_link

_PICTURES = (
    (Derived.PREVIEW, "#preview", "preview", "Picture of the whole image"),
    # Not "#thumbnail", a term that STILTS 3.4.7 does not know yet; its "local
    # semantics" tells what it is.
    (Derived.THUMBNAIL, "#preview-image", "thumbnail", "Small picture of the whole image"),
)
# A picture of bits would show nothing.
_MASKS = ("Mask", "MaskX", "MaskV2")


class PreviewLinks:
    """Leads to pictures of each image, which are made when they are asked for.

    Parameters
    ----------
    products
        Makes them.
    choice
        What is configured.
    """

    semantics = "#preview"

    def __init__(self, products: ProductService, choice: LinkChoice | None = None) -> None:
        self._products = products
        self._choice = choice or LinkChoice()

    def links(self, datasets: Sequence[Dataset], caller: Caller) -> dict[UUID, tuple[Link, ...]]:
        """Return the links of images.

        Parameters
        ----------
        datasets
            The datasets.
        caller
            Who asks.

        Returns
        -------
        links : `dict` [`uuid.UUID`, `tuple` [`Link`, ...]]
        """
        wanted = [
            dataset
            for dataset in datasets
            if self._choice.of(dataset).preview is not False and dataset.storage_class not in _MASKS
        ]
        facts = self._products.find(wanted)
        return {
            dataset.uuid: tuple(
                product_link(
                    self._products,
                    dataset,
                    caller,
                    derived,
                    semantics=semantics,
                    label=label,
                    text=text,
                    qualifier="#image",
                )
                for derived, semantics, label, text in _PICTURES
            )
            for dataset in wanted
            if dataset.uuid in facts
        }
