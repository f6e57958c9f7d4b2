"""Metrics of predictions, over all rows they are given at once; null where they are not defined."""

import math
from typing import Any

import numpy as np

from berth_training.data.frame import Floats, Index, Mask
from berth_training.spec.types import Kind

LEAST_SYMBOLS = 5  # of a date whose cross-section has a correlation
LOWER_IS_BETTER = ("rmse", "mae", "log_loss")
EPS = float(np.finfo(np.float64).eps)  # where scikit-learn clips probabilities

Metrics = dict[str, float | None]


def metrics_of(kind: Kind, y: Floats, prediction: Floats, date: Index, horizon: int) -> Metrics:
    """Returns the metrics of rows with a target; rows without a prediction are left out."""
    there = ~np.isnan(y) & ~np.isnan(prediction)
    y, prediction, date = y[there], prediction[there], date[there]
    if kind == "classification":
        return classification(y, prediction)
    return {**errors(y, prediction), **correlations(y, prediction, date, horizon)}


def objective_of(metrics: Metrics, name: str) -> float | None:
    """Returns the value that a search goes by: ic falls back to its pooled form."""
    value = metrics.get(name)
    if value is None and name in ("ic", "rank_ic"):
        value = metrics.get(f"{name}_pooled")
    return value


def number(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


def errors(y: Floats, p: Floats) -> Metrics:
    if len(y) == 0:
        return {"rmse": None, "mae": None, "r2": None}
    total = float(((y - y.mean()) ** 2).sum())
    left = float(((y - p) ** 2).sum())
    return {
        "rmse": number(math.sqrt(left / len(y))),
        "mae": number(float(np.abs(y - p).mean())),
        "r2": number(1.0 - left / total) if total > 0 and len(y) > 1 else None,
    }


def correlations(y: Floats, p: Floats, date: Index, horizon: int) -> Metrics:
    """Returns ic and rank_ic: means over dates of the cross-section's Pearson and Spearman correlation.

    icir = mean(ic) / std(ic, ddof 1) over dates; ic_t = Newey and West (1987) with Bartlett weights up to
    lag horizon - 1, for labels that overlap. Without a date of LEAST_SYMBOLS symbols: pooled over all rows.
    """
    by_date = group_correlation(y, p, date)
    if len(by_date) == 0:
        return {
            "ic": None,
            "rank_ic": None,
            "icir": None,
            "ic_t": None,
            "ic_pooled": pooled(y, p),
            "rank_ic_pooled": pooled(ranks_within(y, date * 0), ranks_within(p, date * 0)),
        }
    ranked = group_correlation(ranks_within(y, date), ranks_within(p, date), date)
    spread = float(by_date.std(ddof=1)) if len(by_date) > 1 else 0.0
    return {
        "ic": number(float(by_date.mean())),
        "rank_ic": number(float(ranked.mean())) if len(ranked) else None,
        "icir": number(float(by_date.mean()) / spread) if spread > 0 else None,
        "ic_t": newey_west_t(by_date, horizon - 1),
        "ic_dates": float(len(by_date)),
    }


def group_correlation(a: Floats, b: Floats, date: Index) -> Floats:
    return dated_correlation(a, b, date)[1]


def dated_correlation(a: Floats, b: Floats, date: Index) -> tuple[Index, Floats]:
    """Returns the dates with enough symbols and no constant side, and Pearson's correlation of each."""
    if len(a) == 0:
        return date[:0], np.empty(0)
    dates, group, counts = np.unique(date, return_inverse=True, return_counts=True)
    a = a - (np.bincount(group, a) / counts)[group]
    b = b - (np.bincount(group, b) / counts)[group]
    va, vb = np.bincount(group, a * a), np.bincount(group, b * b)
    flat = varies(group, a, counts) & varies(group, b, counts)
    kept = (counts >= LEAST_SYMBOLS) & flat & (va > 0) & (vb > 0)
    return dates[kept], np.asarray(np.bincount(group, a * b)[kept] / np.sqrt(va[kept] * vb[kept]))


def varies(group: Index, centred: Floats, counts: Index) -> Mask:
    """Whether a group's values differ at all: what rounding leaves of a constant is not a spread."""
    low, high = np.full(len(counts), np.inf), np.full(len(counts), -np.inf)
    np.minimum.at(low, group, centred)
    np.maximum.at(high, group, centred)
    return np.asarray(high > low)


def ranks_within(x: Floats, date: Index) -> Floats:
    """Returns average ranks from 1 within each date."""
    if len(x) == 0:
        return x
    order = np.lexsort((x, date))
    d, v = date[order], x[order]
    new_date = np.concatenate([[True], np.diff(d) != 0])
    new_tie = new_date | np.concatenate([[True], np.diff(v) != 0])
    at = np.arange(len(x))
    start = np.maximum.accumulate(np.where(new_date, at, 0))
    tie = np.cumsum(new_tie) - 1
    mean = np.bincount(tie, at - start + 1.0) / np.bincount(tie)
    found = np.empty(len(x))
    found[order] = mean[tie]
    return found


def pooled(a: Floats, b: Floats) -> float | None:
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return None
    return number(float(np.corrcoef(a, b)[0, 1]))


def newey_west_t(x: Floats, lags: int) -> float | None:
    """Returns mean(x) over its standard error by Newey and West: (g0 + 2 sum (1 - l / (L + 1)) g_l) / n."""
    n = len(x)
    if n < 2:
        return None
    e = x - x.mean()
    lags = min(max(lags, 0), n - 1)
    variance = float(e @ e) / n
    for lag in range(1, lags + 1):
        variance += 2.0 * (1.0 - lag / (lags + 1.0)) * float(e[lag:] @ e[:-lag]) / n
    return number(float(x.mean()) / math.sqrt(variance / n)) if variance > 0 else None


def classification(y: Floats, p: Floats) -> Metrics:
    """Returns the metrics of probabilities of class 1; a class is 1 from probability 1/2 on."""
    if len(y) == 0:
        return {"accuracy": None, "auc": None, "f1": None, "log_loss": None}
    chosen = p >= 0.5
    true = y == 1.0
    hits = float((chosen & true).sum())
    found, real = float(chosen.sum()), float(true.sum())
    clipped = np.clip(p, EPS, 1.0 - EPS)
    loss = -np.where(true, np.log(clipped), np.log1p(-clipped)).mean()
    return {
        "accuracy": float((chosen == true).mean()),
        "auc": auc(true, p),
        "f1": 2.0 * hits / (found + real) if found + real > 0 else None,
        "log_loss": number(float(loss)),
    }


def auc(true: Mask, p: Floats) -> float | None:
    """Returns the area under the ROC curve, by ranks: ties count half. Null with one class only."""
    ones, zeros = int(true.sum()), int((~true).sum())
    if ones == 0 or zeros == 0:
        return None
    ranks = ranks_within(p, np.zeros(len(p), dtype=np.int64))
    return float((ranks[true].sum() - ones * (ones + 1) / 2.0) / (ones * zeros))


def better_first(name: str) -> float:
    """Returns the sign with which smaller is better: a search minimises sign x value."""
    return 1.0 if name in LOWER_IS_BETTER else -1.0


def shown(metrics: Metrics) -> dict[str, Any]:
    """Returns the metrics for JSON: counts as whole numbers."""
    return {k: int(v) if k == "ic_dates" and v is not None else v for k, v in metrics.items()}
