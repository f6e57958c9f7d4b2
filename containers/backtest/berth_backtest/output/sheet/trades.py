"""Trades: how their returns are spread, long beside short, and why they ended."""

from html import escape

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel import layout
from berth_backtest.output.sheet.facts import Side, side_of
from berth_backtest.output.sheet.plot import TALL, WIDE, Span, below, percent, plot, scale
from berth_backtest.output.sheet.table import amount, bar, figure, share, table, td, th

Floats = NDArray[np.float64]

BINS = 40
LEAST_RANGE = 1e-9  # of returns
NARROW = 0.00025  # a bar of what is all the same
REASONS = [name.replace("_", " ") for name in layout.REASONS]


def histogram(returns: Floats) -> str:
    """Returns how often closed trades gained or lost how much."""
    if len(returns) == 0:
        return '<p class="note">No trade was closed.</p>'
    low, high = float(returns.min()), float(returns.max())
    if high - low <= LEAST_RANGE:
        # What differs by roundings alone is one bar, in its middle: so narrow a range cannot be divided.
        low, high = low - (BINS + 1) / 2 * NARROW, low + (BINS - 1) / 2 * NARROW
    counts, edges = np.histogram(returns, bins=BINS, range=(low, high))
    span = Span(0.0, float(counts.max()) * 1.04)
    grid, ys = scale(span, lambda x: f"{x:g}" if float(x).is_integer() else "")
    step = WIDE / BINS
    bars = []
    for i, count in enumerate(counts):
        top = float(span.y(np.array([float(count)]))[0])
        kind = "gain" if edges[i] + edges[i + 1] >= 0 else "loss"
        told = escape(f"{edges[i]:.2%} to {edges[i + 1]:.2%}: {count}")
        bars.append(
            f'<rect class="{kind}" x="{i * step + 1:.1f}" y="{top:.1f}" width="{step - 2:.1f}" '
            f'height="{TALL - top:.1f}"><title>{told}</title></rect>'
        )
    labels = [percent(low + (high - low) * i / 4) for i in range(5)]
    middle = share(float(np.median(returns)), 1)
    about = f"{len(returns):,} closed trades, half of them above {middle}"
    head = f"<figcaption><strong>Returns</strong><output>{about}</output></figcaption>"
    drawn = plot(grid + "".join(bars), ys, below(labels), about, "low")
    return f"<figure>{head}{drawn}</figure>"


def side_table(trades: Floats) -> str:
    """Returns long, short and all trades beside each other."""
    units = trades[:, layout.T_UNITS]
    sides = {"Long": side_of(trades[units > 0]), "Short": side_of(trades[units < 0]), "All": side_of(trades)}
    rows: list[tuple[str, list[str]]] = [
        ("Closed trades", [f"{one.trades:,}" for one in sides.values()]),
        ("Gain", [amount(one.pnl) for one in sides.values()]),
        *[
            (label, [share(getattr(one, name)) for one in sides.values()])
            for label, name in (
                ("Won", "win_rate"),
                ("Mean return", "mean_return"),
                ("Best", "best"),
                ("Worst", "worst"),
            )
        ],
        ("Gains to losses", [figure(one.profit_factor) for one in sides.values()]),
        ("Bars held, mean", [figure(one.bars, 1) for one in sides.values()]),
    ]
    body = [th(name) + "".join(td(text) for text in cells) for name, cells in rows]
    return table(("", *sides), body, "Long and short")


def reason_table(trades: Floats) -> str:
    """Returns why trades ended; nothing where all ended for the same reason."""
    reason = trades[:, layout.T_REASON].astype(np.int64)
    open_too = [(name, trades[reason == i]) for i, name in enumerate(REASONS)]
    found = [(name, side_of(rows)) for name, rows in [*open_too, ("open", trades[reason < 0])] if len(rows)]
    if len(found) < 2:
        return ""
    most = max(abs(side.pnl) for _, side in found)
    rows = [th(name) + reason_cells(side, most) for name, side in found]
    return table(("Ended by", "Gain", "Trades", "Won", "Mean return"), rows, "Why trades ended", told=True)


def reason_cells(side: Side, most: float) -> str:
    return (
        bar(side.pnl, most, amount(side.pnl))
        + td(f"{side.trades:,}")
        + td(share(side.win_rate, 1))
        + td(share(side.mean_return))
    )
