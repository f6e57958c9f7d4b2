"""Features of a panel: each reads a symbol's own bars up to its date, never beyond."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from berth_backtest.data.dates import DAY_US
from berth_backtest.data.panel import Panel
from berth_backtest.errors import invalid
from berth_backtest.indicators import stddev
from berth_backtest.strategies.series import Row, column_of
from numpy.typing import NDArray

from berth_training.features.compiled import rank_dates, returns
from berth_training.spec.types import Column

Floats = NDArray[np.float64]

HOUR_US, MINUTE_US = 3_600_000_000, 60_000_000
# Bars from which on a series is long enough to be made on a thread of its own: with shorter ones the lock of
# the interpreter takes longer than they do. Ranks are made beside them all the same.
LONG = 20_000
GROUP_BYTES = 64 << 20  # of features that are computed and checked at once


def feature_grid(panel: Panel, columns: tuple[Column, ...], threads: int = 1) -> Floats:
    """Returns [symbol, bar, feature]; NaN where a feature is not defined yet or there is no bar."""
    check_columns(panel, columns)
    # Feature by feature in memory, for that is how they are made and read; shown the other way round.
    planes = np.empty((len(columns), len(panel.symbols), panel.bars))
    symbols = [own_bars(panel, s) for s in range(len(panel.symbols))]
    several = threads if panel.bars >= LONG else 1
    with ThreadPoolExecutor(max(threads - several, 1)) as pool:
        ranks = []
        for same in alike(columns):
            fill = partial(fill_symbol, columns, same, symbols, planes)
            each(several, len(symbols), fill)
            for i in same:
                if columns[i].ranked and threads > several:
                    ranks.append(pool.submit(rank, planes[i], 1))
                elif columns[i].ranked:
                    rank(planes[i], threads)
        for i, column in enumerate(columns):
            if column.function == "calendar":
                planes[i] = calendar(panel, column.columns[0])
        for one in ranks:
            one.result()
    return np.moveaxis(planes, 0, 2)


def alike(columns: tuple[Column, ...]) -> list[list[int]]:
    """Returns the places of columns that are lags of one series, first those with ranks: the longest."""
    found: dict[tuple[object, ...], list[int]] = {}
    for i, column in enumerate(columns):
        if column.function != "calendar":
            found.setdefault((column.function, column.columns, column.arguments), []).append(i)
    return sorted(found.values(), key=lambda same: not any(columns[i].ranked for i in same))


def each(threads: int, count: int, call: Callable[[int], None]) -> None:
    """Calls for all numbers below `count`."""

    def some(thread: int) -> None:
        for item in range(thread, count, threads):
            call(item)

    if threads == 1:
        some(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(some, range(threads)))


@dataclass(frozen=True)
class Own:
    """A symbol's own bars, which of them are in the run and where; None: each is its own place."""

    bars: dict[str, Floats]
    inside: NDArray[np.bool_] | None
    place: NDArray[np.int64]


def own_bars(panel: Panel, s: int) -> Own:
    own = slice(panel.own_start[s], panel.own_start[s + 1])
    rows = panel.own_row[own]
    inside = rows > 0  # row 0 and -1 are bars before `start`
    place = rows[inside] - 1
    bars = {name: np.ascontiguousarray(values[own]) for name, values in panel.own.items()}
    whole = len(place) == panel.bars and bool(inside.all())
    return Own(bars, None if whole else inside, place)


def fill_symbol(
    columns: tuple[Column, ...], same: list[int], symbols: list[Own], planes: Floats, s: int
) -> None:
    """Fills the lags of one series of one symbol."""
    own = symbols[s]
    known = series_of(columns[same[0]], own.bars) if len(own.bars["close"]) else own.bars["close"]
    for i in same:
        values = later(known, columns[i].lag)
        if own.inside is None:
            planes[i, s] = values
        else:
            planes[i, s] = np.nan
            planes[i, s, own.place] = values[own.inside]


def rank(plane: Floats, threads: int) -> None:
    """Puts ranks among the symbols in place of the values."""
    edges = np.linspace(0, plane.shape[1], threads + 1).astype(int)

    def part(k: int) -> None:
        some = plane[:, edges[k] : edges[k + 1]]
        rank_dates(np.ascontiguousarray(some.T), some)

    each(threads, threads, part)


def groups(panel: Panel, columns: tuple[Column, ...]) -> Iterator[tuple[int, tuple[Column, ...]]]:
    """Yields the first place and columns of groups whose grid is no larger than GROUP_BYTES."""
    size = max(GROUP_BYTES // (8 * len(panel.symbols) * panel.bars), 1)
    for start in range(0, len(columns), size):
        yield start, columns[start : start + size]


def check_columns(panel: Panel, columns: tuple[Column, ...]) -> None:
    for column in columns:
        for name in column.columns if column.function != "calendar" else ():
            if name not in panel.own:
                raise invalid(column.path, f"{column.name} needs a column {name}, which the data lacks")


def series_of(column: Column, bars: dict[str, Floats]) -> Floats:
    """Returns one feature of one symbol at each of its own bars."""
    x = bars[column.columns[0]]
    if column.function == "lag":
        return x
    with np.errstate(divide="ignore", invalid="ignore"):
        if column.function == "ret":
            return returns(x, int(column.arguments[0]))
        if column.function == "log_ret":
            return np.log(x / later(x, int(column.arguments[0])))
        if column.function == "volatility":
            return volatility(x, int(column.arguments[0]))
    row = Row(column.function, column.columns, column.arguments)
    return column_of(row, [bars[name] for name in column.columns])


def later(x: Floats, bars: int) -> Floats:
    """Returns the values as they were some bars before."""
    if bars == 0:
        return x
    return np.concatenate([np.full(min(bars, len(x)), np.nan), x[: max(len(x) - bars, 0)]])


def volatility(close: Floats, window: int) -> Floats:
    """Returns the standard deviation (ddof 1) of the last `window` one-bar returns, per bar, not a year's."""
    return stddev(returns(close, 1), window) * math.sqrt(window / (window - 1.0))


def calendar(panel: Panel, part: str) -> Floats:
    """Returns a part of each date, in UTC: Monday is weekday 0, weeks are ISO 8601's."""
    days, us = np.divmod(panel.dates, DAY_US)
    months = days.astype("datetime64[D]").astype("datetime64[M]")
    weekday = (days + 3) % 7  # 1970 began on a Thursday
    if part in ("month", "quarter"):
        month = months.astype(np.int64) % 12
        found = month + 1 if part == "month" else month // 3 + 1
    elif part == "day":
        found = days - first_day(months) + 1
    elif part == "week":
        thursday = days - weekday + 3  # a week belongs to the year of its Thursday
        found = (thursday - first_day(thursday.astype("datetime64[D]").astype("datetime64[Y]"))) // 7 + 1
    elif part == "weekday":
        found = weekday
    else:
        found = us // HOUR_US if part == "hour" else us % HOUR_US // MINUTE_US
    return np.asarray(found, dtype=np.float64)


def first_day(periods: NDArray[np.datetime64]) -> NDArray[np.int64]:
    return periods.astype("datetime64[D]").astype(np.int64)
