"""Runs sets where nothing happens to a symbol but the orders of a built-in strategy: one after the other.

No short, no stop, no split, no price limit, a bar on each date: then a set changes only where its state
does. These bars are found 64 at a time, as the bits of a word, and what lies between them is accounted
at once. The results are those of run.run_moves to the last bit.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .account import finish_sums, settle_bars, start_sums
from .book import Book, Markets, Records
from .jit import by_reference, entry, hot, inner, unowned
from .layout import (
    CASH,
    CASH_ORDERS,
    CLOSE,
    COMPARES,
    END_ORDERS,
    FEES,
    FILL,
    FRACTION,
    GAINS,
    HELD,
    LEVELS,
    LOSSES,
    NEXT_OPEN,
    OPEN_TRADES,
    RAW,
    RISK_FREE,
    SINCE,
    SIZE,
    SIZE_CASH,
    SIZE_UNITS,
    SIZING,
    SLIPPAGE,
    START_CASH,
    TIE,
    TIES,
    TRADED,
    TRADES,
    WINS,
)
from .moves import first_defined
from .orders import costs_at, cut, fitting_at, left_of
from .run import book_of, scratch_of, table_of
from .words import WORD, above, at_least, count_bits, first_bit, lower, near, over, under, within

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

NO, ONE, ALL = np.uint64(0), np.uint64(1), np.uint64(2**64 - 1)
LAST = np.uint64(WORD - 1)

# Of the position and its trade.
P_UNITS, P_ENTRY, P_VALUE, P_COST = range(4)


class Line(NamedTuple):
    """What is read and written at each fill, as values: through the book each would be looked up again."""

    purses: Floats
    sums: Floats
    bars: Floats
    mark: Floats
    total: Floats
    growth: Floats
    tops: Floats
    bottoms: Floats
    peaks: Any
    equity: Floats
    trade: Floats
    shift: int  # bar i + shift of the run is own bar i
    delay: int  # bars from a decision to its fill
    field: int  # of a bar, that orders fill at
    rates: Floats
    lots: Floats
    sizing: float
    size: float
    slippage: float
    free: float


@entry
def run_plain(
    markets: Markets,
    books: Index,
    records: Records,
    rules: Floats,
    kind: int,
    tables: Floats,
    rows: int,
    picks: Index,
    levels: Floats,
    raw: Floats,
    left: Index,
    counts: Index,
) -> None:
    """Fills raw[book, set, field] of some books; counts[book] sets are `left` to run_moves.

    Those are sets that a sale left no cash. The arguments are those of run_moves.
    """
    scratch = scratch_of(markets, 1, 1)
    for row in range(len(books)):
        place = int(books[row])
        first, end = markets.own_at[place], markets.own_at[place + 1]
        b = book_of(markets, place, records, row, scratch, rules, 0, 1)
        table, closes = table_of(tables, rows, first, end), markets.closes[first:end]
        if end - first < WORD:
            table, closes = with_room(table), with_room(closes.reshape((1, end - first)))[0]
        shift = markets.bar_of[first]
        counts[row] = follow_book(
            b, kind, table, closes, end - first, shift, picks, levels, raw[row], left[row]
        )


@inner
def with_room(table: Floats) -> Floats:
    """Returns rows of less than a word as ones of a word."""
    found = np.zeros((table.shape[0], WORD))
    for row in range(table.shape[0]):
        for i in range(table.shape[1]):
            found[row, i] = table[row, i]
    return found


@inner
def follow_book(
    given: Book,
    kind: int,
    given_table: Floats,
    given_closes: Floats,
    own: int,
    shift: int,
    picks: Index,
    levels: Floats,
    raw: Floats,
    left: Index,
) -> int:
    """Runs one book; returns how many sets are `left`.

    The table and the closes have room for a word at least, `own` are the bars that they hold; bar
    i + shift of the run is own bar i.
    """
    b: Book = by_reference(given)
    table, closes = unowned(given_table), unowned(given_closes)
    firsts = np.zeros(len(table), dtype=np.int64)
    for row in range(len(table)):
        firsts[row] = first_defined(table[row][:own])
    trade = np.zeros(4)
    line = Line(
        unowned(b.purses),
        unowned(b.sums)[0],
        unowned(b.bars),
        unowned(b.marks)[0],
        unowned(b.totals)[0],
        unowned(b.growth)[0],
        unowned(b.tops)[0],
        unowned(b.bottoms)[0],
        unowned(b.peaks),
        unowned(b.equity),
        unowned(trade),
        shift,
        0 if b.rules[FILL] == CLOSE else 1,
        0 if b.rules[FILL] == NEXT_OPEN else 3,
        unowned(b.rates)[0],
        unowned(b.lots)[0],
        b.rules[SIZING],
        b.rules[SIZE],
        b.rules[SLIPPAGE],
        b.rules[RISK_FREE],
    )
    count = 0
    widest = np.full(len(table), -1.0)  # what TIE is relative to, at most, in the rows that it is in
    for i in range(len(picks)):
        scale = picks[i, 2] if kind == COMPARES else 0
        if kind == COMPARES and widest[scale] < 0.0:
            for t in range(firsts[scale], own):
                widest[scale] = max(widest[scale], table[scale, t])
        b.purses[:] = 0.0
        line.trade[:] = 0.0
        start_sums(b, 0, b.rules[START_CASH])
        first = 0
        for k in range(picks.shape[1]):
            first = max(first, firsts[picks[i, k]])
        near_most = TIE * widest[scale]
        if not follow(
            line, kind, table, closes, first, own, unowned(picks)[i], unowned(levels)[i], near_most
        ):
            left[count] = i
            count += 1
        finish_sums(b, 0)
        for field in range(RAW):
            raw[i, field] = b.purses[field, 0]
    return count


@hot
def follow(
    line: Line,
    kind: int,
    table: Floats,
    closes: Floats,
    first: int,
    own: int,
    picks: Index,
    levels: Floats,
    near_most: float,
) -> bool:
    """Runs one set from its first defined bar on; says whether each sale left cash.

    Rows that are compared are no tie where they are further apart than `near_most`.
    """
    p = line.purses
    n = line.bars.shape[0]
    long = False
    sound = True
    began = fell = NO
    for at in range(first, own, WORD):
        # The last word begins earlier, so that it lies within the rows.
        base = min(at, own - WORD) if own > WORD else 0
        rest = np.uint64(at - base)
        valid = ALL >> np.uint64(WORD - min(WORD, own - at))
        if kind == COMPARES and not within(table[picks[0]], table[picks[1]], near_most, base):
            # Without a tie what is not above is below: each change begins the one or leaves it.
            up = ~lower(table[picks[0]], table[picks[1]], base) >> rest
            changes = (up ^ ((up << ONE) | (up & ONE if at == first else began))) & valid
            began, fell = up >> LAST, ONE ^ (up >> LAST)
            if changes == NO:
                continue
            begins, leaves = changes & up, changes & ~up
        else:
            up, down, out = conditions(kind, table, closes, picks, levels, base)
            up, down, out = up >> rest, down >> rest, out >> rest
            if kind == COMPARES:
                # A tie on the bar before the run is none of its own.
                counted = valid ^ ONE if at + line.shift < 0 else valid
                p[TIES, 0] += count_bits(~(up | down) & counted)
            # What holds at the first bar already is no beginning, and nothing is left there.
            begins = up & ~((up << ONE) | (up & ONE if at == first else began)) & valid
            falls = down & ~((down << ONE) | (down & ONE if at == first else fell))
            leaves = ((out & ~begins) | (~out & falls)) & (valid ^ ONE if at == first else valid)
            began, fell = up >> LAST, down >> LAST
        found = leaves if long else begins
        while found != NO:
            j = first_bit(found)
            t = at + j + line.shift + line.delay
            if t < n:
                order(line, t, long)
                sound = sound and (p[CASH, 0] > 0.0 or not long)
            elif not long or line.trade[P_UNITS] > 0.0:
                p[END_ORDERS, 0] += 1.0
            long = not long
            found = (leaves if long else begins) & ((ALL << np.uint64(j)) << ONE)
    account(line, n)
    if line.trade[P_UNITS] > 0.0:
        p[OPEN_TRADES, 0] += 1.0
        p[HELD, 0] += n - line.trade[P_ENTRY]
    return sound


@hot
def conditions(
    kind: int, table: Floats, closes: Floats, picks: Index, levels: Floats, at: int
) -> tuple[Any, Any, Any]:
    """Returns 64 bars' words: what enters long, what enters short, what leaves long."""
    x = table[picks[0]]
    if kind == COMPARES:
        y, scale = table[picks[1]], table[picks[2]]
        up = above(x, y, scale, TIE, at)
        down = above(y, x, scale, TIE, at) if near(x, y, scale, TIE, at) else ~up
        return up, down, ~up
    if kind == LEVELS:
        return under(x, levels[0], at), over(x, levels[1], at), at_least(x, levels[2], at)
    return over(closes, x, at), under(closes, table[picks[1]], at), under(closes, table[picks[3]], at)


@hot
def order(line: Line, t: int, sale: bool) -> None:
    """Sells what is held at bar t, or buys; counts where the cash is too little."""
    p, trade = line.purses, line.trade
    price = line.bars[t, 0, line.field] * (1.0 - line.slippage if sale else 1.0 + line.slippage)
    units = trade[P_UNITS]
    if not sale:
        budget = p[CASH, 0]
        wanted = np.inf
        if line.sizing == FRACTION:
            budget = min(budget, line.size * budget)
        elif line.sizing == SIZE_CASH:
            budget = min(budget, line.size)
        elif line.sizing == SIZE_UNITS:
            wanted = line.size
        units, tie = cut(line.lots, min(fitting_at(line.rates, price, False, budget), wanted))
        if tie:
            p[TIES, 0] += 1.0
        if not units > 0.0:
            p[CASH_ORDERS, 0] += 1.0
    if not units > 0.0:
        return
    value = units * price
    cost = costs_at(line.rates, value, sale)
    account(line, t)
    p[FEES, 0] += cost
    p[TRADED, 0] += value
    if not sale:
        p[CASH, 0] = left_of(p[CASH, 0] - (value + cost), value)
        trade[P_UNITS], trade[P_ENTRY], trade[P_VALUE], trade[P_COST] = units, t, value, cost
        return
    p[CASH, 0] += value - cost
    pnl = value - trade[P_VALUE] - (trade[P_COST] + cost)
    p[HELD, 0] += t - trade[P_ENTRY]
    p[TRADES, 0] += 1.0
    if pnl > 0.0:
        p[WINS, 0] += 1.0
        p[GAINS, 0] += pnl
    else:
        p[LOSSES, 0] -= pnl
    trade[P_UNITS] = 0.0


@hot
def account(line: Line, t: int) -> None:
    """Accounts the bars before t."""
    if line.purses[SINCE, 0] < t:
        settle_bars(
            line.purses,
            line.sums,
            line.mark,
            line.total,
            line.growth,
            line.tops,
            line.bottoms,
            line.peaks,
            line.equity,
            0,
            line.trade[P_UNITS],
            line.free,
            t,
        )
