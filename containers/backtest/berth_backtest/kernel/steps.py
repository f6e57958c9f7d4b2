"""A user's step: called once a bar for all cells, through a pointer, so that the kernel is compiled once.

What it reads and writes are rows of one array with a fixed distance between them: the compiler then
knows that they do not overlap, and works on several sets at once.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .book import Book
from .decide import set_order
from .jit import LANES, get, hot, inner, put, step_function, unowned
from .layout import (
    CASH,
    ENTRY_BAR,
    ENTRY_PRICE,
    HIGH,
    LOWEST,
    NONE,
    ORDER_STOP_LOSS,
    TO_TARGET,
    UNITS,
)
from .orders import value_now
from .words import WORD, first_bit, over

Floats = NDArray[np.float64]
Index = NDArray[np.int64]
Bytes = NDArray[np.int8]

# Rows, LANES apart: what a step reads of its position (in the order of user.declare.OWN_FIELDS), whether
# it counts, what it returns; then the series at this bar, at the bar before, the parameters, the states.
S_POS, S_ENTRY, S_HELD, S_CASH, S_EQUITY, S_HIGH, S_LOW = (i * LANES for i in range(7))
S_LIVE = 7 * LANES
O_KIND, O_WANT, O_STOPS = 8 * LANES, 9 * LANES, 10 * LANES
FIRST_ROW = 13  # of the series
NO, ONE, ALL = np.uint64(0), np.uint64(1), np.uint64(2**64 - 1)
BAR = 7  # columns of what it reads of a bar

# The first order that cannot be one. F_FOUND: 1 found, 2 with the set's number too.
F_FOUND, F_BAR, F_CELL, F_KIND, F_WANT, F_SET = range(6)
FAULT = 6


class Steps(NamedTuple):
    """What a step is called with. Without one, `bars` is empty."""

    call: Any
    bars: Floats  # [own bar, field], as the table's columns
    params: Floats  # [parameter, set]
    start: Floats  # states at the beginning
    previous: Index  # 1 for each series that is read a bar back
    own: Index  # 1 for each row that is read, in the order of user.strategy.fields_read
    warmup: int
    calendar: Bytes  # [bar]: 1 where a rebalance is due; empty: a step, asked at every bar


@step_function
def no_step(first: int, end: int, bar: Floats, work: Floats) -> None:
    """Decides nothing."""


NO_STEPS = Steps(
    no_step,
    np.empty((0, BAR)),
    np.empty((0, 0)),
    np.empty(0),
    np.empty(0, dtype=np.int64),
    np.empty(0, dtype=np.int64),
    0,
    np.empty(0, dtype=np.int8),
)


@hot
def by_lanes(
    b: Book,
    t: int,
    step: Any,
    bars: Floats,
    at: Index,
    table: Floats,
    places: Index,
    previous: Index,
    own: Index,
    ready: Index,
    work: Floats,
    fault: Floats,
) -> None:
    """Asks the step for all sets of one symbol at the close of bar t; at[0] is its next own bar's column."""
    k = at[0]
    at[0] += 1
    cells = b.cells.shape[1]
    show_position(b, t, own, work)
    show_series(k, table, places, previous, ready, cells, work)
    step(0, cells, bars[k], work)
    # Orders are few: those of all lanes are found at once.
    found = over(work, NONE, O_KIND) & (ALL >> np.uint64(WORD - cells))
    while found != NO:
        cell = first_bit(found)
        take_order(b, cell, cell, t, work, fault)
        found &= found - ONE


@hot
def show_position(b: Book, t: int, own: Index, work: Floats) -> None:
    """Fills the lanes with what is read of each cell's position, field by field: several cells at once."""
    c, p = unowned(b.cells), unowned(b.purses)
    cells, mark = c.shape[1], b.now[0]
    units, entry = c[UNITS], c[ENTRY_PRICE]
    for cell in range(cells):
        put(work, S_POS + cell, get(units, cell))
    if own[1] == 1:
        for cell in range(cells):
            put(work, S_ENTRY + cell, get(entry, cell) if get(units, cell) != 0.0 else np.nan)
    if own[2] == 1:
        since = c[ENTRY_BAR]
        for cell in range(cells):
            put(work, S_HELD + cell, t - get(since, cell) if get(units, cell) != 0.0 else 0.0)
    if own[3] == 1 or own[4] == 1:
        cash = p[CASH]
        for cell in range(cells):
            put(work, S_CASH + cell, get(cash, cell))
            put(work, S_EQUITY + cell, get(cash, cell) + get(units, cell) * mark)
    if own[5] == 1 or own[6] == 1:
        high, low = c[HIGH], c[LOWEST]
        for cell in range(cells):
            held, at = get(units, cell) != 0.0, get(entry, cell)
            put(work, S_HIGH + cell, max(get(high, cell), at) if held else np.nan)
            put(work, S_LOW + cell, min(get(low, cell), at) if held else np.nan)


@hot
def show_series(
    k: int, table: Floats, places: Index, previous: Index, ready: Index, cells: int, work: Floats
) -> None:
    """Fills the lanes with each cell's series at column k; what they hold is then that of a bar back.

    `places` are where each series' rows begin in the table, LANES apart by series; the last of `ready` is
    the latest.
    """
    series = len(places) // LANES
    if k <= get(ready, cells):
        show_ready(k, ready, cells, work)
    for i in range(series):
        here, before = (FIRST_ROW + i) * LANES, (FIRST_ROW + series + i) * LANES
        if previous[i] == 1:
            for cell in range(cells):
                put(work, before + cell, get(work, here + cell))
        show_row(k, table, places, i * LANES, cells, work, here)


@hot
def show_ready(k: int, ready: Index, cells: int, work: Floats) -> None:
    for cell in range(cells):
        put(work, S_LIVE + cell, 1.0 if k >= get(ready, cell) else 0.0)


@hot
def show_row(k: int, table: Floats, places: Index, first: int, cells: int, work: Floats, row: int) -> None:
    flat = table.reshape(-1)
    for cell in range(cells):
        put(work, row + cell, get(flat, int(get(places, first + cell)) + k))


@inner
def start_lanes(k: int, table: Floats, places: Index, ready: Index, cells: int, work: Floats) -> None:
    """Fills the lanes with what is there before column k, the first of the run."""
    show_ready(k, ready, cells, work)
    for i in range(len(places) // LANES):
        show_row(max(k - 1, 0), table, places, i * LANES, cells, work, (FIRST_ROW + i) * LANES)


@inner
def by_steps(
    b: Book,
    t: int,
    step: Any,
    bars: Floats,
    at: Index,
    table: Floats,
    picks: Index,
    ready: Index,
    work: Floats,
    many_states: Floats,
    fault: Floats,
) -> None:
    """Asks the step for each symbol in turn, in lane 0, its states in `many_states`; at[symbol] as above."""
    shared = b.purses[CASH, 0] + value_now(b) if b.own == 0 else 0.0
    first = (FIRST_ROW + 2 * picks.shape[1]) * LANES
    size = many_states.shape[1]  # parameters, then states
    for cell in range(b.cells.shape[1]):
        if b.states[t, cell] == 1:
            k = at[cell]
            at[cell] += 1
            show(b, t, cell, 0, k, table, picks, ready, work, shared)
            for i in range(size):
                put(work, first + i * LANES, many_states[cell, i])
            step(0, 1, bars[k], work)
            for i in range(size):
                many_states[cell, i] = get(work, first + i * LANES)
            if get(work, O_KIND) != NONE:
                take_order(b, cell, 0, t, work, fault)


@hot
def show(
    b: Book,
    t: int,
    cell: int,
    lane: int,
    k: int,
    table: Floats,
    picks: Index,
    ready: Index,
    work: Floats,
    shared: float,
) -> None:
    """Fills a lane with what its cell's step reads."""
    c = b.cells
    units = c[UNITS, cell]
    held = units != 0.0
    entry = c[ENTRY_PRICE, cell] if held else np.nan
    cash = b.purses[CASH, cell * b.own]
    put(work, S_POS + lane, units)
    put(work, S_ENTRY + lane, entry)
    put(work, S_HELD + lane, t - c[ENTRY_BAR, cell] if held else 0.0)
    put(work, S_CASH + lane, cash)
    put(work, S_EQUITY + lane, cash + units * b.now[cell * b.many] if b.own == 1 else shared)
    put(work, S_HIGH + lane, max(c[HIGH, cell], entry) if held else np.nan)
    put(work, S_LOW + lane, min(c[LOWEST, cell], entry) if held else np.nan)
    put(work, S_LIVE + lane, 1.0 if k >= ready[cell] else 0.0)
    series = picks.shape[1]
    for i in range(series):
        row = picks[cell, i]
        put(work, (FIRST_ROW + i) * LANES + lane, table[row, k])
        put(work, (FIRST_ROW + series + i) * LANES + lane, table[row, max(k - 1, 0)])


@inner
def take_order(b: Book, cell: int, lane: int, t: int, work: Floats, fault: Floats) -> None:
    """Gives a cell the order of its step; what is no number or no fraction is noted as a fault."""
    kind, want = get(work, O_KIND + lane), get(work, O_WANT + lane)
    if not math.isfinite(want) or (kind == TO_TARGET and abs(want) > 1.0):
        if fault[F_FOUND] == 0.0:
            fault[F_FOUND] = 1.0
            fault[F_BAR] = t
            fault[F_CELL] = cell
            fault[F_KIND] = kind
            fault[F_WANT] = want
        return
    set_order(b, cell, t, kind, want)
    for i in range(3):
        x = get(work, O_STOPS + i * LANES + lane)
        if not math.isnan(x):
            b.cells[ORDER_STOP_LOSS + i, cell] = max(x, 0.0)


@inner
def start_steps(
    b: Book, base: int, sets: int, params: Floats, start: Floats, series: int, work: Floats, many: Floats
) -> None:
    """Puts parameters and first states where the steps find them."""
    first = (FIRST_ROW + 2 * series) * LANES
    for cell in range(b.cells.shape[1]):
        chosen = int(min(base + cell, sets - 1))
        for i in range(len(params) + len(start)):
            x = params[i, chosen] if i < len(params) else start[i - len(params)]
            if b.many == 1:
                many[cell, i] = x
            else:
                put(work, first + i * LANES + cell, x)
        for i in range(3):  # of steps that name no stop these stay
            put(work, O_STOPS + i * LANES + (0 if b.many == 1 else cell), np.nan)
