"""Texts that name the id of their dataset, and the formats that they are of."""

from __future__ import annotations

__all__ = ["format_ids", "id_texts", "restore_formats"]

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_ID = "{id}"
# Ids in their usual form, and those of other datasets with them.
_IDS = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def id_texts(ids: bytes) -> pa.Array:
    """Write UUIDs in their usual form.

    Parameters
    ----------
    ids
        16 bytes each.

    Returns
    -------
    texts : `pyarrow.Array`
    """
    content = np.frombuffer(ids, np.uint8).reshape(-1, 16)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    text = np.full((len(content), 36), ord("-"), np.uint8)
    places = [place for place in range(36) if place not in (8, 13, 18, 23)]
    text[:, places[0::2]] = digits[content >> 4]
    text[:, places[1::2]] = digits[content & 15]
    offsets = np.arange(0, 36 * len(content) + 1, 36, dtype=np.int32)
    return pa.StringArray.from_buffers(len(content), pa.py_buffer(offsets), pa.py_buffer(text))


def format_ids(formats: pa.Array, ids: pa.Array) -> pa.Array:
    """Put the id of each row in the place of each ``{id}`` in its format.

    Parameters
    ----------
    formats
        Formats, NULL without one; as a dictionary, each distinct one is taken
        apart once.
    ids
        What `id_texts` makes.

    Returns
    -------
    texts : `pyarrow.Array`
        Plain texts.
    """
    coded = formats if pa.types.is_dictionary(formats.type) else formats.dictionary_encode()
    parts = pc.split_pattern(coded.dictionary, _ID)
    counts = pc.list_value_length(parts).to_numpy(zero_copy_only=False)
    codes = coded.indices.fill_null(0).to_numpy()
    made, rows = [], []
    # Nearly always, all have the same number.
    for count in np.unique(counts):
        members = np.flatnonzero(counts == count)
        places = np.full(len(counts), -1)
        places[members] = np.arange(len(members))
        own = np.flatnonzero(np.isin(codes, members)) if len(members) < len(counts) else np.arange(len(codes))
        found = parts.take(pa.array(members))
        takes = pa.array(places[codes[own]])
        pieces = [pc.list_element(found, number).take(takes) for number in range(count)]
        between = ids.take(pa.array(own))
        woven = [piece for pair in zip(pieces, [between] * count, strict=True) for piece in pair][:-1]
        made.append(pc.binary_join_element_wise(*woven, ""))
        rows.append(own)
    if not made:
        return pa.nulls(len(coded), pa.string())
    texts = (
        made[0] if len(made) == 1 else pa.concat_arrays(made).take(pa.array(np.argsort(np.concatenate(rows))))
    )
    return pc.if_else(coded.is_valid(), texts, pa.scalar(None, pa.string()))


def restore_formats(texts: pa.Array, ids: pa.Array) -> pa.Array:
    """Put ``{id}`` in the place of each row's own id.

    Parameters
    ----------
    texts
        Texts, NULL without one.
    ids
        What `id_texts` makes.

    Returns
    -------
    formats : `pyarrow.Array`
        A dictionary of them.
    """
    formats = pc.replace_substring_regex(texts, _IDS, _ID).dictionary_encode()
    wrong = pc.not_equal(format_ids(formats, ids), texts).fill_null(False)
    if not pc.any(wrong).as_py():
        return formats
    # These have the id of another dataset in them.
    rows = np.flatnonzero(wrong.to_numpy(zero_copy_only=False))
    pairs = zip(texts.take(pa.array(rows)).to_pylist(), ids.take(pa.array(rows)).to_pylist(), strict=True)
    mended = pa.array([text.replace(own, _ID) for text, own in pairs], pa.string())
    return pc.replace_with_mask(formats.dictionary_decode(), wrong, mended).dictionary_encode()
