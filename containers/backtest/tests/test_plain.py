"""Sets that run one after the other, by words of bars, are those that run bar by bar, to the last bit."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berth_backtest.data.load import load_panel
from berth_backtest.kernel import layout
from berth_backtest.kernel.words import WORD
from berth_backtest.plain import plain_books
from berth_backtest.plan import make_plan
from berth_backtest.record import record, record_orders
from berth_backtest.simulate import Simulator, make_simulator
from berth_backtest.spec.parse import parse_spec
from berth_backtest.strategies.series import rows_of

from tests.support import FREE, Json, closes_csv, day, run_spec, spec_of, write_csv

PRICES = "date,symbol,open,high,low,close"
WARM_UP = 7
GRIDS: dict[str, Json] = {
    "sma_cross": {"fast": [1, 2, 3], "slow": [2, 4, 9]},
    "ema_cross": {"fast": [1, 2, 3], "slow": [2, 4, 9]},
    "macd": {"fast": [2, 3], "slow": [4, 6], "signal": [2, 5]},
    "rsi": {"window": [2, 3, 5], "lower": [30, 45], "exit": [50], "upper": [55, 70]},
    "bollinger": {"window": [2, 4, 8], "width": [0.5, 1, 1.5]},
    "zscore": {"window": [2, 4, 8], "enter": [0.5, 1.2], "exit": [0, 0.4]},
    "donchian": {"window": [2, 5], "exit": [2, 3]},
}


def prices(rng: random.Random, bars: int) -> list[list[object]]:
    """Returns coarse random walks, so that averages tie; BB is listed late, CC misses a bar."""
    rows: list[list[object]] = []
    for symbol in ("AA", "BB", "CC"):
        close = 100.0
        for i in range(bars):
            o = max(2.0, close + rng.choice([-9, -3, -1, 0, 0, 1, 3, 9]))
            close = max(2.0, o + rng.choice([-12, -4, -2, -1, 0, 1, 2, 4, 12]))
            if (symbol == "BB" and i < WARM_UP + 3) or (symbol == "CC" and i == bars // 2):
                continue
            rows.append([day(i), symbol, o, max(o, close) + 1, min(o, close) - 1, close])
    return rows


def execution_of(rng: random.Random) -> Json:
    return {
        "fill": rng.choice(["next_open", "next_close", "close"]),
        "sizing": rng.choice(["all_in", {"fraction": 0.5}, {"units": 7}, {"cash": 3000}]),
        "cash": rng.choice([90, 5000, 10000]),
        "fee_bps": rng.choice([0, 10, 200]),
        "fee_min": rng.choice([0, 5]),
        "slippage_bps": rng.choice([0, 5, 100]),
        "lot": rng.choice([1, 10]),
        "fractional": rng.random() < 0.5,
    }


def simulator_of(spec: Json) -> Simulator:
    parsed = parse_spec(spec)
    return make_simulator(make_plan(parsed, load_panel(parsed.data)), 1)


def check(simulator: Simulator) -> list[bool]:
    """Compares each symbol's runs both ways; returns which symbols are plain."""
    points = simulator.grid.valid_from(0, simulator.grid.total)
    rows, picks = rows_of(simulator.definition.series, simulator.grid, points)
    whole, found = simulator.run(points), []
    for s in range(len(simulator.panel.symbols)):
        block, only = simulator.block([s], rows), np.array([0])
        raw = simulator.run_cells(block, only, points, picks)[0]
        assert (whole[:, s] == raw).all()
        kind = simulator.definition.move_kind
        found.append(bool(plain_books(kind, simulator.rules, block.market)[0]))
        if found[-1]:
            again = simulator.run_plain(block, only, points, picks, np.empty((1, *raw.shape)))
            assert (again[0] == raw).all()
    check_recorded(simulator, points)
    return found


def check_recorded(simulator: Simulator, points: np.ndarray) -> None:
    """Compares what is recorded of each set with what is recorded bar by bar, with its orders."""
    for point in points:
        quick, (whole, _) = record(simulator, int(point)), record_orders(simulator, int(point))
        assert quick.orders is None
        for name in ("raw", "equity", "units", "trades"):
            np.testing.assert_array_equal(getattr(quick, name), getattr(whole, name), name)
        assert quick.fills == whole.fills


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("own", [1, 5, WORD - 1, WORD, WORD + 1, 3 * WORD - 2])
def test_every_field_is_the_same(tmp_path: Path, name: str, own: int) -> None:
    rng = random.Random(f"{name} {own}")
    path = write_csv(tmp_path / "prices.csv", PRICES, prices(rng, WARM_UP + own))
    spec = spec_of(path, data={"start": day(WARM_UP)}, risk_free=0.03)
    parameters = {key: {"values": values} for key, values in GRIDS[name].items()}
    for _ in range(4):
        simulator = simulator_of(
            {**spec, "strategy": {"name": name}, "parameters": parameters, "execution": execution_of(rng)}
        )
        if own > WORD:
            assert check(simulator) == [True, True, False]
        else:
            check(simulator)


def test_threads_that_share_the_symbols_record_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_csv(tmp_path / "prices.csv", PRICES, prices(random.Random(7), 3 * WORD))
    one = simulator_of(spec_of(path, 3, 9))
    whole = record(one, 0)
    monkeypatch.setattr("berth_backtest.record.PLAIN_BARS", 0)
    monkeypatch.setattr("berth_backtest.simulate.SHORT_BARS", 0)
    shared = record(make_simulator(one.plan, 3), 0)
    for name in ("raw", "equity", "units", "trades", "fills"):
        np.testing.assert_array_equal(getattr(shared, name), getattr(whole, name), name)


def test_averages_that_differ_by_a_rounding_alone_do_not_cross(tmp_path: Path) -> None:
    # Averages of whole periods are equal: of these prices they differ in the last digit, on all of a word.
    rng = random.Random(2999)
    period = [round(rng.uniform(50, 60), 2) for _ in range(3)]
    bars = 3 * WORD
    path = closes_csv(tmp_path / "prices.csv", [period[i % 3] for i in range(bars)])
    parameters = {"fast": {"values": [3, 6]}, "slow": {"values": [9]}}
    simulator = simulator_of(spec_of(path, parameters=parameters))
    assert check(simulator) == [True]
    raw = simulator.run(np.arange(simulator.grid.total))[:, 0]
    assert (raw[:, layout.TIES] == bars - 9 + 1).all()
    assert (raw[:, layout.TRADES] == 0).all()


def test_a_tie_that_single_precision_rounds_apart_is_one(tmp_path: Path) -> None:
    between, tiny = 100 + 2**-18, 2**-44  # half way between two numbers of single precision
    tied = [between + 3.5 - tiny, between - 3.5, between + 6.25, between - 6.25 + tiny]
    closes = [*(80.0 + i for i in range(20)), *tied, *(120.0 + i for i in range(20))]
    simulator = simulator_of(spec_of(closes_csv(tmp_path / "prices.csv", closes), 2, 4))
    assert check(simulator) == [True]
    assert simulator.run(np.array([0]))[0, 0, layout.TIES] == 1


@pytest.mark.parametrize("unit", [1e-40, 1.0, 1e40])
def test_crossings_that_single_precision_cannot_tell_are_found(tmp_path: Path, unit: float) -> None:
    rng = random.Random(24)
    closes = [unit * (100 + rng.uniform(-1e-6, 1e-6)) for _ in range(3 * WORD)]
    parameters = {"fast": {"values": [2, 5]}, "slow": {"values": [9, 20]}}
    execution = {**FREE, "fill": "close", "cash": 1e4 * min(unit, 1.0)}
    path = closes_csv(tmp_path / "prices.csv", closes)
    simulator = simulator_of(spec_of(path, parameters=parameters, execution=execution))
    assert check(simulator) == [True]
    assert (simulator.run(np.arange(simulator.grid.total))[:, 0, layout.TRADES] > 5).all()


def test_positions_longer_than_the_tables_of_extremes_are_the_same(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "prices.csv", PRICES, prices(random.Random(5), 1500))
    parameters = {"fast": {"values": [40, 90, 150]}, "slow": {"values": [160, 250, 400]}}
    simulator = simulator_of(spec_of(path, parameters=parameters, execution={**FREE, "fill": "close"}))
    assert check(simulator) == [True, True, False]
    raw = simulator.run(np.arange(simulator.grid.total))
    longest = raw[..., layout.HELD] / (raw[..., layout.TRADES] + 1)
    assert longest.max() > 2 << layout.SPANS


def test_a_fee_above_what_a_sale_brings_is_left_to_the_other_way(tmp_path: Path) -> None:
    closes = [100.0, 99, 98, 100, 101, 0.02, 0.01, 0.01, 0.01, 0.02, 0.03, 0.01]
    rows: list[list[object]] = [[day(i), "AA", c, c, c, c] for i, c in enumerate(closes)]
    path = write_csv(tmp_path / "prices.csv", PRICES, rows)
    simulator = simulator_of(spec_of(path, execution={"fee_min": 5, "cash": 106, "fill": "close"}))
    assert check(simulator) == [True]
    raw = simulator.run(np.array([0]))[0, 0]
    assert raw[layout.RUINED] == 1.0


def test_a_sale_that_leaves_nothing_at_all_ruins_too(tmp_path: Path) -> None:
    # Bought at 100 with a fee of 5, sold at 5 with a fee of 5: nothing is owed, and nothing is left.
    closes = [100.0, 99, 98, 100, 5, 4, 6, 3, 7]
    path = closes_csv(tmp_path / "prices.csv", closes)
    spec = spec_of(path, execution={**FREE, "fractional": False, "fee_min": 5, "cash": 105, "fill": "close"})
    simulator = simulator_of(spec)
    assert check(simulator) == [True]
    raw = simulator.run(np.array([0]))[0, 0]
    assert [raw[layout.RUINED], raw[layout.TRADES], raw[layout.CASH_ORDERS]] == [1.0, 1.0, 0.0]
    recorded = run_spec(tmp_path / "out", spec)
    assert "ruined" in recorded.codes()
    assert recorded.result["rejected_orders"] == {}


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": {"stop_loss": 0.1}},
        {"strategy": {"entry": "level"}},
        {"execution": {"direction": "both"}},
        {"execution": {"close_at_end": True}},
        {"execution": {"direction": "short"}},
    ],
)
def test_more_than_a_change_of_state_is_not_plain(tmp_path: Path, change: dict[str, Any]) -> None:
    rows = [row for row in prices(random.Random(1), 90) if row[1] == "AA"]
    path = write_csv(tmp_path / "prices.csv", PRICES, rows)
    assert check(simulator_of(spec_of(path))) == [True]
    assert check(simulator_of(spec_of(path, **change))) == [False]


def test_all_in_leaves_no_rounding_of_cash_behind(tmp_path: Path) -> None:
    closes = [3.1, 2.9, 3.3, 3.7, 3.9, 4.3, 4.1, 3.0, 3.3, 3.9, 4.7]
    execution = {**FREE, "fee_bps": 3, "fill": "close", "cash": 1000.1}
    ran = run_spec(tmp_path, spec_of(closes_csv(tmp_path / "p.csv", closes), execution=execution))
    held = [(row, close) for row, close in zip(ran.rows("equity"), closes, strict=True) if row["position"]]
    assert len(held) > 4
    assert all(row["equity"] == row["position"] * close for row, close in held)


def test_a_price_out_of_all_bounds_leaves_nothing_in_the_returns_after_it(tmp_path: Path) -> None:
    closes = [100.0, 1e10, 99, 98, 97, 96, 95, 94, 95, 96, 97.5, 98, 99.2, 99, 99.5, 101, 100.7]
    spec = spec_of(closes_csv(tmp_path / "p.csv", closes), 1, 4, execution={**FREE, "fill": "close"})
    ran = run_spec(tmp_path, spec)
    equity = np.array([10_000.0, *[row["equity"] for row in ran.rows("equity")]])
    volatility = float(np.std(equity[1:] / equity[:-1] - 1, ddof=1) * np.sqrt(252))
    assert volatility > 0.01
    assert ran.result["best"]["metrics"]["annual_volatility"] == pytest.approx(volatility, rel=1e-9)
