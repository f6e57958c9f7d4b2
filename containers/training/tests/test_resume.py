"""Stopped at any border and started again, a run ends as the unbroken one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berth_backtest.errors import StoppedError
from berth_backtest.report import Stop
from berth_training.models import blocks
from berth_training.models.load import load_model

from tests.support import Json, Ran, planted, run_spec, spec_of, without_times

TREES = {"xgboost": "n_estimators", "gradient_boosting": "max_iter", "random_forest": "n_estimators"}


class StopAfter(Stop):
    """Asks to stop at the n-th look."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def __getattribute__(self, name: str) -> Any:
        if name == "asked":
            looks = object.__getattribute__(self, "__dict__")
            looks["looks"] = looks.get("looks", 0) - 1
            return looks["looks"] < 0
        return object.__getattribute__(self, name)


def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", dict.fromkeys(TREES, 4))
    monkeypatch.setattr(blocks, "BLOCK_VALUES", 0)


def same(first: Ran, second: Ran) -> None:
    assert without_times(first.result) == without_times(second.result)
    for path in first.out.glob("*.parquet"):
        assert path.read_bytes() == (second.out / path.name).read_bytes(), path.name
    one, two = load_model(first.out / "model"), load_model(second.out / "model")
    x = np.random.default_rng(0).normal(size=(50, len(one.features)))
    assert one.predict(x).tolist() == two.predict(x).tolist()


def borders(spec: Json, out: Path) -> int:
    """Returns how often an unbroken run looks whether it is to stop."""
    counter = StopAfter(10**6)
    run_spec(out, spec, stop=counter)
    return 10**6 - counter.__dict__["looks"]


def stop_at_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: Json) -> int:
    """Stops a run at its first border, goes on to the next, and so on to the end."""
    whole = run_spec(tmp_path / "whole", spec)
    monkeypatch.setenv("BERTH_CHECKPOINT_DIR", str(tmp_path / "kept"))
    stops = 0
    while True:
        try:
            # One more look than the last time would be a border further; each start passes one border.
            ran = run_spec(tmp_path / "out", spec, stop=StopAfter(1 if stops else 0))
        except StoppedError:
            stops += 1
            assert stops < 500
            continue
        same(whole, ran)
        return stops


@pytest.mark.parametrize("model", list(TREES))
def test_blocks_of_trees_resume_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    short_blocks(monkeypatch)
    params: Json = {TREES[model]: 12, "max_depth": 3}
    if model == "xgboost":
        params |= {"subsample": 0.6, "colsample_bytree": 0.6, "early_stopping_rounds": 9}
    if model == "gradient_boosting":
        params |= {"early_stopping": True, "n_iter_no_change": 9}
    spec = spec_of(planted(tmp_path, dates=60), model, params=params, validation={"folds": 2})
    monkeypatch.setenv("BERTH_CHECKPOINT_EVERY_S", "0")
    assert stop_at_each(tmp_path, monkeypatch, spec) >= 4


@pytest.mark.parametrize("model", ["gradient_boosting", "random_forest"])
def test_trees_of_scikit_learn_are_the_same_in_blocks_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    params: Json = {TREES[model]: 13, "max_depth": 3, "max_features": 0.5}
    spec = spec_of(planted(tmp_path, dates=60), model, params=params, validation={"folds": 1})
    whole = run_spec(tmp_path / "whole", spec)
    short_blocks(monkeypatch)
    same(whole, run_spec(tmp_path / "blocks", spec))


def test_trials_folds_and_blocks_resume_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short_blocks(monkeypatch)
    search = {
        "trials": 3,
        "space": {"max_depth": {"int_uniform": [1, 4]}, "learning_rate": {"log_uniform": [0.05, 0.5]}},
        "validation": {"folds": 2},
        "seed": 3,
    }
    spec = spec_of(
        planted(tmp_path, dates=60),
        "xgboost",
        params={"n_estimators": 6, "subsample": 0.6},
        search=search,
        validation={"folds": 2},
        output={"curves": True, "importance": True, "permutation": True},
    )
    assert stop_at_each(tmp_path, monkeypatch, spec) > 25


@pytest.mark.parametrize("method", ["stacking", "bayesian_average"])
def test_ensembles_resume_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    members = [{"name": "ridge"}, {"name": "random_forest", "params": {"n_estimators": 5}}]
    spec = spec_of(
        planted(tmp_path, dates=60),
        None,
        ensemble={"method": method, "members": members},
        validation={"method": "cpcv", "folds": 3, "test_folds": 2},
    )
    assert stop_at_each(tmp_path, monkeypatch, spec) > 10


def test_a_stopped_run_leaves_what_was_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(planted(tmp_path), "ridge", validation={"folds": 4})
    monkeypatch.setenv("BERTH_CHECKPOINT_DIR", str(tmp_path / "kept"))
    with pytest.raises(StoppedError):
        run_spec(tmp_path / "out", spec, stop=StopAfter(0))
    assert not (tmp_path / "out" / "result.json").exists()
    with pytest.raises(StoppedError):
        run_spec(tmp_path / "out", spec, stop=StopAfter(1))
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["warnings"][0]["code"] == "stopped_early"
    assert result["warnings"][0]["message"].startswith("the run was stopped after 2 of 4 folds")
    assert result["metrics"]["test"]["overall"]["rmse"] > 0
    assert not (tmp_path / "out" / "model" / "model.json").exists()


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = planted(tmp_path)
    spec = spec_of(path, "ridge")
    whole = run_spec(tmp_path / "whole", spec)
    kept = tmp_path / "kept"
    monkeypatch.setenv("BERTH_CHECKPOINT_DIR", str(kept))
    with pytest.raises(StoppedError):
        run_spec(tmp_path / "out", spec_of(path, "ridge", params={"alpha": 9.0}), stop=StopAfter(1))
    same(whole, run_spec(tmp_path / "out", spec))
    with pytest.raises(StoppedError):
        run_spec(tmp_path / "out", spec, stop=StopAfter(1))
    for part in kept.glob("*.npz"):
        part.write_bytes(part.read_bytes()[:10])
    same(whole, run_spec(tmp_path / "out", spec))


def test_old_units_leave_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTH_CHECKPOINT_DIR", str(tmp_path / "kept"))
    monkeypatch.setenv("BERTH_CHECKPOINT_EVERY_S", "0")
    search = {"trials": 3, "space": {"alpha": {"uniform": [0, 1]}}}
    run_spec(tmp_path / "out", spec_of(planted(tmp_path), search=search))
    manifest = json.loads((tmp_path / "kept" / "manifest.json").read_text())
    named = {entry["file"] for entry in manifest["units"].values() if entry["file"]}
    assert {path.name for path in (tmp_path / "kept").glob("*.npz")} == named
    assert not [key for key in manifest["units"] if "/trial-0/" in key]
