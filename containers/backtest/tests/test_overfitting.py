"""Deflated Sharpe ratio and probability of overfitting: the paper's numbers, and a plain second program."""

import math
from itertools import combinations
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from berth_backtest import chunks
from berth_backtest.honest import sample
from berth_backtest.honest.blocks import BLOCKS, Blocks, block_sums, returns_of
from berth_backtest.honest.cscv import probability_of_overfitting
from berth_backtest.honest.deflated import deflated_sharpe, expected_maximum, probabilistic, variance_of
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import Json, Ran, day, run_spec, spec_of, write_csv
from tests.test_shards import cut, same_bytes

Matrix = list[list[float]]


def test_the_papers_example() -> None:
    # Bailey and Lopez de Prado 2014, "A numerical example": 5 years of 250 days, an annual Sharpe ratio of
    # 2.5 with skewness -3 and kurtosis 10, V = 1/2 a year.
    variance, sharpe = 0.5 / 250, 2.5 / math.sqrt(250)
    above = expected_maximum(variance, 100)
    assert above == pytest.approx(0.1132, abs=5e-5)
    assert probabilistic(sharpe, 1250, -3, 10, above) == pytest.approx(0.9004, abs=5e-5)
    # "The strategy would have been accepted after 46 trials."
    above = expected_maximum(variance, 46)
    assert probabilistic(sharpe, 1250, -3, 10, above) == pytest.approx(0.9505, abs=5e-5)
    assert probabilistic(sharpe, 1250, -3, 10, expected_maximum(variance, 47)) < 0.9505


def test_the_expected_maximum_is_what_the_best_of_normal_trials_has() -> None:
    draw = np.random.default_rng(1)
    best = draw.normal(0, 0.3, (20_000, 50)).max(axis=1).mean()
    assert expected_maximum(0.09, 50) == pytest.approx(best, rel=0.02)
    assert expected_maximum(0.09, 10**12) < expected_maximum(0.09, 10**13) < 0.3 * 8
    assert expected_maximum(0.09, 1) == 0.0


def sharpe(returns: list[float], free: float) -> float | None:
    mean = math.fsum(returns) / len(returns)
    spread = math.fsum((x - mean) ** 2 for x in returns)
    return None if spread == 0 else (mean - free) / math.sqrt(spread / (len(returns) - 1))


def plain_pbo(points: Matrix, free: float) -> float:
    """CSCV from returns, as conventions.md §5 has it, without a thought for speed."""
    length = len(points[0]) // 16
    overfitted, splits = 0, 0
    cells = [[row[i * length : (i + 1) * length] for i in range(16)] for row in points]
    for half in combinations(range(16), 8):
        rest = [i for i in range(16) if i not in half]
        inside = [sharpe([x for i in half for x in row[i]], free) for row in cells]
        outside = [sharpe([x for i in rest for x in row[i]], free) or 0.0 for row in cells]
        key = [-math.inf if x is None else x for x in inside]
        value = outside[key.index(max(key))]
        rank = sum(x < value for x in outside) + (sum(x == value for x in outside) + 1) / 2
        omega = rank / (len(points) + 1)
        overfitted += math.log(omega / (1 - omega)) <= 1e-12
        splits += 1
    assert splits == 12_870
    return overfitted / splits


def plain_dsr(returns: list[float], free: float, sharpes: list[float | None], trials: int) -> float:
    n = len(returns)
    mean = math.fsum(returns) / n
    m2, m3, m4 = (math.fsum((x - mean) ** k for x in returns) / n for k in (2, 3, 4))
    known = [x for x in sharpes if x is not None]
    middle = math.fsum(known) / len(known)
    variance = math.fsum((x - middle) ** 2 for x in known) / (len(known) - 1)
    normal, euler = NormalDist(), 0.57721566490153286
    luck = math.sqrt(variance) * (
        (1 - euler) * normal.inv_cdf(1 - 1 / trials) + euler * normal.inv_cdf(1 - 1 / (trials * math.e))
    )
    own = sharpe(returns, free)
    assert own is not None
    error = math.sqrt(1 - m3 / m2**1.5 * own + (m4 / m2**2 - 1) / 4 * own**2)
    return normal.cdf((own - luck) * math.sqrt(n - 1) / error)


def market(tmp_path: Path, bars: int = 70) -> Path:
    draw = np.random.default_rng(5)
    closes = 50 * np.exp(np.cumsum(draw.normal(0, 0.02, (bars, 2)), axis=0))
    rows = [[day(i), f"S{k}", closes[i, k]] for i in range(bars) for k in (0, 1)]
    return write_csv(tmp_path / "p.csv", "date,symbol,close", rows)


def returns_by_point(ran: Ran, cash: float) -> dict[int, list[float]]:
    """Returns each point's returns, from the equity of all ranks."""
    rows = ran.rows("points")
    order = sorted(rows, key=lambda row: (row["objective"] is None, -(row["objective"] or 0), row["point"]))
    found = {}
    equity: dict[int, dict[str, float]] = {}
    for row in ran.rows("equity"):
        curve = equity.setdefault(row["rank"], {})
        curve[str(row["date"])] = curve.get(str(row["date"]), 0.0) + row["equity"]
    for rank, row in enumerate(order, 1):
        curve_of = list(equity[rank].values())
        before = [cash, *curve_of[:-1]]
        found[row["point"]] = [e / b - 1 for e, b in zip(curve_of, before, strict=True)]
    return dict(sorted(found.items()))


@pytest.mark.parametrize(("mode", "risk_free"), [("per_symbol", 0.0), ("shared", 0.03), ("shared", -0.5)])
def test_a_run_agrees_with_a_plain_second_program(tmp_path: Path, mode: str, risk_free: float) -> None:
    spec = spec_of(
        market(tmp_path),
        fast={"values": [1, 2, 60]},
        slow={"values": [3, 8, 65]},
        output={"top_k": 9},
        portfolio={"mode": mode},
        search={"prior_trials": 5, "min_trades": 0},
        risk_free=risk_free,
    )
    ran = run_spec(tmp_path / "out", spec)
    found = returns_by_point(ran, 20_000 if mode == "per_symbol" else 10_000)
    assert len(found) == ran.result["points"] == 7
    free, overfitting = risk_free / 252, ran.result["overfitting"]
    sharpes = [sharpe(row, free) for row in found.values()]
    assert None in sharpes  # (60, 65) never trades
    assert overfitting["pbo"] == pytest.approx(plain_pbo(list(found.values()), free), abs=1e-12)
    best = found[ran.result["best"]["point"]]
    assert overfitting["deflated_sharpe"] == pytest.approx(plain_dsr(best, free, sharpes, 12), abs=1e-9)
    assert (overfitting["trials"], overfitting["sampled"]) == (12, 7)


def blocks_of(returns: np.ndarray) -> Blocks:  # type: ignore[type-arg]
    return Blocks(np.arange(len(returns)), block_sums(returns), returns.shape[1])


def test_noise_is_told_from_skill() -> None:
    pbo, dsr, skilled_pbo, skilled_dsr = [], [], [], []
    for seed in range(20):
        returns = np.random.default_rng(seed).normal(0, 0.01, (40, 500))
        for most, (probabilities, deflated) in enumerate(((pbo, dsr), (skilled_pbo, skilled_dsr))):
            returns[7] += 0.003 * most
            sharpes = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
            probabilities.append(probability_of_overfitting(blocks_of(returns), 0.0))
            best = returns[int(np.argmax(sharpes))]
            deflated.append(deflated_sharpe(best, 0.0, variance_of(sharpes), len(returns)))
    assert np.mean(pbo) == pytest.approx(0.5, abs=0.1)
    assert np.mean(np.array(dsr) > 0.95) <= 0.1
    assert max(skilled_pbo) < 0.05
    assert min(skilled_dsr) > 0.95


def test_a_search_in_noise_is_warned_of_first(tmp_path: Path) -> None:
    spec = spec_of(
        market(tmp_path, 200),
        fast={"range": [1, 9, 1]},
        slow={"range": [2, 30, 1]},
        output={"tearsheet": True},
    )
    ran = run_spec(tmp_path / "out", spec)
    assert ran.result["overfitting"]["deflated_sharpe"] < 0.95
    assert "likely_overfit" in ran.codes()
    page = (ran.out / "tearsheet.html").read_text()
    assert page.index("likely_overfit") < page.index("Deflated Sharpe ratio") < page.index("<h2>Equity")
    assert f">{ran.result['overfitting']['pbo']:.3f}<" in page


def test_what_cannot_be_measured_is_null_and_told(tmp_path: Path) -> None:
    few = run_spec(tmp_path / "few", spec_of(market(tmp_path, 20), slow={"values": [2, 3]}))
    assert few.result["overfitting"]["pbo"] is None
    one: Json = spec_of(market(tmp_path, 200), fast=2, slow=9)
    alone = run_spec(tmp_path / "one", one)
    assert alone.result["overfitting"]["pbo"] is None
    assert alone.result["overfitting"]["expected_max_sharpe"] == 0.0
    assert 0 < alone.result["overfitting"]["deflated_sharpe"] < 1
    assert not {"likely_overfit", "overfitting_not_measured"} & set(alone.codes())
    before = run_spec(tmp_path / "before", {**one, "search": {"prior_trials": 3}})
    assert before.result["overfitting"]["deflated_sharpe"] is None
    assert "overfitting_not_measured" in before.codes()


def test_points_without_a_trade_are_no_skill() -> None:
    assert probability_of_overfitting(blocks_of(np.zeros((3, 64))), 0.0) == 1.0
    assert deflated_sharpe(np.zeros(64), 0.0, 0.1, 3) is None
    assert deflated_sharpe(np.zeros(1), 0.0, None, 1) is None


def test_returns_after_ruin_are_zero() -> None:
    curve = np.array([[12.0, 6.0, 0.0, 0.0]])
    assert returns_of(curve, 10.0).tolist() == [[pytest.approx(0.2), -0.5, -1.0, 0.0]]


def test_blocks_cover_the_bars_and_the_last_holds_the_rest() -> None:
    sums = block_sums(np.ones((1, 16 * 3 + 5)))
    assert sums[0, :, 0].tolist() == [3.0] * BLOCKS + [5.0]


@pytest.mark.parametrize("bars", [1, 15, 16, 17, 40, 130, 1_000, 2_100])
def test_a_sets_sums_do_not_depend_on_the_sets_beside_it(bars: int) -> None:
    returns = np.random.default_rng(bars).normal(0, 0.01, (70, bars))
    whole = block_sums(returns)
    for sets in (1, 2, 7, 64):
        assert (block_sums(returns[:sets]) == whole[:sets]).all()
    total = math.fsum(returns[3].tolist())
    assert whole[3, :, 0].sum() == pytest.approx(total, abs=1e-13)


@pytest.mark.parametrize("of", [2, 5])
def test_a_sample_is_the_same_for_any_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: int) -> None:
    monkeypatch.setattr(sample, "SAMPLED", 40)
    monkeypatch.setattr(chunks, "CHUNK_UPDATES", 1)
    monkeypatch.setattr("berth_backtest.honest.blocks.MOST_AT_ONCE", 7)
    spec = spec_of(market(tmp_path), fast={"range": [1, 9, 1]}, slow={"range": [2, 30, 1]})
    whole = run_spec(tmp_path / "whole", spec)
    assert whole.result["overfitting"]["sampled"] == 40
    same_bytes(cut(tmp_path, spec, of), whole)
    monkeypatch.setattr("berth_backtest.honest.curves.TABLE_BYTES", 0)
    monkeypatch.setattr("berth_backtest.simulate.MOVE_BYTES", 0)
    narrow = run_spec(tmp_path / "narrow", spec, threads=2)
    assert narrow.result["overfitting"] == whole.result["overfitting"]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 10**12), unique=True, max_size=60), st.integers(0, 2**53))
def test_samples_of_parts_join_to_that_of_the_whole(numbers: list[int], seed: int) -> None:
    points = np.array(sorted(numbers), dtype=np.int64)
    least, sample.SAMPLED = sample.SAMPLED, 9
    try:
        whole, parted = sample.Sample(seed), sample.Sample(seed)
        whole.add(points)
        for part in np.array_split(points, 5)[::-1]:
            parted.add(part)
    finally:
        sample.SAMPLED = least
    assert whole.points.tolist() == parted.points.tolist()
    assert len(whole.points) == min(9, len(points))
    assert len(set(sample.keys_of(seed, points).tolist())) == len(points)


def test_a_sample_is_even() -> None:
    drawn = sample.Sample(3)
    for first in range(0, 1_000_000, 100_000):
        drawn.add(np.arange(first, first + 100_000))
    assert len(drawn.points) == sample.SAMPLED
    counts, _ = np.histogram(drawn.points, bins=10, range=(0, 1_000_000))
    assert counts.min() > 900
    assert counts.max() < 1_100
