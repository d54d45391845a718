"""Examples of requests, as a page for people and programs (DALI-examples)."""

from __future__ import annotations

__all__ = ["Example", "write_examples"]

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Example:
    """One request and what it is for."""

    xml_id: str
    """XML ID, unique on the page."""

    name: str
    """Heading."""

    text: str
    """One or two sentences."""

    query: str = ""
    """Text of a query, for protocols that have them (TAP 1.1, 2.5)."""

    tables: tuple[str, ...] = ()
    """Tables that the query reads."""

    parameters: tuple[tuple[str, str], ...] = ()
    """Names and values of parameters, for protocols that have no queries."""


def write_examples(
    examples: Sequence[Example],
    *,
    title: str,
    capability: str,
    run_url: str,
    more: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Write the page.

    Parameters
    ----------
    examples
        What is shown.
    title
        Heading of the page.
    capability
        IVOID of the protocol.
    run_url
        URL at which requests are answered.
    more
        Names and values of parameters that are sent to it besides, for a
        look at the answer.

    Returns
    -------
    document : `bytes`
        XHTML that is XML, with the properties of DALI-examples.

    References
    ----------
    DALI 1.1, 2.3; TAP 1.1, 2.5.
    """
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<html xmlns="http://www.w3.org/1999/xhtml" lang="en"><head><title>{escape(title)}</title></head>\n'
        f'<body vocab="http://www.ivoa.net/rdf/examples#">\n<h1>{escape(title)}</h1>\n'
    ]
    for item in examples:
        sent = (*more, *item.parameters, *((("QUERY", item.query),) if item.query else ()))
        reads = " ".join(f'Reads <span property="table">{escape(table)}</span>.' for table in item.tables)
        parts.append(
            f'<div typeof="example" id="{item.xml_id}" resource="#{item.xml_id}">\n'
            f'<h2 property="name">{escape(item.name)}</h2>\n'
            f"<p>{escape(item.text)} {reads}</p>\n"
            f"{_write_query(item.query)}{_write_parameters(item.parameters)}"
            f'<p><a href="{escape(f"{run_url}?{urlencode(sent)}")}">Run it</a> '
            f'(<span property="capability">{escape(capability)}</span>)</p>\n</div>\n'
        )
    return "".join([*parts, "</body></html>\n"]).encode()


def _write_query(query: str) -> str:
    return f'<pre property="query">{escape(query, quote=False)}</pre>\n' if query else ""


def _write_parameters(parameters: Sequence[tuple[str, str]]) -> str:
    if not parameters:
        return ""
    items = "".join(
        '<li property="generic-parameter" typeof="keyval"><code><span property="key">'
        f'{escape(name)}</span>=<span property="value">{escape(value)}</span></code></li>\n'
        for name, value in parameters
    )
    return f"<ul>\n{items}</ul>\n"
