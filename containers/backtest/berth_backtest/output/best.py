"""The second pass: whole runs of the best sets, written rank by rank."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from berth_backtest.checkpoint import write_atomically
from berth_backtest.kernel import layout
from berth_backtest.metrics import metrics_of
from berth_backtest.output.exposure import add_held
from berth_backtest.output.tables import (
    equity_schema,
    equity_tables,
    open_parquet,
    trade_schema,
    trade_table,
    write_parquet,
)
from berth_backtest.plan import Plan
from berth_backtest.simulate import Recording, Simulator

Index = NDArray[np.int64]
Floats = NDArray[np.float64]
Run = tuple[Sequence[int], Recording]  # of some symbols


@dataclass(frozen=True)
class Best:
    """Rank 1, for the result and the tear sheet."""

    metrics: Floats  # [account, metric]
    equity: Floats  # [bar]: the sum over the accounts
    trades: Floats  # [trade, column] as recorded
    long: Floats  # [bar]: value of what is held long ...
    short: Floats  # ... and short, negative
    fills: int
    rejected: dict[str, int]

    @property
    def closed(self) -> Floats:
        return self.trades[self.trades[:, layout.T_EXIT_BAR] >= 0]

    @property
    def trade_returns(self) -> Floats:
        """Those of closed trades."""
        return np.asarray(self.closed[:, layout.T_PNL] / self.closed[:, layout.T_VALUE])


def write_best(
    out: Path, plan: Plan, simulator: Simulator, ranked: Index, keep: int, others: Callable[[], None]
) -> Best:
    """Writes trades.parquet and equity.parquet of the first `keep` sets; returns rank 1.

    `others` writes other files: beside the first curves, for Arrow writes without the interpreter.
    """
    if keep == 0:
        others()
        return best_of(plan, recorded(simulator, int(ranked[0])))
    found: list[Best] = []
    waiting = [others]

    def write(trades_part: Path, equity_part: Path) -> None:
        with (
            open_parquet(trades_part, trade_schema(plan)) as trades,
            open_parquet(equity_part, equity_schema(plan)) as equity,
            ThreadPoolExecutor(1) as beside,
        ):
            for rank, point in enumerate(ranked[:keep], 1):
                runs = recorded(simulator, int(point))
                written = writing(plan, rank, runs, trades.write_table, equity.write_table, beside, waiting)
                if rank == 1:
                    found.append(best_of(plan, written))
                for _ in written:
                    pass

    write_atomically(
        out / "trades.parquet",
        lambda trades: write_atomically(out / "equity.parquet", lambda equity: write(trades, equity)),
    )
    return found[0]


def write_run(out: Path, plan: Plan, run: Recording) -> None:
    """Writes trades.parquet and equity.parquet of one run, as rank 1."""
    write_parquet(out / "trades.parquet", trade_schema(plan), iter([trade_table(plan, 1, run)]))
    tables = equity_tables(plan, 1, range(len(plan.panel.symbols)), run)
    write_parquet(out / "equity.parquet", equity_schema(plan), tables)


def recorded(simulator: Simulator, point: int) -> Iterator[Run]:
    """Yields a set's run by some symbols at a time."""
    for symbols in simulator.parts():
        yield symbols, simulator.record(point, symbols)


def writing(
    plan: Plan,
    rank: int,
    runs: Iterator[Run],
    trades: Callable[[Any], None],
    equity: Callable[[Any], None],
    beside: Executor,
    waiting: list[Callable[[], None]],
) -> Iterator[Run]:
    """Yields the parts of a run as they are written, the curves beside what is done with a part.

    What is waiting is called once a part's curves are on their way.
    """

    def write_curves(symbols: Sequence[int], run: Recording) -> None:
        for table in equity_tables(plan, rank, symbols, run):
            equity(table)

    for symbols, run in runs:
        curves = beside.submit(write_curves, symbols, run)
        trades(trade_table(plan, rank, run))
        yield symbols, run
        while waiting:
            waiting.pop()()
        curves.result()


def best_of(plan: Plan, runs: Iterable[Run], metrics: Floats | None = None) -> Best:
    """Returns what is shown of the best set; `metrics` where they are not those of the run's own cash."""
    n, cash = plan.panel.bars, plan.spec.execution.cash
    equity, long, short = np.zeros(n), np.zeros(n), np.zeros(n)
    raws, trades, fills = [], [], 0
    for symbols, run in runs:
        # One account after the other, so that no digit depends on the parts.
        for account in range(run.equity.shape[1]):
            equity += run.equity[:, account]
        add_held(plan.panel, symbols, run.units, long, short)
        raws.append(run.raw)
        trades.append(run.trades)
        fills += run.fills
    raw = np.concatenate(raws)
    if metrics is None:
        metrics = metrics_of(raw, n, cash, plan.periods, plan.spec.risk_free)
    return Best(
        metrics=metrics,
        equity=equity,
        trades=np.concatenate(trades),
        long=long,
        short=short,
        fills=fills,
        rejected={
            name: int(raw[:, field].sum()) for name, field in layout.REJECTED.items() if raw[:, field].any()
        },
    )
