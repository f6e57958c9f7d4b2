"""The look-ahead guard: ten ways to use the future are found, ten honest strategies pass."""

import random
from pathlib import Path
from typing import Any

import pytest
from berth_backtest.errors import ProgramError

from tests.support import FREE, Ran, day, run_spec, write_csv

BARS = 120


def prices(path: Path) -> Path:
    """Writes two random walks, four bars a date, so that there are sessions to peek at."""
    draw = random.Random(7)
    rows: list[list[object]] = []
    for name in ("AA", "BB"):
        close = 50.0
        for i in range(BARS):
            begin = close * (1 + draw.gauss(0, 0.005))
            close *= 1 + draw.gauss(0, 0.02)
            high, low = max(begin, close) * 1.003, min(begin, close) * 0.997
            stamp = f"{day(i // 4)}T{9 + i % 4:02d}:00:00Z"
            rows.append([stamp, name, begin, high, low, close, draw.randrange(100, 900)])
    return write_csv(path, "date,symbol,open,high,low,close,volume", rows)


def run_body(tmp_path: Path, body: str) -> Ran:
    lines = "\n".join(f"        {line}" for line in body.strip().splitlines())
    source = f"class X:\n    a = param.int(2, 20, default=5)\n\n    def signals(data, p):\n{lines}\n"
    return run_source(tmp_path, source)


def run_source(tmp_path: Path, source: str, **parts: Any) -> Ran:
    spec = {
        "data": {"files": [{"url": str(prices(tmp_path / "p.csv"))}], "adjustment": "total"},
        "strategy": {"source": source, "class": "X"},
        "parameters": {"a": {"values": [5, 8, 13]}},
        "execution": FREE,
        "periods_per_year": 1008,
        "output": {"tearsheet": False, "look_ahead_check": True},
        **parts,
    }
    return run_spec(tmp_path / "out", spec)


HELD = "\nreturn np.where(wanted, 0.5, 0.0)"
PLANTED = {
    "future close": "c = data.close\nwanted = np.roll(c, -1, axis=0) > c",
    "future open": """
after = np.full(data.open.shape, np.nan)
after[:-1] = data.open[1:]
wanted = after > data.close""",
    "centred window": """
c, k = data.close, int(p.a)
mean = np.array([c[max(0, i - k) : i + k + 1].mean(axis=0) for i in range(len(c))])
wanted = c < mean""",
    "global z-score": "c = data.close\nwanted = (c - c.mean(axis=0)) / c.std(axis=0) < -0.5",
    "future rank": """
r = np.zeros(data.close.shape)
r[:-1] = data.close[1:] / data.close[:-1]
wanted = r.argsort(axis=1).argsort(axis=1) == 1""",
    "normalised by the last value": "wanted = data.close / data.close[-1] < 1",
    "backward fill": """
c = np.where(data.volume > 800, data.close, np.nan)
for i in range(len(c) - 2, -1, -1):
    c[i] = np.where(np.isnan(c[i]), c[i + 1], c[i])
wanted = data.close < c""",
    "shifted label": """
c, k = data.close, 3
label = np.zeros(c.shape)
label[:-k] = c[k:] / c[:-k] - 1
wanted = label > 0.01""",
    "peeking at the next session": """
c = data.close
d = data.dates.astype("datetime64[D]")
wanted = np.zeros(c.shape, dtype=bool)
for i in range(len(c)):
    later = c[d == d[i] + 1]
    wanted[i] = later[-1] > c[i] if len(later) else False""",
    "maximum of the whole series": "wanted = data.close < 0.95 * data.close.max(axis=0)",
}
CLEAN = {
    "past close": """
c = data.close
before = np.full(c.shape, np.nan)
before[1:] = c[:-1]
wanted = c > before""",
    "trailing window": """
c, k = data.close, int(p.a)
mean = np.array([c[max(0, i - k) : i + 1].mean(axis=0) for i in range(len(c))])
wanted = c < mean""",
    "running z-score": """
c = data.close
wanted = np.zeros(c.shape, dtype=bool)
for i in range(5, len(c)):
    wanted[i] = (c[i] - c[:i].mean(axis=0)) / c[:i].std(axis=0) < -0.5""",
    "rank of this bar": "wanted = data.close.argsort(axis=1).argsort(axis=1) == 1",
    "normalised by the first value": "wanted = data.close / data.close[0] < 1",
    "forward fill": """
c = np.where(data.volume > 800, data.close, np.nan)
for i in range(1, len(c)):
    c[i] = np.where(np.isnan(c[i]), c[i - 1], c[i])
wanted = data.close < c""",
    "the session before": """
c = data.close
d = data.dates.astype("datetime64[D]")
wanted = np.zeros(c.shape, dtype=bool)
for i in range(len(c)):
    earlier = c[d == d[i] - 1]
    wanted[i] = earlier[-1] < c[i] if len(earlier) else False""",
    "running maximum": "wanted = data.close < 0.95 * np.maximum.accumulate(data.close, axis=0)",
}
STEP = """
class X:
    a = param.int(2, 20, default=5)
    mean = ind.sma("close", window=a)

    def step(s, bar, t, t1, p):
        if bar.close > t.mean:
            return target(0.5)
        return close()
"""
REBALANCE = """
@strategy(rebalance=4)
class X:
    a = param.int(2, 20, default=5)
    past = ind.roc("close", window=a)

    def rebalance(view, p, out):
        rank = view.rank(view.past)
        for i in range(view.n):
            if view.tradable[i]:
                out[i] = 1 if rank[i] < 1 else 0
"""


@pytest.mark.parametrize("kind", PLANTED)
def test_each_way_to_use_the_future_is_found(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ProgramError) as caught:
        run_body(tmp_path, PLANTED[kind] + HELD)
    assert caught.value.code == "look_ahead"


@pytest.mark.parametrize("kind", CLEAN)
def test_an_honest_strategy_passes(tmp_path: Path, kind: str) -> None:
    ran = run_body(tmp_path, CLEAN[kind] + HELD)
    assert ran.result["look_ahead"]["ok"] is True
    assert ran.metrics["trades"] > 0


@pytest.mark.parametrize("source", [STEP, REBALANCE], ids=["step", "rebalance"])
def test_an_honest_compiled_strategy_passes(tmp_path: Path, source: str) -> None:
    ran = run_source(tmp_path, source, portfolio={"mode": "shared"})
    assert ran.result["look_ahead"]["ok"] is True
    assert ran.metrics["trades"] > 0
