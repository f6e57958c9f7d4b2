"""The ways into the kernel from Python: one symbol with many sets, or one set with many symbols."""

import numpy as np
from numpy.typing import NDArray

from .book import Book, Markets, Records, Scratch
from .jit import LANES, by_reference, entry, inner, unowned
from .layout import (
    CELL,
    HIT,
    ORDER_STOP_LOSS,
    PURSE,
    RAW,
    RISK_FREE,
    SET_STOP_LOSS,
    SIGN,
    SUMS,
    TIES,
    WIDTH,
)
from .lines import lines_at
from .moves import NOTHING, find_moves, first_defined
from .rebalance import FIELDS, SCALARS
from .simulate import run_book
from .steps import F_CELL, F_FOUND, F_SET, FIRST_ROW, Steps, start_lanes, start_steps

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

CELLS = 64  # sets that run side by side over one symbol


@inner
def scratch_of(markets: Markets, cells: int, purses: int) -> Scratch:
    """Returns room for books of as many cells and purses."""
    bars, symbols = markets.bars.shape[1], markets.bars.shape[2]
    return Scratch(
        np.empty((CELL, cells)),
        np.empty((PURSE, purses)),
        np.empty((purses, SUMS)),
        np.zeros(symbols),
        np.empty(cells, dtype=np.int64),
        np.empty(bars // WIDTH + WIDTH + 1, dtype=np.uint8),  # whole words are read
    )


@inner
def book_of(
    markets: Markets,
    place: int,
    records: Records,
    row: int,
    scratch: Scratch,
    rules: Floats,
    many: int,
    own: int,
) -> Book:
    """Returns the book of the market at a place, which records in a row of the records.

    Its arrays have no owner: whoever runs the book holds the markets, the records and the scratch. Markets
    with room for the lines of one book have one book at a time.
    """
    first, end = markets.action_at[place], markets.action_at[place + 1]
    line = lines_at(markets, place, rules[RISK_FREE])
    return Book(
        unowned(scratch.cells),
        unowned(scratch.purses),
        unowned(scratch.sums),
        unowned(markets.bars)[place],
        unowned(markets.states)[place],
        unowned(scratch.now),
        unowned(markets.marks)[line],
        unowned(markets.totals)[line],
        unowned(markets.growth)[line],
        unowned(markets.tops)[line],
        unowned(markets.bottoms)[line],
        unowned(markets.lots)[place],
        unowned(markets.rates),
        unowned(markets.limits)[place],
        unowned(markets.dates),
        unowned(markets.actions)[first:end],
        unowned(markets.delisted)[place],
        unowned(rules),
        unowned(scratch.waiting),
        unowned(records.counts)[row],
        unowned(records.equity)[row],
        unowned(records.held)[row],
        unowned(records.decided)[row],
        unowned(records.trades)[row],
        unowned(records.events)[row],
        unowned(scratch.peaks),
        many,
        own,
    )


@inner
def table_of(tables: Floats, rows: int, first: int, end: int) -> Floats:
    """Returns the table of the own bars from first to end, [row, own bar], of those that lie in a row."""
    if rows == 0 or first == end:
        return np.empty((rows, end - first))
    return tables[rows * first : rows * end].reshape((rows, end - first))


@inner
def clear(b: Book, base: int, stops: Floats) -> None:
    """Makes a book ready for the sets from `base` on; `stops` are [stop, set]."""
    b.cells[:] = 0.0
    b.purses[:] = 0.0
    b.counts[:] = 0
    b.now[:] = 0.0
    for cell in range(b.cells.shape[1]):
        b.cells[HIT, cell] = -1.0
        b.cells[SIGN, cell] = np.nan
        at = min(base + cell, stops.shape[1] - 1)
        for i in range(3):
            b.cells[SET_STOP_LOSS + i, cell] = stops[i, at]
            b.cells[ORDER_STOP_LOSS + i, cell] = stops[i, at]


@entry
def run_moves(
    markets: Markets,
    books: Index,
    records: Records,
    rules: Floats,
    cells: int,
    many: int,
    kind: int,
    tables: Floats,
    rows: int,
    starts: Index,
    picks: Index,
    levels: Floats,
    level: bool,
    targets: Floats,
    stops: Floats,
    steps: Steps,
    faults: Floats,
    raw: Floats,
) -> None:
    """Runs some of the books, one after the other; fills raw[book, set or purse, field].

    `tables` holds `rows` series at the own bars of each book. With `many` a book has all symbols and runs
    one set: cell i uses its own bars from starts[i] to starts[i + 1]. Else as many sets run as there are
    picks, `cells` at a time, all on all own bars. With `targets` [book, bar, symbol] these decide, with
    `steps` the user's function; the first of a book's orders that cannot be one goes into its `faults`.
    """
    scratch = scratch_of(markets, cells, 1 if many == 1 else cells)
    for row in range(len(books)):
        place = int(books[row])
        first, end = markets.own_at[place], markets.own_at[place + 1]
        run_sets(
            book_of(markets, place, records, row, scratch, rules, many, 1 - many),
            kind,
            table_of(tables, rows, first, end),
            markets.closes[first:end],
            markets.bar_of[first:end],
            starts,
            picks,
            levels,
            level,
            targets[row],
            stops,
            steps,
            steps.bars[first:end],
            faults[row],
            raw[row],
        )


@inner
def run_sets(
    given: Book,
    kind: int,
    table: Floats,
    closes: Floats,
    bar_of: Index,
    starts: Index,
    picks: Index,
    levels: Floats,
    level: bool,
    targets: Floats,
    stops: Floats,
    steps: Steps,
    step_bars: Floats,
    fault: Floats,
    raw: Floats,
) -> None:
    """Runs one book; `table`, `closes`, `bar_of` and `step_bars` are of its own bars."""
    b: Book = by_reference(given)
    cells = b.cells.shape[1]
    sets = cells if b.many == 1 else len(picks)
    own = len(bar_of)
    head = np.empty(b.bars.shape[0], dtype=np.int64)
    moves = np.empty((own * (1 if b.many == 1 else cells) + cells, 4), dtype=np.int32)
    codes = np.empty(2 * (own // 8 + 2) * 8, dtype=np.int8)
    ties = np.zeros(cells)
    stepping = len(step_bars) > 0
    rows = len(steps.params) + len(steps.start) if stepping else 0
    series = picks.shape[1]
    column = np.zeros(len(b.now), dtype=np.int64)
    some_picks = np.zeros((cells, series), dtype=np.int64)
    places = np.zeros(series * LANES, dtype=np.int64)
    ready = np.zeros(cells + 1, dtype=np.int64)  # the last is the latest of them
    firsts = np.zeros(len(table) if stepping and b.many == 0 else 0, dtype=np.int64)
    for row in range(len(firsts)):
        firsts[row] = first_defined(table[row][0:own])
    balancing = len(steps.calendar) > 0
    if balancing:
        work = np.zeros((FIELDS + series) * cells)
        many_states = np.zeros((1, SCALARS + rows))
        for i in range(rows):
            many_states[0, SCALARS + i] = steps.params[i, 0]
    else:
        work = np.zeros((FIRST_ROW + 2 * series + rows) * LANES)
        many_states = np.zeros((cells if b.many == 1 else 0, rows))
    for base in range(0, sets, cells):
        clear(b, base, stops)
        head[:] = NOTHING
        count = 0
        for back in range(cells):
            cell = cells - 1 - back  # so that each bar's list ascends
            at = min(base + cell, sets - 1)  # the last block is filled up with the last set
            first = starts[cell] if b.many == 1 else 0
            end = starts[cell + 1] if b.many == 1 else own
            count, found, sign = find_moves(
                kind,
                table,
                first,
                closes[first:end],
                bar_of[first:end],
                picks[at],
                levels[at],
                level,
                cell,
                head,
                moves,
                count,
                codes,
            )
            ties[cell] = found
            b.cells[SIGN, cell] = sign
        if stepping:
            if not balancing:
                start_steps(b, base, sets, steps.params, steps.start, series, work, many_states)
            choose_rows(
                b, base, sets, table, firsts, picks, starts, bar_of, steps, some_picks, places, ready, column
            )
            if b.many == 0 and column[0] < own:
                start_lanes(int(column[0]), table, places, ready, cells, work)
        run_book(
            b,
            head,
            moves,
            targets,
            steps.call,
            step_bars,
            column,
            table,
            some_picks,
            places,
            steps.previous,
            steps.own,
            ready,
            work,
            many_states,
            steps.calendar,
            fault,
        )
        if fault[F_FOUND] == 1.0:
            fault[F_FOUND] = 2.0
            fault[F_SET] = base + fault[F_CELL]
        for cell in range(cells):
            b.purses[TIES, cell * b.own] += ties[cell]
        copy_raw(b, base, raw)


@inner
def choose_rows(
    b: Book,
    base: int,
    sets: int,
    table: Floats,
    firsts: Index,
    picks: Index,
    starts: Index,
    bar_of: Index,
    steps: Steps,
    some_picks: Index,
    places: Index,
    ready: Index,
    column: Index,
) -> None:
    """Notes which rows the sets from `base` on read, from which column on, and each symbol's first column.

    `firsts` are the first defined columns of all rows, of a book of one symbol.
    """
    own, series, cells = len(bar_of), picks.shape[1], b.cells.shape[1]
    ready[cells] = 0
    for cell in range(cells):
        some_picks[cell] = picks[int(min(base + cell, sets - 1))]
        if b.many == 1:
            first, end = starts[cell], starts[cell + 1]
            ready[cell] = ready_from(table, first, end, some_picks[cell], steps.previous, steps.warmup)
        else:
            ready[cell] = steps.warmup
            for i in range(series):
                row = some_picks[cell, i]
                places[i * LANES + cell] = row * table.shape[1]
                ready[cell] = max(ready[cell], firsts[row] + steps.previous[i])
        ready[cells] = max(ready[cells], ready[cell])
    for symbol in range(len(column)):
        column[symbol] = starts[symbol]
        while column[symbol] < own and bar_of[column[symbol]] < 0:
            column[symbol] += 1


@inner
def ready_from(table: Floats, first: int, end: int, picks: Index, previous: Index, warmup: int) -> int:
    """Returns the column from which on all tables of a set are defined, a bar back too where it is read."""
    ready = first + warmup
    for k in range(len(picks)):
        defined = first_defined(table[picks[k]][first:end])
        ready = max(ready, first + defined + previous[k])
    return ready


@inner
def copy_raw(b: Book, base: int, raw: Floats) -> None:
    for purse in range(min(b.purses.shape[1], len(raw) - base)):
        for field in range(RAW):
            raw[base + purse, field] = b.purses[field, purse]
