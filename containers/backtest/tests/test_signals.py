"""Wanted fractions from a file: what is ordered, and what of it is filled."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as papq
import pytest
from berth_backtest.errors import ProgramError

from tests.support import FREE, Ran, day, run_spec, write_csv

CLOSES = {"AA": [10, 10, 20, 20, 10], "BB": [5, 5, 5, 10, 10]}


def ran(
    tmp_path: Path, signals: Any, closes: Any = CLOSES, mode: str = "per_symbol", **execution: Any
) -> Ran:
    rows = [(day(i), name, close) for name, line in closes.items() for i, close in enumerate(line) if close]
    prices = write_csv(tmp_path / "p.csv", "date,symbol,close", rows)
    file = write_csv(tmp_path / "s.csv", "date,symbol,target", signals)
    spec = {
        "data": {"files": [{"url": str(prices)}], "adjustment": "total"},
        "strategy": {"signals": {"url": f"file://{file}"}},
        "execution": {**FREE, "cash": 1000, **execution},
        "portfolio": {"mode": mode},
        "search": {"min_trades": 0},
        "output": {"tearsheet": False},
    }
    return run_spec(tmp_path / "out", json.loads(json.dumps(spec)))


def positions(run: Ran, symbol: str) -> list[float]:
    return [row["position"] for row in run.rows("equity") if row["symbol"] == symbol]


def test_a_fraction_is_of_the_equity_at_the_fill(tmp_path: Path) -> None:
    run = ran(tmp_path, [(day(0), "AA", 0.5), (day(2), "AA", 0.25), (day(3), "AA", 0)])
    # 50 at 10; at 20 the equity is 1500, a quarter of it 18.75 units; then nothing.
    assert positions(run, "AA") == [0, 50, 50, 18.75, 0]
    [trade] = run.trades()
    assert (trade["units"], trade["entry_price"]) == (50, 10)
    assert trade["exit_price"] == pytest.approx((31.25 * 20 + 18.75 * 10) / 50)
    assert trade["pnl"] == pytest.approx(31.25 * 10)
    assert run.metrics["trades"] == 0.5
    assert run.result["look_ahead"] == {"checked": 0, "ok": None, "first_difference": None}
    assert "look_ahead_unchecked" in run.codes()


def test_an_add_averages_the_entry(tmp_path: Path) -> None:
    run = ran(tmp_path, [(day(0), "AA", 0.5), (day(2), "AA", 1)])
    [trade] = [trade for trade in run.trades() if trade["symbol"] == "AA"]
    assert trade["units"] == 75
    assert trade["entry_price"] == pytest.approx((50 * 10 + 25 * 20) / 75)
    assert trade["open"]


def test_one_purse_holds_weights_of_the_whole(tmp_path: Path) -> None:
    signals = [(day(0), "AA", 0.5), (day(0), "BB", 0.5), (day(2), "AA", 0.2), (day(2), "BB", 0.8)]
    run = ran(tmp_path, signals, mode="shared")
    units = {(t["symbol"]): t["units"] for t in run.trades()}
    # At the close of 3: 50 x 20 + 100 x 10 = 2000; AA keeps 400 / 20 and BB gets 1600 / 10.
    assert units == {"AA": 50, "BB": 160}
    assert run.equity() == [1000, 1000, 1500, 2000, 1800]


def test_a_negative_fraction_is_a_short_where_shorts_are_allowed(tmp_path: Path) -> None:
    signals = [(day(1), "AA", 1), (day(2), "AA", -0.5)]
    run = ran(tmp_path, signals, direction="both")
    first, second = [trade for trade in run.trades() if trade["symbol"] == "AA"]
    assert (first["units"], first["exit_reason"]) == (50, "signal")
    assert (second["units"], second["entry_price"]) == (-25, 20)
    assert positions(ran(tmp_path, signals), "AA") == [0, 0, 50, 0, 0]


def test_a_target_below_one_lot_is_no_order_and_without_cash_it_is_rejected(tmp_path: Path) -> None:
    lots = {"fractional": False, "lot": 30}
    run = ran(tmp_path, [(day(0), "AA", 0.2), (day(1), "BB", 0.9)], **lots)
    assert positions(run, "AA") == [0] * 5
    assert positions(run, "BB")[2:] == [180, 180, 180]
    poor = ran(tmp_path, [(day(0), "AA", 1)], fee_min=995, **{**lots, "lot": 1})
    assert poor.result["rejected_orders"] == {"cash": 1}


def test_a_reduction_waits_for_a_bar_and_an_add_does_not(tmp_path: Path) -> None:
    closes = {"AA": [10, 10, None, 20, 20], "BB": [5] * 5}
    less = ran(tmp_path, [(day(0), "AA", 0.8), (day(1), "AA", 0.4)], closes)
    assert positions(less, "AA") == [0, 80, 80, 36, 36]  # 0.4 of 1800 at 20
    more = ran(tmp_path, [(day(0), "AA", 0.4), (day(1), "AA", 0.8)], closes)
    assert positions(more, "AA") == [0, 40, 40, 40, 40]
    kept = ran(tmp_path, [(day(0), "AA", 0.4), (day(1), "AA", 0.8)], closes, retry_entries=True)
    assert positions(kept, "AA")[3] == pytest.approx(0.8 * 1400 / 20)
    turned = ran(tmp_path, [(day(0), "AA", 0.4), (day(1), "AA", -0.8)], closes, direction="both")
    assert positions(turned, "AA") == [0, 40, 40, 0, 0]
    shared = ran(tmp_path, [(day(0), "AA", 0.8), (day(1), "AA", 0.4)], closes, mode="shared")
    assert shared.equity() == [1000, 1000, 1000, 1800, 1800]
    for run in (less, more, kept, turned, shared):
        assert run.result["rejected_orders"] == {"no_bar": 1}


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([(day(0), "AA", 1.5)], "row 1 (line 2), column target: 1.5 must be from -1 to 1"),
        ([(day(0), "AA", "x")], "column target: 'x' is not a number"),
        ([(day(0), "AA", 1), (day(0), "AA", 0)], "row 2 (line 3), column date: AA has this date twice"),
        ([("2020-01-01", "CC", 1)], "has no row for the run's symbols and dates"),
        ([("2020-02-30", "AA", 1)], "is not a date"),
        ([("2020-01-01T00:00:00Z", "AA", 1)], "is a time in one file and a date in another"),
    ],
)
def test_a_wrong_signal_is_told_with_its_row(tmp_path: Path, rows: Any, text: str) -> None:
    with pytest.raises(ProgramError) as caught:
        ran(tmp_path, rows)
    assert str(caught.value).startswith("strategy.signals: s.csv")
    assert text in str(caught.value)


def test_a_date_without_prices_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="2020-01-03 is no date of the prices"):
        ran(tmp_path, [(day(2), "AA", 1)], {"AA": [10, 10, None, 10]})


def test_parquet_with_null_symbols_or_columns_that_lack(tmp_path: Path) -> None:
    prices = write_csv(tmp_path / "p.csv", "date,close", [(day(i), 10) for i in range(4)])
    table = {"date": pa.array([18262], pa.date32()), "target": [1.0]}
    papq.write_table(pa.table(table), tmp_path / "s.parquet")
    spec: Any = {
        "data": {"files": [{"url": str(prices)}], "adjustment": "total"},
        "strategy": {"signals": {"url": str(tmp_path / "s.parquet")}},
        "execution": FREE,
        "output": {"tearsheet": True},
    }
    assert run_spec(tmp_path / "out", spec).trades()[0]["units"] == 1000
    papq.write_table(pa.table({"date": table["date"]}), tmp_path / "s.parquet")
    with pytest.raises(ProgramError, match="column target: is missing"):
        run_spec(tmp_path / "out", spec)


def test_a_fraction_that_is_wanted_again_orders_nothing(tmp_path: Path) -> None:
    # All of the equity on each date: what a rounding of it would order costs the least fee each time.
    closes = [[50 + 7 * math.sin(t), 40 + 3 * math.cos(t)] for t in range(40)]
    prices = {"AA": [a for a, _ in closes], "BB": [b for _, b in closes]}
    rows = [(day(t), name, 1) for t in range(39) for name in prices]
    costs = {"fee_bps": 10, "fee_min": 5, "slippage_bps": 5, "fractional": True}
    run = ran(tmp_path, rows, prices, "per_symbol", **costs)
    assert len({row["position"] for row in run.rows("equity")}) == 3
    assert run.result["rejected_orders"] == {}
    assert run.metrics["fees"] == 5


def expected(
    closes: dict[str, list[float]], wanted: dict[tuple[int, str], float], ex: dict[str, Any]
) -> list[float]:
    """One purse in plain Python: weights decided at a close and filled at the next."""
    cash, units = float(ex["cash"]), dict.fromkeys(closes, 0.0)
    slip, fee = ex["slippage_bps"] / 1e4, ex["fee_bps"] / 1e4
    curve: list[float] = []
    for t in range(len(closes["AA"])):
        price = {name: line[t] for name, line in closes.items()}
        equity = cash + sum(units[name] * price[name] for name in closes)
        orders = []
        for name in closes:
            if (t - 1, name) in wanted:
                more = wanted[t - 1, name] * equity / price[name] - units[name]
                value = wanted[t - 1, name] * equity - units[name] * price[name]
                orders.append((value, list(closes).index(name), name, more))
        for _, _, name, more in sorted(orders):
            size = math.floor(abs(more) * (1 + 1e-12))
            if wanted[t - 1, name] == 0:
                size = units[name]
            if more > 0:
                p = price[name] * (1 + slip)
                while size > 0 and size * p * (1 + fee) > cash * (1 + 1e-12):
                    size -= 1
                cash, units[name] = cash - size * p * (1 + fee), units[name] + size
            else:
                p = price[name] * (1 - slip)
                cash, units[name] = cash + size * p * (1 - fee), units[name] - size
        curve.append(cash + sum(units[name] * price[name] for name in closes))
    return curve


@pytest.mark.parametrize("seed", range(30))
def test_random_weights_equal_the_second_engine(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    closes = {
        name: [round(20 * math.exp(rng.gauss(0, 0.3)), 2) for _ in range(25)] for name in ("AA", "BB", "CC")
    }
    wanted: dict[tuple[int, str], float] = {}
    for t in range(24):
        if rng.random() < 0.6:
            for name in closes:
                if rng.random() < 0.8:
                    wanted[t, name] = rng.choice([0.0, 0.1, 0.3, 0.5])
    ex = {
        "cash": 20_000,
        "slippage_bps": rng.choice([0, 20]),
        "fee_bps": rng.choice([0, 15]),
        "fractional": False,
    }
    rows = [(day(t), name, x) for (t, name), x in wanted.items()]
    run = ran(tmp_path, rows, closes, "shared", **ex)
    assert run.equity() == pytest.approx(expected(closes, wanted, ex), rel=1e-12)
