"""The kernel on a plan: parameter sets in, raw sums or whole runs out."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from berth_backtest.data.panel import Panel
from berth_backtest.errors import StoppedError
from berth_backtest.grid import Grid
from berth_backtest.kernel import layout, moves
from berth_backtest.kernel.metrics import METRICS, fill_metrics
from berth_backtest.kernel.run import CELLS, run_moves
from berth_backtest.kernel.steps import F_BAR, F_CELL, F_FOUND, F_KIND, F_SET, F_WANT, FAULT, NO_STEPS, Steps
from berth_backtest.market import Market, Room, market_of, own_bars, own_columns
from berth_backtest.plain import is_plain, run_plain_sets
from berth_backtest.plan import Plan, kernel_rules
from berth_backtest.strategies.definition import Definition
from berth_backtest.strategies.series import Row, fill_rows, fill_symbols, rows_of
from berth_backtest.user.generate import load_module
from berth_backtest.user.signals import Signals
from berth_backtest.user.strategy import calendar_of, fields_read, wrong_order

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

T = TypeVar("T")

TABLE_BYTES = 512 << 20  # indicator tables and markets held at once
RECORD_BYTES = 128 << 20  # whole runs of one set in some symbols
MOVE_BYTES = 64 << 20  # of one block of cells
SHORT_BARS = 20_000  # of a call: below it threads would wait for each other longer than it takes
SOME_TRADES, SOME_EVENTS = 64, 256  # room for the trades and events of most runs: others are run again
ITEM_UPDATES = 20_000_000  # bar-updates of one call of the kernel: some 0.1 s, so threads end together


@dataclass(frozen=True)
class Recording:
    """A whole run of one set. Accounts are the symbols, or the one of a shared purse."""

    raw: Floats  # [account, field]
    equity: Floats  # [bar, account]
    units: Floats  # [bar, symbol]
    decided: Floats  # [bar, symbol, (order, want)]
    trades: Floats  # [trade, column]: T_CELL is the symbol; closed in order of exit, then open ones
    events: Floats  # [event, column]: L_CELL is the symbol


class Simulator:
    """A plan's kernel inputs; the same result for any number of threads and any split of sets."""

    def __init__(self, plan: Plan, panel: Panel, threads: int) -> None:
        self.plan = plan
        self.panel = panel
        self.grid: Grid = plan.grid
        self.definition: Definition = plan.spec.strategy.definition
        self.rules = kernel_rules(plan)
        self.shared = plan.spec.portfolio.mode == "shared"
        self.threads = threads
        source = self.definition.source
        self.module = load_module(source) if source is not None and source.kind != "signals" else None
        self.signals = Signals(source, panel) if source is not None and source.kind == "signals" else None
        every = plan.spec.strategy.rebalance
        self.calendar = np.empty(0, dtype=np.int8) if every is None else calendar_of(every, panel)
        self.whole: Market | None = market_of(plan, panel, None) if self.shared else None
        self.rows: dict[Row, int] = {}  # the tables that are kept for the next sets ...
        self.kept: list[tuple[Market, Floats]] = []  # ... of every symbol
        self.stopped: Callable[[], bool] = bool  # looked at between symbols whose tables are not kept

    @property
    def accounts(self) -> int:
        return 1 if self.shared else len(self.panel.symbols)

    def each(self, calls: Iterable[Callable[[], T]], bars: int = SHORT_BARS) -> list[T]:
        """Returns the calls' results in order, over all threads where a call's bars are worth it."""
        if self.threads == 1 or bars < SHORT_BARS:
            return [call() for call in calls]
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(lambda call: call(), calls))

    def check_stop(self) -> None:
        """Raises StoppedError once told to stop: many symbols would outlast any grace."""
        if self.stopped():
            raise StoppedError("stopped between two symbols")

    def levels(self, points: Index) -> Floats:
        """Returns each set's thresholds."""
        terms = self.definition.level_terms
        found = np.zeros((len(points), 4))
        for k, (factor, name) in enumerate(terms):
            found[:, k] = factor * (self.grid.values(name, points) if name else 1.0)
        return found

    def steps_of(self, market: Market | None, points: Index, cells: int) -> Steps:
        """Returns what a user's step is called with, each set's parameters for `cells` cells.

        Without a market it has no bars: those on a GPU are of all symbols.
        """
        source = self.definition.source
        if source is None or self.module is None:
            return NO_STEPS
        values = [np.repeat(self.grid.values(param.name, points), cells) for param in source.params]
        reads = source.checked[source.kind].reads
        back = [("t1", one.name) in reads for one in source.series]
        own = fields_read(source)
        return Steps(
            self.module.step,
            NO_STEPS.bars if market is None else market.rows,
            np.array(values).reshape(len(values), len(points) * cells),
            np.array(list(source.states.values())),
            np.array(back, dtype=np.int64),
            np.array(own, dtype=np.int64),
            source.warmup,
            self.calendar[: self.panel.bars],
        )

    def check_fault(self, fault: Floats, points: Index, symbol: int | None) -> None:
        """Raises for the first order of a step that cannot be one."""
        if fault[F_FOUND] > 0.0:
            cell, at = int(fault[F_CELL]), int(fault[F_SET])
            name = self.panel.symbols[cell if symbol is None else symbol]
            point = int(points[0 if symbol is None else at])
            kind = layout.ORDERS[int(fault[F_KIND])]
            text = ", ".join(f"{key} {x:g}" for key, x in self.grid.parameters(point).items())
            source = self.definition.source
            assert source is not None
            raise wrong_order(source, self.panel, name, int(fault[F_BAR]), kind, float(fault[F_WANT]), text)

    def targets_of(self, point: int, s: int | None) -> Floats:
        """Returns the wanted fractions of a file or of signals(), of all symbols or of one."""
        if self.signals is not None:
            source = self.signals.source
            one = np.array([point])
            targets = self.signals.of(
                {p.name: float(self.grid.values(p.name, one)[0]) for p in source.params}
            )
        else:
            targets = self.plan.targets[: self.panel.bars]
        return targets if s is None or len(targets) == 0 else np.ascontiguousarray(targets[:, s : s + 1])

    def run(self, points: Index) -> Floats:
        """Returns raw sums by [set, account, field]."""
        raw = np.empty((self.accounts, len(points), layout.RAW))
        if self.shared:
            self.each(
                [partial(self.run_set, point, raw[:, i], Room(0, 0, False)) for i, point in enumerate(points)]
            )
        else:
            self.run_sets(points, raw)
        return raw.transpose(1, 0, 2)

    def run_sets(self, points: Index, raw: Floats) -> None:
        """Fills raw[symbol, set, field]; halves the sets while one symbol's tables would be too large."""
        if len(points) == 0:
            return
        if self.signals is not None and len(points) > 1:
            # Each set has its own signals: one at a time.
            for i in range(len(points)):
                self.run_sets(points[i : i + 1], raw[:, i : i + 1])
            return
        rows, picks = rows_of(self.definition.series, self.grid, points)
        if self.size(rows) > TABLE_BYTES and len(points) > CELLS:
            half = len(points) // 2 // CELLS * CELLS or CELLS
            self.run_sets(points[:half], raw[:, :half])
            self.run_sets(points[half:], raw[:, half:])
            return
        symbols = len(self.panel.symbols)
        if symbols * self.size(rows) <= TABLE_BYTES:
            picks = self.keep(rows)[picks]
            self.run_block(range(symbols), self.kept, points, picks, raw)
            return
        step = max(1, TABLE_BYTES // self.size(rows))
        for first in range(0, symbols, step):
            self.check_stop()
            block = range(first, min(first + step, symbols))
            pairs = self.each([partial(self.symbol, s, rows) for s in block])
            self.run_block(block, pairs, points, picks, raw)

    def run_block(
        self, block: range, pairs: list[tuple[Market, Floats]], points: Index, picks: Index, raw: Floats
    ) -> None:
        step = max(1, ITEM_UPDATES // (self.panel.bars * CELLS)) * CELLS
        parts = [slice(first, first + step) for first in range(0, len(points), step)]
        self.each(
            [
                partial(self.run_symbol, *pair, points[part], picks[part], raw[s, part])
                for s, pair in zip(block, pairs, strict=True)
                for part in parts
            ],
            min(step, len(points)) * self.panel.bars,
        )

    def keep(self, rows: list[Row]) -> Index:
        """Makes sure that tables of the rows are kept; returns their places."""
        new = [row for row in rows if row not in self.rows]
        symbols = range(len(self.panel.symbols))
        if len(symbols) * self.size([*self.rows, *new]) > TABLE_BYTES:
            self.rows, self.kept, new = {}, [], rows
        bars = len(new) * self.panel.bars
        if not self.kept:
            self.kept = self.each([partial(self.symbol, s, new) for s in symbols], bars)
        elif new:
            self.kept = self.each([partial(self.extended, s, *self.kept[s], new) for s in symbols], bars)
        for row in new:
            self.rows[row] = len(self.rows)
        return np.array([self.rows[row] for row in rows], dtype=np.int64)

    def size(self, rows: list[Row]) -> int:
        """Returns the bytes of one symbol's market and tables."""
        return (self.panel.bars + 1) * (len(rows) + 2 * layout.WIDTH + layout.GROWTH + 8) * 8

    def symbol(self, s: int, rows: list[Row]) -> tuple[Market, Floats]:
        """Returns one symbol's market and its indicator tables."""
        market = market_of(self.plan, self.panel, s)
        return market, fill_rows(rows, own_bars(self.panel, s), market.skip)

    def extended(self, s: int, market: Market, table: Floats, rows: list[Row]) -> tuple[Market, Floats]:
        more = fill_rows(rows, own_bars(self.panel, s), market.skip)
        return market, np.concatenate([table, more])

    def run_symbol(self, market: Market, table: Floats, points: Index, picks: Index, raw: Floats) -> None:
        """Runs sets over one symbol; each has its own purse."""
        kind = self.definition.move_kind
        if not is_plain(kind, self.rules, market):
            self.run_cells(market, table, points, picks, raw, Room(0, 0, False))
            return
        left = run_plain_sets(kind, self.rules, market, table, picks, self.levels(points), raw)
        if len(left):
            again = np.empty((len(left), layout.RAW))
            self.run_cells(market, table, points[left], picks[left], again, Room(0, 0, False))
            raw[left] = again

    def run_cells(
        self, market: Market, table: Floats, points: Index, picks: Index, raw: Floats, keep: Room
    ) -> Room:
        """Runs sets over one symbol, CELLS at a time, whatever may happen; returns what was recorded."""
        levels, stops = self.levels(points), self.grid.stops(points)
        cells = sets_at_once(table.shape[1])
        fault = np.zeros(FAULT)
        blocks = -(-len(points) // cells)
        book = market.book(self.rules, -(-len(points) // blocks), own=True, many=False, room=keep)
        run_moves(
            book,
            self.definition.move_kind,
            table,
            market.closes,
            market.bar_of,
            np.zeros(2, dtype=np.int64),
            picks,
            levels,
            bool(self.rules[layout.LEVEL]),
            self.targets_of(int(points[0]), market.symbol),
            np.ascontiguousarray(stops),
            self.steps_of(market, points, 1),
            fault,
            raw,
        )
        self.check_fault(fault, points, market.symbol)
        keep.take(book)
        return keep

    def run_set(self, point: int, raw: Floats, room: Room) -> Room:
        """Runs one set over all symbols with one purse."""
        assert self.whole is not None
        one, fault = np.array([point]), np.zeros(FAULT)
        market = self.whole
        symbols = len(self.panel.symbols)
        rows, picks = rows_of(self.definition.series, self.grid, one)
        table = fill_symbols(rows, own_columns(self.panel), self.panel.own_start, market.skips)
        levels, stops = self.levels(one), self.grid.stops(one)
        book = market.book(self.rules, symbols, own=False, many=True, room=room)
        run_moves(
            book,
            self.definition.move_kind,
            table,
            market.closes,
            market.bar_of,
            market.starts,
            np.repeat(picks, symbols, axis=0),
            np.repeat(levels, symbols, axis=0),
            bool(self.rules[layout.LEVEL]),
            self.targets_of(point, None),
            np.repeat(stops, symbols, axis=1),
            self.steps_of(market, one, symbols),
            fault,
            raw,
        )
        self.check_fault(fault, one, None)
        room.take(book)
        return room

    def parts(self, symbols: Sequence[int] | None = None) -> list[Sequence[int]]:
        """Returns the symbols in parts whose whole runs are held at once: all, where they share a purse."""
        chosen = range(len(self.panel.symbols)) if symbols is None else symbols
        size = max(1, RECORD_BYTES // (32 * self.panel.bars))  # equity, units, decisions and their wants
        step = len(chosen) if self.shared else size
        return [chosen[first : first + step] for first in range(0, len(chosen), step)]

    def record(self, point: int, symbols: Iterable[int] | None = None) -> Recording:
        """Returns the whole run of one set, each symbol's or those of some symbols."""
        if self.shared:
            raw = np.empty((1, layout.RAW))
            counted = self.run_set(point, raw, Room(0, 0, False))
            kept = self.run_set(point, raw, Room(counted.trades, counted.events, True))
            return Recording(raw, kept.equity, kept.held, kept.decided, kept.trade_rows, kept.event_rows)
        chosen = range(len(self.panel.symbols)) if symbols is None else symbols
        rows, picks = rows_of(self.definition.series, self.grid, np.array([point]))
        calls = [partial(self.record_symbol, s, point, rows, picks) for s in chosen]
        return join(self.each(calls, self.panel.bars))

    def record_symbol(self, s: int, point: int, rows: list[Row], picks: Index) -> Recording:
        one, raw = np.array([point]), np.empty((1, layout.RAW))
        market, table = self.symbol(s, rows)
        kept = self.run_cells(market, table, one, picks, raw, Room(SOME_TRADES, SOME_EVENTS, True))
        if kept.trades > SOME_TRADES or kept.events > SOME_EVENTS:
            kept = self.run_cells(market, table, one, picks, raw, Room(kept.trades, kept.events, True))
        trades, events = kept.trade_rows[: kept.trades], kept.event_rows[: kept.events]
        trades[:, layout.T_CELL] = s
        events[:, layout.L_CELL] = s
        return Recording(raw, kept.equity, kept.held, kept.decided, trades, events)


def sets_at_once(bars: int) -> int:
    """Returns how many sets run side by side over a symbol of as many own bars."""
    return max(1, min(CELLS, MOVE_BYTES // (16 * max(1, bars))))


def join(runs: list[Recording]) -> Recording:
    """Returns the runs of several symbols side by side."""
    return Recording(
        np.concatenate([run.raw for run in runs]),
        np.concatenate([run.equity for run in runs], axis=1),
        np.concatenate([run.units for run in runs], axis=1),
        np.concatenate([run.decided for run in runs], axis=1),
        np.concatenate([run.trades for run in runs]),
        np.concatenate([run.events for run in runs]),
    )


def make_simulator(plan: Plan, threads: int, panel: Panel | None = None) -> Simulator:
    """Returns the simulator of a plan, or of the same plan on a shortened panel."""
    return Simulator(plan, panel or plan.panel, threads)


def compile_kernel() -> None:
    """Compiles the kernel, or loads it from the cache, by running it on two bars."""
    from berth_backtest.market import tiny_market

    fill_metrics(np.ones((1, layout.RAW)), np.ones(4), np.empty((1, METRICS)))
    market = tiny_market()
    rules = np.ones(layout.RULES)
    raw = np.empty((1, layout.RAW))
    book = market.book(rules, 1, own=True, many=False, room=Room(0, 0, False))
    run_plain_sets(
        moves.COMPARES,
        rules,
        market,
        np.ones((1, 2)),
        np.zeros((1, 3), dtype=np.int64),
        np.zeros((1, 4)),
        raw,
    )
    run_moves(
        book,
        0,
        np.ones((1, 2)),
        np.ones(2),
        np.arange(2),
        np.zeros(2, dtype=np.int64),
        np.zeros((1, 3), dtype=np.int64),
        np.zeros((1, 4)),
        False,
        np.empty((0, 0)),
        np.zeros((3, 1)),
        NO_STEPS,
        np.zeros(FAULT),
        raw,
    )
