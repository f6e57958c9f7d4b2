"""Charts of the tear sheet as inline SVG."""

from datetime import timedelta
from html import escape
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from berth_backtest.data.dates import EPOCH
from berth_backtest.output.tables import drawdowns
from berth_backtest.plan import Plan

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 960, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 10, 24
MAX_POINTS = 1_200  # of a line: each pixel's lowest and highest value, so that no dip is lost
BINS = 40
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
FADE = 0.1  # a month of +-10 % has the full colour


def equity_chart(plan: Plan, equity: Floats, cash: float) -> str:
    """Returns the equity, and the same cash in the benchmark under it."""
    values = np.concatenate([[cash], equity])
    if plan.benchmark is None:
        return svg(HEIGHT, frame(plan, values, "{:,.0f}") + line(values, "series"))
    other = np.concatenate([[cash], cash * np.cumprod(1.0 + plan.benchmark.returns)])
    both = np.concatenate([values, other])
    low, high = bounds(both, None, None)
    body = frame(plan, both, "{:,.0f}", low, high) + line(other, "other", low, high)
    return svg(HEIGHT, body + line(values, "series", low, high))


def drawdown_chart(plan: Plan, equity: Floats, cash: float) -> str:
    values = np.concatenate([[0.0], drawdowns(equity, cash)])
    low = min(float(values.min()), -1e-9)
    body = frame(plan, values, "{:.1%}", low, 0.0)
    return svg(HEIGHT, body + line(values, "under", low, 0.0, closed=True))


def svg(height: float, body: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img">{body}</svg>'


def bounds(values: Floats, low: float | None, high: float | None) -> tuple[float, float]:
    least = float(values.min()) if low is None else low
    most = float(values.max()) if high is None else high
    return (least, most) if most > least else (least - 0.5, most + 0.5)


def frame(plan: Plan, values: Floats, form: str, low: float | None = None, high: float | None = None) -> str:
    """Returns grid lines with their values, and years or dates below."""
    least, most = bounds(values, low, high)
    parts = []
    for i in range(5):
        y = TOP + (HEIGHT - TOP - BOTTOM) * i / 4
        value = most - (most - least) * i / 4
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{form.format(value)}</text>')
    for i in range(6):
        at = (len(plan.panel.dates) - 1) * i // 5
        x = LEFT + (WIDTH - LEFT - RIGHT) * i / 5
        anchor = "start" if i == 0 else "end" if i == 5 else "middle"
        day = (EPOCH + timedelta(microseconds=int(plan.panel.dates[at]))).date().isoformat()
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{day}</text>')
    return "".join(parts)


def line(
    values: Floats, kind: str, low: float | None = None, high: float | None = None, closed: bool = False
) -> str:
    """Returns a path through the values, thinned to the lowest and highest of each stretch."""
    least, most = bounds(values, low, high)
    kept = thin(values)
    x = LEFT + (WIDTH - LEFT - RIGHT) * kept / max(len(values) - 1, 1)
    y = TOP + (HEIGHT - TOP - BOTTOM) * (most - values[kept]) / (most - least)
    path = "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))
    end = f"L{x[-1]:.1f} {TOP}L{x[0]:.1f} {TOP}Z" if closed else ""
    return f'<path class="{kind}" d="M{path}{end}"/>'


def thin(values: Floats) -> NDArray[np.int64]:
    """Returns the places of the first, the last, and each stretch's lowest and highest value."""
    if len(values) <= MAX_POINTS:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), MAX_POINTS // 2 + 1).astype(np.int64)
    kept = {0, len(values) - 1}
    for first, last in pairwise(edges):
        part = values[first:last]
        kept |= {int(first + part.argmin()), int(first + part.argmax())}
    return np.array(sorted(kept), dtype=np.int64)


def monthly_heat_map(plan: Plan, equity: Floats, cash: float) -> str:
    """Returns each month's return, from the equity at the end of the month before."""
    days = [(EPOCH + timedelta(microseconds=int(us))).date() for us in plan.panel.dates]
    keys = np.array([day.year * 12 + day.month - 1 for day in days])
    last = np.flatnonzero(np.append(np.diff(keys) != 0, True))
    before, cells = cash, {}
    for i in last:
        cells[int(keys[i])] = float(equity[i] / before - 1.0) if before > 0 else 0.0
        before = float(equity[i])
    years = sorted({key // 12 for key in cells})
    parts = [
        f'<text x="{LEFT + (m + 0.5) * 72:.0f}" y="14" text-anchor="middle">{name}</text>'
        for m, name in enumerate(MONTHS)
    ]
    for row, year in enumerate(years):
        y = 22 + row * 22
        parts.append(f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{year}</text>')
        parts += [
            cell(LEFT + m * 72, y, 70, 20, cells[year * 12 + m]) for m in range(12) if year * 12 + m in cells
        ]
    return svg(30 + 22 * len(years), "".join(parts))


def cell(x: float, y: float, width: float, height: float, value: float) -> str:
    strength = min(abs(value) / FADE, 1.0)
    kind = "gain" if value >= 0 else "loss"
    return (
        f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" '
        f'fill-opacity="{strength:.2f}"/>'
        f'<text class="cell" x="{x + width / 2}" y="{y + 14}" text-anchor="middle">{value * 100:.1f}</text>'
    )


def histogram(returns: Floats) -> str:
    """Returns how often trades gained or lost how much."""
    if len(returns) == 0:
        return '<p class="note">No trade was closed.</p>'
    low, high = bounds(returns, None, None)
    counts, edges = np.histogram(returns, bins=BINS, range=(low, high))
    tall, floor = HEIGHT - TOP - BOTTOM, HEIGHT - BOTTOM
    step = (WIDTH - LEFT - RIGHT) / BINS
    parts = []
    for i, count in enumerate(counts):
        height = tall * count / counts.max()
        kind = "gain" if edges[i] + edges[i + 1] >= 0 else "loss"
        label = escape(f"{edges[i]:.2%} to {edges[i + 1]:.2%}: {count}")
        parts.append(
            f'<rect class="{kind}" x="{LEFT + i * step:.1f}" y="{floor - height:.1f}" '
            f'width="{step - 1:.1f}" height="{height:.1f}"><title>{label}</title></rect>'
        )
    for i in range(5):
        x = LEFT + (WIDTH - LEFT - RIGHT) * i / 4
        anchor = "start" if i == 0 else "end" if i == 4 else "middle"
        value = low + (high - low) * i / 4
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{value:.1%}</text>')
    parts.append(f'<text x="{LEFT - 6}" y="{TOP + 8}" text-anchor="end">{counts.max()}</text>')
    return svg(HEIGHT, "".join(parts))
