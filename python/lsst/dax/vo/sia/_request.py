"""From the parameters of a request to a search."""

from __future__ import annotations

__all__ = ["SiaRequest", "parse_request"]

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..dali import ParamSet
from ..errors import UsageError
from ..query import Constraint, OneOf
from ._parameters import PARAMETERS

# SIA 2.0, 3: the service finds images and cubes, nothing else.
_IMAGES = OneOf("dataproduct_type", ("image", "cube"))


@dataclass(frozen=True, slots=True)
class SiaRequest:
    """What a client asks for."""

    constraints: tuple[Constraint, ...]
    """All of them hold."""

    maxrec: int | None
    """Rows wanted at most; `None` when the client does not say."""


def parse_request(
    params: ParamSet, *, expand_id: Callable[[str], Iterable[str]] = lambda text: (text,)
) -> SiaRequest:
    """Parse the parameters of ``{query}``.

    Parameters
    ----------
    params
        The request; parameters that SIAv2 does not know are ignored, and
        none at all asks for everything.
    expand_id
        From a value of ``ID`` to the values of ``obs_publisher_did`` that
        it can mean.

    Returns
    -------
    request : `SiaRequest`

    Raises
    ------
    UsageError
        Raised if a value is empty or not accepted; the message says what is.
    MultiValuedError
        Raised if ``MAXREC`` was repeated.

    References
    ----------
    SIA 2.0, 2.1; DALI 1.1, 3.4.
    """
    constraints: list[Constraint] = [_IMAGES]
    for parameter in PARAMETERS:
        values = params.values(parameter.name)
        if not values:
            continue
        if not all(value.strip() for value in values):
            raise UsageError(
                f"{parameter.name} has no value; give one ({parameter.description}) or leave it out",
                parameter=parameter.name,
                value="",
            )
        if parameter.kind == "id":
            values = tuple(dict.fromkeys(did for value in values for did in expand_id(value.strip())))
        constraints.append(parameter.to_constraint(values))
    return SiaRequest(tuple(constraints), params.count("MAXREC"))
