"""Trials: what is drawn, what is pruned, what is chosen, and where it is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from berth_backtest.errors import ProgramError

from tests.support import Json, Ran, columns_of, planted, run_spec, spec_of, write_table


def searched(tmp_path: Path, search: Json, model: str = "ridge", **parts: Any) -> Ran:
    parts = {"validation": {"folds": 2}, **parts}
    return run_spec(tmp_path / "out", spec_of(planted(tmp_path, dates=60), model, search=search, **parts))


def test_a_grid_runs_every_set_in_alphabetical_order_the_last_axis_fastest(tmp_path: Path) -> None:
    space = {"fit_intercept": {"values": [True, False]}, "alpha": {"values": [0.1, 1.0, 10.0]}}
    ran = searched(tmp_path, {"method": "grid", "space": space, "validation": {"folds": 2}})
    final = [row for row in ran.rows("trials") if row["fold"] is None]
    sets = [(row["alpha"], row["fit_intercept"]) for row in final]
    assert sets == [(a, f) for a in (0.1, 1.0, 10.0) for f in ("True", "False")]
    assert ran.result["trials"] == 18  # two folds and the final search, six sets each
    best = min((row for row in final if row["state"] == "complete"), key=lambda row: row["objective"])
    assert ran.result["best"]["searched"]["alpha"] == best["alpha"]
    assert ran.result["metrics"]["selection"]["rmse"] == best["objective"]


def test_random_draws_a_finite_space_without_replacement(tmp_path: Path) -> None:
    space = {"alpha": {"values": [1, 2, 3, 4]}}
    search = {"method": "random", "trials": 9, "space": space, "validation": {"folds": 2}}
    final = [row["alpha"] for row in searched(tmp_path, search).rows("trials") if row["fold"] is None]
    assert sorted(final) == [1, 2, 3, 4]


def test_the_draw_of_a_trial_depends_on_the_seed_and_its_number_alone(tmp_path: Path) -> None:
    space = {"alpha": {"log_uniform": [0.01, 100.0]}}

    def drawn(name: str, method: str, trials: int, seed: int) -> list[float]:
        search = {"method": method, "trials": trials, "space": space, "seed": seed, "pruner": "none"}
        (tmp_path / name).mkdir()
        rows = searched(tmp_path / name, {**search, "validation": {"folds": 2}}).rows("trials")
        return [row["alpha"] for row in rows if row["fold"] is None]

    few, many = drawn("a", "random", 3, 5), drawn("b", "random", 6, 5)
    assert many[:3] == few
    assert drawn("c", "random", 3, 6) != few
    assert drawn("d", "tpe", 12, 5)[:8] == drawn("e", "tpe", 8, 5)


def test_tpe_finds_what_is_planted(tmp_path: Path) -> None:
    # With noise in forty columns only a strong penalty is right.
    columns = columns_of(dates=60, symbols=5, features=40)
    columns["y"] = 0.3 * columns["f0"] + columns.pop("e")
    path = write_table(tmp_path / "t.parquet", columns)
    search = {"trials": 25, "space": {"alpha": {"log_uniform": [0.01, 10_000]}}, "seed": 2}
    ran = run_spec(tmp_path / "out", spec_of(path, "ridge", search=search, validation={"folds": 2}))
    assert ran.result["best"]["searched"]["alpha"] > 30
    plain = run_spec(tmp_path / "plain", spec_of(path, "linear", validation={"folds": 2}))
    assert ran.test["rmse"] < plain.test["rmse"]


def test_hopeless_trials_are_pruned_and_never_chosen(tmp_path: Path) -> None:
    space = {"alpha": {"values": [0.1, 0.2, 0.3, 0.4, 0.5, 1e6, 1e7, 1e8]}}
    search = {"method": "grid", "space": space, "validation": {"folds": 3}}
    rows = [row for row in searched(tmp_path, search).rows("trials") if row["fold"] is None]
    assert [row["state"] for row in rows[-3:]] == ["pruned"] * 3
    assert all(len(row["values"]) == 1 for row in rows[-3:])
    (tmp_path / "none").mkdir()
    kept = searched(tmp_path / "none", {**search, "pruner": "none"}).rows("trials")
    assert {row["state"] for row in kept} == {"complete"}


def test_the_importance_of_parameters_names_the_one_that_matters(tmp_path: Path) -> None:
    space = {"alpha": {"log_uniform": [0.1, 1e5]}, "tol": {"log_uniform": [1e-6, 1e-3]}}
    search = {"method": "random", "trials": 20, "space": space, "pruner": "none", "validation": {"folds": 2}}
    found = searched(tmp_path, search).result["param_importance"]
    assert found["alpha"] > 0.8
    assert sum(found.values()) == pytest.approx(1.0)


def test_a_searched_name_takes_the_place_of_the_models_own(tmp_path: Path) -> None:
    search = {"method": "grid", "space": {"alpha": {"values": [3.0]}}, "validation": {"folds": 2}}
    ran = searched(tmp_path, search, params={"alpha": 7.0, "fit_intercept": True})
    assert ran.result["best"]["params"] == {"alpha": 3.0, "fit_intercept": True}
    about = json.loads((ran.out / "model" / "model.json").read_text())
    assert about["members"][0]["params"]["alpha"] == 3.0


def test_an_objective_without_a_value_is_told(tmp_path: Path) -> None:
    search = {"method": "grid", "space": {"alpha": {"values": [1.0]}}, "objective": "icir"}
    with pytest.raises(ProgramError, match=r"icir has no value in any of 1 trials"):
        run_spec(
            tmp_path / "out",
            spec_of(planted(tmp_path, symbols=2), search=search, validation={"folds": 2}),
        )
    pooled = {"method": "grid", "space": {"alpha": {"values": [1.0]}}, "objective": "ic"}
    ran = run_spec(tmp_path / "p", spec_of(planted(tmp_path, symbols=2), search=pooled))
    assert ran.result["metrics"]["selection"]["ic_pooled"] > 0.5


def test_inner_folds_that_are_too_small_are_told_with_their_field(tmp_path: Path) -> None:
    search = {"trials": 2, "space": {"alpha": {"uniform": [0, 1]}}, "validation": {"folds": 30}}
    with pytest.raises(ProgramError, match=r"search\.validation\.folds: 30 folds of"):
        searched(tmp_path, search)


def test_ties_go_to_the_earlier_trial(tmp_path: Path) -> None:
    space = {"positive": {"values": [False]}, "max_iter": {"values": [500, 600, 700]}}
    search = {"method": "grid", "space": space, "validation": {"folds": 2}}
    assert searched(tmp_path, search).result["best"]["searched"]["max_iter"] == 500


def test_texts_and_nulls_can_be_searched(tmp_path: Path) -> None:
    space = {"max_features": {"values": ["sqrt", None, 1.0]}, "n_estimators": {"values": [3]}}
    search = {"method": "grid", "space": space, "validation": {"folds": 2}}
    rows = searched(tmp_path, search, "random_forest").rows("trials")
    assert {row["max_features"] for row in rows} == {"sqrt", None, "1.0"}


def test_progress_counts_trials_and_shows_the_best(tmp_path: Path) -> None:
    from berth_backtest.report import Progress, Stop
    from berth_training.job import run_job

    lines: list[tuple[float, str, int, int, Any]] = []

    class Told(Progress):
        def tell(self, progress: float, phase: str, *more: Any, **_: Any) -> None:
            lines.append((progress, phase, *(*more, 0, 0, None)[:3]))

    search = {"trials": 4, "space": {"alpha": {"uniform": [0, 9]}}, "validation": {"folds": 2}}
    spec = spec_of(planted(tmp_path, dates=60), search=search, validation={"folds": 2})
    run_job(spec, tmp_path / "out", Told(None), Stop(), 1)
    shares = [line[0] for line in lines]
    assert shares == sorted(shares)
    steps = [(line[2], line[3]) for line in lines if line[1] in ("fold", "search", "fit")]
    assert steps[-1] == (27, 27)  # (4 trials x 2 + 1) fits in each fold and at the end
    assert any("best_rmse" in (line[4] or {}) for line in lines)
