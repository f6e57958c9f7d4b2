"""Stops by numbers worked out by hand. An entry is decided at bar 2 and filled at the open of bar 3."""

from pathlib import Path
from typing import Any

import pytest

from tests.support import FREE, bars_csv, closes_csv, day, run_spec, spec_of, write_csv

START = [(10, 10, 10, 10), (10, 10, 9, 9), (9, 12, 9, 12)]
SHORT_START = [(9, 9, 9, 9), (9, 10, 9, 10), (10, 10, 8, 8)]


def trade_of(tmp_path: Path, bars: Any, stops: dict[str, float], start: Any = START, **execution: Any) -> Any:
    path = bars_csv(tmp_path / "p.csv", [*start, *bars])
    spec = spec_of(path, execution={**FREE, "cash": 1000, **execution, **stops})
    trades = run_spec(tmp_path / "out", spec).trades()
    return trades[0]


def test_a_stop_is_tested_on_the_fill_bar(tmp_path: Path) -> None:
    trade = trade_of(tmp_path, [(20, 21, 15, 21), (21, 22, 21, 22)], {"stop_loss": 0.1})
    assert (trade["exit_reason"], trade["exit_price"]) == ("stop_loss", 18)
    assert trade["exit_date"] == trade["entry_date"]
    assert trade["bars"] == 0


def test_a_gap_below_the_level_fills_at_the_open(tmp_path: Path) -> None:
    trade = trade_of(tmp_path, [(20, 21, 20, 21), (15, 22, 14, 22)], {"stop_loss": 0.1})
    assert (trade["exit_price"], trade["exit_date"].isoformat()) == (15, day(4))


def test_the_stop_pays_slippage_unless_told_not_to_and_a_profit_never(tmp_path: Path) -> None:
    bars = [(20, 21, 15, 21), (21, 22, 21, 22)]
    slip = {"slippage_bps": 100, "stop_reference": "decision_close"}
    trade = trade_of(tmp_path, [(13, 13, 11, 13)], {"stop_loss": 0.05}, **slip)
    assert trade["exit_price"] == pytest.approx(12 * 0.95 * 0.99)
    trade = trade_of(tmp_path, [(13, 13, 11, 13)], {"stop_loss": 0.05}, stop_slippage=False, **slip)
    assert trade["exit_price"] == pytest.approx(12 * 0.95)
    trade = trade_of(tmp_path, bars, {"take_profit": 0.04}, slippage_bps=100)
    assert trade["exit_price"] == pytest.approx(20 * 1.01 * 1.04)


def test_a_take_profit_fills_at_the_level_or_at_an_open_beyond_it(tmp_path: Path) -> None:
    trade = trade_of(tmp_path, [(20, 21, 20, 21), (21, 25, 21, 25)], {"take_profit": 0.2})
    assert (trade["exit_reason"], trade["exit_price"]) == ("take_profit", 24)
    trade = trade_of(tmp_path, [(20, 21, 20, 21), (26, 27, 26, 27)], {"take_profit": 0.2})
    assert trade["exit_price"] == 26


def test_a_price_that_a_rounding_parts_from_a_level_touches_it(tmp_path: Path) -> None:
    assert 51 * 0.95 < 48.45
    assert 95 * 1.1 > 104.5
    trade = trade_of(tmp_path, [(51, 52, 50, 51), (51, 51, 48.45, 49)], {"stop_loss": 0.05})
    assert (trade["exit_reason"], trade["exit_price"]) == ("stop_loss", 48.45)
    trade = trade_of(tmp_path, [(95, 96, 94, 95), (96, 104.5, 95, 104)], {"take_profit": 0.1})
    assert (trade["exit_reason"], trade["exit_price"]) == ("take_profit", 104.5)


def test_a_position_of_any_number_of_units_has_the_price_of_its_fill(tmp_path: Path) -> None:
    bars = [(20, 20, 10, 10)]
    half = {"fractional": True, "sizing": {"fraction": 0.37}, "fee_bps": 7}
    for price in (90, 99, 100, 110, 123):
        scaled = [tuple(x * price / 20 for x in bar) for bar in bars]
        trade = trade_of(tmp_path, scaled, {"stop_loss": 0.5}, **half)
        assert (trade["entry_price"], trade["exit_price"]) == (price, price / 2)


def test_the_stop_comes_first_when_one_bar_holds_both(tmp_path: Path) -> None:
    trade = trade_of(tmp_path, [(20, 30, 10, 21)], {"take_profit": 0.2, "stop_loss": 0.1})
    assert trade["exit_reason"] == "stop_loss"


def test_a_trailing_stop_uses_highs_up_to_the_bar_before(tmp_path: Path) -> None:
    bars = [(20, 24, 19, 23), (23, 30, 22, 29), (29, 29, 20, 21)]
    trade = trade_of(tmp_path, bars, {"trailing_stop": 0.1})
    # Bar 4: 0.9 x 24 = 21.6 < 22. Bar 5: 0.9 x 30 = 27.
    assert (trade["exit_reason"], trade["exit_price"], trade["exit_date"].isoformat()) == (
        "trailing_stop",
        27,
        day(5),
    )


def test_with_close_fills_highs_count_from_the_bar_after_the_fill(tmp_path: Path) -> None:
    bars = [(20, 40, 19, 20), (20, 24, 19, 23), (23, 24, 21, 22)]
    trade = trade_of(tmp_path, bars, {"trailing_stop": 0.1}, fill="next_close")
    # Filled at the close of bar 3 (20): its high of 40 does not count; bar 5: 0.9 x 24 = 21.6.
    assert (trade["exit_price"], trade["exit_date"].isoformat()) == (pytest.approx(21.6), day(5))


def test_with_equal_levels_the_stop_loss_counts_and_else_the_nearer(tmp_path: Path) -> None:
    bars = [(20, 20, 17, 18)]
    trade = trade_of(tmp_path, bars, {"stop_loss": 0.1, "trailing_stop": 0.1})
    assert trade["exit_reason"] == "stop_loss"
    trade = trade_of(tmp_path, bars, {"stop_loss": 0.1, "trailing_stop": 0.05})
    assert (trade["exit_reason"], trade["exit_price"]) == ("trailing_stop", 19)


@pytest.mark.parametrize(
    ("stops", "price", "reason"),
    [
        ({"stop_loss": 0.1}, 8.8, "stop_loss"),
        ({"trailing_stop": 0.2}, 8.4, "trailing_stop"),
        ({"take_profit": 0.25}, 6, "take_profit"),
    ],
)
def test_shorts_are_mirrored(tmp_path: Path, stops: dict[str, float], price: float, reason: str) -> None:
    bars = [(8, 8, 7, 7), (7, 9, 5.5, 6)]
    trade = trade_of(tmp_path, bars, stops, SHORT_START, direction="short")
    assert (trade["exit_reason"], trade["exit_price"]) == (reason, pytest.approx(price))


def test_references(tmp_path: Path) -> None:
    bars = [(20, 26, 15, 25), (25, 26, 22, 25)]
    trade = trade_of(tmp_path, bars, {"stop_loss": 0.1}, stop_reference="entry_close")
    # The entry's close (25) is not known on the entry bar: 22.5 is tested from the next.
    assert (trade["exit_price"], trade["exit_date"].isoformat()) == (22.5, day(4))
    trade = trade_of(tmp_path, [(20, 26, 10, 25)], {"stop_loss": 0.1}, stop_reference="decision_close")
    assert trade["exit_price"] == pytest.approx(10.8)


def test_without_high_and_low_stops_are_tested_on_and_filled_at_the_close(tmp_path: Path) -> None:
    path = closes_csv(tmp_path / "p.csv", [10, 9, 12, 20, 21, 15])
    spec = spec_of(path, execution={**FREE, "cash": 1000, "stop_loss": 0.1})
    [trade] = run_spec(tmp_path / "out", spec).trades()
    assert (trade["exit_reason"], trade["exit_price"]) == ("stop_loss", 15)


def test_without_open_a_stop_fills_at_its_level(tmp_path: Path) -> None:
    rows = [
        (day(i), h, low, c) for i, (_, h, low, c) in enumerate([*START, (21, 21, 20, 20), (15, 22, 14, 22)])
    ]
    path = write_csv(tmp_path / "p.csv", "date,high,low,close", rows)
    spec = spec_of(path, execution={**FREE, "cash": 1000, "stop_loss": 0.1})
    [trade] = run_spec(tmp_path / "out", spec).trades()
    assert trade["exit_price"] == 18


def test_a_hit_drops_what_is_due_at_this_close_but_not_what_is_decided_there(tmp_path: Path) -> None:
    # Long from the close of 3; at 4 it falls (short decided), at 5 the stop hits: the short is dropped.
    bars = [(14, 15, 14, 15), (15, 15, 14, 14), (14, 14, 12, 13.5), (13, 13, 12.5, 13)]
    path = bars_csv(tmp_path / "p.csv", [*START, *bars])
    execution = {**FREE, "cash": 1500, "fill": "next_close", "direction": "both", "stop_loss": 0.1}
    run = run_spec(tmp_path / "out", spec_of(path, execution=execution))
    assert [trade["exit_reason"] for trade in run.trades()] == ["stop_loss"]
    assert run.result["rejected_orders"] == {}


def test_a_parameter_overrides_the_stop_of_the_execution(tmp_path: Path) -> None:
    path = bars_csv(tmp_path / "p.csv", [*START, (20, 21, 15, 21), (21, 22, 21, 22)])
    spec = spec_of(
        path,
        parameters={"stop_loss": {"values": [None, 0.2]}},
        execution={**FREE, "cash": 1000, "stop_loss": 0.1},
        search={"min_trades": 0},
    )
    run = run_spec(tmp_path / "out", spec)
    assert sorted(row["stop_loss"] for row in run.rows("points")) == [0.0, 0.2]
    reasons = {(row["rank"], row["exit_reason"]) for row in run.rows("trades")}
    assert {reason for _, reason in reasons} == {None, "stop_loss"}
    prices = {row["exit_price"] for row in run.rows("trades")}
    assert prices == {None, 16}
