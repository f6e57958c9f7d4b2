"""What comes after a bar's close: the only code that looks ahead, and only the target may use it."""

import numpy as np
from berth_backtest.data.panel import Panel
from berth_backtest.errors import invalid
from numpy.typing import NDArray

from berth_training.features.compute import feature_planes
from berth_training.spec.types import Column, Target

Floats = NDArray[np.float64]


def target_grid(panel: Panel, target: Target) -> tuple[Floats, str]:
    """Returns [symbol, bar] and the entry used.

    forward_return: close[t+h] / open[t+1] - 1 (`next_open`) or close[t+h] / close[t] - 1 (`close`), t in
    the run's dates, prices adjusted for splits and dividends; as a class 1 if > 0, else 0.
    """
    entry = entry_of(panel, target)
    close = own_grid(panel, "close")
    found = np.full(close.shape, np.nan)
    h, n = target.horizon, panel.bars
    if n > h:
        start = own_grid(panel, "open")[:, 1 : n - h + 1] if entry == "next_open" else close[:, : n - h]
        found[:, : n - h] = close[:, h:] / start - 1.0
    if target.kind == "classification":
        found = np.where(np.isnan(found), np.nan, (found > 0).astype(np.float64))
    return found, entry


def entry_of(panel: Panel, target: Target) -> str:
    if target.entry == "next_open" and not panel.has_open:
        text = 'next_open needs a column open, which the data lacks: use "close"'
        raise invalid("target.entry", text)
    return target.entry or ("next_open" if panel.has_open else "close")


def own_grid(panel: Panel, name: str) -> Floats:
    """Returns adjusted prices by [symbol, bar of the run]."""
    planes = feature_planes(panel, (Column(name, "lag", (name,), (), 0, False, "target"),))
    return planes.reshape(planes.shape[1:])
