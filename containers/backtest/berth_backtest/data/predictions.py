"""A file of predictions, as training writes it, and the fractions that a rule makes of them."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as papq
from numpy.typing import NDArray

from berth_backtest.data.check import read_numbers, read_symbols
from berth_backtest.data.dates import instant, read_dates, shown_date
from berth_backtest.data.panel import Panel
from berth_backtest.data.read import PREDICTION_COLUMNS, Source, open_source, read_table
from berth_backtest.errors import Problem, ProgramError, invalid
from berth_backtest.spec.types import Predictions

Floats = NDArray[np.float64]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]
Warnings = list[tuple[str, str]]

LABEL = "strategy.predictions"
WINDOWS = b"berth_train_windows"  # of a Parquet file: the trains by split, first and last date each


def load_predictions(
    given: Predictions, panel: Panel, timezone: str | None, shared: bool
) -> tuple[Floats, Warnings]:
    """Returns wanted fractions by [bar, symbol], NaN = no order; raises (exit 4) for rows trained on."""
    source, _ = open_source(given.file.path, LABEL, given.file.sha256)
    try:
        table = read_table(source, PREDICTION_COLUMNS)
        dates, dated = read_dates(source, table.column("date"), timezone)
        names, codes = read_symbols(source, table)
        values = read_numbers(source, table, "prediction")
        ours = rows_of_path(source, table, given.path)
        warnings = check_windows(source, table, dates, dated, ours)
    except pa.ArrowException as error:
        raise source.wrong(None, None, f"cannot be read: {str(error)[:300]}") from None
    if dated != panel.dated:
        raise source.wrong(0, "date", "is a time in one file and a date in another")
    place = {name: s for s, name in enumerate(panel.symbols)}
    if len(panel.symbols) == 1 and "symbol" not in table.column_names:
        place = {names[0]: 0}
    symbol = np.array([place.get(name, -1) for name in names])[codes]
    kept = ours & (dates >= panel.dates[0]) & (dates <= panel.dates[-1]) & (symbol >= 0)
    if not kept.any():
        raise source.wrong(None, None, f"has no row of path {given.path} for the run's symbols and dates")
    bar = np.minimum(np.searchsorted(panel.dates, dates), panel.bars - 1)
    strange = kept & (panel.dates[bar] != dates)
    if strange.any():
        row = int(np.argmax(strange))
        raise source.wrong(row, "date", f"{shown_date(int(dates[row]), dated)} is no date of the prices")
    keys = bar[kept] * len(panel.symbols) + symbol[kept]
    if len(np.unique(keys)) < len(keys):
        order = np.argsort(keys, kind="stable")
        row = int(np.flatnonzero(kept)[int(order[1:][np.diff(keys[order]) == 0].min())])
        raise source.wrong(row, "date", f"{panel.symbols[symbol[row]]} has this date twice in a path")
    predicted = np.full((panel.bars, len(panel.symbols)), np.nan)
    predicted[bar[kept], symbol[kept]] = values[kept]
    return fractions(predicted, given, shared), warnings


def rows_of_path(source: Source, table: Any, path: int) -> Mask:
    if "path" not in table.column_names:
        if path:
            raise source.wrong(None, "path", f"is missing: the file has no path {path}")
        return np.ones(table.num_rows, dtype=np.bool_)
    return np.asarray(read_numbers(source, table, "path") == path)


def check_windows(source: Source, table: Any, dates: Index, dated: bool, ours: Mask) -> Warnings:
    """Refuses rows that lie in their own train; warns where a train lies after them, or is not known."""
    found = windows_of(source, table, dated)
    if found is None:
        text = "the predictions do not say what they were trained on: it cannot be checked"
        return [("predictions_unchecked", text)]
    starts, ends, rows = found
    inside = (dates[rows] >= starts) & (dates[rows] <= ends) & ours[rows]
    if inside.any():
        row = int(rows[inside].min())
        first = int(np.flatnonzero(inside & (rows == row))[0])
        text = (
            f"row {row + 1}: {shown_date(int(dates[row]), dated)} lies in its own train, "
            f"{shown_date(int(starts[first]), dated)} to {shown_date(int(ends[first]), dated)}"
        )
        count = len(np.unique(rows[inside]))
        more = f"; {count} rows in all were trained on"
        raise ProgramError("look_ahead", f"{LABEL}: {text}{more}", [Problem(LABEL, text + more)])
    if (ours[rows] & (starts > dates[rows])).any():
        text = "predictions come from models that were trained on later dates too: this is no history"
        return [("trained_on_later_dates", text)]
    return []


def windows_of(source: Source, table: Any, dated: bool) -> tuple[Index, Index, Index] | None:
    """Returns first and last date of the trains and the row that each belongs to, None if nothing says it."""
    columns = table.column_names
    if "train_start" in columns and "train_end" in columns:
        starts, _ = read_dates(source, table.column("train_start"), None, "train_start")
        ends, _ = read_dates(source, table.column("train_end"), None, "train_end")
        return starts, ends, np.arange(table.num_rows)
    metadata = None if source.is_csv else papq.read_schema(source.path).metadata
    if not metadata or WINDOWS not in metadata or "split" not in columns:
        return None
    split = read_numbers(source, table, "split")
    parts: list[tuple[Index, Index, Index]] = []
    try:
        for number, spans in json.loads(metadata[WINDOWS]).items():
            rows = np.flatnonzero(split == int(number))
            for first, last in spans:
                ends = np.array([instant(first, end=False), instant(last, end=not dated)])
                parts.append((np.full(len(rows), ends[0]), np.full(len(rows), ends[1]), rows))
    except (ValueError, TypeError, AttributeError) as error:
        raise source.wrong(None, None, f"its train windows cannot be read: {str(error)[:200]}") from None
    missing = set(np.unique(split).tolist()) - {int(n) for n in json.loads(metadata[WINDOWS])}
    if missing:
        raise source.wrong(None, "split", f"{min(missing):g} has no train window in the file's metadata")
    starts, ends, rows = (np.concatenate(each) for each in zip(*parts, strict=True))
    return starts, ends, rows


def fractions(predicted: Floats, given: Predictions, shared: bool) -> Floats:
    """Returns what the rule wants on each `every`-th date from the first with a prediction; else no order.

    What has no prediction on such a date is not wanted: 0.
    """
    found = np.full(predicted.shape, np.nan)
    first = int(np.flatnonzero(~np.isnan(predicted).all(axis=1))[0])
    for bar in range(first, len(predicted), given.every):
        row = predicted[bar]
        there = ~np.isnan(row)
        if there.any():
            found[bar] = weights(row, there, given) / (
                int(there.sum()) if shared and given.rule != "top_k" else 1
            )
    return found


def weights(row: Floats, there: Mask, given: Predictions) -> Floats:
    wanted = np.zeros(len(row))
    if given.rule == "top_k":
        # Ties go to the symbol that comes first.
        best = np.argsort(np.where(there, -row, np.inf), kind="stable")[: int(given.x)]
        wanted[best[there[best]]] = 1.0 / given.x
    elif given.rule == "sign":
        wanted[there] = np.sign(row[there])
    else:
        wanted[there] = (row[there] > given.x).astype(np.float64)
    return wanted


def check_rule(given: Predictions, symbols: int) -> None:
    if given.rule == "top_k" and given.x > symbols:
        raise invalid("strategy.rule.top_k", f"must be at most the run's {symbols} symbols, not {given.x:g}")
