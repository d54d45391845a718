"""Documents that vo-models builds."""

from __future__ import annotations

__all__ = ["XML_MEDIA_TYPE", "render_model"]

from typing import Any

XML_MEDIA_TYPE = "text/xml"
"""Media type of all VOSI documents (VOSI 1.1, 2)."""


def render_model(model: Any) -> bytes:
    """Write a model.

    Parameters
    ----------
    model
        A model of ``vo-models``.

    Returns
    -------
    document : `bytes`
        UTF-8, with the declaration of XML.
    """
    document: bytes = model.to_xml(encoding="UTF-8", xml_declaration=True, skip_empty=True)
    return document
