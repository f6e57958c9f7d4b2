"""Indicators of highs and lows."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.indicators.averages import sma
from berth_backtest.kernel.jit import entry

Floats = NDArray[np.float64]


@entry
def highest(x: Floats, window: int) -> Floats:
    """Returns the largest of the last `window` values."""
    return -lowest(-x, window)


@entry
def lowest(x: Floats, window: int) -> Floats:
    """Returns the smallest of the last `window` values."""
    n = len(x)
    out = np.full(n, np.nan)
    # Places whose values ascend: the first is the smallest in the window.
    queue = np.empty(n, dtype=np.int64)
    head = tail = 0
    for i in range(n):
        while tail > head and x[queue[tail - 1]] >= x[i]:
            tail -= 1
        queue[tail] = i
        tail += 1
        if queue[head] <= i - window:
            head += 1
        if i >= window - 1:
            out[i] = x[queue[head]]
    return out


@entry
def true_range(high: Floats, low: Floats, close: Floats, i: int) -> float:
    value: float = max(high[i] - low[i], abs(high[i] - close[i - 1]), abs(low[i] - close[i - 1]))
    return value


@entry
def atr(high: Floats, low: Floats, close: Floats, window: int) -> Floats:
    """Returns Wilder's average true range, seeded by the mean of the first `window` ranges."""
    n = len(close)
    out = np.full(n, np.nan)
    if window >= n:
        return out
    value = 0.0
    for i in range(1, window + 1):
        value += true_range(high, low, close, i)
    value /= window
    out[window] = value
    for i in range(window + 1, n):
        value = (value * (window - 1) + true_range(high, low, close, i)) / window
        out[i] = value
    return out


@entry
def natr(high: Floats, low: Floats, close: Floats, window: int) -> Floats:
    """Returns the average true range in percent of the close."""
    return atr(high, low, close, window) / close * 100.0


@entry
def directions(high: Floats, low: Floats, close: Floats, window: int) -> tuple[Floats, Floats]:
    """Returns Wilder's +DI and -DI; sums are seeded by the first `window` - 1 bars as in TA-Lib."""
    n = len(close)
    plus, minus = np.full(n, np.nan), np.full(n, np.nan)
    up = down = span = 0.0
    for i in range(1, n):
        rise, fall = high[i] - high[i - 1], low[i - 1] - low[i]
        rises = rise if rise > 0.0 and rise > fall else 0.0
        falls = fall if fall > 0.0 and fall > rise else 0.0
        if i >= window:
            up -= up / window
            down -= down / window
            span -= span / window
        up += rises
        down += falls
        span += true_range(high, low, close, i)
        if i >= window:
            plus[i] = 100.0 * up / span if span > 0.0 else 0.0
            minus[i] = 100.0 * down / span if span > 0.0 else 0.0
    return plus, minus


@entry
def plus_di(high: Floats, low: Floats, close: Floats, window: int) -> Floats:
    """Returns Wilder's positive directional indicator."""
    return directions(high, low, close, window)[0]


@entry
def minus_di(high: Floats, low: Floats, close: Floats, window: int) -> Floats:
    """Returns Wilder's negative directional indicator."""
    return directions(high, low, close, window)[1]


@entry
def adx(high: Floats, low: Floats, close: Floats, window: int) -> Floats:
    """Returns Wilder's average directional index."""
    n = len(close)
    out = np.full(n, np.nan)
    plus, minus = directions(high, low, close, window)
    value = total = 0.0
    for i in range(window, n):
        both = plus[i] + minus[i]
        index = 100.0 * abs(plus[i] - minus[i]) / both if both > 0.0 else 0.0
        if i < 2 * window:
            total += index
            value = total / window
        else:
            value = (value * (window - 1) + index) / window
        if i >= 2 * window - 1:
            out[i] = value
    return out


@entry
def cci(high: Floats, low: Floats, close: Floats, window: int) -> Floats:
    """Returns the commodity channel index."""
    n = len(close)
    out = np.full(n, np.nan)
    price = (high + low + close) / 3.0
    for i in range(window - 1, n):
        part = price[i - window + 1 : i + 1]
        mean = part.sum() / window
        spread = np.abs(part - mean).sum() / window
        gap = price[i] - mean
        out[i] = gap / (0.015 * spread) if gap != 0.0 and spread != 0.0 else 0.0
    return out


@entry
def willr(high: Floats, low: Floats, close: Floats, window: int) -> Floats:
    """Returns Williams %R, from -100 to 0."""
    top, bottom = highest(high, window), lowest(low, window)
    out = np.full(len(close), np.nan)
    for i in range(window - 1, len(close)):
        span = top[i] - bottom[i]
        out[i] = (top[i] - close[i]) / span * -100.0 if span > 0.0 else 0.0
    return out


@entry
def fast_k(high: Floats, low: Floats, close: Floats, window: int, still: float) -> Floats:
    """Returns the close's place in the range of `window` bars, 0 to 100; `still` without a range."""
    top, bottom = highest(high, window), lowest(low, window)
    out = np.full(len(close), np.nan)
    for i in range(window - 1, len(close)):
        span = top[i] - bottom[i]
        out[i] = (close[i] - bottom[i]) / span * 100.0 if span > 0.0 else still
    return out


@entry
def stoch_k(high: Floats, low: Floats, close: Floats, window: int, smooth: int) -> Floats:
    """Returns the slow stochastic %K: a simple average of the fast one."""
    return sma(fast_k(high, low, close, window, 0.0), smooth)


@entry
def stoch_d(high: Floats, low: Floats, close: Floats, window: int, smooth: int, signal: int) -> Floats:
    """Returns the slow stochastic %D: a simple average of the slow %K."""
    return sma(sma(fast_k(high, low, close, window, 0.0), smooth), signal)


@entry
def third(x: Floats) -> Floats:
    """Returns the average that moves a third of the way each bar, from 50."""
    out = np.full(len(x), np.nan)
    value = 50.0
    for i in range(len(x)):
        if x[i] == x[i]:
            value += (x[i] - value) / 3.0
            out[i] = value
    return out


@entry
def kdj_k(high: Floats, low: Floats, close: Floats, window: int) -> Floats:
    """Returns K of KDJ: the raw value (50 without a range) smoothed by a third, from 50."""
    return third(fast_k(high, low, close, window, 50.0))


@entry
def kdj_d(high: Floats, low: Floats, close: Floats, window: int) -> Floats:
    """Returns D of KDJ: K smoothed once more."""
    return third(kdj_k(high, low, close, window))


@entry
def kdj_j(high: Floats, low: Floats, close: Floats, window: int) -> Floats:
    """Returns J of KDJ: 3 K - 2 D."""
    k = kdj_k(high, low, close, window)
    return 3.0 * k - 2.0 * third(k)


@entry
def aroon_up(high: Floats, window: int) -> Floats:
    """Returns how recent the highest high of the last `window` + 1 bars is, 100 = now."""
    return aroon_down(-high, window)


@entry
def aroon_down(low: Floats, window: int) -> Floats:
    """Returns how recent the lowest low of the last `window` + 1 bars is, 100 = now."""
    n = len(low)
    out = np.full(n, np.nan)
    for i in range(window, n):
        at = i - window
        for j in range(i - window, i + 1):
            if low[j] <= low[at]:
                at = j
        out[i] = 100.0 * (window - (i - at)) / window
    return out
