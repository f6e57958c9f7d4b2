"""Figures that can be trusted: no skill where there is none, and planted leaks are caught or harmless."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as papq
import pytest
from berth_backtest.errors import ProgramError
from berth_training.models.load import load_model

from tests.support import Json, columns_of, planted, run_spec, spec_of, without_times, write_table

DEPTHS: Json = {"max_depth": {"int_uniform": [1, 6]}, "learning_rate": {"uniform": [0.05, 0.6]}}


def noise(tmp_path: Path, **shape: int) -> Path:
    """Writes a table whose target has nothing to do with its features."""
    columns = columns_of(**shape)
    columns["y"] = columns.pop("e")
    return write_table(tmp_path / "noise.parquet", columns)


def test_a_random_target_has_no_skill_but_the_selection_shows_some(tmp_path: Path) -> None:
    search = {"method": "random", "trials": 20, "space": DEPTHS, "objective": "ic", "seed": 4}
    path = noise(tmp_path, dates=90, symbols=6, seed=3)
    spec = spec_of(path, "xgboost", params={"n_estimators": 8}, search=search, validation={"folds": 3})
    metrics = run_spec(tmp_path / "out", spec).result["metrics"]
    assert metrics["selection"]["biased"] is True
    assert metrics["selection"]["ic"] > 0.05  # the best of 20 draws of luck
    assert abs(metrics["test"]["overall"]["ic_t"]) < 2.0
    assert metrics["selection"]["ic"] > metrics["test"]["overall"]["ic"]


def overlapping(tmp_path: Path, horizon: int) -> Path:
    """Writes a target that is the sum of the next `horizon` noises, and a feature that only marks time."""
    rng = np.random.default_rng(0)
    dates, symbols = 240, 1
    steps = rng.normal(size=dates + horizon)
    columns = columns_of(dates=dates, symbols=symbols, features=1)
    columns.pop("e")
    columns["f0"] = np.arange(dates, dtype=float)
    columns["y"] = np.array([steps[i : i + horizon].sum() for i in range(dates)])
    return write_table(tmp_path / "overlap.parquet", columns)


def test_overlapping_labels_give_skill_only_where_nothing_is_purged(tmp_path: Path) -> None:
    path = overlapping(tmp_path, 20)
    table = {"horizon": 20}
    params = {"n_estimators": 50}
    leaky = spec_of(path, "random_forest", table=table, params=params, validation={"method": "random"})
    found = run_spec(tmp_path / "leaky", leaky)
    assert found.test["r2"] > 0.5  # neighbours of each test date have nearly its label
    assert "random_validation" in found.codes()
    honest = {"method": "purged_kfold", "folds": 3}
    ran = run_spec(
        tmp_path / "honest", spec_of(path, "random_forest", table=table, params=params, validation=honest)
    )
    assert ran.test["r2"] < 0.1
    with pytest.raises(ProgramError, match="at least the horizon") as error:
        run_spec(tmp_path / "none", spec_of(path, table=table, validation={"purge": 0}))
    assert error.value.code == "invalid_params"


def test_a_scaler_fitted_on_all_rows_would_show_and_ours_does_not(tmp_path: Path) -> None:
    # The level of f0 jumps with the target's mean in the last third: a scaler that saw it would move.
    columns = columns_of(dates=90, symbols=6)
    columns["y"] = columns.pop("e")
    columns["f0"][360:] += 1_000.0
    path = write_table(tmp_path / "t.parquet", columns)
    ran = run_spec(tmp_path / "out", spec_of(path, "ridge", validation={"method": "expanding", "folds": 2}))
    first = json.loads((ran.out / "model" / "model.json").read_text())["members"][0]["preprocess"]
    assert first["center"][0] > 300  # the model of record saw all of it, its own train
    early = [row for row in ran.rows("predictions") if row["fold"] == 0]
    assert all(abs(row["prediction"]) < 100 for row in early)


def test_rows_repeated_across_folds_are_told(tmp_path: Path) -> None:
    columns = columns_of(dates=60, symbols=2)
    columns["y"] = columns.pop("e")
    for name in ("f0", "f1", "f2", "y"):
        columns[name][60:] = columns[name][:60]
    path = write_table(tmp_path / "t.parquet", columns)
    halves = {"method": "purged_kfold", "folds": 2}
    spec = spec_of(path, "random_forest", params={"n_estimators": 30}, validation=halves)
    ran = run_spec(tmp_path / "out", spec)
    assert ran.test["r2"] > 0.2  # what a reader must be warned of
    assert "duplicate_rows" in ran.codes()


def test_search_and_early_stopping_never_see_the_tested_rows(tmp_path: Path) -> None:
    """Other targets in the last test block change nothing but its own scores."""
    search = {"trials": 4, "space": {"max_depth": {"int_uniform": [1, 5]}}, "seed": 1}
    spec = spec_of(
        planted(tmp_path, dates=80, symbols=5),
        "xgboost",
        params={"n_estimators": 12, "early_stopping_rounds": 3},
        search=search,
        validation={"folds": 2},
    )
    first = run_spec(tmp_path / "a", spec)
    columns = columns_of(dates=80, symbols=5)
    columns["y"] = columns["f0"] - 0.5 * columns["f1"] + 0.5 * columns.pop("e")
    columns["y"][-130:] = 1e3  # the last 26 dates: the last test
    other = write_table(tmp_path / "other.parquet", columns)
    spec["table"]["url"] = str(other)
    second = run_spec(tmp_path / "b", spec)
    assert [row["prediction"] for row in first.rows("predictions")] == [
        row["prediction"] for row in second.rows("predictions")
    ]
    assert (
        first.result["metrics"]["test"]["folds"][1]["params"]
        == (second.result["metrics"]["test"]["folds"][1]["params"])
    )


def test_the_hold_out_is_outside_search_folds_and_the_model(tmp_path: Path) -> None:
    search = {"trials": 3, "space": {"alpha": {"log_uniform": [0.01, 100]}}, "nested": False}
    path = planted(tmp_path, dates=100)
    ran = run_spec(
        tmp_path / "out",
        spec_of(path, search=search, validation={"holdout": 0.2}, table={"horizon": 3}),
    )
    about = json.loads((ran.out / "model" / "model.json").read_text())
    assert about["trained_on"] == ["2020-01-01", "2020-03-17"]  # 100 - 20 - 3 dates
    rows = ran.rows("predictions")
    assert {str(row["date"]) for row in rows} == {f"2020-03-{d}" for d in range(21, 32)} | {
        f"2020-04-0{d}" for d in range(1, 10)
    }
    assert ran.result["metrics"]["test"]["source"] == "holdout"
    assert ran.test == ran.result["metrics"]["holdout"]
    assert ran.test["r2"] > 0.6
    assert len(ran.rows("trials")) == 3


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_predictions_of_the_loaded_model_equal_those_before_it_was_saved(tmp_path: Path, kind: str) -> None:
    """The hold-out is predicted by the model of record, before it is written."""
    path = planted(tmp_path, kind, dates=100)
    table = papq.read_table(path)
    x = np.column_stack([table.column(name).to_numpy() for name in ("f0", "f1", "f2")])[-120:]
    few = {"n_estimators": 12}
    members = [{"name": "xgboost", "params": few}, {"name": "random_forest", "params": few}]
    models: list[Json] = [*members, {"name": "gradient_boosting", "params": {"max_iter": 9}}, {"name": "svm"}]
    names = ("linear", "ridge", "lasso") if kind == "regression" else ("logistic",)
    models += [{"name": name} for name in names]
    specs: list[Json] = [{"model": model} for model in models]
    specs += [
        {"ensemble": {"method": m, "members": members}} for m in ("voting", "stacking", "bayesian_average")
    ]
    for i, one in enumerate(specs):
        spec = spec_of(path, one.get("model"), kind, validation={"holdout": 0.2, "folds": 1})
        ran = run_spec(
            tmp_path / f"out-{i}", {**spec, **one, "preprocess": {"winsorize": 0.01, "impute": "mean"}}
        )
        rows = [row for row in ran.rows("predictions") if row["fold"] == 1]
        assert len(rows) == 120
        assert load_model(ran.out / "model").predict(x).tolist() == [row["prediction"] for row in rows], one


@pytest.mark.parametrize("model", ["xgboost", "gradient_boosting", "random_forest", "ridge"])
def test_the_same_spec_gives_the_same_result_with_one_thread_or_two(tmp_path: Path, model: str) -> None:
    params: Json = {} if model == "ridge" else {"max_depth": 3}
    if model == "xgboost":
        params |= {"subsample": 0.7, "colsample_bytree": 0.7, "n_estimators": 60}
    spec = spec_of(planted(tmp_path), model, params=params, output={"importance": True, "plots": True})
    one = run_spec(tmp_path / "a", spec, threads=1)
    again = run_spec(tmp_path / "b", spec, threads=1)
    two = run_spec(tmp_path / "c", spec, threads=2)
    assert without_times(one.result) == without_times(again.result)
    names = ["predictions.parquet", "importance.parquet", "report.html"]
    names += [f"model/{path.name}" for path in (one.out / "model").iterdir()]
    for name in names:
        assert (one.out / name).read_bytes() == (again.out / name).read_bytes(), name
    assert one.result["engine"].pop("threads") == 1
    assert two.result["engine"].pop("threads") == 2
    assert without_times(one.result) == without_times(two.result)


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    path = planted(tmp_path)
    params = {"n_estimators": 20, "subsample": 0.5}
    first = run_spec(tmp_path / "a", spec_of(path, "xgboost", params=params, seed=1))
    other = run_spec(tmp_path / "b", spec_of(path, "xgboost", params=params, seed=2))
    assert first.test != other.test
