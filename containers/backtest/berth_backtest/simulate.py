"""The kernel on a plan: parameter sets in, raw sums or whole runs out."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from berth_backtest.data.panel import Panel
from berth_backtest.errors import StoppedError
from berth_backtest.grid import Grid
from berth_backtest.kernel import layout
from berth_backtest.kernel.book import C_EVENTS, C_TRADES, Records
from berth_backtest.kernel.plain import run_plain
from berth_backtest.kernel.run import CELLS, run_moves
from berth_backtest.kernel.steps import F_BAR, F_CELL, F_FOUND, F_KIND, F_SET, F_WANT, FAULT, NO_STEPS, Steps
from berth_backtest.market import (
    SHORT_BARS,
    Market,
    Room,
    market_of,
    own_columns,
    shared_market,
    with_lines,
)
from berth_backtest.plain import plain_books
from berth_backtest.plan import Plan, kernel_rules
from berth_backtest.strategies.definition import Definition
from berth_backtest.strategies.series import (
    Alike,
    Row,
    alike_of,
    fill_means,
    fill_rows,
    fill_symbols,
    rows_of,
)
from berth_backtest.user.generate import load_module
from berth_backtest.user.signals import Signals
from berth_backtest.user.strategy import calendar_of, fields_read, wrong_order

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

T = TypeVar("T")

TABLE_BYTES = 512 << 20  # indicator tables and markets held at once
RECORD_BYTES = 128 << 20  # whole runs of one set in some symbols
MOVE_BYTES = 64 << 20  # of one block of cells
SOME_TRADES, SOME_EVENTS = 64, 256  # room for the trades and events of most runs: others are run again
# Bar-updates of one call of the kernel: 0.04 s of what is built in, some seconds of a user's slowest step.
ITEM_UPDATES = 40_000_000


@dataclass(frozen=True)
class Block:
    """Some symbols' markets, with indicator tables [row, own bar] of one symbol after the other."""

    market: Market
    rows: int
    tables: Floats

    def table(self, i: int) -> Floats:
        """Returns the table of its symbol i."""
        first, end = self.market.starts[i : i + 2]
        return self.tables[self.rows * first : self.rows * end].reshape(self.rows, end - first)


@dataclass(frozen=True)
class Orders:
    """What a run of one set decided, and what came of it."""

    decided: Floats  # [bar, symbol, (order, want)]
    events: Floats  # [event, column]: L_CELL is the symbol


@dataclass(frozen=True)
class Recording:
    """A whole run of one set. Accounts are the symbols, or the one of a shared purse."""

    raw: Floats  # [account, field]
    equity: Floats  # [bar, account]
    units: Floats  # [bar, symbol]
    trades: Floats  # [trade, column]: T_CELL is the symbol; closed in order of exit, then open ones
    fills: int
    orders: Orders | None  # where they were asked for


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
        self.whole: Market | None = shared_market(plan, panel) if self.shared else None
        self.rows: dict[Row, int] = {}  # the tables that are kept for the next sets ...
        self.kept: Block | None = None  # ... of every symbol
        self.recorded: tuple[int, Recording] | None = None  # the last set that was run alone
        self.stopped: Callable[[], bool] = bool  # looked at between symbols whose tables are not kept

    @property
    def accounts(self) -> int:
        return 1 if self.shared else len(self.panel.symbols)

    def each(self, calls: Iterable[Callable[[], T]], bars: int = SHORT_BARS) -> list[T]:
        """Returns the calls' results in order, over all threads where a call's bars are worth it."""
        calls = list(calls)
        if self.threads == 1 or bars < SHORT_BARS or len(calls) < 2:
            return [call() for call in calls]
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(lambda call: call(), calls))

    def share(self, books: int, updates: int) -> int:
        """Returns how many books one call takes, each with so many updates, so that threads end together."""
        rounds = -(-books // (self.threads * max(1, ITEM_UPDATES // updates)))
        return max(1, -(-books // (self.threads * rounds)))

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

    def targets_of(self, point: int, symbols: Sequence[int]) -> Floats:
        """Returns [symbol, bar] of the wanted fractions of a file or of signals(); without them no bars."""
        if self.signals is not None:
            source = self.signals.source
            one = np.array([point])
            targets = self.signals.of(
                {p.name: float(self.grid.values(p.name, one)[0]) for p in source.params}
            )
        else:
            targets = self.plan.targets[: self.panel.bars]
        return targets[:, list(symbols)].T if len(targets) > 0 else np.empty((len(symbols), 0))

    def run(self, points: Index) -> Floats:
        """Returns raw sums by [set, account, field]."""
        if len(points) == 1 and not self.shared and len(self.parts()) == 1:
            # Of one set all is written: its whole run at once spares another one.
            self.recorded = int(points[0]), self.record(int(points[0]))
            return self.recorded[1].raw[np.newaxis]
        raw = np.empty((self.accounts, len(points), layout.RAW))
        if self.shared:
            self.each([partial(self.run_set, int(x), raw[:, i], Room()) for i, x in enumerate(points)])
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
        symbols = range(len(self.panel.symbols))
        if self.fits(rows):
            places = self.keep(rows)
            assert self.kept is not None  # keep() made it
            self.run_block(self.kept, points, places[picks], raw)
            return
        for part in self.blocks(symbols, rows):
            self.check_stop()
            block = self.block(part, rows, layout.SPANS)
            self.run_block(block, points, picks, raw[part.start : part.stop])

    def fits(self, rows: list[Row]) -> bool:
        """Says whether the tables of all symbols may be kept."""
        return len(self.panel.symbols) * self.size(rows) <= TABLE_BYTES

    def blocks(self, symbols: Sequence[int], rows: list[Row]) -> list[Any]:
        """Returns the symbols in parts whose markets and tables are held at once."""
        step = max(1, TABLE_BYTES // self.size(rows))
        return [symbols[first : first + step] for first in range(0, len(symbols), step)]

    def run_block(self, block: Block, points: Index, picks: Index, raw: Floats) -> None:
        """Runs sets over a block's symbols; each has its own purse."""
        bars, books = self.panel.bars, len(raw)
        step = max(1, ITEM_UPDATES // (bars * CELLS)) * CELLS
        sets = min(step, len(points))
        some = self.share(books, bars * sets)
        self.each(
            [
                partial(
                    self.run_books,
                    block,
                    np.arange(first, min(first + some, books)),
                    points[begin : begin + step],
                    picks[begin : begin + step],
                    raw[first : first + some, begin : begin + step],
                )
                for first in range(0, books, some)
                for begin in range(0, len(points), step)
            ],
            some * sets * bars,
        )

    def keep(self, rows: list[Row]) -> Index:
        """Makes sure that tables of the rows are kept; returns their places."""
        new = [row for row in rows if row not in self.rows]
        if not self.fits([*self.rows, *new]):
            self.rows, self.kept, new = {}, None, rows
        if self.kept is None:
            self.kept = self.block(range(len(self.panel.symbols)), new, layout.SPANS)
        elif new:
            self.kept = self.with_rows(self.kept.market, new, self.kept)
        for row in new:
            self.rows[row] = len(self.rows)
        return np.array([self.rows[row] for row in rows], dtype=np.int64)

    def size(self, rows: list[Row]) -> int:
        """Returns the bytes of one symbol's market and tables."""
        return (self.panel.bars + 1) * (len(rows) + 2 * layout.SPANS + layout.GROWTH + 8) * 8

    def block(self, symbols: Sequence[int], rows: list[Row], levels: int = 0) -> Block:
        """Returns some symbols' markets and indicator tables; many sets are worth levels of extremes."""
        return self.with_rows(market_of(self.plan, self.panel, symbols, self.each, levels), rows)

    def with_rows(self, market: Market, rows: list[Row], known: Block | None = None) -> Block:
        """Returns a market's tables, those of the rows after the known ones."""
        before = 0 if known is None else known.rows
        block = Block(market, before + len(rows), np.empty((before + len(rows)) * market.starts[-1]))
        means: list[Alike] = []
        others: list[Alike] = []
        for group in alike_of(rows):
            (means if group.is_mean and group.is_together else others).append(group)
        columns, starts = own_columns(self.panel), self.panel.own_start
        symbols = np.array(market.symbols)
        spans = np.stack([starts[symbols], starts[symbols + 1]], axis=1)

        def fill(some: slice) -> None:
            bars = np.diff(market.starts)[some]
            for group in means:
                places = block.rows * market.starts[:-1][some] + (before + group.places[0]) * bars
                fill_means(group, columns["close"], spans[some], market.skips[some], block.tables, places)
            for i in range(some.start, some.stop) if known is not None or others else ():
                table = block.table(i)
                if known is not None:
                    table[:before] = known.table(i)
                own = {name: values[slice(*spans[i])] for name, values in columns.items()}
                fill_rows(rows, own, int(market.skips[i]), table[before:], others)

        books = len(market.symbols)
        step = self.share(books, (len(rows) + 1) * self.panel.bars)
        parts = [slice(first, min(first + step, books)) for first in range(0, books, step)]
        self.each([partial(fill, some) for some in parts], len(rows) * self.panel.bars)
        return block

    def run_books(self, block: Block, books: Index, points: Index, picks: Index, raw: Floats) -> None:
        """Runs sets over some symbols of a block; fills raw[book, set, field]."""
        plain = plain_books(self.definition.move_kind, self.rules, block.market)[books]
        if plain.all() and raw.flags.c_contiguous:
            self.run_plain(block, books, points, picks, raw)
        elif plain.any():
            some = np.empty((int(plain.sum()), len(points), layout.RAW))
            raw[plain] = self.run_plain(block, books[plain], points, picks, some)
        if not plain.all():
            raw[~plain] = self.run_cells(block, books[~plain], points, picks)

    def run_plain(
        self,
        block: Block,
        books: Index,
        points: Index,
        picks: Index,
        raw: Floats,
        records: Records | None = None,
    ) -> Floats:
        """Fills raw with what run_cells returns, of books where nothing happens but the orders of a state.

        Of one set it records all but orders and events.
        """
        left, counts = np.empty(raw.shape[:2], dtype=np.int64), np.empty(len(books), dtype=np.int64)
        run_plain(
            with_lines(block.market.books),
            books,
            records or Room().records(len(books), self.panel.bars, 1, 1),
            self.rules,
            self.definition.move_kind,
            block.tables,
            block.rows,
            picks,
            self.levels(points),
            raw,
            left,
            counts,
        )
        for i in np.flatnonzero(counts):
            sets = left[i, : counts[i]]
            again = None if records is None else cleared(records.part(slice(i, i + 1)))
            raw[i, sets] = self.run_cells(block, books[i : i + 1], points[sets], picks[sets], again)[0]
        return raw

    def run_cells(
        self, block: Block, books: Index, points: Index, picks: Index, records: Records | None = None
    ) -> Floats:
        """Returns raw[book, set, field], whatever may happen; sets run CELLS at a time over each symbol.

        What is recorded is of one set, or of as many as run side by side.
        """
        market = block.market
        symbols = [market.symbols[i] for i in books]
        own = np.diff(market.starts)[books].max()
        cells = -(-len(points) // -(-len(points) // sets_at_once(own)))
        raw, faults = np.empty((len(books), len(points), layout.RAW)), np.zeros((len(books), FAULT))
        run_moves(
            with_lines(market.books),
            books,
            records or Room().records(len(books), market.bars, cells, cells),
            self.rules,
            cells,
            0,
            self.definition.move_kind,
            block.tables,
            block.rows,
            np.zeros(2, dtype=np.int64),
            picks,
            self.levels(points),
            bool(self.rules[layout.LEVEL]),
            np.ascontiguousarray(self.targets_of(int(points[0]), symbols))[:, :, np.newaxis],
            np.ascontiguousarray(self.grid.stops(points)),
            self.steps_of(market, points, 1),
            faults,
            raw,
        )
        for fault, symbol in zip(faults, symbols, strict=True):
            self.check_fault(fault, points, symbol)
        return raw

    def run_set(self, point: int, raw: Floats, room: Room) -> Records:
        """Runs one set over all symbols with one purse; fills raw[purse, field]."""
        assert self.whole is not None
        one, faults, market = np.array([point]), np.zeros((1, FAULT)), self.whole
        symbols = len(self.panel.symbols)
        rows, picks = rows_of(self.definition.series, self.grid, one)
        tables = fill_symbols(rows, own_columns(self.panel), self.panel.own_start, market.skips)
        records = room.records(1, market.bars, 1, symbols)
        found = np.empty((1, 1, layout.RAW))
        run_moves(
            market.books,
            np.zeros(1, dtype=np.int64),
            records,
            self.rules,
            symbols,
            1,
            self.definition.move_kind,
            tables.reshape(-1),
            len(rows),
            market.starts,
            np.repeat(picks, symbols, axis=0),
            np.repeat(self.levels(one), symbols, axis=0),
            bool(self.rules[layout.LEVEL]),
            np.ascontiguousarray(self.targets_of(point, market.symbols).T)[np.newaxis],
            np.repeat(self.grid.stops(one), symbols, axis=1),
            self.steps_of(market, one, symbols),
            faults,
            found,
        )
        self.check_fault(faults[0], one, None)
        raw[:] = found[0]
        return records

    def parts(self, symbols: Sequence[int] | None = None) -> list[Sequence[int]]:
        """Returns the symbols in parts whose whole runs are held at once: all, where they share a purse."""
        chosen = range(len(self.panel.symbols)) if symbols is None else symbols
        size = max(1, RECORD_BYTES // (32 * self.panel.bars))  # equity, units, decisions and their wants
        step = len(chosen) if self.shared else size
        return [chosen[first : first + step] for first in range(0, len(chosen), step)]

    def record(self, point: int, symbols: Sequence[int] | None = None) -> Recording:
        """Returns the whole run of one set, each symbol's or those of some symbols, without its orders."""
        every = range(len(self.panel.symbols))
        chosen = every if symbols is None else symbols
        if self.recorded is not None and self.recorded[0] == point and chosen == every:
            return self.recorded[1]
        return self.record_all(point, chosen, ordered=False)

    def record_orders(self, point: int, symbols: Sequence[int] | None = None) -> tuple[Recording, Orders]:
        """Returns what `record` does, and the run's orders."""
        chosen = range(len(self.panel.symbols)) if symbols is None else symbols
        found = self.record_all(point, chosen, ordered=True)
        assert found.orders is not None  # they were asked for
        return found, found.orders

    def record_all(self, point: int, symbols: Sequence[int], ordered: bool) -> Recording:
        if self.shared:
            return self.record_shared(point)
        rows, picks = rows_of(self.definition.series, self.grid, np.array([point]))
        if self.kept is not None and all(row in self.rows for row in rows):
            places = np.array([[self.rows[rows[at]] for at in picks[0]]], dtype=np.int64)
            return self.record_books(self.kept, np.array(symbols), point, places, ordered)
        return join(
            [
                self.record_books(self.block(part, rows), np.arange(len(part)), point, picks, ordered)
                for part in self.blocks(symbols, rows)
            ]
        )

    def record_shared(self, point: int) -> Recording:
        raw = np.empty((1, layout.RAW))
        counts = self.run_set(point, raw, Room()).counts[0]
        room = Room(int(counts[C_TRADES]), int(counts[C_EVENTS]), equity=True, held=True, decided=True)
        kept = self.run_set(point, raw, room)
        orders = Orders(kept.decided[0], kept.events[0])
        return Recording(raw, kept.equity[0], kept.held[0], kept.trades[0], fills_in(orders.events), orders)

    def record_books(self, block: Block, books: Index, point: int, picks: Index, ordered: bool) -> Recording:
        """Returns the whole run of one set over some symbols of a block."""
        one, bars = np.array([point]), self.panel.bars
        plain = plain_books(self.definition.move_kind, self.rules, block.market)[books] & (not ordered)
        room = Room(SOME_TRADES, 0 if plain.all() else SOME_EVENTS, True, True, decided=ordered)
        records = room.records(len(books), bars, 1, 1)
        raw = np.empty((len(books), 1, layout.RAW))

        def run(part: slice) -> None:
            if plain[part.start]:
                self.run_plain(block, books[part], one, picks, raw[part], records.part(part))
            else:
                raw[part] = self.run_cells(block, books[part], one, picks, records.part(part))

        step = len(books) if plain.all() else -(-len(books) // self.threads)
        edges = [0, *(np.flatnonzero(plain[1:] != plain[:-1]) + 1), len(books)]
        parts = [
            slice(at, min(at + step, end)) for first, end in pairwise(edges) for at in range(first, end, step)
        ]
        self.each([partial(run, part) for part in parts], step * bars)
        trades, events = (
            [rows[:count] for rows, count in zip(values, records.counts[:, column], strict=True)]
            for values, column in ((records.trades, C_TRADES), (records.events, C_EVENTS))
        )
        counts = records.counts[:, [C_TRADES, C_EVENTS]]
        for i in np.flatnonzero((counts > [room.trades, room.events]).any(axis=1)):
            more = Room(int(counts[i, 0]), int(counts[i, 1])).records(1, bars, 1, 1)
            self.run_cells(block, books[i : i + 1], one, picks, more)
            trades[i], events[i] = more.trades[0], more.events[0]
        symbols = np.array(block.market.symbols)[books]
        every, told = np.concatenate(trades), np.concatenate(events)
        every[:, layout.T_CELL] = np.repeat(symbols, counts[:, 0])
        told[:, layout.L_CELL] = np.repeat(symbols, counts[:, 1])
        return Recording(
            raw[:, 0],
            records.equity[:, :, 0].T,
            records.held[:, :, 0].T,
            every,
            fills_in(told) + fills_of(every[np.repeat(plain & (counts[:, 1] == 0), counts[:, 0])]),
            Orders(records.decided[:, :, 0].transpose(1, 0, 2), told) if ordered else None,
        )


def cleared(records: Records) -> Records:
    """Returns records for another run in their place."""
    for values in records:
        values[...] = 0
    return records


def fills_in(events: Floats) -> int:
    return int((events[:, layout.L_WHAT] == layout.FILLS_AT).sum())


def fills_of(trades: Floats) -> int:
    """Returns the fills of trades that are each one purchase and, unless they are open, one sale."""
    return len(trades) + int((trades[:, layout.T_EXIT_BAR] >= 0).sum())


def sets_at_once(bars: int) -> int:
    """Returns how many sets run side by side over a symbol of as many own bars."""
    return max(1, min(CELLS, MOVE_BYTES // (16 * max(1, bars))))


def join(runs: list[Recording]) -> Recording:
    """Returns the runs of several symbols side by side."""
    if len(runs) == 1:
        return runs[0]
    return Recording(
        np.concatenate([run.raw for run in runs]),
        np.concatenate([run.equity for run in runs], axis=1),
        np.concatenate([run.units for run in runs], axis=1),
        np.concatenate([run.trades for run in runs]),
        sum(run.fills for run in runs),
        join_orders([run.orders for run in runs if run.orders is not None]),
    )


def join_orders(runs: list[Orders]) -> Orders | None:
    if not runs:
        return None
    return Orders(
        np.concatenate([run.decided for run in runs], axis=1),
        np.concatenate([run.events for run in runs]),
    )


def make_simulator(plan: Plan, threads: int, panel: Panel | None = None) -> Simulator:
    """Returns the simulator of a plan, or of the same plan on a shortened panel."""
    return Simulator(plan, panel or plan.panel, threads)
