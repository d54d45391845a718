"""From the parameters of a request to a search."""

from __future__ import annotations

__all__ = ["ONLY_IMAGES", "SiaRequest", "parse_request"]

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..config import Limits
from ..dali import ParamSet, Polygon
from ..errors import UsageError
from ..query import Constraint, Intersects, OneOf
from ._parameters import PARAMETERS, SiaParameter

ONLY_IMAGES = OneOf("dataproduct_type", ("image", "cube"))
"""SIA 2.0, 3: the service finds images and cubes, nothing else."""


@dataclass(frozen=True, slots=True)
class SiaRequest:
    """What a client asks for."""

    constraints: tuple[Constraint, ...]
    """All of them hold."""

    maxrec: int | None
    """Rows wanted at most; `None` when the client does not say."""


def parse_request(
    params: ParamSet,
    limits: Limits,
    *,
    expand_id: Callable[[str], Iterable[str]] = lambda text: (text,),
) -> SiaRequest:
    """Parse the parameters of ``{query}``.

    Parameters
    ----------
    params
        The request; parameters that SIAv2 does not know are ignored, and
        none at all asks for everything.
    limits
        Values of a request, and vertices of a polygon.
    expand_id
        From a value of ``ID`` to the values of ``obs_publisher_did`` that
        it can mean.

    Returns
    -------
    request : `SiaRequest`

    Raises
    ------
    UsageError
        Raised if a value is empty or not accepted, or there are too many;
        the message says what is accepted.
    MultiValuedError
        Raised if ``MAXREC`` was repeated.

    References
    ----------
    SIA 2.0, 2.1; DALI 1.1, 3.4.
    """
    if params.values("UPLOAD"):
        # SIA 2.0, 2.1: not used; an answer that left it out would be a wrong one.
        raise UsageError(
            "UPLOAD is not accepted: SIAv2 takes lists as repeated parameters, for example "
            "POS=CIRCLE 10 20 0.1&POS=CIRCLE 30 40 0.1; tables are uploaded to TAP",
            parameter="UPLOAD",
        )
    constraints: list[Constraint] = [ONLY_IMAGES]
    left = limits.search_values
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
        left = _count_down(left, len(values), parameter, limits)
        if parameter.kind == "id":
            values = tuple(dict.fromkeys(did for value in values for did in expand_id(value.strip())))
        constraint = parameter.to_constraint(values)
        if isinstance(constraint, Intersects):
            left = _count_vertices(left, constraint, parameter, limits)
        constraints.append(constraint)
    return SiaRequest(tuple(constraints), params.count("MAXREC"))


def _count_vertices(left: int, constraint: Intersects, parameter: SiaParameter, limits: Limits) -> int:
    # A polygon takes as long as that many shapes.
    for stencil in constraint.stencils:
        if isinstance(stencil, Polygon):
            vertices = len(stencil.ra_deg)
            if vertices > limits.polygon_vertices:
                raise UsageError(
                    f"{parameter.name} has a polygon of {vertices} vertices; "
                    f"give at most {limits.polygon_vertices}, or several polygons",
                    parameter=parameter.name,
                )
            left = _count_down(left, vertices - 1, parameter, limits)
    return left


def _count_down(left: int, count: int, parameter: SiaParameter, limits: Limits) -> int:
    if count > left:
        raise UsageError(
            f"The request has too many values (the last are of {parameter.name}); this service takes "
            f"{limits.search_values} in one request, where a polygon counts as many as it has vertices: "
            "send them in several requests",
            parameter=parameter.name,
        )
    return left - count
