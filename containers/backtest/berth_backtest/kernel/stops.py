"""Stop-loss, take-profit and trailing exits within a bar."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel.jit import inner
from berth_backtest.kernel.layout import (
    ENTRY_BAR,
    EXTREME,
    FROM_ENTRY_CLOSE,
    HAS_OPEN,
    HAS_RANGE,
    HIT,
    PROFITED,
    REFERENCE,
    SLIPPAGE,
    STOP_FROM,
    STOP_LOSS,
    STOP_SLIPPAGE,
    STOPPED,
    TAKE_PROFIT,
    TRAILED,
    TRAILING,
    UNITS,
)
from berth_backtest.kernel.orders import close_position

Floats = NDArray[np.float64]


@inner
def check_stops(
    state: Floats, width: int, t: int, bar: tuple[float, float, float, float], rules: Floats, trades: Floats
) -> int:
    """Closes the lanes whose stop this bar (open, high, low, close) touches; returns how many."""
    hits = 0
    for lane in range(width):
        state[HIT + lane] = 0.0
        units = state[UNITS + lane]
        if units == 0.0:
            continue
        # The close of the entry bar is not known before that bar ends.
        if rules[STOP_FROM] == FROM_ENTRY_CLOSE and state[ENTRY_BAR + lane] == t:
            state[EXTREME + lane] = extreme(state[EXTREME + lane], units, bar)
            continue
        if check_lane(state, lane, t, 1.0 if units > 0.0 else -1.0, bar, rules, trades):
            state[HIT + lane] = 1.0
            hits += 1
        else:
            state[EXTREME + lane] = extreme(state[EXTREME + lane], units, bar)
    return hits


@inner
def extreme(so_far: float, units: float, bar: tuple[float, float, float, float]) -> float:
    return max(so_far, bar[1]) if units > 0.0 else min(so_far, bar[2])


@inner
def check_lane(
    state: Floats,
    lane: int,
    t: int,
    side: float,
    bar: tuple[float, float, float, float],
    rules: Floats,
    trades: Floats,
) -> bool:
    """Tests one position; prices times `side` turn a short into a long."""
    adverse = side * (bar[2] if side > 0.0 else bar[1])
    favourable = side * (bar[1] if side > 0.0 else bar[2])
    reference = state[REFERENCE + lane]
    level = -np.inf
    reason = STOPPED
    if state[STOP_LOSS + lane] > 0.0:
        level = side * (reference * (1.0 - side * state[STOP_LOSS + lane]))
    if state[TRAILING + lane] > 0.0:
        trail = side * (state[EXTREME + lane] * (1.0 - side * state[TRAILING + lane]))
        if trail > level:
            level = trail
            reason = TRAILED
    if adverse <= level:
        slippage = rules[SLIPPAGE] if rules[STOP_SLIPPAGE] > 0.5 else 0.0
        p = hit_price(side * level, bar, rules, side > 0.0)
        close_position(state, lane, t, p, slippage, reason, rules, trades)
        return True
    if state[TAKE_PROFIT + lane] > 0.0:
        goal = reference * (1.0 + side * state[TAKE_PROFIT + lane])
        if favourable >= side * goal:
            p = hit_price(goal, bar, rules, side < 0.0)
            close_position(state, lane, t, p, 0.0, PROFITED, rules, trades)
            return True
    return False


@inner
def hit_price(level: float, bar: tuple[float, float, float, float], rules: Floats, lower: bool) -> float:
    """Returns the fill: the level, or the open beyond it; the close where there is no range."""
    if rules[HAS_RANGE] < 0.5:
        return bar[3]
    if rules[HAS_OPEN] < 0.5:
        return level
    return min(bar[0], level) if lower else max(bar[0], level)
