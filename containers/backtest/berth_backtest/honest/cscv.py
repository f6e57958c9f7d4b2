"""The probability of backtest overfitting by combinatorially symmetric cross-validation.

Bailey, Borwein, Lopez de Prado and Zhu: The probability of backtest overfitting, Journal of
Computational Finance 20 (4), 2017. Half of the blocks choose the best point, the other half ranks it.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from berth_backtest.honest.blocks import BLOCKS, Blocks

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

HALF = BLOCKS // 2
LEAST_LENGTH = 2  # bars of a block
AT_ONCE = 32_768  # (split, point) pairs looked at together: arrays that fit a core's cache


def probability_of_overfitting(blocks: Blocks, free: float) -> float | None:
    """Returns the share of splits whose logit is <= 0; None for fewer than two points or short blocks."""
    points = len(blocks.points)
    if points < 2 or blocks.length < LEAST_LENGTH:
        return None
    low, high = subset_sums(blocks.sums, 0), subset_sums(blocks.sums, HALF)
    masks = first_halves()
    bars = float(HALF * blocks.length)
    everything = (1 << BLOCKS) - 1
    step = max(1, AT_ONCE // points)
    found = 0
    for first in range(0, len(masks), step):
        some = masks[first : first + step]
        one = half_sharpes(low, high, some, bars, free)
        other = half_sharpes(low, high, everything - some, bars, free)
        # Each split is looked at from both sides: its complement is a split of its own.
        found += overfitted(one, other) + overfitted(other, one)
    return found / (2 * len(masks))


def first_halves() -> Index:
    """Returns those halves of the blocks, as sets of bits, that hold block 0: one of each pair."""
    halves = [sum(1 << i for i in (0, *rest)) for rest in combinations(range(1, BLOCKS), HALF - 1)]
    return np.array(halves, dtype=np.int64)


def subset_sums(sums: Floats, first: int) -> Floats:
    """Returns [2, subset, point] of [point, block, 2]; subsets of HALF blocks are bits, the lowest first."""
    found = np.zeros((2, 1 << HALF, len(sums)))
    for subset in range(1, 1 << HALF):
        last = subset.bit_length() - 1
        found[:, subset] = found[:, subset - (1 << last)] + sums[:, first + last].T
    return found


def half_sharpes(low: Floats, high: Floats, masks: Index, bars: float, free: float) -> Floats:
    """Returns the Sharpe ratios [split, point] of some halves, by a factor that all have; NaN: undefined."""
    a, b = masks & ((1 << HALF) - 1), masks >> HALF
    total = low[0, a] + high[0, b]
    spread = low[1, a] + high[1, b]
    mean: Floats = total / bars
    spread -= np.multiply(total, mean, out=total)
    undefined = spread <= 0.0
    spread[undefined] = np.nan
    mean -= free
    mean /= np.sqrt(spread, out=spread)
    return mean


def overfitted(inside: Floats, outside: Floats) -> int:
    """Returns how many splits rank their best point at or below the middle outside.

    A point without a deviation is never chosen before one that has it, and counts as 0 outside. With
    rank = those below it + (its ties, itself counted, + 1) / 2 the logit of rank / (points + 1) is <= 0
    where 2 rank <= points + 1, which whole numbers decide.
    """
    best = np.argmax(replaced(inside, -np.inf), axis=1)
    outside = replaced(outside, 0.0)
    value = np.take_along_axis(outside, best[:, None], axis=1)
    below = (outside < value).sum(axis=1)
    ties = (outside == value).sum(axis=1)
    return int((2 * below + ties <= outside.shape[1]).sum())


def replaced(values: Floats, undefined: float) -> Floats:
    unknown = np.isnan(values)
    return np.where(unknown, undefined, values) if unknown.any() else values
