"""Where data and libraries end: few dates, one class, odd columns, other devices."""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xgboost
from berth_backtest.errors import ProgramError
from berth_training.models.blocks import best_round
from berth_training.models.device import no_gpu
from berth_training.models.load import load_model
from berth_training.models.preprocess import fit_steps
from berth_training.spec.parse import parse_spec
from berth_training.spec.types import Preprocess
from sklearn.preprocessing import RobustScaler, StandardScaler

from tests.support import Json, columns_of, day, planted, program, run_spec, spec_of, write_table


def wanted(impute: Any = None, scale: Any = None, winsorize: float = 0.0) -> Preprocess:
    return Preprocess(impute, scale, winsorize)


def test_scalers_are_scikit_learns_and_leave_constants_alone() -> None:
    x = np.random.default_rng(0).normal(size=(200, 3))
    x[:, 2] = 0.1  # sums of it are not exact: its spread must still count as none
    x[5, 0] = np.nan
    for name, scaler in (("standard", StandardScaler()), ("robust", RobustScaler())):
        found = fit_steps(wanted(scale=name), "ridge", x).apply(x)
        expected = scaler.fit_transform(x)
        assert found[:, :2] == pytest.approx(expected[:, :2], rel=1e-12, nan_ok=True)
        assert np.abs(found[:, 2]).max() < 1e-12


def test_a_feature_that_a_train_does_not_have_is_filled_and_never_divides_by_zero() -> None:
    x = np.column_stack([np.arange(20.0), np.full(20, np.nan)])
    for impute in ("mean", "median", "zero"):
        steps = fit_steps(wanted(impute, "standard", 0.05), "ridge", x)
        assert np.isfinite(steps.apply(x)).all()
    low = fit_steps(wanted(winsorize=0.1), "xgboost", x).apply(np.array([[-99.0, 7.0], [99.0, np.nan]]))
    assert low[:, 0] == pytest.approx([1.9, 17.1])
    assert low[0, 1] == 7.0


def with_y(**shape: int) -> Json:
    columns = columns_of(**shape)
    columns["y"] = columns["f0"] + 0.2 * columns.pop("e")
    return columns


def test_times_may_be_instants_or_numbers_of_periods(tmp_path: Path) -> None:
    columns = with_y(dates=40, symbols=1)
    columns["date"] = pa.array(np.arange(40) * 60_000_000, pa.timestamp("us", tz="UTC"))
    zoned = run_spec(tmp_path / "a", spec_of(write_table(tmp_path / "a.parquet", columns)))
    assert zoned.result["data"]["end"] == "1970-01-01T00:39:00Z"
    assert str(zoned.rows("predictions")[0]["date"].tzinfo) == "UTC"
    columns["date"] = np.arange(100, 140)
    numbered = run_spec(tmp_path / "b", spec_of(write_table(tmp_path / "b.parquet", columns)))
    assert numbered.test == zoned.test
    columns["date"] = pa.array([None, *range(101, 140)], pa.int64())
    with pytest.raises(ProgramError, match="date: is null in 1 rows"):
        run_spec(tmp_path / "c", spec_of(write_table(tmp_path / "c.parquet", columns)))
    columns["date"] = pa.array(np.arange(40) * 60_000_000, pa.timestamp("us"))
    path = write_table(tmp_path / "d.parquet", columns)
    with pytest.raises(ProgramError, match="time without a zone"):
        run_spec(tmp_path / "d", spec_of(path))
    new_york = run_spec(tmp_path / "e", spec_of(path, table={"timezone": "America/New_York"}))
    assert new_york.result["data"]["start"] == "1970-01-01T05:00:00Z"


def test_true_and_false_are_numbers_and_a_label_end_is_of_the_times_kind(tmp_path: Path) -> None:
    columns = with_y(dates=40, symbols=2)
    columns["up"] = columns["f1"] > 0
    columns["end"] = pa.array(np.arange(80) * 10**12, pa.timestamp("us", tz="UTC"))
    path = write_table(tmp_path / "t.parquet", columns)
    with pytest.raises(ProgramError, match="end: must be of the same kind as date"):
        run_spec(tmp_path / "a", spec_of(path, table={"horizon": None, "label_end": "end"}))
    ran = run_spec(tmp_path / "b", spec_of(path, table={"features": ["up", "f0"]}))
    assert ran.result["features"] == ["up", "f0"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("date,symbol,y,f0,f0\n2020-01-01,a,1,2,3\n", "f0: is there twice"),
        ("date,symbol,y,f0\n", "holds no rows"),
        ("date,symbol,y\n2020-01-01,a,1\n", "has no numeric column beside the target"),
        ("date,symbol,y,f0\n2020-01-01,a,1\n", "cannot be read"),
        ("date,symbol,y,f0\n2020-13-01,a,1,2\n", "is not a date such as"),
        (None, "does not exist"),
    ],
)
def test_a_file_that_is_no_table_is_told(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "t.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ProgramError, match=message) as error:
        run_spec(tmp_path / "out", spec_of(path))
    assert error.value.code == "invalid_params"


def test_one_class_in_a_train_is_told_with_its_rows(tmp_path: Path) -> None:
    columns = with_y(dates=40, symbols=2)
    columns["y"] = np.zeros(80)
    columns["y"][70:] = np.arange(10) % 2
    path = write_table(tmp_path / "t.parquet", columns)
    with pytest.raises(ProgramError, match=r"is 0 in all .* rows of a train: there is one class only"):
        run_spec(tmp_path / "a", spec_of(path, "logistic", "classification"))
    columns["y"] = np.zeros(80)
    columns["y"][::3] = 1
    columns["y"][30:56] = 0
    path = write_table(tmp_path / "t.parquet", columns)
    rule = {"method": "expanding", "folds": 1, "test_dates": 12}
    with pytest.raises(ProgramError, match="one class only in the last tenth of a train"):
        run_spec(tmp_path / "b", spec_of(path, "svm", "classification", validation=rule))


def test_a_train_too_short_for_its_last_tenth_is_told(tmp_path: Path) -> None:
    path = planted(tmp_path, dates=16, symbols=2)
    params = {"early_stopping_rounds": 2, "n_estimators": 5}
    with pytest.raises(ProgramError, match="leave none before its last tenth and a purge of 3"):
        run_spec(
            tmp_path / "out",
            spec_of(path, "xgboost", params=params, table={"horizon": 3}, validation={"folds": 3}),
        )


def test_rows_with_missing_features_are_too_few_for_a_line(tmp_path: Path) -> None:
    columns = with_y(dates=30, symbols=1)
    columns["f1"][3:] = np.nan
    path = write_table(tmp_path / "t.parquet", columns)
    with pytest.raises(ProgramError, match=r"rows of a train are whole: give preprocess\.impute"):
        run_spec(tmp_path / "out", spec_of(path))
    assert run_spec(tmp_path / "trees", spec_of(path, "random_forest", params={"n_estimators": 3})).test[
        "rmse"
    ]


def test_what_has_no_prediction_is_null_and_counted(tmp_path: Path) -> None:
    columns = with_y(dates=60, symbols=2)
    columns["f1"][-7:] = np.nan
    ran = run_spec(tmp_path / "out", spec_of(write_table(tmp_path / "t.parquet", columns)))
    rows = ran.rows("predictions")
    assert sum(row["prediction"] is None for row in rows) == 7
    assert ran.test["rmse"] is not None


def test_early_stopping_goes_by_the_last_metric_and_its_direction(tmp_path: Path) -> None:
    path = planted(tmp_path, "classification", dates=200)
    params = {"n_estimators": 60, "early_stopping_rounds": 6, "learning_rate": 0.3, "max_depth": 3}
    ran = run_spec(
        tmp_path / "out",
        spec_of(path, "xgboost", "classification", params={**params, "eval_metric": ["logloss", "auc"]}),
    )
    import pyarrow.parquet as papq

    table = papq.read_table(path)
    x = np.column_stack([table.column(name).to_numpy() for name in ("f0", "f1", "f2")])
    y, date = table.column("y").to_numpy(), np.repeat(np.arange(200), 6)
    direct = xgboost.XGBClassifier(**params, eval_metric="auc", n_jobs=1, tree_method="hist")
    direct.fit(x[date < 179], y[date < 179], eval_set=[(x[date >= 180], y[date >= 180])], verbose=False)
    assert ran.result["best"]["rounds"] == direct.best_iteration + 1
    assert best_round([1.0, 2.0, 3.0, 1.0], 9, "auc") == (3, False)
    assert best_round([3.0, float("nan"), 2.0, 2.5, 2.5], 2, "rmse") == (3, True)


def test_other_boosters_of_xgboost_work_too(tmp_path: Path) -> None:
    path = planted(tmp_path)
    params = {"booster": "gblinear", "n_estimators": 30}
    spec = spec_of(path, "xgboost", params=params, output={"importance": True})
    linear = run_spec(tmp_path / "a", spec)
    assert linear.test["r2"] > 0.6
    assert {row["method"] for row in linear.rows("importance")} == {"coefficient"}
    exact = run_spec(
        tmp_path / "b", spec_of(path, "xgboost", params={"tree_method": "exact", "max_depth": 2})
    )
    assert exact.test["r2"] > 0.6
    x = np.zeros((2, 3))
    assert load_model(linear.out / "model").predict(x).shape == (2,)


class FakeCuda:
    def __init__(self, status: int, count: int) -> None:
        self.status, self.count = status, count

    def cuInit(self, _flags: int) -> int:  # noqa: N802 (the driver's own name)
        return self.status

    def cuDeviceGetCount(self, found: Any) -> int:  # noqa: N802
        found._obj.value = self.count
        return 0


def test_a_gpu_is_looked_for_in_the_build_the_driver_and_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "built without CUDA" in (no_gpu() or "")
    monkeypatch.setattr(xgboost, "build_info", lambda: {"USE_CUDA": True})

    def missing(_name: str) -> None:
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert no_gpu() == "there is no CUDA driver on this machine"
    for status, count, found in ((0, 1, None), (0, 0, "sees no GPU"), (100, 1, "sees no GPU")):
        fake = FakeCuda(status, count)
        monkeypatch.setattr(ctypes, "CDLL", lambda _name, driver=fake: driver)
        assert (found or "") in (no_gpu() or "")
        assert (no_gpu() is None) == (found is None)


def test_the_device_of_a_job_is_its_first_visible_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    from berth_training.models.device import choose_device
    from berth_training.spec.types import Model

    monkeypatch.setattr("berth_training.models.device.no_gpu", lambda: None)
    models = (Model("xgboost", {}, "model"),)
    monkeypatch.setenv("BERTH_DEVICE", "cuda:3")
    assert choose_device(models).used == "cuda:3"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert choose_device(models).used == "cuda:0"
    given = (Model("xgboost", {"device": "cpu"}, "model"),)
    assert choose_device(given).used == "cpu"
    assert choose_device((Model("xgboost", {"device": "cuda:1"}, "model"),)).used == "cuda:1"
    monkeypatch.setenv("BERTH_DEVICE", "cpu")
    assert choose_device(models) == choose_device(given)


def test_a_space_that_is_too_large_or_misspelt_is_told(tmp_path: Path) -> None:
    space = {"alpha": {"values": list(range(1, 1001))}, "tol": {"values": list(range(1, 1001))}}
    with pytest.raises(ProgramError, match="makes 1000000 sets; at most 100000"):
        parse_spec(spec_of(tmp_path, search={"method": "grid", "space": space}))
    with pytest.raises(ProgramError, match=r"search\.space\.alpha\.uniform: must be a number"):
        parse_spec(spec_of(tmp_path, search={"space": {"alpha": {"uniform": ["a", 1]}}}))
    with pytest.raises(ProgramError, match=r"search\.space\.alpha\.unifrm: is not a known field"):
        parse_spec(spec_of(tmp_path, search={"space": {"alpha": {"unifrm": [0, 1]}}}))


def test_too_many_features_are_refused() -> None:
    lags = [
        {"name": "lag", "column": name, "lags": list(range(500))} for name in ("open", "high", "low", "close")
    ]
    spec = {
        "data": {"dataset": "sample:indices"},
        "features": [*lags, {"name": "ret", "lags": [1]}],
        "target": {"name": "sign"},
        "model": {"name": "logistic"},
    }
    with pytest.raises(ProgramError, match="features: make more than 2000 columns"):
        parse_spec(spec)


def test_prices_out_of_order_and_infinite_are_told_with_their_row(tmp_path: Path) -> None:
    def run(rows: list[str]) -> str:
        (tmp_path / "p.csv").write_text("\n".join(["date,symbol,close", *rows]) + "\n")
        spec = {
            "data": {"files": [{"url": str(tmp_path / "p.csv")}], "adjustment": "total"},
            "features": [{"name": "ret", "lags": [1]}],
            "target": {"name": "forward_return"},
            "model": {"name": "ridge"},
        }
        with pytest.raises(ProgramError) as error:
            run_spec(tmp_path / "out", spec)
        assert error.value.code == "invalid_params"
        return error.value.message

    rows = [f"{day(i)},{name},{10 + i % 3}" for name in ("A", "B") for i in range(10)]
    mixed = [*rows[:5], rows[6], rows[5], *rows[7:15], rows[16], rows[15]]
    assert "column date: is out of order" in run(mixed)
    assert "column close: inf is not a finite number" in run([*rows[:5], f"{day(5)},A,inf"])
    assert "is not known in any of 1 rows" in run(rows[:1])


def test_a_damaged_interval_of_checkpoints_is_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTH_CHECKPOINT_DIR", str(tmp_path / "kept"))
    monkeypatch.setenv("BERTH_CHECKPOINT_EVERY_S", "soon")
    run_spec(tmp_path / "out", spec_of(planted(tmp_path)))
    assert not (tmp_path / "kept").exists()  # it took less than a minute


def test_usage_by_hand() -> None:
    done = program("--help")
    assert done.returncode == 0
    assert "BERTH_MEMORY_GIB" in done.stdout


def test_a_model_that_does_not_converge_is_told(tmp_path: Path) -> None:
    path = planted(tmp_path, "classification")
    ran = run_spec(tmp_path / "a", spec_of(path, "logistic", "classification", params={"max_iter": 1}))
    told = {warning["code"]: warning["message"] for warning in ran.result["warnings"]}
    assert told["not_converged"].startswith("the model stopped before it converged in 3 of 3 folds")
    assert (
        "not_converged" not in run_spec(tmp_path / "b", spec_of(path, "logistic", "classification")).codes()
    )


def test_a_library_without_memory_says_so_and_not_that_the_spec_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise xgboost.core.XGBoostError("[12:00:00] /src/x.cc:1: std::bad_alloc")

    path = planted(tmp_path)
    monkeypatch.setattr(xgboost, "train", full)
    monkeypatch.setattr("berth_training.models.params.trial_fit", lambda *_: "")
    with pytest.raises(ProgramError, match="the memory was not enough: std::bad_alloc") as error:
        run_spec(tmp_path / "out", spec_of(path, "xgboost"))
    assert error.value.code == "out_of_memory"


@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("xgboost", {"objective": "reg:squaredlogerror", "n_estimators": 5}),
        ("xgboost", {"objective": "count:poisson", "n_estimators": 5}),
        ("gradient_boosting", {"loss": "gamma", "max_iter": 5}),
        ("gradient_boosting", {"early_stopping": "auto", "max_iter": 5}),
        ("xgboost", {"monotone_constraints": "(1,0,0)", "n_estimators": 5}),
    ],
)
def test_what_the_library_takes_is_taken(tmp_path: Path, model: str, params: Json) -> None:
    columns = with_y(dates=60, symbols=3)
    columns["y"] = np.exp(columns["y"])
    path = write_table(tmp_path / "t.parquet", columns)
    assert run_spec(tmp_path / "out", spec_of(path, model, params=params)).test["rmse"] > 0
