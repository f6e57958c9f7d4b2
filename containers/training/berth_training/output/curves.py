"""What the report shows of predictions: skill over time, by size, and of probabilities."""

from typing import Any

import numpy as np
from berth_backtest.data.dates import shown_date

from berth_training.data.frame import Floats, Index
from berth_training.metrics import dated_correlation, metrics_of
from berth_training.output.plots import line_chart, xy_chart
from berth_training.plan import Run

BINS = 10
ROC_POINTS = 60


def tested_rows(run: Run, found: Any) -> tuple[Index, Floats]:
    """Returns the rows of path 0 (or of the hold-out, without folds) with a target and a prediction."""
    parts = found.oof.joined()
    if run.splits:
        mine = parts["path"] == 0
        rows, prediction = parts["row"][mine], parts["prediction"][mine]
    elif found.holdout_rows is not None and found.holdout_prediction is not None:
        rows, prediction = found.holdout_rows, found.holdout_prediction
    else:
        return np.empty(0, dtype=np.int64), np.empty(0)
    there = run.frame.known[rows] & ~np.isnan(prediction)
    rows, prediction = rows[there], prediction[there]
    order = np.lexsort((run.frame.symbol[rows], run.frame.date[rows]))
    return rows[order], prediction[order]


def skill_over_time(run: Run, rows: Index, prediction: Floats) -> tuple[str, str]:
    """Returns the summed ic by date, or where there is none the squared error saved against the mean."""
    frame = run.frame
    date, y = frame.date[rows], frame.y[rows]
    if len(rows) == 0:
        return "", ""
    days, by_date = dated_correlation(y, prediction, date)
    title, values = "Information coefficient, summed over dates", np.cumsum(by_date)
    if len(by_date) < 2 or frame.kind == "classification":
        base = y.mean()
        gain = (y - base) ** 2 - (y - prediction) ** 2
        days, at = np.unique(date, return_inverse=True)
        values = np.cumsum(np.bincount(at, gain))
        title = "Squared error saved against the mean, summed over dates"
    labels = [shown_date(int(frame.dates[d]), frame.dated)[:10] for d in days]
    return title, line_chart(np.asarray(values), labels)


def by_size(run: Run, rows: Index, prediction: Floats) -> str:
    """Returns the mean target by tenth of the predictions: a useful model rises from left to right."""
    if len(rows) < BINS * 2:
        return ""
    order = np.argsort(prediction, kind="stable")
    y = run.frame.y[rows]
    groups = np.array_split(order, BINS)
    x = np.array([prediction[group].mean() for group in groups])
    means = np.array([y[group].mean() for group in groups])
    place = np.arange(1.0, BINS + 1)
    if run.frame.kind == "classification":
        return xy_chart({"predicted, observed": (x, means)}, ["low", "", "high"], diagonal=True)
    series = {"tenth, mean target": (place, means), "tenth, mean prediction": (place, x)}
    return xy_chart(series, ["lowest tenth", "", "highest tenth"])


def roc(run: Run, rows: Index, prediction: Floats) -> str:
    """Returns the share of ones found against the share of zeros taken for ones."""
    y = run.frame.y[rows]
    if run.frame.kind != "classification" or len(np.unique(y)) < 2:
        return ""
    order = np.argsort(-prediction, kind="stable")
    ones = np.concatenate([[0.0], np.cumsum(y[order]) / y.sum()])
    zeros = np.concatenate([[0.0], np.cumsum(1 - y[order]) / (1 - y).sum()])
    kept = np.unique(np.linspace(0, len(y), ROC_POINTS).astype(int))
    return xy_chart({"false, true positives": (zeros[kept], ones[kept])}, ["0", "", "1"], diagonal=True)


def symbol_table(run: Run, rows: Index, prediction: Floats, most: int) -> list[tuple[str, dict[str, Any]]]:
    """Returns the metrics of the first symbols."""
    frame = run.frame
    found = []
    for s in np.unique(frame.symbol[rows])[:most]:
        mine = frame.symbol[rows] == s
        y, date = frame.y[rows][mine], frame.date[rows][mine]
        found.append((frame.symbols[s], metrics_of(frame.kind, y, prediction[mine], date, frame.horizon)))
    return found
