"""One purse for all symbols: by numbers worked out by hand, and against a slow second engine."""

import math
import random
from pathlib import Path
from typing import Any

import pytest

from tests.reference import Bar, state_of
from tests.support import FREE, Ran, day, run_spec, spec_of, write_csv

N = 40
SYMBOLS = ("AA", "BB", "CC", "DD")


def shared(tmp_path: Path, columns: str, rows: Any, sequence: str = "auto", **parts: Any) -> Ran:
    path = write_csv(tmp_path / "p.csv", columns, rows)
    portfolio = {"mode": "shared", "call_sequence": sequence}
    return run_spec(tmp_path / "out", spec_of(path, portfolio=portfolio, **parts))


def closes_rows(closes: dict[str, list[float]]) -> list[list[object]]:
    return [[day(i), name, close] for name, line in closes.items() for i, close in enumerate(line)]


def test_sales_pay_for_purchases_of_the_same_bar(tmp_path: Path) -> None:
    # AA rises at 2 and falls at 4; BB rises at 4. Both orders fill at 5: the sale first.
    closes = {"BB": [10, 10, 9, 9, 12, 12.0], "AA": [10, 9, 12, 15, 12, 12.0]}
    run = shared(tmp_path, "date,symbol,close", closes_rows(closes), execution={**FREE, "cash": 1500})
    trades = {trade["symbol"]: trade for trade in run.trades()}
    assert (trades["AA"]["units"], trades["AA"]["pnl"]) == (100, -300)
    assert trades["BB"]["units"] == 100
    assert run.equity() == [1500, 1500, 1500, 1500, 1200, 1200]
    assert [row["symbol"] for row in run.rows("metrics")] == ["portfolio"]
    assert [row["position"] for row in run.rows("equity")] == [0, 0, 0, 1, 1, 1]


def test_trades_are_written_by_symbol_and_entry(tmp_path: Path) -> None:
    # BB is sold before AA, which is bought again: they end as BB, AA, and AA is open.
    closes = {"AA": [10, 9, 12, 15, 16, 12, 14, 16.0], "BB": [10, 9, 12, 15, 12, 12, 12, 12.0]}
    execution = {**FREE, "sizing": {"cash": 700}}
    run = shared(tmp_path, "date,symbol,close", closes_rows(closes), execution=execution)
    trades = [(trade["symbol"], str(trade["entry_date"]), trade["open"]) for trade in run.trades()]
    assert trades == [("AA", day(3), False), ("AA", day(7), True), ("BB", day(3), False)]


def test_given_keeps_the_order_of_the_symbols(tmp_path: Path) -> None:
    closes = {"BB": [10, 10, 9, 9, 12, 12.0], "AA": [10, 9, 12, 15, 12, 12.0]}
    parts: Any = {"execution": {**FREE, "cash": 1500}, "data": {"symbols": ["BB", "AA"]}}
    run = shared(tmp_path, "date,symbol,close", closes_rows(closes), "given", **parts)
    assert [trade["symbol"] for trade in run.trades()] == ["AA"]
    assert run.result["rejected_orders"] == {"cash": 1}


def test_a_purchase_is_cut_to_the_cash_left(tmp_path: Path) -> None:
    closes = {"AA": [10, 9, 12, 12, 13.0], "BB": [20, 18, 24, 24, 26.0]}
    execution = {**FREE, "cash": 1000, "sizing": {"cash": 700}, "fractional": False}
    run = shared(tmp_path, "date,symbol,close", closes_rows(closes), execution=execution)
    assert {trade["symbol"]: trade["units"] for trade in run.trades()} == {"AA": 58, "BB": 12}


class Purse:
    """The second engine: one set of sma_cross over all symbols, filled at the next open."""

    def __init__(self, execution: dict[str, Any], markets: dict[str, list[Bar | None]]) -> None:
        self.ex = execution
        self.cash = float(execution["cash"])
        self.tied = dict.fromkeys(markets, 0.0)
        self.units = dict.fromkeys(markets, 0.0)
        self.spent = 0.0

    def cost(self, value: float) -> float:
        return max(value * self.ex["fee_bps"] / 1e4, self.ex["fee_min"])

    def nominal(self, symbol: str, side: int, price: float, equity: float) -> float:
        held = self.units[symbol]
        if side == 0:
            return -held * price
        free = self.cash - sum(self.tied.values())
        sizing = self.ex["sizing"]
        value = free if sizing == "all_in" else 0.0
        if isinstance(sizing, dict):
            value = {
                "fraction": sizing.get("fraction", 0) * equity,
                "cash": sizing.get("cash", 0),
                "units": sizing.get("units", 0) * price,
            }[next(iter(sizing))]
        return side * value - held * price

    def fill(self, symbol: str, side: int, price: float, equity: float) -> bool:
        slip, held = self.ex["slippage_bps"] / 1e4, self.units[symbol]
        if held:
            p = price * (1 - slip) if held > 0 else price * (1 + slip)
            cost = self.cost(abs(held) * p)
            self.cash += held * p - cost
            self.spent += cost
            self.units[symbol], self.tied[symbol] = 0.0, 0.0
        if side == 0:
            return True
        p = price * (1 + side * slip)
        free, most = self.cash - sum(self.tied.values()), math.inf
        sizing = self.ex["sizing"]
        if isinstance(sizing, dict):
            free = min(free, sizing.get("fraction", math.inf) * equity, sizing.get("cash", math.inf))
            most = sizing.get("units", math.inf)
        units = math.floor(min(max(free, 0.0) / p, most) * (1 + 1e-12))
        while units > 0 and units * p + self.cost(units * p) > free * (1 + 1e-12):
            units -= 1
        if units == 0:
            return False
        cost = self.cost(units * p)
        self.cash -= side * units * p + cost
        self.spent += cost
        self.units[symbol] = float(side * units)
        self.tied[symbol] = 2 * units * p if side < 0 else 0.0
        return True


def replay(
    execution: dict[str, Any], markets: dict[str, list[Bar | None]], may: tuple[int, ...]
) -> tuple[list[float], int, float]:
    purse = Purse(execution, markets)
    closes: dict[str, list[float]] = {name: [] for name in markets}
    orders: dict[str, tuple[int, int]] = {}
    before: dict[str, int | None] = dict.fromkeys(markets)
    curve, no_cash = [], 0
    for t in range(N):
        bars = {name: line[t] for name, line in markets.items()}

        def worth(
            name: str, field: int, bars: dict[str, Bar | None] = bars, closes: dict[str, list[float]] = closes
        ) -> float:
            bar = bars[name]
            return bar[field] if bar is not None else closes[name][-1] if closes[name] else 0.0

        equity = purse.cash + sum(units * worth(name, 0) for name, units in purse.units.items())
        due = [name for name in markets if name in orders and bars[name] is not None]
        due.sort(key=lambda name: purse.nominal(name, orders[name][0], worth(name, 0), equity))
        for name in [name for name in orders if bars[name] is None]:
            # An exit waits, also that of a reversal; an entry is dropped.
            if purse.units[name]:
                orders[name] = (0, t)
            else:
                del orders[name]
        for name in due:
            side = orders.pop(name)[0]
            no_cash += not purse.fill(name, side, worth(name, 0), equity)
        for name, bar in bars.items():
            if bar is None:
                continue
            closes[name].append(bar[3])
            now, units = state_of(closes[name], 1, 3), purse.units[name]
            begins = before[name] is not None and now is not None and now != before[name]
            if now in may and begins and units * (now or 0) <= 0:
                orders[name] = (now or 0, t)
            elif now is not None and ((units > 0 and now != 1) or (units < 0 and now != -1)):
                orders[name] = (0, t)
            before[name] = now
        equity = purse.cash + sum(units * worth(name, 3) for name, units in purse.units.items())
        if equity <= 0:
            return [*curve, *[0.0] * (N - t)], no_cash, purse.spent
        curve.append(equity)
    return curve, no_cash, purse.spent


@pytest.mark.parametrize("seed", range(60))
def test_a_shared_purse_equals_the_second_engine(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    markets: dict[str, list[Bar | None]] = {}
    for name in SYMBOLS:
        close, line = rng.uniform(20, 60), []
        for _ in range(N):
            o = max(2.0, close + rng.gauss(0, 1))
            close = max(2.0, o + rng.gauss(0, 2))
            line.append(
                None if rng.random() < 0.06 and name != "DD" else (o, max(o, close), min(o, close), close)
            )
        markets[name] = line
    execution: dict[str, Any] = {
        "cash": rng.choice([500, 10_000]),
        "sizing": rng.choice(["all_in", {"fraction": 0.4}, {"cash": 300}, {"units": 7}]),
        "fee_bps": rng.choice([0, 20]),
        "fee_min": rng.choice([0, 2]),
        "slippage_bps": rng.choice([0, 30]),
        "direction": rng.choice(["long", "both"]),
    }
    rows = [[day(i), name, *bar] for name in SYMBOLS for i, bar in enumerate(markets[name]) if bar]
    spec: Any = {"fast": 1, "slow": 3, "execution": execution, "search": {"min_trades": 0}}
    run = shared(tmp_path, "date,symbol,open,high,low,close", rows, **spec)
    curve, no_cash, spent = replay(execution, markets, (1, -1) if execution["direction"] == "both" else (1,))
    assert run.equity() == pytest.approx(curve, rel=1e-12, abs=1e-9)
    assert run.result["rejected_orders"].get("cash", 0) == no_cash
    assert run.metrics["fees"] == pytest.approx(spent, rel=1e-12)
    equity = run.equity()
    assert run.metrics["total_return"] == pytest.approx(equity[-1] / execution["cash"] - 1, rel=1e-12)


def test_a_shared_run_is_the_same_on_any_number_of_threads(tmp_path: Path) -> None:
    closes = {name: [10 + (i * k * 7919 % 13) for i in range(60)] for k, name in enumerate(SYMBOLS, 3)}
    path = write_csv(tmp_path / "p.csv", "date,symbol,close", closes_rows(closes))
    spec = spec_of(path, fast={"range": [1, 5, 1]}, slow={"range": [2, 9, 1]}, portfolio={"mode": "shared"})
    spec["output"] |= {"look_ahead_check": True, "tearsheet": True}
    one, three = (run_spec(tmp_path / str(n), spec, threads=n) for n in (1, 3))
    for name in ("points", "metrics", "trades", "equity"):
        assert one.rows(name) == three.rows(name)
    assert one.result["look_ahead"]["ok"] is True
