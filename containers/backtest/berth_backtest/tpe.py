"""TPE (Bergstra et al. 2011): each batch of trials is drawn by what the trials before it came to.

A trial's draw depends on the seed, its number, the objectives of the batches before its own and the draws
of its own before it, whatever was stopped between.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from berth_backtest.spec.types import Axis

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

STARTUP = 10  # batches that begin before this trial are drawn at random: a density needs some points


@dataclass
class Drawn:
    """The trials' sets, those not drawn yet being the random search's, and what was told of them."""

    batch: int
    minimised: bool
    table: Floats  # [trial, axis]: the place of a value on its axis, or the value of a continuous one
    told: Floats  # [trial]: NaN where it is null, was skipped or is not known yet

    @property
    def at_random(self) -> int:
        """The trials that are not TPE's."""
        return -(-STARTUP // self.batch) * self.batch

    def tell(self, trials: Index, objective: Floats) -> None:
        self.told[trials] = objective

    def put(self, trial: int, axes: tuple[Axis, ...], values: dict[str, float]) -> None:
        """Puts a trial that an earlier run has drawn."""
        for at, axis in enumerate(axes):
            if axis.name in values:
                x = float(values[axis.name])
                self.table[trial, at] = x if axis.continuous else int(np.flatnonzero(axis.values == x)[0])


def suggest(
    drawn: Drawn, axes: tuple[Axis, ...], seed: int, span: tuple[int, int], stopped: Callable[[], bool]
) -> Iterator[tuple[int, int]]:
    """Yields the spans of batches from a trial on, each drawn when all before it have been told.

    Ends when it is stopped: a batch of many trials takes longer to draw than a stop may wait.
    """
    study, known, (first, end) = None, 0, span
    for begin in range(first // drawn.batch * drawn.batch, end, drawn.batch):
        stop = min(begin + drawn.batch, end)
        if begin >= STARTUP:
            study = study or open_study(drawn)
            if known == 0:
                add_history(study, drawn, axes, begin)
            else:
                for trial in range(known, begin):
                    study.tell(trial, value_of(drawn, trial))
            known = begin
            # From its first trial on, though the run may go on in the middle: each looks at those that it
            # is drawn with, so as not to stand where they do.
            for trial in range(begin, stop):
                if stopped():
                    return
                drawn.table[trial] = draw(study, axes, seed, trial)
        yield max(begin, first), stop


def open_study(drawn: Drawn) -> Any:
    import optuna  # late: only TPE waits for it

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction="minimize" if drawn.minimised else "maximize")


def add_history(study: Any, drawn: Drawn, axes: tuple[Axis, ...], end: int) -> None:
    """Adds the trials before one, with what they came to."""
    import optuna

    space = space_of(axes)
    for trial in range(end):
        params = params_of(drawn.table[trial], axes)
        value = value_of(drawn, trial)
        study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=value))


def value_of(drawn: Drawn, trial: int) -> float:
    """Returns what a trial came to; without an objective, or skipped, it is as bad as can be."""
    told = float(drawn.told[trial])
    return (np.inf if drawn.minimised else -np.inf) if np.isnan(told) else told


def draw(study: Any, axes: tuple[Axis, ...], seed: int, trial: int) -> Floats:
    """Returns a trial's row of the table."""
    import optuna

    # A sampler of its own: a search that was taken up again draws as the unbroken one.
    digest = hashlib.sha256(f"{seed}/tpe/{trial}".encode()).digest()
    sampler_seed = int.from_bytes(digest[:4], "big")
    study.sampler = optuna.samplers.TPESampler(seed=sampler_seed, n_startup_trials=1)
    params = study.ask(space_of(axes)).params
    row = np.zeros(len(axes))
    for at, axis in enumerate(axes):
        if axis.name in params:
            x = params[axis.name]
            row[at] = x if axis.continuous else np.argsort(axis.values, kind="stable")[int(x)]
    return row


def space_of(axes: tuple[Axis, ...]) -> dict[str, Any]:
    """Returns what varies in Optuna's words: of a list the place in ascending order."""
    import optuna

    kinds = optuna.distributions
    found: dict[str, Any] = {}
    for axis in axes:
        if axis.continuous:
            low, high = (float(x) for x in axis.values)
            found[axis.name] = kinds.FloatDistribution(low, high, log=axis.drawn == "log_uniform")
        elif len(axis.values) > 1:
            found[axis.name] = kinds.IntDistribution(0, len(axis.values) - 1)
    return found


def params_of(row: Floats, axes: tuple[Axis, ...]) -> dict[str, float | int]:
    """Returns a row of the table in the words of the space."""
    found: dict[str, float | int] = {}
    for at, axis in enumerate(axes):
        if axis.continuous:
            found[axis.name] = float(row[at])
        elif len(axis.values) > 1:
            order = np.argsort(axis.values, kind="stable")
            found[axis.name] = int(np.flatnonzero(order == int(row[at]))[0])
    return found
