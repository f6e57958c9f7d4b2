"""Use as a library, MLflow, and predictions that go on into a backtest."""

import sys
from pathlib import Path
from typing import Any

import berth_backtest
import berth_training
import numpy as np
import pyarrow as pa
import pyarrow.parquet as papq
import pytest
from berth_backtest.errors import ProgramError

from tests.support import Json, columns_of, planted, run_spec, spec_of

PRICES: Json = {
    "data": {"symbols": ["AAPL", "KO", "XOM"], "start": "2016-01-01", "end": "2017-12-31"},
    "features": [{"name": "ret", "lags": [1, 5]}, {"name": "rank", "of": {"name": "ret", "lags": [20]}}],
    "target": {"name": "forward_return", "horizon": 5},
    "model": {"name": "ridge"},
    "validation": {"folds": 3},
}


def test_a_table_in_memory_gives_metrics_tables_and_a_model() -> None:
    columns = columns_of(dates=60, symbols=5)
    columns["y"] = columns["f0"] + 0.1 * columns.pop("e")
    spec = spec_of(Path("unused"))
    del spec["table"]["url"]
    result = berth_training.run(spec, pa.table(columns), threads=1)
    assert result.metrics["test"]["overall"]["r2"] > 0.9
    assert result.tables["predictions"].num_rows == 3 * 15 * 5
    assert result.report is None
    assert "result written" in result.log
    x = np.column_stack([columns[name] for name in result.model.features])
    assert np.corrcoef(result.model.predict(x), columns["y"])[0, 1] > 0.95
    for name in ("predictions", "importance", "trials"):
        if name in result.tables and "pandas" not in sys.modules:
            with pytest.raises(ModuleNotFoundError, match="pandas is not installed"):
                getattr(result, name)


def test_a_frame_takes_the_place_of_the_files(tmp_path: Path) -> None:
    spec = spec_of(planted(tmp_path))
    with pytest.raises(ProgramError, match=r"table\.url: give either it or a data frame"):
        berth_training.run(spec, pa.table({"a": [1]}))
    del spec["table"]["url"]
    with pytest.raises(ProgramError, match="table: is no data frame"):
        berth_training.run(spec, 3)
    prices = {
        "date": [f"2020-01-{i:02d}" for i in range(1, 31)],
        "close": [10.0 + i % 7 for i in range(30)],
    }
    small = {**PRICES, "data": {}, "features": [{"name": "ret", "lags": [1]}]}
    small |= {"target": {"name": "forward_return", "horizon": 1}, "output": {"plots": True}}
    result = berth_training.run(small, pa.table(prices), threads=1)
    assert result.report is not None
    assert result.result["data"]["dates"] == 30


def trained(tmp_path: Path, **parts: Any) -> Path:
    data = {"dataset": "sample:sp500-20", **PRICES["data"]}
    ran = run_spec(tmp_path / "train", {**PRICES, "data": data, "output": {"plots": False}, **parts})
    return ran.out / "predictions.parquet"


def backtest(file: Path, **more: Any) -> Any:
    return berth_backtest.run(
        {
            "data": {"dataset": "sample:sp500-20", "symbols": ["AAPL", "KO", "XOM"], "end": "2017-12-31"},
            "strategy": {"predictions": {"url": str(file), **more}, "rule": {"top_k": 1}, "every": 5},
            "portfolio": {"mode": "shared"},
            "output": {"tearsheet": False},
        },
        threads=1,
    )


def test_predictions_of_a_walk_forward_feed_a_backtest(tmp_path: Path) -> None:
    path = trained(tmp_path)
    result = backtest(path)
    codes = [warning["code"] for warning in result.result["warnings"]]
    assert "predictions_unchecked" not in codes
    assert "trained_on_later_dates" not in codes
    first = min(papq.read_table(path).column("date").to_pylist())
    entries = result.tables["trades"].column("entry_date").to_pylist()
    assert min(entries) > first  # decided at the close, filled at the next one
    assert len(entries) > 20


def test_predictions_of_the_train_are_refused_by_the_backtest(tmp_path: Path) -> None:
    path = trained(tmp_path)
    table = papq.read_table(path)
    split = pa.array(np.zeros(table.num_rows, dtype=np.int32))  # all as of the first model...
    moved = table.set_column(table.column_names.index("split"), "split", split)
    windows = '{"0": [["2016-01-04", "2017-06-30"]]}'  # ...which had seen half of them
    papq.write_table(moved.replace_schema_metadata({"berth_train_windows": windows}), path)
    with pytest.raises(ProgramError, match="lies in its own train, 2016-01-04 to 2017-06-30") as error:
        backtest(path)
    assert error.value.code == "look_ahead"


def test_a_path_of_cpcv_feeds_a_backtest_and_says_what_it_is(tmp_path: Path) -> None:
    path = trained(tmp_path, validation={"method": "cpcv", "folds": 4, "test_folds": 2})
    one, other = backtest(path, path=0), backtest(path, path=2)
    assert "trained_on_later_dates" in [warning["code"] for warning in one.result["warnings"]]
    assert one.result["best"]["metrics"] != other.result["best"]["metrics"]
    with pytest.raises(ProgramError, match="has no row of path 3"):
        backtest(path, path=3)
