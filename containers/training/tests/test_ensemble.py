"""Ensembles: their weights by hand, and that they are as good as they should be."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from berth_backtest.errors import ProgramError
from berth_training.models.ensemble import bayesian_weights, log_likelihood, stack
from berth_training.models.load import load_model
from scipy import stats

from tests.support import Json, Ran, columns_of, planted, run_spec, spec_of, write_table

MEMBERS: list[Json] = [
    {"name": "ridge"},
    {"name": "random_forest", "params": {"n_estimators": 15}},
    {"name": "xgboost", "params": {"n_estimators": 20, "max_depth": 3}},
]
CLASSES: list[Json] = [{"name": "logistic"}, *MEMBERS[1:]]


def ran(tmp_path: Path, method: str, kind: str = "regression") -> Ran:
    members = MEMBERS if kind == "regression" else CLASSES
    ensemble = {"method": method, "members": members}
    return run_spec(tmp_path / method, spec_of(planted(tmp_path, kind), None, kind, ensemble=ensemble))


@pytest.mark.parametrize("method", ["voting", "stacking", "bayesian_average"])
@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_an_ensemble_learns_and_loads_as_it_was(tmp_path: Path, method: str, kind: str) -> None:
    run = ran(tmp_path, method, kind)
    assert run.test["r2" if kind == "regression" else "auc"] > (0.7 if kind == "regression" else 0.85)
    best = run.result["best"]["ensemble"]
    assert best["method"] == method
    assert best["members"] == [m["name"] for m in (MEMBERS if kind == "regression" else CLASSES)]
    assert {path.name for path in (run.out / "model").iterdir()} == {
        "model.json",
        "member-0.skops",
        "member-1.skops",
        "member-2.ubj",
    }
    loaded = load_model(run.out / "model")
    x = np.random.default_rng(0).normal(size=(40, 3))
    parts = np.column_stack([member.predict(x) for member in loaded.predictor.members])
    expected = parts @ np.array(best["weights"]) + best["intercept"]
    if method == "stacking" and kind == "classification":
        expected = 1 / (1 + np.exp(-expected))
    assert loaded.predict(x).tolist() == expected.tolist()
    if method != "stacking":
        assert sum(best["weights"]) == pytest.approx(1.0)
        assert best["intercept"] == 0.0


def test_a_stack_trusts_the_member_that_knows(tmp_path: Path) -> None:
    weights = ran(tmp_path, "stacking").result["best"]["ensemble"]["weights"]
    assert weights[0] > 0.6  # the signal is a line


def test_bayesian_weights_are_odds_by_the_rows_that_count() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=200)
    p = y + rng.normal(0, 0.5, 200)
    sigma = math.sqrt(((y - p) ** 2).mean())
    assert log_likelihood("regression", y, p) == pytest.approx(
        stats.norm.logpdf(y, p, sigma).mean(), rel=1e-12
    )
    ones = (y > 0).astype(float)
    q = 1 / (1 + np.exp(-p))
    assert log_likelihood("classification", ones, q) == pytest.approx(
        np.mean(ones * np.log(q) + (1 - ones) * np.log(1 - q)), rel=1e-12
    )
    found = bayesian_weights([-1.0, -1.01, -2.0], 50.0)
    expected = np.exp(np.array([0.0, -0.5, -50.0]))
    assert found == pytest.approx(expected / expected.sum(), rel=1e-12)
    # Labels that overlap tell less: the weights are more even.
    assert bayesian_weights([-1.0, -1.01], 5.0)[0] < found[0]


def test_a_stack_needs_both_classes() -> None:
    parts = np.random.default_rng(0).random((20, 2))
    with pytest.raises(ProgramError, match="one class only"):
        stack("classification", parts, np.ones(20))


def test_members_that_refuse_missing_values_say_what_to_do(tmp_path: Path) -> None:
    columns = columns_of(dates=60, symbols=2)
    columns["y"] = columns.pop("e")
    columns["f0"][::2] = np.nan
    columns["f1"][1::2] = np.nan
    path = write_table(tmp_path / "t.parquet", columns)
    ensemble = {"method": "stacking", "members": [{"name": "ridge"}, {"name": "lasso"}]}
    with pytest.raises(ProgramError, match=r"give preprocess\.impute"):
        run_spec(tmp_path / "out", spec_of(path, None, ensemble=ensemble))
    run = run_spec(tmp_path / "out", spec_of(path, None, ensemble=ensemble, preprocess={"impute": "zero"}))
    about = json.loads((run.out / "model" / "model.json").read_text())
    assert about["members"][0]["preprocess"]["fill"] == [0.0, 0.0, 0.0]


def test_cpcv_gives_a_metric_for_every_path(tmp_path: Path) -> None:
    rule = {"method": "cpcv", "folds": 5, "test_folds": 2}
    run = run_spec(tmp_path / "out", spec_of(planted(tmp_path), validation=rule))
    test = run.result["metrics"]["test"]
    assert len(test["folds"]) == 20
    assert [path["path"] for path in test["paths"]] == [0, 1, 2, 3]
    assert all(path["r2"] > 0.6 for path in test["paths"])
    rows = run.columns("predictions")
    assert len(rows["y"]) == 4 * 720
    for path in range(4):
        mine = rows["path"] == path
        error = np.sqrt(((rows["y"][mine] - rows["prediction"][mine]) ** 2).mean())
        assert test["paths"][path]["rmse"] == pytest.approx(error, rel=1e-12)
    assert "trained_on_later_dates" in run.codes()
    assert test["overall"]["ic"] == pytest.approx(np.mean([path["ic"] for path in test["paths"]]), rel=1e-9)
