"""Formats with the ids of datasets: against Python's own replacement."""

from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsst.dax.vo.obscore.rows._formats import format_ids, id_texts, restore_formats

ids = st.one_of(st.uuids(), st.sampled_from([UUID(int=0), UUID(int=1), UUID(int=2**128 - 1)]))
pieces = st.one_of(
    st.sampled_from(["", "{id}", "https://x/", "{", "}", "{{id}}", "ü", "0123456789abcdef", "-", "{id}{id}"]),
    ids.map(str),
)
formats = st.one_of(st.none(), st.lists(pieces, max_size=4).map("".join))


@given(st.lists(st.tuples(formats, ids), max_size=8), st.booleans(), st.integers(0, 3))
def test_formats_are_what_python_makes(
    rows: list[tuple[str | None, UUID]], encoded: bool, start: int
) -> None:
    texts = id_texts(b"".join(own.bytes for _, own in rows))
    assert texts.to_pylist() == [str(own) for _, own in rows]
    column = pa.array([text for text, _ in rows], pa.string())
    column = column.dictionary_encode() if encoded else column
    made = format_ids(column.slice(start), texts.slice(start))
    wanted = [text and text.replace("{id}", str(own)) for text, own in rows]
    assert made.type == pa.string()
    assert made.to_pylist() == wanted[start:]
    restored = restore_formats(made, texts.slice(start))
    assert restored.type == pa.dictionary(pa.int32(), pa.string())
    assert (
        restored.to_pylist()
        == [text and text.replace(str(own), "{id}") for text, (_, own) in zip(wanted, rows, strict=True)][
            start:
        ]
    )


@pytest.mark.parametrize("text", ["{id}", "a{id}", None])
def test_many_rows_have_few_formats(text: str | None) -> None:
    own = id_texts(bytes(range(256)) * 16)
    restored = restore_formats(format_ids(pa.array([text] * len(own), pa.string()), own), own)
    assert restored.dictionary.to_pylist() == ([] if text is None else [text])
