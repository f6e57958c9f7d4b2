"""What a run is made of: rows, dates, splits, and how far it is."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from berth_backtest.report import Progress

from berth_training.data.frame import Frame, Index, Mask
from berth_training.kept import Kept
from berth_training.models.fit import Job
from berth_training.models.learner import Learner
from berth_training.spec.search import OBJECTIVES
from berth_training.spec.types import Params, Spec
from berth_training.validation.splits import Split, hold_out, make_splits

SHARE = (0.1, 0.9)  # of the progress: from loading to writing


@dataclass
class Pace:
    """Counts fits, and tells of them."""

    progress: Progress
    fits: int
    done: int = 0
    metrics: dict[str, float] = field(default_factory=dict)

    def fitted(self, phase: str, count: int = 1) -> None:
        self.done += count
        share = min(self.done / max(self.fits, 1), 1.0)
        at = SHARE[0] + (SHARE[1] - SHARE[0]) * share
        self.progress.tell(at, phase, min(self.done, self.fits), self.fits, self.metrics)


@dataclass(frozen=True)
class Run:
    spec: Spec
    frame: Frame
    learner: Learner
    pace: Pace
    place: Index  # [row] place of its date among those with a target, -1 = none
    tail: Mask  # [row] dates after the last with a target: predicted, never trained
    rest: int  # dates that search and folds may see: places below it
    held: int  # the first place of the hold-out
    dates: int  # with a target
    splits: list[Split]
    objective: str

    @property
    def job(self) -> Job:
        return self.learner.job

    def rows_of(self, places: Mask) -> Index:
        """Returns the rows with a target whose date is chosen, in the order of dates."""
        chosen = (self.place >= 0) & places[self.place] & self.frame.known
        return np.flatnonzero(chosen)

    def tested_rows(self, places: Index) -> Index:
        """Returns the rows of tested dates, with or without a target; the last fold takes the tail."""
        chosen = (self.place >= 0) & np.isin(self.place, places)
        if len(places) and self.held == self.dates and int(places.max()) == self.dates - 1:
            chosen |= self.tail
        return np.flatnonzero(chosen)

    def fit(self, params: Params, rows: Index, kept: Kept) -> Any:
        frame = self.frame
        return self.learner.fit(params, frame.x[rows], frame.y[rows], frame.date[rows], kept)


def make_run(spec: Spec, frame: Frame, job: Job, progress: Progress) -> Run:
    """Returns the run; raises (exit 2) where the dates are too few for what the spec asks."""
    labelled = frame.labelled
    n = len(labelled)
    place_of_date = np.full(len(frame.dates), -1, dtype=np.int64)
    place_of_date[labelled] = np.arange(n)
    purge = max(spec.validation.purge or 0, frame.horizon)
    rest, held = hold_out(n, spec.validation.holdout, purge)
    one_test = spec.search is not None and not spec.search.nested
    splits = [] if one_test else make_splits(spec.validation, rest, frame.horizon, frame.look_back, spec.seed)
    objective = OBJECTIVES[frame.kind][0]
    if spec.search is not None and spec.search.objective is not None:
        objective = spec.search.objective
    return Run(
        spec=spec,
        frame=frame,
        learner=Learner(spec, job),
        pace=Pace(progress, fits_of(spec, len(splits))),
        place=place_of_date[frame.date],
        tail=frame.date > labelled[-1],
        rest=rest,
        held=held,
        dates=n,
        splits=splits,
        objective=objective,
    )


def fits_of(spec: Spec, splits: int) -> int:
    """Returns how many fits the run has at most: a pruned trial has fewer."""
    trials = 0
    if spec.search is not None:
        trials = spec.search.trials * spec.search.validation.folds
    return splits * (trials + 1) + trials + 1
