"""Runs lanes of parameter sets over one symbol's bars."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel.account import account_bar, ruin
from berth_backtest.kernel.fills import fill_due, fill_now, miss_orders
from berth_backtest.kernel.jit import entry, inner, unowned
from berth_backtest.kernel.layout import (
    BORROW,
    CASH,
    CLOSE,
    CLOSE_AT_END,
    DELISTED,
    DELISTING,
    END,
    END_ORDERS,
    ENTRY_BAR,
    EQUITY,
    FIELDS,
    FILL,
    HELD,
    LANES,
    LEVEL,
    LONG,
    LOW,
    LOW_PEAK,
    MAY_LONG,
    MAY_SHORT,
    NONE,
    ORDER,
    PEAK,
    RAW,
    RISK_FREE,
    SHORT,
    SIGN,
    SLIPPAGE,
    START_CASH,
    STOP_LOSS,
    STOPS,
    TAKE_PROFIT,
    TIES,
    TRADE_BORROW,
    TRAILING,
    UNITS,
)
from berth_backtest.kernel.moves import NOTHING, find_moves
from berth_backtest.kernel.orders import close_position, record_open
from berth_backtest.kernel.signals import sma_cross

Floats = NDArray[np.float64]
Index = NDArray[np.int64]
State = NDArray[np.int8]

LINE = 8  # float64 of a cache line


@entry
def simulate(
    bars: Floats,
    bar_state: State,
    delisted: int,
    table: Floats,
    bar_of: Index,
    defined: Index,
    fast: Index,
    slow: Index,
    stops: Floats,
    rules: Floats,
    raw: Floats,
    curves: Floats,
    trades: Floats,
) -> None:
    """Runs every set of one symbol; fills raw[set, field].

    `bars` are open, high, low, close by [4, bar]; `table` the averages by [window, own bar],
    `bar_of` the run's bar of each own bar, `defined` each window's first defined own bar; `fast`
    and `slow` each set's windows; `stops` each set's stop-loss, take-profit and trailing stop by
    [3, set]. With room in `curves` (equity, units, order by [3, bar, set]) and `trades` at most
    LANES sets are run, and recorded.
    """
    width = min(LANES, len(fast))
    state = aligned(FIELDS * LANES)
    head = np.empty(bars.shape[1], dtype=np.int64)
    moves = np.empty((table.shape[1] * width, 4), dtype=np.int32)
    waiting = np.empty(LANES, dtype=np.int64)
    for base in range(0, len(fast), LANES):
        width = min(LANES, len(fast) - base)
        lanes = slice(base, base + width)
        start_lanes(state, base, width, stops, rules)
        signs = state[SIGN : SIGN + width]
        ties = find_moves(table, bar_of, defined, fast[lanes], slow[lanes], head, moves, signs)
        run_bars(
            unowned(state),
            width,
            unowned(bars),
            unowned(bar_state),
            delisted,
            unowned(head),
            unowned(moves),
            unowned(waiting),
            unowned(rules),
            unowned(curves),
            unowned(trades),
        )
        # Used after the run, so that what it had views of is still there while it runs.
        state[TIES] += ties
        head[0] = moves[0, 0] = waiting[0] = 0
        for lane in range(width):
            for field in range(RAW):
                raw[base + lane, field] = state[field * LANES + lane]


@inner
def aligned(size: int) -> Floats:
    """Returns an array on a cache line: a vector store across two lines costs twice."""
    room = np.empty(size + LINE)
    skip = (-room.ctypes.data // 8) % LINE
    return room[skip : skip + size]


@inner
def start_lanes(state: Floats, base: int, width: int, stops: Floats, rules: Floats) -> None:
    state[:] = 0.0
    for lane in range(width):
        for field in (CASH, EQUITY, PEAK, LOW, LOW_PEAK):
            state[field + lane] = rules[START_CASH]
        state[MAY_LONG + lane] = rules[LONG]
        state[MAY_SHORT + lane] = rules[SHORT]
        state[STOP_LOSS + lane] = stops[0, base + lane]
        state[TAKE_PROFIT + lane] = stops[1, base + lane]
        state[TRAILING + lane] = stops[2, base + lane]


@inner
def run_bars(
    state: Floats,
    width: int,
    bars: Floats,
    bar_state: State,
    delisted: int,
    head: Index,
    moves: NDArray[np.int32],
    waiting: Index,
    rules: Floats,
    curves: Floats,
    trades: Floats,
) -> None:
    n = bars.shape[1]
    mark = 0.0  # the last close so far
    decided_at = -1  # the bar of the last decision
    orders = 0  # lanes with an order: how many of `waiting` count
    for t in range(n):
        if rules[BORROW] > 0.0:
            charge_borrow(state, width, mark, rules)
        if t == delisted:
            close_all(state, width, t, mark, DELISTING, rules, trades)
        if bar_state[t] == 1:
            hits = 0
            if orders > 0 or rules[STOPS] > 0.5:
                hits = fill_due(state, width, t, bars, mark, waiting, orders, rules, trades)
            mark = bars[3, t]
            orders = 0
            if head[t] != NOTHING or rules[LEVEL] > 0.5:
                orders = sma_cross(state, width, head[t], moves, waiting, rules)
            decided_at = t
            if len(curves) > 0:
                copy_field(state, ORDER, width, curves, 2, t)
            if orders > 0 and rules[FILL] == CLOSE:
                orders = fill_now(state, t, mark, waiting, orders, hits, rules, trades)
        elif orders > 0 and decided_at == t - 1:
            orders = miss_orders(state, waiting, orders, bar_state[t], rules)
        if t == n - 1:
            end_run(state, width, t, decided_at, mark, rules, trades)
        if account_bar(state, width, mark, rules[RISK_FREE]) > 0:
            ruin(state, width, t, mark, trades)
        if len(curves) > 0:
            copy_field(state, EQUITY, width, curves, 0, t)
            copy_field(state, UNITS, width, curves, 1, t)
    end_open(state, width, n, mark, trades)


@inner
def copy_field(state: Floats, field: int, width: int, curves: Floats, row: int, t: int) -> None:
    # A slice assigned to a slice would compile its error message too, for seconds.
    for lane in range(width):
        curves[row, t, lane] = state[field + lane]


@inner
def end_open(state: Floats, width: int, n: int, mark: float, trades: Floats) -> None:
    """Counts the bars of what is still open, and records it."""
    for lane in range(width):
        if state[UNITS + lane] != 0.0:
            state[HELD + lane] += n - state[ENTRY_BAR + lane]
            if len(trades) > 0:
                record_open(state, lane, mark, trades)


@inner
def charge_borrow(state: Floats, width: int, mark: float, rules: Floats) -> None:
    """Charges a bar's borrow on the short value at the close before."""
    for lane in range(width):
        if state[UNITS + lane] < 0.0:
            borrow = -state[UNITS + lane] * mark * rules[BORROW]
            state[CASH + lane] -= borrow
            state[TRADE_BORROW + lane] += borrow


@inner
def close_all(
    state: Floats, width: int, t: int, mark: float, reason: float, rules: Floats, trades: Floats
) -> None:
    for lane in range(width):
        if state[UNITS + lane] != 0.0:
            close_position(state, lane, t, mark, rules[SLIPPAGE], reason, rules, trades)
            if reason == DELISTING:
                state[DELISTED + lane] = 1.0


@inner
def end_run(
    state: Floats, width: int, t: int, decided_at: int, mark: float, rules: Floats, trades: Floats
) -> None:
    """Counts what was decided too late, and closes what is open if asked to."""
    if decided_at == t:
        for lane in range(width):
            state[END_ORDERS + lane] += 1.0 if state[ORDER + lane] != NONE else 0.0
    if rules[CLOSE_AT_END] > 0.5:
        close_all(state, width, t, mark, END, rules, trades)
