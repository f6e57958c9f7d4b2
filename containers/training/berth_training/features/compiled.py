"""The parts of features that are loops over bars: compiled, and free of the interpreter's lock."""

import numpy as np
from berth_backtest.kernel.jit import entry
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Moves a symbol, from one date's order to the next one's, up to which it is mended and not sorted again.
MENDED = 24


@entry
def returns(x: Floats, lag: int) -> Floats:
    """Returns x[t] / x[t - lag] - 1."""
    out = np.empty(len(x))
    out[:lag] = np.nan
    for t in range(lag, len(x)):
        out[t] = x[t] / x[t - lag] - 1.0
    return out


@entry
def rank_dates(values: Floats, out: Floats) -> None:
    """Fills out[symbol, bar] with (rank - 1/2) / n among the n of values[bar, symbol] that bar.

    From 0 to 1; ties share the mean of their ranks. What is NaN has no rank.
    """
    bars, symbols = values.shape
    order = np.arange(symbols)
    key = np.empty(symbols)
    present = np.empty(symbols, dtype=np.int64)
    for t in range(bars):
        for s in range(symbols):
            key[s] = np.inf if np.isnan(values[t, s]) else values[t, s]
        # Most symbols stand where they stood the date before: an insertion sort from that order.
        moves = 0
        for i in range(1, symbols):
            s = order[i]
            j = i
            while j > 0 and key[order[j - 1]] > key[s]:
                order[j] = order[j - 1]
                j -= 1
            order[j] = s
            moves += i - j
            if moves > MENDED * symbols:
                break
        if moves > MENDED * symbols:
            order = np.argsort(key)
        n = 0
        for i in range(symbols):
            if np.isnan(values[t, order[i]]):
                out[order[i], t] = np.nan
            else:
                present[n] = order[i]
                n += 1
        first = 0
        while first < n:
            after = first + 1
            while after < n and key[present[after]] == key[present[first]]:
                after += 1
            rank = (first + after + 1) / 2.0
            for i in range(first, after):
                out[present[i], t] = (rank - 0.5) / n
            first = after
