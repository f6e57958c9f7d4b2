"""Bootstrap intervals, cost stress and neighbours of the best point."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berth_backtest.honest import bootstrap
from berth_backtest.honest.bootstrap import block_length, bootstrap_of, draws
from berth_backtest.honest.robustness import kept_share, robustness_warnings

from tests.support import Json, Ran, day, run_spec, spec_of, write_csv
from tests.test_shards import cut, same_bytes


def trending(tmp_path: Path, bars: int = 300, symbols: int = 2) -> Path:
    draw = np.random.default_rng(3)
    closes = 50 * np.exp(np.cumsum(draw.normal(0.002, 0.02, (bars, symbols)), axis=0))
    rows = [[day(i), f"S{k}", closes[i, k]] for i in range(bars) for k in range(symbols)]
    return write_csv(tmp_path / "p.csv", "date,symbol,close", rows)


def searched(path: Path, **parts: Any) -> Json:
    output = {"robustness": True, **parts.pop("output", {})}
    return spec_of(path, fast={"values": [4, 2, 3]}, slow={"range": [3, 12, 1]}, output=output, **parts)


def plain_draws(bars: int, length: float, keys: list[int], starts: list[int]) -> list[int]:
    """The stationary bootstrap, bar by bar: on to the next one, or anywhere with probability 1 / length."""
    found: list[int] = []
    for key, start in zip(keys, starts, strict=True):
        if not found or (key >> 11) / 2**53 < 1 / length:
            found.append(int((start >> 11) / 2**53 * bars))
        else:
            found.append((found[-1] + 1) % bars)
    return found


def test_draws_are_blocks_as_politis_and_romano_have_them() -> None:
    bars, length = 50, 4.0
    numbers = np.arange(7)
    found = draws(numbers, bars, length, 11)
    for number in numbers:
        at = number * bars + np.arange(bars)
        keys, starts = (bootstrap.keys_of(seed, at).tolist() for seed in (11, 12))
        assert found[number].tolist() == plain_draws(bars, length, keys, starts)
    assert (draws(numbers[3:5], bars, length, 11) == found[3:5]).all()


def test_blocks_have_their_mean_length_and_begin_anywhere() -> None:
    found = draws(np.arange(200), 500, 10.0, 1)
    goes_on = (np.diff(found, axis=1) % 500 == 1).mean()
    assert goes_on == pytest.approx(0.9, abs=0.01)
    counts, _ = np.histogram(found, bins=10, range=(0, 500))
    assert counts.min() > 0.9 * counts.mean()


@pytest.mark.parametrize("rho", [0.2, 0.5, 0.8])
def test_the_block_length_of_an_autoregression_is_the_known_optimum(rho: float) -> None:
    # Politis and White 2004, with D = 2 g(0)^2: b = (2 G^2 / D)^(1/3) n^(1/3); for an AR(1)
    # G / g(0) = 2 rho / (1 - rho^2).
    n = 20_000
    found = []
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(size=n)
        series = np.zeros(n)
        for t in range(1, n):
            series[t] = rho * series[t - 1] + noise[t]
        found.append(block_length(series))
    optimum = (2 * rho / (1 - rho**2)) ** (2 / 3) * n ** (1 / 3)
    assert np.mean(found) == pytest.approx(optimum, rel=0.2)


def test_block_lengths_have_bounds() -> None:
    assert block_length(np.ones(50)) == 1.0
    assert block_length(np.linspace(-1, 1, 200)) <= np.ceil(3 * np.sqrt(200))
    assert 1.0 <= block_length(np.random.default_rng(1).normal(size=400)) < 10
    assert block_length(np.array([1.0, -1.0] * 100)) >= 1.0


def test_the_interval_covers_the_truth_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "REPLICATES", 200)
    covered = 0
    for seed in range(100):
        returns = np.random.default_rng(seed).normal(0.0005, 0.01, 500)
        found: Any = bootstrap_of(returns, 0.0, 252.0, seed)
        covered += found["sharpe"]["low"] < 0.05 * np.sqrt(252) < found["sharpe"]["high"]
        assert found["sharpe"]["low"] < found["sharpe"]["value"] < found["sharpe"]["high"]
        assert found["max_drawdown"]["low"] < found["max_drawdown"]["high"] < 0
    assert 88 <= covered <= 100


def test_an_interval_without_a_deviation_is_null() -> None:
    found: Any = bootstrap_of(np.zeros(30), 0.0, 252.0, 1)
    assert found["sharpe"] == {"value": None, "low": None, "high": None}
    assert found["max_drawdown"]["low"] == 0.0
    assert bootstrap_of(np.zeros(5), 0.0, 252.0, 1) is None


@pytest.mark.parametrize("mode", ["per_symbol", "shared"])
def test_costs_at_other_factors_are_those_of_such_a_spec(tmp_path: Path, mode: str) -> None:
    costs = {
        "fee_bps": 10.0,
        "fee_min": 2.0,
        "transfer_fee_bps": 1.0,
        "stamp_duty_bps": 5.0,
        "slippage_bps": 5.0,
        "borrow_bps_per_year": 300.0,
    }
    rest = {"direction": "both", "fractional": True}
    path = trending(tmp_path)
    spec = searched(path, execution={**costs, **rest}, portfolio={"mode": mode})
    ran = run_spec(tmp_path / "out", spec)
    best = ran.result["best"]
    rows = ran.result["robustness"]["costs"]
    assert [row["factor"] for row in rows] == [0, 1, 2]
    assert rows[1]["metrics"] == best["metrics"]
    assert rows[1]["objective"] == best["objective"]
    for row in rows:
        other = {name: row["factor"] * value for name, value in costs.items()}
        alone = spec_of(path, **best["parameters"], execution={**other, **rest}, portfolio={"mode": mode})
        again = run_spec(tmp_path / f"at-{row['factor']}", alone)
        assert again.metrics == row["metrics"]
    assert rows[0]["metrics"]["fees"] == 0 < rows[1]["metrics"]["fees"]


def test_neighbours_are_one_step_away_in_each_parameter(tmp_path: Path) -> None:
    ran = run_spec(tmp_path / "out", searched(trending(tmp_path)))
    points = {row["point"]: row for row in ran.rows("points")}
    best = ran.result["best"]["parameters"]
    fast, slow = best["fast"], best["slow"]
    wanted = [
        (name, values)
        for name, values in [
            ("fast", (fast - 1, slow)),
            ("fast", (fast + 1, slow)),
            ("slow", (fast, slow - 1)),
            ("slow", (fast, slow + 1)),
        ]
        if values in {(row["fast"], row["slow"]) for row in points.values()}
    ]
    neighbours = ran.result["robustness"]["neighbours"]
    found = [
        (row["parameter"], (points[row["point"]]["fast"], points[row["point"]]["slow"]))
        for row in neighbours["points"]
    ]
    assert found == wanted
    assert len(found) >= 2
    for row in neighbours["points"]:
        assert row["objective"] == points[row["point"]]["objective"]
        assert row["value"] == points[row["point"]][row["parameter"]]
    known = [row["objective"] for row in neighbours["points"] if row["objective"] is not None]
    assert neighbours["median"] == pytest.approx(np.median(known))


def found_of(kept: float, low: float, doubled: float) -> Json:
    return {
        "neighbours": {"kept": kept},
        "bootstrap": {"sharpe": {"value": 1.0, "low": low, "high": 2.0}},
        "costs": [{"metrics": {"total_return": value}} for value in (0.3, 0.2, doubled)],
    }


def test_a_spike_a_wide_interval_and_thin_gains_are_told() -> None:
    assert robustness_warnings(found_of(0.9, 0.2, 0.1)) == []
    codes = [code for code, _ in robustness_warnings(found_of(0.1, -0.2, -0.1))]
    assert codes == ["lonely_best", "sharpe_not_sure", "costs_decide"]
    assert robustness_warnings(None) == []
    assert kept_share(2.0, np.array([1.0, 0.5, 1.5]), "sharpe") == 0.5
    assert kept_share(-2.0, np.array([1.0]), "sharpe") is None
    assert kept_share(2.0, np.array([1.0]), "turnover") is None


def test_it_is_the_same_for_any_cut_and_can_be_turned_off(tmp_path: Path) -> None:
    spec = searched(trending(tmp_path), output={"tearsheet": True})
    whole = run_spec(tmp_path / "whole", spec)
    same_bytes(cut(tmp_path, spec, 3), whole)
    page = (whole.out / "tearsheet.html").read_text()
    assert page.index("<h2>Monthly returns") < page.index("<h2>How sure it is") < page.index("<h2>Parameters")
    assert f"{whole.result['robustness']['bootstrap']['sharpe']['low']:.2f}<" in page
    off = run_spec(tmp_path / "off", {**spec, "output": {"tearsheet": True, "robustness": False}})
    assert off.result["robustness"] is None
    assert "How sure it is" not in (off.out / "tearsheet.html").read_text()


def test_one_set_has_no_neighbours_and_few_bars_no_interval(tmp_path: Path) -> None:
    path = trending(tmp_path, 12, 1)
    ran: Ran = run_spec(tmp_path / "out", spec_of(path, output={"robustness": True, "tearsheet": True}))
    assert ran.result["robustness"]["neighbours"] is None
    assert ran.result["robustness"]["bootstrap"] is None
    assert "Too few bars" in (ran.out / "tearsheet.html").read_text()
    json.dumps(ran.result, allow_nan=False)
