"""The parameter sets of a run: the cartesian product of the axes, the last one fastest."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from berth_backtest.errors import invalid
from berth_backtest.spec.types import STOPS, Axis
from berth_backtest.strategies.definition import Definition

Index = NDArray[np.int64]

AT_ONCE = 1_000_000  # sets looked at together


@dataclass(frozen=True)
class Grid:
    """`points` are the numbers, in the full product, of the sets that are valid."""

    axes: tuple[Axis, ...]
    points: Index
    skipped: int

    def values(self, name: str, points: Index) -> NDArray[np.float64]:
        """Returns one parameter of some sets."""
        at = [axis.name for axis in self.axes].index(name)
        inner = int(np.prod([len(axis.values) for axis in self.axes[at + 1 :]], dtype=np.int64))
        values = self.axes[at].values
        return values[(points // inner) % len(values)]

    def all_values(self, points: Index) -> dict[str, NDArray[np.float64]]:
        """Returns every parameter of some sets by name."""
        return {axis.name: self.values(axis.name, points) for axis in self.axes}

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


def make_grid(axes: tuple[Axis, ...], definition: Definition) -> Grid:
    """Returns the grid; sets that the strategy calls invalid are skipped."""
    total = math.prod(len(axis.values) for axis in axes)
    whole = Grid(axes, np.arange(total), 0)
    if definition.valid is None:
        return whole
    # Some at a time: the parameters of ten million sets would not fit beside the rest.
    kept = [
        part[definition.valid(whole.all_values(part))]
        for part in np.array_split(whole.points, max(1, total // AT_ONCE))
    ]
    points = np.concatenate(kept)
    if len(points) == 0:
        name = definition.params[0].name
        raise invalid(f"parameters.{name}", definition.invalid or "no set is valid")
    return Grid(axes, points, total - len(points))
