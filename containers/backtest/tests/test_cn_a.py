"""A-shares: lots, T+1, price limits and costs by date, each by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berth_backtest.china import BOARDS, computed_limits, day_number, rates_by_date, reference_closes
from berth_backtest.errors import ProgramError
from berth_backtest.spec.parse import parse_spec

from tests.support import Json, Ran, run_spec, spec_of, write_csv

COLUMNS = "date,symbol,open,high,low,close,board,list_date,is_st,suspended"
PLAIN = {"fee_bps": 0, "fee_min": 0, "transfer_fee_bps": 0, "stamp_duty_bps": 0, "slippage_bps": 0}
CN = {"profile": "cn_a", "fill": "next_open", **PLAIN}


def write(tmp_path: Path, bars: list[tuple[Any, ...]], board: str = "main", st: int = 0) -> Path:
    """Writes bars (day of January 2024, open, high, low, close) of a share listed long ago."""
    rows = [
        (f"2024-01-{bar[0]:02d}", "600000", *bar[1:5], board, "2000-01-04", st, bar[5] if len(bar) > 5 else 0)
        for bar in bars
    ]
    return write_csv(tmp_path / "p.csv", COLUMNS, rows)


def user(step: str) -> Json:
    lines = "\n".join(f"        {line}" for line in step.splitlines())
    return {"source": f"class X:\n    def step(s, bar, t, t1, p):\n{lines}\n", "class": "X"}


def run_cn(tmp_path: Path, path: Path, step: str, name: str = "out", **execution: Any) -> Ran:
    spec = {**spec_of(path, data={"adjustment": "none"}), "parameters": {}, "strategy": user(step)}
    return run_spec(tmp_path / name, {**spec, "execution": {**CN, **execution}})


def held(run: Ran) -> list[float]:
    return [row["position"] for row in run.rows("equity")]


FLAT = [(day, 10, 10.5, 9.5, 10) for day in (2, 3, 4, 5, 8, 9)]
BUY_THEN_SELL = "if bar.i == 0:\n    return units(300)\nif bar.i == 1:\n    return close()"


def test_what_was_bought_today_is_sold_tomorrow(tmp_path: Path) -> None:
    path = write(tmp_path, FLAT)
    run = run_cn(tmp_path, path, BUY_THEN_SELL)
    assert held(run) == [0, 300, 0, 0, 0, 0]
    # With fills at the close the exit is decided on the date of the purchase, and waits for the next.
    at_close = run_cn(
        tmp_path, path, "return units(300) if bar.i == 0 else close()", "close", fill="next_close"
    )
    assert held(at_close) == [0, 300, 0, 0, 0, 0]
    assert at_close.trades()[0]["bars"] == 1


def test_a_stop_sleeps_on_the_day_of_the_purchase(tmp_path: Path) -> None:
    bars = [
        (2, 10, 10.2, 9.9, 10),
        (3, 10, 10.8, 9.2, 10.1),
        (4, 10.1, 10.4, 10, 10.2),
        (5, 9.3, 9.4, 9.1, 9.2),
    ]
    path = write(tmp_path, bars)
    run = run_cn(tmp_path, path, "return units(100) if bar.i == 0 else keep()", stop_loss=0.05)
    trade = run.trades()[0]
    # The low of 9.2 on the day of the purchase does nothing; on the 5th the open lies beyond 9.5.
    assert (trade["exit_date"].day, trade["exit_price"], trade["exit_reason"]) == (5, 9.3, "stop_loss")
    trailing = run_cn(tmp_path, path, "return units(100) if bar.i == 0 else keep()", "b", trailing_stop=0.06)
    # 6 % below the high of the day of the purchase, 10.8, is 10.152: above the low of the next day.
    assert trailing.trades()[0]["exit_price"] == pytest.approx(10.1)


def test_only_what_is_sellable_is_sold_and_the_rest_is_tried_again(tmp_path: Path) -> None:
    step = "if bar.i < 2:\n    return units(300 + 200 * bar.i)\nif bar.i == 2:\n    return close()"
    run = run_cn(tmp_path, write(tmp_path, FLAT), step, fill="close")
    assert held(run) == [300, 500, 0, 0, 0, 0]
    step = "if bar.i == 0:\n    return units(300)\nif bar.i == 1:\n    return units(500, stop_loss=0.001)"
    falls = [
        (2, 10, 10, 10, 10),
        (3, 10, 10, 10, 10),
        (4, 10, 10, 9.5, 9.9),
        (5, 9.9, 10, 9.8, 10),
        (8, 10, 10, 10, 10),
    ]
    run = run_cn(tmp_path, write(tmp_path, falls), step, "b")
    # 300 are a day old when the stop hits; the 200 of that day follow at the next open.
    assert held(run) == [0, 300, 200, 0, 0]
    assert run.result["rejected_orders"] == {"t_plus_1": 1}


def test_a_limit_stops_buys_above_and_sales_below(tmp_path: Path) -> None:
    bars = [
        (2, 10, 10, 10, 10),
        (3, 11, 11, 11, 11),  # limit up: no buy
        (4, 11.5, 12, 11, 12),
        (5, 12, 12, 12, 12),
        (8, 10.8, 10.8, 10.8, 10.8),  # limit down: no sale, tried again
        (9, 10, 10, 9.9, 10),
    ]
    step = "if bar.i == 0 or bar.i == 2:\n    return units(100)\nif bar.i == 3:\n    return close()"
    run = run_cn(tmp_path, write(tmp_path, bars), step)
    assert held(run) == [0, 0, 0, 100, 100, 0]
    assert run.result["rejected_orders"] == {"limit": 2}
    retried = run_cn(tmp_path, write(tmp_path, bars), step, "b", retry_entries=True)
    assert held(retried) == [0, 0, 100, 100, 100, 0]


def test_an_entry_that_is_tried_again_is_taken_back_when_its_state_ends(tmp_path: Path) -> None:
    # Decided on the 4th, refused at the limit of the 5th, whose close ends the state.
    closes = [(2, 10, 10), (3, 10, 10), (4, 10.5, 11), (5, 12.1, 10.5), (8, 10.4, 10.4), (9, 10.4, 10.3)]
    path = write(tmp_path, [(d, o, max(o, c), min(o, c), c) for d, o, c in closes])
    execution = {**CN, "cash": 100_000, "retry_entries": True}
    run = run_spec(tmp_path / "out", {**spec_of(path, data={"adjustment": "none"}), "execution": execution})
    assert held(run) == [0] * 6
    assert run.result["rejected_orders"] == {"limit": 1}


def test_slippage_ends_at_the_limit(tmp_path: Path) -> None:
    bars = [
        (2, 10, 10, 10, 10),
        (3, 10.95, 11, 10.5, 10.5),
        (4, 9.46, 9.5, 9.45, 9.5),
        (5, 9.5, 9.5, 9.5, 9.5),
    ]
    run = run_cn(tmp_path, write(tmp_path, bars), BUY_THEN_SELL, slippage_bps=100)
    trade = run.trades()[0]
    assert (trade["entry_price"], trade["exit_price"]) == (11, 9.45)


@pytest.mark.parametrize(
    ("board", "wanted", "bought"),
    [
        ("main", 370, 300),
        ("etf", 199, 100),
        ("star", 370, 370),
        ("star", 199, 0),
        ("bse", 137, 137),
        ("bse", 99, 0),
        ("chinext", 99, 0),
    ],
)
def test_lots_are_those_of_the_board(tmp_path: Path, board: str, wanted: int, bought: int) -> None:
    run = run_cn(tmp_path, write(tmp_path, FLAT, board), f"return units({wanted}) if bar.i == 0 else keep()")
    assert held(run)[1] == bought


def test_a_sale_that_would_leave_less_than_the_least_sells_all(tmp_path: Path) -> None:
    step = "if bar.i == 0:\n    return units({})\nif bar.i == 2:\n    return units({})"
    for board, first, then, left in (
        ("main", 300, 50, 100),  # 200 of the 250 are whole lots
        ("star", 450, 150, 0),
        ("bse", 250, 90, 0),
        ("bse", 250, 120, 120),
    ):
        run = run_cn(tmp_path, write(tmp_path, FLAT, board), step.format(first, then), f"{board}{then}")
        assert held(run)[3] == left, (board, first, then)


def test_costs_are_those_of_the_date(tmp_path: Path) -> None:
    dates = ("2023-08-24", "2023-08-25", "2023-08-28", "2023-08-29")
    rows = [(d, "600000", 10, 10.5, 9.5, 10, "main", "2000-01-04", 0, 0) for d in dates]
    path = write_csv(tmp_path / "p.csv", COLUMNS, rows)
    spec = {**spec_of(path, data={"adjustment": "none"}), "parameters": {}, "periods_per_year": 252}
    cn = {"profile": "cn_a", "slippage_bps": 0, "cash": 1_000_000}
    sell = "if bar.i == 0:\n    return units(10000)\nif bar.i == {}:\n    return close()"
    for at, stamp in ((0, None), (1, 5)):
        step = sell.format(at + 1) if at else "return units(10000) if bar.i == 0 else keep()"
        run = run_spec(tmp_path / str(at), {**spec, "strategy": user(step), "execution": cn})
        value = 100_000
        buy = value * (2.5e-4 + 1e-5)
        fees = buy if stamp is None else buy + value * (2.5e-4 + 1e-5 + stamp * 1e-4)
        assert run.result["best"]["metrics"]["fees"] == pytest.approx(fees)
    profile = run.result["profile"]
    assert profile["stamp_duty_bps"] == [{"from": "2008-09-19", "bps": 10}, {"from": "2023-08-28", "bps": 5}]
    assert profile["commission_min"] == 5
    assert run.result["effective_spec"]["execution"]["stamp_duty_bps"] is None
    assert "profile_not_checked" in run.codes()
    cheap = run_spec(
        tmp_path / "own",
        {**spec, "strategy": user(sell.format(1)), "execution": {**cn, "stamp_duty_bps": 100}},
    )
    assert cheap.result["profile"]["stamp_duty_bps"] == 100
    assert cheap.result["best"]["metrics"]["fees"] == pytest.approx(2 * 26 + 1_000)


def test_rates_follow_their_tables() -> None:
    days = np.array(
        [day_number(d) for d in ("2008-09-18", "2008-09-19", "2015-08-01", "2022-04-29", "2023-08-28")]
    )
    rates = rates_by_date(days, {})
    assert (rates[:, 3] * 1e4).tolist() == pytest.approx([10, 10, 10, 10, 5])
    assert (rates[:, 2] * 1e4).tolist() == pytest.approx([0.2, 0.2, 0.2, 0.1, 0.1])
    assert rates_by_date(days, {"fee": 0.5, "fee_min": 0.0, "transfer": 0.0, "stamp": 0.0}).max() == 0.5


@pytest.mark.parametrize(
    ("board", "st", "listed", "day", "reference", "down", "up"),
    [
        ("main", False, "2000-01-04", "2024-01-05", 10.05, 9.05, 11.06),  # 9.045 and 11.055, half up
        ("main", True, "2000-01-04", "2026-07-03", 10.0, 9.5, 10.5),
        ("main", True, "2000-01-04", "2026-07-06", 10.0, 9.0, 11.0),
        ("chinext", True, "2010-01-04", "2020-08-21", 10.0, 9.0, 11.0),
        ("chinext", False, "2010-01-04", "2020-08-24", 10.0, 8.0, 12.0),
        ("star", False, "2019-07-22", "2019-08-05", 10.0, 8.0, 12.0),
        ("bse", False, "2021-11-15", "2022-01-05", 1.01, 0.71, 1.31),
        ("etf", False, "2010-01-04", "2024-01-05", 1.001, 0.901, 1.101),
        ("main", False, "2024-01-02", "2024-01-08", 10.0, -np.inf, np.inf),  # its fifth day
        ("main", False, "2024-01-02", "2024-01-09", 10.0, 9.0, 11.0),
        ("main", False, "2022-01-04", "2022-01-05", 10.0, 9.0, 11.0),  # before the reform
        ("bse", False, "2024-01-02", "2024-01-02", 10.0, -np.inf, np.inf),
        ("bse", False, "2024-01-02", "2024-01-03", 10.0, 7.0, 13.0),
        ("main", False, "2000-01-04", "2024-01-05", np.nan, -np.inf, np.inf),
    ],
)
def test_limits_follow_board_date_and_listing(
    board: str, st: bool, listed: str, day: str, reference: float, down: float, up: float
) -> None:
    start = np.busday_offset(day, -12, roll="backward") if listed < day else day
    days = np.array(sorted({day_number(str(start)), day_number(day)}))
    n = len(days)
    found = computed_limits(
        np.zeros(n, np.int64),
        days,
        np.full(n, BOARDS.index(board)),  # type: ignore[arg-type]
        np.full(n, st),
        np.full(n, day_number(listed)),
        np.full(n, reference),
    )
    assert (found[0][-1], found[1][-1]) == (down, up)


def test_the_reference_is_the_close_of_the_day_before_less_what_was_paid_out() -> None:
    codes = np.array([0, 0, 0, 0, 0, 1, 1])
    days = np.array([1, 1, 2, 3, 4, 1, 2])
    close = np.array([10.0, 11.0, 12.0, np.nan, 6.0, 5.0, 5.0])
    splits = np.array([1.0, 1, 1, 2, 1, 1, 1])
    dividends = np.array([0.0, 0, 0, 1, 0, 0, 0])
    found = reference_closes(codes, days, close, splits, dividends)
    assert found.tolist() == pytest.approx([np.nan, np.nan, 11, 5.5, 5.5, np.nan, 5], nan_ok=True)


def test_columns_of_the_data_decide_where_they_are(tmp_path: Path) -> None:
    columns = "date,symbol,open,high,low,close,limit_up,limit_down"
    rows = [
        ("2024-01-02", "600000", 10, 10, 10, 10, None, None),
        ("2024-01-03", "600000", 10.2, 10.2, 10.2, 10.2, 10.2, 9.8),
        ("2024-01-04", "600000", 15, 15, 15, 15, 99_999, None),
        ("2024-01-05", "600000", 15, 15, 15, 15, None, None),
    ]
    path = write_csv(tmp_path / "p.csv", columns, rows)
    run = run_cn(tmp_path, path, "return units(100) if bar.i < 2 else keep()")
    assert held(run) == [0, 0, 100, 100]
    assert run.result["profile"]["price_limits"] == "the data's columns"


def test_what_the_data_lacks_is_named(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "p.csv", "date,close,board", [("2024-01-02", 10, "main"), ("2024-01-03", 10, "main")]
    )
    with pytest.raises(ProgramError, match="cn_a needs the columns list_date, is_st, suspended, or limit_up"):
        run_cn(tmp_path, path, "return keep()", fill="next_close")
    rows = [("2024-01-02", "A", 10, 10, 10, 10, "nyse", "2000-01-04", 0, 0)]
    with pytest.raises(ProgramError, match="column board: must be one of main, chinext"):
        run_cn(tmp_path, write_csv(tmp_path / "q.csv", COLUMNS, rows), "return keep()")


@pytest.mark.parametrize(
    ("execution", "adjustment", "path"),
    [
        ({"direction": "short"}, "none", "execution.direction"),
        ({"direction": "both", "allow_short": True}, "none", None),
        ({"fractional": True}, "none", "execution.fractional"),
        ({}, "total", "data.adjustment"),
        ({"profile": None, "allow_short": True}, "none", "execution.allow_short"),
        ({"profile": "us"}, "none", "execution.profile"),
    ],
)
def test_a_wrong_field_is_named(execution: Json, adjustment: str, path: str | None) -> None:
    spec = {
        "data": {"files": [{"url": "p.csv"}], "adjustment": adjustment},
        "strategy": {"name": "sma_cross"},
        "execution": {"profile": "cn_a", **execution},
    }
    if path is None:
        parse_spec(spec)
        return
    with pytest.raises(ProgramError) as caught:
        parse_spec(spec)
    assert [problem.path for problem in caught.value.problems] == [path]


def test_shorts_are_not_bound_to_the_next_day(tmp_path: Path) -> None:
    step = "return units(-300) if bar.i == 0 else close()"
    run = run_cn(tmp_path, write(tmp_path, FLAT), step, fill="close", direction="both", allow_short=True)
    assert held(run) == [-300, 0, 0, 0, 0, 0]
