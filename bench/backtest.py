"""Sweeps in the kernel and in NumPy, round by round in turn; prints one JSON line.

Run: npm run bench -- backtest
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from berth_backtest.data.panel import Panel
from berth_backtest.plan import make_plan
from berth_backtest.kernel.ready import compile_kernel
from berth_backtest.simulate import make_simulator
from berth_backtest.spec.parse import parse_spec

ROUNDS = 5  # the best of them counts: others work on the machine too
THREADS = 2
NUMPY_SETS = 20  # a NumPy set takes a thousand times a kernel's
GRID = {"fast": {"range": [5, 60, 1]}, "slow": {"range": [10, 240, 5]}}
CORE = {"fill": "close", "fractional": True}
DEFAULT = {"fill": "next_open", "fee_min": 1}
SWEEPS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "core": ("sma_cross", GRID, CORE),
    "default": ("sma_cross", GRID, DEFAULT),
    "default_stop": ("sma_cross", {**GRID, "stop_loss": 0.05}, DEFAULT),
    "rsi": (
        "rsi",
        {"window": {"range": [5, 60, 1]}, "lower": {"range": [20, 40, 1]}, "upper": {"values": [60, 70]}},
        CORE,
    ),
    "bollinger": ("bollinger", {"window": {"range": [5, 200, 1]}, "width": {"range": [1, 3, 0.2]}}, CORE),
    "donchian": ("donchian", {"window": {"range": [5, 200, 2]}, "exit": {"range": [5, 60, 2]}}, CORE),
}


def random_panel(symbols: int, bars: int) -> Panel:
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(rng.normal(0.0003, 0.012, (symbols, bars)), axis=1))
    open_ = close * np.exp(rng.normal(0, 0.003, (symbols, bars)))
    high, low = np.maximum(open_, close) * 1.004, np.minimum(open_, close) * 0.996
    own = {"open": open_, "high": high, "low": low, "close": close}
    return Panel(
        symbols=tuple(f"S{i}" for i in range(symbols)),
        dates=np.arange(bars) * 86_400_000_000,
        dated=True,
        open=open_,
        high=high,
        low=low,
        close=close,
        state=np.ones((symbols, bars), np.int8),
        has_open=True,
        has_range=True,
        delisted=np.full(symbols, bars),
        volume=None,
        own={name: values.reshape(-1) for name, values in own.items()},
        own_row=np.tile(np.arange(bars) + 1, symbols),
        own_start=np.arange(symbols + 1) * bars,
        actions=np.empty((0, 4)),
        hashing=str,
        warnings=(),
    )


def numpy_core(close: Any) -> int:
    """Runs sets of the core sweep with array operations; returns its bar-updates."""
    sums = np.cumsum(np.pad(close, ((0, 0), (1, 0))), axis=1)

    def mean(n: int) -> Any:
        return (sums[:, n:] - sums[:, :-n]) / n

    for i in range(NUMPY_SETS):
        fast, slow = 5 + i, 60 + 5 * i
        above = mean(fast)[:, slow - fast :] > mean(slow)
        growth = close[:, slow:] / close[:, slow - 1 : -1]
        returns = np.where(above[:, :-1], growth, 1.0) - 1.0
        equity = np.cumprod(1.0 + returns, axis=1)
        (equity / np.maximum.accumulate(equity, axis=1)).min(axis=1)
        returns.sum(axis=1)
        (returns * returns).sum(axis=1)
        np.diff(above, axis=1).sum(axis=1)
    return NUMPY_SETS * close.size


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main(bars: int, symbols: int) -> dict[str, float]:
    panel = random_panel(symbols, bars)
    compile_kernel()
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        took = seconds(lambda: numpy_core(panel.close))
        rates = {"numpy": NUMPY_SETS * panel.close.size / took}
        for name, (strategy, parameters, execution) in SWEEPS.items():
            spec = {"data": {"dataset": "sample:indices"}, "strategy": {"name": strategy}}
            plan = make_plan(parse_spec({**spec, "parameters": parameters, "execution": execution}), panel)
            simulator = make_simulator(plan, THREADS)
            points = plan.grid.valid_from(0, plan.grid.total)
            took = seconds(lambda simulator=simulator, points=points: simulator.run(points))
            rates[name] = len(points) * panel.close.size / took
        best = {name: max(rate, best.get(name, 0.0)) for name, rate in rates.items()}
    figures = {f"{name}_g_per_s": round(rate / 1e9, 4) for name, rate in best.items()}
    return figures | {"core_over_numpy": round(best["core"] / best["numpy"], 1)}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201
