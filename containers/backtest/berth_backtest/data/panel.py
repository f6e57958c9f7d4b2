"""The run's prices on its common dates: the union over the chosen symbols."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from berth_backtest.china import China
from berth_backtest.data.check import BAR, NO_BAR
from berth_backtest.data.china import china_of
from berth_backtest.data.columns import is_all
from berth_backtest.data.dates import NEVER
from berth_backtest.data.order import common_dates, those

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Panel:
    """Arrays are [symbol, bar of the run]; prices are NaN where `state` is not BAR."""

    symbols: tuple[str, ...]
    dates: NDArray[np.int64]  # microseconds since 1970, UTC
    dated: bool  # calendar dates, not instants
    open: Floats  # equal to close where the data has none
    high: Floats
    low: Floats
    close: Floats
    state: NDArray[np.int8]  # NO_BAR, BAR or SUSPENDED
    has_open: bool
    has_range: bool  # high and low
    delisted: NDArray[np.int64]  # [symbol]: first bar after delist_date; len(dates) = never
    volume: Floats | None
    own: dict[str, Floats]  # each symbol's own bars, warm-up included, one symbol after the other
    own_row: NDArray[np.int64]  # the row of a table for each: 0 = last before `start`, 1 + bar; -1 = earlier
    own_start: NDArray[np.int64]  # [symbol + 1]: where a symbol's own closes begin
    actions: Floats  # [action, (bar, symbol, split ratio, dividend)] by bar
    hashing: Callable[[], str]  # returns the data's sha256, once it is known
    warnings: tuple[tuple[str, str], ...]
    china: China | None = None  # of A-shares
    folder: Path | None = None  # where the prices lie if they are larger than the memory

    @property
    def bars(self) -> int:
        return len(self.dates)

    @property
    def sha256(self) -> str:
        return self.hashing()


@dataclass(frozen=True)
class Merged:
    """All files' rows of the chosen symbols, sorted by symbol and date."""

    codes: NDArray[np.int64]
    dates: NDArray[np.int64]
    state: NDArray[np.int8]
    prices: dict[str, Floats]
    delisted: NDArray[np.int64]
    splits: Floats
    dividends: Floats
    extra: dict[str, Floats]
    china: bool  # its columns were asked for


def build_panel(
    rows: Merged,
    symbols: tuple[str, ...],
    dated: bool,
    start: int,
    end: int,
    hashing: Callable[[], str],
    warnings: list[tuple[str, str]],
    dates: Index | None = None,
) -> Panel | None:
    """Returns the panel from `start` to `end` (inclusive), None when no row lies between them.

    `dates` are the run's if the rows are not those of all its symbols.
    """
    common = common_dates(rows.dates, len(symbols))
    known = rows.dates if common is None else common
    run = known[(known >= start) & (known <= end)]
    if dates is None:
        dates = np.unique(run)
    elif common is not None and not np.array_equal(run, dates):
        common = None
    n = len(dates)
    if n == 0:
        return None
    # Of each row, its bar if it is of the run's dates.
    bar = np.searchsorted(dates, rows.dates if common is None else common)
    bar = bar if common is None else np.tile(bar, len(symbols))
    inside = (rows.dates >= start) & (rows.dates <= end)

    def grid(values: NDArray[Any], absent: float = np.nan) -> NDArray[Any]:
        if common is not None:
            first = int(np.searchsorted(common, start))
            return np.ascontiguousarray(values.reshape(len(symbols), -1)[:, first : first + n])
        table = np.full((len(symbols), n), absent, dtype=values.dtype)
        table[rows.codes[inside], bar[inside]] = values[inside]
        return table

    close = grid(rows.prices["close"])
    has_range = "high" in rows.prices and "low" in rows.prices
    own = those((rows.state == BAR) & (rows.dates <= end))
    own_code = rows.codes[own]
    own_start = np.searchsorted(own_code, np.arange(len(symbols) + 1))
    early = rows.dates[own] < start
    own_row = np.where(early, -1, bar[own] + 1)
    # A symbol's last bar before `start` is the bar before the first that may decide: row 0.
    early_bars = np.bincount(own_code[early], minlength=len(symbols))
    own_row[(own_start[:-1] + early_bars - 1)[early_bars > 0]] = 0
    leaves = np.full(len(symbols), NEVER)
    if not is_all(rows.delisted, NEVER):
        leaving = rows.delisted != NEVER
        np.minimum.at(leaves, rows.codes[leaving], rows.delisted[leaving])
    return Panel(
        symbols=symbols,
        dates=dates,
        dated=dated,
        open=grid(rows.prices["open"]) if "open" in rows.prices else close,
        high=grid(rows.prices["high"]) if has_range else close,
        low=grid(rows.prices["low"]) if has_range else close,
        close=close,
        state=grid(rows.state, NO_BAR),
        has_open="open" in rows.prices,
        has_range=has_range,
        delisted=np.searchsorted(dates, leaves, side="right"),
        volume=grid(rows.prices["volume"]) if "volume" in rows.prices else None,
        own={name: values[own] for name, values in comparable(rows).items()},
        actions=actions_of(rows, inside, bar),
        own_row=own_row,
        own_start=own_start,
        hashing=hashing,
        warnings=tuple(warnings),
        china=rules_of(rows, len(symbols), grid) if rows.china else None,
    )


def rules_of(rows: Merged, symbols: int, grid: Callable[[Floats], Floats]) -> China:
    """Returns lots and limits of the run's dates; a date without a row has no limit."""
    china, down, up = china_of(
        rows.extra, rows.codes, rows.dates, rows.prices["close"], rows.splits, rows.dividends, symbols
    )
    lower, upper = grid(down).T, grid(up).T
    limits = np.stack(
        [np.where(np.isnan(lower), -np.inf, lower), np.where(np.isnan(upper), np.inf, upper)], axis=2
    )
    return replace(china, limits=np.ascontiguousarray(limits))


def comparable(rows: Merged) -> dict[str, Floats]:
    """Returns prices and volumes without the moves of splits and dividends."""
    acts = acting(rows)
    if not acts:
        return rows.prices
    factors, shares = adjustments(rows, acts), share_factors(rows, acts)
    return {
        name: values / shares if name == "volume" else values * factors
        for name, values in rows.prices.items()
    }


def adjustments(rows: Merged, acts: list[slice]) -> Floats:
    """Returns what a strategy's prices are multiplied with: 1 before a symbol's first split or dividend.

    From then on prices are as if the symbol had never split or paid, in the units of its first bar, so
    that neither is a move of the market; no later price is needed for it.
    """
    factors = np.ones(len(rows.dates))
    close = rows.prices["close"]
    for part in acts:
        factor, last = 1.0, np.nan
        for i in range(part.start, part.stop):
            if rows.dividends[i] > 0.0 and last > rows.dividends[i]:
                factor *= last / (last - rows.dividends[i])
            factor *= rows.splits[i]
            factors[i] = factor
            last = close[i] if rows.state[i] == BAR else (last - rows.dividends[i]) / rows.splits[i]
    return factors


def share_factors(rows: Merged, acts: list[slice]) -> Floats:
    """Returns into how many units one of a symbol's first bar was split, so that volumes can be compared."""
    factors = np.ones(len(rows.dates))
    for part in acts:
        factors[part] = np.cumprod(rows.splits[part])
    return factors


def acting(rows: Merged) -> list[slice]:
    """Returns the rows of each symbol that has a split or a dividend."""
    there = acts_in(rows)
    if there is None:
        return []
    codes = np.unique(rows.codes[there])
    first, end = (np.searchsorted(rows.codes, codes, side=side) for side in ("left", "right"))
    return [slice(int(a), int(b)) for a, b in zip(first, end, strict=True)]


def acts_in(rows: Merged) -> NDArray[np.bool_] | None:
    """Says which rows have a split or a dividend; None if no row has."""
    if is_all(rows.splits, 1.0) and is_all(rows.dividends, 0.0):
        return None
    return np.asarray((rows.splits != 1.0) | (rows.dividends != 0.0))


def actions_of(rows: Merged, inside: NDArray[np.bool_], bar: NDArray[np.int64]) -> Floats:
    """Returns the splits and dividends of the run's dates, by bar and symbol."""
    acts = acts_in(rows)
    if acts is None:
        return np.empty((0, 4))
    there = inside & acts
    columns = (bar, rows.codes, rows.splits, rows.dividends)
    found = np.stack([values[there] for values in columns], axis=1)
    return np.ascontiguousarray(found[np.lexsort((found[:, 1], found[:, 0]))])


def truncate(panel: Panel, bars: int, symbols: Iterable[int] | None = None) -> Panel:
    """Returns the panel as it was known at the close of its bar `bars` - 1.

    With `symbols`, ascending, it has the own bars of these alone.
    """
    kept = np.zeros(len(panel.symbols), dtype=np.int64)
    parts = []
    for s in range(len(panel.symbols)) if symbols is None else symbols:
        first, end = panel.own_start[s : s + 2]
        kept[s] = np.searchsorted(panel.own_row[first:end], bars, side="right")
        parts.append(slice(first, first + kept[s]))
    return Panel(
        symbols=panel.symbols,
        dates=panel.dates[:bars],
        dated=panel.dated,
        open=panel.open[:, :bars],
        high=panel.high[:, :bars],
        low=panel.low[:, :bars],
        close=panel.close[:, :bars],
        state=panel.state[:, :bars],
        has_open=panel.has_open,
        has_range=panel.has_range,
        delisted=np.minimum(panel.delisted, bars),
        volume=None if panel.volume is None else panel.volume[:, :bars],
        own={name: np.concatenate([values[part] for part in parts]) for name, values in panel.own.items()},
        own_row=np.concatenate([panel.own_row[part] for part in parts]),
        own_start=np.concatenate([[0], np.cumsum(kept)]),
        actions=panel.actions[panel.actions[:, 0] < bars],
        hashing=panel.hashing,
        warnings=panel.warnings,
        china=panel.china and replace(panel.china, limits=panel.china.limits[:bars]),
    )
