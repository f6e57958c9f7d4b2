"""Features of a panel: each reads a symbol's own bars up to its date, never beyond."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import numpy as np
from berth_backtest import indicators
from berth_backtest.data.dates import DAY_US
from berth_backtest.data.panel import Panel
from berth_backtest.errors import invalid
from berth_backtest.kernel.jit import series_function
from berth_backtest.strategies.series import integer_arguments
from numpy.typing import NDArray

from berth_training.features import compiled
from berth_training.spec.types import Column

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

HOUR_US, MINUTE_US = 3_600_000_000, 60_000_000
# Values of a feature that are made at once: some 0.5 ms, far longer than a thread waits for the interpreter.
PART = 100_000
# Values of the dates that are ranked at once: with their order they lie in a core's own cache.
RANKED = 32_768
GROUP_BYTES = 64 << 20  # of features that are computed and checked at once


def feature_grid(panel: Panel, columns: tuple[Column, ...], threads: int = 1) -> Floats:
    """Returns [symbol, bar, feature]; NaN where a feature is not defined yet or there is no bar."""
    # Feature by feature in memory, for that is how they are made and read; shown the other way round.
    return np.moveaxis(feature_planes(panel, columns, threads), 0, 2)


def feature_matrix(
    panel: Panel, columns: tuple[Column, ...], symbol: Index, date: Index, threads: int = 1
) -> Floats:
    """Returns [row, feature] of the symbol and the bar of each row, in the order that models read."""
    planes = feature_planes(panel, columns, threads)
    out = np.empty((len(symbol), len(columns)))
    fill = partial(compiled.fill_rows, planes, symbol, date, out=out)
    each(threads, [partial(fill, *edges) for edges in parts(len(symbol), out.size)])
    return out


def feature_planes(panel: Panel, columns: tuple[Column, ...], threads: int = 1) -> Floats:
    """Returns [feature, symbol, bar]."""
    check_columns(panel, columns)
    planes = np.empty((len(columns), len(panel.symbols), panel.bars))
    some = parts(len(panel.symbols), planes[0].size)
    tasks: list[Callable[[], object]] = [
        partial(fill, panel, columns, same, planes, edges) for same in alike(columns) for edges in some
    ]
    for i, column in enumerate(columns):
        if column.function == "calendar":
            tasks.append(partial(np.copyto, planes[i], calendar(panel, column.columns[0])))
    each(threads, tasks)
    some = parts(panel.bars, planes[0].size)
    ranked = [planes[i] for i, column in enumerate(columns) if column.ranked]
    each(threads, [partial(rank, plane, *edges) for plane in ranked for edges in some])
    return planes


def alike(columns: tuple[Column, ...]) -> list[list[int]]:
    """Returns the places of columns that are lags of one series."""
    found: dict[tuple[object, ...], list[int]] = {}
    for i, column in enumerate(columns):
        if column.function != "calendar":
            found.setdefault((column.function, column.columns, column.arguments), []).append(i)
    return list(found.values())


def parts(count: int, values: int) -> list[tuple[int, int]]:
    """Returns the edges of parts, of about PART values each, of so many symbols, bars or rows."""
    edges = np.linspace(0, count, min(max(values // PART, 1), count) + 1).astype(int).tolist()
    return list(pairwise(edges))


def each(threads: int, tasks: Sequence[Callable[[], object]]) -> None:
    """Does all tasks; they are free of the interpreter's lock."""
    if threads == 1 or len(tasks) < 2:
        for task in tasks:
            task()
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda task: task(), tasks))


def fill(
    panel: Panel, columns: tuple[Column, ...], same: list[int], planes: Floats, symbols: tuple[int, int]
) -> None:
    """Fills the lags of one series of some symbols."""
    column = columns[same[0]]
    function, arguments = series_of(column)
    compiled.fill_lags(
        series_function(function, len(column.columns), arguments),
        tuple(panel.own[name] for name in column.columns),
        arguments,
        panel.own_row,
        panel.own_start,
        symbols,
        planes,
        np.array(same),
        np.array([columns[i].lag for i in same]),
    )
    if column.function == "log_ret":
        with np.errstate(divide="ignore", invalid="ignore"):
            for i in same:
                made = planes[i, slice(*symbols)]
                np.log(made, out=made)


def series_of(column: Column) -> tuple[Callable[..., Floats], tuple[float, ...]]:
    """Returns the compiled function of a feature, of one symbol's own bars, and its numbers."""
    own: dict[str, Callable[..., Floats]] = {
        "lag": compiled.itself,
        "ret": compiled.returns,
        "log_ret": compiled.ratio,
        "volatility": compiled.volatility,
    }
    if column.function in own:
        return own[column.function], tuple(int(x) for x in column.arguments)
    whole = integer_arguments(column.function)
    numbers = tuple(int(x) if is_whole else x for is_whole, x in zip(whole, column.arguments, strict=True))
    return getattr(indicators, column.function), numbers


def rank(plane: Floats, first: int, after: int) -> None:
    """Puts ranks among the symbols in place of the values of some bars."""
    size = max(RANKED // len(plane), 1)
    for start in range(first, after, size):
        values = np.ascontiguousarray(plane[:, start : min(start + size, after)].T)
        keys = compiled.sort_keys(values)
        keys.sort(axis=1)
        compiled.rank_dates(values, keys, plane, start)


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
