"""The course of a run: folds, search, the model of record."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from berth_backtest.report import log

from berth_training.data.frame import Floats, Index
from berth_training.kept import Kept
from berth_training.metrics import Metrics, shown
from berth_training.plan import Run
from berth_training.spec.types import Params
from berth_training.validation.cross import OutOfFold, cross_validate, score


@dataclass
class Training:
    """What is known so far: all of it at the end, the finished part when the run is stopped."""

    oof: OutOfFold = field(default_factory=OutOfFold)
    params: Params = field(default_factory=dict)
    selection: Metrics | None = None
    param_importance: dict[str, float] = field(default_factory=dict)
    final: Any = None
    final_rows: int = 0
    holdout_rows: Index | None = None
    holdout_prediction: Floats | None = None
    holdout: Metrics | None = None
    curve: list[dict[str, Any]] = field(default_factory=list)


def train(run: Run, found: Training, kept: Kept) -> None:
    """Fills `found`; raises StoppedError at a border when told to stop."""
    cross_validate(run, found.oof, kept.at("fold"))
    seen = np.zeros(run.dates, dtype=np.bool_)
    seen[: run.rest] = True
    if run.spec.search is not None:
        from berth_training.search.study import search

        outcome = search(run, seen, kept.at("search"), "final")
        found.params, found.selection = outcome.params, outcome.selection
        found.param_importance = outcome.importance
        found.oof.trials += [{"fold": None, **row} for row in outcome.rows]
        log(f"best of {len(outcome.rows)} trials: {outcome.params}")
    rows = run.rows_of(seen)
    found.final_rows = len(rows)
    found.final = run.fit(found.params, rows, kept.at("final"))
    run.pace.fitted("fit")
    if run.held < run.dates:
        places = np.arange(run.held, run.dates)
        chosen = (run.place >= run.held) | run.tail
        found.holdout_rows = np.flatnonzero(chosen)
        assert len(places)
        found.holdout_prediction = found.final.predict(run.frame.x[found.holdout_rows])
        found.holdout = score(run, found.holdout_rows, found.holdout_prediction)
    if run.spec.output.curves and run.splits:
        found.curve = learning_curve(run, found, kept.at("curve"))


CURVE = (0.1, 0.25, 0.5, 0.75, 1.0)  # shares of the last train's dates, the latest ones


def learning_curve(run: Run, found: Training, kept: Kept) -> list[dict[str, Any]]:
    """Returns the last split's score by how many of its latest dates train."""
    split = run.splits[-1]
    places = np.flatnonzero(split.train)
    test = run.tested_rows(np.concatenate([dates for _, _, dates in split.folds]))
    points: list[dict[str, Any]] = []
    params = found.oof.folds[-1]["params"]
    for share in CURVE:
        count = max(int(len(places) * share), 1)
        here = kept.at(share)
        unit = here.found()
        if unit is None:
            chosen = np.zeros(run.dates, dtype=np.bool_)
            chosen[places[len(places) - count :]] = True
            rows = run.rows_of(chosen)
            fitted = run.fit(params, rows, here)
            point = {
                "train_dates": count,
                "train_rows": len(rows),
                "train": shown(score(run, rows, fitted.predict(run.frame.x[rows]))),
                "test": shown(score(run, test, fitted.predict(run.frame.x[test]))),
            }
            here.keep(point)
        else:
            point = unit[0]
        points.append(point)
    return points
