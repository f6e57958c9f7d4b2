"""What a run holds, in money, at every close."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from berth_backtest.data.check import BAR
from berth_backtest.data.panel import Panel

Floats = NDArray[np.float64]


def add_held(panel: Panel, symbols: Sequence[int], units: Floats, long: Floats, short: Floats) -> None:
    """Adds the value of long and of short positions by bar (shorts negative), of units [bar, symbol]."""
    for i, s in enumerate(symbols):
        value = units[:, i] * last_closes(panel, s)
        long += np.maximum(value, 0.0)
        short += np.minimum(value, 0.0)


def last_closes(panel: Panel, s: int) -> Floats:
    """Returns a symbol's last close at each bar, 0 before its first; a split without a bar divides it."""
    there = panel.state[s] == BAR
    at = np.maximum.accumulate(np.where(there, np.arange(panel.bars), -1))
    found = np.where(at >= 0, panel.close[s][np.maximum(at, 0)], 0.0)
    for bar, _, ratio, _ in panel.actions[panel.actions[:, 1] == s]:
        first = int(bar)
        if not there[first]:
            after = np.flatnonzero(there[first:])
            end = first + int(after[0]) if len(after) else panel.bars
            found[first:end] /= ratio
    return found
