"""Permutation importance on tested rows: how much worse a model is when a feature is shuffled there.

Breiman, "Random forests" (2001); Fisher, Rudin, Dominici (2019).
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from berth_training.data.disk import column_of, parts_of
from berth_training.data.frame import Floats, Index
from berth_training.metrics import classification, errors
from berth_training.seeds import seed_of
from berth_training.spec.types import Spec

if TYPE_CHECKING:
    from berth_training.plan import Run

REPEATS = 3
WITHOUT_OWN = ("svm", "gradient_boosting")  # models that cannot tell importance themselves


def wants_permutation(spec: Spec) -> bool:
    without = spec.ensemble is not None or any(model.name in WITHOUT_OWN for model in spec.models)
    return spec.output.permutation or (spec.output.importance and without)


def loss_name(run: "Run") -> str:
    return "rmse" if run.frame.kind == "regression" else "log_loss"


def permuted_losses(run: "Run", fitted: Any, rows: Index, prediction: Floats, split: int) -> Floats:
    """Returns by feature the loss with it shuffled among the tested rows, less the loss as it is."""
    frame = run.frame
    known = frame.known[rows]
    rows, prediction = rows[known], prediction[known]
    base = loss_of(run, rows, prediction)
    found = np.zeros(len(frame.names))
    if not np.isfinite(base):
        return np.full(len(frame.names), np.nan)
    x = frame.x[rows]
    for i in range(len(frame.names)):
        values = column_of(x, i)
        for repeat in range(REPEATS):
            order = np.random.default_rng(seed_of(run.spec.seed, "permute", split, i, repeat))
            shuffled = predict_with(fitted, x, i, values[order.permutation(len(values))])
            found[i] += (loss_of(run, rows, shuffled) - base) / REPEATS
    return found


def predict_with(fitted: Any, x: Any, i: int, values: Floats) -> Floats:
    """Returns the predictions of rows that have other values of one feature."""
    found = np.empty(len(values))
    for place, part in parts_of(x):
        changed = part.copy()
        changed[:, i] = values[place]
        found[place] = fitted.predict(changed)
    return found


def loss_of(run: "Run", rows: Index, prediction: Floats) -> float:
    frame = run.frame
    name = loss_name(run)
    there = ~np.isnan(prediction)
    y, p = frame.y[rows][there], prediction[there]
    found = (errors if frame.kind == "regression" else classification)(y, p)[name]
    return float("nan") if found is None else found
