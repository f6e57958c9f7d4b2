"""The metrics of one run from the kernel's sums, by their standard definitions.

Returns are simple and per bar; n bars give n returns. A zero denominator gives NaN here and null
in every file.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NAMES = (
    "total_return",
    "annual_return",
    "annual_volatility",
    "sharpe",
    "sortino",
    "calmar",
    "max_drawdown",
    "max_drawdown_bars",
    "trades",
    "open_trades",
    "win_rate",
    "profit_factor",
    "exposure",
    "turnover",
    "fees",
    "final_equity",
)
COUNTS = ("max_drawdown_bars", "trades", "open_trades")
MINIMISED = ("annual_volatility", "fees", "turnover", "max_drawdown_bars")


def metrics_of(raw: Floats, bars: int, cash: float, periods: float, risk_free: float) -> Floats:
    """Returns [..., metric] in the order of NAMES from [..., field] in the order of the kernel."""
    sum_r, sum_r2, sum_d2, sum_e, low, low_peak, below, held = np.moveaxis(raw[..., :8], -1, 0)
    fees, traded, trades, wins, gains, losses, equity, opened = np.moveaxis(raw[..., 8:16], -1, 0)
    mean = sum_r / bars - risk_free / periods
    root = np.sqrt(periods)
    spread = np.maximum(sum_r2 - sum_r * (sum_r / bars), 0.0)
    deviation = np.sqrt(ratio(spread, np.asarray(bars - 1.0)))
    growth = np.where(equity > 0, np.power(np.maximum(equity, 0.0) / cash, periods / bars), 0.0)
    drawdown = low / low_peak - 1.0
    values = {
        "total_return": equity / cash - 1.0,
        "annual_return": growth - 1.0,
        "annual_volatility": deviation * root,
        "sharpe": ratio(mean, deviation) * root,
        "sortino": ratio(mean, np.sqrt(sum_d2 / bars)) * root,
        "calmar": ratio(growth - 1.0, np.abs(drawdown)),
        "max_drawdown": drawdown,
        "max_drawdown_bars": below,
        "trades": trades,
        "open_trades": opened,
        "win_rate": ratio(wins, trades),
        "profit_factor": ratio(gains, losses),
        "exposure": held / bars,
        "turnover": ratio(traded, sum_e / bars) * (periods / bars),
        "fees": fees,
        "final_equity": equity,
    }
    return np.stack([values[name] for name in NAMES], axis=-1)


def ratio(above: Floats, below: Floats) -> Floats:
    """Returns above / below, NaN where below is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below == 0.0, np.nan, above / below)


def named(values: Floats) -> dict[str, float | int | None]:
    """Returns metrics by name; counts that are whole as whole numbers."""
    found: dict[str, float | int | None] = {}
    for name, value in zip(NAMES, values, strict=True):
        x = number(value)
        found[name] = int(x) if x is not None and name in COUNTS and x.is_integer() else x
    return found


def number(value: float) -> float | None:
    """Returns a number of JSON: null for what is undefined."""
    return float(value) if math.isfinite(value) else None
