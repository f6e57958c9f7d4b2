"""The same sweep by us, by vectorbt and by backtesting.py, round by round in turn; prints one JSON line.

Run: npm run bench -- peers
"""

import json
import sys
import warnings
from contextlib import redirect_stderr
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt
from backtest import CORE, DEFAULT, GRID, THREADS, random_panel, seconds
from backtesting import Backtest, Strategy
from berth_backtest.kernel import layout
from berth_backtest.plan import Plan, make_plan
from berth_backtest.kernel.ready import compile_kernel
from berth_backtest.simulate import Simulator, make_simulator
from berth_backtest.spec.parse import parse_spec
from berth_backtest.sweep import metrics_for

ROUNDS = 5  # the best of them counts: others work on the machine too
THEIR_SETS = 20  # vectorbt holds a column of every array for each set and symbol
COSTS = {"fees": 10 / 10_000, "slippage": 5 / 10_000}


def averages(close: Any, window: int) -> Any:
    sums = np.cumsum(np.pad(close, ((1, 0), (0, 0))), axis=0)
    found = np.full(close.shape, np.nan)
    found[window - 1 :] = (sums[window:] - sums[:-window]) / window
    return found


def signals_of(close: Any) -> tuple[Any, Any]:
    """Returns entries and exits by [bar, (set, symbol)], made before the clock runs."""
    above = np.concatenate(
        [averages(close, 5 + i) > averages(close, 60 + 5 * i) for i in range(THEIR_SETS)], axis=1
    )
    change = np.diff(above.astype(np.int8), axis=0, prepend=0)
    return change == 1, change == -1


def three(pf: Any) -> None:
    pf.total_return(), pf.sharpe_ratio(), pf.max_drawdown()


def every(pf: Any) -> None:
    """Asks for the metrics that both have."""
    figures = pf.returns().vbt.returns(freq="1D", year_freq="252D")
    figures.annualized(), figures.annualized_volatility(), figures.sortino_ratio(), figures.calmar_ratio()
    closed = pf.trades.closed
    closed.count(), closed.win_rate(), closed.profit_factor()
    pf.orders.fees.sum(), pf.final_value(), pf.position_coverage()
    three(pf)


def ours_three(plan: Plan, simulator: Simulator, points: Any) -> tuple[Any, ...]:
    """Runs sets and returns the three metrics by [set, symbol]; indicator tables are within."""
    raw, n = simulator.run(points), plan.panel.bars
    mean = raw[..., layout.SUM_R] / n
    spread = np.sqrt((raw[..., layout.SUM_R2] - n * mean * mean) / (n - 1))
    total = raw[..., layout.EQUITY] / plan.spec.execution.cash - 1.0
    return (
        total,
        mean / spread * np.sqrt(plan.periods),
        raw[..., layout.LOW] / raw[..., layout.LOW_PEAK] - 1.0,
    )


def main(bars: int, symbols: int) -> dict[str, float]:
    panel = random_panel(symbols, bars)
    compile_kernel()
    index = pd.date_range("2000-01-03", periods=bars)
    close = np.ascontiguousarray(panel.close.T)
    entries, exits = signals_of(close)
    tiled = pd.DataFrame(np.tile(close, THEIR_SETS), index=index)
    opened = np.tile(panel.open.T, THEIR_SETS)
    late = [np.roll(flags, 1, axis=0) for flags in (entries, exits)]
    for flags in late:
        flags[0] = False
    one = pd.DataFrame(
        {"Open": panel.open[0], "High": panel.high[0], "Low": panel.low[0], "Close": close[:, 0]}, index=index
    )

    def ours(execution: dict[str, Any]) -> float:
        spec = {"data": {"dataset": "sample:indices"}, "strategy": {"name": "sma_cross"}}
        plan = make_plan(parse_spec({**spec, "parameters": GRID, "execution": execution}), panel)
        simulator, points = make_simulator(plan, THREADS), plan.grid.valid_from(0, plan.grid.total)
        run = (
            partial(ours_three, plan, simulator)
            if execution is CORE
            else partial(metrics_for, plan, simulator)
        )
        return len(points) * panel.close.size / seconds(lambda: run(points))

    def core() -> None:
        three(vbt.Portfolio.from_signals(tiled, entries, exits, init_cash=10_000, freq="1D", **COSTS))

    def default() -> None:
        every(
            vbt.Portfolio.from_signals(
                tiled, *late, price=opened, size_granularity=1, init_cash=10_000, freq="1D", **COSTS
            )
        )

    class Cross(Strategy):
        def init(self) -> None:
            pass

        def next(self) -> None:
            t = len(self.data) - 1
            if exits[t, 0] and self.position:
                self.position.close()
            elif entries[t, 0]:
                self.buy(size=0.999)

    best: dict[str, float] = {}
    core()  # compiles
    default()
    for _ in range(ROUNDS):
        rates = {
            "ours_core": ours(CORE),
            "vectorbt_core": tiled.size / seconds(core),
            "ours_default": ours(DEFAULT),
            "vectorbt_default": tiled.size / seconds(default),
            "backtesting": bars / seconds(lambda: Backtest(one, Cross, cash=10_000, commission=0.001).run()),
        }
        best = {name: max(rate, best.get(name, 0.0)) for name, rate in rates.items()}
    figures = {f"{name}_m_per_s": rate / 1e6 for name, rate in best.items()}
    figures["core_over_vectorbt"] = best["ours_core"] / best["vectorbt_core"]
    figures["default_over_vectorbt"] = best["ours_default"] / best["vectorbt_default"]
    figures["default_over_backtesting"] = best["ours_default"] / best["backtesting"]
    return {name: round(value, 3) for name, value in figures.items()}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with Path("/dev/null").open("w") as nowhere, redirect_stderr(nowhere):  # a bar of progress a run
        found = main(int(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps(found))  # noqa: T201
