"""A bar's bookkeeping for all lanes: equity at the close, returns, drawdown."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel.jit import compiled
from berth_backtest.kernel.layout import (
    BELOW,
    CASH,
    EQUITY,
    HELD,
    LAST_E,
    LOW,
    LOW_PEAK,
    MAX_BELOW,
    MAY_LONG,
    MAY_SHORT,
    NONE,
    ORDER,
    PEAK,
    RISK_FREE,
    RUIN,
    RUINED,
    SUM_D2,
    SUM_E,
    SUM_R,
    SUM_R2,
    UNITS,
)
from berth_backtest.kernel.orders import end_trade

Floats = NDArray[np.float64]


@compiled
def account_bar(state: Floats, width: int, t: int, mark: float, rules: Floats, trades: Floats) -> None:
    """Marks every lane at the last close and adds the bar to its sums."""
    ruined = 0
    for lane in range(width):
        e = state[CASH + lane] + state[UNITS + lane] * mark
        state[EQUITY + lane] = e
        ruined += 1 if (e <= 0.0) & (state[LAST_E + lane] > 0.0) else 0
    if ruined > 0:
        ruin(state, width, t, mark, trades)
    free = rules[RISK_FREE]
    for lane in range(width):
        e = state[EQUITY + lane]
        last = state[LAST_E + lane]
        # Once ruined, equity stays 0 and so do the returns.
        r = e / last - 1.0 if last > 0.0 else 0.0
        state[LAST_E + lane] = e
        state[SUM_R + lane] += r
        state[SUM_R2 + lane] += r * r
        below = min(r - free, 0.0)
        state[SUM_D2 + lane] += below * below
        state[SUM_E + lane] += e
        state[HELD + lane] += 1.0 if state[UNITS + lane] != 0.0 else 0.0
    for lane in range(width):
        e = state[EQUITY + lane]
        peak = max(state[PEAK + lane], e)
        state[PEAK + lane] = peak
        bars = state[BELOW + lane] + 1.0 if e < peak else 0.0
        state[BELOW + lane] = bars
        state[MAX_BELOW + lane] = max(state[MAX_BELOW + lane], bars)
        # e / peak < low / low_peak, without dividing on every bar.
        deeper = e * state[LOW_PEAK + lane] < state[LOW + lane] * peak
        state[LOW + lane] = e if deeper else state[LOW + lane]
        state[LOW_PEAK + lane] = peak if deeper else state[LOW_PEAK + lane]


@compiled
def ruin(state: Floats, width: int, t: int, mark: float, trades: Floats) -> None:
    """Ends the lanes whose equity is gone: closed at the mark, without further costs, at 0."""
    for lane in range(width):
        if (state[EQUITY + lane] <= 0.0) & (state[LAST_E + lane] > 0.0):
            if state[UNITS + lane] != 0.0:
                end_trade(state, lane, t, mark, RUIN, trades)
            state[CASH + lane] = 0.0
            state[EQUITY + lane] = 0.0
            state[ORDER + lane] = NONE
            state[MAY_LONG + lane] = 0.0
            state[MAY_SHORT + lane] = 0.0
            state[RUINED + lane] = 1.0
