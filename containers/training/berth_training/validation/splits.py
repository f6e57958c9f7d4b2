"""Splits over distinct dates, never rows: which dates train and which test.

Lopez de Prado, "Advances in Financial Machine Learning" (2018), ch. 7 (purging, embargo) and 12 (CPCV).
Places count the dates with a target, from 0; see docs/conventions.md section 8.
"""

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from berth_backtest.errors import ProgramError, invalid

from berth_training.data.frame import Index, Mask
from berth_training.seeds import seed_of
from berth_training.spec.types import Validation

MAX_SPLITS = 5_000


@dataclass(frozen=True)
class Split:
    """One train and what it tests. `folds` are the tested folds with the path that each belongs to."""

    number: int
    train: Mask  # [date]
    folds: tuple[tuple[int, int, Index], ...]  # (fold, path, its dates)


def make_splits(
    rule: Validation, n: int, horizon: int, look_back: int, seed: int, path: str = "validation"
) -> list[Split]:
    """Returns the splits of n dates; raises (exit 2) where the dates are too few, with the numbers."""
    purge = horizon if rule.purge is None else rule.purge
    if purge < horizon:
        text = f"must be at least the longest label ({horizon} dates), not {purge}"
        raise invalid(f"{path}.purge", text)
    embargo = embargo_of(rule, look_back)
    if rule.method in ("walk_forward", "expanding"):
        return forward_splits(rule, n, purge, path)
    edges = fold_edges(rule, n, path)
    if rule.method == "random":
        return random_splits(n, seed, edges)
    return block_splits(rule, n, purge, embargo, edges, path)


def embargo_of(rule: Validation, look_back: int) -> int:
    """Returns the dates dropped after a test: given, else the look-back where a train follows a test."""
    usual = look_back if rule.method in ("purged_kfold", "cpcv") else 0
    return usual if rule.embargo is None else rule.embargo


def too_few(path: str, n: int, rule: Validation, text: str) -> ProgramError:
    return invalid(f"{path}.folds", f"{rule.folds} folds of {n} dates {text}: use fewer folds or more data")


def forward_splits(rule: Validation, n: int, purge: int, path: str) -> list[Split]:
    """Tests are the last folds x test_dates dates; a train ends `purge` dates before its test."""
    test = n // (rule.folds + 1) if rule.test_dates is None else rule.test_dates
    first = n - rule.folds * test
    train = first - purge if rule.train_dates is None else rule.train_dates
    if test < 1 or train < 1 or first - purge < (train if rule.train_dates is not None else 1):
        text = (
            f"leave {max(first - purge, 0)} dates to train before the first test (purge {purge}, test {test})"
        )
        raise too_few(path, n, rule, text)
    splits = []
    for k in range(rule.folds):
        begin = first + k * test
        mask = np.zeros(n, dtype=np.bool_)
        mask[(0 if rule.method == "expanding" else begin - purge - train) : begin - purge] = True
        splits.append(Split(k, mask, ((k, 0, np.arange(begin, begin + test)),)))
    return splits


def fold_edges(rule: Validation, n: int, path: str) -> list[tuple[int, int]]:
    """Returns folds of floor(n / N) dates, the last with the remainder."""
    size = n // rule.folds
    if size < 1:
        raise too_few(path, n, rule, "have no date each")
    return [(k * size, n if k == rule.folds - 1 else (k + 1) * size) for k in range(rule.folds)]


def block_splits(
    rule: Validation, n: int, purge: int, embargo: int, edges: list[tuple[int, int]], path: str
) -> list[Split]:
    """Returns the splits of purged_kfold (one fold tested) and cpcv (test_folds of them)."""
    chosen = rule.test_folds if rule.method == "cpcv" else 1
    if comb(rule.folds, chosen) > MAX_SPLITS:
        text = f"make {comb(rule.folds, chosen)} splits; at most {MAX_SPLITS} are run in one job"
        raise invalid(f"{path}.test_folds", text)
    splits = []
    paths = [0] * rule.folds  # how many splits have tested a fold
    for number, tested in enumerate(combinations(range(rule.folds), chosen)):
        mask = np.ones(n, dtype=np.bool_)
        for begin, end in runs_of(tested, edges):
            mask[max(begin - purge, 0) : end + purge + embargo] = False
        if not mask.any():
            raise too_few(path, n, rule, f"leave no date to train (purge {purge}, embargo {embargo})")
        folds = []
        for fold in tested:
            folds.append((fold, paths[fold], np.arange(*edges[fold])))
            paths[fold] += 1
        splits.append(Split(number, mask, tuple(folds)))
    return splits


def runs_of(tested: tuple[int, ...], edges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Returns the tested stretches; adjacent folds are one run."""
    runs: list[tuple[int, int]] = []
    for fold in tested:
        begin, end = edges[fold]
        if runs and runs[-1][1] == begin:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((begin, end))
    return runs


def random_splits(n: int, seed: int, edges: list[tuple[int, int]]) -> list[Split]:
    """Returns folds of shuffled dates: neighbours of every test date train, so the scores are too good."""
    order = np.random.default_rng(seed_of(seed, "random folds")).permutation(n)
    splits = []
    for k, (begin, end) in enumerate(edges):
        test = np.sort(order[begin:end])
        mask = np.ones(n, dtype=np.bool_)
        mask[test] = False
        splits.append(Split(k, mask, ((k, 0, test),)))
    return splits


def path_count(rule: Validation) -> int:
    """Returns C(N, k) k / N of cpcv, else 1."""
    if rule.method != "cpcv":
        return 1
    return comb(rule.folds, rule.test_folds) * rule.test_folds // rule.folds


def hold_out(n: int, share: float, purge: int) -> tuple[int, int]:
    """Returns how many dates the search may see, and the first of the hold-out; `purge` lie between."""
    count = int(np.floor(n * share + 1e-9))
    if share > 0 and (count < 1 or n - count - purge < 1):
        text = f"{share:g} of {n} dates and a purge of {purge} leave nothing to train or to test"
        raise invalid("validation.holdout", text)
    return (n - count - purge, n - count) if count else (n, n)
