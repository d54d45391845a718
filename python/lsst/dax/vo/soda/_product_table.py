"""The table in a package: which file or extension is which product, and why some are not there."""

from __future__ import annotations

__all__ = ["PackagedProduct", "describe_product"]

from dataclasses import dataclass

from ..dali import fault_of, message_of
from ..errors import VoError
from ._plan import PlannedProduct
from ._runner import Outcome


@dataclass(frozen=True, slots=True)
class PackagedProduct:
    """One line of the table in a package."""

    number: int
    """Place among all products, from 1."""

    name: str
    """Name of the file, or of the extensions' version; empty if there is none."""

    status: str
    """``OK``, ``NoContent``, or the word of SODA for an error."""

    size: int
    """Length of the file, bytes."""

    request: str
    """What was asked for."""

    message: str
    """Why there is none."""


def describe_product(product: PlannedProduct, outcome: Outcome, name: str) -> PackagedProduct:
    """Describe a product for the table of a package.

    Parameters
    ----------
    product
        The product.
    outcome
        What became of it.
    name
        Its name in the package.

    Returns
    -------
    line : `PackagedProduct`
    """
    number, request = product.number + 1, product.describe()
    if outcome is None:
        return PackagedProduct(number, "", "NoContent", 0, request, "No pixel is left of the image")
    if isinstance(outcome, VoError):
        return PackagedProduct(number, "", fault_of(outcome).soda, 0, request, message_of(outcome))
    return PackagedProduct(number, name, "OK", outcome.size, request, "")
