"""Predictions from a file: what a rule makes of them, and which of them are refused."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as papq
import pytest
from berth_backtest.errors import ProgramError
from berth_backtest.kernel.ready import compile_kernel
from berth_backtest.kernel.run import run_moves
from berth_backtest.spec.parse import parse_spec

from tests.support import FREE, Json, Ran, day, run_spec, write_csv

CLOSES = {"AA": [10, 10, 20, 20, 10, 10], "BB": [5, 5, 5, 10, 10, 10], "CC": [8, 8, 8, 8, 8, 4]}
Row = tuple[int, str, float | None]
ROWS: list[Row] = [
    (0, "AA", 0.3),
    (0, "BB", 0.1),
    (0, "CC", -0.2),
    (1, "AA", -0.1),
    (1, "BB", 0.2),
    (1, "CC", 0.4),
    (2, "AA", 0.1),
    (2, "BB", None),
    (2, "CC", 0.2),
]


def ran(tmp_path: Path, strategy: Json, rows: Any = ROWS, mode: str = "shared", **execution: Any) -> Ran:
    lines = [(day(i), name, close) for name, line in CLOSES.items() for i, close in enumerate(line)]
    prices = write_csv(tmp_path / "p.csv", "date,symbol,close", lines)
    if "predictions" not in strategy:
        file = write_csv(tmp_path / "q.csv", "date,symbol,prediction", [(day(i), *row) for i, *row in rows])
        strategy = {"predictions": {"url": str(file)}, **strategy}
    spec = {
        "data": {"files": [{"url": str(prices)}], "adjustment": "total"},
        "strategy": strategy,
        "execution": {**FREE, "cash": 1000, "fill": "close", **execution},
        "portfolio": {"mode": mode},
        "search": {"min_trades": 0},
        "output": {"tearsheet": False},
    }
    return run_spec(tmp_path / "out", json.loads(json.dumps(spec)))


def held(run: Ran) -> dict[str, list[tuple[str, float]]]:
    """Returns entries by symbol: the date and the units."""
    found: dict[str, list[tuple[str, float]]] = {}
    for trade in run.trades():
        found.setdefault(trade["symbol"], []).append((str(trade["entry_date"]), trade["units"]))
    return found


def test_top_k_holds_the_best_in_equal_parts_on_every_date_that_is_asked_for(tmp_path: Path) -> None:
    run = ran(tmp_path, {"rule": {"top_k": 1}})
    # Day 0: AA with all of it; day 1: CC; day 2: CC still the best, BB without a prediction.
    assert held(run) == {"AA": [(day(0), 100.0)], "CC": [(day(1), 125.0)]}
    every = ran(tmp_path, {"rule": {"top_k": 2}, "every": 2})
    # Days 0 and 2 only: AA and BB by halves, then AA and CC.
    assert held(every) == {"AA": [(day(0), 50.0)], "BB": [(day(0), 100.0)], "CC": [(day(2), 93.75)]}
    assert every.result["effective_spec"]["strategy"]["every"] == 2


def test_a_shared_purse_runs_in_the_code_that_was_compiled_at_set_up(tmp_path: Path) -> None:
    compile_kernel()
    ran(tmp_path, {"rule": {"top_k": 1}})
    # A user's strategy has code of its own; of arrays in another order none has.
    assert not [each for each in run_moves.signatures if ", A)" in str(each)]


def test_signs_go_both_ways_where_shorts_are_allowed(tmp_path: Path) -> None:
    run = ran(tmp_path, {"rule": {"sign": True}, "every": 9}, mode="per_symbol", direction="both")
    assert held(run) == {"AA": [(day(0), 100.0)], "BB": [(day(0), 200.0)], "CC": [(day(0), -125.0)]}
    shared = ran(tmp_path, {"rule": {"sign": True}, "every": 9}, direction="both")
    third = 1000 / 3
    expected = {"AA": third / 10, "BB": third / 5, "CC": -third / 8}
    assert {name: units for name, [(_, units)] in held(shared).items()} == pytest.approx(expected)


def test_a_threshold_holds_what_is_above_it(tmp_path: Path) -> None:
    run = ran(tmp_path, {"rule": {"threshold": 0.15}}, mode="per_symbol")
    assert {name: [date for date, _ in trades] for name, trades in held(run).items()} == {
        "AA": [day(0)],
        "BB": [day(1)],
        "CC": [day(1)],
    }
    [bb] = [trade for trade in run.trades() if trade["symbol"] == "BB"]
    assert str(bb["exit_date"]) == day(2)  # without a prediction it is not wanted


def parquet(path: Path, windows: Any, split: list[int] | None = None, path_column: bool = True) -> Path:
    columns: Json = {
        "date": pa.array([day(i) for i, _, _ in ROWS]),
        "symbol": [name for _, name, _ in ROWS],
        "prediction": pa.array([value for _, _, value in ROWS], pa.float64()),
        "split": split or [0] * 3 + [1] * 6,
    }
    if path_column:
        columns["path"] = [0] * len(ROWS)
    table = pa.table(columns)
    if windows is not None:
        table = table.replace_schema_metadata({"berth_train_windows": json.dumps(windows)})
    papq.write_table(table, path)
    return path


def strategy_of(file: Path, **more: Any) -> Json:
    return {"predictions": {"url": str(file), **more}, "rule": {"top_k": 1}}


def test_rows_in_their_own_train_end_with_4(tmp_path: Path) -> None:
    before = {"0": [["2019-01-01", "2019-12-30"]], "1": [["2019-01-01", day(0)]]}
    run = ran(tmp_path, strategy_of(parquet(tmp_path / "q.parquet", before)))
    assert "predictions_unchecked" not in run.codes()
    assert "trained_on_later_dates" not in run.codes()
    inside = {**before, "1": [["2019-01-01", day(1)]]}
    with pytest.raises(ProgramError, match=r"row 4: 2020-01-02 lies in its own train.*; 3 rows") as error:
        ran(tmp_path, strategy_of(parquet(tmp_path / "q.parquet", inside)))
    assert error.value.code == "look_ahead"


def test_a_train_after_the_row_is_told_and_an_unknown_one_too(tmp_path: Path) -> None:
    later = {"0": [[day(3), day(5)]], "1": [["2019-01-01", "2019-12-30"], [day(4), day(5)]]}
    run = ran(tmp_path, strategy_of(parquet(tmp_path / "q.parquet", later)))
    assert "trained_on_later_dates" in run.codes()
    assert "look_ahead_unchecked" in run.codes()
    assert "predictions_unchecked" in ran(tmp_path, {"rule": {"top_k": 1}}).codes()


def test_a_csv_may_say_its_windows_by_row(tmp_path: Path) -> None:
    rows = [(day(i), name, value, "2019-01-01", "2019-12-31") for i, name, value in ROWS]
    columns = "date,symbol,prediction,train_start,train_end"
    file = write_csv(tmp_path / "w.csv", columns, rows)
    assert "predictions_unchecked" not in ran(tmp_path, strategy_of(file)).codes()
    file = write_csv(tmp_path / "w.csv", columns, [(*row[:4], day(0)) for row in rows])
    with pytest.raises(ProgramError, match="row 1: 2020-01-01 lies in its own train, 2019-01-01 to"):
        ran(tmp_path, strategy_of(file))


@pytest.mark.parametrize(
    ("windows", "more", "message"),
    [
        ({"0": [["2019-01-01", "2019-12-30"]]}, {}, "split: 1 has no train window"),
        ({"0": 3}, {}, "train windows cannot be read"),
        (None, {"path": 2}, "has no row of path 2"),
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path: Path, windows: Any, more: Json, message: str) -> None:
    with pytest.raises(ProgramError, match=message) as error:
        ran(tmp_path, strategy_of(parquet(tmp_path / "q.parquet", windows), **more))
    assert error.value.code == "invalid_params"


@pytest.mark.parametrize(
    ("strategy", "rows", "mode", "message"),
    [
        ({"rule": {"top_k": 4}}, ROWS, "shared", r"top_k: must be at most the run's 3 symbols"),
        ({"rule": {"top_k": 1}}, ROWS, "per_symbol", r'portfolio\.mode: must be "shared"'),
        ({"rule": {"top_k": 1.5}}, ROWS, "shared", r"rule\.top_k: must be a whole number"),
        ({"rule": {"sign": False}}, ROWS, "shared", r"rule\.sign: must be true"),
        ({"rule": {}}, ROWS, "shared", r"strategy\.rule: must be"),
        ({"rule": {"topk": 1}}, ROWS, "shared", r"rule\.topk: is not a known field; did you mean top_k"),
        ({}, ROWS, "shared", r"strategy\.rule: is required"),
        ({"rule": {"sign": True}, "every": 0}, ROWS, "shared", r"strategy\.every: must be a whole number"),
        ({"rule": {"sign": True}}, [*ROWS, (2, "CC", 1.0)], "shared", "CC has this date twice in a path"),
        ({"rule": {"sign": True}}, [(9, "AA", 1.0)], "shared", "has no row of path 0"),
        (
            {"rule": {"sign": True}, "predictions": {"path": 0}},
            ROWS,
            "shared",
            "predictions.url: is required",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, strategy: Json, rows: Any, mode: str, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        ran(tmp_path, strategy, rows, mode)


def test_a_rule_belongs_to_predictions() -> None:
    spec = {"data": {"dataset": "sample:indices"}, "strategy": {"name": "rsi", "rule": {"sign": True}}}
    with pytest.raises(ProgramError, match=r"strategy\.rule: belongs to strategy\.predictions"):
        parse_spec(spec)
