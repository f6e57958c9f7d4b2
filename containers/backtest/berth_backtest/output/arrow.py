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

TEXT = pa.dictionary(pa.int32(), pa.string())  # Parquet's own form of texts that come again


def numbers(values: NDArray[Any], absent: Mask | None = None, kind: Any = None) -> Any:
    """Returns a column of numbers, null where they are absent; `kind` is another type of the same width."""
    buffers = [validity(absent), pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(kind or pa.from_numpy_dtype(values.dtype), len(values), buffers)


def flags(values: Mask) -> Any:
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, bits_of(values)])


def texts(values: Sequence[str], which: NDArray[np.integer[Any]], absent: Mask | None = None) -> Any:
    """Returns a column of texts, each one of a few, null where they are absent; TEXT is its type."""
    places = {value: place for place, value in enumerate(dict.fromkeys(values))}
    encoded = [value.encode() for value in places]
    ends = np.cumsum([0, *(len(value) for value in encoded)]).astype(np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    known = pa.Array.from_buffers(pa.string(), len(encoded), buffers)
    if len(places) < len(values):
        which = np.array([places[value] for value in values])[which]
    codes = which.astype(np.int32, copy=False)
    return pa.DictionaryArray.from_arrays(numbers(codes, absent), known, safe=False)


def validity(absent: Mask | None) -> Any:
    """Returns the bits of what is there, None if all is."""
    return None if absent is None or not absent.any() else bits_of(~absent)


def bits_of(values: Mask) -> Any:
    return pa.py_buffer(np.packbits(values, bitorder="little"))
