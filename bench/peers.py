"""The same sweep by us, by vectorbt and by backtesting.py, round by round in turn; prints one JSON line.

Ours and vectorbt's begin with prices and end with metrics by set and symbol: averages, crossings, trades and metrics are within. What
vectorbt makes of signals that are there already is told beside it (`given_signals`): nobody sweeps so, but it is its kernel alone.

Run: npm run bench -- peers
"""

import json
import sys
import warnings
from contextlib import redirect_stderr
from functools import partial
from itertools import product
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
# vectorbt holds a column of every array for each set and symbol; nine averages serve 20 sets, as they would in a larger grid.
FAST, SLOW = (5, 10, 15, 20), (60, 90, 120, 150, 200)
COSTS = {"fees": 10 / 10_000, "slippage": 5 / 10_000}


def crossings(close: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns entries and exits by [bar, (set, symbol)], as vectorbt's own guide makes them, each average once."""
    fast, slow = zip(*product(FAST, SLOW), strict=True)
    first = vbt.MA.run(close, list(fast), run_unique=True, short_name="fast")
    second = vbt.MA.run(close, list(slow), run_unique=True, short_name="slow")
    return first.ma_crossed_above(second), first.ma_crossed_below(second)


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
    own = [np.ascontiguousarray(values.T) for values in (panel.open, panel.high, panel.low, panel.close)]
    opened, high, low, close = (pd.DataFrame(values, index, list(panel.symbols)) for values in own)
    given = [flags.to_numpy() for flags in crossings(close)]
    sets = len(FAST) * len(SLOW)
    tiled = pd.DataFrame(np.tile(close, sets), index=index)
    tiled_open = np.tile(opened, sets)
    late = [np.roll(flags, 1, axis=0) for flags in given]
    for flags in late:
        flags[0] = False
    ours_of = {"Open": opened, "High": high, "Low": low, "Close": close}
    one = pd.DataFrame({name: values.iloc[:, 0] for name, values in ours_of.items()})
    entries, exits = (flags[:, 0] for flags in given)

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

    def core(prices: Any, signals: Any) -> None:
        three(vbt.Portfolio.from_signals(prices, *signals, init_cash=10_000, freq="1D", **COSTS))

    def default(prices: Any, signals: Any, price: Any) -> None:
        every(
            vbt.Portfolio.from_signals(
                prices, *signals, price=price, size_granularity=1, init_cash=10_000, freq="1D", **COSTS
            )
        )

    def core_from_prices() -> None:
        core(close, crossings(close))

    def default_from_prices() -> None:
        default(close, [flags.vbt.fshift(1, fill_value=False) for flags in crossings(close)], opened)

    def core_given_signals() -> None:
        core(tiled, given)

    def default_given_signals() -> None:
        default(tiled, late, tiled_open)

    class Cross(Strategy):
        def init(self) -> None:
            pass

        def next(self) -> None:
            t = len(self.data) - 1
            if exits[t] and self.position:
                self.position.close()
            elif entries[t]:
                self.buy(size=0.999)

    theirs = {
        "vectorbt_core": core_from_prices,
        "vectorbt_default": default_from_prices,
        "vectorbt_core_given_signals": core_given_signals,
        "vectorbt_default_given_signals": default_given_signals,
    }
    for each in theirs.values():  # compiles
        each()
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        rates = {
            "ours_core": ours(CORE),
            "ours_default": ours(DEFAULT),
            **{name: tiled.size / seconds(each) for name, each in theirs.items()},
            "backtesting": bars / seconds(lambda: Backtest(one, Cross, cash=10_000, commission=0.001).run()),
        }
        best = {name: max(rate, best.get(name, 0.0)) for name, rate in rates.items()}
    figures = {f"{name}_m_per_s": rate / 1e6 for name, rate in best.items()}
    for name in theirs:
        profile = "core" if "core" in name else "default"
        figures[f"{name.replace('vectorbt_', '').replace(profile, f'{profile}_over_vectorbt')}"] = (
            best[f"ours_{profile}"] / best[name]
        )
    figures["default_over_backtesting"] = best["ours_default"] / best["backtesting"]
    return {name: round(value, 3) for name, value in figures.items()}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with Path("/dev/null").open("w") as nowhere, redirect_stderr(nowhere):  # a bar of progress a run
        found = main(int(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps(found))  # noqa: T201
