"""Runs the trains, fold by fold; what the last one found is the search that is shown."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from berth_backtest.checkpoint import Checkpoint, open_checkpoint, write_atomically
from berth_backtest.errors import StoppedError
from berth_backtest.plan import Plan
from berth_backtest.report import Progress, Stop, log
from berth_backtest.score import ranking
from berth_backtest.simulate import Simulator, make_simulator
from berth_backtest.sweep import Sweep, identity_of, run_sweep
from berth_backtest.walk.chain import Chain, run_chain
from berth_backtest.walk.folds import Fold, folds_of, plan_of

Floats = NDArray[np.float64]

CHOICES = "folds.json"


@dataclass(frozen=True)
class Choice:
    """What a fold's train chose; the means are over its accounts."""

    point: int
    objective: float
    means: Floats
    tried: int


@dataclass(frozen=True)
class Walk:
    """`plan`, `simulator` and `sweep` are those of the last train."""

    folds: tuple[Fold, ...]
    choices: tuple[Choice, ...]
    plan: Plan
    simulator: Simulator
    sweep: Sweep
    chain: Chain

    @property
    def updates(self) -> int:
        """Bar-updates of all trains."""
        symbols = len(self.plan.panel.symbols)
        spans = [fold.train[1] - fold.train[0] for fold in self.folds]
        return sum(bars * symbols * one.tried for bars, one in zip(spans, self.choices, strict=True))


class FoldProgress(Progress):
    """One train's part of the whole; only the last train's points are those that will be ranked."""

    def __init__(self, whole: Progress, number: int, of: int) -> None:
        super().__init__(None)
        self.whole, self.number, self.of = whole, number, of

    def tell(
        self,
        progress: float,
        phase: str,
        step: int = 0,
        steps: int = 0,
        metrics: dict[str, float] | None = None,
        points: list[dict[str, Any]] | None = None,
    ) -> None:
        share = (self.number + (progress - 0.1) / 0.8) / self.of
        shown = points if self.number == self.of - 1 else None
        self.whole.tell(0.1 + 0.8 * share, phase, step, steps, metrics, shown)


def run_walk(plan: Plan, threads: int, progress: Progress, stop: Stop) -> Walk:
    """Returns what every fold chose and what came of it. Raises StoppedError after SIGTERM."""
    assert plan.spec.validation is not None
    folds = folds_of(plan.spec.validation, plan.panel.bars)
    identity = identity_of(plan)
    choices = read_choices(identity, len(folds) - 1)
    if choices:
        log(f"going on after {len(choices)} folds kept in the checkpoint")
    for fold in folds[len(choices) :]:
        train = plan_of(plan, fold.train)
        simulator = make_simulator(train, threads)
        is_last = fold.number == len(folds) - 1
        part = FoldProgress(progress, fold.number, len(folds))
        checkpoint = fold_checkpoint(identity, fold.number)
        span = (0, plan.grid.total)
        sweep = run_sweep(train, simulator, span, checkpoint, part, stop, sampled=is_last)
        if not sweep.finished:
            raise StoppedError(f"stopped in the train of fold {fold.number + 1} of {len(folds)}")
        if sweep.tried == 0:
            raise plan.grid.no_valid(plan.spec.strategy.definition)
        choices = [*choices, choice_of(train, sweep)]
        if not is_last:
            keep_choices(identity, choices, checkpoint)
    points = [one.point for one in choices]
    chain = run_chain(plan, folds, points, threads)
    return Walk(folds, tuple(choices), train, simulator, sweep, chain)


def choice_of(plan: Plan, sweep: Sweep) -> Choice:
    at = int(ranking(sweep.objective, plan.spec.search.objective)[0])
    return Choice(int(sweep.points[at]), float(sweep.objective[at]), sweep.means[at], sweep.tried)


def fold_checkpoint(identity: str, number: int) -> Checkpoint:
    """Returns a checkpoint in a folder of the fold's own, which goes when the fold is done."""
    checkpoint = open_checkpoint(lambda: f"{identity} fold {number}")
    if checkpoint.folder is not None:
        checkpoint.folder /= f"fold-{number}"
    return checkpoint


def keep_choices(identity: str, choices: list[Choice], done: Checkpoint) -> None:
    if done.folder is None:
        return
    folder = done.folder.parent
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{**vars(one), "means": [float(x).hex() for x in one.means]} for one in choices]
    rows = [{**row, "objective": float(row["objective"]).hex()} for row in rows]
    text = json.dumps({"identity": identity, "choices": rows})
    write_atomically(folder / CHOICES, lambda path: path.write_text(text))
    shutil.rmtree(done.folder, ignore_errors=True)


def read_choices(identity: str, most: int) -> list[Choice]:
    """Returns the choices of folds that an earlier start of this very run has finished."""
    folder = open_checkpoint(lambda: identity).folder
    try:
        found = json.loads((Path(folder or "") / CHOICES).read_text()) if folder else {}
        if found.get("identity") != identity:
            return []
        return [
            Choice(
                int(row["point"]),
                float.fromhex(row["objective"]),
                np.array([float.fromhex(x) for x in row["means"]]),
                int(row["tried"]),
            )
            for row in found["choices"][:most]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # none, or a damaged one: start from the beginning
