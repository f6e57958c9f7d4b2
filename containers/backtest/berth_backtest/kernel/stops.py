"""Stop-loss, take-profit and trailing exits within a bar."""

import numpy as np

from .book import Book
from .decide import wait
from .jit import hot, inner
from .layout import (
    ADDED_BAR,
    COUNTED,
    ENTRY_BAR,
    FROM_ENTRY_CLOSE,
    GO_FLAT,
    HAS_OPEN,
    HAS_RANGE,
    HIGH,
    HIT,
    LOWEST,
    NONE,
    ORDER,
    ORDER_REASON,
    PROFITED,
    REFERENCE,
    SLIPPAGE,
    STOP_FROM,
    STOP_LOSS,
    STOP_SLIPPAGE,
    STOPPED,
    T_PLUS_1,
    TAKE_PROFIT,
    TIE,
    TIES,
    TRAILED,
    TRAILING,
    UNITS,
)
from .orders import date_of, leave


@inner
def check_stops(b: Book, t: int) -> None:
    """Closes the positions whose stop the bar touches, and notes the bar's high and low for the others."""
    c = b.cells
    for cell in range(c.shape[1]):
        if c[UNITS, cell] == 0.0 or b.states[t, cell * b.many] != 1:
            continue
        high, low = b.bars[t, cell * b.many, 1], b.bars[t, cell * b.many, 2]
        if is_tested(b, cell, t):
            check_cell(b, cell, t, 1.0 if c[UNITS, cell] > 0.0 else -1.0, high, low)
        c[HIGH, cell] = max(c[HIGH, cell], high)
        c[LOWEST, cell] = min(c[LOWEST, cell], low)


@hot
def is_tested(b: Book, cell: int, t: int) -> bool:
    c = b.cells
    if not (c[STOP_LOSS, cell] > 0.0 or c[TAKE_PROFIT, cell] > 0.0 or c[TRAILING, cell] > 0.0):
        return False
    # The close of the bar that added is not known before that bar ends.
    if b.rules[STOP_FROM] == FROM_ENTRY_CLOSE and c[ADDED_BAR, cell] == t:
        return False
    # What was bought on a date cannot be sold on it.
    return not (
        b.rules[T_PLUS_1] > 0.5
        and c[UNITS, cell] > 0.0
        and date_of(b, int(c[ENTRY_BAR, cell])) == date_of(b, t)
    )


@hot
def check_cell(b: Book, cell: int, t: int, side: float, high: float, low: float) -> None:
    """Tests one position; prices times `side` turn a short into a long."""
    c = b.cells
    adverse = side * (low if side > 0.0 else high)
    favourable = side * (high if side > 0.0 else low)
    reference = c[REFERENCE, cell]
    level = -np.inf
    reason = STOPPED
    if c[STOP_LOSS, cell] > 0.0:
        level = side * (reference * (1.0 - side * c[STOP_LOSS, cell]))
    if c[TRAILING, cell] > 0.0:
        best = max(reference, c[HIGH, cell]) if side > 0.0 else min(reference, c[LOWEST, cell])
        trail = side * (best * (1.0 - side * c[TRAILING, cell]))
        if trail > level and not is_tie(trail, level):
            level = trail
            reason = TRAILED
    if touches(b, cell, adverse, level):
        level = adverse if is_tie(adverse, level) else level
        slippage = b.rules[SLIPPAGE] if b.rules[STOP_SLIPPAGE] > 0.5 else 0.0
        hit(b, cell, t, hit_price(b, t, cell, side * level, side > 0.0), slippage, reason)
    elif c[TAKE_PROFIT, cell] > 0.0:
        goal = side * (reference * (1.0 + side * c[TAKE_PROFIT, cell]))
        if touches(b, cell, -favourable, -goal):
            goal = favourable if is_tie(favourable, goal) else goal
            hit(b, cell, t, hit_price(b, t, cell, side * goal, side < 0.0), 0.0, PROFITED)


@hot
def is_tie(x: float, y: float) -> bool:
    """Says whether a rounding could turn a comparison of the two."""
    return bool(abs(x - y) <= TIE * abs(x))


@hot
def touches(b: Book, cell: int, adverse: float, level: float) -> bool:
    """Says whether a price comes down to a level: 1.1 x 95 is above 104.5 in floats, and not in prices."""
    if is_tie(adverse, level):
        b.purses[TIES, cell * b.own] += 1.0
        return True
    return adverse < level


@inner
def hit(b: Book, cell: int, t: int, price: float, slippage: float, reason: float) -> None:
    """Closes the position; what cannot be sold becomes an exit that is tried again."""
    c = b.cells
    c[HIT, cell] = t
    if c[ORDER, cell] == NONE:
        c[COUNTED, cell] = 0.0
    if leave(b, cell, t, price, abs(c[UNITS, cell]), slippage, reason) > 0.0:
        wait(b, cell)
        c[ORDER, cell] = GO_FLAT
        c[ORDER_REASON, cell] = reason


@inner
def hit_price(b: Book, t: int, cell: int, level: float, lower: bool) -> float:
    """Returns the fill: the level, or the open beyond it; the close where there is no range."""
    bar = b.bars[t, cell * b.many]
    if b.rules[HAS_RANGE] < 0.5:
        return float(bar[3])
    if b.rules[HAS_OPEN] < 0.5:
        return level
    return float(min(bar[0], level) if lower else max(bar[0], level))
