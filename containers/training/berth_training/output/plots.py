"""Charts of the report as inline SVG; the backtest's tear sheet has the same size and colours."""

from collections.abc import Sequence
from html import escape

import numpy as np
from berth_backtest.output.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, bounds, svg, thin

from berth_training.data.frame import Floats

TALL, WIDE = HEIGHT - TOP - BOTTOM, WIDTH - LEFT - RIGHT
ROW = 22.0  # height of a bar
LABEL = 230.0  # room for a bar's name


def grid(low: float, high: float, form: str) -> str:
    """Returns four horizontal lines with their values."""
    parts = []
    for i in range(5):
        y, value = TOP + TALL * i / 4, high - (high - low) * i / 4
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{form.format(value)}</text>')
    return "".join(parts)


def below(labels: Sequence[str]) -> str:
    """Returns texts under the chart, spread evenly."""
    last = max(len(labels) - 1, 1)
    parts = []
    for i, label in enumerate(labels):
        anchor = "start" if i == 0 else "end" if i == last else "middle"
        x = LEFT + WIDE * i / last
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{escape(label)}</text>')
    return "".join(parts)


def line_chart(values: Floats, labels: Sequence[str], form: str = "{:.3g}") -> str:
    """Returns one line; the page's script reads its values out under the pointer, by `labels`."""
    if len(values) < 2:
        return ""
    low, high = bounds(np.append(values, 0.0), None, None)
    kept = thin(values)
    x = LEFT + WIDE * kept / (len(values) - 1)
    y = TOP + TALL * (high - values[kept]) / (high - low)
    path = "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))
    told = "|".join(f"{labels[i]}: {form.format(values[i])}" for i in kept)
    ends = [labels[(len(values) - 1) * i // 5] for i in range(6)]
    body = grid(low, high, form) + below(ends) + f'<path class="series" d="M{path}"/>'
    return svg(HEIGHT, f'<g class="read" data-values="{escape(told)}">{body}</g>')


def xy_chart(series: dict[str, tuple[Floats, Floats]], labels: Sequence[str], diagonal: bool = False) -> str:
    """Returns lines through points, each with its values under the pointer; `labels` are of the x axis."""
    every_x = np.concatenate([x for x, _ in series.values()])
    every_y = np.concatenate([y for _, y in series.values()])
    if len(every_x) == 0:
        return ""
    left, right = bounds(every_x, None, None)
    low, high = bounds(np.append(every_y, every_x if diagonal else every_y), None, None)
    body = grid(low, high, "{:.3g}") + below(labels)
    if diagonal:
        ends = [place(x, x, left, right, low, high) for x in (left, right)]
        body += f'<path class="grid" d="M{ends[0]}L{ends[1]}"/>'
    for i, (name, (x, y)) in enumerate(series.items()):
        points = [place(a, b, left, right, low, high) for a, b in zip(x, y, strict=True)]
        kind = "series" if i == 0 else "other"
        body += f'<path class="{kind}" d="M{"L".join(points)}"/>'
        for point, a, b in zip(points, x, y, strict=True):
            cx, cy = point.split()
            told = escape(f"{name}: {a:.4g}, {b:.4g}")
            body += f'<circle class="{kind}" cx="{cx}" cy="{cy}" r="4"><title>{told}</title></circle>'
    return svg(HEIGHT, body)


def place(x: float, y: float, left: float, right: float, low: float, high: float) -> str:
    return f"{LEFT + WIDE * (x - left) / (right - left):.1f} {TOP + TALL * (high - y) / (high - low):.1f}"


def bars(names: Sequence[str], values: Sequence[float], form: str = "{:.4g}") -> str:
    """Returns horizontal bars from 0; negative ones in the colour of losses."""
    if len(names) == 0:
        return ""
    most = max(1e-12, *(abs(value) for value in values))
    room = WIDTH - LABEL - 90.0
    parts = []
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        y, width = 4 + i * ROW, room * abs(value) / most
        kind = "gain" if value >= 0 else "loss"
        shown = escape(name if len(name) <= 34 else name[:33] + "\N{HORIZONTAL ELLIPSIS}")
        parts.append(
            f'<text x="{LABEL - 8}" y="{y + 15:.1f}" text-anchor="end">{shown}</text>'
            f'<rect class="{kind}" x="{LABEL}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{ROW - 4}">'
            f"<title>{escape(name)}: {form.format(value)}</title></rect>"
            f'<text x="{LABEL + width + 6:.1f}" y="{y + 15:.1f}">{form.format(value)}</text>'
        )
    return svg(8 + ROW * len(names), "".join(parts))
