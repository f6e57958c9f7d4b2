"""Ranks what the sweep found and writes the files of OUT_DIR."""

import time
from pathlib import Path

from berth_backtest.errors import Problem, ProgramError
from berth_backtest.honest.robustness import robustness_of
from berth_backtest.look_ahead import LookAhead, check_look_ahead
from berth_backtest.output.best import write_best
from berth_backtest.output.result import Found, make_result, write_json
from berth_backtest.output.tables import write_metrics, write_points
from berth_backtest.output.tearsheet import write_tearsheet
from berth_backtest.plan import Plan
from berth_backtest.points import FILE_BYTES, FILE_ROWS, point_rows
from berth_backtest.score import ranking
from berth_backtest.simulate import Simulator
from berth_backtest.sweep import Sweep, metrics_for

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
    look_ahead = LookAhead(0, None, None)
    if output.look_ahead_check and not plan.spec.strategy.from_file:
        look_ahead = check_look_ahead(plan, simulator, int(ranked[0]))
    if look_ahead.first_difference is not None:
        refuse_look_ahead(look_ahead.first_difference)
    write_points(out / "points.parquet", plan, sweep)
    if sweep.metrics is not None:
        write_metrics(out / "metrics.parquet", plan, sweep.metrics, sweep.points)
    else:
        kept = ranked[: max(output.top_k, 1)]
        write_metrics(out / "metrics.parquet", plan, metrics_for(plan, simulator, kept), kept)
    write_leaders(out, plan, sweep)
    best = write_best(out, plan, simulator, ranked, min(output.top_k, len(order)))
    robustness = None
    if output.robustness and sweep.finished:
        robustness = robustness_of(plan, simulator, int(ranked[0]), best.equity)
    found = Found(sweep, best, int(order[0]), look_ahead, robustness)
    result = make_result(plan, found, simulator.threads, timing)
    if output.tearsheet:
        write_tearsheet(out / "tearsheet.html", plan, sweep, best, order, result)
    now = time.monotonic()
    whole = {**timing, "write_s": now - started, "total_s": now - began}
    result["timing"] = {name: round(seconds, 6) for name, seconds in whole.items()}
    write_json(out / "result.json", result)
    return result


def clear(out: Path) -> None:
    """Removes what an earlier run left, which is not this run's."""
    for name in FILES:
        (out / name).unlink(missing_ok=True)


def write_leaders(out: Path, plan: Plan, sweep: Sweep) -> None:
    """Writes points.json: what a control plane shows of a sweep without reading its tables."""
    rows = {"points": sweep.points, "objective": sweep.objective, "means": sweep.means}
    write_json(out / "points.json", point_rows(plan, rows, FILE_ROWS, FILE_BYTES), indent=None)


def refuse_look_ahead(found: dict[str, object]) -> None:
    text = (
        f"an order of {found['symbol']} on {found['date']} changes when the prices after {found['cut']} "
        f"are left out (parameters {found['parameters']}): the strategy uses what was not known yet"
    )
    raise ProgramError("look_ahead", text, [Problem("strategy", text)])
