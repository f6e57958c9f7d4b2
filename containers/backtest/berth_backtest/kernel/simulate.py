"""Runs lanes of parameter sets over one symbol's bars."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel.account import account_bar
from berth_backtest.kernel.jit import compiled
from berth_backtest.kernel.layout import (
    BORROW,
    CASH,
    CLOSE,
    CLOSE_AT_END,
    DELISTED,
    DELISTING,
    END,
    END_ORDERS,
    EQUITY,
    FIELDS,
    FILL,
    GO_FLAT,
    HIT,
    LANES,
    LAST_E,
    LONG,
    LOW,
    LOW_PEAK,
    MAY_LONG,
    MAY_SHORT,
    NEXT_CLOSE,
    NEXT_OPEN,
    NO_BAR_ORDERS,
    NONE,
    ORDER,
    PEAK,
    RAW,
    RETRY,
    SHORT,
    SLIPPAGE,
    START_CASH,
    STOP_LOSS,
    STOPS,
    SUSPENDED_ORDERS,
    TAKE_PROFIT,
    TRADE_BORROW,
    TRAILING,
    UNITS,
)
from berth_backtest.kernel.orders import close_position, fill_order, record_open
from berth_backtest.kernel.signals import cross_signs, gather, sma_cross
from berth_backtest.kernel.stops import check_stops

Floats = NDArray[np.float64]
Index = NDArray[np.int64]
State = NDArray[np.int8]


@compiled
def simulate(
    bars: Floats,
    bar_state: State,
    delisted: int,
    table: Floats,
    fast: Index,
    slow: Index,
    stops: Floats,
    rules: Floats,
    raw: Floats,
    curves: Floats,
    trades: Floats,
) -> None:
    """Runs every set of one symbol; fills raw[set, field].

    `bars` are open, high, low, close by [4, bar]; `table` the averages by [1 + bar, window], its
    first row the bar before the run; `fast` and `slow` each set's windows; `stops` each set's
    stop-loss, take-profit and trailing stop by [3, set]. With room in `curves` (equity, units,
    order by [3, bar, set]) and `trades` at most LANES sets are run, and recorded.
    """
    state = np.empty(FIELDS * LANES)
    for base in range(0, len(fast), LANES):
        width = min(LANES, len(fast) - base)
        start_lanes(state, base, width, stops, rules)
        lane_fast = fast[base : base + width]
        lane_slow = slow[base : base + width]
        gather(state, table[0], lane_fast, lane_slow, width)
        cross_signs(state, width)
        run_bars(state, width, bars, bar_state, delisted, table, lane_fast, lane_slow, rules, curves, trades)
        for lane in range(width):
            for field in range(RAW):
                raw[base + lane, field] = state[field * LANES + lane]


@compiled
def start_lanes(state: Floats, base: int, width: int, stops: Floats, rules: Floats) -> None:
    state[:] = 0.0
    for lane in range(width):
        for field in (CASH, LAST_E, PEAK, LOW, LOW_PEAK):
            state[field + lane] = rules[START_CASH]
        state[MAY_LONG + lane] = rules[LONG]
        state[MAY_SHORT + lane] = rules[SHORT]
        state[STOP_LOSS + lane] = stops[0, base + lane]
        state[TAKE_PROFIT + lane] = stops[1, base + lane]
        state[TRAILING + lane] = stops[2, base + lane]


@compiled
def run_bars(
    state: Floats,
    width: int,
    bars: Floats,
    bar_state: State,
    delisted: int,
    table: Floats,
    fast: Index,
    slow: Index,
    rules: Floats,
    curves: Floats,
    trades: Floats,
) -> None:
    n = bars.shape[1]
    fill = rules[FILL]
    mark = 0.0  # the last close so far
    decided_at = -1  # the bar of the last decision
    orders = 0  # lanes with an order that waits
    for t in range(n):
        if rules[BORROW] > 0.0:
            charge_borrow(state, width, mark, rules)
        if t == delisted:
            close_all(state, width, t, mark, DELISTING, rules, trades)
        if bar_state[t] == 1:
            bar = (bars[0, t], bars[1, t], bars[2, t], bars[3, t])
            if orders > 0 and fill == NEXT_OPEN:
                fill_orders(state, width, t, bar[0], bar[3], mark, rules, trades)
            hits = 0
            if rules[STOPS] > 0.5:
                hits = check_stops(state, width, t, bar, rules, trades)
            if orders > 0 and fill == NEXT_CLOSE:
                drop_hit(state, width, hits)
                fill_orders(state, width, t, bar[3], bar[3], mark, rules, trades)
            mark = bar[3]
            gather(state, table[t + 1], fast, slow, width)
            orders = sma_cross(state, width, rules)
            decided_at = t
            if len(curves) > 0:
                record_orders(state, width, curves[2, t])
            if orders > 0 and fill == CLOSE:
                drop_hit(state, width, hits)
                fill_orders(state, width, t, mark, mark, mark, rules, trades)
                orders = 0
        elif orders > 0 and decided_at == t - 1:
            orders = miss_orders(state, width, bar_state[t], rules)
        if t == n - 1:
            end_run(state, width, t, decided_at, mark, rules, trades)
        account_bar(state, width, t, mark, rules, trades)
        if len(curves) > 0:
            for lane in range(width):
                curves[0, t, lane] = state[EQUITY + lane]
                curves[1, t, lane] = state[UNITS + lane]
    if len(trades) > 0:
        for lane in range(width):
            if state[UNITS + lane] != 0.0:
                record_open(state, lane, mark, trades)


@compiled
def record_orders(state: Floats, width: int, out: Floats) -> None:
    for lane in range(width):
        out[lane] = state[ORDER + lane]


@compiled
def charge_borrow(state: Floats, width: int, mark: float, rules: Floats) -> None:
    """Charges a bar's borrow on the short value at the close before."""
    for lane in range(width):
        if state[UNITS + lane] < 0.0:
            borrow = -state[UNITS + lane] * mark * rules[BORROW]
            state[CASH + lane] -= borrow
            state[TRADE_BORROW + lane] += borrow


@compiled
def fill_orders(
    state: Floats,
    width: int,
    t: int,
    price: float,
    close: float,
    decided: float,
    rules: Floats,
    trades: Floats,
) -> None:
    for lane in range(width):
        if state[ORDER + lane] != NONE:
            fill_order(state, lane, t, price, close, decided, rules, trades)


@compiled
def drop_hit(state: Floats, width: int, hits: int) -> None:
    """Drops the orders due at this close of the lanes whose stop hit within the bar."""
    if hits > 0:
        for lane in range(width):
            if state[HIT + lane] > 0.5:
                state[ORDER + lane] = NONE


@compiled
def miss_orders(state: Floats, width: int, bar_state: int, rules: Floats) -> int:
    """Counts orders that are due on a date without a bar; exits wait on, entries are dropped."""
    reason = SUSPENDED_ORDERS if bar_state == 2 else NO_BAR_ORDERS
    left = 0
    for lane in range(width):
        if state[ORDER + lane] != NONE:
            state[reason + lane] += 1.0
            if rules[RETRY] < 0.5:
                state[ORDER + lane] = GO_FLAT if state[UNITS + lane] != 0.0 else NONE
            left += 1 if state[ORDER + lane] != NONE else 0
    return left


@compiled
def close_all(
    state: Floats, width: int, t: int, mark: float, reason: int, rules: Floats, trades: Floats
) -> None:
    for lane in range(width):
        if state[UNITS + lane] != 0.0:
            close_position(state, lane, t, mark, rules[SLIPPAGE], reason, rules, trades)
            if reason == DELISTING:
                state[DELISTED + lane] = 1.0


@compiled
def end_run(
    state: Floats, width: int, t: int, decided_at: int, mark: float, rules: Floats, trades: Floats
) -> None:
    """Counts what was decided too late, and closes what is open if asked to."""
    if decided_at == t:
        for lane in range(width):
            state[END_ORDERS + lane] += 1.0 if state[ORDER + lane] != NONE else 0.0
    if rules[CLOSE_AT_END] > 0.5:
        close_all(state, width, t, mark, END, rules, trades)
