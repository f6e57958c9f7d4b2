"""Finds the bars where a strategy's state changes, lane by lane, before the accounting begins.

A cross acts only where two averages change their order. These bars are few, so they are looked
for along time, many bars at once, and kept as one list of lanes per bar.
"""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel.jit import inner
from berth_backtest.kernel.layout import TIE

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

WORD = 8  # bytes looked at together for a change
NOTHING = -1

# Columns of a move.
M_NEXT, M_LANE, M_SIGN, M_FRESH = range(4)


@inner
def find_moves(
    table: Floats,
    bar_of: Index,
    defined: Index,
    fast: Index,
    slow: Index,
    head: Index,
    moves: NDArray[np.int32],
    start: Floats,
) -> int:
    """Fills the moves of up to LANES sets; returns how many comparisons were ties.

    `bar_of` is the run's bar of each column of the table (-1: the bar before the run), `defined`
    the first defined column of each window. head[t] is the first move of bar t, M_NEXT its next;
    M_SIGN 1 = fast above slow, -1 below, 0 equal; M_FRESH marks a state with none before it.
    `start` gets each lane's state before the run, NaN if undefined.
    """
    head[:] = NOTHING
    room = (len(bar_of) // WORD + 1) * WORD
    signs = np.empty(room, dtype=np.int8)
    changes = np.empty(room, dtype=np.int8)
    words = changes.view(np.int64)
    count = 0
    ties = 0
    for back in range(len(fast)):
        lane = len(fast) - 1 - back  # so that each bar's list ascends
        first = max(defined[fast[lane]], defined[slow[lane]])
        start[lane] = np.nan
        size = len(bar_of) - first
        if size <= 0:
            continue
        ties += compare(table[fast[lane], first:], table[slow[lane], first:], signs)
        bars = bar_of[first:]
        if bars[0] < 0:
            start[lane] = signs[0]
            ties -= 1 if signs[0] == 0 else 0
        else:
            count = add_move(head, moves, count, bars[0], lane, signs[0], 1)
        mark_changes(signs, changes, size)
        for word in range((size - 1) // WORD + 1):
            if words[word] != 0:
                for i in range(word * WORD, word * WORD + WORD):
                    if changes[i] != 0:
                        count = add_move(head, moves, count, bars[i + 1], lane, signs[i + 1], 0)
    return ties


# Loops over time start at 0, over slices: an index that the compiler cannot prove to be positive
# keeps it from working on several bars at once.


@inner
def compare(fast: Floats, slow: Floats, signs: NDArray[np.int8]) -> int:
    """Fills the states and counts equal ones: closer than TIE is equal, a rounding is no cross."""
    ties = 0
    for i in range(len(fast)):
        gap = fast[i] - slow[i]
        near = TIE * slow[i]
        sign = (1 if gap > near else 0) - (1 if gap < -near else 0)
        signs[i] = sign
        ties += 1 if sign == 0 else 0
    return ties


@inner
def mark_changes(signs: NDArray[np.int8], changes: NDArray[np.int8], size: int) -> None:
    """Fills changes[i] with 1 where state i + 1 differs from state i, with 0 up to a whole word."""
    for i in range(size - 1):
        changes[i] = 1 if signs[i + 1] != signs[i] else 0
    changes[size - 1 : ((size - 1) // WORD + 1) * WORD] = 0


@inner
def add_move(
    head: Index, moves: NDArray[np.int32], count: int, bar: int, lane: int, sign: int, fresh: int
) -> int:
    moves[count, M_NEXT] = head[bar]
    moves[count, M_LANE] = lane
    moves[count, M_SIGN] = sign
    moves[count, M_FRESH] = fresh
    head[bar] = count
    return count + 1
