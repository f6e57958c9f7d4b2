"""Orders and fills, by numbers worked out by hand.

With fast 1 and slow 2 the faster average is above where a close rises and below where it falls.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.support import FREE, Ran, bars_csv, closes_csv, day, run_spec, spec_of, write_csv

# Falls, rises at bar 2, falls at bar 4: an entry is decided at 2, the exit at 4.
CLOSES = [10, 9, 12, 15, 12, 12]
BARS = [
    (10, 10, 10, 10),
    (10, 10, 9, 9),
    (9, 12, 9, 12),
    (13, 16, 12, 15),
    (15, 15, 11, 12),
    (11, 13, 11, 12),
]


def ran(tmp_path: Path, closes: list[Any] = CLOSES, **execution: Any) -> Ran:
    path = closes_csv(tmp_path / "p.csv", closes)
    return run_spec(tmp_path / "out", spec_of(path, execution={**FREE, "cash": 1200, **execution}))


def ran_bars(tmp_path: Path, bars: Any = BARS, parameters: Any = None, **execution: Any) -> Ran:
    path = bars_csv(tmp_path / "p.csv", bars)
    spec = spec_of(path, execution={**FREE, "cash": 1300, **execution}, parameters=parameters or {})
    return run_spec(tmp_path / "out", spec)


def test_next_close_fills_at_the_close_after_the_decision(tmp_path: Path) -> None:
    run = ran(tmp_path)
    [trade] = run.trades()
    assert (trade["entry_date"].isoformat(), trade["entry_price"]) == (day(3), 15)
    assert (trade["exit_date"].isoformat(), trade["exit_price"]) == (day(5), 12)
    assert (trade["units"], trade["pnl"], trade["return"], trade["bars"]) == (80, -240, -0.2, 2)
    assert run.equity() == [1200, 1200, 1200, 1200, 960, 960]
    assert run.result["effective_spec"]["execution"]["fill"] == "next_close"


def test_next_open_fills_at_the_open_after_the_decision(tmp_path: Path) -> None:
    run = ran_bars(tmp_path)
    [trade] = run.trades()
    assert (trade["entry_price"], trade["exit_price"], trade["units"]) == (13, 11, 100)
    assert run.equity() == [1300, 1300, 1300, 1500, 1200, 1100]
    assert run.result["effective_spec"]["execution"]["fill"] == "next_open"


def test_close_fills_at_the_deciding_close_and_warns(tmp_path: Path) -> None:
    run = ran(tmp_path, fill="close")
    [trade] = run.trades()
    assert (trade["entry_date"].isoformat(), trade["entry_price"], trade["exit_price"]) == (day(2), 12, 12)
    assert run.equity() == [1200, 1200, 1200, 1500, 1200, 1200]
    assert (run.metrics["win_rate"], run.metrics["profit_factor"]) == (0, None)  # a pnl of 0 is no win
    assert "same_close_fill" in run.codes()


def test_a_state_true_at_the_start_is_no_entry_unless_level_asks_for_it(tmp_path: Path) -> None:
    rising = [10, 11, 12, 13]
    assert ran(tmp_path, rising, fill="close").trades() == []
    path = closes_csv(tmp_path / "p.csv", rising)
    spec = spec_of(path, execution={**FREE, "fill": "close"}, strategy={"entry": "level"})
    [trade] = run_spec(tmp_path / "out", spec).trades()
    assert trade["entry_price"] == 11  # the first bar on which both averages exist


def test_equal_averages_are_neither_above_nor_below(tmp_path: Path) -> None:
    # Every 3-bar and 6-bar average is 6.3, but in float64 one of them is 9e-16 more.
    closes = [1.8, 7.3, 9.8] * 3
    path = closes_csv(tmp_path / "p.csv", closes)
    run = run_spec(tmp_path / "out", spec_of(path, fast=3, slow=6, execution={**FREE, "direction": "both"}))
    assert run.trades() == []
    assert run.result["ties"] == 4


def test_an_order_decided_on_the_last_bar_is_counted_as_end_of_data(tmp_path: Path) -> None:
    run = ran(tmp_path, [10, 9, 12])
    assert run.result["rejected_orders"] == {"end_of_data": 1}
    assert ran(tmp_path, [10, 9, 12], fill="close").result["rejected_orders"] == {}


def two_symbols(path: Path, closes: list[Any]) -> Path:
    steady = [(day(i), "ZZ", 100) for i in range(len(closes))]
    rows = [(day(i), "AA", close) for i, close in enumerate(closes) if close is not None]
    return write_csv(path, "date,symbol,close", [*rows, *steady])


def test_an_entry_without_a_bar_is_dropped_and_an_exit_waits(tmp_path: Path) -> None:
    path = two_symbols(tmp_path / "p.csv", [10, 9, 12, None, 13, 11, 14, 15, 14, None, 13])
    run = run_spec(tmp_path / "out", spec_of(path, execution={**FREE, "cash": 1500}))
    [trade] = run.trades()
    # The entry of bar 2 is dropped at bar 3; that of bar 6 fills at 7; the exit of 8 waits for 10.
    assert (trade["entry_date"].isoformat(), trade["exit_date"].isoformat()) == (day(7), day(10))
    assert run.result["rejected_orders"] == {"no_bar": 2}
    equity = [row["equity"] for row in run.rows("equity") if row["symbol"] == "AA"]
    assert equity[8:] == [1400, 1400, 1300]  # marked at its last close on the date without a bar


def test_retry_entries_keeps_an_entry_until_it_fills(tmp_path: Path) -> None:
    path = two_symbols(tmp_path / "p.csv", [10, 9, 12, None, 13, 14])
    run = run_spec(tmp_path / "out", spec_of(path, execution={**FREE, "retry_entries": True}))
    [trade] = run.trades()
    assert trade["entry_date"].isoformat() == day(4)


def test_a_suspension_is_all_prices_and_volume_zero(tmp_path: Path) -> None:
    closes = [10, 9, 12, 0, 13, 14]
    rows = [(day(i), close, 100 if close else 0) for i, close in enumerate(closes)]
    path = write_csv(tmp_path / "p.csv", "date,close,volume", rows)
    run = run_spec(tmp_path / "out", spec_of(path, execution=FREE))
    assert run.result["rejected_orders"] == {"suspended": 1}
    assert run.trades() == []


def test_a_column_suspended_takes_the_bar_away(tmp_path: Path) -> None:
    rows = [(day(i), close, i == 3) for i, close in enumerate([10, 9, 12, 12, 13, 14])]
    path = write_csv(tmp_path / "p.csv", "date,close,suspended", rows)
    run = run_spec(tmp_path / "out", spec_of(path, execution=FREE))
    assert run.result["rejected_orders"] == {"suspended": 1}


def test_slippage_and_every_cost(tmp_path: Path) -> None:
    costs: dict[str, Any] = {
        "fee_bps": 100,
        "transfer_fee_bps": 20,
        "stamp_duty_bps": 50,
        "slippage_bps": 100,
    }
    run = ran(tmp_path, cash=10_000, sizing={"units": 100}, fractional=False, **costs)
    [trade] = run.trades()
    buy, sale = 100 * 15 * 1.01, 100 * 12 * 0.99
    assert trade["entry_price"] == pytest.approx(15.15)
    assert trade["exit_price"] == pytest.approx(11.88)
    fees = buy * 0.012 + sale * 0.017
    assert trade["fees"] == pytest.approx(fees)
    assert trade["pnl"] == pytest.approx(sale - buy - fees)
    assert run.equity()[-1] == pytest.approx(10_000 + sale - buy - fees)
    assert run.metrics["fees"] == pytest.approx(fees)
    mean = (10_000 * 3 + sum(run.equity()[3:])) / 6
    assert run.metrics["turnover"] == pytest.approx((buy + sale) / mean * 252 / 6)


def test_the_least_fee_counts_in_the_size(tmp_path: Path) -> None:
    run = ran(tmp_path, cash=1507, fractional=False, fee_min=7)
    assert run.trades()[0]["units"] == 100  # 100 x 15 + 7 = 1507
    assert ran(tmp_path, cash=1506, fractional=False, fee_min=7).trades()[0]["units"] == 99


@pytest.mark.parametrize(
    ("execution", "units"),
    [
        ({"cash": 1501.5, "fee_bps": 10}, 100),  # 100 x 15 x 1.001 = 1501.5
        ({"cash": 1501.4, "fee_bps": 10}, 99),
        ({"cash": 75.0225, "fee_bps": 3}, 5),  # in float64 4.999999999999999 fit
        ({"cash": 1501.4, "fee_bps": 10, "lot": 10}, 90),
        ({"cash": 3000, "sizing": {"fraction": 0.5}}, 100),
        ({"cash": 3000, "sizing": {"cash": 1499}}, 99),
        ({"cash": 3000, "sizing": {"units": 7}}, 7),
        ({"cash": 3000, "sizing": {"units": 27}, "lot": 10}, 20),
        ({"cash": 150, "sizing": {"units": 27}}, 10),  # cut to the cash
        ({"cash": 100, "fractional": True}, 100 / 15),
        ({"cash": 1501.5, "fee_bps": 10, "fractional": True}, 100),
    ],
)
def test_sizing(tmp_path: Path, execution: dict[str, Any], units: float) -> None:
    run = ran(tmp_path, **{"fractional": False, **execution})
    assert run.trades()[0]["units"] == pytest.approx(units, rel=1e-12)
    assert min(run.equity()) > 0


def test_below_one_lot_is_rejected_as_cash(tmp_path: Path) -> None:
    run = ran(tmp_path, cash=14, fractional=False)
    assert run.trades() == []
    assert run.result["rejected_orders"] == {"cash": 1}


def test_a_short_opens_by_the_same_formula_and_pays_borrow(tmp_path: Path) -> None:
    closes = [9, 10, 8, 8, 8, 9, 9]
    run = ran(tmp_path, closes, direction="short", cash=800, borrow_bps_per_year=252)
    [trade] = run.trades()
    assert (trade["units"], trade["entry_price"]) == (-100, 8)
    # Falls at 2, fills at 3; no longer below at 3 already (8 = 8): leaves at the close of 4.
    borrow = 800 * 0.0252 / 252
    assert trade["pnl"] == pytest.approx(-borrow)
    assert run.equity()[4] == pytest.approx(800 - borrow)
    assert run.metrics["fees"] == 0


def test_both_reverses_in_one_bar_and_sizes_from_what_is_left(tmp_path: Path) -> None:
    closes = [10, 9, 12, 15, 12, 10, 10]
    run = ran(tmp_path, closes, direction="both", cash=1500)
    first, second = run.trades()
    assert (first["units"], first["exit_price"], first["pnl"]) == (100, 10, -500)
    assert (second["units"], second["entry_price"]) == (-100, 10)  # 1000 left at 10
    assert first["exit_date"] == second["entry_date"]


def test_close_at_end_closes_with_costs(tmp_path: Path) -> None:
    closes = [10, 9, 12, 15, 16]
    run = ran(tmp_path, closes, close_at_end=True, cash=1500, slippage_bps=100)
    [trade] = run.trades()
    assert (trade["exit_reason"], trade["exit_price"], trade["open"]) == ("end", pytest.approx(15.84), False)
    kept = ran(tmp_path, closes, cash=1500)
    [trade] = kept.trades()
    assert trade["open"]
    assert trade["exit_date"] is trade["exit_price"] is trade["exit_reason"] is None
    assert trade["pnl"] == pytest.approx(100)
    assert (kept.metrics["trades"], kept.metrics["open_trades"], kept.metrics["win_rate"]) == (0, 1, None)


def test_a_short_that_loses_everything_is_ruined(tmp_path: Path) -> None:
    run = ran(tmp_path, [9, 10, 8, 7, 6, 20, 7, 6], direction="short", cash=800)
    [trade] = run.trades()
    assert trade["exit_reason"] == "ruined"
    assert run.equity()[5:] == [0, 0, 0]
    assert run.metrics["total_return"] == run.metrics["annual_return"] == run.metrics["max_drawdown"] == -1
    assert "ruined" in run.codes()


def test_after_its_delist_date_a_symbol_is_closed_at_its_last_close(tmp_path: Path) -> None:
    gone = [(day(i), "AA", close, day(4)) for i, close in enumerate([10, 9, 12, 15, 16])]
    steady = [(day(i), "ZZ", 100, None) for i in range(7)]
    path = write_csv(tmp_path / "p.csv", "date,symbol,close,delist_date", [*gone, *steady])
    run = run_spec(tmp_path / "out", spec_of(path, execution={**FREE, "cash": 1500, "slippage_bps": 100}))
    [trade] = run.trades()
    assert (trade["exit_reason"], trade["exit_date"].isoformat()) == ("delisted", day(5))
    assert trade["exit_price"] == pytest.approx(15.84)
    assert "delisted" in run.codes()
