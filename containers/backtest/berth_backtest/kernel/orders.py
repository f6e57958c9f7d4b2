"""Fills, costs and sizes: what happens on the few bars on which a cell has an order."""

import math

import numpy as np
from numpy.typing import NDArray

from .account import settle
from .book import Book
from .jit import hot, inner
from .layout import (
    CASH,
    CASH_ORDERS,
    COUNTED,
    FEE,
    FEE_MIN,
    FRACTION,
    GO_FLAT,
    GO_LONG,
    GO_SHORT,
    LIMIT_ORDERS,
    NEW_DATE,
    NEW_UNITS,
    NO_BAR_ORDERS,
    NONE,
    ORDER,
    ORDER_REASON,
    RETRY,
    SIZE,
    SIZE_CASH,
    SIZE_UNITS,
    SIZING,
    SLIPPAGE,
    STAMP,
    SUSPENDED_ORDERS,
    T1_ORDERS,
    T_PLUS_1,
    TIE,
    TIED,
    TIES,
    TO_TARGET,
    TRANSFER,
    UNITS,
    WANT,
)
from .trades import decrease, increase, note_rejected

Floats = NDArray[np.float64]


@inner
def fill_order(b: Book, cell: int, t: int, price: float, close: float, equity: float) -> bool:
    """Fills a cell's order at a bar's price; says whether nothing of it is left to be tried again.

    `equity` is the purse's at the bar prices, before the bar's first order.
    """
    kind = b.cells[ORDER, cell]
    wanted = 0.0
    side = 0.0
    if kind == GO_LONG:
        side = 1.0
    elif kind == GO_SHORT:
        side = -1.0
    elif kind != GO_FLAT:
        wanted = b.cells[WANT, cell] * (equity / price if kind == TO_TARGET else 1.0)
        side = 1.0 if wanted > 0.0 else (-1.0 if wanted < 0.0 else 0.0)
    sized = kind in (GO_LONG, GO_SHORT)
    held = b.cells[UNITS, cell]
    if held * side <= 0.0 and held != 0.0:
        rest = leave(b, cell, t, price, abs(held), b.rules[SLIPPAGE], b.cells[ORDER_REASON, cell])
        if rest > 0.0:
            # The exit is tried again; what should have followed it is dropped.
            if b.rules[RETRY] < 0.5:
                b.cells[ORDER, cell] = GO_FLAT
            return False
        held = 0.0
    done = True
    if side != 0.0 and sized and held == 0.0:
        done = enter(b, cell, t, price, side, math.inf, close, equity)
    elif side != 0.0 and not sized:
        more = beyond(wanted, held)
        if more > 0.0:
            done = enter(b, cell, t, price, side, more, close, equity)
        elif more < 0.0:
            done = reduce(b, cell, t, price, -more)
    if done:
        b.cells[ORDER, cell] = NONE
    return done


@hot
def beyond(wanted: float, held: float) -> float:
    """Returns how many units more are wanted; what rounding leaves is none: it would cost the least fee."""
    more = abs(wanted) - abs(held)
    return 0.0 if abs(more) <= TIE * abs(held) else more


@inner
def reduce(b: Book, cell: int, t: int, price: float, units: float) -> bool:
    """Sells (of a short: buys back) a part, in whole lots, or all when less than the least would stay."""
    held = abs(b.cells[UNITS, cell])
    least = b.lots[cell * b.many, 0]
    units = whole_lots(b, cell, units)
    if units <= 0.0:
        return True
    if b.rules[T_PLUS_1] > 0.5 and held - units < least:
        units = held
    rest: float = leave(b, cell, t, price, units, b.rules[SLIPPAGE], b.cells[ORDER_REASON, cell])
    return rest == 0.0


@inner
def leave(b: Book, cell: int, t: int, price: float, units: float, slippage: float, reason: float) -> float:
    """Closes units of what is held at a bar's price; returns how many could not be."""
    held = b.cells[UNITS, cell]
    symbol = cell * b.many
    if limited(b, t, symbol, price, held < 0.0):
        note_rejected(b, cell, t, LIMIT_ORDERS, units)
        return units
    ready = units
    if b.rules[T_PLUS_1] > 0.5 and held > 0.0 and b.cells[NEW_DATE, cell] == date_of(b, t):
        ready = min(units, held - b.cells[NEW_UNITS, cell])
        if ready < units:
            note_rejected(b, cell, t, T1_ORDERS, units - ready)
        if ready <= 0.0:
            return units
    p = slipped(b, t, symbol, price, held < 0.0, slippage)
    decrease(b, cell, t, ready, p, fill_costs(b, t, ready * p, held > 0.0), reason)
    return units - ready


@inner
def enter(
    b: Book, cell: int, t: int, price: float, side: float, wanted: float, close: float, equity: float
) -> bool:
    """Buys (side 1) or sells short (-1) what is wanted, cut to the cash; infinite: by the sizing."""
    symbol = cell * b.many
    purse = cell * b.own
    if limited(b, t, symbol, price, side > 0.0):
        note_rejected(b, cell, t, LIMIT_ORDERS, wanted)
        return bool(b.rules[RETRY] < 0.5)
    p = slipped(b, t, symbol, price, side > 0.0, b.rules[SLIPPAGE])
    budget = b.purses[CASH, purse] - b.purses[TIED, purse]
    if wanted == math.inf:
        if b.rules[SIZING] == FRACTION:
            budget = min(budget, b.rules[SIZE] * (b.purses[CASH, purse] if b.own == 1 else equity))
        elif b.rules[SIZING] == SIZE_CASH:
            budget = min(budget, b.rules[SIZE])
        elif b.rules[SIZING] == SIZE_UNITS:
            wanted = b.rules[SIZE]
    elif whole_lots(b, cell, wanted) <= 0.0:
        return True
    units = whole_lots(b, cell, min(fitting(b, t, p, side < 0.0, budget), wanted))
    if not units > 0.0:
        note_rejected(b, cell, t, CASH_ORDERS, wanted)
        return True
    increase(b, cell, t, side, units, p, fill_costs(b, t, units * p, side < 0.0), close)
    b.purses[CASH, purse] = left_of(b.purses[CASH, purse], units * p)
    return True


@hot
def left_of(cash: float, value: float) -> float:
    """Returns the cash after a purchase of this value: what only rounding leaves, or lacks, is none."""
    return 0.0 if abs(cash) <= TIE * value else cash


@inner
def fill_costs(b: Book, t: int, value: float, sale: bool) -> float:
    return costs_at(b.rates[t if len(b.rates) > 1 else 0], value, sale)


@hot
def costs_at(rates: Floats, value: float, sale: bool) -> float:
    """Returns what a fill of this value costs at these rates."""
    cost: float = max(rates[FEE] * value, rates[FEE_MIN]) + rates[TRANSFER] * value
    return cost + rates[STAMP] * value if sale else cost


@inner
def fitting(b: Book, t: int, p: float, sale: bool, budget: float) -> float:
    return fitting_at(b.rates[t if len(b.rates) > 1 else 0], p, sale, budget)


@hot
def fitting_at(rates: Floats, p: float, sale: bool, budget: float) -> float:
    """Returns the units whose value at p plus costs fits the budget.

    value + max(fee x value, least fee) + other costs <= budget is two linear conditions, so the
    largest size is the smaller of their two solutions.
    """
    others = 1.0 + rates[TRANSFER] + (rates[STAMP] if sale else 0.0)
    units: float = min(budget / (p * (others + rates[FEE])), (budget - rates[FEE_MIN]) / (p * others))
    return units


@inner
def whole_lots(b: Book, cell: int, units: float) -> float:
    """Cuts units down to whole lots, and to 0 below the least."""
    whole, tie = cut(b.lots[cell * b.many], units)
    if tie:
        b.purses[TIES, cell * b.own] += 1.0
    return whole


@hot
def cut(lots: Floats, units: float) -> tuple[float, bool]:
    """Cuts units down to whole lots, and to 0 below the least; says whether a rounding could turn that."""
    least, step = lots[0], lots[1]
    tie = False
    if step > 0.0:
        count = units / step
        near = math.floor(count + 0.5)
        # 10 x 100.1 for 1001: whether 10 or 9 lots fit must not hang on the last binary digit.
        tie = count != near and abs(count - near) <= TIE * near
        units = (near if tie else math.floor(count)) * step
    return (units if units >= least else 0.0), tie


@inner
def slipped(b: Book, t: int, symbol: int, price: float, buys: bool, slippage: float) -> float:
    """Returns the fill price: worse by the slippage, but never beyond a price limit."""
    if buys:
        p = price * (1.0 + slippage)
        return min(p, b.limits[t, symbol, 1]) if len(b.limits) > 0 else p
    p = price * (1.0 - slippage)
    return max(p, b.limits[t, symbol, 0]) if len(b.limits) > 0 else p


@inner
def limited(b: Book, t: int, symbol: int, price: float, buys: bool) -> bool:
    """Says whether a price limit forbids the fill."""
    if len(b.limits) == 0:
        return False
    return bool(price >= b.limits[t, symbol, 1] if buys else price <= b.limits[t, symbol, 0])


@inner
def date_of(b: Book, t: int) -> float:
    return float(b.dates[t]) if len(b.dates) > 0 else float(t)


@inner
def miss(b: Book, cell: int, t: int) -> bool:
    """Counts an order due on a date without a bar; says whether nothing of it is left.

    Exits and reductions wait; entries are dropped, and so is the second part of a reversal.
    """
    suspended = b.states[t, cell * b.many] == 2
    if b.cells[COUNTED, cell] == 0.0:
        note_rejected(b, cell, t, SUSPENDED_ORDERS if suspended else NO_BAR_ORDERS, b.cells[WANT, cell])
    kind = b.cells[ORDER, cell]
    if b.rules[RETRY] > 0.5 or kind == GO_FLAT:
        return False
    held = b.cells[UNITS, cell]
    wanted = b.cells[WANT, cell]
    if kind == TO_TARGET:
        mark = b.now[cell * b.many]
        settle(b, cell * b.own, t)
        equity = b.purses[CASH, 0] + value_now(b) if b.own == 0 else b.purses[CASH, cell] + held * mark
        wanted *= equity / mark
    elif kind == GO_LONG:
        wanted = math.inf
    elif kind == GO_SHORT:
        wanted = -math.inf
    if held == 0.0 or (wanted * held > 0.0 and abs(wanted) >= abs(held)):
        b.cells[ORDER, cell] = NONE
        return True
    if wanted * held <= 0.0:
        b.cells[ORDER, cell] = GO_FLAT
    return False


@inner
def value_now(b: Book) -> float:
    """Returns what all cells of the shared purse are worth at the last closes."""
    value = 0.0
    for cell in range(b.cells.shape[1]):
        if b.cells[UNITS, cell] != 0.0:
            value += b.cells[UNITS, cell] * b.now[cell]
    return value
