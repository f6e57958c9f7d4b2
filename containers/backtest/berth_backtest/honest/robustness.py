"""What becomes of the best point where luck, costs or its parameters are a little otherwise."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from berth_backtest.honest.blocks import returns_of
from berth_backtest.honest.bootstrap import bootstrap_of
from berth_backtest.metrics import MINIMISED, named, number
from berth_backtest.plan import Plan
from berth_backtest.score import mean_of, objectives
from berth_backtest.simulate import Simulator, make_simulator
from berth_backtest.sweep import metrics_for

Floats = NDArray[np.float64]
Json = dict[str, Any]

FACTORS = (0.0, 1.0, 2.0)  # of all costs
SPIKE = 0.5  # a share of the best objective: neighbours below it say that the best stands alone


def robustness_of(plan: Plan, simulator: Simulator, point: int, equity: Floats) -> Json:
    """Returns the figures of the best point; `equity` is its own, summed over its accounts."""
    cash = plan.spec.execution.cash * len(plan.accounts)
    free, seed = plan.spec.risk_free / plan.periods, plan.spec.search.seed
    return {
        "bootstrap": bootstrap_of(returns_of(equity, cash), free, plan.periods, seed),
        "costs": [costs_of(plan, simulator, point, factor) for factor in FACTORS],
        "neighbours": neighbours_of(plan, simulator, point),
    }


def costs_of(plan: Plan, simulator: Simulator, point: int, factor: float) -> Json:
    """Returns the point's figures where every cost is so many times as high."""
    dearer = plan if factor == 1.0 else replace(plan, costs=factor)
    own = simulator if factor == 1.0 else make_simulator(dearer, simulator.threads)
    metrics = metrics_for(dearer, own, np.array([point]))
    return {
        "factor": factor,
        "objective": number(objectives(metrics, plan.spec.search)[0]),
        "metrics": named(mean_of(metrics)[0]),
    }


def neighbours_of(plan: Plan, simulator: Simulator, point: int) -> Json | None:
    """Returns the points one step away in each parameter; None where no parameter has a step."""
    steps = plan.grid.neighbours(point)
    if not steps:
        return None
    points = np.array([point, *[other for _, other in steps]], dtype=np.int64)
    found = objectives(metrics_for(plan, simulator, points), plan.spec.search)
    rows = [
        {
            "parameter": name,
            "point": other,
            "value": plan.grid.parameters(other)[name],
            "objective": number(value),
        }
        for (name, other), value in zip(steps, found[1:], strict=True)
    ]
    known = found[1:][~np.isnan(found[1:])]
    return {
        "median": float(np.median(known)) if len(known) else None,
        "kept": kept_share(float(found[0]), known, plan.spec.search.objective),
        "points": rows,
    }


def kept_share(best: float, known: Floats, objective: str) -> float | None:
    """Returns the share of the best objective that the median neighbour has, where shares mean anything."""
    if objective in MINIMISED or not best > 0.0 or len(known) == 0:
        return None
    return float(np.median(known)) / best


def robustness_warnings(found: Json | None) -> list[tuple[str, str]]:
    """Returns what a reader must know of the best point."""
    if found is None:
        return []
    warnings = []
    neighbours, bootstrap = found["neighbours"], found["bootstrap"]
    kept = None if neighbours is None else neighbours["kept"]
    if kept is not None and kept < SPIKE:
        text = (
            f"the median of the sets one step away has {kept:.0%} of the best objective: a spike, no plateau"
        )
        warnings.append(("lonely_best", text))
    low = None if bootstrap is None else bootstrap["sharpe"]["low"]
    if low is not None and low <= 0.0 < bootstrap["sharpe"]["value"]:
        text = f"the Sharpe ratio's 95 % interval begins at {low:.2f}: it may as well be 0"
        warnings.append(("sharpe_not_sure", text))
    plain, dear = found["costs"][1]["metrics"], found["costs"][-1]["metrics"]
    if (plain["total_return"] or 0.0) > 0.0 >= (dear["total_return"] or 0.0):
        warnings.append(("costs_decide", "at twice the costs the best set loses money"))
    return warnings
