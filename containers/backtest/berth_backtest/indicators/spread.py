"""How widely one series spreads."""

import math

import numpy as np
from numpy.typing import NDArray

from berth_backtest.indicators.averages import first_number, sma
from berth_backtest.kernel.jit import entry

Floats = NDArray[np.float64]


@entry
def stddev(x: Floats, window: int) -> Floats:
    """Returns the population deviation of the last `window` values."""
    n = len(x)
    out = np.full(n, np.nan)
    for i in range(first_number(x) + window - 1, n):
        mean = 0.0
        for j in range(i - window + 1, i + 1):
            mean += x[j]
        mean /= window
        square = 0.0
        for j in range(i - window + 1, i + 1):
            square += (x[j] - mean) ** 2
        out[i] = math.sqrt(square / window)
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
