"""The tests one after the other, each from the equity at the end of the one before: what is out of sample."""

import copy
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel import layout
from berth_backtest.metrics import metrics_of
from berth_backtest.output.best import Best, best_of
from berth_backtest.plan import Plan
from berth_backtest.record import Recording, join, record
from berth_backtest.simulate import Simulator, make_simulator
from berth_backtest.walk.folds import Fold, plan_of

Floats = NDArray[np.float64]

# Fields of `raw` that are sums over bars or trades; the others follow from the chained equity.
ADDED = (
    *(layout.SUM_R, layout.SUM_R2, layout.SUM_D2, layout.SUM_E, layout.HELD, layout.FEES, layout.TRADED),
    *(layout.TRADES, layout.WINS, layout.GAINS, layout.LOSSES, layout.TIES, layout.DELISTED),
    *layout.REJECTED.values(),
)


@dataclass(frozen=True)
class Chain:
    """The chained tests as one run of their dates."""

    plan: Plan
    run: Recording
    best: Best
    folds: tuple[Floats, ...]  # [account, metric] of each fold's test


def run_chain(plan: Plan, folds: tuple[Fold, ...], points: list[int], threads: int) -> Chain:
    """Runs each fold's choice over its test."""
    cash = np.full(len(plan.accounts), plan.spec.execution.cash)
    first = folds[0].test[0]
    runs, found = [], []
    for fold, point in zip(folds, points, strict=True):
        part = plan_of(plan, fold.test)
        run = run_from(make_simulator(part, threads), point, cash)
        found.append(metrics_from(part, run.raw, cash))
        runs.append(moved(run, fold.test[0] - first))
        cash = run.equity[-1]
    whole = plan_of(plan, (first, folds[-1].test[1]))
    run = Recording(
        chained_raw(runs, plan.spec.execution.cash),
        np.concatenate([run.equity for run in runs]),
        np.concatenate([run.units for run in runs]),
        np.concatenate([run.trades for run in runs]),
        sum(run.fills for run in runs),
        None,
    )
    every = metrics_from(whole, run.raw, np.full(len(plan.accounts), plan.spec.execution.cash))
    return Chain(whole, run, best_of(whole, [(range(len(whole.panel.symbols)), run)], every), tuple(found))


def run_from(simulator: Simulator, point: int, cash: Floats) -> Recording:
    """Returns a set's run where each account begins with its own cash."""
    if simulator.shared:
        return record(with_cash(simulator, float(cash[0])), point)
    each = [partial(run_account, simulator, s, point, float(x)) for s, x in enumerate(cash)]
    return join(simulator.each(each))


def run_account(simulator: Simulator, s: int, point: int, cash: float) -> Recording:
    return record(with_cash(simulator, cash), point, [s])


def with_cash(simulator: Simulator, cash: float) -> Simulator:
    """Returns the same simulator with another cash at the start; with none it is ruined at once."""
    other = copy.copy(simulator)
    other.rules, other.recorded = simulator.rules.copy(), None
    other.rules[layout.START_CASH] = cash
    return other


def metrics_from(plan: Plan, raw: Floats, cash: Floats) -> Floats:
    """Returns [account, metric]; each account's returns are of the cash that it began with."""
    bars, periods, free = plan.panel.bars, plan.periods, plan.spec.risk_free
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack(
            [metrics_of(raw[i : i + 1], bars, float(cash[i]), periods, free)[0] for i in range(len(raw))]
        )


def moved(run: Recording, bars: int) -> Recording:
    """Returns a run whose trades are counted from an earlier bar."""
    trades = run.trades.copy()
    for column in (layout.T_ENTRY_BAR, layout.T_EXIT_BAR):
        trades[:, column] += np.where(trades[:, column] >= 0, bars, 0)
    return replace(run, trades=trades)


def chained_raw(runs: list[Recording], cash: float) -> Floats:
    """Returns the sums of all runs as of one."""
    raw = np.zeros_like(runs[0].raw)
    for field in ADDED:
        for run in runs:
            raw[:, field] += run.raw[:, field]
    equity = np.concatenate([run.equity for run in runs])
    peak = np.maximum(np.maximum.accumulate(equity, axis=0), cash)
    low = np.argmin(equity / peak, axis=0)
    accounts = np.arange(equity.shape[1])
    raw[:, layout.LOW], raw[:, layout.LOW_PEAK] = equity[low, accounts], peak[low, accounts]
    raw[:, layout.MAX_BELOW] = [longest(below) for below in (equity < peak).T]
    raw[:, layout.EQUITY] = equity[-1]
    raw[:, layout.RUINED] = np.max([run.raw[:, layout.RUINED] for run in runs], axis=0)
    return raw


def longest(flags: NDArray[np.bool_]) -> int:
    """Returns the length of the longest run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))
