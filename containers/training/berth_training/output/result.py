"""result.json: what a run found, in strict JSON."""

from typing import TYPE_CHECKING, Any

import numpy as np
from berth_backtest.data.dates import shown_date

from berth_training import VERSION
from berth_training.data.disk import Rows, column_of
from berth_training.data.frame import Index
from berth_training.metrics import Metrics, shown
from berth_training.models.ensemble import Combined
from berth_training.models.preprocess import resolve
from berth_training.models.save import versions
from berth_training.plan import Run
from berth_training.validation.cross import score
from berth_training.validation.splits import embargo_of, path_count

if TYPE_CHECKING:
    from berth_training.output.files import Context
    from berth_training.train import Training

FOLDS_SHOWN = 500  # cpcv can have thousands; predictions.parquet has all


def make_result(context: "Context", found: "Training", stopped: bool = False) -> dict[str, Any]:
    """Returns the content of result.json. Only `timing` differs between two runs of a spec."""
    run = context.run
    frame = run.frame
    device, reason = really(context, found)
    return {
        "engine": {
            "version": VERSION,
            "device": device,
            "device_wished": context.device.wished,
            "fallback_reason": reason,
            "dtype": "float32" if isinstance(frame.x, Rows) else "float64",
            "matrix": "disk" if isinstance(frame.x, Rows) else "memory",
            "threads": context.threads,
            "libraries": versions(),
        },
        "effective_spec": completed(context),
        "seed": run.spec.seed,
        "data": {
            "sha256": frame.sha256,
            "symbols": list(frame.symbols[:1_000]),
            "dates": len(frame.dates),
            "start": shown_date(int(frame.dates[0]), frame.dated),
            "end": shown_date(int(frame.dates[-1]), frame.dated),
        },
        "best": best_of(run, found),
        "metrics": {
            "selection": selection_of(run, found),
            "test": tested(run, found),
            "holdout": None if found.holdout is None else shown(found.holdout),
        },
        "timing": {},
        "rows": {
            "all": len(frame.y),
            "with_target": int(frame.known.sum()),
            "final_train": found.final_rows,
            "final_dropped": 0 if found.final is None else found.final.dropped,
            "dropped_by_feature": dropped_by_feature(run),
        },
        "features": list(frame.names),
        "trials": len(found.oof.trials),
        "param_importance": found.param_importance,
        "learning_curve": found.curve,
        "look_ahead": context.leaks or {"checked": 0, "ok": None, "first_difference": None},
        "warnings": warnings_of(context, found, stopped),
    }


def really(context: "Context", found: "Training") -> tuple[str, str | None]:
    """Returns where the model was trained, by the library's own word, and why not where it was wished."""
    chosen = context.device
    if found.final is None or found.final.device == chosen.used:
        return chosen.used, chosen.reason
    return found.final.device, chosen.reason or "the library went on without the GPU that it was given"


def completed(context: "Context") -> dict[str, Any]:
    """Returns the effective spec with what the data decided."""
    run = context.run
    rule = run.spec.validation
    validation = {
        **vars(rule),
        "purge": run.frame.horizon if rule.purge is None else rule.purge,
        "embargo": embargo_of(rule, run.frame.look_back),
    }
    steps = {model.name: vars(resolve(run.spec.preprocess, model.name)) for model in run.spec.models}
    preprocess = next(iter(steps.values())) if len(steps) == 1 else steps
    return {**context.effective, "validation": validation, "preprocess": preprocess}


def best_of(run: Run, found: "Training") -> dict[str, Any]:
    model = run.spec.model
    fixed = {} if model is None else model.params
    final = found.final
    best: dict[str, Any] = {
        "params": {**fixed, **found.params},
        "searched": found.params,
        "rounds": getattr(final, "rounds", None),
    }
    if isinstance(final, Combined):
        best["ensemble"] = {
            "method": final.method,
            "members": [member.model.name for member in final.members],
            "weights": list(final.weights),
            "intercept": final.intercept,
        }
    return best


def selection_of(run: Run, found: "Training") -> dict[str, Any] | None:
    """Returns the metrics that the best set was chosen by: the best of many, so too good."""
    if found.selection is None:
        return None
    text = "the best of the trials on the rows that chose it: biased, compare metrics.test"
    return {"objective": run.objective, "biased": True, "note": text, **found.selection}


def tested(run: Run, found: "Training") -> dict[str, Any]:
    """Returns the honest metrics: over all out-of-fold rows, by fold, and by path of cpcv."""
    if not run.splits:
        overall = {} if found.holdout is None else shown(found.holdout)
        return {"overall": overall, "folds": [], "paths": [], "source": "holdout"}
    parts = found.oof.joined()
    folds = [{**fold, "metrics": shown(fold["metrics"])} for fold in found.oof.folds]
    paths: list[dict[str, Any]] = []
    if path_count(run.spec.validation) > 1:
        for path in range(path_count(run.spec.validation)):
            mine = parts["path"] == path
            paths.append({"path": path, **shown(part_score(run, parts, mine))})
    return {
        "overall": shown(part_score(run, parts, np.ones(len(parts["row"]), dtype=np.bool_))),
        "folds": folds[:FOLDS_SHOWN],
        "paths": paths,
        "source": "out_of_fold",
    }


def part_score(run: Run, parts: dict[str, Any], mine: Any) -> Metrics:
    rows: Index = parts["row"][mine]
    frame = run.frame
    if path_count(run.spec.validation) == 1 or len(np.unique(parts["path"][mine])) == 1:
        return score(run, rows, parts["prediction"][mine])
    # A date of another path is another cross-section: its symbols are not ranked with these.
    from berth_training.metrics import metrics_of

    date = frame.date[rows] + parts["path"][mine] * len(frame.dates)
    return metrics_of(frame.kind, frame.y[rows], parts["prediction"][mine], date, frame.horizon)


def dropped_by_feature(run: Run) -> dict[str, int]:
    """Returns missing values by feature, for models that refuse rows with them."""
    from berth_training.models.catalogue import CATALOGUE

    refuses = any(not CATALOGUE[model.name].takes_missing for model in run.spec.models)
    if not refuses or run.spec.preprocess.impute is not None:
        return {}
    counts = [int(np.isnan(column_of(run.frame.x, i)).sum()) for i in range(len(run.frame.names))]
    return {name: count for name, count in zip(run.frame.names, counts, strict=True) if count}


def shown_window(run: Run, end: int) -> list[str]:
    labelled = run.frame.labelled
    return [shown_date(int(run.frame.dates[labelled[at]]), run.frame.dated) for at in (0, end - 1)]


FEW_DATES = 250  # of a test: below it an average says next to nothing


def warnings_of(context: "Context", found: "Training", stopped: bool) -> list[dict[str, str]]:
    """Returns what a reader must know before the numbers, the gravest first."""
    run = context.run
    notes: list[tuple[str, str]] = []
    if stopped:
        text = (
            f"the run was stopped after {len(found.oof.folds)} of {len(run.splits)} folds: there is no model"
        )
        notes.append(("stopped_early", text))
    _, reason = really(context, found)
    if reason is not None:
        notes.append(("device", f"{context.device.wished} was asked for: {reason}"))
    method = run.spec.validation.method
    if method == "random":
        text = "dates next to a tested one were trained on, their labels overlap: the metrics are too good"
        notes.append(("random_validation", text))
    if method in ("purged_kfold", "cpcv"):
        text = f"{method} also trains on dates after the tested ones: it measures skill, it is no history"
        notes.append(("trained_on_later_dates", text))
    if context.leaks is None:
        unchecked = "the user's own table cannot be checked by cutting the future off"
        text = unchecked if run.spec.table is not None else "the check for leaks was turned off"
        notes.append(("look_ahead_unchecked", text))
    late = sum(not fold["converged"] for fold in found.oof.folds)
    if late or (found.final is not None and not found.final.converged):
        text = f"the model stopped before it converged in {late} of {len(found.oof.folds)} folds"
        notes.append(("not_converged", f"{text}: give it more iterations (max_iter), or scale its features"))
    lost = sum(fold["dropped_rows"] for fold in found.oof.folds)
    if lost:
        notes.append(
            ("dropped_rows", "rows with a missing feature were left out: see rows.dropped_by_feature")
        )
    notes += run.frame.warnings
    return [{"code": code, "message": message} for code, message in notes]
