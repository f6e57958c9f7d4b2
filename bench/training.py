"""Training beside the libraries it uses, called directly, in one run; prints one JSON line.

Run: npm run bench -- training
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the program has it

import numpy as np
import pandas as pd
import xgboost
from backtest import random_panel
from berth_backtest.report import Stop
from berth_training.features.compute import feature_grid
from berth_training.kept import Kept, Store
from berth_training.models.fit import Job, fit_model
from berth_training.models.load import load_model
from berth_training.models.save import save_model
from berth_training.spec.parse import parse_spec
from berth_training.spec.types import Model, Preprocess
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

THREADS = 2
FEATURES = 28
BOOSTING_ROUNDS = 100
SINGLE = 1_000  # predictions of one row
SYMBOLS = 200
SPEC: dict[str, Any] = {
    "data": {"dataset": "sample:indices"},
    "features": [
        {"name": "ret", "lags": [1, 2, 5, 10, 20]},
        {"name": "volatility", "window": 20},
        {"name": "volatility", "window": 60},
        {"name": "rsi", "window": 14},
        {"name": "zscore", "window": 20},
        {"name": "zscore", "window": 60},
        {"name": "sma", "window": 20},
        {"name": "sma", "window": 60},
        {"name": "ema", "window": 12},
        {"name": "ema", "window": 26},
        {"name": "lag", "column": "close", "lags": [1]},
        {"name": "rank", "of": {"name": "ret", "lags": [5, 20]}},
        {"name": "rank", "of": {"name": "volatility", "window": 20}},
        {"name": "calendar", "parts": ["weekday", "month"]},
    ],
    "target": {"name": "forward_return"},
    "model": {"name": "ridge"},
}


def pandas_features(frame: Any) -> Any:
    """The same features as they are written in pandas, on a frame sorted by symbol and date."""
    close = frame.groupby("symbol")["close"]
    found = pd.DataFrame(index=frame.index)
    for lag in (1, 2, 5, 10, 20):
        found[f"ret_{lag}"] = close.pct_change(lag)
    returns = found["ret_1"].groupby(frame["symbol"])
    for window in (20, 60):
        found[f"volatility_{window}"] = returns.transform(lambda x, w=window: x.rolling(w).std())
        found[f"sma_{window}"] = close.transform(lambda x, w=window: x.rolling(w).mean())
        found[f"zscore_{window}"] = close.transform(
            lambda x, w=window: (x - x.rolling(w).mean()) / x.rolling(w).std(ddof=0)
        )
    found["rsi_14"] = close.transform(rsi)
    for window in (12, 26):
        found[f"ema_{window}"] = close.transform(lambda x, w=window: x.ewm(span=w, adjust=False).mean())
    found["close_lag_1"] = close.shift(1)
    for name in ("ret_5", "ret_20", "volatility_20"):
        found[f"rank_{name}"] = found[name].groupby(frame["date"]).rank(pct=True)
    found["weekday"] = frame["date"].dt.day_of_week
    found["month"] = frame["date"].dt.month
    return found


def rsi(close: Any) -> Any:
    change = close.diff()
    up = change.clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
    down = (-change.clip(upper=0)).ewm(alpha=1 / 14, adjust=False).mean()
    return 100 - 100 / (1 + up / down)


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def best(figures: dict[str, float], name: str, took: float) -> None:
    figures[name] = min(took, figures.get(name, float("inf")))


def time_features(rows: int, rounds: int) -> dict[str, float]:
    panel = random_panel(SYMBOLS, rows // SYMBOLS)
    columns = parse_spec(SPEC).features
    assert len(columns) == 20
    frame = pd.DataFrame(
        {
            "date": np.tile(panel.dates.astype("datetime64[us]"), SYMBOLS),
            "symbol": np.repeat(panel.symbols, panel.bars),
            "close": panel.close.reshape(-1),
        }
    )
    found: dict[str, float] = {}
    feature_grid(panel, columns, THREADS)  # compiled
    for _ in range(rounds):
        best(found, "features_s", seconds(lambda: feature_grid(panel, columns, THREADS)))
        best(found, "pandas_features_s", seconds(lambda: pandas_features(frame)))
    compare(
        feature_grid(panel, columns, THREADS),
        pandas_features(frame),
        [c.name for c in columns],
    )
    return found | {"features_over_pandas": found["pandas_features_s"] / found["features_s"]}


def compare(ours: Any, theirs: Any, names: list[str]) -> None:
    """Both must have made the same, where both define it alike; ranks and averages begin differently."""
    late = ours.shape[1] // 2
    for i, name in enumerate(names):
        if not name.startswith("rank"):
            other = theirs[name].to_numpy(dtype=np.float64).reshape(ours.shape[:2])
            np.testing.assert_allclose(ours[:, late:, i], other[:, late:], rtol=1e-6, err_msg=name)


def time_models(rows: int, rounds: int) -> dict[str, float]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, FEATURES))
    y = x[:, 0] - 0.5 * x[:, 1] * x[:, 2] + rng.normal(size=rows)
    date = np.arange(rows) // 100
    job = Job("regression", Preprocess(None, None, 0.0), 1, THREADS, "cpu", 1)
    direct: dict[str, Callable[[], Any]] = {
        "xgboost": lambda: xgboost.XGBRegressor(
            n_estimators=BOOSTING_ROUNDS,
            max_depth=6,
            tree_method="hist",
            n_jobs=THREADS,
        ),
        "gradient_boosting": lambda: HistGradientBoostingRegressor(
            max_iter=BOOSTING_ROUNDS, early_stopping=False, random_state=1
        ),
    }
    given = {
        "xgboost": {"n_estimators": BOOSTING_ROUNDS, "max_depth": 6},
        "gradient_boosting": {"max_iter": BOOSTING_ROUNDS},
    }
    found: dict[str, float] = {}
    kept: dict[str, Any] = {}
    for turn in range(rounds):
        for name, made in direct.items():

            def ours(name: str = name) -> None:
                store = Kept(Store(None, "", 60.0, Stop(), time.monotonic))
                kept[name] = fit_model(job, Model(name, given[name], "model"), {}, x, y, date, store)

            def theirs(name: str = name, made: Callable[[], Any] = made) -> None:
                kept[f"direct_{name}"] = made().fit(x, y)

            both = {name: ours, f"direct_{name}": theirs}
            turns = list(both) if turn % 2 == 0 else list(both)[::-1]
            for who in turns:
                best(found, f"{who}_fit_s", seconds(both[who]))
            for who in turns:
                best(found, f"{who}_predict_s", seconds(lambda who=who: kept[who].predict(x)))
    for name in direct:
        for what in ("fit", "predict"):
            found[f"{name}_{what}_over_direct"] = found[f"direct_{name}_{what}_s"] / found[f"{name}_{what}_s"]
    return found | single(kept["xgboost"], x)


def single(fitted: Any, x: Any) -> dict[str, float]:
    """Predicts one row after the other with the model as it is read back from its files."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    about = {"kind": "regression", "features": [f"f{i}" for i in range(FEATURES)]}
    with TemporaryDirectory() as folder:
        save_model(Path(folder), fitted, about)
        loaded = load_model(folder)
    took = sorted(seconds(lambda i=i: loaded.predict(x[i : i + 1])) for i in range(SINGLE))
    return {
        "single_prediction_p50_ms": took[SINGLE // 2] * 1e3,
        "single_prediction_p99_ms": took[-10] * 1e3,
    }


def main(rows: int, rounds: int) -> dict[str, float]:
    with threadpool_limits(limits=THREADS):
        figures = time_features(rows, rounds) | time_models(rows, rounds)
    return {name: round(value, 4) for name, value in figures.items()}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201
