"""The tear sheet's view of the sweep: a heat map of two parameters, a list of the best sets."""

from html import escape

import numpy as np
from numpy.typing import NDArray

from berth_backtest.grid import spread
from berth_backtest.heat import heat_axes, heat_bins
from berth_backtest.output.charts import LEFT, RIGHT, WIDTH, svg
from berth_backtest.plan import Plan
from berth_backtest.spec.types import Axis
from berth_backtest.sweep import Sweep

LISTED = 20


def parameter_part(plan: Plan, sweep: Sweep, order: NDArray[np.int64]) -> str:
    """Returns the heat map if two or more parameters vary, and the best sets; nothing for one set."""
    if len(order) < 2:
        return ""
    axes = heat_axes(plan.grid)
    body = heat_map(plan, sweep, *axes, int(order[0])) if axes else ""
    return f"<section><h2>Parameters</h2>{body}{best_sets(plan, sweep, order)}</section>"


def heat_map(plan: Plan, sweep: Sweep, down: Axis, across: Axis, best: int) -> str:
    """Returns the best objective of each pair of values, over all other parameters."""
    point = sweep.points[best : best + 1]
    row, column = (int(heat_bins(plan.grid.values(axis.name, point), axis)[0]) for axis in (down, across))
    grid = sweep.heat
    rows, columns = grid.shape
    known = np.isfinite(grid)
    if not known.any():
        return ""
    low, high = float(grid[known].min()), float(grid[known].max())
    width = (WIDTH - LEFT - RIGHT) / columns
    height = min(22.0, max(6.0, 420 / rows))
    parts = []
    for r, c in np.argwhere(known):
        strength = 0.08 + 0.92 * (grid[r, c] - low) / (high - low if high > low else 1.0)
        mark = " best" if (r, c) == (row, column) else ""
        parts.append(
            f'<rect class="gain{mark}" x="{LEFT + c * width:.1f}" y="{4 + r * height:.1f}" '
            f'width="{width - 1:.1f}" height="{height - 1:.1f}" fill-opacity="{strength:.2f}">'
            f"<title>{value_at(down, r, rows)}, {value_at(across, c, columns)}: {grid[r, c]:.4g}</title>"
            "</rect>"
        )
    bottom = 4 + rows * height
    parts += axis_labels(down, across, height, bottom)
    name = escape(plan.spec.search.objective)
    scale = f"{name} from {low:.4g} (pale) to {high:.4g} (strong); the outlined set is shown above."
    note = f'<p class="note">{scale}</p>'
    return note + svg(bottom + 40, "".join(parts))


def value_at(axis: Axis, cell: int, cells: int) -> str:
    if axis.continuous:
        return f"{escape(axis.name)} {spread(axis, np.array([cell / cells]))[0]:.4g}"
    first = -(-cell * len(axis.values) // cells)
    return f"{escape(axis.name)} {np.sort(axis.values)[first]:g}"


def axis_labels(down: Axis, across: Axis, height: float, bottom: float) -> list[str]:
    first, last = np.sort(down.values)[[0, -1]]
    left, right = np.sort(across.values)[[0, -1]]
    return [
        f'<text x="{LEFT - 6}" y="{4 + height / 2 + 4:.1f}" text-anchor="end">{first:g}</text>',
        f'<text x="{LEFT - 6}" y="{bottom - height / 2 + 4:.1f}" text-anchor="end">{last:g}</text>',
        f'<text x="4" y="{bottom / 2 + 4:.1f}">{escape(down.name)}</text>',
        f'<text x="{LEFT}" y="{bottom + 14:.1f}">{left:g}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{bottom + 14:.1f}" text-anchor="end">{right:g}</text>',
        f'<text x="{(WIDTH + LEFT - RIGHT) / 2:.0f}" y="{bottom + 30:.1f}" text-anchor="middle">'
        f"{escape(across.name)}</text>",
    ]


def best_sets(plan: Plan, sweep: Sweep, order: NDArray[np.int64]) -> str:
    names = [axis.name for axis in plan.grid.shown()]
    head = "".join(f"<th>{escape(name)}</th>" for name in ("rank", *names, plan.spec.search.objective))
    rows = []
    for rank, at in enumerate(order[:LISTED], 1):
        values = plan.grid.parameters(int(sweep.points[at]))
        objective = sweep.objective[at]
        cells = [f"{rank}", *[f"{values[name]:g}" for name in names]]
        cells.append("\N{EN DASH}" if np.isnan(objective) else f"{objective:.4f}")
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>{"".join(rows)}</table></div>'
