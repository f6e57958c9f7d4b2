"""The files of a shard: what it found, for the merge that writes the job's own files."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from berth_backtest.device import to_json
from berth_backtest.metrics import named, number
from berth_backtest.output.files import clear, write_leaders
from berth_backtest.output.result import engine_of, shown_data, write_json
from berth_backtest.output.tables import write_blocks, write_metrics, write_points
from berth_backtest.plan import Plan
from berth_backtest.score import ranking
from berth_backtest.shard import BLOCKS_FILE, SHARD_FILE, Shard
from berth_backtest.sweep import Sweep, identity_of


def write_shard(
    out: Path, plan: Plan, shard: Shard, sweep: Sweep, threads: int, timing: dict[str, float], began: float
) -> dict[str, Any]:
    """Writes points, metrics where all are kept, and shard.json; result.json last. Returns its content."""
    started = time.monotonic()
    clear(out)
    write_points(out / "points.parquet", plan, sweep)
    if sweep.metrics is not None:
        write_metrics(out / "metrics.parquet", plan, sweep.metrics, sweep.points)
    if sweep.blocks is not None:
        write_blocks(out / BLOCKS_FILE, sweep.blocks)
    write_leaders(out, plan, sweep)
    state = {
        "identity": identity_of(plan),
        "index": shard.index,
        "of": shard.of,
        "reached": sweep.reached,
        "finished": sweep.finished,
        "tried": sweep.tried,
        "skipped": sweep.skipped,
        "rows": len(sweep.points),
        "counts": sweep.counts,
        "sampled": None if sweep.blocks is None else len(sweep.blocks.points),
        "heat": [None if np.isnan(x) else float(x) for x in sweep.heat.reshape(-1)],
        "run_s": timing["run_s"],
        "device": to_json(sweep.device),
    }
    write_json(out / SHARD_FILE, state)
    now = time.monotonic()
    whole = {**timing, "write_s": now - started, "total_s": now - began}
    updates = plan.panel.bars * len(plan.panel.symbols) * sweep.tried
    result = {
        "engine": engine_of(plan, threads, sweep.device),
        "effective_spec": plan.effective,
        "seed": plan.spec.search.seed,
        "data": shown_data(plan),
        "shard": {"index": shard.index, "of": shard.of, "span": list(shard.span(plan.grid.total))},
        "best": best_so_far(plan, sweep),
        "points": sweep.tried,
        "skipped": sweep.skipped,
        "bar_updates": updates,
        "timing": {name: round(seconds, 6) for name, seconds in whole.items()},
        "bar_updates_per_s": updates / timing["run_s"] if timing["run_s"] > 0 else None,
        "ties": sweep.counts["ties"],
        "warnings": [],
    }
    write_json(out / "result.json", result)
    return result


def best_so_far(plan: Plan, sweep: Sweep) -> dict[str, Any] | None:
    """Returns the best point of the span, None where it has no valid one."""
    if len(sweep.points) == 0:
        return None
    at = int(ranking(sweep.objective, plan.spec.search.objective)[0])
    return {
        "point": int(sweep.points[at]),
        "parameters": plan.grid.parameters(int(sweep.points[at])),
        "objective": number(sweep.objective[at]),
        "metrics": named(sweep.means[at]),
    }
