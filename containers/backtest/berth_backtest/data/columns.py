"""Columns of Arrow as arrays of NumPy.

Arrow's own to_numpy() imports pandas where that is installed: as long as a short run takes.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Index = NDArray[np.int64]


def numbers_of(column: Any, dtype: Any) -> NDArray[Any]:
    """Returns a column whose type has that dtype; what stands where it is null is no number.

    It may be the column's own memory, which is not to be written to.
    """
    parts = []
    for chunk in column.chunks:
        if len(chunk) > 0:
            values = np.frombuffer(chunk.buffers()[1], dtype)
            parts.append(values[chunk.offset : chunk.offset + len(chunk)])
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, dtype), *parts])


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
    starts = starts_of(places)
    first = np.full(len(known), len(places))
    first[places[starts[::-1]]] = starts[::-1]
    order = np.argsort(first)[: np.count_nonzero(first < len(places))]  # no row may have some of them
    if np.array_equal(order, np.arange(len(known))):
        return known, places
    rank = np.empty(len(known), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return [known[i] for i in order], rank[places]


def constant(value: Any, rows: int) -> NDArray[Any]:
    """Returns as many rows of one value, which take no memory and are not to be written to."""
    return np.broadcast_to(value, rows)


def is_constant(values: NDArray[Any]) -> bool:
    return values.strides == (0,)


def is_all(values: NDArray[Any], value: float) -> bool:
    """Says whether rows were made of one value, and it is this one; others are not looked at."""
    return is_constant(values) and len(values) > 0 and bool(values[0] == value)


def starts_of(codes: Index) -> Index:
    """Returns where rows in a row with one code begin: mostly few."""
    edges = np.flatnonzero(codes[1:] != codes[:-1]) + 1
    return np.concatenate([np.zeros(min(len(codes), 1), np.int64), edges])


def indices_of(encoded: Any) -> Index:
    """Returns the indices of an array with a dictionary."""
    kind = encoded.indices.type.to_pandas_dtype()
    return numbers_of(pa.chunked_array([encoded.indices]), kind).astype(np.int64)
