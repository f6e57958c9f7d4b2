"""The metrics of a run by name; kernel/metrics.py has their definitions.

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
    from berth_backtest.kernel.metrics import fill_metrics

    rows = np.ascontiguousarray(raw).reshape(-1, raw.shape[-1])
    found = np.empty((len(rows), len(NAMES)))
    fill_metrics(rows, np.array([bars, cash, periods, risk_free]), found)
    return found.reshape(*raw.shape[:-1], len(NAMES))


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
