"""Several models as one: voting, stacking, Bayesian average."""

import math
from dataclasses import dataclass

import numpy as np
from berth_backtest.errors import invalid

from berth_training.data.frame import Floats, Index
from berth_training.kept import Kept
from berth_training.metrics import classification
from berth_training.models.fit import Fitted, Job, fit_model
from berth_training.spec.types import Ensemble, Kind, Validation
from berth_training.validation.splits import make_splits

INNER_FOLDS = 3  # of the time-ordered out-of-fold predictions that weights and stacks learn from
RIDGE = 1.0  # the stack's penalty, scikit-learn's usual one


@dataclass(frozen=True)
class Combined:
    """Fitted members, and either their weights or the stack on top of them."""

    method: str
    kind: Kind
    members: tuple[Fitted, ...]
    weights: tuple[float, ...]
    intercept: float  # of a stack; 0 for weights
    scores: tuple[float | None, ...]  # log-likelihood a row, of bayesian_average

    @property
    def dropped(self) -> int:
        return max(member.dropped for member in self.members)

    @property
    def converged(self) -> bool:
        return all(member.converged for member in self.members)

    @property
    def device(self) -> str:
        """Where most of the work was done: a GPU if any member used one."""
        return max((member.device for member in self.members), key=lambda name: name.startswith("cuda"))

    def predict(self, x: Floats) -> Floats:
        """Returns predictions, or probabilities of class 1; NaN where a member refuses the row."""
        parts = np.column_stack([member.predict(x) for member in self.members])
        found: Floats = parts @ np.array(self.weights) + self.intercept
        if self.method == "stacking" and self.kind == "classification":
            return np.asarray(1.0 / (1.0 + np.exp(-found)))
        return found


def fit_ensemble(job: Job, ensemble: Ensemble, x: Floats, y: Floats, date: Index, kept: Kept) -> Combined:
    """Fits the members to all rows of a train; weights and stack learn from predictions inside it."""
    weights = [1.0 / len(ensemble.members)] * len(ensemble.members)
    intercept, scores = 0.0, [None] * len(ensemble.members)
    if ensemble.method != "voting":
        parts, rows = inner_predictions(job, ensemble, x, y, date, kept)
        if ensemble.method == "stacking":
            weights, intercept = stack(job.kind, parts, y[rows])
        else:
            likelihoods = [log_likelihood(job.kind, y[rows], parts[:, i]) for i in range(parts.shape[1])]
            weights = bayesian_weights(likelihoods, len(rows) / job.horizon)
            scores = [float(value) for value in likelihoods]  # type: ignore[misc]
    members = [
        fit_model(job, model, {}, x, y, date, kept.at(f"member-{i}"))
        for i, model in enumerate(ensemble.members)
    ]
    return Combined(ensemble.method, job.kind, tuple(members), tuple(weights), intercept, tuple(scores))


def inner_predictions(
    job: Job, ensemble: Ensemble, x: Floats, y: Floats, date: Index, kept: Kept
) -> tuple[Floats, Index]:
    """Returns predictions [row, member] of later dates by models of earlier ones, and their rows."""
    dates, place = np.unique(date, return_inverse=True)
    rule = Validation("expanding", INNER_FOLDS, 1, None, None, None, 0, 0.0)
    splits = make_splits(rule, len(dates), job.horizon, 0, job.seed, "ensemble: inner validation")
    found, rows = [], []
    for split in splits:
        train = split.train[place]
        test = np.flatnonzero(np.isin(place, split.folds[0][2]))
        parts = []
        for i, model in enumerate(ensemble.members):
            here = kept.at(f"inner-{split.number}-{i}")
            unit = here.found()
            if unit is None:
                fitted = fit_model(job, model, {}, x[train], y[train], date[train], here)
                prediction = fitted.predict(x[test])
                here.keep({}, {"prediction": prediction})
            else:
                prediction = unit[1]["prediction"]
            parts.append(prediction)
        found.append(np.column_stack(parts))
        rows.append(test)
    parts_all, rows_all = np.concatenate(found), np.concatenate(rows)
    whole = ~np.isnan(parts_all).any(axis=1)
    if whole.sum() < 2:
        raise invalid("ensemble", "no row of a train is predicted by every member: give preprocess.impute")
    return parts_all[whole], rows_all[whole]


def stack(kind: Kind, parts: Floats, y: Floats) -> tuple[list[float], float]:
    """Returns the weights and intercept of a ridge, or of a logistic regression, on the members' predictions.

    Wolpert, "Stacked generalization" (1992).
    """
    from sklearn.linear_model import LogisticRegression, Ridge

    if kind == "regression":
        found = Ridge(alpha=RIDGE).fit(parts, y)
        return [float(w) for w in found.coef_], float(found.intercept_)
    if len(np.unique(y)) < 2:
        raise invalid("target", "has one class only in the rows that a stack learns from: use longer folds")
    chosen = LogisticRegression(max_iter=1_000).fit(parts, y)
    return [float(w) for w in chosen.coef_[0]], float(chosen.intercept_[0])


def log_likelihood(kind: Kind, y: Floats, p: Floats) -> float:
    """Returns the mean log-likelihood of a row: minus log-loss, or a Gaussian's of its own spread."""
    if kind == "classification":
        loss = classification(y, p)["log_loss"]
        return -math.inf if loss is None else -loss
    variance = max(float(((y - p) ** 2).mean()), np.finfo(np.float64).tiny)
    return -0.5 * (math.log(2.0 * math.pi * variance) + 1.0)


def bayesian_weights(likelihoods: list[float], effective_rows: float) -> list[float]:
    """Returns weights proportional to exp(log-likelihood x effective rows), a model's odds by Bayes."""
    scaled = np.array(likelihoods) * effective_rows
    odds = np.exp(scaled - scaled.max())
    return [float(w) for w in odds / odds.sum()]
