"""Entries from nothing and exits of all, where no rule stands in the way: most fills of a sweep.

What happens is what orders.fill_order and trades.py do, to the last bit, in one piece of code that looks up
each array once.
"""

import math

import numpy as np
from numpy.typing import NDArray

from .account import settle
from .book import C_DEBTS, C_EVENTS, C_TRADES, C_WAITING, Book
from .jit import hot, lanes_only, unowned
from .layout import (
    ADDED_BAR,
    CARRY,
    CASH,
    CASH_ORDERS,
    DECIDED,
    ENTRY_BAR,
    ENTRY_PRICE,
    ENTRY_UNITS,
    ENTRY_VALUE,
    EXIT_UNITS,
    EXIT_VALUE,
    FEES,
    FRACTION,
    FROM_ENTRY_CLOSE,
    FROM_FILL,
    GAINS,
    GO_FLAT,
    GO_LONG,
    HELD,
    HIGH,
    LOSSES,
    LOWEST,
    MOST,
    NONE,
    OPEN,
    ORDER,
    ORDER_STOP_LOSS,
    REFERENCE,
    SIZE,
    SIZE_CASH,
    SIZE_UNITS,
    SIZING,
    SLIPPAGE,
    STOP_FROM,
    STOP_LOSS,
    T_PLUS_1,
    TIES,
    TO_TARGET,
    TRADE_FEES,
    TRADED,
    TRADES,
    UNITS,
    WANT,
    WATCH,
    WINS,
)
from .orders import costs_at, cut, fill_order, fitting_at, left_of
from .trades import note_rejected

Floats = NDArray[np.float64]


@lanes_only
def fill_simply(b: Book, t: int, field: int) -> bool:
    """Fills the orders that wait for bar t's open (field 0) or close (3), or says that this is not simple.

    Not simple are dates without a bar, price limits, what cannot be sold on its date, stops that swallow
    what is due at the close, and fills that are recorded.
    """
    if b.many == 1 or b.states[t, 0] != 1 or len(b.limits) > 0 or len(b.trades) > 0 or len(b.events) > 0:
        return False
    if b.rules[T_PLUS_1] > 0.5 or (field == 3 and b.rules[WATCH] > 0.5):
        return False
    cells, purses, waiting = unowned(b.cells), unowned(b.purses), unowned(b.waiting)
    price, close = b.bars[t, 0, field], b.bars[t, 0, 3]
    left = 0
    for i in range(b.counts[C_WAITING]):
        cell = int(waiting[i])
        c, p = cells[:, cell], purses[:, cell]
        kind, held = c[ORDER], c[UNITS]
        equity = p[CASH] + held * price
        wanted = c[WANT] * (equity / price if kind == TO_TARGET else 1.0)
        if held > 0.0 and (kind == GO_FLAT or (kind > GO_FLAT and wanted == 0.0)):
            settle(b, cell, t)
            sell_all(b, c, p, t, price)
            c[ORDER] = NONE
        elif held == 0.0 and (kind == GO_LONG or (kind > GO_FLAT and wanted > 0.0)):
            buy(b, cell, c, p, t, price, close, math.inf if kind == GO_LONG else wanted)
            c[ORDER] = NONE
        elif not fill_order(b, cell, t, price, close, equity):
            waiting[left] = cell
            left += 1
    b.counts[C_WAITING] = left
    return True


@hot
def sell_all(b: Book, c: Floats, p: Floats, t: int, price: float) -> None:
    """Ends a trade; what is known of it is not looked at again."""
    value = c[UNITS] * (price * (1.0 - b.rules[SLIPPAGE]))
    cost = costs_at(unowned(b.rates)[t if len(b.rates) > 1 else 0], value, True)
    pnl = c[EXIT_VALUE] + value - c[ENTRY_VALUE] - (c[TRADE_FEES] + cost) - c[CARRY]
    c[UNITS] = 0.0
    p[CASH] += value - cost
    p[FEES] += cost
    p[TRADED] += value
    p[OPEN] -= 1.0
    p[HELD] += t - c[ENTRY_BAR]
    p[TRADES] += 1.0
    if pnl > 0.0:
        p[WINS] += 1.0
        p[GAINS] += pnl
    else:
        p[LOSSES] -= pnl
    if p[CASH] <= 0.0:
        b.counts[C_DEBTS] = 1
    b.counts[C_EVENTS] += 1
    b.counts[C_TRADES] += 1


@hot
def buy(b: Book, cell: int, c: Floats, p: Floats, t: int, price: float, close: float, wanted: float) -> None:
    """Begins a trade with what is wanted, cut to the cash; infinite: by the sizing."""
    rules = unowned(b.rules)
    rates, lots = unowned(b.rates)[t if len(b.rates) > 1 else 0], unowned(b.lots)[0]
    paid = price * (1.0 + rules[SLIPPAGE])
    budget = p[CASH]
    if wanted == math.inf:
        if rules[SIZING] == FRACTION:
            budget = min(budget, rules[SIZE] * budget)
        elif rules[SIZING] == SIZE_CASH:
            budget = min(budget, rules[SIZE])
        elif rules[SIZING] == SIZE_UNITS:
            wanted = rules[SIZE]
    else:
        whole, tie = cut(lots, wanted)
        p[TIES] += 1.0 if tie else 0.0
        if whole <= 0.0:
            return
    units, tie = cut(lots, min(fitting_at(rates, paid, False, budget), wanted))
    p[TIES] += 1.0 if tie else 0.0
    if not units > 0.0:
        note_rejected(b, cell, t, CASH_ORDERS, wanted)
        return
    settle(b, cell, t)
    value = units * paid
    cost = costs_at(rates, value, False)
    p[CASH] = left_of(p[CASH] - (value + cost), value)
    p[FEES] += cost
    p[TRADED] += value
    p[OPEN] += 1.0
    b.counts[C_EVENTS] += 1
    c[UNITS] = c[ENTRY_UNITS] = c[MOST] = units
    c[ENTRY_BAR] = c[ADDED_BAR] = t
    c[ENTRY_VALUE] = value
    c[ENTRY_PRICE] = paid
    c[TRADE_FEES] = cost
    c[EXIT_UNITS] = c[EXIT_VALUE] = c[CARRY] = 0.0
    c[HIGH], c[LOWEST] = -math.inf, math.inf
    start = rules[STOP_FROM]
    c[REFERENCE] = paid if start == FROM_FILL else (close if start == FROM_ENTRY_CLOSE else c[DECIDED])
    for k in range(3):
        c[STOP_LOSS + k] = c[ORDER_STOP_LOSS + k]
