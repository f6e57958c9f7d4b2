"""--explain: why an order was made, filled or rejected."""

import json
from pathlib import Path
from typing import Any

import pytest
from berth_backtest import cli

from tests.support import FREE, bars_csv, day, spec_of, write_csv

STEP = """class X:
    m = ind.sma(window=2)

    def step(s, bar, t, t1, p):
        if bar.i == 1: return units(10, stop_loss=0.2)
        if bar.i == 2: return units(10)
        if bar.i == 5: return target(0.5)
        if bar.i == 6: return close()
        if bar.i == 8: return units(1000000000)
        if bar.i == 9: return units(3)
"""
BARS = [(10.0, 11.0, 9.5, 10.0 + i % 2) for i in range(10)]
BARS[4] = (9.0, 9.0, 7.0, 8.0)


def explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], at: str, symbol: str = "p", **parts: Any
) -> str:
    where = tmp_path / "spec.json"
    if not where.exists():
        spec = {
            **spec_of(bars_csv(tmp_path / "p.csv", BARS)),
            "parameters": {},
            "strategy": {"source": STEP, "class": "X"},
            "execution": {**FREE, "fill": "next_open", "cash": 1000},
            **parts,
        }
        where.write_text(json.dumps(spec))
    code = cli.main([str(where), str(tmp_path / "out"), "--explain", symbol, at])
    caught = capsys.readouterr()
    return caught.out if code == 0 else f"{code}: {caught.err}"


def test_each_step_of_an_order_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [explained(tmp_path, capsys, day(i)) for i in range(10)]
    assert "no order  nothing was due" in texts[0]
    assert "before    flat" in texts[0]
    assert f"decided   units 10 at the close of 11; filled on {day(2)} at 10" in texts[1]
    assert "m = sma(close, 2) 10.5" in texts[1]
    assert "(the bar before 10.5)" in texts[2]
    assert f"filled    bought 10 at 10, costs 0, decided on {day(1)}" in texts[2]
    assert "decided   units 10 at the close of 10; it changed nothing" in texts[2]
    assert "after     10 units" in texts[2]
    assert "filled    sold 10 at 8, costs 0 by stop_loss" in texts[4]
    assert f"trade     of {day(2)} ended by stop_loss: pnl -20" in texts[4]
    assert f"decided   target 0.5 at the close of 11; filled on {day(6)}" in texts[5]
    assert f"decided   close at the close of 10; filled on {day(7)}" in texts[6]
    assert f"filled    sold 49 at 10, costs 0, decided on {day(6)}" in texts[7]
    assert "decided   units 3 at the close of 11; rejected on" in texts[9]
    assert "rejected  end_of_data: the data ended" in texts[9]


def test_the_run_is_made_once_and_again_only_for_another_spec(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "bar-updates" in explained(tmp_path, capsys, day(0))
    assert "bar-updates" not in explained(tmp_path, capsys, day(0))
    spec = json.loads((tmp_path / "spec.json").read_text())
    spec["execution"]["cash"] = 500
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    assert "bar-updates" in explained(tmp_path, capsys, day(0))


def test_what_could_not_fill_is_told_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("A", 0, 10), ("A", 1, 10), ("A", 3, 10), ("B", 0, 5), ("B", 1, 5), ("B", 2, 5), ("B", 3, 5)]
    path = write_csv(tmp_path / "q.csv", "date,symbol,close", [(day(i), s, c) for s, i, c in rows])
    source = "class X:\n    def step(s, bar, t, t1, p):\n        if bar.i == 1: return units(100)"
    parts = {
        "data": {"files": [{"url": str(path)}], "adjustment": "total"},
        "strategy": {"source": source, "class": "X"},
        "execution": {"fill": "next_close", "cash": 300, "lot": 100},
    }
    assert "rejected on 2020-01-03: no_bar" in explained(tmp_path, capsys, day(1), "A", **parts)
    text = explained(tmp_path, capsys, day(2), "A")
    assert "bar       no bar" in text
    assert "rejected  no_bar: the symbol had no bar, decided on 2020-01-02" in text
    assert "rejected  cash: the cash did not reach for one lot" in explained(tmp_path, capsys, day(2), "B")


@pytest.mark.parametrize(
    ("at", "symbol", "message"),
    [
        (day(0), "q", "q is no symbol of the run: p"),
        ("yesterday", "p", "is no date such as 2010-01-31"),
        ("2019-12-31", "p", "lies outside the run, 2020-01-01 to 2020-01-10"),
        ("2021-01-01", "p", "lies outside the run"),
    ],
)
def test_what_cannot_be_explained_leaves_the_result_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], at: str, symbol: str, message: str
) -> None:
    explained(tmp_path, capsys, day(0))
    text = explained(tmp_path, capsys, at, symbol)
    assert text.startswith("2: ")
    assert message in text
    assert (tmp_path / "out" / "result.json").exists()
    assert not (tmp_path / "out" / "error.json").exists()
