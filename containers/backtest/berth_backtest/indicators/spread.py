"""How widely one series spreads."""

import math

import numpy as np
from numpy.typing import NDArray

from berth_backtest.indicators.averages import first_number, sma
from berth_backtest.kernel.jit import entry

Floats = NDArray[np.float64]


BLOCK = 512  # windows that are summed side by side, in the nearest cache


@entry
def stddev(x: Floats, window: int) -> Floats:
    """Returns the population deviation of the last `window` values."""
    n = len(x)
    out = np.full(n, np.nan)
    mean, square = np.empty(BLOCK), np.empty(BLOCK)
    # Each window's sums go from its oldest value to its latest, as if it were alone; side by side the
    # machine adds several at once, and four values of each while the sums are in its registers.
    for start in range(first_number(x) + window - 1, n, BLOCK):
        m = min(BLOCK, n - start)
        mean[:m] = 0.0
        square[:m] = 0.0
        oldest = start - window + 1
        rest = oldest + window // 4 * 4
        for j in range(oldest, rest, 4):
            part = x[j : j + m + 3]
            for k in range(m):
                mean[k] = mean[k] + part[k] + part[k + 1] + part[k + 2] + part[k + 3]
        for j in range(rest, start + 1):
            part = x[j : j + m]
            for k in range(m):
                mean[k] += part[k]
        for k in range(m):
            mean[k] /= window
        for j in range(oldest, rest, 4):
            part = x[j : j + m + 3]
            for k in range(m):
                a, b = part[k] - mean[k], part[k + 1] - mean[k]
                c, d = part[k + 2] - mean[k], part[k + 3] - mean[k]
                square[k] = square[k] + a * a + b * b + c * c + d * d
        for j in range(rest, start + 1):
            part = x[j : j + m]
            for k in range(m):
                square[k] += (part[k] - mean[k]) ** 2
        for k in range(m):
            out[start + k] = math.sqrt(square[k] / window)
    return out


@entry
def bollinger_middle(x: Floats, window: int) -> Floats:
    """Returns the middle band: the simple average."""
    return sma(x, window)


@entry
def bollinger_upper(x: Floats, window: int, deviations: float) -> Floats:
    """Returns the average plus `deviations` population deviations."""
    return sma(x, window) + deviations * stddev(x, window)


@entry
def bollinger_lower(x: Floats, window: int, deviations: float) -> Floats:
    """Returns the average less `deviations` population deviations."""
    return sma(x, window) - deviations * stddev(x, window)


@entry
def linreg_slope(x: Floats, window: int) -> Floats:
    """Returns the slope per bar of the least-squares line through the last `window` values."""
    n = len(x)
    out = np.full(n, np.nan)
    middle = (window - 1) / 2.0
    scale = window * (window * window - 1.0) / 12.0
    for i in range(first_number(x) + window - 1, n):
        total = 0.0
        for j in range(window):
            total += (j - middle) * x[i - window + 1 + j]
        out[i] = total / scale
    return out
