"""Indicators of prices and volume."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel.jit import entry

Floats = NDArray[np.float64]


@entry
def obv(close: Floats, volume: Floats) -> Floats:
    """Returns on-balance volume, beginning with the first bar's."""
    out = np.empty(len(close))
    total = 0.0
    for i in range(len(close)):
        if i == 0 or close[i] > close[i - 1]:
            total += volume[i]
        elif close[i] < close[i - 1]:
            total -= volume[i]
        out[i] = total
    return out


@entry
def ad(high: Floats, low: Floats, close: Floats, volume: Floats) -> Floats:
    """Returns Chaikin's accumulation and distribution line."""
    out = np.empty(len(close))
    total = 0.0
    for i in range(len(close)):
        span = high[i] - low[i]
        if span > 0.0:
            total += ((close[i] - low[i]) - (high[i] - close[i])) / span * volume[i]
        out[i] = total
    return out


@entry
def mfi(high: Floats, low: Floats, close: Floats, volume: Floats, window: int) -> Floats:
    """Returns the money flow index."""
    n = len(close)
    out = np.full(n, np.nan)
    flow = np.zeros(n)
    for i in range(1, n):
        now = (high[i] + low[i] + close[i]) / 3.0
        before = (high[i - 1] + low[i - 1] + close[i - 1]) / 3.0
        flow[i] = now * volume[i] * (1.0 if now > before else (-1.0 if now < before else 0.0))
    for i in range(window, n):
        gain = loss = 0.0
        for j in range(i - window + 1, i + 1):
            gain += max(flow[j], 0.0)
            loss += max(-flow[j], 0.0)
        # TA-Lib gives 0 below one unit of money.
        out[i] = 100.0 * gain / (gain + loss) if gain + loss >= 1.0 else 0.0
    return out


@entry
def vwap(high: Floats, low: Floats, close: Floats, volume: Floats, window: int) -> Floats:
    """Returns the mean typical price of the last `window` bars, weighted by volume."""
    n = len(close)
    out = np.full(n, np.nan)
    for i in range(window - 1, n):
        money = units = 0.0
        for j in range(i - window + 1, i + 1):
            money += (high[j] + low[j] + close[j]) / 3.0 * volume[j]
            units += volume[j]
        out[i] = money / units if units > 0.0 else close[i]
    return out


@entry
def volume_ratio(volume: Floats, window: int) -> Floats:
    """Returns a bar's volume over the mean of the `window` bars before it; 0 where that is 0."""
    n = len(volume)
    out = np.full(n, np.nan)
    for i in range(window, n):
        mean = 0.0
        for j in range(i - window, i):
            mean += volume[j]
        out[i] = volume[i] * window / mean if mean > 0.0 else 0.0
    return out
