"""A matrix that lies on the disk: written column by column, read in blocks of rows.

Values are float32, as XGBoost holds them. A column is one stretch of the file: checks read it at once.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Of values that are in memory at once. XGBoost's own pages of as many rows are a quarter of that.
BLOCK_BYTES = 32 << 20
VALUE_BYTES = 4


@dataclass(frozen=True)
class Rows:
    """Some rows of the file, in any order. What takes a matrix in memory takes `parts` of this."""

    path: Path
    total: int  # rows of the file
    features: int
    at: NDArray[np.int64] = field(repr=False)  # places in the file

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, chosen: Any) -> "Rows":
        return Rows(self.path, self.total, self.features, self.at[chosen])

    def parts(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yields places among these rows and their values [row, feature], block by block of the file."""
        size = block_rows(self.features)
        order = np.argsort(self.at, kind="stable")
        ascending = self.at[order]
        starts = np.arange(0, self.total, size)
        edges = np.searchsorted(ascending, np.append(starts, self.total))
        file = np.memmap(self.path, np.float32, "r", shape=(self.features, self.total))
        for start, a, b in zip(starts, edges[:-1], edges[1:], strict=True):
            if a == b:
                continue
            inside = ascending[a:b] - start
            values = np.empty((b - a, self.features), dtype=np.float32)
            for i in range(self.features):
                values[:, i] = file[i, start : start + size][inside]
            yield order[a:b], values

    def column(self, i: int) -> NDArray[np.float64]:
        """Returns one feature of these rows."""
        offset = i * self.total * VALUE_BYTES
        return np.fromfile(self.path, np.float32, self.total, offset=offset)[self.at].astype(np.float64)


def block_rows(features: int) -> int:
    return max(BLOCK_BYTES // (VALUE_BYTES * features), 1)


def create(path: Path, rows: int, features: int) -> tuple[NDArray[np.float32], Rows]:
    """Returns the file's values [feature, row] to be written, and the rows to read them by.

    Raises OSError where the disk is full: without its space a file that is written by its addresses kills us.
    """
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, rows * features * VALUE_BYTES)
    values = np.memmap(path, np.float32, "r+", shape=(features, rows))
    return values, Rows(path, rows, features, np.arange(rows, dtype=np.int64))


def column_of(x: Any, i: int) -> NDArray[np.float64]:
    """Returns a feature of a matrix in memory or on the disk."""
    return x.column(i) if isinstance(x, Rows) else np.ascontiguousarray(x[:, i])


def features_of(x: Any) -> int:
    return x.features if isinstance(x, Rows) else int(x.shape[1])


def parts_of(x: Any) -> Iterator[tuple[Any, Any]]:
    """Yields places and values of rows on the disk, or those in memory at once."""
    if isinstance(x, Rows):
        yield from x.parts()
    else:
        yield slice(0, len(x)), x
