"""A file of signals: the fraction of equity wanted in a symbol, decided at a date's close."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from berth_backtest.data.check import read_numbers, read_symbols
from berth_backtest.data.dates import read_dates, shown_date
from berth_backtest.data.panel import Panel
from berth_backtest.data.read import SIGNAL_COLUMNS, open_source, read_table
from berth_backtest.spec.types import DataFile

LABEL = "strategy.signals"


def load_signals(file: DataFile, panel: Panel, timezone: str | None) -> NDArray[np.float64]:
    """Returns wanted fractions by [bar, symbol]; NaN where the file has no row: no order."""
    source, _ = open_source(file.path, LABEL, file.sha256)
    try:
        table = read_table(source, SIGNAL_COLUMNS)
        dates, dated = read_dates(source, table.column("date"), timezone)
        names, codes = read_symbols(source, table)
        values = read_numbers(source, table, "target")
    except pa.ArrowException as error:
        raise source.wrong(None, None, f"cannot be read: {str(error)[:300]}") from None
    if dated != panel.dated:
        raise source.wrong(0, "date", "is a time in one file and a date in another")
    wide = np.abs(values) > 1
    if wide.any():
        row = int(np.argmax(wide))
        raise source.wrong(row, "target", f"{values[row]:g} must be from -1 to 1, a fraction of equity")
    place = {name: s for s, name in enumerate(panel.symbols)}
    if len(panel.symbols) == 1 and "symbol" not in table.column_names:
        place = {names[0]: 0}
    symbol = np.array([place.get(name, -1) for name in names])[codes]
    kept = (dates >= panel.dates[0]) & (dates <= panel.dates[-1]) & (symbol >= 0)
    if not kept.any():
        raise source.wrong(None, None, "has no row for the run's symbols and dates")
    bar = np.minimum(np.searchsorted(panel.dates, dates), panel.bars - 1)
    strange = kept & (panel.dates[bar] != dates)
    if strange.any():
        row = int(np.argmax(strange))
        shown = shown_date(int(dates[row]), dated)
        raise source.wrong(row, "date", f"{shown} is no date of the prices")
    keys = bar[kept] * len(panel.symbols) + symbol[kept]
    if len(np.unique(keys)) < len(keys):
        order = np.argsort(keys, kind="stable")
        again = int(order[1:][np.diff(keys[order]) == 0].min())
        row = int(np.flatnonzero(kept)[again])
        raise source.wrong(row, "date", f"{panel.symbols[symbol[row]]} has this date twice")
    targets = np.full((panel.bars, len(panel.symbols)), np.nan)
    targets[bar[kept], symbol[kept]] = values[kept]
    return targets
