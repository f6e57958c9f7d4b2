"""Which symbols the gain is from."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel import layout
from berth_backtest.output.sheet.facts import side_of
from berth_backtest.output.sheet.table import amount, bar, share, table, td, th

Floats = NDArray[np.float64]

LISTED = 30  # symbols with a row of their own: those that moved the equity most


def symbol_table(symbols: tuple[str, ...], trades: Floats) -> str:
    """Returns what each symbol's trades came to, open ones marked at the last close; the rest as one row."""
    cell = trades[:, layout.T_CELL].astype(np.int64)
    pnl = np.bincount(cell, weights=trades[:, layout.T_PNL], minlength=len(symbols))
    order = np.lexsort((np.arange(len(symbols)), -np.abs(pnl)))
    shown, rest = order[:LISTED], order[LISTED:]
    groups = [(symbols[s], trades[cell == s], float(pnl[s])) for s in sorted(shown, key=lambda s: -pnl[s])]
    if len(rest):
        groups.append((f"{len(rest)} more", trades[np.isin(cell, rest)], float(pnl[rest].sum())))
    most = max((abs(gain) for _, _, gain in groups), default=0.0)
    total = float(pnl.sum())
    rows = [th(name) + cells_of(rows, gain, most, total) for name, rows, gain in groups]
    head = ("Symbol", "Gain", "Of the whole", "Long", "Short", "Closed trades", "Won", "Mean return")
    return table(head, rows, "Attribution by symbol", sortable=True)


def cells_of(trades: Floats, gain: float, most: float, total: float) -> str:
    side, units = side_of(trades), trades[:, layout.T_UNITS]
    part = gain / total if total != 0.0 else None
    found = bar(gain, most, amount(gain)) + td(share(part, 1), part)
    for chosen in (units > 0, units < 0):
        one = float(trades[chosen, layout.T_PNL].sum())
        found += td(amount(one), one)
    return (
        found
        + td(f"{side.trades:,}", side.trades)
        + td(share(side.win_rate, 1), side.win_rate)
        + td(share(side.mean_return), side.mean_return)
    )
