"""A sweep fills most orders by a short way, side by side; a run that is recorded by the long one, alone."""

import random
from pathlib import Path

import pytest
from berth_backtest.data.load import load_panel
from berth_backtest.kernel import layout
from berth_backtest.plan import make_plan
from berth_backtest.record import record
from berth_backtest.simulate import make_simulator
from berth_backtest.spec.parse import parse_spec

from tests.support import Json, day, spec_of, write_csv
from tests.test_reference import draw_execution, market, rows_of

BARS = 90
PRICES = "date,symbol,open,high,low,close,volume"
STEP = """
@strategy(warmup=3)
class X:
    fast = param.int(1, 50, default=3)
    slow = param.int(1, 50, default=9)
    most = param.float(-1, 1, default=1)
    n = state.float(0)
    sf = ind.sma("close", window=fast)
    ss = ind.sma("close", window=slow)

    def step(s, bar, t, t1, p):
        s.n = s.n + 1
        if s.pos == 0:
            if t.sf > t.ss and not t1.sf > t1.ss:
                return target(p.most)
            return units(s.n / 3) if s.n % 9 == 0 else keep()
        if s.n % 11 == 0:
            return target(0.3)
        if t.sf < 0.98 * t.ss or s.cash < 40:
            return close()
        return target(0) if s.bars_held > 6 or s.equity > 1.1 * s.entry * s.pos else keep()
"""
STOPPED = STEP.replace("(0.3)", "(0.3, take_profit=0.05)").replace("(p.most)", "(1, stop_loss=0.04)")
STOPS: Json = {"stop_loss": {"values": [0, 0.03]}, "take_profit": 0.05, "trailing_stop": 0.04}
FILLS = ("next_open", "next_close", "close")
SIZINGS = ("all_in", {"fraction": 0.5}, {"units": 20}, {"cash": 3000})
STRATEGIES: dict[str, tuple[Json, Json]] = {
    "step": ({"source": STEP, "class": "X"}, {"most": {"values": [1, 0.4, -0.5]}}),
    "step_stops": ({"source": STOPPED, "class": "X"}, {}),
    "stops": ({"name": "sma_cross", "entry": "level"}, STOPS),
    "level": ({"name": "sma_cross", "entry": "level"}, {}),
}


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("seed", range(8))
def test_a_sweep_has_the_sums_of_each_run_to_the_last_bit(name: str, seed: int, tmp_path: Path) -> None:
    rng = random.Random(f"{name} {seed}")
    strategy, parameters = STRATEGIES[name]
    rows = [row for s in ("AA", "BB") for row in rows_of(s, market(rng, BARS), PRICES)]
    steady = [(50.0 + i * 7 % 13, 70.0, 40.0, 50.0 + i * 5 % 11) for i in range(BARS)]
    path = write_csv(tmp_path / "p.csv", PRICES, [*rows, *rows_of("ZZ", list(steady), PRICES)])
    execution = {
        **draw_execution(rng, True),
        "direction": rng.choice(["long", "long", "both"]),
        "fill": FILLS[seed % 3],
        "sizing": SIZINGS[seed % 4],
        "cash": 9000,
    }
    grid = {"fast": {"values": [1, 2]}, "slow": {"range": [2, 26, 1]}}
    spec = spec_of(path, execution=execution, risk_free=0.02, data={"start": day(7 * (seed % 3))})
    parsed = parse_spec({**spec, "strategy": strategy, "parameters": {**grid, **parameters}})
    simulator = make_simulator(make_plan(parsed, load_panel(parsed.data)), 1)
    points = simulator.grid.valid_from(0, simulator.grid.total)
    raw = simulator.run(points)
    for i in range(0, len(points), 7):
        assert (raw[i] == record(simulator, int(points[i])).raw).all()
    assert raw[:, :, layout.TRADES].sum() > len(points)
