"""Runs sets where nothing happens to a symbol but the orders of a built-in strategy: one after the other.

No short, no stop, no split, no price limit, a bar on each date: then a set changes only where its state
does. These bars are found 64 at a time, as the bits of a word, and what lies between them is accounted
at once. The results are those of run.run_moves to the last bit, and so is what is recorded of one set.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .account import Course, Lines, begun, clear_sums, joined, settled
from .book import C_TRADES, Book, Markets, Records
from .jit import by_reference, entry, hot, inner, unowned
from .layout import (
    CASH_ORDERS,
    CLOSE,
    COMPARES,
    END_ORDERS,
    EQUITY,
    FEES,
    FILL,
    FRACTION,
    GAINS,
    HELD,
    LEVELS,
    LOSSES,
    LOW,
    LOW_PEAK,
    MAX_BELOW,
    NEXT_OPEN,
    OPEN_TRADES,
    RISK_FREE,
    SIGNAL,
    SIZE,
    SIZE_CASH,
    SIZE_UNITS,
    SIZING,
    SLIPPAGE,
    START_CASH,
    SUM_D2,
    SUM_E,
    SUM_R,
    SUM_R2,
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
Narrow = NDArray[np.float32]
Index = NDArray[np.int64]

NO, ONE, ALL = np.uint64(0), np.uint64(1), np.uint64(2**64 - 1)
LAST = np.uint64(WORD - 1)

# Rows are compared in float32, half the size: rounding keeps the order of two numbers, but what is equal but
# for TIE may come to lie this share apart. Numbers too small or too large for it are left to float64.
ROUNDING = 2.0**-22
SMALLEST, LARGEST = 1e-30, 1e30
NARROW_ROOM = 1 << 22  # numbers of a book's rows: of more than a cache holds a second copy gains nothing


class Line(NamedTuple):
    """What is read at each fill, as values: through the book each would be looked up again."""

    prices: Floats  # [bar]: what orders fill at
    totals: Floats
    lines: Lines
    rates: Floats
    lots: Floats
    cash: float
    sizing: float
    size: float
    slippage: float
    free: float


class Curve(NamedTuple):
    """What is recorded of a set, each bar and each trade."""

    equity: Floats  # [bar]
    held: Floats  # [bar]
    trades: Floats  # [trade, column]
    counts: Index


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

    Those are sets that a sale left no cash. The arguments are those of run_moves; recorded are equity,
    units and trades, of one set, where there is room for them.
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
    b: Book,
    kind: int,
    table: Floats,
    closes: Floats,
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
    firsts = np.zeros(len(table), dtype=np.int64)
    for row in range(len(table)):
        firsts[row] = first_defined(table[row][:own])
    narrows = kind == COMPARES and table.size <= NARROW_ROOM
    narrow = np.empty((len(table) if narrows else 0, -(-own // WORD) * WORD), dtype=np.float32)
    widest = np.full(len(narrow), np.float32(-1.0))
    field = 0 if b.rules[FILL] == NEXT_OPEN else 3
    prices = np.empty(len(b.bars))
    for t in range(len(prices)):
        prices[t] = b.bars[t, 0, field]
    changes = np.empty(own + 2, dtype=np.int64)
    return follow_sets(
        b, kind, table, closes, firsts, narrow, widest, prices, changes, own, shift, picks, levels, raw, left
    )


@inner
def follow_sets(
    given: Book,
    kind: int,
    given_table: Floats,
    given_closes: Floats,
    given_firsts: Index,
    given_narrow: Narrow,
    given_widest: Narrow,
    given_prices: Floats,
    given_changes: Index,
    own: int,
    shift: int,
    given_picks: Index,
    given_levels: Floats,
    given_raw: Floats,
    left: Index,
) -> int:
    """Runs a book's sets; the caller holds the arrays, which nothing counts here."""
    b: Book = by_reference(given)
    table, closes, firsts = unowned(given_table), unowned(given_closes), unowned(given_firsts)
    narrow, widest, changes = unowned(given_narrow), unowned(given_widest), unowned(given_changes)
    picks, levels, raw = unowned(given_picks), unowned(given_levels), unowned(given_raw)
    line = Line(
        unowned(given_prices),
        unowned(b.totals)[0],
        Lines(
            unowned(b.marks)[0],
            unowned(b.growth)[0],
            unowned(b.tops)[0],
            unowned(b.bottoms)[0],
            unowned(b.sums)[0],
            unowned(b.peaks),
        ),
        unowned(b.rates)[0],
        unowned(b.lots)[0],
        b.rules[START_CASH],
        b.rules[SIZING],
        b.rules[SIZE],
        b.rules[SLIPPAGE],
        b.rules[RISK_FREE],
    )
    begin = shift + (0 if b.rules[FILL] == CLOSE else 1)
    count = 0
    for i in range(len(picks)):
        first = 0
        for pick in picks[i]:
            first = max(first, firsts[pick])
        found, ties = -1, 0
        if kind == COMPARES and len(narrow) > 0:
            for k in range(3):
                row = picks[i, k]
                if widest[row] < 0.0:
                    widest[row] = narrow_row(table[row], firsts[row], own, narrow[row])
            y, scale = widest[picks[i, 1]], widest[picks[i, 2]]
            if SMALLEST < y < LARGEST:
                x, most = narrow[picks[i, 0]], np.float32(ROUNDING * y + TIE * scale)
                found = crossings(x, narrow[picks[i, 1]], most, first, own, begin, changes)
        if found < 0:
            found, ties = all_changes(
                kind, table, closes, first, own, shift, begin, picks[i], levels[i], changes
            )
        if len(b.equity) > 0:
            curve = Curve(b.equity[:, 0], b.held[:, 0], b.trades, b.counts)
            sound = trade(line, changes, found, ties, raw[i], curve)
        else:
            sound = trade(line, changes, found, ties, raw[i], None)
        if not sound:
            left[count] = i
            count += 1
    return count


@inner
def narrow_row(values: Floats, first: int, own: int, out: Narrow) -> float:
    """Fills a row of half the size, up to a whole word with what is not defined; returns its largest size."""
    for i in range(own):
        out[i] = values[i]
    out[own:] = np.nan
    # As whole numbers the bits have the order of the sizes, and are compared several at once.
    bits, most = out[first:own].view(np.int32), np.int32(0)
    for i in range(len(bits)):
        most = max(most, bits[i] & np.int32(2**31 - 1))
    return float(np.full(1, most, dtype=np.int32).view(np.float32)[0])


@hot
def crossings(
    x: Narrow, y: Narrow, most: np.float32, first: int, own: int, begin: int, changes: Index
) -> int:
    """Fills the bars at which to buy and to sell in turn; returns how many, -1 where rows are too near.

    An order of own bar i fills at bar i + begin of the run.
    """
    tied = False
    count, base = 0, first - first % WORD
    place = np.uint64(first - base)
    begins = (ALL << place) << ONE  # what holds at the first bar already is no beginning
    began = NO
    for at in range(base, own, WORD):
        tied = tied or within(x, y, most, at)
        up = ~lower(x, y, at)
        if at == base:
            count -= int((up >> place) & ONE)  # nothing is left there
        found = (up ^ ((up << ONE) | began)) & begins & (ALL >> np.uint64(WORD - min(WORD, own - at)))
        began, begins = up >> LAST, ALL
        # Two without a branch: more in a word are few, and a wrong guess takes as long as all else here.
        for _ in range(2):
            j = first_bit(found) & (WORD - 1)
            changes[max(count, 0)] = at + j + begin
            count += 1 if found != NO else 0
            found &= ~(ONE << np.uint64(j))
        while found != NO:
            j = first_bit(found)
            changes[count] = at + j + begin
            count += 1
            found &= ~(ONE << np.uint64(j))
    return -1 if tied else max(count, 0)


@hot
def all_changes(
    kind: int,
    table: Floats,
    closes: Floats,
    first: int,
    own: int,
    shift: int,
    begin: int,
    picks: Index,
    levels: Floats,
    changes: Index,
) -> tuple[int, int]:
    """Fills the bars at which to buy and to sell in turn; returns how many, and the ties."""
    count = ties = 0
    began = fell = NO
    for at in range(first, own, WORD):
        # The last word begins earlier, so that it lies within the rows.
        base = min(at, own - WORD) if own > WORD else 0
        rest = np.uint64(at - base)
        valid = ALL >> np.uint64(WORD - min(WORD, own - at))
        up, down, out = conditions(kind, table, closes, picks, levels, base)
        up, down, out = up >> rest, down >> rest, out >> rest
        if kind == COMPARES:
            # A tie on the bar before the run is none of its own.
            counted = valid ^ ONE if at + shift < 0 else valid
            ties += count_bits(~(up | down) & counted)
        # What holds at the first bar already is no beginning, and nothing is left there.
        begins = up & ~((up << ONE) | (up & ONE if at == first else began)) & valid
        falls = down & ~((down << ONE) | (down & ONE if at == first else fell))
        leaves = ((out & ~begins) | (~out & falls)) & (valid ^ ONE if at == first else valid)
        began, fell = up >> LAST, down >> LAST
        found = leaves if count & 1 else begins
        while found != NO:
            j = first_bit(found)
            changes[count] = at + j + begin
            count += 1
            found = (leaves if count & 1 else begins) & ((ALL << np.uint64(j)) << ONE)
    return count, ties


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
def trade(line: Line, changes: Index, count: int, ties: int, raw: Floats, curve: Curve | None) -> bool:
    """Buys and sells in turn at the bars of some changes; says whether each sale left cash."""
    prices, totals, n = line.prices, line.totals, len(line.prices)
    clear_sums(line.lines.sums)
    raw[:] = 0.0
    raw[TIES] = ties
    cash, course, since, sound = line.cash, begun(line.cash), 0, True
    for k in range(0, count, 2):
        t, end = changes[k], changes[k + 1] if k + 1 < count else n
        if t >= n:
            raw[END_ORDERS] = 1.0
            break
        price = prices[t] * (1.0 + line.slippage)
        units, tie = bought(line, price, cash)
        raw[TIES] += 1.0 if tie else 0.0
        if not units > 0.0:
            raw[CASH_ORDERS] += 1.0
            continue
        value = units * price
        cost = costs_at(line.rates, value, False)
        if since < t:
            raw[SUM_E] += cash * (t - since)
            course = followed(line, curve, course, since, t, cash, 0.0)
        cash = left_of(cash - (value + cost), value)
        since = min(end, n)
        raw[SUM_E] += cash * (since - t) + units * (totals[since] - totals[t])
        course = followed(line, curve, course, t, since, cash, units)
        raw[HELD] += since - t
        pay(raw, value, cost)
        if end >= n:
            raw[END_ORDERS] = 1.0 if k + 1 < count else 0.0
            raw[OPEN_TRADES] = 1.0
            if curve is not None:
                pnl = units * line.lines.mark[n - 1] - value - cost
                keep_trade(curve, t, -1, units, price, np.nan, value, cost, pnl, -1.0)
            break
        paid = prices[end] * (1.0 - line.slippage)
        sold = units * paid
        sale_cost = costs_at(line.rates, sold, True)
        cash += sold - sale_cost
        sound = sound and cash > 0.0
        pay(raw, sold, sale_cost)
        pnl = sold - value - (cost + sale_cost)
        count_trade(raw, pnl)
        if curve is not None:
            keep_trade(curve, t, end, units, price, paid, value, cost + sale_cost, pnl, SIGNAL)
    if since < n:
        raw[SUM_E] += cash * (n - since)
        course = followed(line, curve, course, since, n, cash, 0.0)
    course = joined(course, line.lines.sums)
    raw[SUM_R], raw[SUM_R2], raw[SUM_D2], raw[EQUITY] = course.r, course.r2, course.d2, course.equity
    raw[LOW], raw[LOW_PEAK], raw[MAX_BELOW] = course.low, course.low_peak, course.most
    return sound


@hot
def bought(line: Line, price: float, cash: float) -> tuple[float, bool]:
    """Returns the units that an order buys, and whether a rounding could turn them."""
    budget, wanted = cash, np.inf
    if line.sizing == FRACTION:
        budget = min(budget, line.size * budget)
    elif line.sizing == SIZE_CASH:
        budget = min(budget, line.size)
    elif line.sizing == SIZE_UNITS:
        wanted = line.size
    return cut(line.lots, min(fitting_at(line.rates, price, False, budget), wanted))


@hot
def followed(
    line: Line, curve: Curve | None, course: Course, first: int, end: int, cash: float, units: float
) -> Course:
    """Accounts the bars from first to end, which end with as much cash and as many units."""
    if curve is not None:
        for t in range(first, end):
            curve.equity[t] = cash + units * line.lines.mark[t]
            curve.held[t] = units
    return settled(course, line.lines, first, end, cash, units, line.free)


@hot
def pay(raw: Floats, value: float, cost: float) -> None:
    raw[FEES] += cost
    raw[TRADED] += value


@hot
def count_trade(raw: Floats, pnl: float) -> None:
    raw[TRADES] += 1.0
    raw[WINS] += 1.0 if pnl > 0.0 else 0.0
    raw[GAINS] += max(pnl, 0.0)
    raw[LOSSES] -= min(pnl, 0.0)


@hot
def keep_trade(
    curve: Curve,
    t: int,
    end: int,
    units: float,
    price: float,
    paid: float,
    value: float,
    fees: float,
    pnl: float,
    reason: float,
) -> None:
    """Counts a trade, and records it where there is room; an open one ends at bar -1."""
    place = curve.counts[C_TRADES]
    curve.counts[C_TRADES] += 1
    if place < len(curve.trades):
        row = curve.trades[place]
        row[T_CELL] = 0.0
        row[T_ENTRY_BAR], row[T_EXIT_BAR] = t, end
        row[T_ENTRY], row[T_EXIT] = price, paid
        row[T_UNITS], row[T_FEES], row[T_PNL] = units, fees, pnl
        row[T_REASON], row[T_VALUE] = reason, value
