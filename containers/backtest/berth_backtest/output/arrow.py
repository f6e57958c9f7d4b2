"""Arrays of NumPy as columns of Arrow.

pa.array() would look for pandas, and where that is installed import it: a third of a short run.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def numbers(values: NDArray[Any], absent: NDArray[np.bool_] | None = None, kind: Any = None) -> Any:
    """Returns a column of numbers, null where they are absent; `kind` is another type of the same width."""
    kept = (
        None if absent is None or not absent.any() else pa.py_buffer(np.packbits(~absent, bitorder="little"))
    )
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(kind or pa.from_numpy_dtype(values.dtype), len(values), [kept, buffer])


def flags(values: NDArray[np.bool_]) -> Any:
    buffer = pa.py_buffer(np.packbits(values, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, buffer])


def texts(values: Sequence[str]) -> Any:
    """Returns a column of a few texts, from which take() makes longer ones."""
    encoded = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))
