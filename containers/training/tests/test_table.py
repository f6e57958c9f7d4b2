"""A table of the user's own: what it may hold, and what is told of it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berth_backtest.errors import ProgramError
from berth_training.data.check import check_frame
from berth_training.data.table import load_table
from berth_training.spec.parse import parse_spec

from tests.support import Json, columns_of, day, run_spec, spec_of, write_table


def load(path: Path, kind: str = "regression", **table: Any) -> Any:
    spec = parse_spec(spec_of(path, "random_forest", kind, table=table))
    assert spec.table is not None
    return check_frame(load_table(spec.table), spec.output.leakage_check)


def with_y(**shape: int) -> Json:
    columns = columns_of(**shape)
    columns["y"] = columns.pop("e")
    return columns


def test_numeric_columns_are_the_features_and_rows_are_sorted(tmp_path: Path) -> None:
    columns = with_y(dates=10, symbols=2)
    columns["word"] = ["x"] * 20
    order = np.random.default_rng(1).permutation(20)
    mixed = {name: [values[i] for i in order] for name, values in columns.items()}
    frame = load(write_table(tmp_path / "t.parquet", mixed))
    assert frame.names == ("f0", "f1", "f2")
    assert frame.x[:, 0].tolist() == columns["f0"].tolist()
    assert frame.y.tolist() == columns["y"].tolist()
    assert [code for code, _ in frame.warnings] == ["left_out_columns", "sorted_rows"]
    assert frame.warnings[0][1] == "left out, for they are no numbers: word (string)"
    assert frame.symbols == ("S0", "S1")


def test_csv_and_parquet_are_the_same(tmp_path: Path) -> None:
    columns = with_y(dates=8, symbols=2)
    names = list(columns)
    lines = [",".join(names), *[",".join(str(columns[n][i]) for n in names) for i in range(16)]]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    first, second = load(write_table(tmp_path / "t.parquet", columns)), load(tmp_path / "t.csv")
    assert first.x.tolist() == second.x.tolist()
    assert first.dates.tolist() == second.dates.tolist()


def test_label_end_gives_the_horizon_in_dates(tmp_path: Path) -> None:
    columns = with_y(dates=10, symbols=2)
    columns["end"] = [at + timedelta(days=3 if i == 6 else 1) for i, at in enumerate(columns["date"])]
    frame = load(write_table(tmp_path / "t.parquet", columns), horizon=None, label_end="end")
    assert frame.horizon == 3
    assert "end" not in frame.names


def test_the_last_rows_without_a_target_are_predicted_and_never_trained(tmp_path: Path) -> None:
    columns = with_y(dates=40, symbols=2)
    columns["y"][-6:] = np.nan
    ran = run_spec(tmp_path / "out", spec_of(write_table(tmp_path / "t.parquet", columns)))
    late = [row for row in ran.rows("predictions") if row["y"] is None]
    assert [str(row["date"]) for row in late] == [str(day(i)) for i in (37, 37, 38, 38, 39, 39)]
    assert all(row["prediction"] is not None and row["fold"] == 2 for row in late)
    assert ran.result["rows"]["with_target"] == 74


@pytest.mark.parametrize(
    ("change", "table", "message"),
    [
        ({"f1": [np.inf]}, {}, r"f1 is infinite in 1 of 40 rows, the first of them S0 on 2020-01-01"),
        ({"f1": [1e308, -np.inf]}, {}, r"f1 is beyond 3\.4e\+38, or infinite, in 2 of 40 rows"),
        ({"y": [-1e39]}, {}, r"the target is beyond 3\.4e\+38, or infinite, in 1 of 40 rows"),
        ({"date": [20_200_101] * 40}, {}, r"date: 40 rows are out of range, the first with 20200101 as a"),
        ({"date": [10**17] * 40}, {}, r"date: 40 rows are out of range"),
        ({}, {"group": "y"}, r"table\.group: 'y' is target too"),
        ({"f0": ["a"] * 40, "f1": [[1]] * 40, "f2": [None] * 40}, {}, r"f0 \(string\), f1"),
        ({"y": [-np.inf]}, {}, r"the target is infinite in 1 of 40 rows"),
        ({"f1": [np.nan] * 40}, {}, r"f1 has no value in any of 40 rows"),
        ({"y": [np.nan] * 40}, {}, r"is not known in any of 40 rows"),
        ({"date": [day(0), day(0)], "symbol": ["S0", "S0"]}, {}, r"1 rows repeat a date and symbol"),
        ({}, {"group": None}, r"20 rows repeat a date \(without a group\)"),
        ({}, {"target": "z"}, r"table\.target: 'z' is no column of the table"),
        ({}, {"features": ["f0", "ff1"]}, r"table\.features\[1\]: 'ff1' is no column.*did you mean f1"),
        ({}, {"features": ["symbol"]}, r"column symbol: must be numbers"),
        ({"date": [None]}, {}, r"date: is null in 1 rows"),
        ({"symbol": [None]}, {}, r"symbol: is null in 1 rows"),
    ],
)
def test_a_wrong_table_is_told_with_its_column_and_count(
    tmp_path: Path, change: Json, table: Json, message: str
) -> None:
    columns = with_y(dates=20, symbols=2)
    for name, values in change.items():
        columns[name] = [*values, *list(columns[name])[len(values) :]]
    with pytest.raises(ProgramError, match=message) as error:
        load(write_table(tmp_path / "t.parquet", columns), **table)
    assert error.value.code == "invalid_params"


def test_classes_must_be_two(tmp_path: Path) -> None:
    columns = with_y(dates=10, symbols=2)
    columns["y"] = np.ones(20, dtype=int)
    with pytest.raises(ProgramError, match="is 1 in all 20 rows: there is one class only"):
        load(write_table(tmp_path / "t.parquet", columns), "classification")
    columns["y"] = np.arange(20) % 3
    with pytest.raises(ProgramError, match="has the classes 0, 1, 2: classification takes 0 and 1"):
        load(write_table(tmp_path / "t.parquet", columns), "classification")
    columns["y"] = np.arange(20) % 2 == 0
    assert load(write_table(tmp_path / "t.parquet", columns), "classification").y.sum() == 10


def test_a_label_end_before_its_row_is_refused(tmp_path: Path) -> None:
    columns = with_y(dates=10, symbols=2)
    columns["end"] = list(columns["date"])
    columns["end"][5] = day(0)
    with pytest.raises(ProgramError, match="row 6, column end: lies before date in 1 rows"):
        load(write_table(tmp_path / "t.parquet", columns), horizon=None, label_end="end")
    columns["end"] = [None, *columns["date"][1:]]
    with pytest.raises(ProgramError, match="is null in 1 rows with a target"):
        load(write_table(tmp_path / "t.parquet", columns), horizon=None, label_end="end")


def test_constant_and_missing_features_are_kept_and_told(tmp_path: Path) -> None:
    columns = with_y(dates=30, symbols=2)
    columns["f0"] = np.full(60, 7.0)
    columns["f1"][:9] = np.nan
    path = write_table(tmp_path / "t.parquet", columns)
    ran = run_spec(tmp_path / "out", spec_of(path))
    told = {warning["code"]: warning["message"] for warning in ran.result["warnings"]}
    assert told["constant_features"] == "f0 has one value in all 60 rows"
    assert told["missing_values"] == "missing values by feature, of 60 rows: f1 9"
    assert ran.result["rows"]["dropped_by_feature"] == {"f1": 9}
    assert ran.result["rows"]["final_dropped"] == 9
    filled = run_spec(tmp_path / "filled", spec_of(path, preprocess={"impute": "median"}))
    assert filled.result["rows"]["final_dropped"] == 0


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_a_target_among_the_features_ends_with_4(tmp_path: Path, kind: str) -> None:
    columns = with_y(dates=20, symbols=2)
    if kind == "classification":
        columns["y"] = (columns["y"] > 0).astype(float)
    columns["copy"] = 3.0 - 2.0 * columns["y"]
    path = write_table(tmp_path / "t.parquet", columns)
    with pytest.raises(ProgramError, match="copy is the target itself") as error:
        load(path, kind)
    assert error.value.code == "look_ahead"
    assert "output.leakage_check" in (error.value.hint or "")
    with pytest.raises(ProgramError, match="y is the target: known only afterwards") as error:
        load(path, kind, features=["f0", "y"])
    assert error.value.code == "look_ahead"


def test_repeated_rows_are_counted(tmp_path: Path) -> None:
    columns = with_y(dates=20, symbols=2)
    for name in ("f0", "f1", "f2", "y"):
        columns[name][30:] = columns[name][:10]
    frame = load(write_table(tmp_path / "t.parquet", columns))
    told = dict(frame.warnings)
    assert told["duplicate_rows"].startswith("10 of 40 rows repeat another one")
