"""Columns of Arrow as arrays of NumPy.

Arrow's own to_numpy() imports pandas where that is installed: as long as a short run takes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


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
