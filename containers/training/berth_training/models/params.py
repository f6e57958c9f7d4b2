"""Parameters of models, checked against the library's own before anything is trained."""

import importlib
import re
from typing import Any

import numpy as np
from berth_backtest.errors import Problem, invalid_all
from berth_backtest.spec.fields import near

from berth_training.models.catalogue import CATALOGUE
from berth_training.spec.types import Axis, Kind, Model, Params, Spec

ALIASES = {
    "eta": "learning_rate",
    "lambda": "reg_lambda",
    "alpha": "reg_alpha",
    "num_boost_round": "n_estimators",
}
WHY = {
    "random_state": "the spec's seed sets it",
    "seed": "the spec's seed sets it",
    "n_jobs": "the job's cores set it",
    "nthread": "the job's cores set it",
    "probability": "probabilities are calibrated on the last part of the train",
    "validation_fraction": "early stopping uses the last tenth of the train's dates",
}
ROWS = 32  # of the trial fit that finds wrong values
CHECKED = 20  # values of an axis: each costs a fit; what is wrong with later ones is told when they are drawn


def library_class(model: str, kind: Kind) -> Any:
    entry = CATALOGUE[model]
    return getattr(importlib.import_module(entry.module), entry.classes[kind])


def known_params(model: str, kind: Kind) -> list[str]:
    """Returns the names that `params` may have, in alphabetical order."""
    names = set(library_class(model, kind)().get_params()) - set(CATALOGUE[model].reserved)
    return sorted(names)


def check_names(spec: Spec) -> None:
    """Raises one error with every unknown parameter."""
    problems: list[Problem] = []
    for model in spec.models:
        problems += name_problems(model, list(model.params), f"{model.path}.params", spec.kind)
    if spec.search is not None:
        axes = [axis.name for axis in spec.search.space]
        problems += name_problems(spec.models[0], axes, "search.space", spec.kind)
    if problems:
        raise invalid_all(problems)


def check_values(spec: Spec, features: int) -> None:
    """Raises for values that the library refuses with that many features."""
    space = spec.search.space if spec.search is not None else ()
    problems: list[Problem] = []
    for model in spec.models:
        problems += value_problems(model, spec.kind, space, features)
    if problems:
        raise invalid_all(problems)


def name_problems(model: Model, names: list[str], path: str, kind: Kind) -> list[Problem]:
    known = known_params(model.name, kind)
    found = []
    for name in names:
        if name in known:
            continue
        where = f"{path}.{name[:100]}"
        if name in CATALOGUE[model.name].reserved:
            found.append(Problem(where, f"cannot be set: {WHY.get(name, 'the job sets it')}"))
        else:
            hint = near(name, known)
            if ALIASES.get(name) in known:
                hint = f"; did you mean {ALIASES[name]}?"
            found.append(Problem(where, f"is no parameter of {model.name}{hint}; it has {', '.join(known)}"))
    return found


def value_problems(model: Model, kind: Kind, space: tuple[Axis, ...], features: int) -> list[Problem]:
    """Fits the model to a few rows: the libraries check values only then. Ends of a searched range too."""
    found = trial_fit(model, kind, middle(space), features)
    if found:
        return [Problem(f"{model.path}.params", found)]
    for axis in space:
        for value in axis.values[:CHECKED] or ends(axis):
            text = trial_fit(model, kind, {**middle(space), axis.name: value}, features)
            if text:
                return [Problem(f"search.space.{axis.name}", text)]
    return []


def middle(space: tuple[Axis, ...]) -> Params:
    return {axis.name: axis.values[0] if axis.values else ends(axis)[0] for axis in space}


def ends(axis: Axis) -> tuple[float, float]:
    return (int(axis.low), int(axis.high)) if axis.form == "int_uniform" else (axis.low, axis.high)


def trial_fit(model: Model, kind: Kind, more: Params, features: int) -> str:
    """Returns what the library says against the values, "" if nothing."""
    import warnings

    entry = CATALOGUE[model.name]
    params = {**(entry.usual or {}), **model.params, **more}
    if entry.rounds is not None and isinstance(params.get(entry.rounds), int) and params[entry.rounds] >= 1:
        params[entry.rounds] = 1
    params.pop("device", None)  # models.device asks for it
    if entry.rounds is not None and model.name == "xgboost":
        try:
            rounds_of(entry.rounds, params.get(entry.rounds))
        except ValueError as error:
            return str(error)
    early = params.pop("early_stopping_rounds", None) if model.name == "xgboost" else None
    if early is not None and (not isinstance(early, int) or isinstance(early, bool) or early < 1):
        return f"early_stopping_rounds must be a whole number from 1, not {early!a}"
    rng = np.random.default_rng(0)
    # Targets from 0 to 1: losses of positive numbers, counts and shares take them too.
    x = rng.normal(size=(ROWS, features))
    y = (np.arange(ROWS) % 2).astype(np.float64) if kind == "classification" else rng.random(ROWS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator = library_class(model.name, kind)(**params)
            if model.name == "xgboost":
                estimator.set_params(n_jobs=1, verbosity=0)
            estimator.fit(x, y)
    except Exception as error:  # noqa: BLE001 (libraries raise what they like at a wrong value)
        return said(error)
    return ""


def rounds_of(name: str, value: object) -> int:
    """Returns the rounds of a model; raises ValueError for what is no number of them."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number from 1, not {value!a}")
    return value


def said(error: Exception) -> str:
    """Returns the library's words in one line, without its own addresses."""
    text = " ".join(str(error).split()).split(" Stack trace:")[0]
    return re.sub(r"^\[[\d:]+\] \S+?: ", "", text)[:400]
