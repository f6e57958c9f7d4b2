"""The kernel on a plan: parameter sets in, raw sums or whole curves out."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from berth_backtest.data.panel import Panel
from berth_backtest.grid import Grid
from berth_backtest.kernel import layout
from berth_backtest.kernel.simulate import simulate
from berth_backtest.kernel.tables import sma_tables
from berth_backtest.plan import Plan, kernel_rules

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

T = TypeVar("T")

TABLE_BYTES = 512 << 20  # indicator tables held at once
ITEM_UPDATES = 20_000_000  # bar-updates of one call of the kernel: some 0.1 s, so threads end together
NO_CURVES = np.empty((0, 0, 0))
NO_TRADES = np.empty((0, 0))


@dataclass(frozen=True)
class Table:
    """A symbol's averages."""

    means: Floats  # [window, own bar], NaN where undefined
    bar_of: Index  # the run's bar of each own bar; -1 = the last before the run
    defined: Index  # each window's first defined own bar


@dataclass(frozen=True)
class Recording:
    """Whole runs of some sets on one symbol."""

    raw: Floats  # [set, field]
    equity: Floats  # [bar, set]
    units: Floats
    orders: Floats  # decided at each bar's close
    trades: Floats  # [trade, column], closed in order of exit, then open ones


class Simulator:
    """A plan's kernel inputs; the same result for any number of threads and any split of sets."""

    def __init__(self, panel: Panel, grid: Grid, rules: Floats, threads: int) -> None:
        self.panel = panel
        self.grid = grid
        self.rules = rules
        self.threads = threads
        self.bars = [
            np.stack([panel.open[s], panel.high[s], panel.low[s], panel.close[s]])
            for s in range(len(panel.symbols))
        ]
        self.kept: tuple[int, list[Table]] = (-1, [])

    def table(self, s: int, windows: Index) -> Table:
        """Returns a symbol's averages at its own bars of the run, and at the last one before."""
        panel = self.panel
        own = slice(panel.own_start[s], panel.own_start[s + 1])
        rows = panel.own_row[own]
        skip = int(np.searchsorted(rows, 0))
        out = np.empty((len(windows), len(rows) - skip))
        sma_tables(panel.own_close[own], skip, windows, out)
        return Table(out, rows[skip:] - 1, np.maximum(windows - 1 - skip, 0))

    def tables(self, block: range) -> list[Table]:
        """Returns the tables of a block of symbols; the last block's are kept for the next sets."""
        if self.kept[0] != block.start:
            self.kept = (-1, [])
            windows = self.grid.windows
            self.kept = (block.start, self.each([partial(self.table, s, windows) for s in block]))
        return self.kept[1]

    def each(self, calls: Iterable[Callable[[], T]]) -> list[T]:
        """Returns the calls' results in order, over all threads."""
        if self.threads == 1:
            return [call() for call in calls]
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(lambda call: call(), calls))

    def blocks(self) -> list[range]:
        size = (self.panel.bars + 1) * len(self.grid.windows) * 8
        step = max(1, TABLE_BYTES // size)
        symbols = len(self.panel.symbols)
        return [range(first, min(first + step, symbols)) for first in range(0, symbols, step)]

    def run(self, points: Index) -> Floats:
        """Returns raw sums by [set, symbol, field]."""
        grid = self.grid
        fast, slow, stops = grid.columns("fast", points), grid.columns("slow", points), grid.stops(points)
        raw = np.empty((len(self.panel.symbols), len(points), layout.RAW))
        step = max(1, ITEM_UPDATES // (self.panel.bars * layout.LANES)) * layout.LANES

        def call(s: int, table: Table, first: int) -> Floats:
            part = slice(first, first + step)
            simulate(
                self.bars[s],
                self.panel.state[s],
                int(self.panel.delisted[s]),
                table.means,
                table.bar_of,
                table.defined,
                fast[part],
                slow[part],
                np.ascontiguousarray(stops[:, part]),
                self.rules,
                raw[s, part],
                NO_CURVES,
                NO_TRADES,
            )
            return raw

        for block in self.blocks():
            tables = self.tables(block)
            self.each(
                [
                    partial(call, s, table, first)
                    for s, table in zip(block, tables, strict=True)
                    for first in range(0, len(points), step)
                ]
            )
        return raw.transpose(1, 0, 2)

    def record(self, s: int, points: Index) -> Recording:
        """Returns the whole runs of at most LANES sets on one symbol."""
        grid, panel = self.grid, self.panel
        assert 0 < len(points) <= layout.LANES
        fast, slow = grid.values("fast", points), grid.values("slow", points)
        windows = np.unique(np.concatenate([fast, slow])).astype(np.int64)
        table = self.table(s, windows)
        raw = np.empty((len(points), layout.RAW))
        curves = np.zeros((3, panel.bars, len(points)))
        # At most two trades end on a bar (a reversal, then a stop); row 0 counts them.
        trades = np.zeros(((2 * panel.bars + 2) * len(points) + 1, layout.TRADE))
        simulate(
            self.bars[s],
            panel.state[s],
            int(panel.delisted[s]),
            table.means,
            table.bar_of,
            table.defined,
            np.searchsorted(windows, fast.astype(np.int64)),
            np.searchsorted(windows, slow.astype(np.int64)),
            grid.stops(points),
            self.rules,
            raw,
            curves,
            trades,
        )
        found = trades[1 : int(trades[0, 0]) + 1].copy()
        return Recording(raw, curves[0], curves[1], curves[2], found)


def make_simulator(plan: Plan, threads: int, panel: Panel | None = None) -> Simulator:
    """Returns the simulator of a plan, or of the same plan on a shortened panel."""
    return Simulator(panel or plan.panel, plan.grid, kernel_rules(plan), threads)


def compile_kernel() -> None:
    """Compiles the kernel, or loads it from the cache, by running it on two bars."""
    means = np.empty((1, 2))
    sma_tables(np.ones(2), 0, np.array([1]), means)
    zero = np.zeros(1, dtype=np.int64)
    state = np.ones(2, dtype=np.int8)
    rules = np.ones(layout.RULES)
    raw = np.empty((1, layout.RAW))
    stops = np.zeros((3, 1))
    bars = np.ones((4, 2))
    rows = np.arange(2)
    simulate(bars, state, 2, means, rows, zero, zero, zero, stops, rules, raw, NO_CURVES, NO_TRADES)
