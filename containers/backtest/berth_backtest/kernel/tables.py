"""Indicator tables: each unique (symbol, window) once, in float64."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .jit import entry, inner

Floats = NDArray[np.float64]


@inner
def running_sums(values: Floats, high: Floats, low: Floats) -> None:
    """Fills the sums of the first i values as high + low, exact to about 32 digits.

    Two-sum by Knuth, The Art of Computer Programming 2, 4.2.2. Plain running sums would lose the
    digits that decide whether two averages are equal.
    """
    high[0] = 0.0
    low[0] = 0.0
    total = 0.0
    rest = 0.0
    for i in range(len(values)):
        x = values[i]
        s = total + x
        b = s - total
        rest += (total - (s - b)) + (x - b)
        total = s
        high[i + 1] = total
        low[i + 1] = rest


@entry
def sma_tables(
    closes: Floats,
    spans: NDArray[np.int64],
    skips: NDArray[np.int64],
    windows: NDArray[np.int64],
    tables: Floats,
    places: NDArray[np.int64],
) -> None:
    """Fills tables [window, own bar] of some symbols, each beginning at its place of `tables`.

    A symbol's own bars are closes[spans[s, 0] : spans[s, 1]], of which the first skips[s] only warm up.
    """
    for s in range(len(spans)):
        own = closes[spans[s, 0] : spans[s, 1]]
        bars = len(own) - skips[s]
        table = tables[places[s] : places[s] + len(windows) * bars]
        fill_means(own, skips[s], windows, table.reshape((len(windows), bars)))


@inner
def fill_means(closes: Floats, skip: int, windows: NDArray[np.int64], out: Floats) -> None:
    """Fills out[w, i] with the mean of the last windows[w] closes up to closes[skip + i].

    What is not defined yet is NaN.
    """
    n = len(closes)
    high = np.empty(n + 1)
    low = np.empty(n + 1)
    running_sums(closes, high, low)
    for w in range(len(windows)):
        window = windows[w]
        first = min(max(window - 1, skip), n)
        out[w, : first - skip] = np.nan
        means(high, low, first + 1, n + 1, window, out[w, first - skip :])


@inner
def means(high: Floats, low: Floats, first: int, end: int, window: int, out: Floats) -> None:
    """Fills out with the means of the last values from running sums, those from `first` to `end`.

    Over slices from 0 on: then several are computed at once (moves.py).
    """
    tops, bottoms = high[first:end], high[first - window : end - window]
    rests, before = low[first:end], low[first - window : end - window]
    for i in range(len(tops)):
        out[i] = ((tops[i] - bottoms[i]) + (rests[i] - before[i])) / window


@entry
def window_tables(
    function: Any, x: Floats, skip: int, back: int, windows: NDArray[np.int64], out: Floats
) -> None:
    """Fills out[w, i] with function(x, windows[w]) at x[skip + i - back]; NaN before the first bar.

    In one call for all windows: threads that each call for one wait for the interpreter in between.
    """
    for w in range(len(windows)):
        put_from(function(x, windows[w]), skip, back, out[w])


@entry
def symbol_tables(
    function: Any,
    x: Floats,
    starts: NDArray[np.int64],
    skips: NDArray[np.int64],
    back: int,
    window: int,
    out: Floats,
) -> None:
    """Fills out with what window_tables gives of each symbol in turn; x[starts[s]] is its first bar."""
    place = 0
    for s in range(len(skips)):
        bars = starts[s + 1] - starts[s] - skips[s]
        found = function(x[starts[s] : starts[s + 1]], window)
        put_from(found, skips[s], back, out[place : place + bars])
        place += bars


@inner
def put_from(found: Floats, skip: int, back: int, out: Floats) -> None:
    n = len(found)
    undefined = min(max(back - skip, 0), n - skip)
    out[:undefined] = np.nan
    out[undefined:] = found[skip + undefined - back : n - back]
