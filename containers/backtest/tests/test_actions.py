"""Splits and dividends of unadjusted prices, by numbers worked out by hand."""

from pathlib import Path
from typing import Any

import pytest

from tests.support import FREE, Ran, day, run_spec, spec_of, write_csv

COLUMNS = "date,close,split_ratio,dividend"


def ran(tmp_path: Path, rows: Any, name: str = "p", **execution: Any) -> Ran:
    path = write_csv(tmp_path / f"{name}.csv", COLUMNS, [(day(i), *row) for i, row in enumerate(rows)])
    spec = spec_of(path, data={"adjustment": "none"}, execution={**FREE, "cash": 1500, **execution})
    return run_spec(tmp_path / name, spec)


def test_a_split_multiplies_units_and_is_no_move(tmp_path: Path) -> None:
    rows = [(10, 1, 0), (9, 1, 0), (12, 1, 0), (15, 1, 0), (8, 2, 0), (9, 1, 0), (6, 1, 0), (6, 1, 0)]
    run = ran(tmp_path, rows)
    [trade] = run.trades()
    # 100 at 15 become 200 at 7.5; 8, 9 rise; the fall to 6 is sold at the next close.
    assert (trade["units"], trade["entry_price"], trade["exit_price"]) == (200, 7.5, 6)
    assert trade["exit_date"].isoformat() == day(7)
    assert run.equity() == [1500, 1500, 1500, 1500, 1600, 1800, 1200, 1200]


def test_the_close_that_decided_follows_a_split_before_the_fill(tmp_path: Path) -> None:
    # Decided at 12, 6 after the split: 10 % below that is 5.4, and above 10.8 there is nothing to sell at.
    rows = [(10, 1, 0), (9, 1, 0), (12, 1, 0), (6.5, 2, 0), (7, 1, 0), (7.5, 1, 0)]
    run = ran(tmp_path, rows, stop_loss=0.1, stop_reference="decision_close")
    [trade] = run.trades()
    assert (trade["entry_price"], trade["open"]) == (6.5, True)


def test_an_adjusted_run_gains_the_same(tmp_path: Path) -> None:
    closes = [10 + (i * 7919 % 13) for i in range(40)]
    factor = [1, 1, 1, 1, 1, 1, 1, 4, 4, 4] + [4] * 10 + [2] * 20
    rows = [
        (close / f, f / (factor[i - 1] if i else 1), 0)
        for i, (close, f) in enumerate(zip(closes, factor, strict=True))
    ]
    stops = {"stop_loss": 0.08, "trailing_stop": 0.15, "direction": "both"}
    split = ran(tmp_path, rows, "split", **stops)
    whole = ran(tmp_path, [(close, 1, 0) for close in closes], "whole", **stops)
    assert split.equity() == pytest.approx(whole.equity(), rel=1e-12)
    assert [t["exit_reason"] for t in split.trades()] == [t["exit_reason"] for t in whole.trades()]
    for name in ("trades", "sharpe", "win_rate", "max_drawdown"):
        assert split.metrics[name] == pytest.approx(whole.metrics[name], rel=1e-9)


def test_a_dividend_is_paid_on_the_ex_date_and_is_no_move(tmp_path: Path) -> None:
    rows = [(10, 1, 0), (9, 1, 0), (12, 1, 0), (15, 1, 0), (14.5, 1, 1), (15, 1, 0)]
    run = ran(tmp_path, rows)
    # 14.5 + 1 is above 15: no sale is decided.
    [trade] = run.trades()
    assert trade["open"]
    assert run.equity() == [1500, 1500, 1500, 1500, 1550, 1600]
    assert trade["pnl"] == pytest.approx(100)


def test_a_short_pays_the_dividend(tmp_path: Path) -> None:
    rows = [(9, 1, 0), (10, 1, 0), (8, 1, 0), (7.5, 1, 0), (6, 1, 1), (5, 1, 0)]
    run = ran(tmp_path, rows, direction="short", cash=750)
    [trade] = run.trades()
    assert (trade["units"], trade["pnl"]) == (-100, 150)
    assert run.equity()[4:] == [800, 900]


def test_a_dividend_comes_before_a_split_of_its_date(tmp_path: Path) -> None:
    rows = [(10, 1, 0), (9, 1, 0), (12, 1, 0), (15, 1, 0), (7, 2, 1), (7.5, 1, 0)]
    run = ran(tmp_path, rows)
    assert run.equity() == [1500, 1500, 1500, 1500, 1500, 1600]
    assert run.trades()[0]["units"] == 200


def test_an_ex_date_without_a_bar(tmp_path: Path) -> None:
    rows = [(10, 1, 0), (9, 1, 0), (12, 1, 0), (15, 1, 0), (None, 2, 1), (8, 1, 0)]
    run = ran(tmp_path, rows)
    assert run.equity() == [1500, 1500, 1500, 1500, 1600, 1700]
