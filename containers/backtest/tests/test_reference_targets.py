"""Wanted fractions of equity against the second engine: adds, reductions, reversals, stops, gaps."""

import os
import random
from pathlib import Path
from typing import Any

import pytest

from tests.reference_targets import simulate
from tests.support import day, run_spec, spec_of, write_csv
from tests.test_reference import compare_trades, draw_execution, market, rows_of, rules_of

CASES = int(os.environ.get("BERTH_REFERENCE_CASES", "60"))
SYMBOLS = ("AA", "BB", "CC")
COLUMNS = "date,symbol,open,high,low,close,volume"


@pytest.mark.parametrize("seed", range(CASES))
def test_wanted_fractions_equal_the_second_engine(seed: int, tmp_path: Path) -> None:
    rng = random.Random(f"targets {seed}")
    n = rng.choice([2, 20, 45])
    markets = {symbol: market(rng, n) for symbol in SYMBOLS}
    markets["ZZ"] = [(50.0 + i % 3, 60.0, 40.0, 50.0 + i % 5) for i in range(n)]
    rows = [row for symbol, bars in markets.items() for row in rows_of(symbol, bars, COLUMNS)]
    path = write_csv(tmp_path / "prices.csv", COLUMNS, rows)
    targets = {
        symbol: {t: rng.choice([0, 0.3, 0.5, 0.52, 1, -0.4, -1]) for t in range(n) if rng.random() < 0.4}
        for symbol in markets
    }
    wanted = [(day(t), symbol, w) for symbol, of in targets.items() for t, w in of.items()]
    signals = write_csv(tmp_path / "signals.csv", "date,symbol,target", wanted or [(day(0), "ZZ", 0)])
    stops = {
        name: rng.choice(values)
        for name, values in (
            ("stop_loss", [0, 0, 0.05, 0.2]),
            ("take_profit", [0, 0, 0.1]),
            ("trailing_stop", [0, 0, 0.1]),
        )
    }
    execution: dict[str, Any] = draw_execution(rng, True)
    spec = {
        **spec_of(path, data={"adjustment": "none"}, execution={**execution, **stops}),
        "strategy": {"signals": {"url": str(signals)}},
        "parameters": {},
    }
    rules = rules_of(execution, "cross", COLUMNS)
    rules.stop_loss, rules.take_profit, rules.trailing = stops.values()
    run = run_spec(tmp_path / "out", spec, threads=1)
    rejected: dict[str, int] = {}
    for symbol, bars in markets.items():
        if bars.count(None) == len(bars):
            continue  # it has no row, and so no run
        expected = simulate(rules, targets[symbol], bars)
        for reason, count in expected.rejected.items():
            rejected[reason] = rejected.get(reason, 0) + count
        curve = [row for row in run.rows("equity") if row["symbol"] == symbol]
        noise = 1e-12 * rules.cash
        assert [row["equity"] for row in curve] == pytest.approx(expected.equity, rel=1e-11, abs=noise)
        assert [row["position"] for row in curve] == pytest.approx(expected.units, rel=1e-11, abs=1e-9)
        mine = [row for row in run.rows("trades") if row["symbol"] == symbol]
        compare_trades(mine, expected.trades, day)
    assert run.result["rejected_orders"] == rejected
