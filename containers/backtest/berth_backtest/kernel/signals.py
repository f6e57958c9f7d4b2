"""What built-in strategies want at a bar's close."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel.jit import inner
from berth_backtest.kernel.layout import (
    GO_FLAT,
    GO_LONG,
    GO_SHORT,
    LEVEL,
    MAY_LONG,
    MAY_SHORT,
    NONE,
    ORDER,
    SIGN,
    UNITS,
)
from berth_backtest.kernel.moves import M_FRESH, M_LANE, M_NEXT, M_SIGN, NOTHING

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


@inner
def sma_cross(
    state: Floats, width: int, move: int, moves: NDArray[np.int32], waiting: Index, rules: Floats
) -> int:
    """Decides at a bar's close, `move` being the bar's first; lists the lanes that have an order.

    Without a move nothing is to be decided: a position always has the side of its state, or its
    exit is ordered. Only "level" looks at lanes that are flat although their state has a side.
    """
    level = rules[LEVEL] > 0.5
    orders = 0
    if not level:
        while move != NOTHING:
            lane = int(moves[move, M_LANE])
            enters = moves[move, M_FRESH] == 0
            orders = note_order(state, lane, float(moves[move, M_SIGN]), enters, waiting, orders)
            move = int(moves[move, M_NEXT])
        return orders
    while move != NOTHING:
        state[SIGN + moves[move, M_LANE]] = float(moves[move, M_SIGN])
        move = int(moves[move, M_NEXT])
    for lane in range(width):
        orders = note_order(state, lane, state[SIGN + lane], level, waiting, orders)
    return orders


@inner
def note_order(state: Floats, lane: int, sign: float, enters: bool, waiting: Index, orders: int) -> int:
    order = wanted(state, lane, sign, enters)
    if order == NONE:
        return orders
    state[ORDER + lane] = order
    waiting[orders] = lane
    return orders + 1


@inner
def wanted(state: Floats, lane: int, sign: float, enters: bool) -> float:
    """Returns the order of a lane whose state is 1, 0, -1 or NaN (undefined)."""
    units = state[UNITS + lane]
    if enters and sign > 0.5 and units <= 0.0 and state[MAY_LONG + lane] > 0.5:
        return GO_LONG
    if enters and sign < -0.5 and units >= 0.0 and state[MAY_SHORT + lane] > 0.5:
        return GO_SHORT
    if (units > 0.0 and sign < 0.5) or (units < 0.0 and sign > -0.5):
        return GO_FLAT
    return NONE
