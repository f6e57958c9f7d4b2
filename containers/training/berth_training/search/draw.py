"""The set of a trial: a function of the seed, the trial's number and, for TPE, the trials before it."""

import math
from typing import Any

import numpy as np

from berth_training.seeds import seed_of
from berth_training.spec.types import Axis, Params, Search

MAX_SHUFFLED = 1_000_000  # sets of a finite space that random draws without replacement
STARTUP = 10  # trials before TPE looks at the history


def distributions(rule: Search) -> dict[str, Any]:
    """Returns the space in Optuna's words."""
    import optuna

    kinds = optuna.distributions
    found: dict[str, Any] = {}
    for axis in rule.space:
        if axis.form == "values":
            found[axis.name] = kinds.CategoricalDistribution(axis.values)
        elif axis.form == "int_uniform":
            found[axis.name] = kinds.IntDistribution(int(axis.low), int(axis.high))
        else:
            found[axis.name] = kinds.FloatDistribution(axis.low, axis.high, log=axis.form == "log_uniform")
    return found


def draw(rule: Search, study: Any, scope: str, number: int, space: dict[str, Any]) -> Params:
    """Returns the parameters of a trial."""
    size = finite_size(rule)
    if rule.method == "grid":
        return set_of(rule.space, number)
    if rule.method == "random" and size is not None and size <= MAX_SHUFFLED:
        order = np.random.default_rng(seed_of(rule.seed, "random")).permutation(size)
        return set_of(rule.space, int(order[number % size]))
    # A fresh sampler a trial: a study that was taken up again draws as the unbroken one.
    study.sampler = sampler_of(rule, scope if rule.method == "tpe" else "", number)
    trial = study.ask(space)
    params: Params = dict(trial.params)
    # What was asked is told again as a whole when it is finished: here it only drew.
    study.tell(trial, state=fail_state())
    return params


def fail_state() -> Any:
    import optuna

    return optuna.trial.TrialState.FAIL


def sampler_of(rule: Search, scope: str, number: int) -> Any:
    import optuna

    seed = seed_of(rule.seed, "trial", scope, number)
    if rule.method == "tpe":
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
    return optuna.samplers.RandomSampler(seed=seed)


def finite_size(rule: Search) -> int | None:
    """Returns the number of different sets, None where an axis is continuous."""
    sizes = [size_of(axis) for axis in rule.space]
    return None if any(size is None for size in sizes) else math.prod(size for size in sizes if size)


def size_of(axis: Axis) -> int | None:
    if axis.form == "values":
        return len(axis.values)
    return int(axis.high) - int(axis.low) + 1 if axis.form == "int_uniform" else None


def set_of(space: tuple[Axis, ...], number: int) -> Params:
    """Returns one set of the product, the last axis the fastest."""
    found: Params = {}
    for axis in reversed(space):
        size = size_of(axis)
        assert size is not None  # only finite spaces are counted
        number, at = divmod(number, size)
        found[axis.name] = axis.values[at] if axis.form == "values" else int(axis.low) + at
    return {axis.name: found[axis.name] for axis in space}
