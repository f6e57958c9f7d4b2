"""The tear sheet's view of the sweep: a heat map of two parameters, a list of the best sets."""

import json
from html import escape

import numpy as np
from numpy.typing import NDArray

from berth_backtest.grid import spread
from berth_backtest.heat import heat_axes, heat_bins
from berth_backtest.output.page import section
from berth_backtest.output.sheet.curves import LABELS, rounded
from berth_backtest.output.sheet.plot import TALL, WIDE, below, line, plot, scale, span_of
from berth_backtest.output.sheet.table import DASH, table, td, th
from berth_backtest.plan import Plan
from berth_backtest.spec.types import Axis
from berth_backtest.sweep import Sweep

Floats = NDArray[np.float64]

LISTED = 20
SHADES = 12  # of the heat map: each is one path, or a map of 6,400 cells would be a megabyte


def parameter_part(plan: Plan, sweep: Sweep, order: NDArray[np.int64]) -> str:
    """Returns the heat map of two parameters or the curve of one, and the best sets; nothing for one set."""
    if len(order) < 2:
        return ""
    axes = heat_axes(plan.grid)
    body = heat_map(plan, sweep, *axes, int(order[0])) if axes else profile(plan, sweep, int(order[0]))
    return section(
        "Parameters",
        f'<div class="map-and-list">{body}{best_sets(plan, sweep, order)}</div>',
        name="parameters",
    )


def heat_map(plan: Plan, sweep: Sweep, down: Axis, across: Axis, best: int) -> str:
    """Returns the best objective of each pair of values, over all other parameters."""
    point = sweep.points[best : best + 1]
    at = [int(heat_bins(plan.grid.values(axis.name, point), axis)[0]) for axis in (down, across)]
    grid = sweep.heat
    known = np.isfinite(grid)
    if not known.any():
        return ""
    low, high = float(grid[known].min()), float(grid[known].max())
    objective = plan.spec.search.objective
    rows, columns = grid.shape
    values = [shown_values(axis, cells) for axis, cells in ((down, rows), (across, columns))]
    ys = texts_of(values[0], "top", most=9)
    xs = texts_of(values[1], "left", most=9)
    about = f"{objective} by {down.name} and {across.name}, from {low:.4g} to {high:.4g}"
    body = shades(grid, known, low, high) + outline(at, rows, columns)
    told = {
        "rows": values[0],
        "columns": values[1],
        "names": [down.name, across.name, objective],
        "cells": rounded(grid.ravel()),
    }
    data = escape(json.dumps(told, separators=(",", ":"), allow_nan=False))
    scale = f'{low:.4g} <i class="ramp" aria-hidden="true"></i> {high:.4g}'
    head = (
        f"<figcaption><strong>{escape(objective)}</strong><output>{scale}</output></figcaption>"
        f'<p class="note">{escape(down.name)} from top to bottom, {escape(across.name)} from left to right; '
        "the outlined set is shown above.</p>"
    )
    drawn = plot(
        body,
        f'<div class="ys" aria-hidden="true">{ys}</div>',
        f'<div class="xs" aria-hidden="true">{xs}</div>',
        about,
        "map",
    )
    return f'<figure class="surface" data-surface="{data}">{head}{drawn}</figure>'


def profile(plan: Plan, sweep: Sweep, best: int) -> str:
    """Returns the objective by the one parameter that varies, its values side by side in their order."""
    varied = [axis for axis in plan.grid.shown() if len(axis.values) > 1]
    if len(varied) != 1 or np.isnan(sweep.objective).all():
        return ""
    name, objective = varied[0].name, plan.spec.search.objective
    values = plan.grid.values(name, sweep.points)
    place = np.argsort(values, kind="stable")
    found = sweep.objective[place]
    span = span_of([found])
    grid, ys = scale(span, lambda x: f"{x:.4g}")
    at = int(np.flatnonzero(place == best)[0])
    x = WIDE * at / (len(found) - 1)
    y = float(span.y(found[at : at + 1])[0])
    # A line without length, its round ends a dot that is not stretched with the drawing.
    dot = "" if np.isnan(y) else f'<path class="dot" d="M{x:.1f} {y:.1f}h0"/>'
    steps = min(LABELS, len(found)) - 1
    labels = [f"{values[place[(len(found) - 1) * i // steps]]:.6g}" for i in range(steps + 1)]
    about = f"{objective} by {name}, the best at {values[best]:.6g}"
    head = f"<figcaption><strong>{escape(objective)}</strong><output>{escape(about)}</output></figcaption>"
    drawn = plot(grid + line(found, span, "series") + dot, ys, below(labels), about, "map")
    return f"<figure>{head}{drawn}</figure>"


def shades(grid: Floats, known: NDArray[np.bool_], low: float, high: float) -> str:
    """Returns the cells, those of one shade as one path."""
    rows, columns = grid.shape
    wide, tall = WIDE / columns, TALL / rows
    level = np.zeros(grid.shape, dtype=np.int64)
    level[known] = np.minimum((grid[known] - low) / ((high - low) or 1.0) * SHADES, SHADES - 1).astype(int)
    parts = []
    for shade in range(SHADES):
        cells = np.argwhere(known & (level == shade))
        if len(cells):
            path = "".join(
                f"M{c * wide:.1f} {r * tall:.1f}h{wide:.1f}v{tall:.1f}h-{wide:.1f}z" for r, c in cells
            )
            strength = 0.06 + 0.94 * shade / (SHADES - 1)
            parts.append(f'<path class="shade" fill-opacity="{strength:.2f}" d="{path}"/>')
    return "".join(parts)


def outline(at: list[int], rows: int, columns: int) -> str:
    wide, tall = WIDE / columns, TALL / rows
    size = f'width="{wide:.1f}" height="{tall:.1f}"'
    return (
        f'<rect class="best" x="{at[1] * wide:.1f}" y="{at[0] * tall:.1f}" {size}/>'
        '<rect class="cursor" width="0" height="0"/>'
    )


def shown_values(axis: Axis, cells: int) -> list[str]:
    """Returns the value that each cell begins with, in ascending order."""
    if axis.continuous:
        return [f"{x:.4g}" for x in spread(axis, np.arange(cells) / cells)]
    ordered = np.sort(axis.values)
    return [f"{ordered[-(-cell * len(ordered) // cells)]:g}" for cell in range(cells)]


def texts_of(values: list[str], side: str, most: int) -> str:
    """Returns texts at the middle of their cells, few enough to be read."""
    step = -(-len(values) // most)
    return "".join(
        f'<span style="{side}:{(i + 0.5) / len(values) * 100:.2f}%">{escape(values[i])}</span>'
        for i in range(0, len(values), step)
    )


def best_sets(plan: Plan, sweep: Sweep, order: NDArray[np.int64]) -> str:
    names = [axis.name for axis in plan.grid.shown()]
    objective_name = plan.spec.search.objective
    rows = []
    for rank, at in enumerate(order[:LISTED], 1):
        values = plan.grid.parameters(int(sweep.points[at]))
        objective = float(sweep.objective[at])
        cells = [td(f"{values[name]:g}", values[name]) for name in names]
        cells.append(td(DASH if np.isnan(objective) else f"{objective:.4f}", objective))
        rows.append(th(str(rank)) + "".join(cells))
    return table(("Rank", *names, objective_name), rows, "The best sets", sortable=True, told=True)
