"""Finds the bars where a built-in strategy's state changes, set by set, before the accounting begins.

These bars are few, so they are looked for along time, many bars at once, and kept as one list of
cells per bar.
"""

import numpy as np
from numpy.typing import NDArray

from .jit import hot, inner
from .layout import COMPARES, HOLDS, LEVELS, TARGETS, TIE

Floats = NDArray[np.float64]
Index = NDArray[np.int64]
Bytes = NDArray[np.int8]
Moves = NDArray[np.int32]

WORD = 8  # bytes looked at together for a change
NOTHING = -1

# Columns of a move.
M_NEXT, M_CELL, M_SIGN, M_FRESH = range(4)

# Bits of a code.
ABOVE, BELOW = 1, 2  # conditions to enter long and short
NO_LONG, NO_SHORT = 4, 8  # conditions to leave them
ENTERS = 0x0303030303030303  # the bits to enter in each byte of a word


@inner
def find_moves(
    kind: int,
    table: Floats,
    offset: int,
    closes: Floats,
    bar_of: Index,
    picks: Index,
    levels: Floats,
    level: bool,
    cell: int,
    head: Index,
    moves: Moves,
    count: int,
    codes: Bytes,
) -> tuple[int, int, float]:
    """Adds the moves of one cell; returns the moves so far, its ties, and its state before the run.

    `table` has a row per series, the symbol's own bars beginning at `offset`; `bar_of` is the run's
    bar of each (-1: the bar before the run), `picks` and `levels` the set's rows and thresholds.
    head[t] is the first move of bar t, M_NEXT its next; M_SIGN 1 = long, -1 short, 0 neither; M_FRESH
    marks a state with none before it.
    """
    own = len(bar_of)
    if kind >= TARGETS:
        return count, 0, np.nan
    if kind == HOLDS:
        first = 0
        while first < own and bar_of[first] < 0:
            first += 1
        if first < own:
            count = add_move(head, moves, count, int(bar_of[first]), cell, 1, 0)
        return count, 0, np.nan
    first = 0
    for pick in picks:
        first = max(first, first_defined(table[pick][offset : offset + own]))
    size = own - first
    if size <= 0:
        return count, 0, np.nan
    bars = bar_of[first:]
    start, end = offset + first, offset + own
    if kind == COMPARES:
        fast, slow, scale = table[picks[0]], table[picks[1]], table[picks[2]]
        ties = compare(fast[start:end], slow[start:end], scale[start:end], codes)
        return mark_changes(codes, size, bars, cell, head, moves, count, ties)
    if kind == LEVELS:
        mark_levels(table[picks[0]][start:end], levels, codes)
    else:
        mark_channels(
            closes[first:],
            table[picks[0]][start:end],
            table[picks[1]][start:end],
            table[picks[2]][start:end],
            table[picks[3]][start:end],
            codes,
        )
    codes[size : (size // WORD + 1) * WORD] = 0
    return latch(codes, size, bars, level, cell, head, moves, count)


@inner
def first_defined(row: Floats) -> int:
    """Returns the place of a row's first number; what comes before is NaN."""
    low, high = 0, len(row)
    while low < high:
        middle = (low + high) // 2
        if row[middle] == row[middle]:
            high = middle
        else:
            low = middle + 1
    return low


# Loops over time start at 0, over slices: an index that the compiler cannot prove to be positive
# keeps it from working on several bars at once.


@inner
def compare(fast: Floats, slow: Floats, scale: Floats, codes: Bytes) -> int:
    """Fills the states and counts equal ones: closer than TIE is equal, a rounding is no cross."""
    ties = 0
    for i in range(len(fast)):
        sign = compared(fast[i], slow[i], scale[i])
        codes[i] = sign
        ties += 1 if sign == 0 else 0
    return ties


@hot
def compared(fast: float, slow: float, scale: float) -> int:
    gap = fast - slow
    near = TIE * scale
    return (1 if gap > near else 0) - (1 if gap < -near else 0)


@inner
def mark_changes(
    signs: Bytes, size: int, bars: Index, cell: int, head: Index, moves: Moves, count: int, ties: int
) -> tuple[int, int, float]:
    """Adds a move where state i + 1 differs from state i."""
    start = np.nan
    if bars[0] < 0:
        start = float(signs[0])
        ties -= 1 if signs[0] == 0 else 0
    else:
        count = add_move(head, moves, count, int(bars[0]), cell, int(signs[0]), 1)
    room = signs[len(signs) // 2 :]
    for i in range(size - 1):
        room[i] = 1 if signs[i + 1] != signs[i] else 0
    room[size - 1 : ((size - 1) // WORD + 1) * WORD] = 0
    words = room[: (len(room) // WORD) * WORD].view(np.int64)
    for word in range((size - 1) // WORD + 1):
        if words[word] != 0:
            for i in range(word * WORD, word * WORD + WORD):
                if room[i] != 0:
                    count = add_move(head, moves, count, int(bars[i + 1]), cell, int(signs[i + 1]), 0)
    return count, ties, start


@inner
def mark_levels(x: Floats, levels: Floats, codes: Bytes) -> None:
    """Codes a series that enters beyond outer levels and leaves at inner ones."""
    low, high, leave_long, leave_short = levels[0], levels[1], levels[2], levels[3]
    for i in range(len(x)):
        codes[i] = level_code(x[i], low, high, leave_long, leave_short)


@hot
def level_code(x: float, low: float, high: float, leave_long: float, leave_short: float) -> int:
    code = (ABOVE if x < low else 0) | (BELOW if x > high else 0)
    return code | (NO_LONG if x >= leave_long else 0) | (NO_SHORT if x <= leave_short else 0)


@inner
def mark_channels(
    close: Floats, top: Floats, bottom: Floats, exit_top: Floats, exit_bottom: Floats, codes: Bytes
) -> None:
    """Codes a close that breaks out of one channel and back through another."""
    for i in range(len(close)):
        codes[i] = channel_code(close[i], top[i], bottom[i], exit_top[i], exit_bottom[i])


@hot
def channel_code(close: float, top: float, bottom: float, exit_top: float, exit_bottom: float) -> int:
    code = (ABOVE if close > top else 0) | (BELOW if close < bottom else 0)
    return code | (NO_LONG if close < exit_bottom else 0) | (NO_SHORT if close > exit_top else 0)


@inner
def latch(
    codes: Bytes, size: int, bars: Index, level: bool, cell: int, head: Index, moves: Moves, count: int
) -> tuple[int, int, float]:
    """Adds a move where a state begins or ends: it holds from its condition's beginning to its exit.

    With `level` a condition that already holds begins a state too.
    """
    words = codes[: (len(codes) // WORD) * WORD].view(np.int64)
    state = 0
    start = np.nan
    i = 0 if level else 1
    if bars[0] < 0:
        start = 0.0
    while i < size:
        if state == 0 and i % WORD == 0 and words[i // WORD] & ENTERS == 0:
            i += WORD
            continue
        new = latched(state, codes[i], 0 if level or i == 0 else codes[i - 1])
        if new != state:
            state = new
            if bars[i] < 0:
                start = float(state)
            else:
                count = add_move(head, moves, count, int(bars[i]), cell, state, 0)
        i += 1
    return count, 0, start


@hot
def latched(state: int, code: int, before: int) -> int:
    """Returns the state after a bar's code; `before` is the code that does not count as a beginning."""
    begins = code & ~before
    new = state
    if (state > 0 and code & NO_LONG) or (state < 0 and code & NO_SHORT):
        new = 0
    if begins & ABOVE and new <= 0:
        new = 1
    elif begins & BELOW and new >= 0:
        new = -1
    return new


@inner
def add_move(head: Index, moves: Moves, count: int, bar: int, cell: int, sign: int, fresh: int) -> int:
    moves[count, M_NEXT] = head[bar]
    moves[count, M_CELL] = cell
    moves[count, M_SIGN] = sign
    moves[count, M_FRESH] = fresh
    head[bar] = count
    return count + 1
