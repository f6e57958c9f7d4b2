"""A panel whose prices lie on the disk: files are read in parts, twice, and no more than a part is in memory.

First their keys, which tell the symbols and the dates; then all columns, each row written to its place.
Bars are made of a symbol's rows by the code that makes them in memory, so every number is the same.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from berth_backtest.data.check import check_rows, read_symbols
from berth_backtest.data.dates import NEVER, read_dates
from berth_backtest.data.keys import KEYS, Scan, scan_file
from berth_backtest.data.load import (
    check_alike,
    choose_symbols,
    common_columns,
    digest_of,
    no_bars,
    sources,
    span_of,
    warnings_of,
)
from berth_backtest.data.panel import Merged, Panel, build_panel
from berth_backtest.data.read import COLUMNS, open_source, unreadable
from berth_backtest.memory import check_room
from berth_backtest.spec.types import DataSpec

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

PART_ROWS = 1 << 19  # rows, and bars, of the symbols that are taken together


@dataclass
class Written:
    """Rows by symbol, in the order of the files; `places` says where each symbol's begin.

    Own bars are written over them: a symbol has no more of these than rows.
    """

    places: Index
    dates: Index
    state: NDArray[np.int8]
    prices: dict[str, Floats]
    delisted: Index  # [symbol]
    actions: Floats  # [action, (place, split ratio, dividend)]: what is neither is not kept
    nulls: int


def panel_on_disk(spec: DataSpec, folder: Path, threads: int) -> Panel:
    """Returns the panel that `load_panel` returns, its prices in the folder.

    Raises as that does; and where the memory or the disk has too little room, before anything is written.
    """
    scans, hashes = [], []
    for path, label, sha256 in sources(spec):
        source, digest = open_source(path, label, sha256)
        scans.append(scan_file(source, spec))
        hashes.append(digest)
    check_alike(scans)
    chosen = choose_symbols(spec, scans)
    dates = np.unique(np.concatenate([scan.dates for scan in scans]))
    start, end = span_of(spec, int(dates[0]), int(dates[-1]))
    run = dates[(dates >= start) & (dates <= end)]
    if len(run) == 0:
        raise no_bars(spec, int(dates[0]), int(dates[-1]), scans[0].dated)
    names, places = common_columns(scans), places_of(scans, chosen)
    # Of a row its date, its state and its numbers; of a bar its state and its numbers.
    each = 8 * len(names)
    folder.mkdir(parents=True, exist_ok=True)
    check_room(folder, int(places[-1]) * (9 + each) + len(chosen) * len(run) * (1 + each), len(run), threads)
    written = write_rows(spec, scans, chosen, names, places, folder)
    panel = empty_panel(chosen, run, scans[0].dated, written, folder)
    panel = fill_panel(spec, panel, written, (start, end), scans)
    warnings = tuple(warnings_of(spec, written.nulls))
    return replace(panel, hashing=partial(digest_of, hashes), warnings=warnings)


def places_of(scans: list[Scan], chosen: tuple[str, ...]) -> Index:
    """Returns [symbol + 1]: where the rows of each begin."""
    order = {symbol: i for i, symbol in enumerate(chosen)}
    count = np.zeros(len(chosen) + 1, dtype=np.int64)
    for scan in scans:
        for symbol, rows in zip(scan.symbols, scan.rows.tolist(), strict=True):
            if symbol in order:
                count[order[symbol] + 1] += rows
    return np.cumsum(count)


def array_in(folder: Path, name: str, dtype: Any, *shape: int) -> Any:
    """Returns an array that lies in a file, which has its space from the start.

    Without it a file that is written by its addresses kills the program where the disk is full.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    with (folder / name).open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
    return np.asarray(np.memmap(folder / name, dtype, "r+", shape=shape))


def write_rows(
    spec: DataSpec, scans: list[Scan], chosen: tuple[str, ...], names: list[str], places: Index, folder: Path
) -> Written:
    """Reads all files again and writes each row of a chosen symbol to its place."""
    total = int(places[-1])
    dates, state = array_in(folder, "dates", np.int64, total), array_in(folder, "states", np.int8, total)
    prices = {name: array_in(folder, name, np.float64, total) for name in names}
    order = {symbol: i for i, symbol in enumerate(chosen)}
    delisted, actions, nulls = np.full(len(chosen), NEVER), [np.empty((0, 3))], 0
    next_place = places[:-1].copy()
    for scan in scans:
        try:
            for source, table in scan.blocks(COLUMNS):
                rows = check_rows(source, table, spec.timezone, spec.adjustment, instants=scan.instants)
                nulls += rows.null_bars
                code = np.array([order.get(symbol, -1) for symbol in rows.symbols])[rows.codes]
                kept = np.argsort(code, kind="stable")[np.count_nonzero(code < 0) :]
                code = code[kept]
                at = next_place[code] + np.arange(len(code)) - np.searchsorted(code, code)
                next_place += np.bincount(code, minlength=len(chosen))
                dates[at], state[at] = rows.dates[kept], rows.state[kept]
                for name in names:
                    prices[name][at] = rows.prices[name][kept]
                np.minimum.at(delisted, code, rows.delisted[kept])
                acts = np.stack([at, rows.splits[kept], rows.dividends[kept]], axis=1)
                actions.append(acts[(acts[:, 1] != 1.0) | (acts[:, 2] != 0.0)])
        except pa.ArrowException as error:
            raise unreadable(scan.source, error) from None
    return Written(places, dates, state, prices, delisted, np.concatenate(actions), nulls)


def empty_panel(chosen: tuple[str, ...], run: Index, dated: bool, rows: Written, folder: Path) -> Panel:
    """Returns the panel with room for its bars."""
    shape = (len(chosen), len(run))
    bars = {name: array_in(folder, f"{name}-bars", np.float64, *shape) for name in rows.prices}
    close, has_range = bars["close"], "high" in bars and "low" in bars
    return Panel(
        symbols=chosen,
        dates=run,
        dated=dated,
        open=bars.get("open", close),
        high=bars["high"] if has_range else close,
        low=bars["low"] if has_range else close,
        close=close,
        state=array_in(folder, "states-bars", np.int8, *shape),
        has_open="open" in bars,
        has_range=has_range,
        delisted=np.empty(len(chosen), dtype=np.int64),
        volume=bars.get("volume"),
        own=rows.prices,
        own_row=rows.dates,
        own_start=np.zeros(len(chosen) + 1, dtype=np.int64),
        actions=np.empty((0, 4)),
        hashing=str,  # not known yet
        warnings=(),
        folder=folder,
    )


def fill_panel(
    spec: DataSpec, panel: Panel, rows: Written, span: tuple[int, int], scans: list[Scan]
) -> Panel:
    """Returns the panel with its bars, made of the rows of some symbols at a time."""
    actions, own = [panel.actions], 0
    for first, end in tiles(rows.places, panel.bars):
        symbols = panel.symbols[first:end]
        merged = merged_rows(spec, rows, (first, end), symbols, scans)
        part = build_panel(merged, symbols, panel.dated, *span, str, [], dates=panel.dates)
        assert part is not None  # the run has dates
        for name in ("open", "high", "low", "close", "state", "volume"):
            values = getattr(part, name)
            if values is not None:
                getattr(panel, name)[first:end] = values
        panel.delisted[first:end] = part.delisted
        to = slice(own, own + int(part.own_start[-1]))
        for name, values in part.own.items():
            panel.own[name][to] = values
        panel.own_row[to] = part.own_row
        panel.own_start[first + 1 : end + 1] = own + part.own_start[1:]
        own = to.stop
        actions.append(part.actions + np.array([0.0, first, 0.0, 0.0]))
    found = np.concatenate(actions)
    return replace(
        panel,
        own={name: values[:own] for name, values in panel.own.items()},
        own_row=panel.own_row[:own],
        actions=np.ascontiguousarray(found[np.lexsort((found[:, 1], found[:, 0]))]),
    )


def tiles(places: Index, bars: int) -> Iterator[tuple[int, int]]:
    """Yields spans of symbols of as many rows and bars as are taken together, at least one symbol."""
    first, symbols = 0, len(places) - 1
    while first < symbols:
        end = int(np.searchsorted(places, places[first] + PART_ROWS, side="right")) - 1
        end = min(max(end, first + 1), first + max(PART_ROWS // bars, 1))
        yield first, end
        first = end


def merged_rows(
    spec: DataSpec, rows: Written, tile: tuple[int, int], symbols: tuple[str, ...], scans: list[Scan]
) -> Merged:
    """Returns the rows of some symbols in the order of their dates; raises for a date that is there twice."""
    first, end = tile
    part = slice(int(rows.places[first]), int(rows.places[end]))
    codes = np.repeat(np.arange(end - first), np.diff(rows.places[first : end + 1]))
    splits, dividends = np.ones(len(codes)), np.zeros(len(codes))
    acts = rows.actions[(rows.actions[:, 0] >= part.start) & (rows.actions[:, 0] < part.stop)]
    at = acts[:, 0].astype(np.int64) - part.start
    splits[at], dividends[at] = acts[:, 1], acts[:, 2]
    order = np.lexsort((rows.dates[part], codes))
    dates = rows.dates[part][order]
    twice = np.flatnonzero((np.diff(codes) == 0) & (np.diff(dates) == 0))
    if len(twice) > 0:
        raise_twice(spec, scans, symbols[codes[twice[0]]], int(dates[twice[0]]))
    return Merged(
        codes=codes,
        dates=dates,
        state=rows.state[part][order],
        prices={name: values[part][order] for name, values in rows.prices.items()},
        delisted=rows.delisted[first:end][codes],
        splits=splits[order],
        dividends=dividends[order],
        extra={},
        china=False,
    )


def raise_twice(spec: DataSpec, scans: list[Scan], symbol: str, date: int) -> None:
    """Raises for the second row of a symbol's date, which one more look at the keys finds."""
    seen: Scan | None = None
    for scan in scans:
        for source, table in scan.blocks(KEYS):
            dates, _ = read_dates(source, table.column("date"), spec.timezone, instants=scan.instants)
            symbols, codes = read_symbols(source, table)
            here = symbols.index(symbol) if symbol in symbols else -1
            for row in np.flatnonzero((codes == here) & (dates == date)).tolist():
                if seen is not None:
                    where = "twice" if seen is scan else "in another file too"
                    raise source.wrong(row, "date", f"{symbol} has this date {where}")
                seen = scan
