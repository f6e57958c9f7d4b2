"""Columns of Arrow as arrays of NumPy.

Arrow's own to_numpy() imports pandas where that is installed: as long as a short run takes.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Index = NDArray[np.int64]


def numbers_of(column: Any, dtype: Any) -> NDArray[Any]:
    """Returns a copy of a column whose type has that dtype; what stands where it is null is no number."""
    parts = [np.empty(0, dtype)]
    for chunk in column.chunks:
        if len(chunk) > 0:
            values = np.frombuffer(chunk.buffers()[1], dtype)
            parts.append(values[chunk.offset : chunk.offset + len(chunk)])
    return np.concatenate(parts)


def nulls_of(column: Any) -> NDArray[np.bool_]:
    """Says where a column is null."""
    found = np.zeros(len(column), dtype=np.bool_)
    end = 0
    for chunk in column.chunks:
        end += len(chunk)
        kept = chunk.buffers()[0]
        if kept is not None:
            bits = np.unpackbits(np.frombuffer(kept, np.uint8), bitorder="little")
            found[end - len(chunk) : end] = bits[chunk.offset : chunk.offset + len(chunk)] == 0
    return found


def by_dictionary(column: Any) -> tuple[list[str], Index] | None:
    """Returns the distinct texts of a column in the order of their first rows, and which each row has.

    None where it has nulls, or no dictionary of distinct texts.
    """
    if (
        not pa.types.is_dictionary(column.type)
        or column.null_count
        or not pa.types.is_string(column.type.value_type)
    ):
        return None
    chunks = column.unify_dictionaries().chunks
    known = chunks[0].dictionary.to_pylist()
    if None in known or len(set(known)) < len(known):
        return None
    places = np.concatenate([indices_of(chunk) for chunk in chunks])
    starts = np.flatnonzero(np.diff(places, prepend=-1))  # of rows in a row with one text: mostly few
    first = np.full(len(known), len(places))
    first[places[starts[::-1]]] = starts[::-1]
    order = np.argsort(first)[: np.count_nonzero(first < len(places))]  # no row may have some of them
    rank = np.empty(len(known), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return [known[i] for i in order], rank[places]


def indices_of(encoded: Any) -> Index:
    """Returns the indices of an array with a dictionary."""
    kind = encoded.indices.type.to_pandas_dtype()
    return numbers_of(pa.chunked_array([encoded.indices]), kind).astype(np.int64)
