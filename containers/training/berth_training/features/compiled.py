"""The parts of features that are loops over bars: compiled, and free of the interpreter's lock."""

import math
from typing import Any

import numpy as np
from berth_backtest.indicators import stddev
from berth_backtest.kernel.jit import entry, get, put
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

HIGHEST = 2**63 - 1
BLOCK = 1_024  # rows that are filled feature by feature, in a core's own cache


@entry
def itself(x: Floats) -> Floats:
    """Returns the series as it is: what lags are made of."""
    return x


@entry
def ratio(x: Floats, lag: int) -> Floats:
    """Returns x[t] / x[t - lag]."""
    out = np.empty(len(x))
    out[:lag] = np.nan
    for t in range(lag, len(x)):
        put(out, t, x[t] / get(x, t - lag))
    return out


@entry
def returns(x: Floats, lag: int) -> Floats:
    """Returns x[t] / x[t - lag] - 1."""
    out = np.empty(len(x))
    out[:lag] = np.nan
    for t in range(lag, len(x)):
        put(out, t, x[t] / get(x, t - lag) - 1.0)
    return out


@entry
def volatility(x: Floats, window: int) -> Floats:
    """Returns the standard deviation (ddof 1) of the last `window` one-bar returns, per bar, not a year's."""
    out = stddev(returns(x, 1), window)
    scale = math.sqrt(window / (window - 1.0))
    for t in range(len(out)):
        out[t] *= scale
    return out


@entry
def put_lags(values: Floats, own_row: Index, s: int, planes: Floats, places: Index, lags: Index) -> None:
    """Puts lags of one symbol's own bars where the run has them; NaN before them and where there is none."""
    n, bars = len(values), planes.shape[2]
    whole = n == bars and n > 0 and own_row[0] == 1 and own_row[n - 1] == bars
    for k in range(len(places)):
        out, lag = planes[places[k], s], min(lags[k], n)
        for t in range(lag if whole else bars):
            out[t] = np.nan
        if whole:
            for t in range(lag, n):
                put(out, t, get(values, t - lag))
            continue
        for t in range(lag, n):
            if own_row[t] > 0:
                out[own_row[t] - 1] = values[t - lag]


@entry
def fill_lags(
    function: Any,
    columns: Any,
    arguments: Any,
    own_row: Index,
    own_start: Index,
    symbols: tuple[int, int],
    planes: Floats,
    places: Index,
    lags: Index,
) -> None:
    """Fills planes[place, symbol, bar] with the lags of one function of the symbols' own bars.

    NaN where it is not defined yet or the symbol has no bar. `symbols` are the first and the one after
    the last; own_row is 1 at the run's first bar, and below 1 before it.
    """
    for s in range(symbols[0], symbols[1]):
        a, b = own_start[s], own_start[s + 1]
        if a == b:
            put_lags(columns[0][a:b], own_row[a:b], s, planes, places, lags)
            continue
        if len(columns) == 1:
            values = function(columns[0][a:b], *arguments)
        elif len(columns) == 2:
            values = function(columns[0][a:b], columns[1][a:b], *arguments)
        elif len(columns) == 3:
            values = function(columns[0][a:b], columns[1][a:b], columns[2][a:b], *arguments)
        else:
            values = function(columns[0][a:b], columns[1][a:b], columns[2][a:b], columns[3][a:b], *arguments)
        put_lags(values, own_row[a:b], s, planes, places, lags)


@entry
def sort_keys(values: Floats) -> Index:
    """Returns [bar, symbol]: whole numbers in the order of the values, with the symbol in their last bits.

    Sorting them is a third of the work of sorting places by value. NaN comes last.
    """
    bars, symbols = values.shape
    mask = mask_of(symbols)
    keys = np.empty((bars, symbols), dtype=np.int64)
    bits = values.view(np.int64)
    for t in range(bars):
        for s in range(symbols):
            # The bits of a number ascend with it; those of a negative one the other way round.
            key = bits[t, s] ^ ((bits[t, s] >> 63) & HIGHEST)
            if np.isnan(values[t, s]):
                key = HIGHEST
            keys[t, s] = (key & ~mask) | s
    return keys


@entry
def mask_of(symbols: int) -> int:
    """Returns as many last bits as the places of the symbols need."""
    mask = 1
    while mask < symbols - 1:
        mask = 2 * mask + 1
    return mask


@entry
def rank_dates(values: Floats, keys: Index, out: Floats, start: int) -> None:
    """Fills out[symbol, start + bar] with (rank - 1/2) / n among the n of values[bar, symbol] that bar.

    From 0 to 1; ties share the mean of their ranks. What is NaN has no rank. `keys` are sorted.
    """
    bars, symbols = values.shape
    mask = mask_of(symbols)
    order = np.empty(symbols, dtype=np.int64)
    key = np.empty(symbols)
    for t in range(bars):
        n = 0
        for i in range(symbols):
            s = keys[t, i] & mask
            value = values[t, s]
            if np.isnan(value):
                out[s, start + t] = np.nan
                continue
            # The last bits of the values were not looked at yet.
            j = n
            while j > 0 and key[j - 1] > value:
                key[j], order[j] = key[j - 1], order[j - 1]
                j -= 1
            key[j], order[j] = value, s
            n += 1
        first = 0
        while first < n:
            after = first + 1
            while after < n and key[after] == key[first]:
                after += 1
            rank = (first + after + 1) / 2.0
            for i in range(first, after):
                out[order[i], start + t] = (rank - 0.5) / n
            first = after


@entry
def fill_rows(planes: Floats, symbol: Index, date: Index, first: int, after: int, out: Floats) -> None:
    """Fills out[row, feature] with planes[feature, symbol[row], date[row]] of the rows from `first` on."""
    flat, bars = planes.reshape(len(planes), -1), planes.shape[2]
    place = np.empty(BLOCK, dtype=np.int64)
    for start in range(first, after, BLOCK):
        m = min(BLOCK, after - start)
        for k in range(m):
            place[k] = symbol[start + k] * bars + date[start + k]
        for i in range(len(planes)):
            plane = flat[i]
            for k in range(m):
                out[start + k, i] = plane[place[k]]
