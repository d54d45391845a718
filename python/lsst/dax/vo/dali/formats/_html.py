"""A page for people."""

from __future__ import annotations

__all__ = ["write_html"]

from collections.abc import Iterator, Sequence
from functools import partial
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa
import pyarrow.compute as pc

from .._cells import folded, iter_pieces, join_rows
from .._layout import TEXTS
from .._table import Column, ResultTable, RowLimit
from ..votable import Info, escape_text, format_numbers

_HEAD = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 14px/1.4 system-ui, sans-serif; margin: 1.5em; color: #222; background: #fff; }}
dl {{ display: grid; grid-template-columns: max-content auto; gap: .2em 1em; }}
dt {{ color: #666; }} dd {{ margin: 0; white-space: pre-wrap; }}
table {{ border-collapse: collapse; }}
th, td {{ border: 1px solid #ccc; padding: .2em .5em; text-align: left; white-space: nowrap; }}
td {{ max-width: 40em; overflow: hidden; text-overflow: ellipsis; }}
th {{ position: sticky; top: 0; background: #eee; }} th small {{ font-weight: normal; color: #666; }}
</style></head><body><h1>{title}</h1>
"""
_LINK = "^https?://"


def write_html(table: ResultTable, *, infos: Sequence[Info] = (), description: str = "") -> Iterator[bytes]:
    """Write a result as a page.

    Parameters
    ----------
    table
        Columns, rows and their limit.
    infos
        What is told about the answer.
    description
        One sentence about the table.

    Yields
    ------
    chunk : `bytes`
        Parts of the page, UTF-8.  If the rows end with an error, so does
        this.

    Notes
    -----
    Texts that are URLs of the web become links.
    """
    title = escape(description or "Result")
    about = "".join(
        f"<dt>{escape(info.name)}</dt><dd>{escape(info.value)}</dd>" for info in infos if info.value
    )
    head = "".join(map(_render_name, table.columns))
    yield (
        _HEAD.format(title=title) + f"<dl>{about}</dl>\n<table><thead><tr>{head}</tr></thead><tbody>\n"
    ).encode()
    rows, count = RowLimit(table), 0
    for batch in rows:
        count += batch.num_rows
        for piece in iter_pieces(batch):
            yield _render_rows(piece, table.columns)
    told = f"{count} row" if count == 1 else f"{count} rows"
    more = "; there are more, ask for them with a larger MAXREC" if rows.overflow else ""
    yield f"</tbody></table>\n<p>{told}{more}</p>\n</body></html>\n".encode()


def _render_name(column: Column) -> str:
    unit = f" <small>{escape(column.unit)}</small>" if column.unit else ""
    about = f" title={quoteattr(column.description)}" if column.description else ""
    return f"<th{about}>{escape(column.name)}{unit}</th>"


def _render_rows(batch: pa.RecordBatch, columns: Sequence[Column]) -> bytes:
    cells = [
        folded(values, _mark_up if column.datatype in TEXTS else partial(format_numbers, column=column))
        for values, column in zip(batch.columns, columns, strict=True)
    ]
    return join_rows(cells, batch.num_rows, "<tr><td>", "</td><td>", "</td></tr>\n")


def _mark_up(values: pa.Array) -> pa.Array:
    texts = escape_text(values.fill_null(""))
    is_link = pc.match_substring_regex(texts, _LINK)
    if not pc.any(is_link, min_count=0).as_py():
        return texts
    target = pc.replace_substring(texts, '"', "&quot;")
    links = pc.binary_join_element_wise('<a href="', target, '">', texts, "</a>", "")
    return pc.if_else(is_link, links, texts)
