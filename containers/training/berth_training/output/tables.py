"""predictions.parquet, importance.parquet, trials.parquet."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from berth_training.data.frame import Floats, Index
from berth_training.models.ensemble import Combined
from berth_training.models.fit import Fitted
from berth_training.output.permute import loss_name
from berth_training.plan import Run

if TYPE_CHECKING:
    from berth_training.train import Training

WINDOWS = b"berth_train_windows"  # in the file's metadata: the trains by split, first and last date each


def prediction_table(run: Run, found: "Training") -> Any:
    """Returns date, symbol, fold, split, path, y, prediction; the hold-out is one more fold and split."""
    parts = found.oof.joined()
    windows = {str(fold["split"]): fold["train"] for fold in found.oof.folds}
    if found.holdout_rows is not None and found.holdout_prediction is not None:
        n = len(found.holdout_rows)
        fold = run.spec.validation.folds if run.splits else 0
        last = len(run.splits)
        added = {
            "row": found.holdout_rows,
            "fold": np.full(n, fold),
            "split": np.full(n, last),
            "path": np.zeros(n, dtype=np.int64),
            "prediction": found.holdout_prediction,
        }
        parts = {name: np.concatenate([parts[name], added[name]]) for name in parts}
        from berth_training.validation.cross import span

        windows[str(last)] = [span(run, np.arange(run.rest))]
    frame, rows = run.frame, parts["row"]
    order = np.lexsort((frame.symbol[rows], frame.date[rows], parts["path"], parts["split"]))
    rows = rows[order]
    columns = {
        "date": dates_of(frame.dates[frame.date[rows]], frame.dated),
        "symbol": pa.array(np.array(frame.symbols, dtype=object)[frame.symbol[rows]], pa.string()),
        **{name: pa.array(parts[name][order], pa.int32()) for name in ("fold", "split", "path")},
        "y": nullable(frame.y[rows]),
        "prediction": nullable(parts["prediction"][order]),
    }
    return pa.table(columns).replace_schema_metadata({WINDOWS: json.dumps(windows)})


def dates_of(us: Index, dated: bool) -> Any:
    stamps = pa.array(us, pa.timestamp("us", tz=None if dated else "UTC"))
    return stamps.cast(pa.date32()) if dated else stamps


def nullable(values: Floats) -> Any:
    return pa.array(values, pa.float64(), mask=np.isnan(values))


def importance_table(run: Run, found: "Training") -> Any:
    """Returns feature, method, importance, deviation (over splits), the most important first by method.

    `gain` and `impurity` are shares of 1, `coefficient` the absolute weight of a scaled feature,
    `permutation` how much the loss of tested rows rises when the feature is shuffled.
    """
    rows: list[dict[str, Any]] = []
    names = run.frame.names
    method, values = own_importance(found.final)
    if method is not None:
        order = np.argsort(-values, kind="stable")
        rows += [
            {"feature": names[i], "method": method, "importance": float(values[i]), "deviation": None}
            for i in order
        ]
    if found.oof.permuted:
        table = np.stack(found.oof.permuted)
        mean = table.mean(axis=0)
        spread = table.std(axis=0, ddof=1) if len(table) > 1 else np.full(len(names), np.nan)
        for i in np.argsort(-mean, kind="stable"):
            rows.append(
                {
                    "feature": names[i],
                    "method": f"permutation_{loss_name(run)}",
                    "importance": None if np.isnan(mean[i]) else float(mean[i]),
                    "deviation": None if np.isnan(spread[i]) else float(spread[i]),
                }
            )
    schema = pa.schema(
        [
            ("feature", pa.string()),
            ("method", pa.string()),
            ("importance", pa.float64()),
            ("deviation", pa.float64()),
        ]
    )
    return pa.Table.from_pylist(rows, schema)


def own_importance(fitted: Any) -> tuple[str | None, Floats]:
    """Returns what a model itself says of its features, None where it cannot."""
    none: Floats = np.empty(0)
    if isinstance(fitted, Combined) or not isinstance(fitted, Fitted):
        return None, none
    estimator, name = fitted.estimator, fitted.model.name
    if name == "random_forest":
        return "impurity", np.asarray(estimator.feature_importances_, dtype=np.float64)
    if name == "xgboost" and estimator.get_params().get("booster") in (None, "gbtree", "dart"):
        return "gain", np.nan_to_num(np.asarray(estimator.feature_importances_, dtype=np.float64))
    if hasattr(estimator, "coef_") and name != "svm":
        return "coefficient", np.abs(np.asarray(estimator.coef_, dtype=np.float64)).reshape(-1)
    return None, none


def trial_table(trials: list[dict[str, Any]]) -> Any:
    """Returns fold (null = final search), trial, state, objective, a column a parameter, values by fold."""
    names = sorted({name for trial in trials for name in trial["params"]})
    columns: dict[str, Any] = {
        "fold": pa.array([trial["fold"] for trial in trials], pa.int32()),
        "trial": pa.array([trial["trial"] for trial in trials], pa.int32()),
        "state": pa.array([trial["state"] for trial in trials], pa.string()),
        "objective": pa.array([trial["objective"] for trial in trials], pa.float64()),
        "values": pa.array([trial["values"] for trial in trials], pa.list_(pa.float64())),
    }
    for name in names:
        columns[name if name not in columns else f"param_{name}"] = param_column(
            [trial["params"].get(name) for trial in trials]
        )
    return pa.table(columns)


def param_column(values: list[Any]) -> Any:
    """Returns numbers where all are numbers, else texts."""
    if all(v is None or (isinstance(v, int) and not isinstance(v, bool)) for v in values):
        return pa.array(values, pa.int64())
    if all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in values):
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    return pa.array([None if v is None else str(v) for v in values], pa.string())
