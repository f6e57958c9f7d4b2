"""From metrics to a ranking: each set's objective over symbols, the best set first."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from berth_backtest.metrics import MINIMISED, NAMES
from berth_backtest.spec.types import Search

Floats = NDArray[np.float64]


def mean_of(values: Floats) -> Floats:
    """Returns means over the symbols of [set, symbol, ...], nulls left out.

    Symbols are added one by one, so that the split of the sets does not change a digit.
    """
    there = ~np.isnan(values)
    known, count = np.where(there, values, 0.0), there.sum(axis=1)
    if len(values) == 1:
        # In the same order from 0 on, without a call for each symbol.
        total = np.add.accumulate(known, axis=1)[:, -1] + 0.0
    else:
        total = np.zeros(values.shape[:1] + values.shape[2:])
        for s in range(values.shape[1]):
            total += known[:, s]
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def objectives(metrics: Floats, search: Search) -> Floats:
    """Returns each set's objective from [set, symbol, metric]; NaN = null."""
    values = metrics[:, :, NAMES.index(search.objective)]
    there = ~np.isnan(values)
    count = there.sum(axis=1)
    if search.aggregate == "mean":
        found = mean_of(values)
    elif search.aggregate == "min":
        found = np.where(count > 0, np.min(np.where(there, values, np.inf), axis=1), np.nan)
    else:
        found = median_of(values, count)
    trades = metrics[:, :, NAMES.index("trades")].sum(axis=1)
    return counted(found, count, values.shape[1], trades, search)


def counted(found: Floats, count: NDArray[Any], symbols: int, trades: Floats, search: Search) -> Floats:
    """Returns objectives, null where too few symbols have one, or there are too few trades."""
    return np.where((2 * count < symbols) | (trades < search.min_trades), np.nan, found)


def median_of(values: Floats, count: NDArray[np.int64]) -> Floats:
    ordered = np.sort(values, axis=1)  # NaN last
    rows = np.arange(len(values))
    lower = ordered[rows, np.maximum(count - 1, 0) // 2]
    upper = ordered[rows, np.minimum(count // 2, values.shape[1] - 1)]
    return np.where(count > 0, (lower + upper) / 2.0, np.nan)


def rank_key(objective: Floats, name: str) -> Floats:
    """Returns what ranks ascend in: null last."""
    key = objective if name in MINIMISED else -objective
    return np.where(np.isnan(key), np.inf, key)


def ranking(objective: Floats, name: str) -> NDArray[np.int64]:
    """Returns the sets from best to worst: null last, ties in the order of the sets."""
    return np.argsort(rank_key(objective, name), kind="stable")
