"""The second pass: whole runs of the best sets, written rank by rank."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as papq
from numpy.typing import NDArray

from berth_backtest.checkpoint import write_atomically
from berth_backtest.kernel import layout
from berth_backtest.metrics import metrics_of
from berth_backtest.output.exposure import held_values
from berth_backtest.output.tables import (
    equity_schema,
    equity_tables,
    trade_schema,
    trade_table,
    write_parquet,
)
from berth_backtest.plan import Plan
from berth_backtest.simulate import Recording, Simulator

Index = NDArray[np.int64]
Floats = NDArray[np.float64]


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


def write_best(out: Path, plan: Plan, simulator: Simulator, ranked: Index, keep: int) -> Best:
    """Writes trades.parquet and equity.parquet of the first `keep` sets; returns rank 1."""
    if keep == 0:
        return best_of(plan, simulator.record(int(ranked[0])))
    found: list[Best] = []

    def write(trades_part: Path, equity_part: Path) -> None:
        with (
            papq.ParquetWriter(trades_part, trade_schema(plan), compression="zstd") as trades,
            papq.ParquetWriter(equity_part, equity_schema(plan), compression="zstd") as equity,
        ):
            for rank, point in enumerate(ranked[:keep], 1):
                run = simulator.record(int(point))
                if rank == 1:
                    found.append(best_of(plan, run))
                trades.write_table(trade_table(plan, rank, run))
                for tables in equity_tables(plan, rank, run):
                    equity.write_table(tables)

    write_atomically(
        out / "trades.parquet",
        lambda trades: write_atomically(out / "equity.parquet", lambda equity: write(trades, equity)),
    )
    return found[0]


def write_run(out: Path, plan: Plan, run: Recording) -> None:
    """Writes trades.parquet and equity.parquet of one run, as rank 1."""
    write_parquet(out / "trades.parquet", trade_schema(plan), iter([trade_table(plan, 1, run)]))
    write_parquet(out / "equity.parquet", equity_schema(plan), equity_tables(plan, 1, run))


def best_of(plan: Plan, run: Recording, metrics: Floats | None = None) -> Best:
    """Returns what is shown of the best set; `metrics` where they are not those of the run's own cash."""
    if metrics is None:
        cash, free = plan.spec.execution.cash, plan.spec.risk_free
        metrics = metrics_of(run.raw, plan.panel.bars, cash, plan.periods, free)
    long, short = held_values(plan.panel, run.units)
    return Best(
        metrics=metrics,
        equity=run.equity.sum(axis=1),
        trades=run.trades,
        long=long,
        short=short,
        fills=int((run.events[:, layout.L_WHAT] == layout.FILLS_AT).sum()),
        rejected={
            name: int(run.raw[:, field].sum())
            for name, field in layout.REJECTED.items()
            if run.raw[:, field].any()
        },
    )
