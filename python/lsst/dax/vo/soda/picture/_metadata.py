"""What a picture tells about itself: FITS cards as text, and AVM tags."""

from __future__ import annotations

__all__ = ["fits_text", "xmp_packet"]

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from .._provenance import Card
from ._sky import TangentPlane

_AVM = "http://www.communicatingastronomy.org/avm/1.0/"
_PACKET = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:avm="{namespace}" xmlns:dc="http://purl.org/dc/elements/1.1/">
{tags}
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def fits_text(plane: TangentPlane | None, cards: Sequence[Card]) -> str:
    """Write a FITS header, a card on each line, without padding.

    Parameters
    ----------
    plane
        The picture's place on the sky; `None` when it has none.
    cards
        Further cards.

    Returns
    -------
    text : `str`
        ASCII.

    Notes
    -----
    Aladin reads such a text from the comment of a JPEG or PNG file.
    """
    from ..backends._header import format_card

    every = (*(_wcs_cards(plane) if plane is not None else ()), *cards)
    return "\n".join(format_card(*card).decode("ascii").rstrip() for card in every)


def xmp_packet(plane: TangentPlane | None, title: str) -> str:
    """Write the tags of Astronomy Visualization Metadata.

    Parameters
    ----------
    plane
        The picture's place on the sky; `None` when it has none.
    title
        Title of the picture.

    Returns
    -------
    packet : `str`
        An XMP packet.

    References
    ----------
    AVM 1.2, 3.5 (coordinates, which count pixels as FITS does).
    """
    tags = [
        "   <avm:MetadataVersion>1.2</avm:MetadataVersion>",
        f'   <dc:title><rdf:Alt><rdf:li xml:lang="x-default">{escape(title)}</rdf:li></rdf:Alt></dc:title>',
        *(_spatial_tags(plane) if plane is not None else ()),
    ]
    return _PACKET.format(namespace=_AVM, tags="\n".join(tags))


def _wcs_cards(plane: TangentPlane) -> Iterator[Card]:
    yield "NAXIS", 2, "number of axes"
    yield "NAXIS1", plane.width, ""
    yield "NAXIS2", plane.height, ""
    yield from plane.cards()


def _spatial_tags(plane: TangentPlane) -> Iterator[str]:
    lists = {
        "ReferenceValue": (plane.lon_deg, plane.lat_deg),
        "ReferenceDimension": (float(plane.width), float(plane.height)),
        "ReferencePixel": (plane.x, plane.y),
        # Deprecated since 1.1, yet the only tag that holds a mirrored image.
        "CDMatrix": (*plane.cd[0], *plane.cd[1]),
    }
    words = {
        "CoordinateFrame": "ICRS",
        "Equinox": "2000.0",
        "CoordsystemProjection": "TAN",
        "Quality": "Full",
    }
    for name, word in words.items():
        yield f"   <avm:Spatial.{name}>{word}</avm:Spatial.{name}>"
    for name, numbers in lists.items():
        items = "".join(f"<rdf:li>{number!r}</rdf:li>" for number in numbers)
        yield f"   <avm:Spatial.{name}><rdf:Seq>{items}</rdf:Seq></avm:Spatial.{name}>"
