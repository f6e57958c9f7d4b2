"""Which dates train and which test, by hand and against an independent purge."""

from itertools import combinations

import numpy as np
import pytest
from berth_backtest.errors import ProgramError
from berth_training.spec.types import Validation
from berth_training.validation.splits import hold_out, make_splits, path_count


def rule(method: str, folds: int, **more: object) -> Validation:
    fields: dict[str, object] = {
        "test_folds": 1,
        "train_dates": None,
        "test_dates": None,
        "purge": None,
        "embargo": None,
        "holdout": 0.0,
        **more,
    }
    return Validation(method=method, folds=folds, **fields)  # type: ignore[arg-type]


def windows(splits: list) -> list[tuple[list[int], list[int]]]:  # type: ignore[type-arg]
    return [
        (np.flatnonzero(split.train).tolist(), np.concatenate([d for _, _, d in split.folds]).tolist())
        for split in splits
    ]


def test_walk_forward_rolls_a_train_that_ends_before_the_purge() -> None:
    # 23 dates, 3 folds: tests of floor(23 / 4) = 5; trains of 23 - 15 - 2 = 6 dates.
    found = windows(make_splits(rule("walk_forward", 3), 23, 2, 0, 1))
    assert found == [
        (list(range(6)), list(range(8, 13))),
        (list(range(5, 11)), list(range(13, 18))),
        (list(range(10, 16)), list(range(18, 23))),
    ]


def test_walk_forward_by_given_lengths_and_expanding_from_the_first_date() -> None:
    found = windows(make_splits(rule("walk_forward", 2, train_dates=4, test_dates=3, purge=3), 20, 2, 0, 1))
    assert found == [(list(range(7, 11)), [14, 15, 16]), (list(range(10, 14)), [17, 18, 19])]
    found = windows(make_splits(rule("expanding", 2, test_dates=3), 20, 2, 0, 1))
    assert found == [(list(range(12)), [14, 15, 16]), (list(range(15)), [17, 18, 19])]


def test_purged_kfold_drops_dates_on_both_sides_and_the_embargo_after() -> None:
    found = windows(make_splits(rule("purged_kfold", 3, embargo=1), 10, 1, 0, 1))
    assert found == [
        ([5, 6, 7, 8, 9], [0, 1, 2]),
        ([0, 1, 8, 9], [3, 4, 5]),
        ([0, 1, 2, 3, 4], [6, 7, 8, 9]),
    ]


def test_the_embargo_is_the_longest_look_back_unless_given() -> None:
    usual = make_splits(rule("purged_kfold", 3), 30, 1, 4, 1)[0]
    assert np.flatnonzero(usual.train)[0] == 10 + 1 + 4
    forward = make_splits(rule("walk_forward", 3), 30, 1, 4, 1)[0]
    assert np.flatnonzero(forward.train)[-1] == forward.folds[0][2][0] - 2


@pytest.mark.parametrize(("folds", "tested", "paths"), [(5, 2, 4), (6, 2, 5), (4, 3, 3)])
def test_cpcv_makes_every_combination_and_whole_paths(folds: int, tested: int, paths: int) -> None:
    chosen = rule("cpcv", folds, test_folds=tested)
    splits = make_splits(chosen, 62, 1, 0, 1)
    order = [tuple(fold for fold, _, _ in split.folds) for split in splits]
    assert order == list(combinations(range(folds), tested))
    assert path_count(chosen) == paths
    for path in range(paths):
        mine = [dates for split in splits for fold, p, dates in split.folds if p == path]
        assert sorted(np.concatenate(mine).tolist()) == list(range(62))
    # Adjacent tested folds are one run: nothing between them is dropped, nothing of them trains.
    assert np.flatnonzero(splits[0].train)[0] == len(np.concatenate([d for _, _, d in splits[0].folds])) + 1


@pytest.mark.parametrize("method", ["walk_forward", "expanding", "purged_kfold", "cpcv"])
@pytest.mark.parametrize("horizon", [1, 3, 7])
def test_no_label_of_a_train_overlaps_one_of_a_test(method: str, horizon: int) -> None:
    chosen = rule(method, 4, test_folds=2 if method == "cpcv" else 1)
    for split in make_splits(chosen, 120, horizon, 0, 1):
        train = np.flatnonzero(split.train)
        for _, _, test in split.folds:
            gap = np.abs(train[:, None] - test[None, :])
            assert gap.min() > horizon  # intervals [t, t + horizon] share no date


def test_random_folds_cover_all_dates_once_and_follow_the_seed() -> None:
    first = windows(make_splits(rule("random", 4), 22, 1, 0, 1))
    assert sorted(date for _, test in first for date in test) == list(range(22))
    assert first == windows(make_splits(rule("random", 4), 22, 1, 0, 1))
    assert first != windows(make_splits(rule("random", 4), 22, 1, 0, 2))


@pytest.mark.parametrize(
    ("method", "folds", "n", "message"),
    [
        ("walk_forward", 5, 11, "5 folds of 11 dates leave 0 dates to train"),
        ("purged_kfold", 5, 4, "5 folds of 4 dates have no date each"),
        ("cpcv", 4, 8, "leave no date to train"),
        ("cpcv", 40, 80, "make 9880 splits; at most 5000"),
    ],
)
def test_folds_that_are_too_small_are_told_with_their_numbers(
    method: str, folds: int, n: int, message: str
) -> None:
    tested = 3 if folds == 40 else 2 if method == "cpcv" else 1
    with pytest.raises(ProgramError, match=message) as error:
        make_splits(rule(method, folds, test_folds=tested), n, 6, 0, 1)
    assert error.value.code == "invalid_params"


def test_a_purge_below_the_longest_label_is_refused() -> None:
    with pytest.raises(ProgramError, match="at least the longest label"):
        make_splits(rule("walk_forward", 2, purge=2), 100, 3, 0, 1)


def test_the_hold_out_is_the_last_share_after_a_purge() -> None:
    assert hold_out(100, 0.2, 5) == (75, 80)
    assert hold_out(100, 0.0, 5) == (100, 100)
    with pytest.raises(ProgramError, match="leave nothing to train"):
        hold_out(10, 0.8, 5)
