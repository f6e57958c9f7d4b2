"""Whole runs of one set: its curves and trades, and its orders where they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel import layout
from berth_backtest.kernel.book import C_EVENTS, C_TRADES, Records
from berth_backtest.market import Room
from berth_backtest.plain import plain_books
from berth_backtest.simulate import Block, Simulator
from berth_backtest.strategies.series import rows_of

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

RECORD_BYTES = 128 << 20  # whole runs of one set in some symbols
PLAIN_BARS = 500_000  # of plain symbols that one thread runs: some 8 ns each
SOME_TRADES, SOME_EVENTS = 64, 256  # room for the trades and events of most runs: others are run again


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


def raw_of(simulator: Simulator, points: Index) -> Floats:
    """Returns raw sums by [set, account, field]; a set that runs alone is recorded for its files too."""
    if len(points) == 1 and not simulator.shared and len(parts_of(simulator)) == 1:
        point = int(points[0])
        simulator.recorded = point, record(simulator, point)
        return simulator.recorded[1].raw[np.newaxis]
    return simulator.run(points)


def parts_of(simulator: Simulator, symbols: Sequence[int] | None = None) -> list[Sequence[int]]:
    """Returns the symbols in parts whose whole runs are held at once: all, where they share a purse."""
    chosen = range(len(simulator.panel.symbols)) if symbols is None else symbols
    size = max(1, RECORD_BYTES // (32 * simulator.panel.bars))  # equity, units, decisions and their wants
    step = len(chosen) if simulator.shared else size
    return [chosen[first : first + step] for first in range(0, len(chosen), step)]


def record(simulator: Simulator, point: int, symbols: Sequence[int] | None = None) -> Recording:
    """Returns the whole run of one set, each symbol's or those of some symbols, without its orders."""
    every = range(len(simulator.panel.symbols))
    chosen = every if symbols is None else symbols
    if simulator.recorded is not None and simulator.recorded[0] == point and chosen == every:
        return simulator.recorded[1]
    return record_all(simulator, point, chosen, ordered=False)


def record_orders(
    simulator: Simulator, point: int, symbols: Sequence[int] | None = None
) -> tuple[Recording, Orders]:
    """Returns what `record` does, and the run's orders."""
    chosen = range(len(simulator.panel.symbols)) if symbols is None else symbols
    found = record_all(simulator, point, chosen, ordered=True)
    assert found.orders is not None  # they were asked for
    return found, found.orders


def record_all(simulator: Simulator, point: int, symbols: Sequence[int], ordered: bool) -> Recording:
    if simulator.shared:
        return record_shared(simulator, point)
    rows, picks = rows_of(simulator.definition.series, simulator.grid, np.array([point]))
    if simulator.kept is not None and all(row in simulator.rows for row in rows):
        places = np.array([[simulator.rows[rows[at]] for at in picks[0]]], dtype=np.int64)
        return record_books(simulator, simulator.kept, np.array(symbols), point, places, ordered)
    runs = []
    for part in simulator.blocks(symbols, rows):
        block = simulator.block(part, rows)
        runs.append(record_books(simulator, block, np.arange(len(part)), point, picks, ordered))
    return join(runs)


def record_shared(simulator: Simulator, point: int) -> Recording:
    raw = np.empty((1, layout.RAW))
    counts = simulator.run_set(point, raw, Room()).counts[0]
    room = Room(int(counts[C_TRADES]), int(counts[C_EVENTS]), equity=True, held=True, decided=True)
    kept = simulator.run_set(point, raw, room)
    orders = Orders(kept.decided[0], kept.events[0])
    return Recording(raw, kept.equity[0], kept.held[0], kept.trades[0], fills_in(orders.events), orders)


def record_books(
    simulator: Simulator, block: Block, books: Index, point: int, picks: Index, ordered: bool
) -> Recording:
    """Returns the whole run of one set over some symbols of a block."""
    plain = plain_books(simulator.definition.move_kind, simulator.rules, block.market)[books] & (not ordered)
    room = Room(SOME_TRADES, 0 if plain.all() else SOME_EVENTS, equity=True, held=True, decided=ordered)
    records = room.records(len(books), simulator.panel.bars, 1, 1)
    raw = fill_records(simulator, block, books, point, picks, plain, records)
    trades, events = (
        [rows[:count] for rows, count in zip(values, records.counts[:, column], strict=True)]
        for values, column in ((records.trades, C_TRADES), (records.events, C_EVENTS))
    )
    counts = records.counts[:, [C_TRADES, C_EVENTS]]
    for i in np.flatnonzero((counts > [room.trades, room.events]).any(axis=1)):
        more = Room(int(counts[i, 0]), int(counts[i, 1])).records(1, simulator.panel.bars, 1, 1)
        simulator.run_cells(block, books[i : i + 1], np.array([point]), picks, more)
        trades[i], events[i] = more.trades[0], more.events[0]
    symbols = np.array(block.market.symbols)[books]
    every, told = np.concatenate(trades), np.concatenate(events)
    every[:, layout.T_CELL] = np.repeat(symbols, counts[:, 0])
    told[:, layout.L_CELL] = np.repeat(symbols, counts[:, 1])
    untold = every[np.repeat(plain & (counts[:, 1] == 0), counts[:, 0])]
    return Recording(
        raw[:, 0],
        records.equity[:, :, 0].T,
        records.held[:, :, 0].T,
        every,
        fills_in(told) + fills_of(untold),
        Orders(records.decided[:, :, 0].transpose(1, 0, 2), told) if ordered else None,
    )


def fill_records(
    simulator: Simulator,
    block: Block,
    books: Index,
    point: int,
    picks: Index,
    plain: NDArray[np.bool_],
    records: Records,
) -> Floats:
    """Runs one set over some symbols, plain ones each in its own way; returns raw[book, set, field]."""
    one = np.array([point])
    raw = np.empty((len(books), 1, layout.RAW))

    def run(part: slice) -> None:
        if plain[part.start]:
            simulator.run_plain(block, books[part], one, picks, raw[part], records.part(part))
        else:
            raw[part] = simulator.run_cells(block, books[part], one, picks, records.part(part))

    few = plain.all() and len(books) * simulator.panel.bars < PLAIN_BARS
    step = len(books) if few else -(-len(books) // simulator.threads)
    edges = [0, *(np.flatnonzero(plain[1:] != plain[:-1]) + 1), len(books)]
    parts = [
        slice(at, min(at + step, end)) for first, end in pairwise(edges) for at in range(first, end, step)
    ]
    simulator.each([partial(run, part) for part in parts], step * simulator.panel.bars)
    return raw


def fills_in(events: Floats) -> int:
    return int((events[:, layout.L_WHAT] == layout.FILLS_AT).sum())


def fills_of(trades: Floats) -> int:
    """Returns the fills of trades that are each one purchase and, unless they are open, one sale."""
    return len(trades) + int((trades[:, layout.T_EXIT_BAR] >= 0).sum())


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
