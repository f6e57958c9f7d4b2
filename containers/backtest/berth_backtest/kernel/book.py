"""Everything a run works on, as one tuple: compiled functions pass it on without cost."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


class Book(NamedTuple):
    """The arrays of one run. `many` is 1 if each cell has its own symbol, `own` if its own purse."""

    cells: Floats  # [field, cell]
    purses: Floats  # [field, purse]
    sums: Floats  # [purse, partial sum]
    bars: Floats  # [bar, symbol, (open, high, low, close)]
    states: NDArray[np.int8]  # [bar, symbol]
    now: Floats  # [symbol]: the last close so far
    marks: Floats  # [symbol, bar]: last closes, with room for WIDTH more
    totals: Floats  # [symbol, bar + 1]: sums of the marks before a bar
    growth: Floats  # [symbol, bar, column]: sums of the marks' returns up to a bar
    tops: Floats  # [symbol, level, bar]: highest mark of the 2^level bars from a bar on; of level 0 in blocks
    bottoms: Floats
    lots: Floats  # [symbol, (least, step)]; step 0 = any
    rates: Floats  # [bar or 1, (fee, least fee, transfer, stamp)]
    limits: Floats  # [bar, symbol, (down, up)]; empty = none
    dates: Index  # [bar]: the date's number; empty = each bar is a date
    actions: Floats  # [action, (bar, symbol, split ratio, dividend)] by bar
    delisted: Index  # [symbol]: the first bar after its delist_date
    rules: Floats
    waiting: Index  # cells with an order
    counts: Index  # orders waiting, trades, events, debts
    equity: Floats  # [bar, purse] or empty, recorded
    held: Floats  # [bar, cell] or empty
    decided: Floats  # [bar, cell, (order, want)] or empty
    trades: Floats  # [trade, column]; empty = only counted
    events: Floats
    peaks: NDArray[np.uint8]  # [block]: which bars of a held block end at the peak; only for a moment
    many: int
    own: int


class Markets(NamedTuple):
    """Prices and rules of books that run one after the other: [book, ...] but for what all share.

    A book is that of one symbol, or that of all symbols with one purse.
    """

    bars: Floats  # [book, bar, symbol, (open, high, low, close)]
    states: NDArray[np.int8]  # [book, bar, symbol]
    marks: Floats  # [book, symbol, ...], as those of a book
    totals: Floats
    growth: Floats
    tops: Floats
    bottoms: Floats
    lots: Floats  # [book, symbol, (least, step)]
    rates: Floats
    limits: Floats  # [book, bar, symbol, (down, up)]
    dates: Index
    actions: Floats  # of all books
    action_at: Index  # [book + 1]: where those of each begin
    delisted: Index  # [book, symbol]
    closes: Floats  # own bars of all books
    bar_of: Index  # the bar of each: -1 is the last before the run
    own_at: Index  # [book + 1]: where those of each begin


class Records(NamedTuple):
    """What books record, each its own, [book, ...]; what is not recorded is empty."""

    equity: Floats  # [book, bar, purse]
    held: Floats  # [book, bar, cell]
    decided: Floats  # [book, bar, cell, (order, want)]
    trades: Floats  # [book, trade, column]
    events: Floats  # [book, event, column]
    counts: Index  # [book, 4]

    def part(self, books: slice) -> "Records":
        """Returns those of some books."""
        return Records(
            self.equity[books],
            self.held[books],
            self.decided[books],
            self.trades[books],
            self.events[books],
            self.counts[books],
        )


class Scratch(NamedTuple):
    """What a book changes, and nobody reads afterwards: books that run one after the other share it."""

    cells: Floats
    purses: Floats
    sums: Floats
    now: Floats
    waiting: Index
    peaks: NDArray[np.uint8]


C_WAITING, C_TRADES, C_EVENTS, C_DEBTS = range(4)  # C_DEBTS: 1 once a sale left no cash
