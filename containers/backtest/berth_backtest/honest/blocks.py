"""The second pass over a sample of the points: sums of their returns by block of bars."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from berth_backtest.errors import StoppedError
from berth_backtest.honest.curves import curves_of
from berth_backtest.plan import Plan
from berth_backtest.report import Progress, Stop
from berth_backtest.simulate import Simulator

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

BLOCKS = 16  # Bailey, Borwein, Lopez de Prado and Zhu 2017, whose example takes S = 16
CURVE_BYTES = 64 << 20  # equity curves held at once
MOST_AT_ONCE = 1_024  # points between two looks at a stop


@dataclass(frozen=True)
class Blocks:
    """The sums by point in the order of the points; the last block holds the bars that are left over."""

    points: Index
    sums: Floats  # [point, BLOCKS + 1, (sum of returns, sum of their squares)]
    bars: int

    @property
    def length(self) -> int:
        """The bars of each block but the last."""
        return self.bars // BLOCKS


def run_blocks(
    plan: Plan, simulator: Simulator, points: Index, progress: Progress, stop: Stop
) -> Blocks | None:
    """Returns the sums of some points, None where it was stopped."""
    bars = plan.panel.bars
    step = max(1, min(MOST_AT_ONCE, CURVE_BYTES // (8 * bars)))
    cash = plan.spec.execution.cash * len(plan.accounts)
    parts = [np.empty((0, BLOCKS + 1, 2))]
    for first in range(0, len(points), step):
        if stop.asked:
            return None
        progress.tell(0.9, "run", first, len(points))  # no phase of its own: there are but 5 lines a second
        try:
            curves = curves_of(simulator, points[first : first + step])
        except StoppedError:
            return None
        parts.append(block_sums(returns_of(curves, cash)))
    return Blocks(points, np.concatenate(parts), bars)


def returns_of(curves: Floats, cash: float) -> Floats:
    """Returns the returns of equity curves [..., bar]; 0 once the equity is 0."""
    before = np.concatenate([np.full_like(curves[..., :1], cash), curves[..., :-1]], axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(before > 0.0, curves / before - 1.0, 0.0)


def block_sums(returns: Floats) -> Floats:
    """Returns [set, block, (sum, sum of squares)] of [set, bar]; each set's sums are its own."""
    sets, bars = returns.shape
    length = bars // BLOCKS
    found = np.zeros((sets, BLOCKS + 1, 2))
    for k, values in enumerate((returns, returns * returns)):
        # Contiguous rows, each added on its own: how many rows there are must not change a digit.
        blocks = np.ascontiguousarray(values[:, : BLOCKS * length]).reshape(sets, BLOCKS, length)
        found[:, :BLOCKS, k] = blocks.sum(axis=2)
        found[:, BLOCKS, k] = np.ascontiguousarray(values[:, BLOCKS * length :]).sum(axis=1)
    return found


def sharpes_of(sums: Floats, bars: float, free: float) -> Floats:
    """Returns Sharpe ratios per bar from sums [..., (sum, sum of squares)]; NaN without a deviation."""
    mean = sums[..., 0] / bars
    spread = np.maximum(sums[..., 1] - sums[..., 0] * mean, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 0.0, (mean - free) / np.sqrt(spread / (bars - 1.0)), np.nan)


def whole_sharpes(blocks: Blocks, free: float) -> Floats:
    """Returns each point's Sharpe ratio per bar over all bars."""
    total = np.zeros((len(blocks.points), 2))
    for i in range(BLOCKS + 1):
        total += blocks.sums[:, i]
    return sharpes_of(total, float(blocks.bars), free)
