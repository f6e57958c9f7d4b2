"""The program against the second engine, on random small markets and every kind of rule."""

import os
import random
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.reference import Bar, Rules, metrics, simulate
from tests.support import Ran, day, run_spec, spec_of, write_csv

CASES = int(os.environ.get("BERTH_REFERENCE_CASES", "60"))  # each: 3 symbols x up to 12 sets
WARM_UP = 6
SYMBOLS = ("AA", "BB", "CC")


def market(rng: random.Random, n: int) -> list[Bar | str | None]:
    """Returns a coarse random walk, so that averages and levels tie now and then."""
    bars: list[Bar | str | None] = []
    close = 100.0
    for _ in range(n):
        what = rng.random()
        if what < 0.05:
            bars.append(None)
            continue
        if what < 0.09:
            bars.append("suspended")
            continue
        o = max(2.0, close + rng.choice([-9, -3, -1, 0, 0, 1, 3, 9]))
        c = max(2.0, o + rng.choice([-12, -4, -2, -1, 0, 1, 2, 4, 12]))
        bars.append((o, max(o, c) + rng.choice([0, 1, 5]), max(1.0, min(o, c) - rng.choice([0, 1, 5])), c))
        close = c
    return bars


def rows_of(symbol: str, bars: list[Bar | str | None], columns: str) -> list[list[object]]:
    rows: list[list[object]] = []
    for i, bar in enumerate(bars):
        if bar is None:
            continue
        o, h, low, c = bar if isinstance(bar, tuple) else (0.0, 0.0, 0.0, 0.0)
        cells = {"open": o, "high": h, "low": low, "close": c, "volume": 0 if isinstance(bar, str) else 9}
        rows.append([day(i), symbol, *[cells[name] for name in columns.split(",")[2:]]])
    return rows


Actions = dict[int, tuple[float, float]]  # split ratio and dividend by date


def draw_actions(rng: random.Random, bars: list[Bar | str | None]) -> Actions:
    """Returns splits and dividends on some of the dates that have a row, none of them before the run."""
    dates = [t for t in range(WARM_UP, len(bars)) if bars[t] is not None and rng.random() < 0.15]
    return {t: rng.choice([(2.0, 0.0), (0.5, 0.0), (1.0, 0.1), (3.0, 0.05)]) for t in dates}


def draw_execution(rng: random.Random, has_open: bool) -> dict[str, Any]:
    return {
        "fill": rng.choice(["next_open", "next_close", "close"] if has_open else ["next_close", "close"]),
        "direction": rng.choice(["long", "short", "both"]),
        "sizing": rng.choice(["all_in", {"fraction": 0.5}, {"units": 7}, {"cash": 3000}]),
        "cash": rng.choice([300, 5000, 10000]),
        "fee_bps": rng.choice([0, 10, 200]),
        "fee_min": rng.choice([0, 0, 5]),
        "transfer_fee_bps": rng.choice([0, 3]),
        "stamp_duty_bps": rng.choice([0, 10]),
        "slippage_bps": rng.choice([0, 5, 100]),
        "borrow_bps_per_year": rng.choice([0, 500]),
        "lot": rng.choice([1, 1, 10]),
        "fractional": rng.random() < 0.3,
        "stop_reference": rng.choice(["fill", "entry_close", "decision_close"]),
        "stop_slippage": rng.random() < 0.7,
        "close_at_end": rng.random() < 0.3,
        "retry_entries": rng.random() < 0.3,
    }


def rules_of(execution: dict[str, Any], entry: str, columns: str) -> Rules:
    bps = 10_000
    return Rules(
        fill=execution["fill"],
        direction=execution["direction"],
        entry=entry,
        sizing=execution["sizing"],
        cash=execution["cash"],
        fee=execution["fee_bps"] / bps,
        fee_min=execution["fee_min"],
        transfer=execution["transfer_fee_bps"] / bps,
        stamp=execution["stamp_duty_bps"] / bps,
        slippage=execution["slippage_bps"] / bps,
        borrow=execution["borrow_bps_per_year"] / bps,
        lot=execution["lot"],
        fractional=execution["fractional"],
        stop_reference=execution["stop_reference"],
        stop_slippage=execution["stop_slippage"],
        close_at_end=execution["close_at_end"],
        retry=execution["retry_entries"],
        has_open="open" in columns,
        has_range="high" in columns,
    )


@pytest.mark.parametrize("seed", range(CASES))
def test_every_run_equals_the_second_engine(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    n = rng.choice([1, 2, 20, 45])
    columns = rng.choice(
        ["date,symbol,open,high,low,close,volume"] * 3
        + ["date,symbol,close,volume", "date,symbol,open,close,volume", "date,symbol,high,low,close,volume"]
    )
    markets = {symbol: market(rng, n + WARM_UP) for symbol in SYMBOLS}
    actions = {symbol: draw_actions(rng, markets[symbol]) if rng.random() < 0.5 else {} for symbol in SYMBOLS}
    # One symbol with a bar at every date fixes the run's dates.
    steady: list[Bar | str | None] = [(50.0 + i % 3, 60.0, 40.0, 50.0 + i % 5) for i in range(n + WARM_UP)]
    markets["ZZ"], actions["ZZ"] = steady, draw_actions(rng, steady) if rng.random() < 0.3 else {}
    acting = {(day(t), symbol): action for symbol, of in actions.items() for t, action in of.items()}
    rows = [
        [*row, *acting.get((str(row[0]), symbol), (1, 0))]
        for symbol, bars in markets.items()
        for row in rows_of(symbol, bars, columns)
    ]
    execution = draw_execution(rng, "open" in columns)
    entry, risk_free = rng.choice(["cross", "cross", "level"]), rng.choice([0.0, 0.03])
    stops = {
        "stop_loss": {"values": rng.sample([0, 0.02, 0.05, 0.2], 2)},
        "take_profit": {"values": rng.sample([0, 0.03, 0.1], 2)},
        "trailing_stop": rng.choice([0, 0.04, 0.1]),
    }
    path = write_csv(tmp_path / "prices.csv", f"{columns},split_ratio,dividend", rows)
    spec = spec_of(
        path,
        fast={"values": [1, 2]},
        slow={"values": [2, 5]},
        parameters=stops if rng.random() < 0.6 else {},
        data={"symbols": [*SYMBOLS, "ZZ"], "start": day(WARM_UP), "adjustment": "none"},
        strategy={"entry": entry},
        execution=execution,
        output={"top_k": 100},
        search={"objective": "total_return", "min_trades": 0},
        risk_free=risk_free,
    )
    ran = run_spec(tmp_path / "out", spec, threads=1 + seed % 2)
    compare(
        ran, markets, dict.fromkeys(markets, rules_of(execution, entry, columns)), risk_free, actions=actions
    )


def compare(
    ran: Ran,
    markets: dict[str, list[Bar | str | None]],
    rules_by_symbol: dict[str, Rules],
    risk_free: float,
    warm_up: int = WARM_UP,
    date_of: Callable[[int], str] = day,
    actions: Mapping[str, Actions] = {},
) -> None:
    """Compares a run with what the second engine makes of each symbol and set; `date_of` shows dates."""
    rows = {(row["point"], row["symbol"]): row for row in ran.rows("metrics")}
    points = {row["point"]: row for row in ran.rows("points")}
    order = sorted(points, key=lambda point: (-(points[point]["objective"]), point))
    equity, trades = ran.rows("equity"), ran.rows("trades")
    rejected: Counter[str] = Counter()
    for (point, symbol), row in rows.items():
        rules = rules_by_symbol[symbol]
        noise = 1e-12 * rules.cash  # what a float of the cash that was lost leaves behind
        rules.stop_loss = row.get("stop_loss") or 0.0
        rules.take_profit = row.get("take_profit") or 0.0
        rules.trailing = row.get("trailing_stop") or 0.0
        bars = markets[symbol]
        acts = {t - warm_up: action for t, action in actions.get(symbol, {}).items()}
        early = [bar[3] for bar in bars[:warm_up] if isinstance(bar, tuple)]
        expected = simulate(rules, row["fast"], row["slow"], early, bars[warm_up:], actions=acts)
        rank = order.index(point) + 1
        if rank == 1:
            rejected.update(expected.rejected)
        curve = [line for line in equity if line["rank"] == rank and line["symbol"] == symbol]
        assert [line["equity"] for line in curve] == pytest.approx(expected.equity, rel=1e-11, abs=noise)
        assert [line["position"] for line in curve] == pytest.approx(expected.units, rel=1e-11, abs=1e-9)
        mine = [line for line in trades if line["rank"] == rank and line["symbol"] == symbol]
        compare_trades(mine, expected.trades, lambda t: date_of(warm_up + t))
        for name, value in metrics(expected, rules, risk_free).items():
            if value is None:
                assert row[name] is None, name
            else:
                # Returns that hardly differ: a variance from sums is off by a float of their squares.
                spread = 1e-15 * value**2 / rules.periods if name == "sharpe" else 0.0
                assert row[name] == pytest.approx(value, rel=1e-9 + spread, abs=1e-9), name
    assert ran.result["rejected_orders"] == dict(rejected)


def compare_trades(
    mine: list[dict[str, Any]], expected: list[dict[str, Any]], date_of: Callable[[int], str]
) -> None:
    assert len(mine) == len(expected)
    for got, want in zip(mine, expected, strict=True):
        assert got["entry_date"].isoformat() == date_of(want["entry"])
        assert got["exit_reason"] == want["reason"]
        assert got["open"] == (want["exit"] is None)
        if want["exit"] is None:
            assert got["exit_date"] is got["exit_price"] is got["bars"] is None
        else:
            assert got["exit_date"].isoformat() == date_of(want["exit"])
            assert got["bars"] == want["exit"] - want["entry"]
            assert got["exit_price"] == pytest.approx(want["exit_price"], rel=1e-12)
        for name in ("entry_price", "units", "fees", "pnl", "return"):
            assert got[name] == pytest.approx(want[name], rel=1e-9, abs=1e-8), name
