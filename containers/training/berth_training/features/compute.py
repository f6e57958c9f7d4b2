"""Features of a panel: each reads a symbol's own bars up to its date, never beyond."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

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
GROUP_BYTES = 64 << 20  # of features that are computed and checked at once


def feature_grid(panel: Panel, columns: tuple[Column, ...], threads: int = 1) -> Floats:
    """Returns [symbol, bar, feature]; NaN where a feature is not defined yet or there is no bar."""
    check_columns(panel, columns)
    # Feature by feature in memory, for that is how they are made and read; shown the other way round.
    planes = np.empty((len(columns), len(panel.symbols), panel.bars))
    each(threads, len(panel.symbols), lambda s: fill_symbol(panel, columns, s, planes[:, s]))
    for i, column in enumerate(columns):
        if column.function == "calendar":
            planes[i] = calendar(panel, column.columns[0])
        elif column.ranked:
            rank(planes[i], threads)
    return np.moveaxis(planes, 0, 2)


def rank(plane: Floats, threads: int) -> None:
    """Puts ranks among the symbols in place of the values."""
    edges = np.linspace(0, plane.shape[1], threads + 1).astype(int)

    def part(k: int) -> None:
        some = plane[:, edges[k] : edges[k + 1]]
        rank_dates(np.ascontiguousarray(some.T), some)

    each(threads, threads, part)


def each(threads: int, count: int, call: Callable[[int], None]) -> None:
    """Calls for all numbers below `count`, on threads: most of what is called is compiled."""

    def some(thread: int) -> None:
        for item in range(thread, count, threads):
            call(item)

    if threads == 1:
        some(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(some, range(threads)))


def fill_symbol(panel: Panel, columns: tuple[Column, ...], s: int, out: Floats) -> None:
    """Fills [feature, bar] of one symbol but for what needs the other symbols."""
    own = slice(panel.own_start[s], panel.own_start[s + 1])
    bars = {name: np.ascontiguousarray(values[own]) for name, values in panel.own.items()}
    rows = panel.own_row[own]
    inside = rows > 0  # row 0 and -1 are bars before `start`
    place = rows[inside] - 1
    whole = len(place) == panel.bars and bool(inside.all())  # then each bar is its own place
    if not whole:
        out[:] = np.nan
    known: dict[tuple[object, ...], Floats] = {}
    for i, column in enumerate(columns):
        if column.function == "calendar" or len(bars["close"]) == 0:
            continue
        key = (column.function, column.columns, column.arguments)
        if key not in known:
            known[key] = series_of(column, bars)
        values = later(known[key], column.lag)
        if whole:
            out[i] = values
        else:
            out[i, place] = values[inside]


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
