"""Runs every parameter set in chunks; a chunk is what a stop waits for and a checkpoint keeps."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from berth_backtest import VERSION
from berth_backtest.checkpoint import Arrays, Checkpoint
from berth_backtest.errors import StoppedError, invalid
from berth_backtest.kernel import layout
from berth_backtest.kernel.run import CELLS
from berth_backtest.metrics import NAMES, metrics_of
from berth_backtest.plan import Plan
from berth_backtest.report import Progress, Stop, log
from berth_backtest.score import mean_of, objectives
from berth_backtest.simulate import Simulator

Floats = NDArray[np.float64]

CHUNK_UPDATES = 500_000_000  # bar-updates: one to a few seconds, well below any grace of a stop
CHUNK_ROWS = 400_000  # (set, symbol) pairs: 75 MB of raw sums
KEPT_ROWS = 1_000_000  # (set, symbol) pairs whose metrics are kept unasked
MOST_ROWS = 20_000_000  # and when asked for by output.metrics: 2.6 GB
COUNTS = {"ties": layout.TIES, "ruined": layout.RUINED, "delisted": layout.DELISTED}


@dataclass(frozen=True)
class Sweep:
    """Arrays are by the set's place in the grid's valid points."""

    objective: Floats
    means: Floats  # [set, metric]
    metrics: Floats | None  # [set, symbol, metric] if few enough
    counts: dict[str, int]
    finished: bool  # False: stopped, the arrays hold the sets of the finished chunks


def identity_of(plan: Plan) -> str:
    """Returns what a checkpoint must agree on: program, spec, data and chunks."""
    targets = hashlib.sha256(plan.targets.tobytes()).hexdigest()
    parts = [VERSION, plan.effective, plan.panel.sha256, targets, chunk_size(plan)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def chunk_size(plan: Plan) -> int:
    """Returns the sets of a chunk, a multiple of CELLS; it depends on spec and data alone."""
    symbols = len(plan.panel.symbols)
    sets = min(CHUNK_UPDATES // (plan.panel.bars * symbols), CHUNK_ROWS // symbols)
    return max(CELLS, sets // CELLS * CELLS)


def keeps_all(plan: Plan) -> bool:
    """Says whether every set's metrics by symbol are written, not only the best sets'."""
    rows = len(plan.grid.points) * len(plan.accounts)
    if plan.spec.output.metrics == "all" and rows > MOST_ROWS:
        raise invalid(
            "output.metrics", f"all would be {rows} rows; at most {MOST_ROWS} are written, use auto"
        )
    return rows <= KEPT_ROWS or plan.spec.output.metrics == "all"


def run_sweep(
    plan: Plan, simulator: Simulator, checkpoint: Checkpoint, progress: Progress, stop: Stop
) -> Sweep:
    """Returns the sets' results; after SIGTERM writes the checkpoint and returns those it has.

    Raises StoppedError when it was stopped before the first chunk was finished.
    """
    points, size, keep = plan.grid.points, chunk_size(plan), keeps_all(plan)
    parts = checkpoint.load()
    steps = -(-len(points) // size)
    if checkpoint.chunks:
        log(f"going on after {checkpoint.chunks} of {steps} chunks kept in the checkpoint")
    for step in range(checkpoint.chunks, steps):
        if stop.asked:
            break
        done = step * size
        progress.tell(0.1 + 0.8 * step / steps, "run", done, len(points))
        part = run_chunk(plan, simulator, points[done : done + size], keep)
        parts.append(part)
        checkpoint.add(part)
    finished = checkpoint.chunks == steps
    if stop.asked:
        checkpoint.save()
        log(f"asked to stop: {checkpoint.chunks} of {steps} chunks are done and kept")
    if not parts:
        raise StoppedError("stopped before the first chunk was done")
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    counts = {name: int(joined["counts"][:, i].sum()) for i, name in enumerate(COUNTS)}
    return Sweep(joined["objective"], joined["means"], joined.get("metrics"), counts, finished)


def run_chunk(plan: Plan, simulator: Simulator, points: NDArray[np.int64], keep: bool) -> Arrays:
    raw = simulator.run(points)
    metrics = metrics_from(plan, raw)
    counts = [raw[:, :, field].sum(axis=1) for field in COUNTS.values()]
    arrays = {
        "objective": objectives(metrics, plan.spec.search),
        "means": mean_of(metrics),
        "counts": np.stack(counts, axis=1),
    }
    if keep:
        arrays["metrics"] = metrics
    assert arrays["means"].shape[1] == len(NAMES)
    return arrays


def metrics_from(plan: Plan, raw: Floats) -> Floats:
    return metrics_of(raw, plan.panel.bars, plan.spec.execution.cash, plan.periods, plan.spec.risk_free)


def metrics_for(plan: Plan, simulator: Simulator, points: NDArray[np.int64]) -> Floats:
    """Returns [set, symbol, metric] of some sets, by running them again."""
    return metrics_from(plan, simulator.run(points))
