"""Real prices, our runs on them, and signals that are made without our code."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import berth_backtest
import numpy as np
import pandas as pd
import pyarrow.parquet as papq
import talib

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
NEAR = 1e-9  # relative: what conventions that coincide must agree to
CASH = 10_000.0
YEAR = 252
CLOSES = [("sp500-20", symbol) for symbol in ("AAPL", "KO", "XOM")]
BARS = [("indices", symbol) for symbol in ("SP500", "NASDAQ")]


@dataclass(frozen=True)
class Ours:
    metrics: dict[str, float]
    equity: pd.Series
    trades: pd.DataFrame  # closed ones


def prices(sample: str, symbol: str) -> pd.DataFrame:
    """Returns a symbol's bars by date, as the samples hold them (see berth_backtest.samples)."""
    frame = papq.read_table(SAMPLES / f"{sample}.parquet").to_pandas()
    frame = frame[frame["symbol"] == symbol].drop(columns="symbol")
    frame.index = pd.DatetimeIndex(pd.to_datetime(frame.pop("date")))
    return frame


def ours(
    sample: str, symbol: str, name: str, parameters: dict[str, Any], execution: dict[str, Any], **more: Any
) -> Ours:
    """Runs one set of a built-in strategy."""
    spec = {
        "data": {"dataset": f"sample:{sample}", "symbols": [symbol]},
        "strategy": {"name": name, **more.pop("strategy", {})},
        "parameters": parameters,
        "execution": {"cash": CASH, "fee_bps": 0, "slippage_bps": 0, **execution},
        "output": {"top_k": 1, "tearsheet": False, "look_ahead_check": False, "robustness": False},
        **more,
    }
    found = berth_backtest.run(spec, threads=1)
    trades = found.trades
    return Ours(
        metrics=dict(found.metrics.iloc[0]),
        equity=pd.Series(found.equity["equity"].to_numpy(), index=pd.DatetimeIndex(found.equity["date"])),
        trades=trades[~trades["open"]].reset_index(drop=True),
    )


def means(values: Any, window: int) -> Any:
    """Returns averages that are each summed anew: running sums would not tell what is equal."""
    parts = np.lib.stride_tricks.sliding_window_view(np.asarray(values), window)
    return np.concatenate([np.full(window - 1, np.nan), parts.mean(axis=1)])


def began(state: Any, defined: Any) -> Any:
    """Returns the bars on which a state begins: it held not on the bar before, and both are defined."""
    before = np.concatenate([[False], state[:-1]])
    known = defined & np.concatenate([[False], defined[:-1]])
    return state & ~before & known


def crosses(close: Any, fast: int, slow: int) -> tuple[Any, Any, Any, Any]:
    """Returns long entries and exits, short entries and exits of two averages."""
    quick, calm = means(close, fast), means(close, slow)
    defined = ~np.isnan(calm)
    equal = np.abs(quick - calm) <= 1e-12 * calm
    above, below = defined & (quick > calm) & ~equal, defined & (quick < calm) & ~equal
    return began(above, defined), began(~above, defined), began(below, defined), began(~below, defined)


def held(enter: Any, leave: Any) -> tuple[Any, Any]:
    """Returns the bars on which a state begins by `enter` and ends by `leave`."""
    entries, exits, state = np.zeros(len(enter), dtype=bool), np.zeros(len(enter), dtype=bool), False
    for t in range(len(enter)):
        if state and leave[t]:
            exits[t], state = True, False
        elif not state and enter[t]:
            entries[t], state = True, True
    return entries, exits


def signals(name: str, frame: pd.DataFrame) -> tuple[Any, Any, dict[str, Any]]:
    """Returns the long entries and exits of a strategy with the parameters that go with them."""
    close = frame["close"].to_numpy()
    if name == "sma_cross":
        entries, exits, _, _ = crosses(close, 20, 60)
        return entries, exits, {"fast": 20, "slow": 60}
    if name == "rsi":
        value = talib.RSI(close, 14)
        entries, exits = held(began(value < 30, ~np.isnan(value)), value >= 50)
        return entries, exits, {"window": 14, "lower": 30, "exit": 50}
    if name == "bollinger":
        upper, middle, _ = talib.BBANDS(close, 20, 1, 1)
        z = (close - middle) / (upper - middle)
        entries, exits = held(began(z < -2, ~np.isnan(z)), z >= 0)
        return entries, exits, {"window": 20, "width": 2}
    high, low = frame.get("high", frame["close"]), frame.get("low", frame["close"])
    top, bottom = high.rolling(20).max().shift(1).to_numpy(), low.rolling(10).min().shift(1).to_numpy()
    entries, exits = held(began(close > top, ~np.isnan(top)), close < bottom)
    return entries, exits, {"window": 20, "exit": 10}


def later(flags: Any) -> Any:
    """Returns signals a bar later: decided at a close, filled at the next bar."""
    return np.concatenate([[False], flags[:-1]])
