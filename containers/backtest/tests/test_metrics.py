"""Metrics by hand, objectives, ranking."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berth_backtest.metrics import NAMES
from berth_backtest.score import mean_of, objectives, ranking
from berth_backtest.spec.types import Search

from tests.support import FREE, closes_csv, day, run_spec, spec_of, write_csv

EXACT = {**FREE, "fill": "close"}


def test_every_metric_by_hand(tmp_path: Path) -> None:
    # Long at 10 (bar 2) to 12 (bar 4), long at 12 (bar 5) ... equity 100, 100, 100, 150, 120, 120, 160, 130.
    closes = [10, 9, 10, 15, 12, 12.0, 11, 12, 16, 13]
    path = closes_csv(tmp_path / "p.csv", closes)
    spec = spec_of(path, execution={**EXACT, "cash": 100}, risk_free=0.0252)
    run = run_spec(tmp_path / "out", spec)
    equity = [100, 100, 100, 150, 120, 120, 120, 120, 160, 130]
    assert run.equity() == pytest.approx(equity)
    r = [b / a - 1 for a, b in zip([100, *equity[:-1]], equity, strict=True)]
    x = [y - 0.0001 for y in r]
    mean = sum(x) / 10
    deviation = math.sqrt(sum((y - mean) ** 2 for y in x) / 9)
    down = math.sqrt(sum(min(y, 0) ** 2 for y in x) / 10)
    annual = 1.3 ** (252 / 10) - 1
    expected = {
        "total_return": 0.3,
        "annual_return": annual,
        "annual_volatility": deviation * math.sqrt(252),
        "sharpe": mean / deviation * math.sqrt(252),
        "sortino": mean / down * math.sqrt(252),
        "calmar": annual / 0.2,
        "max_drawdown": -0.2,
        "max_drawdown_bars": 4,
        "trades": 2,
        "open_trades": 0,
        "win_rate": 1.0,
        "profit_factor": None,
        "exposure": 4 / 10,
        "turnover": (100 + 120 + 120 + 130) / (sum(equity) / 10) * 252 / 10,
        "fees": 0.0,
        "final_equity": 130.0,
    }
    for name, value in expected.items():
        assert run.metrics[name] == (value if value is None else pytest.approx(value, rel=1e-12)), name
    drawdown = [row["drawdown"] for row in run.rows("equity")]
    assert drawdown == pytest.approx([0, 0, 0, 0, -0.2, -0.2, -0.2, -0.2, 0, -0.1875])


def test_an_unrecovered_drawdown_is_counted_to_the_end_and_from_the_cash(tmp_path: Path) -> None:
    path = closes_csv(tmp_path / "p.csv", [10, 9, 12, 11, 11, 11])
    run = run_spec(tmp_path / "out", spec_of(path, execution={**EXACT, "cash": 120}))
    assert run.metrics["max_drawdown_bars"] == 3
    assert run.metrics["max_drawdown"] == pytest.approx(-1 / 12)


def test_zero_denominators_give_null(tmp_path: Path) -> None:
    path = closes_csv(tmp_path / "p.csv", [10] * 5)
    run = run_spec(tmp_path / "out", spec_of(path, execution=FREE))
    for name in ("sharpe", "sortino", "calmar", "win_rate", "profit_factor"):
        assert run.metrics[name] is None
    for name in ("annual_volatility", "max_drawdown", "turnover", "exposure", "total_return"):
        assert run.metrics[name] == 0
    assert run.result["best"]["objective"] is None
    assert "no_objective" in run.codes()
    assert "NaN" not in (run.out / "result.json").read_text()
    [row] = run.rows("metrics")
    assert row["sharpe"] is None


def test_one_bar_has_no_deviation(tmp_path: Path) -> None:
    path = closes_csv(tmp_path / "p.csv", [10])
    run = run_spec(tmp_path / "out", spec_of(path))
    assert run.metrics["annual_volatility"] is None


def search(**fields: Any) -> Search:
    return Search(
        **{
            "objective": "sharpe",
            "aggregate": "mean",
            "min_trades": 0,
            "seed": 1,
            "prior_trials": 0,
            **fields,
        }
    )


def table(values: list[list[float]], trades: float = 5, name: str = "sharpe") -> np.ndarray[Any, Any]:
    metrics = np.zeros((len(values), len(values[0]), len(NAMES)))
    metrics[:, :, NAMES.index(name)] = values
    metrics[:, :, NAMES.index("trades")] = trades
    return metrics


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [("mean", [2.0, 3.0, math.nan]), ("median", [1.0, 3.0, math.nan]), ("min", [1.0, 2.0, math.nan])],
)
def test_aggregates_leave_nulls_out_until_they_are_the_majority(
    aggregate: str, expected: list[float]
) -> None:
    nan = math.nan
    values = table([[1, 1, 4], [nan, 2, 4], [nan, nan, 9]])
    assert objectives(values, search(aggregate=aggregate)) == pytest.approx(expected, nan_ok=True)


def test_half_nulls_still_have_an_objective() -> None:
    values = table([[math.nan, 3.0]])
    for aggregate in ("mean", "median", "min"):
        assert objectives(values, search(aggregate=aggregate)).tolist() == [3.0]


def test_min_trades_counts_over_all_symbols() -> None:
    values = table([[1.0, 2.0]], trades=2)
    assert objectives(values, search(min_trades=4)).tolist() == [1.5]
    assert np.isnan(objectives(values, search(min_trades=5))).all()


def test_ranking_puts_null_last_and_ties_in_order() -> None:
    assert ranking(np.array([1.0, math.nan, 2.0, 2.0]), "sharpe").tolist() == [2, 3, 0, 1]
    assert ranking(np.array([1.0, math.nan, 2.0, 1.0]), "turnover").tolist() == [0, 3, 2, 1]


def test_points_are_the_product_in_alphabetical_order_with_the_last_fastest(tmp_path: Path) -> None:
    path = closes_csv(tmp_path / "p.csv", [10, 9, 12, 15, 12, 12])
    spec = spec_of(path, fast={"values": [3, 1]}, slow={"range": [2, 4, 1]}, execution=FREE)
    run = run_spec(tmp_path / "out", spec)
    rows = [(row["point"], row["fast"], row["slow"]) for row in run.rows("points")]
    assert rows == [(2, 3, 4), (3, 1, 2), (4, 1, 3), (5, 1, 4)]
    assert (run.result["points"], run.result["skipped"]) == (4, 2)
    assert (run.result["overfitting"]["pbo"], run.result["overfitting"]["trials"]) == (None, 4)
    assert all(row["fold"] is None and row["segment"] == "all" for row in run.rows("points"))


def test_the_means_of_a_point_leave_nulls_out(tmp_path: Path) -> None:
    moving = [(day(i), "AA", close) for i, close in enumerate([10, 9, 12, 15, 12, 12])]
    still = [(day(i), "BB", 5) for i in range(6)]
    path = write_csv(tmp_path / "p.csv", "date,symbol,close", [*moving, *still])
    run = run_spec(tmp_path / "out", spec_of(path, execution=FREE))
    by_symbol = {row["symbol"]: row for row in run.rows("metrics")}
    assert run.metrics["sharpe"] == by_symbol["AA"]["sharpe"]
    assert run.metrics["final_equity"] == (by_symbol["AA"]["final_equity"] + 10_000) / 2


def test_a_mean_is_the_same_for_one_set_and_for_many() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(3, 50, 4)) * 10.0 ** rng.uniform(-9, 9, (3, 50, 4))
    values[:, rng.integers(0, 50, 5)] = np.nan
    values[:, :, 0], values[:, :, 1] = -0.0, np.nan
    many = mean_of(values)
    for i in range(3):
        assert mean_of(values[i : i + 1]).tobytes() == many[i].tobytes()
