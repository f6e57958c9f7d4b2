"""Trials: each is drawn from its own seed and from those before it, scored inside the rows it may see."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from berth_backtest.errors import invalid

from berth_training.data.frame import Floats, Index, Mask
from berth_training.kept import Kept
from berth_training.metrics import Metrics, better_first, metrics_of, objective_of, shown
from berth_training.plan import Run
from berth_training.search.draw import distributions, draw, sampler_of
from berth_training.spec.types import Params, Search
from berth_training.validation.splits import make_splits


@dataclass(frozen=True)
class Outcome:
    """The best set, all trials as rows, and the best one's biased metrics."""

    params: Params
    rows: list[dict[str, Any]]
    selection: Metrics
    importance: dict[str, float]


def search(run: Run, train: Mask, kept: Kept, scope: str) -> Outcome:
    """Runs the trials of one train. Raises (exit 2) when no trial has a value."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rule = run.spec.search
    assert rule is not None  # the caller asked
    study = open_study(run, rule)
    rows: list[dict[str, Any]] = []
    space = distributions(rule)
    for number in range(rule.trials):
        here = kept.at(f"trial-{number}")
        unit = here.found()
        if unit is None:
            params = draw(rule, study, scope, number, space)
            value = run_trial(run, rule, study, train, params, here)
            value["params"] = params
            run.pace.fitted("search", int(rule.validation.folds) - len(value["values"]))
            here.keep(value)
        else:
            value = unit[0]
            run.pace.fitted("search", int(rule.validation.folds))
        add_trial(study, space, value)
        rows.append(
            {
                "trial": number,
                "state": value["state"],
                "objective": value["values"][-1] if value["values"] else None,
                "params": value["params"],
                "values": value["values"],
            }
        )
        tell_best(run, rows)
        if number + 1 >= possible(rule):
            break
    return outcome_of(run, rule, study, rows, kept)


def possible(rule: Search) -> int:
    """Returns how many different sets there are, at most `trials`: random draws without replacement."""
    from berth_training.search.draw import finite_size

    size = finite_size(rule)
    return rule.trials if size is None or rule.method == "tpe" else min(rule.trials, size)


def open_study(run: Run, rule: Search) -> Any:
    import optuna

    sign = better_first(run.objective)
    pruner: Any = optuna.pruners.NopPruner()
    if rule.pruner == "median":
        pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=0)
    directions = optuna.study.StudyDirection
    direction = directions.MINIMIZE if sign > 0 else directions.MAXIMIZE
    return optuna.create_study(direction=direction, sampler=sampler_of(rule, "", 0), pruner=pruner)


def run_trial(run: Run, rule: Search, study: Any, train: Mask, params: Params, kept: Kept) -> dict[str, Any]:
    """Scores one set on the inner folds, over all their rows so far; hopeless ones end early."""
    places = np.flatnonzero(train)
    splits = make_splits(
        rule.validation,
        len(places),
        run.frame.horizon,
        run.frame.look_back,
        run.spec.seed,
        "search.validation",
    )
    row: list[Index] = []
    prediction: list[Floats] = []
    values: list[float | None] = []
    metrics: Metrics = {}
    for split in splits:
        here = kept.at(f"fold-{split.number}")
        unit = here.found()
        if unit is None:
            inner = np.zeros(run.dates, dtype=np.bool_)
            inner[places[split.train]] = True
            fitted = run.fit(params, run.rows_of(inner), here)
            tested = np.zeros(run.dates, dtype=np.bool_)
            for _, _, dates in split.folds:
                tested[places[dates]] = True
            rows = run.rows_of(tested)
            arrays = {"row": rows, "prediction": fitted.predict(run.frame.x[rows])}
            run.pace.fitted("search")
            here.keep({}, arrays)
        else:
            arrays = unit[1]
        row.append(arrays["row"])
        prediction.append(arrays["prediction"])
        metrics = score(run, np.concatenate(row), np.concatenate(prediction))
        values.append(objective_of(metrics, run.objective))
        if split is not splits[-1] and prunes(rule, study, values):
            return {"state": "pruned", "values": values, "metrics": shown(metrics)}
    state = "complete" if values and values[-1] is not None else "failed"
    return {"state": state, "values": values, "metrics": shown(metrics)}


def score(run: Run, rows: Index, prediction: Floats) -> Metrics:
    frame = run.frame
    return metrics_of(frame.kind, frame.y[rows], prediction, frame.date[rows], frame.horizon)


def prunes(rule: Search, study: Any, values: list[float | None]) -> bool:
    """Asks Optuna's pruner about a trial that has these values so far and is not in the study yet."""
    import optuna

    if rule.pruner == "none" or values[-1] is None:
        return False
    trial = optuna.trial.create_trial(
        state=optuna.trial.TrialState.RUNNING,
        intermediate_values={i: v for i, v in enumerate(values) if v is not None},
    )
    stopped: bool = study.pruner.prune(study, trial)
    return stopped


def add_trial(study: Any, space: dict[str, Any], value: dict[str, Any]) -> None:
    """Puts a finished trial into the history that the next draws look at."""
    import optuna

    states = optuna.trial.TrialState
    state = {"complete": states.COMPLETE, "pruned": states.PRUNED, "failed": states.FAIL}[value["state"]]
    study.add_trial(
        optuna.trial.create_trial(
            state=state,
            value=value["values"][-1] if state == states.COMPLETE else None,
            params=value["params"],
            distributions=space,
            intermediate_values={i: v for i, v in enumerate(value["values"]) if v is not None},
        )
    )


def best_of(run: Run, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Returns the best complete trial; ties go to the earlier one."""
    sign = better_first(run.objective)
    complete = [row for row in rows if row["state"] == "complete"]
    return min(complete, key=lambda row: sign * row["objective"], default=None)


def tell_best(run: Run, rows: list[dict[str, Any]]) -> None:
    best = best_of(run, rows)
    if best is not None:
        run.pace.metrics = {f"best_{run.objective}": best["objective"], "trials": float(len(rows))}


def outcome_of(run: Run, rule: Search, study: Any, rows: list[dict[str, Any]], kept: Kept) -> Outcome:
    best = best_of(run, rows)
    if best is None:
        text = f"{run.objective} has no value in any of {len(rows)} trials: choose another objective"
        raise invalid("search.objective", text)
    unit = kept.at(f"trial-{best['trial']}").found()
    assert unit is not None  # every trial was kept
    return Outcome(best["params"], rows, unit[0]["metrics"], importance_of(study, rule))


LEAST_TRIALS = 8  # complete ones: fewer say nothing of a parameter


def importance_of(study: Any, rule: Search) -> dict[str, float]:
    """Returns the share of the objective's variance by parameter (fANOVA; Hutter et al., 2014)."""
    import optuna

    complete = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    if len(complete) < LEAST_TRIALS or len({t.value for t in complete}) < 2 or len(rule.space) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=rule.seed)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {str(name): float(share) for name, share in found.items()}
