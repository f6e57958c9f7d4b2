"""Runs a span of the points in chunks; a chunk is what a stop waits for and a checkpoint keeps.

Nothing that is found depends on where chunks or shards begin and end, and memory is bounded for any
number of points.
"""

import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from berth_backtest import VERSION
from berth_backtest.checkpoint import Checkpoint
from berth_backtest.chunks import COUNTS, Chunks, metrics_from
from berth_backtest.device import CPU, Device, GpuFailedError
from berth_backtest.errors import StoppedError, invalid
from berth_backtest.heat import add_heat, join_heat, no_heat
from berth_backtest.honest.blocks import Blocks, run_blocks
from berth_backtest.honest.sample import Sample
from berth_backtest.kept import Arrays, Best, Every
from berth_backtest.kernel.run import CELLS
from berth_backtest.metrics import NAMES
from berth_backtest.plan import Plan
from berth_backtest.points import TOLD_BYTES, TOLD_ROWS, point_rows
from berth_backtest.report import Progress, Stop, log
from berth_backtest.simulate import Simulator

Floats = NDArray[np.float64]
Index = NDArray[np.int64]
State = dict[str, Any]  # of JSON

FORMAT = 4  # of checkpoints and of shards' files: an older one is another run's
CHUNK_S = 2.0  # what trades on every bar is slower: its chunks shrink to this, well below any grace
ALL_POINTS = 10_000_000  # a space up to it keeps every point: 1.4 GB
BEST_POINTS = 1_000_000  # a larger one keeps these
KEPT_ROWS = 1_000_000  # (set, symbol) pairs whose metrics are kept unasked
MOST_ROWS = 20_000_000  # and when asked for by output.metrics: 2.6 GB
CHECKED = "checked_"  # before the names of what a GPU found of a sample of the points
PARTIAL_EVERY_S = 3.0  # between two tellings of the best points so far


@dataclass(frozen=True)
class Sweep:
    """What is known of the points; arrays have a row a kept point, in the order of the points."""

    points: Index
    objective: Floats
    means: Floats  # [point, metric]
    metrics: Floats | None  # [point, account, metric] if few enough
    tried: int
    skipped: int  # invalid sets among those looked at
    counts: dict[str, int]
    heat: Floats
    reached: int  # the point to go on from
    finished: bool  # False: stopped before the end
    missing: tuple[tuple[int, int], ...] = ()  # spans of shards that failed
    blocks: Blocks | None = None  # of a sample of the points, once all are run
    sampled_s: float = 0.0  # what these took
    device: Device = CPU


@dataclass
class Tally:
    """A sweep on its way."""

    plan: Plan
    first: int
    reached: int
    kept: Every | Best
    heat: Floats
    sample: Sample
    tried: int = 0
    skipped: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))

    def add(self, part: Arrays, reached: int) -> None:
        """Adds a chunk, and that everything before `reached` has been looked at."""
        search = self.plan.spec.search
        tried = len(part["points"])
        self.kept.add({name: values for name, values in part.items() if name != "counts"})
        add_heat(self.heat, self.plan.grid, search.objective, part["points"], part["objective"])
        for i, name in enumerate(COUNTS):
            self.counts[name] += int(part["counts"][:, i].sum())
        self.sample.add(part["points"])
        self.tried += tried
        self.skipped += reached - self.reached - tried
        self.reached = reached

    def join(self, state: State, heat: Floats) -> None:
        """Adds the sums of another tally, but for its points."""
        self.tried += int(state["tried"])
        self.skipped += int(state["skipped"])
        for name in COUNTS:
            self.counts[name] += int(state["counts"][name])
        self.heat = join_heat(self.heat, heat, self.plan.spec.search.objective)

    def state(self) -> State:
        return {
            "reached": self.reached,
            "tried": self.tried,
            "skipped": self.skipped,
            "counts": self.counts,
        }

    def sweep(
        self,
        finished: bool,
        missing: tuple[tuple[int, int], ...] = (),
        blocks: Blocks | None = None,
        sampled_s: float = 0.0,
        device: Device = CPU,
    ) -> Sweep:
        rows = self.kept.arrays()
        return Sweep(
            rows["points"],
            rows["objective"],
            rows["means"],
            rows.get("metrics"),
            self.tried,
            self.skipped,
            self.counts,
            self.heat,
            self.reached,
            finished,
            missing,
            blocks,
            sampled_s,
            device,
        )


def new_tally(plan: Plan, first: int) -> Tally:
    """Returns a tally of no points."""
    name = plan.spec.search.objective
    kept = Every(plan.grid.total) if keeps_points(plan) else Best(BEST_POINTS, name)
    kept.add(no_rows(plan))
    return Tally(plan, first, first, kept, no_heat(plan.grid), Sample(plan.spec.search.seed))


def no_rows(plan: Plan) -> Arrays:
    rows: Arrays = {
        "points": np.empty(0, dtype=np.int64),
        "objective": np.empty(0),
        "means": np.empty((0, len(NAMES))),
    }
    if keeps_all(plan):
        rows["metrics"] = np.empty((0, len(plan.accounts), len(NAMES)))
    return rows


def identity_of(plan: Plan) -> str:
    """Returns what parts of one sweep must agree on: program, spec and data."""
    targets = hashlib.sha256(plan.targets.tobytes()).hexdigest()
    parts = [VERSION, FORMAT, plan.effective, plan.panel.sha256, targets]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Pace:
    """The size of the next chunk, by how long the last ones took."""

    def __init__(self, first: int, most: int) -> None:
        self.most = most
        self.size = min(most, first)

    def took(self, sets: int, seconds: float) -> None:
        wanted = int(sets * CHUNK_S / max(seconds, 1e-9)) // CELLS * CELLS
        self.size = max(CELLS, min(wanted, 2 * self.size, self.most))


def keeps_points(plan: Plan) -> bool:
    """Says whether every point is written, not only the best: by the whole space, so that shards agree."""
    return plan.grid.total <= ALL_POINTS


def keeps_all(plan: Plan) -> bool:
    """Says whether every set's metrics by symbol are written, not only the best sets'."""
    grid = plan.grid
    rows = (grid.total if grid.known is None else grid.known) * len(plan.accounts)
    if plan.spec.output.metrics == "all" and (rows > MOST_ROWS or not keeps_points(plan)):
        raise invalid(
            "output.metrics", f"all would be {rows} rows; at most {MOST_ROWS} are written, use auto"
        )
    return keeps_points(plan) and (rows <= KEPT_ROWS or plan.spec.output.metrics == "all")


def run_sweep(
    plan: Plan,
    simulator: Simulator,
    span: tuple[int, int],
    checkpoint: Checkpoint,
    progress: Progress,
    stop: Stop,
    sampled: bool = True,
) -> Sweep:
    """Returns the span's results; after SIGTERM writes the checkpoint and returns those it has.

    `sampled`: with the returns of a sample of the points, which a second pass over them gives.
    Raises StoppedError when it was stopped before the first chunk was finished.
    """
    simulator.stopped = lambda: stop.asked
    try:
        return run_span(plan, simulator, span, checkpoint, progress, stop, sampled)
    finally:
        simulator.stopped = bool  # what is there is written all the same


def run_span(
    plan: Plan,
    simulator: Simulator,
    span: tuple[int, int],
    checkpoint: Checkpoint,
    progress: Progress,
    stop: Stop,
    sampled: bool,
) -> Sweep:
    first, end = span
    tally, checked = resumed(plan, first, checkpoint)
    chunks = Chunks(plan, simulator, keeps_all(plan), checked)
    try:
        run_points(plan, chunks, span, tally, checkpoint, progress, stop)
    except GpuFailedError as error:
        chunks.fall_back(str(error), tally.reached)
        run_points(plan, chunks, span, tally, checkpoint, progress, stop)
    device = chunks.judged()
    is_judged = chunks.check is None or device.check is not None
    finished, blocks, began = tally.reached == end and is_judged, None, time.monotonic()
    if finished and sampled and plan.grid.total > 1:
        blocks = run_blocks(plan, simulator, tally.sample.points, progress, stop)
        finished = blocks is not None
    if stop.asked:
        save(checkpoint, tally, chunks)
        log(f"asked to stop: {tally.reached - first} of {end - first} sets are done and kept")
    if not finished and tally.tried == 0:
        raise StoppedError("stopped before the first chunk was done")
    return tally.sweep(finished, blocks=blocks, sampled_s=time.monotonic() - began, device=device)


def run_points(
    plan: Plan,
    chunks: Chunks,
    span: tuple[int, int],
    tally: Tally,
    checkpoint: Checkpoint,
    progress: Progress,
    stop: Stop,
) -> None:
    """Runs what a tally has not reached yet, until it is asked to stop."""
    first, end = span
    leaders = Best(TOLD_ROWS, plan.spec.search.objective)
    leaders.add(of_leaders(tally.kept.arrays()))
    told_at, pace = time.monotonic(), Pace(chunks.first, chunks.most)
    for points, reached in plan.grid.chunks(tally.reached, end, lambda: pace.size, lambda: stop.asked):
        if stop.asked:
            break
        best = None
        if time.monotonic() - told_at >= PARTIAL_EVERY_S:
            told_at, best = time.monotonic(), point_rows(plan, leaders.arrays(), TOLD_ROWS, TOLD_BYTES)
        done = tally.reached - first
        progress.tell(0.1 + 0.8 * done / (end - first), "run", done, end - first, points=best)
        began = time.monotonic()
        try:
            part = chunks.run(points)
        except StoppedError:
            break  # what a chunk has begun is done again
        if len(points) > 0:
            pace.took(len(points), time.monotonic() - began)
        if plan.grid.drawn is not None:
            plan.grid.drawn.tell(part["points"], part["objective"])
        tally.add(part, reached)
        leaders.add(of_leaders(part))
        if isinstance(tally.kept, Every):
            checkpoint.add({name: values for name, values in part.items() if name != "counts"})
        if checkpoint.is_due():
            save(checkpoint, tally, chunks)


def resumed(plan: Plan, first: int, checkpoint: Checkpoint) -> tuple[Tally, Arrays]:
    """Returns the tally that the checkpoint kept, else a new one, and a sample of what a GPU found."""
    tally, checked = new_tally(plan, first), Arrays()
    found = checkpoint.load()
    if found is not None:
        state, arrays, parts = found
        tally.join(state, arrays.pop("heat"))
        tally.sample.add(arrays.pop("sample"))
        tally.reached = int(state["reached"])
        kept = [name for name in arrays if name.startswith(CHECKED)]
        checked = {name.removeprefix(CHECKED): arrays.pop(name) for name in kept}
        if plan.grid.drawn is not None:
            table = arrays.pop("drawn")
            plan.grid.drawn.table[: len(table)] = table
        parts += [arrays] if arrays else []
        while parts:  # each is let go when it is copied
            part = parts.pop(0)
            tally.kept.add(part)
            if plan.grid.drawn is not None:
                plan.grid.drawn.tell(part["points"], part["objective"])
        log(f"going on after {tally.reached - first} sets kept in the checkpoint")
    return tally, checked


def save(checkpoint: Checkpoint, tally: Tally, chunks: Chunks) -> None:
    """Writes the checkpoint: rows that are all kept as they came, a selection anew each time."""
    rows = tally.kept.arrays() if isinstance(tally.kept, Best) else {}
    if tally.plan.grid.drawn is not None:
        rows = {**rows, "drawn": tally.plan.grid.drawn.table[: tally.reached]}
    if chunks.check is not None:
        rows = {**rows, **{CHECKED + name: values for name, values in chunks.check.rows.items()}}
    checkpoint.save(tally.state(), {"heat": tally.heat, "sample": tally.sample.points, **rows})


def of_leaders(part: Arrays) -> Arrays:
    return {name: part[name] for name in ("points", "objective", "means")}


def metrics_for(plan: Plan, simulator: Simulator, points: Index) -> Floats:
    """Returns [set, account, metric] of some sets, by running them again."""
    return metrics_from(plan, simulator.run(points))
