"""The tear sheet: one file, no request, the warnings first; its figures from the result's own tables."""

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berth_backtest.output.sheet.facts import drops_of, rolling_sharpe

from tests.support import FREE, Ran, closes_csv, day, run_spec, spec_of, write_csv

VOID = {"meta"}


class Balance(HTMLParser):
    """Checks that every tag is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_startendtag(self, tag: str, _: Any) -> None:
        self.seen.add(tag)

    def handle_starttag(self, tag: str, _: Any) -> None:
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page_of(tmp_path: Path, rows: list[list[object]], **parts: Any) -> str:
    path = write_csv(tmp_path / "p.csv", "date,symbol,close", rows)
    run = run_spec(tmp_path / "out", spec_of(path, output={"tearsheet": True}, execution=FREE, **parts))
    return (run.out / "tearsheet.html").read_text()


def rows_of(symbols: list[str], bars: int) -> list[list[object]]:
    return [[day(i), s, 5 + i * (k + 3) * 7919 % 17] for k, s in enumerate(symbols) for i in range(bars)]


@pytest.mark.parametrize(
    ("symbols", "bars", "parts"),
    [
        (["AA"], 40, {}),
        (["<b>&", "BB"], 1, {}),
        (["AA", "BB"], 2600, {"fast": {"range": [1, 9, 1]}, "slow": {"range": [2, 90, 1]}}),
        (["AA"], 31, {"fast": {"range": [1, 80, 1]}, "slow": {"range": [81, 160, 1]}}),  # the largest map
        (["AA"], 40, {"slow": {"values": [9, 3, 5]}}),
        (["AA"], 3, {"fast": {"values": [1, 2]}, "slow": {"values": [5, 9]}}),
        (
            ["AA"],
            60,
            {
                "fast": {"values": [1, 2]},
                "slow": {"values": [5, 9]},
                "search": {"objective": "turnover"},
            },
        ),
    ],
)
def test_a_page_is_whole_and_asks_nothing_of_the_network(
    tmp_path: Path, symbols: list[str], bars: int, parts: dict[str, Any]
) -> None:
    page = page_of(tmp_path, rows_of(symbols, bars), **parts)
    assert not re.search(r"https?:|//[a-z]|<link|@import|url\(|src=", page)
    assert "<b>&" not in page
    seen = re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert not {"nan", "inf"} & set(seen.lower().split())
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert {"style", "svg", "table"} <= balance.seen
    assert len(page) < 2_000_000


def test_the_warnings_come_before_the_numbers(tmp_path: Path) -> None:
    page = page_of(tmp_path, rows_of(["AA"], 40))
    assert page.index("few_trades") < page.index("Total return")
    assert page.index("Total return") < page.index("<h2>Equity")


def test_a_heat_map_marks_the_best_set(tmp_path: Path) -> None:
    grid = {"fast": {"range": [1, 4, 1]}, "slow": {"range": [5, 9, 1]}}
    page = page_of(tmp_path, rows_of(["AA"], 60), **grid)
    assert page.count('class="best"') == 1
    assert "<h2>Parameters" in page


def test_one_parameter_has_a_curve_with_the_best_on_it(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "p.csv", "date,symbol,close", rows_of(["AA"], 60))
    slow = {"values": [9, 3, 5, 7]}  # not in order
    run = run_spec(tmp_path / "out", spec_of(path, 1, slow, output={"tearsheet": True}, execution=FREE))
    page = (run.out / "tearsheet.html").read_text()
    best = run.result["best"]["parameters"]["slow"]
    assert f"sharpe by slow, the best at {best}" in page
    dot = re.search(r'class="dot" d="M([\d.]+) ([\d.]+)h0"', page)
    assert dot is not None
    assert float(dot.group(1)) == pytest.approx([3, 5, 7, 9].index(best) * 1000 / 3, abs=0.1)
    part = page[page.index("<h2>Parameters") :]
    line = re.findall(r"[ML]([\d.]+) ([\d.]+)", part[part.index('class="series"') :].split("/>")[0])
    assert len(line) == 4
    assert min(float(y) for _, y in line) == float(dot.group(2))  # the best is the highest


def test_more_symbols_than_fit_are_left_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("berth_backtest.output.tearsheet.MAX_SYMBOL_ROWS", 2)
    page = page_of(tmp_path, rows_of(list("ABCDEFG"), 5))
    assert "5 more symbols are in metrics.parquet" in page
    assert "A, B, C, D, E and 2 more" in page


def test_monthly_returns_multiply_to_the_total(tmp_path: Path) -> None:
    path = closes_csv(tmp_path / "p.csv", [5 + i * 7919 % 17 for i in range(100)])
    run = run_spec(tmp_path / "out", spec_of(path, output={"tearsheet": True}, execution=FREE))
    months = re.findall(r'class="cell [^>]*>(-?[\d.]+)<', (run.out / "tearsheet.html").read_text())
    total = 1.0
    for month in months:
        total *= 1 + float(month) / 100
    assert len(months) == 4
    assert total - 1 == pytest.approx(run.metrics["total_return"], rel=0.05)


def cells_of(page: str, section: str) -> list[list[str]]:
    """Returns the text of a section's table, row by row."""
    part = page[page.index(f"<h2>{section}") :]
    body = part[part.index("<tbody>") : part.index("</tbody>")]
    rows = re.findall(r"<tr>(.*?)</tr>", body)
    return [[re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


def money(text: str) -> float:
    return float(text.replace(",", ""))


DRAWN = np.random.default_rng(8).normal(0.0, 0.02, (3, 700)).cumsum(axis=1)
WALKS: list[list[object]] = [
    [day(i), s, round(50 * math.exp(x), 4)]
    for s, walk in zip(("AA", "BB", "CC"), DRAWN, strict=True)
    for i, x in enumerate(walk)
]


def both_ways(tmp_path: Path, **parts: Any) -> Ran:
    path = write_csv(tmp_path / "p.csv", "date,symbol,close", WALKS)
    execution = {**FREE, "direction": "both", "fee_bps": 10}
    return run_spec(
        tmp_path / "out", spec_of(path, 3, 9, output={"tearsheet": True}, execution=execution, **parts)
    )


def test_gains_by_symbol_by_side_and_by_year_are_those_of_the_equity(tmp_path: Path) -> None:
    ran = both_ways(tmp_path)
    page = (ran.out / "tearsheet.html").read_text()
    last = {row["symbol"]: row["equity"] for row in ran.rows("equity")}
    by_symbol = {
        row[0]: [money(cell) for cell in (row[1], row[3], row[4])] for row in cells_of(page, "By symbol")
    }
    assert set(by_symbol) == {"AA", "BB", "CC"}
    for symbol, (gain, long, short) in by_symbol.items():
        assert gain == pytest.approx(last[symbol] - 10_000, abs=1)
        assert long + short == pytest.approx(gain, abs=1)
    years = cells_of(page, "By year")
    assert [row[0] for row in years] == ["2020", "2021"]
    assert sum(money(row[1]) for row in years) == pytest.approx(sum(last.values()) - 30_000, abs=2)
    closed = [row for row in ran.trades() if not row["open"]]
    assert sum(int(row[4]) for row in years) == len(closed)
    sides = {row[0]: row[1:] for row in cells_of(page, "Long and short")}
    long_trades = [row for row in closed if row["units"] > 0]
    assert sides["Closed trades"] == [
        str(len(long_trades)),
        str(len(closed) - len(long_trades)),
        str(len(closed)),
    ]
    assert sides["Won"][0] == f"{sum(row['pnl'] > 0 for row in long_trades) / len(long_trades) * 100:.2f} %"


def test_the_script_has_the_curves_of_the_tables(tmp_path: Path) -> None:
    ran = both_ways(tmp_path, benchmark="equal_weight")
    page = (ran.out / "tearsheet.html").read_text()
    found = re.search(r'<script type="application/json" id="curves">(.*?)</script>', page)
    assert found is not None
    curves = json.loads(found.group(1))
    equity: dict[str, float] = {}
    long: dict[str, float] = {}
    closes = {(day, name): float(close) for day, name, close in WALKS}
    for row in ran.rows("equity"):
        date = str(row["date"])
        equity[date] = equity.get(date, 0.0) + row["equity"]
        long[date] = long.get(date, 0.0) + max(row["position"], 0.0) * closes[date, row["symbol"]]
    assert curves["dates"] == list(equity)
    series = {name: plot["series"][0]["values"] for name, plot in curves["plots"].items()}
    assert series["equity"] == pytest.approx(list(equity.values()), rel=1e-5)
    assert series["exposure"] == pytest.approx([long[d] / equity[d] for d in equity], rel=1e-5, abs=1e-9)
    assert min(series["drawdown"]) == pytest.approx(
        min(e / max(30_000, *list(equity.values())[: i + 1]) - 1 for i, e in enumerate(equity.values())),
        rel=1e-5,
    )
    assert len(curves["plots"]["equity"]["series"]) == 2
    assert len(page) < 2_000_000


def test_a_validated_search_shows_its_folds_and_where_they_begin(tmp_path: Path) -> None:
    page = page_of(
        tmp_path,
        rows_of(["AA"], 120),
        slow={"values": [3, 5, 9]},
        validation={"method": "walk_forward", "folds": 3, "test_bars": 20},
    )
    folds = cells_of(page, "Folds")
    assert [row[1] for row in folds] == [f"{day(60 + 20 * i)} to {day(79 + 20 * i)}" for i in range(3)]
    assert '"marks":[20,40]' in page
    assert "Out of sample" in page


def test_a_long_run_leaves_out_dates_but_no_extreme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("berth_backtest.output.sheet.curves.MAX_DATES", 40)
    path = closes_csv(tmp_path / "p.csv", [50 + 40 * math.sin(i / 9) for i in range(400)])
    run = run_spec(tmp_path / "out", spec_of(path, output={"tearsheet": True}, execution=FREE))
    page = (run.out / "tearsheet.html").read_text()
    found = re.search(r'id="curves">(.*?)</script>', page)
    assert found is not None
    curves = json.loads(found.group(1))
    values = curves["plots"]["equity"]["series"][0]["values"]
    assert 20 <= len(values) == len(curves["dates"]) <= 42
    assert max(values) == pytest.approx(max(run.equity()), rel=1e-5)
    assert f"{len(values)} dates are drawn" in page


def test_trades_that_gain_the_same_but_for_roundings_are_one_bar(tmp_path: Path) -> None:
    closes = [10 + (i % 5) for i in range(40)]
    rows = [[day(i), "A", close] for i, close in enumerate(closes)]
    page = page_of(tmp_path, rows, fast=2, slow=5)
    bars = re.findall(r"<title>(-?[\d.]+%) to (-?[\d.]+%): ([1-9]\d*)</title>", page)
    assert len(bars) == 1


def test_a_rolling_sharpe_is_that_of_its_window() -> None:
    returns = np.random.default_rng(3).normal(0.001, 0.01, 60)
    returns[20:40] = 0.0
    found = rolling_sharpe(returns, 0.0001, 252.0, 10)
    assert np.isnan(found[:9]).all()
    assert np.isnan(found[29:40]).all()  # it did not move: no deviation
    for at in (9, 25, 45, 59):
        part = returns[at - 9 : at + 1]
        wanted = (part.mean() - 0.0001) / part.std(ddof=1) * math.sqrt(252)
        assert found[at] == pytest.approx(wanted, rel=1e-9)


def test_drawdowns_are_told_from_peak_to_recovery() -> None:
    equity = np.array([10.0, 8.0, 9.0, 11.0, 10.0, 11.0, 12.0, 6.0, 7.0])
    found = [(drop.peak, drop.lowest, drop.end, drop.bars) for drop in drops_of(equity, 10.0, 9)]
    assert found == [(6, 7, None, 2), (0, 1, 3, 2), (3, 4, 5, 1)]
    assert [drop.depth for drop in drops_of(equity, 10.0, 2)] == pytest.approx([-0.5, -0.2])
    assert drops_of(np.array([9.0, 10.0]), 10.0, 5)[0].peak == -1  # below its cash from the start


def test_a_position_is_worth_the_same_on_both_sides_of_a_split(tmp_path: Path) -> None:
    columns = "date,open,high,low,close,volume,split_ratio"
    rows: list[list[object]] = [[day(i), 10, 10, 10, 10, 1, 1] for i in range(6)]
    rows[3] = [day(3), 0, 0, 0, 0, 0, 2]  # suspended on the very date of the split
    rows[4:] = [[day(i), 5, 5, 5, 5, 1, 1] for i in (4, 5)]
    spec = spec_of(
        write_csv(tmp_path / "p.csv", columns, rows),
        strategy={"name": "buy_and_hold"},
        data={"adjustment": "none"},
        execution={**FREE, "fill": "close"},
        output={"tearsheet": True},
    )
    run = run_spec(tmp_path / "out", {**spec, "parameters": {}})
    found = re.search(r'id="curves">(.*?)</script>', (run.out / "tearsheet.html").read_text())
    assert found is not None
    exposure = json.loads(found.group(1))["plots"]["exposure"]["series"][0]["values"]
    assert exposure == pytest.approx([1.0] * 6)
