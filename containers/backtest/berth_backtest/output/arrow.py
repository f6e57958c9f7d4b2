"""Arrays of NumPy as columns of Arrow.

pa.array() imports pandas where that is installed, take() all of pyarrow.compute: each takes as long as a
short run.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def numbers(values: NDArray[Any], absent: Mask | None = None, kind: Any = None) -> Any:
    """Returns a column of numbers, null where they are absent; `kind` is another type of the same width."""
    buffers = [validity(absent), pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(kind or pa.from_numpy_dtype(values.dtype), len(values), buffers)


def flags(values: Mask) -> Any:
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, bits_of(values)])


def texts(values: Sequence[str], which: NDArray[np.int64], absent: Mask | None = None) -> Any:
    """Returns a column of texts, each one of a few, null where they are absent."""
    encoded = [value.encode() for value in values]
    sizes = np.array([len(value) for value in encoded])
    letters = np.array(encoded, dtype=f"S{sizes.max()}").view(np.uint8).reshape(len(encoded), -1)
    letters = letters[which][np.arange(letters.shape[1]) < sizes[which][:, np.newaxis]]
    ends = np.concatenate([[0], np.cumsum(sizes[which])]).astype(np.int32)
    buffers = [validity(absent), pa.py_buffer(ends), pa.py_buffer(letters)]
    return pa.Array.from_buffers(pa.string(), len(which), buffers)


def repeated(values: Sequence[str], times: int) -> Any:
    """Returns a column of texts, each so many times."""
    encoded = [value.encode() for value in values]
    sizes = np.repeat([len(value) for value in encoded], times)
    ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    letters = b"".join(value * times for value in encoded)
    return pa.Array.from_buffers(pa.string(), len(sizes), [None, pa.py_buffer(ends), pa.py_buffer(letters)])


def validity(absent: Mask | None) -> Any:
    """Returns the bits of what is there, None if all is."""
    return None if absent is None or not absent.any() else bits_of(~absent)


def bits_of(values: Mask) -> Any:
    return pa.py_buffer(np.packbits(values, bitorder="little"))
