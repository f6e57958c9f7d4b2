"""A panel's prices as the kernel reads them: symbol by symbol, or all symbols at once for a shared purse."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from berth_backtest.china import rates_by_date
from berth_backtest.data.dates import DAY_US
from berth_backtest.data.panel import Panel
from berth_backtest.kernel.book import Markets, Records
from berth_backtest.kernel.layout import EVENT, GROWTH, TRADE, WIDTH
from berth_backtest.kernel.lines import follow_marks
from berth_backtest.plan import Plan, china_given
from berth_backtest.user.strategy import bar_rows

Floats = NDArray[np.float64]
Index = NDArray[np.int64]
Calls = list[Callable[[], None]]

SHORT_BARS = 20_000  # of a call: below it threads would wait for each other longer than it takes
LINE_BARS = 200_000  # of a call that only follows the marks: some 5 ns each
Lines = tuple[Floats, Floats, Floats, Floats, Floats]  # marks, totals, growth, tops, bottoms

NONE2 = np.empty((0, 0))
NO_LINES: Lines = (
    *(np.empty((1, 0, 0)), np.empty((1, 0, 0)), np.empty((1, 0, 0, 0))),
    *(np.empty((1, 0, 0, 0)), np.empty((1, 0, 0, 0))),
)  # of a shared purse


@dataclass(frozen=True)
class Room:
    """What a run is to record; the counts of one run give the room that the next needs."""

    trades: int = 0
    events: int = 0
    equity: bool = False
    held: bool = False
    decided: bool = False

    def records(self, books: int, bars: int, purses: int, cells: int) -> Records:
        """Returns room for the records of so many books."""

        def room(there: bool, *shape: int) -> Floats:
            return np.zeros((books, *(shape if there else (0,) * len(shape))))

        return Records(
            equity=room(self.equity, bars, purses),
            held=room(self.held, bars, cells),
            decided=room(self.decided, bars, cells, 2),
            trades=room(True, self.trades, TRADE),
            events=room(True, self.events, EVENT),
            counts=np.zeros((books, 4), dtype=np.int64),
        )


@dataclass(frozen=True)
class Market:
    """Some symbols in the kernel's arrays: a book for each, or one for all; the other arrays go by symbol."""

    symbols: Sequence[int]  # their places in the panel
    books: Markets
    starts: Index  # where the own bars of each begin, [symbol + 1]
    skips: Index  # how many own bars before those only warm up
    rows: Floats = field(default_factory=lambda: NONE2)  # [own bar, field] for a user's step

    @property
    def bars(self) -> int:
        return int(self.books.states.shape[1])


def in_turn(calls: Calls, _bars: int) -> None:
    for call in calls:
        call()


def market_of(
    plan: Plan,
    panel: Panel,
    symbols: Sequence[int],
    each: Callable[[Calls, int], object] = in_turn,
    levels: int = 1,
) -> Market:
    """Returns a book for each of some symbols, with levels of extremes; `each` makes calls of some bars.

    With 0 levels each call that runs books makes their lines (`with_lines`): of one set they are as much work
    as the set, and to keep those of all books takes longer than both.
    """
    chosen = chosen_of(symbols)
    bars = prices_of(panel, chosen)[:, :, np.newaxis]
    states = np.ascontiguousarray(panel.state[chosen])[:, :, np.newaxis]
    actions, action_at = actions_of(panel, symbols)
    rules = rules_of(plan, panel, chosen)
    limits = rules.limits.transpose(1, 0, 2) if len(rules.limits) else np.empty((len(states), 0, 0))
    own = own_of(panel, symbols)
    return Market(
        symbols,
        Markets(
            bars,
            states,
            *lines_of(plan, bars, states, actions, action_at, each, levels),
            rules.lots[:, np.newaxis],
            rules.rates,
            np.ascontiguousarray(limits)[:, :, np.newaxis],
            rules.dates,
            actions * np.array([1.0, 0.0, 1.0, 1.0]),  # the only symbol of a book is number 0
            action_at,
            panel.delisted[chosen][:, np.newaxis].copy(),
            own.closes,
            own.bar_of,
            own.starts,
        ),
        own.starts,
        own.skips,
        step_rows(plan, panel, symbols, own),
    )


def shared_market(plan: Plan, panel: Panel) -> Market:
    """Returns one book for all symbols."""
    symbols = range(len(panel.symbols))
    rules = rules_of(plan, panel, slice(None))
    own = own_of(panel, symbols)
    return Market(
        symbols,
        Markets(
            # In the order that the kernel was compiled for: with that of the panel it would be compiled
            # once more at the first run of a shared purse.
            np.ascontiguousarray(prices_of(panel, slice(None)).transpose(1, 0, 2))[np.newaxis],
            np.ascontiguousarray(panel.state.T)[np.newaxis],
            *NO_LINES,
            rules.lots[np.newaxis],
            rules.rates,
            rules.limits[np.newaxis],
            rules.dates,
            panel.actions,
            np.array([0, len(panel.actions)]),
            panel.delisted[np.newaxis].copy(),
            own.closes,
            own.bar_of,
            own.starts[[0, -1]],
        ),
        own.starts,
        own.skips,
        step_rows(plan, panel, symbols, own),
    )


def chosen_of(symbols: Sequence[int]) -> Any:
    """Returns the index of some symbols in the panel's arrays; a slice if they lie together."""
    if isinstance(symbols, range) and symbols.step == 1:
        return slice(symbols.start, symbols.stop)
    return list(symbols)


def prices_of(panel: Panel, chosen: Any) -> Floats:
    """Returns [symbol, bar, (open, high, low, close)]."""
    fields = (panel.open, panel.high, panel.low, panel.close)
    return np.stack([values[chosen] for values in fields], axis=2)


@dataclass(frozen=True)
class OwnBars:
    """The own bars of some symbols, one after the other, without those that only warm up."""

    closes: Floats
    bar_of: Index  # of the run; -1 is the last bar before it
    starts: Index  # [symbol + 1]
    skips: Index  # [symbol]: how many are left out


def own_of(panel: Panel, symbols: Sequence[int]) -> OwnBars:
    first, end = panel.own_start[:-1][chosen_of(symbols)], panel.own_start[1:][chosen_of(symbols)]
    edges = np.concatenate([[0], np.cumsum(end - first)])
    own: Any = slice(int(first[0]), int(end[-1]))
    if not isinstance(chosen_of(symbols), slice):
        own = np.repeat(first - edges[:-1], end - first) + np.arange(edges[-1])
    rows, closes = panel.own_row[own], panel.own["close"][own]
    kept = rows >= 0
    if kept.all():
        return OwnBars(closes, rows - 1, edges, np.zeros(len(symbols), dtype=np.int64))
    rows, closes = rows[kept], closes[kept]
    starts = np.concatenate([[0], np.cumsum(kept)])[edges]
    return OwnBars(closes, rows - 1, starts, np.diff(edges) - np.diff(starts))


def actions_of(panel: Panel, symbols: Sequence[int]) -> tuple[Floats, Index]:
    """Returns the splits and dividends of some symbols, each one's by bar, and where each one's begin."""
    places = np.full(len(panel.symbols), -1)
    places[chosen_of(symbols)] = np.arange(len(symbols))
    place = places[panel.actions[:, 1].astype(np.int64)]
    order = np.argsort(place, kind="stable")
    order = order[place[order] >= 0]
    return panel.actions[order], np.searchsorted(place[order], np.arange(len(symbols) + 1))


class Rules(NamedTuple):
    lots: Floats  # [symbol, (least, step)]
    rates: Floats
    limits: Floats  # [bar, symbol, (down, up)]; empty = none
    dates: Index


def rules_of(plan: Plan, panel: Panel, chosen: Any) -> Rules:
    """Returns lots, rates, limits and date numbers: plain ones, or those of a profile by date."""
    ex = plan.spec.execution
    lots = np.full((len(panel.delisted[chosen]), 2), 0.0 if ex.fractional else float(ex.lot))
    if panel.china is None:
        rates = np.array([[ex.fee, ex.fee_min, ex.transfer, ex.stamp]]) * plan.costs
        return Rules(lots, rates, np.empty((0, 0, 0)), np.empty(0, dtype=np.int64))
    days = panel.dates // DAY_US
    return Rules(
        lots if "lot" in ex.given else panel.china.lots[chosen].copy(),
        rates_by_date(days, china_given(plan.spec)) * plan.costs,
        np.ascontiguousarray(panel.china.limits[:, chosen]),
        days,
    )


def step_rows(plan: Plan, panel: Panel, symbols: Sequence[int], own: OwnBars) -> Floats:
    """Returns the bars as a user's step reads them, symbol after symbol."""
    if plan.spec.strategy.definition.source is None:
        return NONE2
    parts = [bar_rows(panel, s, own.bar_of[own.starts[i] : own.starts[i + 1]]) for i, s in enumerate(symbols)]
    return np.concatenate(parts)


def lines_of(
    plan: Plan,
    bars: Floats,
    states: NDArray[np.int8],
    actions: Floats,
    action_at: Index,
    each: Callable[[Calls, int], object],
    levels: int,
) -> Lines:
    """Returns each book's last closes, their sums, returns and extremes, with room for a block."""
    free = plan.spec.risk_free / plan.periods  # of a bar
    books, n = states.shape[:2]
    if levels == 0 and books > 1:
        return room_for(0, n, 1)
    lines = room_for(books, n, max(1, min(levels, n.bit_length())))
    step = -(-LINE_BARS // n)
    parts = [slice(first, first + step) for first in range(0, books, step)]

    def follow(part: slice) -> None:
        marks, totals, growth, tops, bottoms = (line[part] for line in lines)
        at = action_at[part.start : part.stop + 1]
        follow_marks(bars[part], states[part], actions, at, marks, totals, growth, tops, bottoms, free)

    each([partial(follow, part) for part in parts], step * n)
    return lines


def with_lines(books: Markets) -> Markets:
    """Returns books for a call of the kernel, with room for the lines of one of them if they have none."""
    if len(books.marks) > 0:
        return books
    marks, totals, growth, tops, bottoms = room_for(1, books.states.shape[1], 1)
    return books._replace(marks=marks, totals=totals, growth=growth, tops=tops, bottoms=bottoms)


def room_for(books: int, bars: int, levels: int) -> Lines:
    """Returns room for the lines of books of one symbol each."""
    marks, totals = np.empty((books, 1, bars + WIDTH)), np.empty((books, 1, bars + 1))
    marks[:, :, bars:] = totals[:, :, 0] = 0.0
    return (
        marks,
        totals,
        np.empty((books, 1, bars, GROWTH)),
        np.empty((books, 1, levels, bars + WIDTH)),
        np.empty((books, 1, levels, bars + WIDTH)),
    )


def own_bars(panel: Panel, s: int) -> dict[str, Floats]:
    """Returns one symbol's own bars up to the run's end; absent prices are the close."""
    part = slice(panel.own_start[s], panel.own_start[s + 1])
    return {name: values[part] for name, values in own_columns(panel).items()}


def own_columns(panel: Panel) -> dict[str, Floats]:
    """Returns the own bars of all symbols, one after the other; absent prices are the close."""
    found = panel.own
    return {name: found.get(name, found["close"]) for name in ("open", "high", "low")} | found
