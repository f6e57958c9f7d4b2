"""Seeded draws of a random search: each depends only on the seed and the number of the trial."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.honest.sample import keys_of

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

DRAWS = 1 << 60  # added to the seed: other numbers than those of samples and bootstraps
ROUNDS = 4  # of a Feistel network (Luby and Rackoff 1988: four look random even from both sides)
MAX_PARAMS = 256  # above what a strategy may declare
MOST_SETS = 2**62  # of a finite space: numbers of 64 bits


def shares(seed: int, trials: Index, parameter: int) -> Floats:
    """Returns a number from 0 to below 1 for each trial and one of its parameters."""
    keys = keys_of(seed + DRAWS, trials * MAX_PARAMS + parameter)
    return np.asarray((keys >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def permuted(seed: int, trials: Index, below: int) -> Index:
    """Returns the place of each trial in a random order of the numbers below a bound: no two are equal.

    A permutation of the numbers of 2 x half bits is followed until it is below the bound.
    """
    half = max(1, ((below - 1).bit_length() + 1) // 2)
    found = shuffled(seed, trials, half)
    while len(outside := np.flatnonzero(found >= below)):
        found[outside] = shuffled(seed, found[outside], half)
    return found


def shuffled(seed: int, numbers: Index, half: int) -> Index:
    mask = np.int64((1 << half) - 1)
    left, right = numbers >> half, numbers & mask
    for turn in range(ROUNDS):
        keys = keys_of(seed + DRAWS + 1 + turn, right).view(np.int64)
        left, right = right, left ^ (keys & mask)
    return (left << half) | right
