"""How far the best point's Sharpe ratio and drawdown might have come out otherwise.

The stationary bootstrap of Politis and Romano (JASA 89, 1994), its mean block length by Politis and
White (Econometric Reviews 23, 2004) with the correction of Patton, Politis and White (28, 2009).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from berth_backtest.honest.sample import keys_of
from berth_backtest.metrics import number

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

REPLICATES = 1_000
LEAST_REPLICATES = 100
MOST_DRAWS = 50_000_000  # replicates x bars: some seconds
AT_ONCE = 262_144  # draws held together
LEVEL = 0.95
LEAST_BARS = 20  # below it there is nothing to draw from
BAND = 2.0  # deviations of an autocorrelation that counts as 0: Politis and White's c


@dataclass(frozen=True)
class Interval:
    value: float | None  # of the returns as they were
    low: float | None
    high: float | None


def bootstrap_of(returns: Floats, free: float, periods: float, seed: int) -> dict[str, object] | None:
    """Returns intervals of the annual Sharpe ratio and of the drawdown; None for too few bars."""
    n = len(returns)
    if n < LEAST_BARS:
        return None
    length = block_length(returns)
    replicates = max(LEAST_REPLICATES, min(REPLICATES, MOST_DRAWS // n))
    step = max(1, AT_ONCE // n)
    sharpes, drawdowns = np.empty(replicates), np.empty(replicates)
    for first in range(0, replicates, step):
        part = slice(first, min(first + step, replicates))
        drawn = returns[draws(np.arange(part.start, part.stop), n, length, seed)]
        sharpes[part], drawdowns[part] = figures_of(drawn, free)
    own_sharpe, own_drawdown = figures_of(returns[None, :], free)
    root = math.sqrt(periods)
    return {
        "replicates": replicates,
        "block_length": length,
        "level": LEVEL,
        "sharpe": vars(interval(own_sharpe[0] * root, sharpes * root)),
        "max_drawdown": vars(interval(own_drawdown[0], drawdowns)),
    }


def draws(numbers: Index, bars: int, length: float, seed: int) -> Index:
    """Returns the bars [replicate, bar] that replicates take; each depends on its number and the seed."""
    at = np.arange(bars)
    keys = keys_of(seed, numbers[:, None] * bars + at)
    fresh = (keys >> np.uint64(11)) * 2.0**-53 < 1.0 / length
    fresh[:, 0] = True
    # A second key says where a new block begins: the first one is small where there is one.
    starts = (keys_of(seed + 1, numbers[:, None] * bars + at) >> np.uint64(11)) * (2.0**-53 * bars)
    last = np.maximum.accumulate(np.where(fresh, at, 0), axis=1)
    begins = np.minimum(np.take_along_axis(starts, last, axis=1).astype(np.int64), bars - 1)
    return np.asarray((begins + at - last) % bars, dtype=np.int64)


def figures_of(returns: Floats, free: float) -> tuple[Floats, Floats]:
    """Returns Sharpe ratios per bar and drawdowns of [replicate, bar]; NaN = undefined."""
    deviation = returns.std(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        sharpes = np.where(deviation > 0.0, (returns.mean(axis=1) - free) / deviation, np.nan)
    equity = np.multiply.accumulate(1.0 + returns, axis=1)
    peak = np.maximum(np.maximum.accumulate(equity, axis=1), 1.0)
    return sharpes, (equity / peak).min(axis=1) - 1.0


def interval(value: float, replicates: Floats) -> Interval:
    known = replicates[~np.isnan(replicates)]
    if len(known) == 0:
        return Interval(number(value), None, None)
    low, high = np.quantile(known, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
    return Interval(number(value), float(low), float(high))


def block_length(returns: Floats) -> float:
    """Returns the mean length of the blocks: at least 1, at most min(3 sqrt(n), n / 3) rounded up."""
    n = len(returns)
    away = returns - returns.mean()
    run = max(5, math.ceil(math.sqrt(math.log10(n))))
    lags = min(math.ceil(math.sqrt(n)) + run, n - 1)
    covariances = np.array([float((away[k:] * away[: n - k]).sum()) / n for k in range(lags + 1)])
    if covariances[0] <= 0.0:
        return 1.0
    small = np.abs(covariances[1:] / covariances[0]) < BAND * math.sqrt(math.log10(n) / n)
    width = min(2 * max(lag_after_which(small, run), 1), lags)
    lag = np.arange(1, width + 1)
    weight = np.minimum(1.0, 2.0 * (1.0 - lag / width))
    spectrum = covariances[0] + 2.0 * float((weight * covariances[1 : width + 1]).sum())
    slope = 2.0 * float((weight * lag * covariances[1 : width + 1]).sum())
    if spectrum <= 0.0:
        return 1.0
    length: float = (slope * slope / (spectrum * spectrum) * n) ** (1 / 3)
    return max(1.0, min(length, math.ceil(min(3.0 * math.sqrt(n), n / 3.0))))


def lag_after_which(small: NDArray[np.bool_], run: int) -> int:
    """Returns the least lag after which `run` autocorrelations in turn are small, else the last large one."""
    for lag in range(len(small) - run + 1):
        if small[lag : lag + run].all():
            return lag
    large = np.flatnonzero(~small)
    return int(large[-1]) + 1 if len(large) else 0
