"""The deflated Sharpe ratio: how sure a Sharpe ratio is to be above what luck alone would have found.

Bailey and Lopez de Prado: The deflated Sharpe ratio, Journal of Portfolio Management 40 (5), 2014.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EULER = 0.5772156649015329  # Euler and Mascheroni's constant
NORMAL = NormalDist()


def expected_maximum(variance: float, trials: int) -> float:
    """Returns the Sharpe ratio per bar to expect of the best of as many trials without any skill."""
    if trials < 2:
        return 0.0
    # Quantiles of 1 - x as those of x: 1 - x loses the digits of a small x.
    first = -NORMAL.inv_cdf(1.0 / trials)
    second = -NORMAL.inv_cdf(1.0 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - EULER) * first + EULER * second)


def probabilistic(sharpe: float, bars: int, skewness: float, kurtosis: float, above: float) -> float | None:
    """Returns the probability that the true Sharpe ratio (all per bar) is above a value."""
    error = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe
    if bars < 2 or error <= 0.0:
        return None
    return NORMAL.cdf((sharpe - above) * math.sqrt(bars - 1.0) / math.sqrt(error))


def moments_of(returns: Floats) -> tuple[float, float, float] | None:
    """Returns standard deviation (ddof 1), skewness and kurtosis (both biased); None without a deviation."""
    away = returns - returns.mean()
    squares = away * away
    second = float(squares.mean())
    if len(returns) < 2 or second <= 0.0:
        return None
    skewness = float((squares * away).mean()) / second**1.5
    kurtosis = float((squares * squares).mean()) / second**2
    return math.sqrt(second * len(returns) / (len(returns) - 1.0)), skewness, kurtosis


def variance_of(sharpes: Floats) -> float | None:
    """Returns the variance (ddof 1) of the trials' Sharpe ratios that are defined; None of fewer than two."""
    known = sharpes[~np.isnan(sharpes)]
    return float(np.var(known, ddof=1)) if len(known) > 1 else None


def deflated_sharpe(returns: Floats, free: float, variance: float | None, trials: int) -> float | None:
    """Returns the deflated Sharpe ratio of the best trial's returns; None where it is undefined."""
    moments = moments_of(returns)
    if moments is None or (variance is None and trials > 1):
        return None
    deviation, skewness, kurtosis = moments
    sharpe = (float(returns.mean()) - free) / deviation
    above = expected_maximum(variance or 0.0, trials)
    return probabilistic(sharpe, len(returns), skewness, kurtosis, above)
