"""How far and how fast one series moves."""

import math

import numpy as np
from numpy.typing import NDArray

from berth_backtest.indicators.averages import ema, ema_from, first_number
from berth_backtest.kernel.jit import entry

Floats = NDArray[np.float64]


@entry
def rsi(x: Floats, window: int) -> Floats:
    """Returns Wilder's relative strength index, seeded by the mean of the first `window` changes."""
    n = len(x)
    out = np.full(n, np.nan)
    start = first_number(x)
    if start + window >= n:
        return out
    gain = loss = 0.0
    for i in range(start + 1, start + window + 1):
        change = x[i] - x[i - 1]
        gain += max(change, 0.0)
        loss += max(-change, 0.0)
    gain /= window
    loss /= window
    for i in range(start + window, n):
        if i > start + window:
            change = x[i] - x[i - 1]
            gain = (gain * (window - 1) + max(change, 0.0)) / window
            loss = (loss * (window - 1) + max(-change, 0.0)) / window
        out[i] = 100.0 * gain / (gain + loss) if gain + loss > 0.0 else 0.0
    return out


@entry
def macd(x: Floats, fast: int, slow: int) -> Floats:
    """Returns EMA(fast) - EMA(slow), both seeded at the slow one's first bar."""
    seed = first_number(x) + slow - 1
    return ema_from(x, fast, seed) - ema_from(x, slow, seed)


@entry
def macd_signal(x: Floats, fast: int, slow: int, signal: int) -> Floats:
    """Returns the EMA of the MACD."""
    return ema(macd(x, fast, slow), signal)


@entry
def macd_hist(x: Floats, fast: int, slow: int, signal: int) -> Floats:
    """Returns the MACD less its signal."""
    line = macd(x, fast, slow)
    return line - ema(line, signal)


@entry
def mom(x: Floats, window: int) -> Floats:
    """Returns the change over `window` bars."""
    out = np.full(len(x), np.nan)
    for i in range(window, len(x)):
        out[i] = x[i] - x[i - window]
    return out


@entry
def roc(x: Floats, window: int) -> Floats:
    """Returns the change over `window` bars in percent."""
    out = np.full(len(x), np.nan)
    for i in range(window, len(x)):
        out[i] = (x[i] / x[i - window] - 1.0) * 100.0
    return out


@entry
def zscore(x: Floats, window: int) -> Floats:
    """Returns (x - mean) / population deviation of the last `window` values; 0 where that is 0.

    Sums run within blocks of `window` bars, around the block's first value, so that old and large
    values leave no rounding behind.
    """
    n = len(x)
    out = np.full(n, np.nan)
    start = first_number(x)
    totals, squares = np.empty(window), np.empty(window)
    for first in range(start + window - 1, n, window):
        part = x[first : first + window]
        middle = part[0]
        total = square = 0.0
        for j in range(first - window + 1, first + 1):
            total += x[j] - middle
            square += (x[j] - middle) ** 2
        totals[0], squares[0] = total, square
        for k in range(1, len(part)):
            new, old = part[k] - middle, x[first + k - window] - middle
            total += new - old
            square += new * new - old * old
            totals[k], squares[k] = total, square
        found = out[first : first + window]
        for k in range(len(part)):  # the roots and quotients of several bars at once
            mean = totals[k] / window
            variance = squares[k] / window - mean * mean
            flat = variance <= 1e-14 * (squares[k] / window)
            found[k] = 0.0 if flat else (part[k] - middle - mean) / math.sqrt(variance)
    return out
