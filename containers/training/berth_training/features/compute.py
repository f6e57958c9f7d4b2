"""Features of a panel: each reads a symbol's own bars up to its date, never beyond."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
from berth_backtest.data.dates import EPOCH
from berth_backtest.data.panel import Panel
from berth_backtest.errors import invalid
from berth_backtest.strategies.series import Row, column_of
from numpy.typing import NDArray

from berth_training.spec.types import Column

Floats = NDArray[np.float64]

GROUP_BYTES = 64 << 20  # of features that are computed and checked at once


def feature_grid(panel: Panel, columns: tuple[Column, ...]) -> Floats:
    """Returns [symbol, bar, feature]; NaN where a feature is not defined yet or there is no bar."""
    check_columns(panel, columns)
    grid = np.full((len(panel.symbols), panel.bars, len(columns)), np.nan)
    for s in range(len(panel.symbols)):
        own = slice(panel.own_start[s], panel.own_start[s + 1])
        bars = {name: np.ascontiguousarray(values[own]) for name, values in panel.own.items()}
        rows = panel.own_row[own]
        inside = rows > 0  # row 0 and -1 are bars before `start`
        known: dict[tuple[object, ...], Floats] = {}
        for i, column in enumerate(columns):
            if column.function == "calendar" or len(bars["close"]) == 0:
                continue
            key = (column.function, column.columns, column.arguments)
            if key not in known:
                known[key] = series_of(column, bars)
            grid[s, rows[inside] - 1, i] = later(known[key], column.lag)[inside]
    for i, column in enumerate(columns):
        if column.function == "calendar":
            grid[:, :, i] = calendar(panel, column.columns[0])
        elif column.ranked:
            grid[:, :, i] = ranks(grid[:, :, i])
    return grid


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
        if column.function in ("ret", "log_ret"):
            ratio = x / later(x, int(column.arguments[0]))
            return ratio - 1.0 if column.function == "ret" else np.log(ratio)
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
    found = np.full(len(close), np.nan)
    returns = close[1:] / close[:-1] - 1.0
    if len(returns) >= window:
        views = np.lib.stride_tricks.sliding_window_view(returns, window)
        found[window:] = views.std(axis=1, ddof=1)
    return found


def ranks(values: Floats) -> Floats:
    """Returns (rank - 1/2) / n among the n symbols with a value that bar, from 0 to 1; ties share a rank."""
    from scipy.stats import rankdata

    there = ~np.isnan(values)
    found = np.full(values.shape, np.nan)
    order = rankdata(np.where(there, values, np.inf), axis=0)
    counts = np.broadcast_to(there.sum(axis=0), values.shape)
    found[there] = (order[there] - 0.5) / counts[there]
    return found


def calendar(panel: Panel, part: str) -> Floats:
    """Returns a part of each date, in UTC: Monday is weekday 0, weeks are ISO 8601's."""
    moments = [EPOCH + timedelta(microseconds=int(us)) for us in panel.dates]
    return np.array([part_of(moment, part) for moment in moments], dtype=np.float64)


def part_of(moment: datetime, part: str) -> int:
    assert moment.tzinfo is UTC
    if part == "weekday":
        return moment.weekday()
    if part == "week":
        return moment.isocalendar().week
    if part == "quarter":
        return (moment.month - 1) // 3 + 1
    found: int = getattr(moment, part)
    return found
