"""Every model: it learns what was planted, as the library itself does, and is the same when it is loaded."""

import io
import json
import pickle
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berth_backtest.errors import ProgramError
from berth_training.models.load import load_model
from berth_training.models.params import library_class
from berth_training.seeds import seed_of
from sklearn.preprocessing import StandardScaler

from tests.support import Json, planted, run_spec, spec_of

REGRESSION: list[tuple[str, Json]] = [
    ("linear", {}),
    ("ridge", {"alpha": 2.0}),
    ("lasso", {"alpha": 0.01}),
    ("svm", {"C": 1.0}),
    ("random_forest", {"n_estimators": 20, "min_samples_leaf": 5}),
    ("gradient_boosting", {"max_iter": 30, "learning_rate": 0.2}),
    ("xgboost", {"n_estimators": 30, "max_depth": 3}),
]
CLASSES: list[tuple[str, Json]] = [
    ("logistic", {}),
    *[(name, params) for name, params in REGRESSION if name not in ("linear", "ridge", "lasso")],
]


def features(path: Path) -> tuple[np.ndarray, np.ndarray]:
    import pyarrow.parquet as papq

    table = papq.read_table(path)
    x = np.column_stack([table.column(name).to_numpy() for name in ("f0", "f1", "f2")])
    return x, table.column("y").to_numpy().astype(float)


@pytest.mark.parametrize(("model", "params"), REGRESSION)
def test_a_regression_recovers_the_planted_signal_and_loads_as_it_was(
    tmp_path: Path, model: str, params: Json
) -> None:
    path = planted(tmp_path)
    ran = run_spec(tmp_path / "out", spec_of(path, model, params=params))
    assert ran.test["r2"] > 0.6  # the best possible is 1 - 0.25 / 1.5 = 0.83
    assert ran.test["ic"] > 0.8
    same_when_loaded(ran.out, path, model, "regression", params)


@pytest.mark.parametrize(("model", "params"), CLASSES)
def test_a_classifier_recovers_the_planted_signal_and_loads_as_it_was(
    tmp_path: Path, model: str, params: Json
) -> None:
    path = planted(tmp_path, "classification")
    ran = run_spec(tmp_path / "out", spec_of(path, model, "classification", params=params))
    assert ran.test["auc"] > 0.85
    assert ran.test["log_loss"] < 0.5
    same_when_loaded(ran.out, path, model, "classification", params)


def same_when_loaded(out: Path, path: Path, model: str, kind: str, params: Json) -> None:
    """The loaded model equals one that the library trained directly on the same rows."""
    x, y = features(path)
    loaded = load_model(out / "model")
    assert loaded.features == ["f0", "f1", "f2"]
    found = loaded.predict(x)
    made = library_class(model, "regression" if kind == "regression" else "classification")
    ready = (
        StandardScaler().fit_transform(x) if model in ("linear", "ridge", "lasso", "logistic", "svm") else x
    )
    if model == "svm" and kind == "classification":
        assert found.min() >= 0
        assert found.max() <= 1
        return  # calibrated: see below
    direct = dict(params)
    if model in ("random_forest", "gradient_boosting", "lasso", "ridge", "logistic"):
        direct["random_state"] = seed_of(1, "model")
    if model == "xgboost":
        direct |= {"n_jobs": 1, "tree_method": "hist"}
    estimator = made(**direct).fit(ready, y)
    expected = estimator.predict(ready) if kind == "regression" else estimator.predict_proba(ready)[:, 1]
    assert found == pytest.approx(np.asarray(expected, dtype=float), rel=1e-12, abs=1e-12)


def test_the_probabilities_of_an_svm_are_calibrated_on_the_last_tenth(tmp_path: Path) -> None:
    path = planted(tmp_path, "classification", dates=300)
    ran = run_spec(tmp_path / "out", spec_of(path, "svm", "classification"))
    entry = json.loads((ran.out / "model" / "model.json").read_text())["members"][0]
    slope, _ = entry["calibration"]
    assert slope > 0
    rows = ran.columns("predictions")
    p, y = rows["prediction"], rows["y"]
    for low, high in ((0.0, 0.3), (0.3, 0.7), (0.7, 1.0)):
        mine = (p >= low) & (p < high)
        assert y[mine].mean() == pytest.approx(p[mine].mean(), abs=0.15)


def test_steps_are_fitted_on_the_rows_of_the_train_alone(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as papq

    path = planted(tmp_path)
    spec = spec_of(path, preprocess={"scale": "standard", "winsorize": 0.01, "impute": "mean"})
    first = run_spec(tmp_path / "a", spec).columns("predictions")
    table = papq.read_table(path)
    wild = table.column("f0").to_numpy().copy()
    wild[-180:] *= 1e6  # the last 30 dates: the test of the last fold
    papq.write_table(table.set_column(2, "f0", pa.array(wild)), path)
    second = run_spec(tmp_path / "b", spec).columns("predictions")
    early = first["fold"] < 2
    assert first["prediction"][early].tolist() == second["prediction"][early].tolist()
    assert json.loads((tmp_path / "a/result.json").read_text())["metrics"]["test"]["folds"][2]["params"] == {}


def test_early_stopping_never_looks_at_the_test(tmp_path: Path) -> None:
    path = planted(tmp_path)
    params = {"n_estimators": 300, "learning_rate": 0.3, "early_stopping_rounds": 5}
    ran = run_spec(tmp_path / "out", spec_of(path, "xgboost", params=params))
    rounds = ran.result["best"]["rounds"]
    assert 3 <= rounds < 100
    assert ran.test["r2"] > 0.6
    hist = {"max_iter": 300, "learning_rate": 0.3, "early_stopping": True, "n_iter_no_change": 5}
    found = run_spec(tmp_path / "hist", spec_of(path, "gradient_boosting", params=hist))
    assert 5 < found.result["best"]["rounds"] < 150


def test_early_stopping_by_hand_gives_the_same_round(tmp_path: Path) -> None:
    import xgboost

    path = planted(tmp_path)
    params = {"n_estimators": 120, "learning_rate": 0.2, "early_stopping_rounds": 7, "max_depth": 3}
    ran = run_spec(tmp_path / "out", spec_of(path, "xgboost", params=params))
    x, y = features(path)
    date = np.repeat(np.arange(120), 6)
    direct = xgboost.XGBRegressor(**params, n_jobs=1, tree_method="hist")
    # 120 dates: the last 12 decide, one date of purge before them.
    direct.fit(x[date < 107], y[date < 107], eval_set=[(x[date >= 108], y[date >= 108])], verbose=False)
    assert ran.result["best"]["rounds"] == direct.best_iteration + 1
    assert load_model(ran.out / "model").predict(x) == pytest.approx(direct.predict(x), rel=1e-6)


def test_a_gpu_that_is_not_there_is_an_error_or_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = planted(tmp_path)
    params = {"n_estimators": 5, "device": "cuda"}
    with pytest.raises(ProgramError, match="cuda cannot be used: this XGBoost was built without CUDA"):
        run_spec(tmp_path / "out", spec_of(path, "xgboost", params=params))
    with pytest.raises(ProgramError, match='must be "cpu", "cuda" or "cuda:N"'):
        run_spec(tmp_path / "out", spec_of(path, "xgboost", params={"device": "gpu"}))
    monkeypatch.setenv("BERTH_DEVICE", "cuda:0")
    ran = run_spec(tmp_path / "out", spec_of(path, "xgboost", params={"n_estimators": 5}))
    assert ran.result["engine"]["device"] == "cpu"
    assert ran.result["engine"]["device_wished"] == "cuda:0"
    assert "device" in ran.codes()
    # Where the library really ran counts, whatever was found out before: this build has no GPU code.
    monkeypatch.setattr("berth_training.models.device.no_gpu", lambda: None)
    for name, given in (("wish", {"n_estimators": 5}), ("order", params)):
        ran = run_spec(tmp_path / name, spec_of(path, "xgboost", params=given))
        assert ran.result["engine"]["device"] == "cpu"
        assert "went on without the GPU" in ran.result["engine"]["fallback_reason"]
        assert json.loads((ran.out / "model" / "model.json").read_text())["device"] == "cpu"
    members = [{"name": "ridge"}, {"name": "xgboost", "params": {"n_estimators": 5}}]
    both = spec_of(path, None, ensemble={"method": "voting", "members": members})
    assert run_spec(tmp_path / "both", both).result["engine"]["device"] == "cpu"
    monkeypatch.setenv("BERTH_DEVICE", "cuda")
    ridge = run_spec(tmp_path / "ridge", spec_of(path))
    assert "no GPU version" in ridge.result["engine"]["fallback_reason"]


def test_a_model_file_with_foreign_types_is_refused(tmp_path: Path) -> None:
    import skops.io
    from sklearn.linear_model import Ridge

    class Evil(Ridge):
        def __reduce__(self) -> Any:
            return (print, ("ran",))

    ran = run_spec(tmp_path / "out", spec_of(planted(tmp_path)))
    folder = ran.out / "model"
    evil = Ridge()
    evil.extra = np.random.RandomState  # a type that no model of ours holds
    put_model(folder, skops.io.dumps(evil))
    with pytest.raises(ProgramError, match="types that are not trusted"):
        load_model(folder)
    put_model(folder, pickle.dumps(Ridge()))
    with pytest.raises(ProgramError, match="cannot be read"):
        load_model(folder)
    from sklearn.linear_model import Lasso

    put_model(folder, skops.io.dumps(Lasso()))
    with pytest.raises(ProgramError, match="holds a Lasso, not ridge"):
        load_model(folder)
    (folder / "model.json").write_text("{}")
    with pytest.raises(ProgramError, match="cannot be read: KeyError"):
        load_model(folder)


def put_model(folder: Path, data: bytes) -> None:
    """Puts another file in place of a model's, with its sum."""
    (folder / "model.skops").write_bytes(data)
    about = json.loads((folder / "model.json").read_text())
    about["members"][0]["sha256"] = sha256(data).hexdigest()
    (folder / "model.json").write_text(json.dumps(about))


@pytest.mark.parametrize("model", ["ridge", "xgboost"])
def test_a_damaged_model_is_refused_before_a_library_reads_it(tmp_path: Path, model: str) -> None:
    ran = run_spec(tmp_path / "out", spec_of(planted(tmp_path), model))
    folder = ran.out / "model"
    path = next(path for path in folder.iterdir() if path.name != "model.json")
    whole = path.read_bytes()
    for data in (b"", whole[: len(whole) // 2], whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(data)
        with pytest.raises(ProgramError, match=f"{path.name} is not the file that was saved"):
            load_model(folder)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("features", ["f0"], "ValueError"),
        ("features", None, "TypeError"),
        ("members", [], "IndexError"),
        ("ensemble", {"method": "voting", "weights": [], "log_likelihood": [], "intercept": 0}, "ValueError"),
        ("preprocess", {"center": [1.0], "spread": [2.0]}, "center and spread must have 3 numbers"),
        ("preprocess", {"center": [1.0, 1.0, 1.0], "spread": None}, "one of center and spread"),
    ],
)
def test_a_model_whose_parts_do_not_fit_is_refused(
    tmp_path: Path, part: str, value: Any, message: str
) -> None:
    ran = run_spec(tmp_path / "out", spec_of(planted(tmp_path, dates=40)))
    path = ran.out / "model" / "model.json"
    about = json.loads(path.read_text())
    if part == "preprocess":
        about["members"][0][part] |= value
    else:
        about[part] = value
    path.write_text(json.dumps(about))
    with pytest.raises(ProgramError, match=f"cannot be read: .*{message}"):
        load_model(path.parent)


def test_a_model_file_holds_no_pickle(tmp_path: Path) -> None:
    ran = run_spec(tmp_path / "out", spec_of(planted(tmp_path), "random_forest", params={"n_estimators": 3}))
    with zipfile.ZipFile(io.BytesIO((ran.out / "model" / "model.skops").read_bytes())) as archive:
        assert {Path(name).suffix for name in archive.namelist()} <= {".json", ".npy", ".npz"}


def test_a_loaded_model_wants_its_columns(tmp_path: Path) -> None:
    ran = run_spec(tmp_path / "out", spec_of(planted(tmp_path)))
    with pytest.raises(ValueError, match="rows must have 3 columns: f0, f1, f2"):
        load_model(ran.out / "model").predict([[1.0, 2.0]])


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [("xgboost", "n_estimators", 0), ("xgboost", "n_estimators", None), ("gradient_boosting", "max_iter", 0)],
)
def test_rounds_are_a_whole_number_from_1_whenever_they_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, name: str, value: object
) -> None:
    path = planted(tmp_path, dates=40)
    with pytest.raises(ProgramError, match=rf"model\.params: .*{name}.*{value}") as error:
        run_spec(tmp_path / "out", spec_of(path, model, params={name: value}))
    assert error.value.code == "invalid_params"
    if value is not None:  # past the values that are tried before anything is trained
        monkeypatch.setattr("berth_training.models.params.CHECKED", 1)
        space = {name: {"values": [1, value]}}
        with pytest.raises(ProgramError, match=rf"params: {name} must be a whole number from 1, not 0"):
            run_spec(tmp_path / "out", spec_of(path, model, search={"method": "grid", "space": space}))


def test_what_a_library_refuses_while_training_is_the_specs_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = planted(tmp_path)
    monkeypatch.setattr("berth_training.models.params.trial_fit", lambda *_: "")
    with pytest.raises(ProgramError, match=r"model\.params: .*alpha") as error:
        run_spec(tmp_path / "out", spec_of(path, params={"alpha": -1.0}))
    assert error.value.code == "invalid_params"
