"""The best objective for each pair of values of two parameters, whatever the other parameters are."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.grid import Grid
from berth_backtest.metrics import MINIMISED
from berth_backtest.spec.types import Axis

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

MAX_CELLS = 80  # a side of the heat map: beyond it neighbouring values share a cell


def heat_axes(grid: Grid) -> tuple[Axis, Axis] | None:
    """Returns the first two parameters that vary, None if fewer do."""
    varied = [axis for axis in grid.shown() if len(axis.values) > 1]
    return (varied[0], varied[1]) if len(varied) >= 2 else None


def no_heat(grid: Grid) -> Floats:
    """Returns a map that has seen no set."""
    axes = heat_axes(grid)
    return np.full([cells_of(axis) for axis in axes] if axes else (0, 0), np.nan)


def cells_of(axis: Axis) -> int:
    return MAX_CELLS if axis.continuous else min(len(axis.values), MAX_CELLS)


def add_heat(heat: Floats, grid: Grid, name: str, points: Index, objective: Floats) -> None:
    """Adds sets to a map; their order changes nothing."""
    axes = heat_axes(grid)
    there = ~np.isnan(objective)
    if axes is not None and there.any():
        row, column = (heat_bins(grid.values(axis.name, points[there]), axis) for axis in axes)
        better = np.fmin if name in MINIMISED else np.fmax
        better.at(heat, (row, column), objective[there])


def join_heat(first: Floats, second: Floats, name: str) -> Floats:
    return np.fmin(first, second) if name in MINIMISED else np.fmax(first, second)


def heat_bins(values: Floats, axis: Axis) -> Index:
    """Returns each value's cell, the axis in ascending order."""
    if axis.continuous:
        low, high = axis.values
        share = (values - low) / (high - low)
        if axis.drawn == "log_uniform":
            share = np.log(values / low) / np.log(high / low)
        return np.asarray(np.clip(share * MAX_CELLS, 0, MAX_CELLS - 1), dtype=np.int64)
    place = np.searchsorted(np.sort(axis.values), values)
    return np.asarray(place * min(len(axis.values), MAX_CELLS) // len(axis.values), dtype=np.int64)
