"""Links to what helps in using an image, made of it: ``#auxiliary``."""

from __future__ import annotations

__all__ = ["AuxiliaryLinks"]

from collections.abc import Iterator, Sequence
from uuid import UUID

from ...repo import Dataset
from ...soda import Derived, Facts
from .._choice import LinkChoice
from .._link import Caller, Link
from .._products import ProductService
from ._product import product_link

_AUXILIARY = "#auxiliary"


class AuxiliaryLinks:
    """Leads to the PSF of each image at its center, the legend of its mask, and its metadata.

    Parameters
    ----------
    products
        Makes them.
    choice
        What is configured.
    """

    semantics = _AUXILIARY

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
        facts = self._products.find(datasets)
        return {
            dataset.uuid: tuple(self._links(dataset, facts[dataset.uuid], caller))
            for dataset in datasets
            if dataset.uuid in facts
        }

    def _links(self, dataset: Dataset, facts: Facts, caller: Caller) -> Iterator[Link]:
        choice = self._choice.of(dataset)
        if facts.psf is not None and choice.psf is not False:
            text = f"Point spread function at the center of the image ({facts.psf})"
            yield self._link(dataset, caller, Derived.PSF, "psf", text, "#image")
        if facts.has_mask and choice.mask_planes is not False:
            text = "What the bits of the mask mean, as JSON"
            yield self._link(dataset, caller, Derived.MASK_PLANES, "mask-planes", text)
        if choice.metadata is not False:
            text = "What the file and the registry say of the image, as JSON"
            yield self._link(dataset, caller, Derived.METADATA, "metadata", text)

    def _link(
        self,
        dataset: Dataset,
        caller: Caller,
        derived: Derived,
        label: str,
        text: str,
        qualifier: str | None = None,
    ) -> Link:
        return product_link(
            self._products,
            dataset,
            caller,
            derived,
            semantics=_AUXILIARY,
            label=label,
            text=text,
            qualifier=qualifier,
        )
