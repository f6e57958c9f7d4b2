"""The tear sheet: one file, no request, the warnings first."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.support import FREE, closes_csv, day, run_spec, spec_of, write_csv

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
    assert not re.search(r"https?:|//[a-z]|<script|<link|@import|url\(", page)
    assert "<b>&" not in page
    assert "nan" not in re.sub(r"<[^>]*>", "", page).lower().split()
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert {"style", "svg", "table"} <= balance.seen
    assert "prefers-color-scheme: dark" in page
    assert len(page) < 2_000_000


def test_the_warnings_come_before_the_numbers(tmp_path: Path) -> None:
    page = page_of(tmp_path, rows_of(["AA"], 40))
    assert page.index("few_trades") < page.index("Total return")
    assert page.index("Total return") < page.index("<h2>Equity")


def test_a_heat_map_marks_the_best_set(tmp_path: Path) -> None:
    grid = {"fast": {"range": [1, 4, 1]}, "slow": {"range": [5, 9, 1]}}
    page = page_of(tmp_path, rows_of(["AA"], 60), **grid)
    assert page.count("gain best") == 1
    assert "<h2>Parameters" in page


def test_more_symbols_than_fit_are_left_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("berth_backtest.output.tearsheet.MAX_SYMBOL_ROWS", 2)
    page = page_of(tmp_path, rows_of(list("ABCDEFG"), 5))
    assert "5 more symbols are in metrics.parquet" in page
    assert "A, B, C, D, E and 2 more" in page


def test_monthly_returns_multiply_to_the_total(tmp_path: Path) -> None:
    path = closes_csv(tmp_path / "p.csv", [5 + i * 7919 % 17 for i in range(100)])
    run = run_spec(tmp_path / "out", spec_of(path, output={"tearsheet": True}, execution=FREE))
    months = re.findall(r'class="cell"[^>]*>(-?[\d.]+)<', (run.out / "tearsheet.html").read_text())
    total = 1.0
    for month in months:
        total *= 1 + float(month) / 100
    assert len(months) == 4
    assert total - 1 == pytest.approx(run.metrics["total_return"], rel=0.05)
