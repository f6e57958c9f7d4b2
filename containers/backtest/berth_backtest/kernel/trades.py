"""What a fill changes: cash, position and the trade it belongs to."""

import math

from .account import settle
from .book import C_DEBTS, C_EVENTS, C_TRADES, Book
from .jit import inner
from .layout import (
    ADDED_BAR,
    CARRY,
    CASH,
    COUNTED,
    DECIDED,
    ENTRY_BAR,
    ENTRY_PRICE,
    ENTRY_UNITS,
    ENTRY_VALUE,
    EXIT_PRICE,
    EXIT_UNITS,
    EXIT_VALUE,
    FEES,
    FILLS_AT,
    FROM_ENTRY_CLOSE,
    FROM_FILL,
    GAINS,
    HELD,
    HIGH,
    L_BAR,
    L_CASH,
    L_CELL,
    L_COST,
    L_KIND,
    L_PRICE,
    L_UNITS,
    L_WHAT,
    LOSSES,
    LOWEST,
    MOST,
    NEW_DATE,
    NEW_UNITS,
    OPEN,
    ORDER_STOP_LOSS,
    REFERENCE,
    REJECTS,
    STOP_FROM,
    STOP_LOSS,
    T_CELL,
    T_ENTRY,
    T_ENTRY_BAR,
    T_EXIT,
    T_EXIT_BAR,
    T_FEES,
    T_PNL,
    T_REASON,
    T_UNITS,
    T_VALUE,
    TIED,
    TRADE_FEES,
    TRADED,
    TRADES,
    UNITS,
    WINS,
)

SHORT_TIES = 2.0  # a short ties up its proceeds and as much cash again, like a purchase of its size


@inner
def increase(
    b: Book, cell: int, t: int, side: float, units: float, p: float, cost: float, close: float
) -> None:
    """Opens a position or adds to it at price p."""
    c = b.cells
    purse = cell * b.own
    settle(b, purse, t)
    value = units * p
    if c[UNITS, cell] == 0.0:
        for field in (ENTRY_UNITS, ENTRY_VALUE, EXIT_UNITS, EXIT_VALUE, MOST):
            c[field, cell] = 0.0
        c[TRADE_FEES, cell] = c[CARRY, cell] = c[NEW_UNITS, cell] = 0.0
        c[ENTRY_BAR, cell] = t
        c[HIGH, cell] = -math.inf
        c[LOWEST, cell] = math.inf
        b.purses[OPEN, purse] += 1.0
    for i in range(3):
        c[STOP_LOSS + i, cell] = c[ORDER_STOP_LOSS + i, cell]
    start = b.rules[STOP_FROM]
    reference = p if start == FROM_FILL else (close if start == FROM_ENTRY_CLOSE else c[DECIDED, cell])
    c[UNITS, cell] += side * units
    c[ADDED_BAR, cell] = t
    before = c[ENTRY_UNITS, cell]
    c[ENTRY_PRICE, cell] = mean_with(c[ENTRY_PRICE, cell], before, p, units)
    c[REFERENCE, cell] = mean_with(c[REFERENCE, cell], before, reference, units)
    c[ENTRY_UNITS, cell] += units
    c[ENTRY_VALUE, cell] += value
    c[MOST, cell] = max(c[MOST, cell], abs(c[UNITS, cell]))
    c[TRADE_FEES, cell] += cost
    date = float(b.dates[t]) if len(b.dates) > 0 else float(t)
    if c[NEW_DATE, cell] != date:
        c[NEW_DATE, cell] = date
        c[NEW_UNITS, cell] = 0.0
    c[NEW_UNITS, cell] += units
    b.purses[CASH, purse] -= side * value + cost
    b.purses[TIED, purse] += SHORT_TIES * value if side < 0.0 else 0.0
    b.purses[FEES, purse] += cost
    b.purses[TRADED, purse] += value
    note(b, t, cell, FILLS_AT, 0.0, side * units, p, cost)


@inner
def decrease(b: Book, cell: int, t: int, units: float, p: float, cost: float, reason: float) -> None:
    """Closes units of a position at price p; the last of them end the trade."""
    c = b.cells
    purse = cell * b.own
    settle(b, purse, t)
    side = 1.0 if c[UNITS, cell] > 0.0 else -1.0
    value = units * p
    b.purses[CASH, purse] += side * value - cost
    b.purses[FEES, purse] += cost
    b.purses[TRADED, purse] += value
    if side < 0.0:
        b.purses[TIED, purse] -= SHORT_TIES * units * c[ENTRY_PRICE, cell]
    c[TRADE_FEES, cell] += cost
    note_exit(b, cell, units, p)
    c[UNITS, cell] -= side * units
    if b.purses[CASH, purse] <= 0.0:
        b.counts[C_DEBTS] = 1
    note(b, t, cell, FILLS_AT, reason, -side * units, p, cost)
    if c[UNITS, cell] == 0.0:
        end_trade(b, cell, t, side, reason)


@inner
def mean_with(mean: float, units: float, price: float, more: float) -> float:
    """Returns the mean price of units and of more at another; equal prices stay what they are."""
    return price if units == 0.0 else mean + (price - mean) * (more / (units + more))


@inner
def note_exit(b: Book, cell: int, units: float, p: float) -> None:
    """Adds to what a trade has sold."""
    c = b.cells
    c[EXIT_PRICE, cell] = mean_with(c[EXIT_PRICE, cell], c[EXIT_UNITS, cell], p, units)
    c[EXIT_UNITS, cell] += units
    c[EXIT_VALUE, cell] += units * p


@inner
def end_trade(b: Book, cell: int, t: int, side: float, reason: float) -> None:
    """Books a closed trade, the cell being flat."""
    purse = cell * b.own
    pnl = trade_pnl(b, cell, side, 0.0)
    p = b.purses
    p[OPEN, purse] -= 1.0
    if b.own == 1:
        p[HELD, purse] += t - b.cells[ENTRY_BAR, cell]
        p[TIED, purse] = 0.0
    p[TRADES, purse] += 1.0
    if pnl > 0.0:
        p[WINS, purse] += 1.0
        p[GAINS, purse] += pnl
    else:
        p[LOSSES, purse] -= pnl
    record_trade(b, cell, side, t, b.cells[EXIT_PRICE, cell], pnl, reason)


@inner
def trade_pnl(b: Book, cell: int, side: float, mark: float) -> float:
    """Returns a trade's gain net of costs and carry, what is still held marked at `mark`."""
    c = b.cells
    gain: float = side * (c[EXIT_VALUE, cell] - c[ENTRY_VALUE, cell]) + c[UNITS, cell] * mark
    return float(gain - c[TRADE_FEES, cell] - c[CARRY, cell])


@inner
def record_trade(b: Book, cell: int, side: float, t: int, price: float, pnl: float, reason: float) -> None:
    """Counts a trade, and keeps it where there is room; an open one has the exit bar -1."""
    place = b.counts[C_TRADES]
    b.counts[C_TRADES] += 1
    if place < len(b.trades):
        row = b.trades[place]
        c = b.cells
        row[T_CELL] = cell
        row[T_ENTRY_BAR] = c[ENTRY_BAR, cell]
        row[T_EXIT_BAR] = t
        row[T_ENTRY] = c[ENTRY_PRICE, cell]
        row[T_EXIT] = price
        row[T_UNITS] = side * c[MOST, cell]
        row[T_FEES] = c[TRADE_FEES, cell]
        row[T_PNL] = pnl
        row[T_REASON] = reason
        row[T_VALUE] = c[ENTRY_VALUE, cell]


@inner
def note_rejected(b: Book, cell: int, t: int, field: int, units: float) -> None:
    """Counts an order that could not fill, once, by its reason."""
    if b.cells[COUNTED, cell] == 0.0:
        b.cells[COUNTED, cell] = 1.0
        b.purses[field, cell * b.own] += 1.0
        note(b, t, cell, REJECTS, float(field), units, 0.0, 0.0)


@inner
def note(
    b: Book, t: int, cell: int, what: float, kind: float, units: float, price: float, cost: float
) -> None:
    """Counts an event, and keeps it where there is room."""
    place = b.counts[C_EVENTS]
    b.counts[C_EVENTS] += 1
    if place < len(b.events):
        row = b.events[place]
        row[L_BAR] = t
        row[L_CELL] = cell
        row[L_WHAT] = what
        row[L_KIND] = kind
        row[L_UNITS] = units
        row[L_PRICE] = price
        row[L_COST] = cost
        row[L_CASH] = b.purses[CASH, cell * b.own]
