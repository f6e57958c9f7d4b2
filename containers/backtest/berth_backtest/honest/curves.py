"""Equity curves of many sets, without all else that a recording of a run holds."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel import layout
from berth_backtest.market import Room
from berth_backtest.simulate import TABLE_BYTES, Simulator, sets_at_once
from berth_backtest.strategies.series import rows_of

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


def curves_of(simulator: Simulator, points: Index) -> Floats:
    """Returns [set, bar] of the equity of some sets, added over the accounts in their order."""
    total = np.zeros((len(points), simulator.panel.bars))
    if simulator.shared:
        simulator.each([partial(add_set, simulator, int(point), total[i]) for i, point in enumerate(points)])
        return total
    if len(points) == 0:
        return total
    series = simulator.definition.series
    rows, picks = rows_of(series, simulator.grid, points)
    kept = len(simulator.panel.symbols) * simulator.size(rows) <= TABLE_BYTES
    places = simulator.keep(rows)[picks] if kept else None
    # Each set of signals() runs on its own; others side by side, as the kernel runs them.
    width = 1 if simulator.signals is not None else sets_at_once(simulator.panel.bars * (1 + len(series)))
    parts = [slice(first, first + width) for first in range(0, len(points), width)]
    simulator.each(
        [
            partial(add_sets, simulator, points[part], None if places is None else places[part], total[part])
            for part in parts
        ]
    )
    return total


def add_set(simulator: Simulator, point: int, total: Floats) -> None:
    raw = np.empty((1, layout.RAW))
    total += simulator.run_set(point, raw, Room(equity=True)).equity[0, :, 0]


def add_sets(simulator: Simulator, points: Index, places: Index | None, total: Floats) -> None:
    """Adds the curves of some sets, by symbol; `places` are those of their tables if these are kept."""
    rows, picks = rows_of(simulator.definition.series, simulator.grid, points)
    for s in range(len(simulator.panel.symbols)):
        block, at = simulator.kept, s
        if places is None or block is None:
            simulator.check_stop()
            block, at = simulator.block(range(s, s + 1), rows), 0
        records = Room(equity=True).records(1, simulator.panel.bars, len(points), len(points))
        some = picks if places is None else places
        simulator.run_cells(block, np.array([at]), points, some, records)
        total += records.equity[0].T
