"""The second pass: whole runs of the best sets, written rank by rank."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as papq
from numpy.typing import NDArray

from berth_backtest.checkpoint import write_atomically
from berth_backtest.kernel import layout
from berth_backtest.metrics import metrics_of
from berth_backtest.output.tables import equity_schema, equity_table, trade_schema, trade_table
from berth_backtest.plan import Plan
from berth_backtest.simulate import Recording, Simulator

Index = NDArray[np.int64]
Floats = NDArray[np.float64]

RECORD_BYTES = 256 << 20  # curves and trades held at once
REJECTED = {
    "no_bar": layout.NO_BAR_ORDERS,
    "suspended": layout.SUSPENDED_ORDERS,
    "cash": layout.CASH_ORDERS,
    "end_of_data": layout.END_ORDERS,
}


@dataclass(frozen=True)
class Best:
    """Rank 1, for the result and the tear sheet."""

    metrics: Floats  # [symbol, metric]
    equity: Floats  # [bar]: the sum over the symbols
    trade_returns: Floats  # of closed trades
    open_trades: int
    rejected: dict[str, int]


def groups(plan: Plan, ranked: Index) -> Iterator[tuple[int, Index]]:
    """Yields the best sets a few at a time: rank of the first, and the sets."""
    a_bar = 8 * (3 + 2 * layout.TRADE)
    size = max(1, min(layout.LANES, RECORD_BYTES // (a_bar * plan.panel.bars * len(plan.panel.symbols))))
    for first in range(0, len(ranked), size):
        yield first + 1, ranked[first : first + size]


def runs_of(simulator: Simulator, points: Index) -> list[Recording]:
    """Returns the runs of some sets, by symbol."""
    symbols = range(len(simulator.panel.symbols))
    return simulator.each([partial(simulator.record, s, points) for s in symbols])


def write_best(out: Path, plan: Plan, simulator: Simulator, ranked: Index, keep: int) -> Best:
    """Writes trades.parquet and equity.parquet of the first `keep` sets; returns rank 1."""
    if keep == 0:
        return best_of(plan, runs_of(simulator, ranked[:1]))
    found: list[Best] = []

    def write(trades_part: Path, equity_part: Path) -> None:
        with (
            papq.ParquetWriter(trades_part, trade_schema(plan), compression="zstd") as trades,
            papq.ParquetWriter(equity_part, equity_schema(plan), compression="zstd") as equity,
        ):
            for first, points in groups(plan, ranked[:keep]):
                runs = runs_of(simulator, points)
                if first == 1:
                    found.append(best_of(plan, runs))
                for lane in range(len(points)):
                    write_rank(plan, first + lane, runs, lane, trades, equity)

    write_atomically(
        out / "trades.parquet",
        lambda trades: write_atomically(out / "equity.parquet", lambda equity: write(trades, equity)),
    )
    return found[0]


def write_rank(plan: Plan, rank: int, runs: list[Recording], lane: int, trades: Any, equity: Any) -> None:
    pairs = list(zip(plan.panel.symbols, runs, strict=True))
    trades.write_table(
        pa.concat_tables([trade_table(plan, rank, symbol, run, lane) for symbol, run in pairs])
    )
    equity.write_table(
        pa.concat_tables([equity_table(plan, rank, symbol, run, lane) for symbol, run in pairs])
    )


def best_of(plan: Plan, runs: list[Recording]) -> Best:
    """Returns what is shown of lane 0."""
    raw = np.stack([run.raw[0] for run in runs])
    trades = np.concatenate([run.trades[run.trades[:, layout.T_LANE] == 0] for run in runs])
    closed = trades[trades[:, layout.T_EXIT_BAR] >= 0]
    total = np.zeros(plan.panel.bars)
    for run in runs:
        total += run.equity[:, 0]
    cash = plan.spec.execution.cash
    return Best(
        metrics=metrics_of(raw, plan.panel.bars, cash, plan.periods, plan.spec.risk_free),
        equity=total,
        trade_returns=closed[:, layout.T_PNL] / np.abs(closed[:, layout.T_UNITS] * closed[:, layout.T_ENTRY]),
        open_trades=len(trades) - len(closed),
        rejected={
            name: int(raw[:, field // layout.LANES].sum())
            for name, field in REJECTED.items()
            if raw[:, field // layout.LANES].any()
        },
    )
