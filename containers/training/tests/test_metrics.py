"""Metrics equal those of scikit-learn and scipy."""

import numpy as np
import pytest
from berth_training.metrics import metrics_of, newey_west_t, ranks_within
from scipy import stats
from sklearn import metrics as sk


def rows(seed: int, dates: int = 40, symbols: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=dates * symbols)
    return y, np.round(0.3 * y + rng.normal(size=len(y)), 1), np.repeat(np.arange(dates), symbols)


def test_regression_metrics_are_those_of_the_libraries() -> None:
    y, p, date = rows(1)
    found = metrics_of("regression", y, p, date, horizon=3)
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(y, p), rel=1e-12)
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(y, p), rel=1e-12)
    assert found["r2"] == pytest.approx(sk.r2_score(y, p), rel=1e-12)
    ic = np.array([stats.pearsonr(y[date == d], p[date == d])[0] for d in range(40)])
    rank = np.array([stats.spearmanr(y[date == d], p[date == d])[0] for d in range(40)])
    assert found["ic"] == pytest.approx(ic.mean(), rel=1e-12)
    assert found["rank_ic"] == pytest.approx(rank.mean(), rel=1e-12)
    assert found["icir"] == pytest.approx(ic.mean() / ic.std(ddof=1), rel=1e-12)
    assert found["ic_dates"] == 40


def test_newey_west_by_its_definition() -> None:
    x = np.random.default_rng(2).normal(0.1, 1.0, 60)
    e = x - x.mean()
    gamma = [float((e[lag:] * e[: len(e) - lag]).sum()) / 60 for lag in range(5)]
    variance = gamma[0] + 2 * sum((1 - lag / 5) * gamma[lag] for lag in range(1, 5))
    assert newey_west_t(x, 4) == pytest.approx(x.mean() / np.sqrt(variance / 60), rel=1e-12)
    # Without lags it is the plain t (with the biased deviation).
    assert newey_west_t(x, 0) == pytest.approx(x.mean() / (x.std() / np.sqrt(60)), rel=1e-12)
    assert newey_west_t(x[:1], 0) is None


def test_classification_metrics_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    y = (rng.random(500) < 0.3).astype(float)
    p = np.clip(np.round(0.3 + 0.3 * (y - 0.5) + rng.normal(0, 0.2, 500), 2), 0, 1)
    found = metrics_of("classification", y, p, np.arange(500), 1)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(y, p >= 0.5), rel=1e-12)
    assert found["auc"] == pytest.approx(sk.roc_auc_score(y, p), rel=1e-12)
    assert found["f1"] == pytest.approx(sk.f1_score(y, p >= 0.5), rel=1e-12)
    assert found["log_loss"] == pytest.approx(sk.log_loss(y, p), rel=1e-12)


def test_few_symbols_are_pooled_and_say_so() -> None:
    y, p, date = rows(4, symbols=4)
    found = metrics_of("regression", y, p, date, 1)
    assert found["ic"] is found["rank_ic"] is found["icir"] is None
    assert found["ic_pooled"] == pytest.approx(stats.pearsonr(y, p)[0], rel=1e-12)
    assert found["rank_ic_pooled"] == pytest.approx(stats.spearmanr(y, p)[0], rel=1e-12)


def test_what_is_not_defined_is_null() -> None:
    none = np.empty(0)
    assert metrics_of("classification", none, none, np.empty(0, dtype=int), 1)["auc"] is None
    assert metrics_of("regression", none, none, np.empty(0, dtype=int), 1)["rmse"] is None
    same = np.ones(20)
    dates = np.repeat(np.arange(2), 10)
    flat = metrics_of("regression", same, same, dates, 1)
    assert flat["r2"] is None
    assert flat["ic_pooled"] is None
    one_class = metrics_of("classification", same, same * 0.4, dates, 1)
    assert one_class["auc"] is None
    assert one_class["f1"] == 0.0
    assert metrics_of("classification", same * 0, same * 0.1, dates, 1)["f1"] is None


def test_rows_without_a_prediction_or_a_target_are_left_out() -> None:
    y, p, date = rows(5)
    more = metrics_of(
        "regression", np.append(y, [np.nan, 1.0]), np.append(p, [5.0, np.nan]), np.append(date, [7, 7]), 1
    )
    assert more == metrics_of("regression", y, p, date, 1)


def test_ranks_within_dates_average_ties() -> None:
    x = np.array([3.0, 1.0, 3.0, 9.0, 9.0, 2.0])
    date = np.array([0, 0, 0, 1, 1, 1])
    expected = np.concatenate([stats.rankdata(x[:3]), stats.rankdata(x[3:])])
    assert ranks_within(x, date).tolist() == expected.tolist()
