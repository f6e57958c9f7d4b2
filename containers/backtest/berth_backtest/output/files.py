"""Ranks what the sweep found and writes the files of OUT_DIR."""

import time
from pathlib import Path

import numpy as np

from berth_backtest.errors import Problem, ProgramError
from berth_backtest.honest.robustness import robustness_of
from berth_backtest.look_ahead import LookAhead, check_look_ahead
from berth_backtest.output.best import Best, write_best, write_run
from berth_backtest.output.result import Found, Trained, make_result, write_json
from berth_backtest.output.tables import write_metrics, write_points
from berth_backtest.plan import Plan
from berth_backtest.points import FILE_BYTES, FILE_ROWS, point_rows
from berth_backtest.record import record
from berth_backtest.score import ranking
from berth_backtest.simulate import Simulator
from berth_backtest.sweep import Sweep, metrics_for
from berth_backtest.walk.walk import Walk

# Every file of a run; those that a run does not write are removed, or an older run's would stay.
FILES = (
    "points.parquet",
    "metrics.parquet",
    "trades.parquet",
    "equity.parquet",
    "tearsheet.html",
    "blocks.parquet",
    "points.json",
    "shard.json",
    "result.json",
    "error.json",
)


def write_files(
    out: Path, plan: Plan, simulator: Simulator, sweep: Sweep, timing: dict[str, float], began: float
) -> dict[str, object]:
    """Writes all files, result.json last; returns its content. Raises where look-ahead is found."""
    started = time.monotonic()
    output = plan.spec.output
    clear(out)
    order = ranking(sweep.objective, plan.spec.search.objective)
    ranked = sweep.points[order[: max(output.top_k, 1)]]
    look_ahead = looked_ahead(plan, simulator, int(ranked[0]))
    if sweep.metrics is None:
        metrics, kept = metrics_for(plan, simulator, ranked), ranked
    else:
        metrics, kept = sweep.metrics, sweep.points

    made: list[dict[str, object]] = []

    def write_others(best: Best) -> None:
        write_points(out / "points.parquet", plan, sweep)
        write_metrics(out / "metrics.parquet", plan, metrics, kept)
        write_leaders(out, plan, sweep)
        robustness = None
        if output.robustness and sweep.finished:
            robustness = robustness_of(plan, simulator, int(ranked[0]), best.equity)
        found = Found(sweep, best, int(order[0]), look_ahead, robustness)
        made.append(make_result(plan, found, simulator.threads, timing))

    best = write_best(out, plan, simulator, ranked, min(output.top_k, len(order)), write_others)
    result = made[0]
    if output.tearsheet:
        from berth_backtest.output.tearsheet import write_tearsheet

        write_tearsheet(out / "tearsheet.html", plan, sweep, best, order, result)
    return end_result(out, result, timing, started, began)


def write_walk(
    out: Path, plan: Plan, simulator: Simulator, walk: Walk, timing: dict[str, float], began: float
) -> dict[str, object]:
    """Writes a validated search: its points are those of the last train, its curves the chained tests."""
    started = time.monotonic()
    output, sweep, chain = plan.spec.output, walk.sweep, walk.chain
    clear(out)
    order = ranking(sweep.objective, plan.spec.search.objective)
    point = int(sweep.points[order[0]])
    look_ahead = looked_ahead(plan, simulator, point)
    last = len(walk.folds) - 1
    write_points(out / "points.parquet", plan, sweep, (last, "train"))
    write_folds(out, plan, walk)
    write_leaders(out, plan, sweep)
    if output.top_k > 0:
        write_run(out, chain.plan, chain.run)
    # In the order of the accounts in memory: no digit may depend on how a recording lies there.
    trained = np.ascontiguousarray(record(walk.simulator, point).equity).sum(axis=1)
    robustness = robustness_of(walk.plan, walk.simulator, point, trained) if output.robustness else None
    found = Found(sweep, chain.best, int(order[0]), look_ahead, robustness, Trained(walk, trained))
    result = make_result(plan, found, walk.simulator.threads, timing)
    if output.tearsheet:
        from berth_backtest.output.tearsheet import write_tearsheet

        write_tearsheet(out / "tearsheet.html", chain.plan, sweep, chain.best, order, result)
    return end_result(out, result, timing, started, began)


def write_folds(out: Path, plan: Plan, walk: Walk) -> None:
    """Writes metrics.parquet: of each fold's choice its test, and all tests chained."""
    tests = [*walk.chain.folds, walk.chain.best.metrics]
    points = [*(one.point for one in walk.choices), walk.choices[-1].point]
    named = [*((fold.number, "test") for fold in walk.folds), (None, "oos")]
    write_metrics(out / "metrics.parquet", plan, np.stack(tests), np.array(points), named)


def looked_ahead(plan: Plan, simulator: Simulator, point: int) -> LookAhead:
    """Returns what the check found; raises for a difference."""
    if not plan.spec.output.look_ahead_check or plan.spec.strategy.from_file:
        return LookAhead(0, None, None)
    found = check_look_ahead(plan, simulator, point)
    if found.first_difference is not None:
        refuse_look_ahead(found.first_difference)
    return found


def end_result(
    out: Path, result: dict[str, object], timing: dict[str, float], started: float, began: float
) -> dict[str, object]:
    now = time.monotonic()
    whole = {**timing, "write_s": now - started, "total_s": now - began}
    result["timing"] = {name: round(seconds, 6) for name, seconds in whole.items()}
    write_json(out / "result.json", result)
    return result


def clear(out: Path) -> None:
    """Removes what an earlier run left, which is not this run's."""
    for path in out.iterdir():
        if path.name in FILES:
            path.unlink()


def write_leaders(out: Path, plan: Plan, sweep: Sweep) -> None:
    """Writes points.json: what a control plane shows of a sweep without reading its tables."""
    rows = {"points": sweep.points, "objective": sweep.objective, "means": sweep.means}
    write_json(out / "points.json", point_rows(plan, rows, FILE_ROWS, FILE_BYTES))


def refuse_look_ahead(found: dict[str, object]) -> None:
    text = (
        f"an order of {found['symbol']} on {found['date']} changes when the prices after {found['cut']} "
        f"are left out (parameters {found['parameters']}): the strategy uses what was not known yet"
    )
    raise ProgramError("look_ahead", text, [Problem("strategy", text)])
