"""What is done to features before a model sees them, fitted on the rows of a train alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from berth_training.data.frame import Floats, Mask
from berth_training.models.catalogue import CATALOGUE
from berth_training.spec.types import Preprocess


@dataclass(frozen=True)
class Steps:
    """Clip to [low, high], fill what is missing, (x - center) / spread; each by feature or not at all."""

    low: Floats | None
    high: Floats | None
    fill: Floats | None
    center: Floats | None
    spread: Floats | None

    def apply(self, x: Floats) -> Floats:
        if self.low is not None and self.high is not None:
            x = np.clip(x, self.low, self.high)
        if self.fill is not None:
            x = np.where(np.isnan(x), self.fill, x)
        if self.center is not None and self.spread is not None:
            x = (x - self.center) / self.spread
        return x

    def as_json(self) -> dict[str, Any]:
        """Returns exact numbers: JSON keeps every bit of a float64."""
        return {name: None if v is None else [float(x) for x in v] for name, v in vars(self).items()}


NO_STEPS = Steps(None, None, None, None, None)


def steps_from(value: dict[str, Any], features: int) -> Steps:
    """Returns saved steps; raises ValueError for numbers that are not one a feature."""
    arrays = {
        name: None if value[name] is None else np.array(value[name], dtype=np.float64)
        for name in ("low", "high", "fill", "center", "spread")
    }
    for name, other in (("low", "high"), ("center", "spread"), ("fill", "fill")):
        if (arrays[name] is None) != (arrays[other] is None):
            raise ValueError(f"preprocess has one of {name} and {other}")
        if any(x is not None and x.shape != (features,) for x in (arrays[name], arrays[other])):
            raise ValueError(f"preprocess.{name} and {other} must have {features} numbers")
    return Steps(**arrays)


def resolve(given: Preprocess, model: str) -> Preprocess:
    """Returns the steps for a model, its usual ones where the spec leaves them open."""
    scale = given.scale or ("standard" if CATALOGUE[model].scaled else "none")
    return Preprocess(given.impute, scale, given.winsorize)


def fit_steps(given: Preprocess, model: str, x: Floats) -> Steps:
    """Fits on the train's rows; a constant feature has spread 1, as scikit-learn's scalers have it."""
    chosen = resolve(given, model)
    low = high = fill = center = spread = None
    with np.errstate(invalid="ignore"):
        if chosen.winsorize > 0:
            low = np.nan_to_num(nan_quantile(x, chosen.winsorize), nan=-np.inf)
            high = np.nan_to_num(nan_quantile(x, 1.0 - chosen.winsorize), nan=np.inf)
            x = np.clip(x, low, high)
        if chosen.impute is not None:
            fill = filling(chosen.impute, x)
            x = np.asarray(np.where(np.isnan(x), fill, x))
        if chosen.scale != "none":
            center, spread = scaling(str(chosen.scale), x)
    return Steps(low, high, fill, center, spread)


def filling(how: str, x: Floats) -> Floats:
    if how == "zero":
        return np.zeros(x.shape[1])
    there = ~np.isnan(x).all(axis=0)
    found = np.zeros(x.shape[1])  # a feature without any value in this train
    kept = x[:, there]
    found[there] = np.nanmedian(kept, axis=0) if how == "median" else np.nanmean(kept, axis=0)
    return found


def scaling(how: str, x: Floats) -> tuple[Floats, Floats]:
    there = np.asarray(~np.isnan(x).all(axis=0))
    center, spread = np.zeros(x.shape[1]), np.ones(x.shape[1])
    kept = x[:, there]
    if how == "standard":
        center[there], spread[there] = np.nanmean(kept, axis=0), np.nanstd(kept, axis=0)
    else:
        center[there] = np.nanmedian(kept, axis=0)
        spread[there] = np.nanquantile(kept, 0.75, axis=0) - np.nanquantile(kept, 0.25, axis=0)
    # What rounding leaves of a constant's spread is none.
    spread[spread <= 10 * np.finfo(np.float64).eps * np.abs(center)] = 1.0
    return center, spread


def nan_quantile(x: Floats, q: float) -> Floats:
    there = ~np.isnan(x).all(axis=0)
    found = np.full(x.shape[1], np.nan)
    found[there] = np.nanquantile(x[:, there], q, axis=0)
    return found


def usable(x: Floats, model: str) -> Mask:
    """Rows that the model takes: all, or those without a missing feature."""
    if CATALOGUE[model].takes_missing:
        return np.ones(len(x), dtype=np.bool_)
    return np.asarray(~np.isnan(x).any(axis=1))
