"""Fits one model to the rows of a train."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from berth_backtest.errors import ProgramError, invalid

from berth_training.data.disk import Rows, parts_of
from berth_training.data.frame import Floats, Index, Mask, Matrix
from berth_training.kept import Kept
from berth_training.models.blocks import fit_blocks
from berth_training.models.catalogue import CATALOGUE
from berth_training.models.params import library_class, said
from berth_training.models.preprocess import NO_STEPS, Steps, fit_steps, usable
from berth_training.seeds import seed_of
from berth_training.spec.types import Kind, Model, Params, Preprocess

NO_MEMORY = ("bad_alloc", "bad allocation", "out of memory", "cannot allocate")
LAST_SHARE = 10  # early stopping and calibration use the last tenth of a train's dates


@dataclass(frozen=True)
class Job:
    """What every fit of a run has in common."""

    kind: Kind
    preprocess: Preprocess
    seed: int
    threads: int
    device: str
    horizon: int  # dates that are left out before the last share of a train


@dataclass(frozen=True)
class Fitted:
    """A fitted model: its steps, the library's own estimator, and the calibration of an SVM."""

    model: Model
    params: Params
    kind: Kind
    steps: Steps
    estimator: Any
    calibration: tuple[float, float] | None
    rows: int
    dropped: int  # rows of the train with a missing feature, for models that refuse them
    rounds: int | None
    device: str = "cpu"  # where it really was trained
    converged: bool = True  # as far as the library tells

    def predict(self, x: Matrix) -> Floats:
        """Returns predictions, or probabilities of class 1; NaN where the model refuses the row."""
        if isinstance(x, Rows):
            all_rows = np.empty(len(x))
            for place, part in parts_of(x):
                all_rows[place] = self.predict(part)
            return all_rows
        ready = self.steps.apply(x)
        there = usable(ready, self.model.name)
        if there.all() and len(x):
            return raw_predictions(self, ready)
        found = np.full(len(x), np.nan)
        if there.any():
            found[there] = raw_predictions(self, ready[there])
        return found


def raw_predictions(fitted: Fitted, x: Floats) -> Floats:
    if fitted.kind == "regression":
        return np.asarray(fitted.estimator.predict(x), dtype=np.float64)
    if fitted.calibration is None:
        return np.asarray(fitted.estimator.predict_proba(x), dtype=np.float64)[:, 1]
    slope, shift = fitted.calibration
    return np.asarray(1.0 / (1.0 + np.exp(-(slope * fitted.estimator.decision_function(x) + shift))))


def fit_model(
    job: Job, model: Model, params: Params, x: Matrix, y: Floats, date: Index, kept: Kept
) -> Fitted:
    """Fits on rows whose target is known, sorted by date. Raises (exit 2) where the library refuses."""
    steps, ready, there = prepare(job, model, x)
    rows = int(there.sum())
    if rows < 2:
        text = f"{rows} of {len(x)} rows of a train are whole: give preprocess.impute, or a tree model"
        raise invalid("features", text)
    if rows < len(x):
        ready, y, date = ready[there], y[there], date[there]
    if job.kind == "classification" and len(np.unique(y)) < 2:
        text = f"is {y[0]:g} in all {rows} rows of a train: there is one class only; use longer folds"
        raise invalid("target", text)
    chosen = {**(CATALOGUE[model.name].usual or {}), **model.params, **params}
    calibration: tuple[float, float] | None = None
    rounds: int | None = None
    device = "cpu"
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            if model.name == "svm" and job.kind == "classification":
                assert not isinstance(ready, Rows)
                estimator, calibration = fit_calibrated(job, model, chosen, ready, y, date)
            else:
                estimator, rounds, device = fit_estimator(job, model, chosen, ready, y, date, kept)
    except ValueError as error:
        raise refused(model, error) from error
    return Fitted(
        model,
        {**model.params, **params},
        job.kind,
        steps,
        estimator,
        calibration,
        rows,
        len(x) - rows,
        rounds,
        device,
        all(one.category.__name__ != "ConvergenceWarning" for one in told),
    )


def prepare(job: Job, model: Model, x: Matrix) -> tuple[Steps, Matrix, Mask]:
    """Returns the steps, what they make of the rows, and the rows that the model takes."""
    if isinstance(x, Rows):  # of a model that takes them as they are: memory.only_in_memory
        return NO_STEPS, x, np.ones(len(x), dtype=np.bool_)
    steps = fit_steps(job.preprocess, model.name, x)
    ready = steps.apply(x)
    return steps, ready, usable(ready, model.name)


def refused(model: Model, error: ValueError) -> ProgramError:
    """Returns the error of a library that does not train; XGBoost tells of too little memory like this."""
    text = said(error)
    if any(words in text.lower() for words in NO_MEMORY):
        hint = "give the job more memory, fewer rows or fewer features"
        return ProgramError("out_of_memory", f"the memory was not enough: {text}", hint=hint)
    return invalid(f"{model.path}.params", text)


def fit_estimator(
    job: Job, model: Model, chosen: Params, x: Matrix, y: Floats, date: Index, kept: Kept
) -> tuple[Any, int | None, str]:
    made = library_class(model.name, job.kind)
    entry = CATALOGUE[model.name]
    if entry.rounds is not None:
        stops = wants_early_stop(model.name, chosen)
        if model.name == "gradient_boosting":
            chosen = {**chosen, "early_stopping": stops}  # "auto" would split at random
        last = last_share(date, job.horizon) if stops else None
        return fit_blocks(job, model, made, chosen, x, y, last, kept)
    if "random_state" in made().get_params():
        chosen = {**chosen, "random_state": seed_of(job.seed, "model")}
    return made(**chosen).fit(x, y), None, "cpu"


def wants_early_stop(model: str, chosen: Params) -> bool:
    if model == "xgboost":
        return chosen.get("early_stopping_rounds") is not None
    return model == "gradient_boosting" and bool(chosen.get("early_stopping"))


def last_share(date: Index, purge: int) -> tuple[Mask, Mask]:
    """Returns the rows before the last share of the dates, `purge` dates left out between, and that share."""
    dates = np.unique(date)
    count = max(len(dates) // LAST_SHARE, 1)
    first = len(dates) - count - purge
    if first < 1:
        text = f"{len(dates)} dates of a train leave none before its last tenth and a purge of {purge}"
        raise invalid("validation", f"{text}: use longer folds, or no early stopping and no SVM")
    return date < dates[first], date >= dates[len(dates) - count]


def fit_calibrated(
    job: Job, model: Model, chosen: Params, x: Floats, y: Floats, date: Index
) -> tuple[Any, tuple[float, float]]:
    """Returns an SVM of the first part of the train, and the sigmoid fitted to its last share.

    Platt, "Probabilistic outputs for support vector machines" (1999), without his target smoothing:
    probability = 1 / (1 + exp(-(slope x margin + shift))), by maximum likelihood.
    """
    from sklearn.linear_model import LogisticRegression

    early, late = last_share(date, job.horizon)
    for part, name in ((early, "before"), (late, "in")):
        if len(np.unique(y[part])) < 2:
            text = f"has one class only {name} the last tenth of a train, on which an SVM is calibrated"
            raise invalid("target", text)
    made = library_class(model.name, job.kind)
    estimator = made(**{**chosen, "random_state": seed_of(job.seed, "model")}).fit(x[early], y[early])
    margin = estimator.decision_function(x[late]).reshape(-1, 1)
    sigmoid = LogisticRegression(C=np.inf, max_iter=1_000).fit(margin, y[late])
    return estimator, (float(sigmoid.coef_[0, 0]), float(sigmoid.intercept_[0]))
