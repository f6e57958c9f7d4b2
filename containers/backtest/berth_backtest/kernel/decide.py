"""What a strategy wants at a bar's close, as orders of cells."""

import numpy as np
from numpy.typing import NDArray

from .book import C_WAITING, Book
from .jit import hot, inner
from .layout import (
    COUNTED,
    DECIDED,
    DECIDES,
    GO_FLAT,
    GO_LONG,
    GO_SHORT,
    LEVEL,
    LONG,
    NONE,
    ORDER,
    ORDER_REASON,
    ORDER_STOP_LOSS,
    RUINED,
    SET_STOP_LOSS,
    SHORT,
    SIGN,
    SIGNAL,
    TO_TARGET,
    UNITS,
    WANT,
)
from .moves import M_CELL, M_FRESH, M_NEXT, M_SIGN, NOTHING
from .trades import note

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


@inner
def set_order(b: Book, cell: int, t: int, kind: float, want: float) -> None:
    """Gives a cell an order, in place of one that still waits."""
    c = b.cells
    if b.purses[RUINED, cell * b.own] > 0.5:
        return
    if (want > 0.0 and b.rules[LONG] < 0.5) or (want < 0.0 and b.rules[SHORT] < 0.5):
        want = 0.0
    # To hold nothing of what is not held is no order: most of a market, on each day of a top k.
    if want != 0.0 or kind in (GO_LONG, GO_SHORT) or c[UNITS, cell] != 0.0 or c[ORDER, cell] != NONE:
        wait(b, cell)
        c[ORDER, cell] = kind
        c[WANT, cell] = want
        c[ORDER_REASON, cell] = SIGNAL
        c[COUNTED, cell] = 0.0
        c[DECIDED, cell] = b.now[cell * b.many]
        for i in range(3):
            c[ORDER_STOP_LOSS + i, cell] = c[SET_STOP_LOSS + i, cell]
    note(b, t, cell, DECIDES, kind, want, b.now[cell * b.many], 0.0)
    if len(b.decided) > 0:
        b.decided[t, cell, 0] = kind
        b.decided[t, cell, 1] = want


@inner
def wait(b: Book, cell: int) -> None:
    """Puts a cell on the list of those with an order, once."""
    if b.cells[ORDER, cell] == NONE:
        b.waiting[b.counts[C_WAITING]] = cell
        b.counts[C_WAITING] += 1


@inner
def withdraw(b: Book, cell: int) -> None:
    """Takes back an order that waits."""
    left = 0
    for i in range(b.counts[C_WAITING]):
        if b.waiting[i] != cell:
            b.waiting[left] = b.waiting[i]
            left += 1
    b.counts[C_WAITING] = left
    b.cells[ORDER, cell] = NONE


@inner
def by_moves(b: Book, t: int, move: int, moves: NDArray[np.int32]) -> None:
    """Decides where a built-in strategy's state changes on this bar, `move` being the first of them.

    Elsewhere nothing is to be decided: a position has the side of its state, or its exit is ordered.
    Only "level" looks at cells that are flat although their state has a side.
    """
    level = b.rules[LEVEL] > 0.5
    while move != NOTHING:
        cell = int(moves[move, M_CELL])
        by_move(b, cell, t, float(moves[move, M_SIGN]), moves[move, M_FRESH] == 0, level)
        move = int(moves[move, M_NEXT])
    if level:
        for cell in range(b.cells.shape[1]):
            if b.states[t, cell * b.many] == 1:
                by_sign(b, cell, t, b.cells[SIGN, cell], True)


@hot
def by_move(b: Book, cell: int, t: int, sign: float, enters: bool, level: bool) -> None:
    """Takes a change of state: with "level" as what each bar is asked for from now on."""
    if level:
        b.cells[SIGN, cell] = sign
    else:
        by_sign(b, cell, t, sign, enters)


@inner
def by_sign(b: Book, cell: int, t: int, sign: float, enters: bool) -> None:
    """Orders what a state of 1, 0, -1 or NaN (undefined) asks for."""
    units = b.cells[UNITS, cell]
    order = NONE
    if enters and sign > 0.5 and units <= 0.0 and b.rules[LONG] > 0.5:
        order = GO_LONG
    elif enters and sign < -0.5 and units >= 0.0 and b.rules[SHORT] > 0.5:
        order = GO_SHORT
    elif (units > 0.0 and sign < 0.5) or (units < 0.0 and sign > -0.5):
        order = GO_FLAT if b.cells[ORDER, cell] != GO_FLAT else NONE
    elif units != 0.0 and enters and b.cells[ORDER, cell] != NONE:
        # The state came back before its exit could fill: an order for the side that is held is none.
        withdraw(b, cell)
    elif units == 0.0 and (
        (b.cells[ORDER, cell] == GO_LONG and not sign > 0.5)
        or (b.cells[ORDER, cell] == GO_SHORT and not sign < -0.5)
    ):
        # The state ended before its entry could fill.
        withdraw(b, cell)
    if order != NONE:
        set_order(b, cell, t, order, 0.0)


@inner
def by_targets(b: Book, t: int, targets: Floats) -> None:
    """Orders the wanted fractions of equity of a row, by symbol; NaN is no order."""
    for cell in range(b.cells.shape[1]):
        symbol = cell * b.many
        if targets[symbol] == targets[symbol] and b.states[t, symbol] == 1:
            set_order(b, cell, t, TO_TARGET, targets[symbol])
