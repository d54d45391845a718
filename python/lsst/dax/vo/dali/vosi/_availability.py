"""Whether a service answers."""

from __future__ import annotations

__all__ = ["Availability", "write_availability"]

from dataclasses import dataclass
from datetime import UTC, datetime

from ._models import render_model


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a service answers."""

    available: bool
    """Whether it does, now."""

    up_since: datetime | None = None
    """Since when, with a time zone."""

    notes: tuple[str, ...] = ()
    """Sentences for people."""


def write_availability(availability: Availability) -> bytes:
    """Write the document of ``/availability``.

    Parameters
    ----------
    availability
        Whether the service answers.

    Returns
    -------
    document : `bytes`

    References
    ----------
    VOSI 1.1, 5.
    """
    from vo_models.vosi.availability import Availability as AvailabilityModel

    since = availability.up_since
    return render_model(
        AvailabilityModel(
            available=availability.available,
            up_since=since.astimezone(UTC) if since is not None else None,
            note=list(availability.notes),
        )
    )
