"""The rows that models learn from, sorted by date and symbol."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from berth_training.data.disk import Rows
from berth_training.spec.types import Kind

Floats = NDArray[np.float64]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]
Matrix = Floats | Rows  # in memory, or on the disk where it is larger


@dataclass(frozen=True)
class Frame:
    """One row a date and symbol. `y` is NaN where the target is not known (yet)."""

    names: tuple[str, ...]  # of the features
    x: Matrix  # [row, feature]; NaN = missing
    y: Floats  # [row]
    date: Index  # [row] place in `dates`
    symbol: Index  # [row] place in `symbols`
    dates: Index  # distinct, ascending; microseconds since 1970, UTC
    dated: bool  # calendar dates, not instants
    symbols: tuple[str, ...]
    horizon: int  # dates until the last label of a date is known
    look_back: int  # dates that the longest feature reads
    kind: Kind
    sha256: str
    warnings: tuple[tuple[str, str], ...]

    @property
    def known(self) -> Mask:
        """Rows whose target is known."""
        return ~np.isnan(self.y)

    @property
    def labelled(self) -> Index:
        """The dates with a target: what folds are made of."""
        return np.unique(self.date[self.known])
