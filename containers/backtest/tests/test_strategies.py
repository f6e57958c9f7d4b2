"""The built-in strategies against their definitions, written here in plain Python."""

import math
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from berth_backtest import indicators

from tests.reference import Bar, Rules, metrics, replay
from tests.support import day, run_spec, spec_of, write_csv

N = 120
Signs = list[int | None]


def market(seed: int) -> list[Bar]:
    rng = random.Random(seed)
    bars: list[Bar] = []
    close = 100.0
    for _ in range(N):
        o = max(5.0, close + rng.gauss(0, 1))
        close = max(5.0, o + rng.gauss(0, 2.5))
        bars.append((o, max(o, close) + rng.random(), min(o, close) - rng.random(), close))
    return bars


def mean(x: list[float], n: int, t: int) -> float | None:
    return math.fsum(x[t - n + 1 : t + 1]) / n if t >= n - 1 else None


def ema(x: list[float], n: int, seed: int | None = None) -> list[float | None]:
    out: list[float | None] = [None] * len(x)
    seed = n - 1 if seed is None else seed
    value = math.fsum(x[seed - n + 1 : seed + 1]) / n
    out[seed] = value
    for t in range(seed + 1, len(x)):
        value = x[t] * 2 / (n + 1) + value * (1 - 2 / (n + 1))
        out[t] = value
    return out


def crossing(a: list[float | None], b: list[float | None]) -> Signs:
    return [None if x is None or y is None else (x > y) - (x < y) for x, y in zip(a, b, strict=True)]


def latched(values: list[Any], long: Any, short: Any, no_long: Any, no_short: Any) -> Signs:
    """Holds a side from the bar on which its condition begins to the bar on which its exit is met."""
    out: Signs = []
    state = 0
    for t, x in enumerate(values):
        if x is None:
            out.append(None)
            continue
        before = values[t - 1] if t else None
        if (state == 1 and no_long(x)) or (state == -1 and no_short(x)):
            state = 0
        if before is not None:
            if long(x) and not long(before) and state <= 0:
                state = 1
            elif short(x) and not short(before) and state >= 0:
                state = -1
        out.append(state)
    return out


def rsi(x: list[float], n: int) -> list[float | None]:
    out: list[float | None] = [None] * len(x)
    gains = [max(b - a, 0.0) for a, b in pairwise(x)]
    losses = [max(a - b, 0.0) for a, b in pairwise(x)]
    up, down = math.fsum(gains[:n]) / n, math.fsum(losses[:n]) / n
    for t in range(n, len(x)):
        if t > n:
            up, down = (up * (n - 1) + gains[t - 1]) / n, (down * (n - 1) + losses[t - 1]) / n
        out[t] = 100 - 100 / (1 + up / down) if down else 100.0
    return out


def zscore(x: list[float], n: int) -> list[float | None]:
    out: list[float | None] = [None] * len(x)
    for t in range(n - 1, len(x)):
        part = x[t - n + 1 : t + 1]
        middle = math.fsum(part) / n
        out[t] = (x[t] - middle) / math.sqrt(math.fsum((y - middle) ** 2 for y in part) / n)
    return out


def signs_of(name: str, p: dict[str, float], bars: list[Bar]) -> Signs:
    closes = [bar[3] for bar in bars]
    if name == "ema_cross":
        return crossing(ema(closes, int(p["fast"])), ema(closes, int(p["slow"])))
    if name == "macd":
        seed = int(p["slow"]) - 1
        pairs = zip(ema(closes, int(p["fast"]), seed), ema(closes, int(p["slow"]), seed), strict=True)
        line = [None if a is None or b is None else a - b for a, b in pairs]
        known = [x for x in line if x is not None]
        signal = [None] * (len(line) - len(known)) + ema(known, int(p["signal"]))
        return crossing(line, signal)
    if name == "rsi":
        low, high, leave = p["lower"], p["upper"], p["exit"]
        return latched(
            rsi(closes, int(p["window"])),
            lambda x: x < low,
            lambda x: x > high,
            lambda x: x >= leave,
            lambda x: x <= leave,
        )
    if name in ("bollinger", "zscore"):
        wide = p["width"] if name == "bollinger" else p["enter"]
        leave = 0.0 if name == "bollinger" else p["exit"]
        return latched(
            zscore(closes, int(p["window"])),
            lambda x: x < -wide,
            lambda x: x > wide,
            lambda x: x >= -leave,
            lambda x: x <= leave,
        )
    if name == "donchian":
        enter, leave = int(p["window"]), int(p["exit"])
        values: list[Any] = []
        for t, bar in enumerate(bars):
            if t < max(enter, leave):
                values.append(None)
                continue
            high = [max(b[1] for b in bars[t - n : t]) for n in (enter, leave)]
            low = [min(b[2] for b in bars[t - n : t]) for n in (enter, leave)]
            values.append((bar[3], high, low))
        return latched(
            values,
            lambda x: x[0] > x[1][0],
            lambda x: x[0] < x[2][0],
            lambda x: x[0] < x[2][1],
            lambda x: x[0] > x[1][1],
        )
    raise AssertionError(name)


SETS: list[tuple[str, dict[str, float]]] = [
    ("ema_cross", {"fast": 5, "slow": 12}),
    ("macd", {"fast": 5, "slow": 10, "signal": 4}),
    ("rsi", {"window": 7, "lower": 35, "exit": 50, "upper": 65}),
    ("bollinger", {"window": 12, "width": 1.4}),
    ("zscore", {"window": 15, "enter": 1.3, "exit": 0.4}),
    ("donchian", {"window": 10, "exit": 5}),
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("name", "parameters"), SETS, ids=[name for name, _ in SETS])
def test_a_built_in_strategy_trades_by_its_definition(
    tmp_path: Path, name: str, parameters: dict[str, float], seed: int
) -> None:
    bars = market(seed)
    path = write_csv(
        tmp_path / "p.csv", "date,open,high,low,close", [(day(i), *b) for i, b in enumerate(bars)]
    )
    spec = spec_of(path, execution={"direction": "both"})
    spec |= {"strategy": {"name": name}, "parameters": parameters, "search": {"min_trades": 0}}
    run = run_spec(tmp_path / "out", spec)
    expected = replay(Rules(direction="both"), signs_of(name, parameters, bars), list(bars))
    assert len(expected.trades) > 3
    assert run.equity() == pytest.approx(expected.equity, rel=1e-12)
    assert len(run.trades()) == len(expected.trades)
    for metric, value in metrics(expected, Rules(), 0.0).items():
        assert run.metrics[metric] == (value if value is None else pytest.approx(value, rel=1e-9)), metric


def test_buy_and_hold_buys_once(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "p.csv", "date,close", [(day(i), 10 + i) for i in range(5)])
    execution = {"fee_bps": 0, "slippage_bps": 0, "cash": 110}
    spec = spec_of(path, execution=execution) | {"strategy": {"name": "buy_and_hold"}, "parameters": {}}
    run = run_spec(tmp_path / "out", spec)
    [trade] = run.trades()
    assert (trade["entry_date"].isoformat(), trade["units"], trade["open"]) == (day(1), 10, True)
    assert run.equity() == [110, 110, 120, 130, 140]


def test_a_window_longer_than_the_data_never_trades(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "p.csv", "date,close", [(day(i), 10 + i % 3) for i in range(9)])
    for name in ("macd", "rsi", "bollinger", "donchian", "ema_cross"):
        spec = spec_of(path) | {"strategy": {"name": name}, "parameters": {}}
        assert run_spec(tmp_path / name, spec).trades() == []


def test_an_unknown_indicator_is_not_there() -> None:
    assert set(indicators.__all__) <= set(dir(indicators))
    assert len(indicators.__all__) >= 25
