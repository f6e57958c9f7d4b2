"""When orders fill, wait or are dropped, for the lanes that have one."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel.jit import inner
from berth_backtest.kernel.layout import (
    FILL,
    GO_FLAT,
    HIT,
    NEXT_CLOSE,
    NEXT_OPEN,
    NO_BAR_ORDERS,
    NONE,
    ORDER,
    RETRY,
    STOPS,
    SUSPENDED_ORDERS,
    UNITS,
)
from berth_backtest.kernel.orders import fill_order
from berth_backtest.kernel.stops import check_stops

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


@inner
def fill_due(
    state: Floats,
    width: int,
    t: int,
    bars: Floats,
    mark: float,
    waiting: Index,
    orders: int,
    rules: Floats,
    trades: Floats,
) -> int:
    """Fills waiting orders and tests stops, in the order of the fill; returns the stops that hit."""
    bar = (bars[0, t], bars[1, t], bars[2, t], bars[3, t])
    hits = 0
    if orders > 0 and rules[FILL] == NEXT_OPEN:
        fill_orders(state, waiting, orders, t, bar[0], bar[3], mark, rules, trades)
    if rules[STOPS] > 0.5:
        hits = check_stops(state, width, t, bar, rules, trades)
    if orders > 0 and rules[FILL] == NEXT_CLOSE:
        drop_hit(state, waiting, orders, hits)
        fill_orders(state, waiting, orders, t, bar[3], bar[3], mark, rules, trades)
    return hits


@inner
def fill_now(
    state: Floats,
    t: int,
    close: float,
    waiting: Index,
    orders: int,
    hits: int,
    rules: Floats,
    trades: Floats,
) -> int:
    """Fills what was decided at this close, at this close; returns the orders left: none."""
    drop_hit(state, waiting, orders, hits)
    fill_orders(state, waiting, orders, t, close, close, close, rules, trades)
    return 0


@inner
def fill_orders(
    state: Floats,
    waiting: Index,
    orders: int,
    t: int,
    price: float,
    close: float,
    decided: float,
    rules: Floats,
    trades: Floats,
) -> None:
    for i in range(orders):
        lane = waiting[i]
        if state[ORDER + lane] != NONE:
            fill_order(state, lane, t, price, close, decided, rules, trades)


@inner
def drop_hit(state: Floats, waiting: Index, orders: int, hits: int) -> None:
    """Drops the orders due at this close of the lanes whose stop hit within the bar."""
    if hits > 0:
        for i in range(orders):
            lane = waiting[i]
            if state[HIT + lane] > 0.5:
                state[ORDER + lane] = NONE


@inner
def miss_orders(state: Floats, waiting: Index, orders: int, bar_state: int, rules: Floats) -> int:
    """Counts orders that are due on a date without a bar; exits wait on, entries are dropped."""
    reason = SUSPENDED_ORDERS if bar_state == 2 else NO_BAR_ORDERS
    left = 0
    for i in range(orders):
        lane = waiting[i]
        state[reason + lane] += 1.0
        if rules[RETRY] < 0.5:
            state[ORDER + lane] = GO_FLAT if state[UNITS + lane] != 0.0 else NONE
        if state[ORDER + lane] != NONE:
            waiting[left] = lane
            left += 1
    return left
