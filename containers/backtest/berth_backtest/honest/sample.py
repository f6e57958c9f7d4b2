"""A seeded sample of the points, the same whatever way and order they come in."""

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]
Keys = NDArray[np.uint64]

SAMPLED = 10_000  # points: up to so many all are taken

STEP = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mixed(values: Keys) -> Keys:
    """Returns the finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection, so keys never tie."""
    values = (values ^ (values >> np.uint64(30))) * FIRST
    values = (values ^ (values >> np.uint64(27))) * SECOND
    return values ^ (values >> np.uint64(31))


def keys_of(seed: int, numbers: Index) -> Keys:
    """Returns a number of 64 bits for each of some numbers; it depends only on the seed and that number."""
    start = mixed(np.array([seed], dtype=np.uint64) * STEP + STEP)
    return mixed((numbers.astype(np.uint64) + np.uint64(1)) * STEP + start)


class Sample:
    """Those of the points with the smallest keys, so that samples of parts join to that of the whole."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.points: Index = np.empty(0, dtype=np.int64)
        self.worst: np.uint64 | None = None  # what has a larger key is not in the sample

    def add(self, points: Index) -> None:
        keys = keys_of(self.seed, points)
        found = points if self.worst is None else points[keys < self.worst]
        if len(found):
            joined = np.concatenate([self.points, found])
            self.points = joined[chosen(self.seed, joined)]
        if len(self.points) == SAMPLED:
            self.worst = keys_of(self.seed, self.points).max()


def chosen(seed: int, points: Index) -> Index:
    """Returns the places of the sample among some points, in the order of the points."""
    best = np.argsort(keys_of(seed, points), kind="stable")[:SAMPLED]
    return np.asarray(best[np.argsort(points[best])], dtype=np.int64)
