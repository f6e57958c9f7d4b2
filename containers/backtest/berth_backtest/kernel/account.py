"""A bar's bookkeeping for all lanes: equity at the close, returns, drawdown."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel.jit import inner
from berth_backtest.kernel.layout import (
    BELOW,
    CASH,
    EQUITY,
    LOW,
    LOW_PEAK,
    MAX_BELOW,
    MAY_LONG,
    MAY_SHORT,
    NONE,
    ORDER,
    PEAK,
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


@inner
def account_bar(state: Floats, width: int, mark: float, free: float) -> int:
    """Marks every lane at the last close and adds the bar to its sums; `free` is the bar's riskless return.

    Debt is cut to 0; returns how many lanes have just come to that.
    """
    ruined = 0
    for lane in range(width):
        last = state[EQUITY + lane]
        e = max(state[CASH + lane] + state[UNITS + lane] * mark, 0.0)
        state[EQUITY + lane] = e
        ruined += 1 if (e == 0.0) & (last > 0.0) else 0
        # Once ruined, equity stays 0 and so do the returns.
        r = e / last - 1.0 if last > 0.0 else 0.0
        below = min(r - free, 0.0)
        state[SUM_R + lane] += r
        state[SUM_R2 + lane] += r * r
        state[SUM_D2 + lane] += below * below
        state[SUM_E + lane] += e
        # What is kept unless exceeded is read as x + 0, which no compiler may simplify. Else it
        # stores only the exceeded lanes, and such a store holds up the load at the next bar.
        peak = max(state[PEAK + lane] + 0.0, e)
        state[PEAK + lane] = peak
        bars = state[BELOW + lane] + 1.0 if e < peak else 0.0
        state[BELOW + lane] = bars
        state[MAX_BELOW + lane] = max(state[MAX_BELOW + lane] + 0.0, bars)
        # e / peak < low / low_peak, without dividing on every bar.
        low = state[LOW + lane] + 0.0
        low_peak = state[LOW_PEAK + lane] + 0.0
        deeper = e * low_peak < low * peak
        state[LOW + lane] = e if deeper else low
        state[LOW_PEAK + lane] = peak if deeper else low_peak
    return ruined


@inner
def ruin(state: Floats, width: int, t: int, mark: float, trades: Floats) -> None:
    """Ends the lanes whose equity is gone: closed at the mark, without further costs, at 0."""
    for lane in range(width):
        if (state[EQUITY + lane] == 0.0) & (state[RUINED + lane] == 0.0):
            if state[UNITS + lane] != 0.0:
                end_trade(state, lane, t, mark, RUIN, trades)
            state[CASH + lane] = 0.0
            state[ORDER + lane] = NONE
            state[MAY_LONG + lane] = 0.0
            state[MAY_SHORT + lane] = 0.0
            state[RUINED + lane] = 1.0
