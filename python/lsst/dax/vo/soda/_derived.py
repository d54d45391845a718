"""What can be made of an image: one table."""

from __future__ import annotations

__all__ = ["Derived", "Facts", "parse_facts", "write_facts"]

import enum
import json
from dataclasses import asdict, dataclass

_MEDIA_TYPES = {"png": "image/png", "fits": "application/fits", "json": "application/json"}


class Derived(enum.Enum):
    """What is made of an image; the values are names of files."""

    PREVIEW = "preview.png"
    """A picture of all of it."""

    THUMBNAIL = "thumbnail.png"
    """A small one."""

    PSF = "psf.fits"
    """An image of its point spread function at its center."""

    MASK_PLANES = "mask.json"
    """What the bits of its mask mean."""

    METADATA = "metadata.json"
    """What its file says of itself."""

    FACTS = "facts.json"
    """Which of the others can be made of it; for the service itself."""

    @property
    def media_type(self) -> str:
        """Its media type."""
        return _MEDIA_TYPES[self.value.rpartition(".")[2]]


@dataclass(frozen=True, slots=True)
class Facts:
    """What can be made of a file."""

    has_mask: bool = False
    """Whether there is a mask whose bits have names."""

    psf: str | None = None
    """Which point spread function it has, if that can be computed."""


def write_facts(facts: Facts) -> bytes:
    """Write facts as JSON.

    Parameters
    ----------
    facts
        The facts.

    Returns
    -------
    content : `bytes`
    """
    return json.dumps(asdict(facts)).encode()


def parse_facts(content: bytes) -> Facts:
    """Read facts from JSON.

    Parameters
    ----------
    content
        As `write_facts` writes it.

    Returns
    -------
    facts : `Facts`
    """
    return Facts(**json.loads(content))
