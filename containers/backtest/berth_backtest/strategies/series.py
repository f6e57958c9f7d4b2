"""Indicator tables of a set of points: each unique (function, arguments) once per symbol."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from berth_backtest import indicators
from berth_backtest.grid import Grid
from berth_backtest.kernel.jit import series_function
from berth_backtest.kernel.tables import sma_tables, symbol_tables, window_tables
from berth_backtest.strategies.definition import Series

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

COLUMNS = ("open", "high", "low", "close", "volume")
PREVIOUS = "previous_"  # before the name of a function whose values are those of the bar before


@dataclass(frozen=True)
class Row:
    """One table: a function, its columns and its numbers."""

    function: str
    columns: tuple[str, ...]
    arguments: tuple[float, ...]


def rows_of(series: tuple[Series, ...], grid: Grid, points: Index) -> tuple[list[Row], Index]:
    """Returns the unique rows of some points, and picks[point, series] into them."""
    rows: dict[Row, int] = {}
    picks = np.zeros((len(points), len(series)), dtype=np.int64)
    for k, one in enumerate(series):
        axes = [grid.axis(argument) for argument in one.arguments if isinstance(argument, str)]
        # Sets with the same values have the same number in the product of these axes alone.
        keys = np.zeros(len(points), dtype=np.int64)
        for axis in axes:
            codes, below = grid.codes(axis.name, points)
            keys = keys * below + codes
            if grid.continuous:  # as many values as sets: products of them would not fit
                keys = np.unique(keys, return_inverse=True)[1]
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        values = [
            grid.values(argument, points[first])
            if isinstance(argument, str)
            else np.full(len(first), argument)
            for argument in one.arguments
        ]
        found = [
            rows.setdefault(Row(one.function, one.columns, tuple(float(v[i]) for v in values)), len(rows))
            for i in range(len(first))
        ]
        picks[:, k] = np.array(found, dtype=np.int64)[inverse]
    return list(rows), picks


@dataclass(frozen=True)
class Alike:
    """Rows of one function of the same columns: their places, and their windows if that is all they take."""

    name: str
    columns: tuple[str, ...]
    places: list[int]
    windows: Index | None

    @property
    def function(self) -> str:
        return self.name.removeprefix(PREVIOUS)

    @property
    def is_mean(self) -> bool:
        """Averages of closes have tables of their own."""
        return self.windows is not None and self.name == "sma" and self.columns == ("close",)

    @property
    def is_together(self) -> bool:
        """Says whether its rows lie one after the other."""
        return self.places[-1] + 1 - self.places[0] == len(self.places)


def fill_means(
    group: Alike, closes: Floats, spans: Index, skips: Index, tables: Floats, places: Index
) -> None:
    """Fills the averages of many symbols at once, each one's from its place of `tables` on."""
    assert group.windows is not None  # those of averages are known
    sma_tables(closes, spans, skips, group.windows, tables, places)


def alike_of(rows: list[Row]) -> list[Alike]:
    """Returns the rows by function and columns."""
    found: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for i, row in enumerate(rows):
        found.setdefault((row.function, row.columns), []).append(i)
    return [
        Alike(name, columns, places, windows_of(rows, places) if in_windows(name, columns, places) else None)
        for (name, columns), places in found.items()
    ]


def in_windows(name: str, columns: tuple[str, ...], places: list[int]) -> bool:
    mean = name == "sma" and columns == ("close",)
    return mean or (len(places) > 1 and takes_window(name.removeprefix(PREVIOUS), columns))


def fill_rows(
    rows: list[Row],
    own: dict[str, Floats],
    skip: int,
    room: Floats | None = None,
    groups: list[Alike] | None = None,
) -> Floats:
    """Returns [row, own bar] of one symbol, the first `skip` bars left out; in `room` if it is given.

    Who fills the same rows of many symbols gives their `groups`.
    """
    bars = len(own["close"]) - skip
    out = np.empty((len(rows), bars)) if room is None else room
    for group in alike_of(rows) if groups is None else groups:
        places, given = group.places, [own[column] for column in group.columns]
        # Written where it stays, mostly: touching as much memory once more takes as long as the windows do.
        table = out[places[0] : places[-1] + 1] if group.is_together else np.empty((len(places), bars))
        if group.windows is None:
            table[:] = [column_of(rows[i], given)[skip:] for i in places]
        elif group.is_mean:
            span, place = np.array([[0, len(given[0])]]), np.zeros(1, dtype=np.int64)
            fill_means(group, given[0], span, np.array([skip]), table.reshape(-1), place)
        else:
            back = 0 if group.name == group.function else 1
            window_tables(of_window(group.function), given[0], skip, back, group.windows, table)
        if not group.is_together:
            out[places] = table
    return out


def fill_symbols(rows: list[Row], own: dict[str, Floats], starts: Index, skips: Index) -> Floats:
    """Returns [row, own bar] of all symbols, one after the other; own[column][starts[s]] is a first bar."""
    ends = np.cumsum(np.diff(starts) - skips)
    out = np.empty((len(rows), ends[-1]))
    for i, row in enumerate(rows):
        columns = [own[name] for name in row.columns]
        function = row.function.removeprefix(PREVIOUS)
        if takes_window(function, row.columns):
            back, window = 0 if row.function == function else 1, int(row.arguments[0])
            symbol_tables(of_window(function), columns[0], starts, skips, back, window, out[i])
            continue
        for s, skip in enumerate(skips):
            part = {name: own[name][starts[s] : starts[s + 1]] for name in ("close", *row.columns)}
            bars = len(part["close"]) - skip
            out[i, ends[s] - bars : ends[s]] = fill_rows([row], part, int(skip))[0]
    return out


def takes_window(function: str, columns: tuple[str, ...]) -> bool:
    """Says whether of_window knows it; averages of closes have tables of their own."""
    own = function == "close" or (function == "sma" and columns == ("close",))
    return not own and len(columns) == 1 and integer_arguments(function) == [True]


def windows_of(rows: list[Row], places: list[int]) -> Index:
    return np.array([int(rows[i].arguments[0]) for i in places])


@cache
def of_window(name: str) -> Any:
    """Returns an indicator of one series and a window as window_tables takes it."""
    return series_function(getattr(indicators, name), 1, (1,))


def column_of(row: Row, columns: list[Floats]) -> Floats:
    if row.function == "close":
        return columns[0]
    if row.function.startswith(PREVIOUS):
        function = getattr(indicators, row.function.removeprefix(PREVIOUS))
        found = function(columns[0], int(row.arguments[0]))
        return np.concatenate([[np.nan], found[:-1]])
    whole = integer_arguments(row.function)
    numbers = [int(x) if name else x for name, x in zip(whole, row.arguments, strict=True)]
    known: Floats = getattr(indicators, row.function)(*columns, *numbers)
    return known


@cache
def signature(name: str) -> list[tuple[str, bool]]:
    """Returns an indicator's arguments: their names, and whether each is a whole number."""
    function: Callable[..., Any] = getattr(indicators, name)
    plain = getattr(function, "py_func", function)
    return [(key, value.annotation is int) for key, value in inspect.signature(plain).parameters.items()]


def integer_arguments(name: str) -> list[bool]:
    return [whole for key, whole in signature(name) if key not in (*COLUMNS, "x")]
