"""One set over one symbol, bar by bar: what a thread of a GPU does.

On the CPU run.run_moves finds all changes of a state first, then accounts many sets together. Here a
thread goes over the bars once and looks for the change when it is there, with the same functions.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .account import account_now, start_sums
from .book import Book
from .decide import by_move, by_sign
from .jit import hot, inner
from .layout import COMPARES, HOLDS, LEVEL, LEVELS, NONE, SIGN, START_CASH, TIES
from .moves import (
    channel_code,
    compared,
    first_defined,
    latched,
    level_code,
)
from .run import ready_from
from .simulate import begin_bar, end_bar, finish
from .steps import O_KIND, show, start_steps, take_order

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


@inner
def walk_states(
    b: Book, kind: int, table: Floats, closes: Floats, bar_of: Index, picks: Index, levels: Floats
) -> None:
    """Runs a built-in strategy; the arguments are those of moves.find_moves, of one cell."""
    n, own = b.bars.shape[0], len(bar_of)
    level = b.rules[LEVEL] > 0.5
    start_sums(b, 0, b.rules[START_CASH])
    first = first_of(kind, table, own, picks)
    state, before, ties = 0, 0, 0
    k = 0
    while k < own and bar_of[k] < 0:
        if k >= first and kind != HOLDS:
            found = seen(kind, table, closes, picks, levels, k)
            state, before = following(kind, state, found, before, k > first, level)
            b.cells[SIGN, 0] = float(state)
        k += 1
    if kind == HOLDS:
        first = k
    action = 0
    for t in range(n):
        action = begin_bar(b, t, action)
        if b.states[t, 0] == 1:
            if k >= first:
                found = seen(kind, table, closes, picks, levels, k)
                new, before = following(kind, state, found, before, k > first, level)
                fresh = kind == COMPARES and k == first
                if new != state or fresh:
                    by_move(b, 0, t, float(new), not fresh, level)
                state = new
                ties += 1 if kind == COMPARES and new == 0 else 0
            if level:
                by_sign(b, 0, t, b.cells[SIGN, 0], True)
            k += 1
        end_bar(b, t, n)
        account_now(b, 0, t)
    finish(b, n)
    b.purses[TIES, 0] += ties


@inner
def first_of(kind: int, table: Floats, own: int, picks: Index) -> int:
    """Returns the first own bar at which all the rows are defined."""
    first = 0
    if kind != HOLDS:
        for i in range(len(picks)):
            first = max(first, first_defined(table[picks[i]][0:own]))
    return first


@hot
def seen(kind: int, table: Floats, closes: Floats, picks: Index, levels: Floats, k: int) -> int:
    """Returns the sign, or the code, of what the rows say at own bar k."""
    if kind == HOLDS:
        return 1
    if kind == COMPARES:
        return compared(table[picks[0], k], table[picks[1], k], table[picks[2], k])
    if kind == LEVELS:
        return level_code(table[picks[0], k], levels[0], levels[1], levels[2], levels[3])
    return channel_code(
        closes[k], table[picks[0], k], table[picks[1], k], table[picks[2], k], table[picks[3], k]
    )


@hot
def following(kind: int, state: int, found: int, before: int, later: bool, level: bool) -> tuple[int, int]:
    """Returns the state after what was seen, and the code that the next bar compares with."""
    if kind in (COMPARES, HOLDS):
        return found, 0
    if level:
        return latched(state, found, 0), 0
    # The first code only begins nothing: what holds already is no beginning.
    return (latched(state, found, before) if later else state), found


@inner
def walk_steps(
    b: Book,
    step: Any,
    bars: Floats,
    table: Floats,
    bar_of: Index,
    picks: Index,
    ready: Index,
    work: Floats,
    fault: Floats,
) -> None:
    """Runs a user's step; the arguments are those of steps.by_steps, of one cell."""
    n, own = b.bars.shape[0], len(bar_of)
    start_sums(b, 0, b.rules[START_CASH])
    k = 0
    while k < own and bar_of[k] < 0:
        k += 1
    action = 0
    for t in range(n):
        action = begin_bar(b, t, action)
        if b.states[t, 0] == 1:
            show(b, t, 0, 0, k, table, picks, ready, work, 0.0)
            step(0, 1, bars[k], work)
            if work[O_KIND] != NONE:
                take_order(b, 0, 0, t, work, fault)
            k += 1
        end_bar(b, t, n)
        account_now(b, 0, t)
    finish(b, n)


@inner
def start_thread(
    b: Book,
    set_: int,
    table: Floats,
    own: int,
    picks: Index,
    previous: Index,
    warmup: int,
    params: Floats,
    start: Floats,
    ready: Index,
    work: Floats,
) -> None:
    """Makes one lane ready for a user's step: its parameters, its first states, its first bar."""
    start_steps(b, set_, params.shape[1], params, start, picks.shape[1], work, params)
    ready[0] = ready_from(table, 0, own, picks[0], previous, warmup)
