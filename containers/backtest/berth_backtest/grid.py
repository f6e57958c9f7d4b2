"""The parameter sets of a run: the cartesian product of the axes, the last one fastest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from berth_backtest.spec.types import STOPS, Axis

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Grid:
    """`points` are the numbers, in the full product, of the sets that are valid."""

    axes: tuple[Axis, ...]
    points: Index
    skipped: int
    windows: Index  # every window that a set uses, ascending

    def values(self, name: str, points: Index) -> NDArray[np.float64]:
        """Returns one parameter of some sets."""
        at = [axis.name for axis in self.axes].index(name)
        inner = int(np.prod([len(axis.values) for axis in self.axes[at + 1 :]], dtype=np.int64))
        values = self.axes[at].values
        return values[(points // inner) % len(values)]

    def columns(self, name: str, points: Index) -> Index:
        """Returns the table column of a window parameter of some sets."""
        windows = self.values(name, points).astype(np.int64)
        return np.asarray(np.searchsorted(self.windows, windows), dtype=np.int64)

    def stops(self, points: Index) -> NDArray[np.float64]:
        return np.stack([self.values(name, points) for name in STOPS])

    def shown(self) -> list[Axis]:
        """Returns the axes that results have a column for: all but stops that were not asked for."""
        return [axis for axis in self.axes if not (axis.default and axis.name in STOPS)]

    def parameters(self, point: int) -> dict[str, int | float]:
        """Returns one set by name."""
        one = np.array([point])
        found: dict[str, int | float] = {}
        for axis in self.shown():
            value = float(self.values(axis.name, one)[0])
            found[axis.name] = int(value) if axis.integer else value
        return found


def make_grid(axes: tuple[Axis, ...]) -> Grid:
    """Returns the grid; sets whose fast average is not shorter than the slow one are skipped."""
    shape = [len(axis.values) for axis in axes]
    names = [axis.name for axis in axes]
    spread = {
        name: axes[names.index(name)].values.reshape(
            [-1 if i == names.index(name) else 1 for i in range(len(axes))]
        )
        for name in ("fast", "slow")
    }
    valid = np.broadcast_to(spread["fast"] < spread["slow"], shape)
    points = np.flatnonzero(valid.reshape(-1))
    windows = np.unique(np.concatenate([spread["fast"].reshape(-1), spread["slow"].reshape(-1)]))
    return Grid(axes, points, int(valid.size) - len(points), windows.astype(np.int64))
