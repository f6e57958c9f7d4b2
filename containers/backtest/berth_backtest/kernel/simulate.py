"""Runs a book over its bars: what happens on a date, in order."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .account import account_bar, account_shared, finish_sums, settle, start_sums
from .book import C_DEBTS, C_WAITING, Book
from .decide import by_moves, by_targets
from .jit import inner, shared_only, unowned
from .layout import (
    BORROW,
    CARRY,
    CASH,
    CLOSE,
    CLOSE_AT_END,
    COUNTED,
    DECIDED,
    DELISTED,
    DELISTING,
    END,
    END_ORDERS,
    ENTRY_BAR,
    ENTRY_PRICE,
    ENTRY_UNITS,
    EQUITY,
    EXIT_PRICE,
    EXIT_UNITS,
    FILL,
    FRACTION,
    GIVEN,
    GO_FLAT,
    GO_LONG,
    GO_SHORT,
    HELD,
    HIGH,
    HIT,
    LOWEST,
    MOST,
    NEW_UNITS,
    NEXT_CLOSE,
    NEXT_OPEN,
    NONE,
    OPEN_TRADES,
    ORDER,
    ORDER_REASON,
    REFERENCE,
    RISK_FREE,
    RUIN,
    RUINED,
    SHORT,
    SINCE,
    SIZE,
    SIZE_CASH,
    SIZE_UNITS,
    SIZING,
    SLIPPAGE,
    START_CASH,
    TIED,
    TO_TARGET,
    UNITS,
    WANT,
    WATCH,
)
from .orders import fill_costs, fill_order, miss
from .rebalance import by_rebalance
from .simple import fill_simply
from .steps import by_lanes, by_steps
from .stops import check_stops
from .trades import (
    decrease,
    end_trade,
    note_exit,
    note_rejected,
    record_trade,
    trade_pnl,
)

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


@inner
def run_book(
    b: Book,
    head: Index,
    moves: NDArray[np.int32],
    targets: Floats,
    step: Any,
    bars: Floats,
    at: Index,
    table: Floats,
    picks: Index,
    places: Index,
    previous: Index,
    own: Index,
    ready: Index,
    work: Floats,
    many_states: Floats,
    calendar: NDArray[np.int8],
    fault: Floats,
) -> None:
    """Runs all bars; results are in `purses`, in the order of the layout.

    Decisions are those of a rebalance on its calendar, of a step if there are `bars` for it, else of
    `targets` if there are any, else of the moves.
    """
    n = b.bars.shape[0]
    bars, table, work, fault = unowned(bars), unowned(table), unowned(work), unowned(fault)
    at, places, ready = unowned(at), unowned(places), unowned(ready)
    previous, own = unowned(previous), unowned(own)
    for purse in range(b.purses.shape[1]):
        start_sums(b, purse, b.rules[START_CASH])
    action = 0
    for t in range(n):
        action = begin_bar(b, t, action)
        if len(calendar) > 0:
            due = calendar[t] == 1
            by_rebalance(b, t, step, bars, due, at, table, picks, own, many_states[0], work, fault)
        elif len(bars) > 0 and b.many == 0:
            if b.states[t, 0] == 1:
                by_lanes(b, t, step, bars, at, table, places, previous, own, ready, work, fault)
        elif len(bars) > 0:
            by_steps(b, t, step, bars, at, table, picks, ready, work, many_states, fault)
        elif len(targets) > 0:
            by_targets(b, t, targets[t])
        else:
            by_moves(b, t, int(head[t]), moves)
        end_bar(b, t, n)
    finish(b, n)


# Compiled into their callers these two would make each bar faster by nothing, and the whole kernel's
# compilation three times as long.
@inner
def begin_bar(b: Book, t: int, action: int) -> int:
    """Does what comes before the decisions at a bar's close; returns the next of the actions."""
    if b.rules[BORROW] > 0.0:
        charge_borrow(b, t)
    while action < len(b.actions) and b.actions[action, 0] <= t:
        if b.actions[action, 0] == t:
            act(b, t, int(b.actions[action, 1]), b.actions[action, 2], b.actions[action, 3])
        action += 1
    delist(b, t)
    if b.rules[FILL] == NEXT_OPEN and b.counts[C_WAITING] > 0:
        fill_waiting(b, t, 0)
    if b.rules[WATCH] > 0.5:
        check_stops(b, t)
    if b.rules[FILL] == NEXT_CLOSE and b.counts[C_WAITING] > 0:
        fill_waiting(b, t, 3)
    for s in range(b.bars.shape[1]):
        if b.states[t, s] == 1:
            b.now[s] = b.bars[t, s, 3]
    return action


@inner
def end_bar(b: Book, t: int, n: int) -> None:
    """Does what comes after the decisions at a bar's close."""
    if b.rules[FILL] == CLOSE and b.counts[C_WAITING] > 0:
        fill_waiting(b, t, 3)
    if t == n - 1:
        end_run(b, t)
    if b.own == 0:
        account_shared(b, t)
        if b.purses[EQUITY, 0] <= 0.0 and b.purses[RUINED, 0] < 0.5:
            ruin(b, t, 0)
    elif b.rules[SHORT] > 0.5 or b.counts[C_DEBTS] > 0:
        for purse in range(b.purses.shape[1]):
            find_ruin(b, t, purse)
    if len(b.held) > 0:
        for cell in range(b.cells.shape[1]):
            b.held[t, cell] = b.cells[UNITS, cell]


@inner
def charge_borrow(b: Book, t: int) -> None:
    """Charges a bar's borrow on the short value at the close before."""
    for cell in range(b.cells.shape[1]):
        units = b.cells[UNITS, cell]
        if units < 0.0:
            settle(b, cell * b.own, t)
            borrow = -units * b.now[cell * b.many] * b.rules[BORROW]
            b.purses[CASH, cell * b.own] -= borrow
            b.cells[CARRY, cell] += borrow


@inner
def act(b: Book, t: int, symbol: int, ratio: float, dividend: float) -> None:
    """Applies a dividend and then a split at the open of the ex-date."""
    cells = b.cells.shape[1]
    for cell in range(symbol if b.many == 1 else 0, symbol + 1 if b.many == 1 else cells):
        c = b.cells
        if c[UNITS, cell] != 0.0:
            settle(b, cell * b.own, t)
            b.purses[CASH, cell * b.own] += c[UNITS, cell] * dividend
            c[CARRY, cell] -= c[UNITS, cell] * dividend
            for field in (UNITS, ENTRY_UNITS, EXIT_UNITS, MOST, NEW_UNITS):
                c[field, cell] *= ratio
            for field in (HIGH, LOWEST, ENTRY_PRICE, EXIT_PRICE, REFERENCE):
                c[field, cell] /= ratio
        c[WANT, cell] *= ratio if c[ORDER, cell] > TO_TARGET else 1.0
        c[DECIDED, cell] /= ratio
    b.now[symbol] /= ratio


@inner
def delist(b: Book, t: int) -> None:
    """Closes positions at the last close once their symbol is gone."""
    cells = b.cells.shape[1]
    for s in range(b.bars.shape[1]):
        if b.delisted[s] == t:
            for cell in range(s if b.many == 1 else 0, s + 1 if b.many == 1 else cells):
                if b.cells[UNITS, cell] != 0.0:
                    close_at_mark(b, cell, t, DELISTING)
                    b.purses[DELISTED, cell * b.own] += 1.0


@inner
def close_at_mark(b: Book, cell: int, t: int, reason: float) -> None:
    """Closes a whole position at the last close, with slippage and costs."""
    held = b.cells[UNITS, cell]
    symbol = cell * b.many
    mark = b.now[symbol]
    slip = b.rules[SLIPPAGE]
    p = mark * (1.0 - slip) if held > 0.0 else mark * (1.0 + slip)
    decrease(b, cell, t, abs(held), p, fill_costs(b, t, abs(held) * p, held > 0.0), reason)


@inner
def fill_waiting(b: Book, t: int, field: int) -> None:
    """Fills the orders that wait at the bar's open (field 0) or close (3); keeps what is tried again."""
    if fill_simply(b, t, field):
        return
    c = b.cells
    n = int(b.counts[C_WAITING])
    equity = 0.0
    if b.own == 0:
        equity = shared_equity(b, t, field)
        sort_waiting(b, t, field, n, equity)
    left = 0
    for i in range(n):
        cell = int(b.waiting[i])
        symbol = cell * b.many
        if b.states[t, symbol] != 1:
            done = miss(b, cell, t)
        elif field == 3 and c[HIT, cell] == t:
            # A stop on this bar swallows what was due at its close; what is left of the stop waits.
            done = c[ORDER_REASON, cell] == 0.0
            c[ORDER, cell] = NONE if done else c[ORDER, cell]
        else:
            price = b.bars[t, symbol, field]
            if b.own == 1:
                equity = b.purses[CASH, cell] + c[UNITS, cell] * price
            done = fill_order(b, cell, t, price, b.bars[t, symbol, 3], equity)
        if not done:
            b.waiting[left] = cell
            left += 1
    b.counts[C_WAITING] = left


@inner
def shared_equity(b: Book, t: int, field: int) -> float:
    """Returns the shared purse's equity at the bar prices."""
    equity: float = b.purses[CASH, 0]
    for cell in range(b.cells.shape[1]):
        units = b.cells[UNITS, cell]
        if units != 0.0:
            equity += units * (b.bars[t, cell, field] if b.states[t, cell] == 1 else b.now[cell])
    return equity


@shared_only
def sort_waiting(b: Book, t: int, field: int, n: int, equity: float) -> None:
    """Sorts orders by value at bar prices: the largest sale first, the largest purchase last."""
    cells = np.sort(b.waiting[:n])
    if b.rules[GIVEN] < 0.5:
        values = np.zeros(n)
        for i in range(n):
            cell = cells[i]
            if b.states[t, cell] == 1:
                values[i] = order_value(b, cell, b.bars[t, cell, field], equity)
        cells = cells[np.argsort(values, kind="mergesort")]
    for i in range(n):
        b.waiting[i] = cells[i]


@inner
def order_value(b: Book, cell: int, price: float, equity: float) -> float:
    """Returns what an order would change, at the bar price, before it is cut to lots and cash."""
    held = b.cells[UNITS, cell]
    kind = b.cells[ORDER, cell]
    if kind == GO_FLAT:
        return float(-held * price)
    if kind in (GO_LONG, GO_SHORT):
        side = 1.0 if kind == GO_LONG else -1.0
        if held * side > 0.0:
            return 0.0
        size = b.purses[CASH, 0] - b.purses[TIED, 0]
        if b.rules[SIZING] == FRACTION:
            size = b.rules[SIZE] * equity
        elif b.rules[SIZING] == SIZE_CASH:
            size = b.rules[SIZE]
        elif b.rules[SIZING] == SIZE_UNITS:
            size = b.rules[SIZE] * price
        return float(side * size - held * price)
    wanted = b.cells[WANT, cell]
    return float(wanted * equity - held * price if kind == TO_TARGET else (wanted - held) * price)


@inner
def end_run(b: Book, t: int) -> None:
    """Counts what was decided too late, and closes what is open if asked to."""
    for i in range(b.counts[C_WAITING]):
        note_rejected(b, int(b.waiting[i]), t, END_ORDERS, b.cells[WANT, b.waiting[i]])
    if b.rules[CLOSE_AT_END] > 0.5:
        for cell in range(b.cells.shape[1]):
            if b.cells[UNITS, cell] != 0.0:
                close_at_mark(b, cell, t, END)


@inner
def find_ruin(b: Book, t: int, purse: int) -> None:
    equity = b.purses[CASH, purse] + b.cells[UNITS, purse] * b.now[purse * b.many]
    if equity <= 0.0 and b.purses[RUINED, purse] < 0.5:
        settle(b, purse, t)
        ruin(b, t, purse)
        account_bar(b.purses, purse, 0.0, b.rules[RISK_FREE])
        b.purses[SINCE, purse] = t + 1


@inner
def ruin(b: Book, t: int, purse: int) -> None:
    """Ends a purse whose equity is gone: what it holds is closed at the mark, without further costs."""
    b.purses[RUINED, purse] = 1.0
    for cell in range(b.cells.shape[1]):
        if cell * b.own == purse:
            held = b.cells[UNITS, cell]
            if held != 0.0:
                mark = b.now[cell * b.many]
                note_exit(b, cell, abs(held), mark)
                b.cells[UNITS, cell] = 0.0
                end_trade(b, cell, t, 1.0 if held > 0.0 else -1.0, RUIN)
            if b.cells[ORDER, cell] != NONE:
                b.cells[ORDER, cell] = GO_FLAT
                b.cells[COUNTED, cell] = 1.0
    b.purses[CASH, purse] = 0.0
    b.purses[TIED, purse] = 0.0


@inner
def finish(b: Book, n: int) -> None:
    """Accounts the last bars, and records what is still open."""
    for purse in range(b.purses.shape[1]):
        settle(b, purse, n)
        finish_sums(b, purse)
    for cell in range(b.cells.shape[1]):
        held = b.cells[UNITS, cell]
        if held != 0.0:
            purse = cell * b.own
            b.purses[OPEN_TRADES, purse] += 1.0
            if b.own == 1:
                b.purses[HELD, purse] += n - b.cells[ENTRY_BAR, cell]
            side = 1.0 if held > 0.0 else -1.0
            pnl = trade_pnl(b, cell, side, b.now[cell * b.many])
            record_trade(b, cell, side, -1, np.nan, pnl, -1.0)
