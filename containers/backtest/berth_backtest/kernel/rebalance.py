"""A user's rebalance: called on the dates of its calendar for all symbols of a shared purse."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .book import Book
from .decide import set_order
from .digits import descending
from .jit import inner
from .layout import CASH, TO_TARGET, UNITS
from .orders import value_now

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

SCALARS = 4  # n, i, cash, equity; then the parameters
# Rows of arrays: out, prices, volume, weight, tradable; then the series.
OUT, PRICES, VOLUME, WEIGHT, TRADABLE, FIELDS = 0, 1, 5, 6, 7, 8
BAR_VOLUME = 5  # column of a bar
F_FOUND, F_BAR, F_CELL, F_KIND, F_WANT = range(5)  # as kernel.steps


@inner
def rank_of(values: Floats, tradable: Floats) -> Floats:
    """Returns each symbol's place by descending value, ties by symbol; NaN for what has none."""
    n = len(values)
    ranks = np.full(n, np.nan)
    some, symbols = np.empty(n), np.empty(n, dtype=np.int64)
    count = 0
    for i in range(n):
        if tradable[i] > 0.0 and not np.isnan(values[i]):
            some[count] = values[i]
            symbols[count] = i
            count += 1
    order = descending(some[:count], symbols[:count])
    for place in range(count):
        ranks[order[place]] = place
    return ranks


@inner
def by_rebalance(
    b: Book,
    t: int,
    call: Any,
    bars: Floats,
    due: bool,
    at: Index,
    table: Floats,
    picks: Index,
    own: Index,
    scalars: Floats,
    work: Floats,
    fault: Floats,
) -> None:
    """Asks for the wanted weights at the close of bar t if it is due; at[symbol] is its next own bar."""
    n = b.cells.shape[1]
    states = b.states[t]
    if due:
        equity = b.purses[CASH, 0] + value_now(b)
        show_market(b, t, bars, at, table, picks, own, equity, work)
        scalars[0] = n
        scalars[1] = t
        scalars[2] = b.purses[CASH, 0]
        scalars[3] = equity
        call(0, n, scalars, work)
        for s in range(n):
            want = work[s]
            if np.isnan(want) or states[s] != 1:
                continue
            if abs(want) > 1.0:
                if fault[F_FOUND] == 0.0:
                    fault[F_FOUND] = 1.0
                    fault[F_BAR] = t
                    fault[F_CELL] = s
                    fault[F_KIND] = TO_TARGET
                    fault[F_WANT] = want
            else:
                set_order(b, s, t, TO_TARGET, want)
    for s in range(n):
        at[s] += 1 if states[s] == 1 else 0


@inner
def show_market(
    b: Book,
    t: int,
    bars: Floats,
    at: Index,
    table: Floats,
    picks: Index,
    own: Index,
    equity: float,
    work: Floats,
) -> None:
    """Fills the rows that are read, own[row] being 1, and the series; NaN where a symbol has no bar."""
    n, series = picks.shape
    prices, states, units = b.bars[t], b.states[t], b.cells[UNITS]
    work[:n] = np.nan
    for field in range(4):
        if own[PRICES + field] == 1:
            row = work[(PRICES + field) * n : (PRICES + field + 1) * n]
            for s in range(n):
                row[s] = prices[s, field] if states[s] == 1 else np.nan
    if own[VOLUME] == 1:
        row = work[VOLUME * n : (VOLUME + 1) * n]
        for s in range(n):
            row[s] = bars[at[s], BAR_VOLUME] if states[s] == 1 else np.nan
    if own[WEIGHT] == 1:
        row = work[WEIGHT * n : (WEIGHT + 1) * n]
        for s in range(n):
            row[s] = units[s] * b.now[s] / equity if equity > 0.0 else 0.0
    if own[TRADABLE] == 1:
        row = work[TRADABLE * n : (TRADABLE + 1) * n]
        for s in range(n):
            row[s] = 1.0 if states[s] == 1 else 0.0
    for i in range(series):
        row = work[(FIELDS + i) * n : (FIELDS + i + 1) * n]
        for s in range(n):
            row[s] = table[picks[s, i], at[s]] if states[s] == 1 else np.nan
