"""The kernel on a plan: parameter sets in, raw sums out."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from berth_backtest.data.panel import Panel
from berth_backtest.errors import StoppedError
from berth_backtest.grid import Grid
from berth_backtest.kernel import layout
from berth_backtest.kernel.book import Records
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

if TYPE_CHECKING:
    from berth_backtest.record import Recording

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

T = TypeVar("T")

TABLE_BYTES = 512 << 20  # indicator tables and markets held at once
MOVE_BYTES = 64 << 20  # of one block of cells
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


def cleared(records: Records) -> Records:
    """Returns records for another run in their place."""
    for values in records:
        values[...] = 0
    return records


def sets_at_once(bars: int) -> int:
    """Returns how many sets run side by side over a symbol of as many own bars."""
    return max(1, min(CELLS, MOVE_BYTES // (16 * max(1, bars))))


def make_simulator(plan: Plan, threads: int, panel: Panel | None = None) -> Simulator:
    """Returns the simulator of a plan, or of the same plan on a shortened panel."""
    return Simulator(plan, panel or plan.panel, threads)
