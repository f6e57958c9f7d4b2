"""A panel's prices as the kernel reads them, for one symbol or for all of them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from berth_backtest.china import rates_by_date
from berth_backtest.data.dates import DAY_US
from berth_backtest.data.panel import Panel
from berth_backtest.kernel.book import Book
from berth_backtest.kernel.layout import CELL, EVENT, GROWTH, PURSE, SUMS, TRADE, WIDTH
from berth_backtest.kernel.run import follow_marks
from berth_backtest.plan import Plan, china_given
from berth_backtest.user.strategy import bar_rows

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

NONE1, NONE2, NONE3 = np.empty(0), np.empty((0, 0)), np.empty((0, 0, 0))


@dataclass
class Room:
    """What a run is to record; the counts of one run give the room that the next needs."""

    trades: int
    events: int
    whole: bool
    curve: bool = False  # of a run that is not whole: the equity alone
    equity: Floats = field(default_factory=lambda: NONE2)
    held: Floats = field(default_factory=lambda: NONE2)
    decided: Floats = field(default_factory=lambda: NONE3)
    trade_rows: Floats = field(default_factory=lambda: NONE2)
    event_rows: Floats = field(default_factory=lambda: NONE2)

    def take(self, book: Book) -> None:
        self.trades, self.events = int(book.counts[1]), int(book.counts[2])
        self.equity, self.held, self.decided = book.equity, book.held, book.decided
        self.trade_rows, self.event_rows = book.trades, book.events


@dataclass(frozen=True)
class Market:
    """Arrays in the kernel's shapes; `closes` and `bar_of` are own bars, `skips` rows of warm-up."""

    bars: Floats
    states: NDArray[np.int8]
    marks: Floats
    totals: Floats
    growth: Floats
    tops: Floats
    bottoms: Floats
    lots: Floats
    rates: Floats
    limits: Floats
    dates: Index
    actions: Floats
    delisted: Index
    closes: Floats
    bar_of: Index
    starts: Index
    skips: Index
    symbol: int | None  # its place in the panel, None: all of them
    rows: Floats = field(default_factory=lambda: NONE2)  # [own bar, field] for a user's step

    @property
    def skip(self) -> int:
        return int(self.skips[0])

    def book(self, rules: Floats, cells: int, own: bool, many: bool, room: Room) -> Book:
        """Returns a book for one run."""
        n, symbols = self.states.shape
        purses = cells if own else 1
        return Book(
            cells=np.empty((CELL, cells)),
            purses=np.empty((PURSE, purses)),
            sums=np.empty((purses, SUMS)),
            bars=self.bars,
            states=self.states,
            now=np.zeros(symbols),
            marks=self.marks,
            totals=self.totals,
            growth=self.growth,
            tops=self.tops,
            bottoms=self.bottoms,
            lots=self.lots,
            rates=self.rates,
            limits=self.limits,
            dates=self.dates,
            actions=self.actions,
            delisted=self.delisted,
            rules=rules,
            waiting=np.empty(cells, dtype=np.int64),
            counts=np.zeros(4, dtype=np.int64),
            equity=np.zeros((n, purses)) if room.whole or room.curve else NONE2,
            held=np.zeros((n, cells)) if room.whole else NONE2,
            decided=np.zeros((n, cells, 2)) if room.whole else NONE3,
            trades=np.zeros((room.trades, TRADE)),
            events=np.zeros((room.events, EVENT)),
            peaks=np.empty(n // WIDTH + WIDTH + 1, dtype=np.uint8),  # whole words are read
            many=1 if many else 0,
            own=1 if own else 0,
        )


def market_of(plan: Plan, panel: Panel, s: int | None) -> Market:
    """Returns the market of one symbol, or of all (None) for a shared purse."""
    chosen = slice(None) if s is None else slice(s, s + 1)
    fields = (panel.open, panel.high, panel.low, panel.close)
    # In the order that the kernel was compiled for: stacked, several symbols would keep that of the panel,
    # for which it would be compiled once more at the first run of a shared purse.
    bars = np.ascontiguousarray(np.stack([values[chosen].T for values in fields], axis=2))
    states = np.ascontiguousarray(panel.state[chosen].T)
    symbols = states.shape[1]
    ex = plan.spec.execution
    lot = 0.0 if ex.fractional else ex.lot
    first = panel.own_start[0 if s is None else s]
    last = panel.own_start[-1 if s is None else s + 1]
    rows = panel.own_row[first:last]
    kept = rows >= 0
    bar_of = rows[kept] - 1
    edges = panel.own_start - first if s is None else np.array([0, last - first])
    before = np.concatenate([[0], np.cumsum(kept)])
    actions = panel.actions if s is None else panel.actions[panel.actions[:, 1] == s]
    ratios = np.empty(0)
    if s is not None and len(actions):
        actions = actions * np.array([1.0, 0.0, 1.0, 1.0])  # its only symbol is number 0
        ratios = np.ones(len(states))
        ratios[actions[:, 0].astype(np.int64)] = actions[:, 2]
    free = plan.spec.risk_free / plan.periods
    marks, totals, growth, tops, bottoms = (
        marks_of(bars, states, ratios, free) if s is not None else (NONE2, NONE2, NONE3, NONE3, NONE3)
    )
    return Market(
        bars=bars,
        states=states,
        marks=marks,
        totals=totals,
        growth=growth,
        tops=tops,
        bottoms=bottoms,
        **rules_of(plan, panel, chosen, np.tile([lot, lot], (symbols, 1))),
        actions=np.ascontiguousarray(actions),
        delisted=panel.delisted[chosen].copy(),
        closes=panel.own["close"][first:last][kept],
        bar_of=bar_of,
        starts=before[edges],
        skips=np.diff(edges) - np.diff(before[edges]),
        symbol=s,
        rows=step_rows(plan, panel, s, bar_of, before[edges]),
    )


def rules_of(plan: Plan, panel: Panel, chosen: slice, lots: Floats) -> dict[str, Any]:
    """Returns lots, rates, limits and date numbers: plain ones, or those of a profile by date."""
    ex = plan.spec.execution
    if panel.china is None:
        rates = np.array([[ex.fee, ex.fee_min, ex.transfer, ex.stamp]]) * plan.costs
        return {"lots": lots, "rates": rates, "limits": NONE3, "dates": np.empty(0, dtype=np.int64)}
    days = panel.dates // DAY_US
    return {
        "lots": lots if "lot" in ex.given else panel.china.lots[chosen].copy(),
        "rates": rates_by_date(days, china_given(plan.spec)) * plan.costs,
        "limits": np.ascontiguousarray(panel.china.limits[:, chosen]),
        "dates": days,
    }


def step_rows(plan: Plan, panel: Panel, s: int | None, bar_of: Index, starts: Index) -> Floats:
    """Returns the bars as a user's step reads them, symbol after symbol."""
    source = plan.spec.strategy.definition.source
    if source is None:
        return NONE2
    symbols = range(len(panel.symbols)) if s is None else [s]
    parts = [bar_rows(panel, one, bar_of[starts[i] : starts[i + 1]]) for i, one in enumerate(symbols)]
    return np.concatenate(parts)


def marks_of(
    bars: Floats, states: NDArray[np.int8], ratios: Floats, free: float
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Returns one symbol's last closes, their sums, returns and block extremes, with room for a whole block.

    `free` is the risk-free return of a bar.
    """
    n = len(states)
    marks, totals, growth = np.zeros((1, n + WIDTH)), np.zeros((1, n + 1)), np.zeros((1, n, GROWTH))
    tops, bottoms = np.zeros((1, WIDTH, n + WIDTH)), np.zeros((1, WIDTH, n + WIDTH))
    lines = (marks[0], totals[0], growth[0], tops[0], bottoms[0])
    follow_marks(bars[:, 0], states[:, 0], ratios, *lines, free)
    return marks, totals, growth, tops, bottoms


def own_bars(panel: Panel, s: int) -> dict[str, Floats]:
    """Returns one symbol's own bars up to the run's end; absent prices are the close."""
    part = slice(panel.own_start[s], panel.own_start[s + 1])
    return {name: values[part] for name, values in own_columns(panel).items()}


def own_columns(panel: Panel) -> dict[str, Floats]:
    """Returns the own bars of all symbols, one after the other; absent prices are the close."""
    found = panel.own
    return {name: found.get(name, found["close"]) for name in ("open", "high", "low")} | found


def tiny_market() -> Market:
    """Returns two bars of one symbol."""
    bars, states = np.ones((2, 1, 4)), np.ones((2, 1), dtype=np.int8)
    return Market(
        bars,
        states,
        *marks_of(bars, states, NONE1, 0.0),
        lots=np.ones((1, 2)),
        rates=np.zeros((1, 4)),
        limits=NONE3,
        dates=np.empty(0, dtype=np.int64),
        actions=NONE2,
        delisted=np.array([2]),
        closes=np.ones(2),
        bar_of=np.arange(2),
        starts=np.zeros(2, dtype=np.int64),
        skips=np.zeros(1, dtype=np.int64),
        symbol=0,
    )
