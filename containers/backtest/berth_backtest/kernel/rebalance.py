"""A user's rebalance: called on the dates of its calendar for all symbols of a shared purse."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .book import Book
from .decide import set_order
from .jit import inner
from .layout import CASH, TO_TARGET, UNITS
from .orders import value_now

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

SCALARS = 4  # n, i, cash, equity; then the parameters
FIELDS = 8  # rows of arrays: out, five of the bar, weight, tradable; then the series
F_FOUND, F_BAR, F_CELL, F_KIND, F_WANT = range(5)  # as kernel.steps


@inner
def rank_of(values: Floats, tradable: Floats) -> Floats:
    """Returns each symbol's place by descending value, ties by symbol; NaN for what has none."""
    n = len(values)
    ranks = np.full(n, np.nan)
    keys = np.empty(n)
    for i in range(n):
        keys[i] = -values[i] if tradable[i] > 0.0 and not np.isnan(values[i]) else np.inf
    order = np.argsort(keys, kind="mergesort")
    for place in range(n):
        i = order[place]
        if tradable[i] > 0.0 and not np.isnan(values[i]):
            ranks[i] = place
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
    scalars: Floats,
    work: Floats,
    fault: Floats,
) -> None:
    """Asks for the wanted weights at the close of bar t if it is due; at[symbol] is its next own bar."""
    n = b.cells.shape[1]
    series = picks.shape[1]
    equity = b.purses[CASH, 0] + value_now(b)
    for s in range(n):
        has_bar = b.states[t, s] == 1
        k = at[s]
        if has_bar:
            at[s] += 1
        if not due:
            continue
        work[s] = np.nan
        for field in range(5):
            work[(1 + field) * n + s] = bars[k, 1 + field] if has_bar else np.nan
        work[6 * n + s] = b.cells[UNITS, s] * b.now[s] / equity if equity > 0.0 else 0.0
        work[7 * n + s] = 1.0 if has_bar else 0.0
        for i in range(series):
            work[(FIELDS + i) * n + s] = table[picks[s, i], k] if has_bar else np.nan
    if not due:
        return
    scalars[0] = n
    scalars[1] = t
    scalars[2] = b.purses[CASH, 0]
    scalars[3] = equity
    call(0, n, scalars, work)
    for s in range(n):
        want = work[s]
        if np.isnan(want) or b.states[t, s] != 1:
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
