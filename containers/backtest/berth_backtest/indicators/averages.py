"""Moving averages of one series."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel.jit import entry
from berth_backtest.kernel.tables import means, running_sums

Floats = NDArray[np.float64]


@entry
def sma(x: Floats, window: int) -> Floats:
    """Returns the mean of the last `window` values, exact to about 1e-16."""
    n = len(x)
    out = np.full(n, np.nan)
    start = first_number(x)
    if start + window > n:
        return out
    high = np.empty(n - start + 1)
    low = np.empty(n - start + 1)
    running_sums(x[start:], high, low)
    means(high, low, window, n - start + 1, window, out[start + window - 1 :])
    return out


@entry
def first_number(x: Floats) -> int:
    """Returns the place of the first value that is no NaN."""
    for i in range(len(x)):
        if x[i] == x[i]:
            return i
    return len(x)


@entry
def ema(x: Floats, window: int) -> Floats:
    """Returns the exponential average with alpha 2 / (window + 1), seeded by the simple one."""
    return ema_from(x, window, first_number(x) + window - 1)


@entry
def ema_from(x: Floats, window: int, seed: int) -> Floats:
    """Returns the exponential average whose first value is the mean of the bars up to `seed`."""
    n = len(x)
    out = np.full(n, np.nan)
    if seed >= n:
        return out
    total = 0.0
    for i in range(seed - window + 1, seed + 1):
        total += x[i]
    value = total / window
    out[seed] = value
    alpha = 2.0 / (window + 1.0)
    for i in range(seed + 1, n):
        value += alpha * (x[i] - value)
        out[i] = value
    return out


@entry
def wma(x: Floats, window: int) -> Floats:
    """Returns the average with the weights 1 to `window`, the last bar's the largest."""
    n = len(x)
    out = np.full(n, np.nan)
    weight = window * (window + 1) / 2.0
    for i in range(first_number(x) + window - 1, n):
        total = 0.0
        for j in range(window):
            total += (j + 1) * x[i - window + 1 + j]
        out[i] = total / weight
    return out


@entry
def dema(x: Floats, window: int) -> Floats:
    """Returns 2 EMA - EMA of EMA."""
    once = ema(x, window)
    return 2.0 * once - ema(once, window)


@entry
def tema(x: Floats, window: int) -> Floats:
    """Returns 3 EMA - 3 EMA of EMA + EMA of EMA of EMA."""
    once = ema(x, window)
    twice = ema(once, window)
    return 3.0 * once - 3.0 * twice + ema(twice, window)


@entry
def trima(x: Floats, window: int) -> Floats:
    """Returns the triangular average: a simple average of simple averages."""
    if window % 2 == 1:
        return sma(sma(x, (window + 1) // 2), (window + 1) // 2)
    return sma(sma(x, window // 2), window // 2 + 1)


@entry
def trix(x: Floats, window: int) -> Floats:
    """Returns the change per bar of a threefold EMA, in percent."""
    thrice = ema(ema(ema(x, window), window), window)
    out = np.full(len(x), np.nan)
    for i in range(1, len(x)):
        out[i] = (thrice[i] / thrice[i - 1] - 1.0) * 100.0
    return out


@entry
def kama(x: Floats, window: int) -> Floats:
    """Returns Kaufman's adaptive average, with the constants 2/3 and 2/31."""
    n = len(x)
    out = np.full(n, np.nan)
    start = first_number(x)
    if start + window >= n:
        return out
    value = x[start + window - 1]
    fast, slow = 2.0 / 3.0, 2.0 / 31.0
    for i in range(start + window, n):
        path = 0.0
        for j in range(i - window + 1, i + 1):
            path += abs(x[j] - x[j - 1])
        way = abs(x[i] - x[i - window])
        share = 1.0 if path <= way or path == 0.0 else way / path
        smooth = share * (fast - slow) + slow
        value += smooth * smooth * (x[i] - value)
        out[i] = value
    return out
