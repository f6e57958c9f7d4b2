"""The best points as rows of JSON: points.json of a run, and what is told while it runs."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from berth_backtest.metrics import named, number
from berth_backtest.plan import Plan
from berth_backtest.score import rank_key

Row = dict[str, Any]

FILE_ROWS = 1_000
FILE_BYTES = 1_000_000  # below the 1 MiB that a report may carry
TOLD_ROWS = 100
TOLD_BYTES = 96_000  # of a line that a runner reads whole


def point_rows(plan: Plan, rows: dict[str, NDArray[Any]], most: int, most_bytes: int) -> list[Row]:
    """Returns the best points, best first, ties by point; fewer where they would be too long."""
    points, objective, means = rows["points"], rows["objective"], rows["means"]
    key = rank_key(objective, plan.spec.search.objective)
    found: list[Row] = []
    left = most_bytes
    for at in np.lexsort((points, key))[:most]:
        row = {
            "point": int(points[at]),
            "objective": number(objective[at]),
            "parameters": plan.grid.parameters(int(points[at])),
            "metrics": named(means[at]),
        }
        left -= len(json.dumps(row)) + 2
        if left < 0:
            break
        found.append(row)
    return found
