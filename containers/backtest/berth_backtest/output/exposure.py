"""What a run holds, in money, at every close."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from berth_backtest.data.check import BAR
from berth_backtest.data.panel import Panel
from berth_backtest.market import chosen_of

Floats = NDArray[np.float64]


def add_held(panel: Panel, symbols: Sequence[int], units: Floats, long: Floats, short: Floats) -> None:
    """Adds the value of long and of short positions by bar (shorts negative), of units [bar, symbol]."""
    values = units.T * last_closes(panel, symbols)
    above = np.maximum(values, 0.0)
    below = np.minimum(values, 0.0, out=values)
    for i in range(len(symbols)):  # one after the other, so that no digit depends on the parts
        long += above[i]
        short += below[i]


def last_closes(panel: Panel, symbols: Sequence[int]) -> Floats:
    """Returns last closes [symbol, bar], 0 before a symbol's first; a split without a bar divides them."""
    chosen = chosen_of(symbols)
    there = panel.state[chosen] == BAR
    closes: Floats = panel.close[chosen]
    if there.all():
        return closes
    at = np.maximum.accumulate(np.where(there, np.arange(panel.bars), -1), axis=1)
    found = np.where(at >= 0, np.take_along_axis(closes, np.maximum(at, 0), axis=1), 0.0)
    rows = {float(s): i for i, s in enumerate(symbols)}
    for bar, s, ratio, _ in panel.actions[np.isin(panel.actions[:, 1], list(rows))]:
        first, row = int(bar), rows[float(s)]
        if not there[row, first]:
            after = np.flatnonzero(there[row, first:])
            end = first + int(after[0]) if len(after) else panel.bars
            found[row, first:end] /= ratio
    return found
