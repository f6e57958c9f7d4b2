"""What the tear sheet says of curves and trades beside the result's metrics (docs/conventions.md §4)."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel import layout

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

FLAT = 1e-9  # a deviation of returns below it is none: what is left of rounding


@dataclass(frozen=True)
class Drop:
    """A drawdown by its bars: the peak before it (-1: the cash), its lowest, where it was made good."""

    peak: int
    lowest: int
    end: int | None  # None: not yet
    depth: float
    bars: int  # below the peak


@dataclass(frozen=True)
class Year:
    year: int
    gain: float | None  # its return; None after ruin
    benchmark: float | None
    drawdown: float  # the largest inside the year, its peak starting at the year's opening equity
    pnl: float
    trades: int  # closed in it
    wins: int


@dataclass(frozen=True)
class Side:
    """What some trades came to; means and ratios are None without a trade or a loss."""

    trades: int  # closed
    pnl: float  # of open ones too
    win_rate: float | None
    mean_return: float | None
    best: float | None
    worst: float | None
    profit_factor: float | None
    bars: float | None


def rolling_sharpe(returns: Floats, free: float, periods: float, window: int) -> Floats:
    """Returns the annual Sharpe ratio of the last `window` returns at each bar; NaN where it has none."""
    found = np.full(len(returns), np.nan)
    if window < 2 or len(returns) < window:
        return found
    total = np.concatenate([[0.0], np.cumsum(returns)])
    squares = np.concatenate([[0.0], np.cumsum(returns * returns)])
    sums, sums2 = total[window:] - total[:-window], squares[window:] - squares[:-window]
    mean = sums / window
    spread = np.maximum(sums2 - sums * mean, 0.0) / (window - 1)
    there = spread > FLAT * FLAT
    tail = found[window - 1 :]
    tail[there] = (mean[there] - free) / np.sqrt(spread[there]) * np.sqrt(periods)
    return found


def month_returns(dates: Index, equity: Floats, cash: float) -> dict[tuple[int, int], float]:
    """Returns each (year, month)'s return, from the equity at the end of the month before; 0 after ruin."""
    months = dates.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    last = np.flatnonzero(np.append(np.diff(months) != 0, True))
    after = equity[last]
    before = np.concatenate([[cash], after[:-1]])
    gains = np.where(before > 0.0, after / np.where(before > 0.0, before, 1.0) - 1.0, 0.0)
    return {
        (1970 + int(key) // 12, int(key) % 12 + 1): float(x)
        for key, x in zip(months[last], gains, strict=True)
    }


def years_of(
    dates: Index, equity: Floats, cash: float, trades: Floats, benchmark: Floats | None
) -> list[Year]:
    """Returns what each year came to; `benchmark` are its returns by bar."""
    each = 1970 + dates.astype("datetime64[us]").astype("datetime64[Y]").astype(np.int64)
    edges = [0, *(np.flatnonzero(np.diff(each)) + 1).tolist(), len(each)]
    leave = trades[:, layout.T_EXIT_BAR]
    found = []
    for first, end in pairwise(edges):
        before = cash if first == 0 else float(equity[first - 1])
        part = equity[first:end]
        peaks = np.maximum(np.maximum.accumulate(part), before)
        closed = trades[(leave >= first) & (leave < end)]
        found.append(
            Year(
                int(each[first]),
                float(part[-1]) / before - 1.0 if before > 0.0 else None,
                None if benchmark is None else float(np.prod(1.0 + benchmark[first:end]) - 1.0),
                float((part / peaks).min() - 1.0) if before > 0.0 else 0.0,
                float(part[-1]) - before,
                len(closed),
                int((closed[:, layout.T_PNL] > 0.0).sum()),
            )
        )
    return found


def drops_of(equity: Floats, cash: float, most: int) -> list[Drop]:
    """Returns the deepest drawdowns, the deepest first, ties by time."""
    peak = np.maximum(np.maximum.accumulate(equity), cash)
    below = (equity < peak).astype(np.int8)
    edges = np.diff(np.concatenate([[0], below, [0]]))
    found = []
    for first, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        depth = equity[first:end] / peak[first] - 1.0
        lowest = int(depth.argmin())
        found.append(
            Drop(
                int(first) - 1,
                int(first) + lowest,
                int(end) if end < len(equity) else None,
                float(depth[lowest]),
                int(end - first),
            )
        )
    return sorted(found, key=lambda drop: (drop.depth, drop.peak))[:most]


def side_of(trades: Floats) -> Side:
    """Returns what some recorded trades came to."""
    closed = trades[trades[:, layout.T_EXIT_BAR] >= 0]
    pnl = closed[:, layout.T_PNL]
    gains, losses = float(pnl[pnl > 0].sum()), float(-pnl[pnl < 0].sum())
    whole = float(trades[:, layout.T_PNL].sum())
    if len(closed) == 0:
        return Side(0, whole, None, None, None, None, None, None)
    returns = closed[:, layout.T_PNL] / closed[:, layout.T_VALUE]
    return Side(
        len(closed),
        whole,
        float((pnl > 0).mean()),
        float(returns.mean()),
        float(returns.max()),
        float(returns.min()),
        gains / losses if losses > 0.0 else None,
        float((closed[:, layout.T_EXIT_BAR] - closed[:, layout.T_ENTRY_BAR]).mean()),
    )
