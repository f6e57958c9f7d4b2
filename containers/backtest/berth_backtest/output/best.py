"""The second pass: whole runs of the best sets, written rank by rank."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
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
from berth_backtest.record import Recording, parts_of, record
from berth_backtest.simulate import Simulator

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
    out: Path, plan: Plan, simulator: Simulator, ranked: Index, keep: int, others: Callable[[Best], None]
) -> Best:
    """Writes trades.parquet and equity.parquet of the first `keep` sets; returns rank 1.

    `others` does what else is to be done with it, beside its curves: Arrow writes without the interpreter.
    """
    if keep == 0:
        best = best_of(plan, recorded(simulator, int(ranked[0])))
        others(best)
        return best
    found: list[Best] = []

    def write(trades_part: Path, equity_part: Path) -> None:
        with (
            open_parquet(equity_part, equity_schema(plan)) as equity,
            open_parquet(trades_part, trade_schema(plan)) as trades,
            ThreadPoolExecutor(1) as beside,
        ):
            files = Files(trades.write_table, equity.write_table, beside, [])
            for rank, point in enumerate(ranked[:keep], 1):
                written = writing(plan, rank, recorded(simulator, int(point)), files)
                if rank == 1:
                    found.append(best_of(plan, written))
                    others(found[0])
                for _ in written:
                    pass
            files.wait()

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
    for symbols in parts_of(simulator):
        yield symbols, record(simulator, point, symbols)


@dataclass(frozen=True)
class Files:
    """Where a run's trades and curves are written, and what is not written yet."""

    trades: Callable[[Any], None]
    equity: Callable[[Any], None]
    beside: Executor
    waiting: list[Future[None]]

    def wait(self) -> None:
        while self.waiting:
            self.waiting.pop(0).result()


def writing(plan: Plan, rank: int, runs: Iterator[Run], files: Files) -> Iterator[Run]:
    """Yields the parts of a run while they are written, one at a time: more would fill the memory."""

    def write_curves(tables: Iterator[Any]) -> None:
        for table in tables:
            files.equity(table)

    for symbols, run in runs:
        tables = equity_tables(plan, rank, symbols, run)
        # What is written first is made here: two threads that are both in Python wait for one another.
        first = next(tables)
        files.wait()
        files.waiting.append(files.beside.submit(write_curves, chain([first], tables)))
        files.waiting.append(files.beside.submit(files.trades, trade_table(plan, rank, run)))
        yield symbols, run


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
