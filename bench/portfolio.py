"""What is not a grid of a built-in strategy: steps, random points, a top k over a market, a single run.

Prints one JSON line. Run: npm run bench -- portfolio, which makes an environment like the image's for it.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as papq
from backtest import DEFAULT, GRID, THREADS, random_panel, seconds
from berth_backtest.data.panel import Panel
from berth_backtest.heap import keep_freed
from berth_backtest.job import run_job
from berth_backtest.plan import make_plan
from berth_backtest.report import Progress, Stop
from berth_backtest.kernel.ready import compile_kernel
from berth_backtest.simulate import make_simulator
from berth_backtest.spec.parse import parse_spec

ROUNDS = 5  # the best of them counts: others work on the machine too ...
SHORT_ROUNDS = 25  # ... and meet most of what takes milliseconds
TOP_K_BARS = 500
RANDOM_POINTS = 2_000
DAY_US = 86_400_000_000
STEP = """
NEAR = 1e-12

def above(a, b):
    return a > b + NEAR * b

@strategy
class Cross:
    fast = param.int(1, 200, default=10)
    slow = param.int(1, 400, default=30)
    sf = ind.sma("close", window=fast)
    ss = ind.sma("close", window=slow)

    def valid(p):
        return p.fast < p.slow

    def step(s, bar, t, t1, p):
        if s.pos == 0:
            return target(1) if above(t.sf, t.ss) and not above(t1.sf, t1.ss) else keep()
        return keep() if above(t.sf, t.ss) else close()
"""


def rate(panel: Panel, parts: dict[str, Any], count: int | None) -> float:
    """Returns bar-updates a second of a spec's points, or of `count` random ones, the best of some rounds."""
    spec = {"data": {"dataset": "sample:indices"}, "execution": DEFAULT, **parts}
    plan = make_plan(parse_spec(spec), panel)
    points = plan.grid.valid_from(0, plan.grid.total)
    if count is not None:
        points = np.sort(np.random.default_rng(1).choice(points, count, replace=False))
    best = 0.0
    for _ in range(ROUNDS):
        simulator = make_simulator(plan, THREADS)
        took = seconds(lambda simulator=simulator: simulator.run(points))
        best = max(best, len(points) * panel.close.size / took)
    return best


def single_run_ms(folder: Path, panel: Panel) -> tuple[float, float]:
    """Returns ms of one run with its files but for the tear sheet: warm, and from the process's start."""
    bars, symbols = panel.close.shape[1], len(panel.symbols)
    columns: dict[str, Any] = {
        "date": pa.array(
            np.tile(panel.dates // DAY_US, symbols).astype(np.int32), pa.date32()
        ),
        "symbol": np.repeat(panel.symbols, bars),
    }
    columns |= {name: panel.own[name] for name in ("open", "high", "low", "close")}
    papq.write_table(pa.table(columns), folder / "prices.parquet")
    spec = {
        "data": {
            "files": [{"url": str(folder / "prices.parquet")}],
            "adjustment": "total",
        },
        "strategy": {"name": "sma_cross"},
        "parameters": {"fast": 10, "slow": 30},
        "execution": DEFAULT,
        "output": {"tearsheet": False, "look_ahead_check": False, "robustness": False},
    }
    out = folder / "out"
    keep_freed()  # as a notebook does
    warm = min(
        seconds(lambda: run_job(spec, out, Progress(None), Stop(), THREADS))
        for _ in range(SHORT_ROUNDS)
    )
    (folder / "spec.json").write_text(json.dumps(spec))
    command = [
        sys.executable,
        "-P",  # a folder of the checkout named coverage is no package of that name
        "-m",
        "berth_backtest",
        str(folder / "spec.json"),
        str(folder / "second"),
    ]
    start = min(
        seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
        for _ in range(ROUNDS)
    )
    return warm * 1e3, start * 1e3


def main(bars: int, symbols: int, market: int) -> dict[str, float]:
    panel = random_panel(symbols, bars)
    compile_kernel()
    user = {"strategy": {"source": STEP, "class": "Cross"}, "parameters": GRID}
    wide = {"fast": {"range": [2, 120, 1]}, "slow": {"range": [5, 400, 1]}}
    built_in = {"strategy": {"name": "sma_cross"}, "parameters": wide}
    weights = {
        "strategy": {"name": "momentum_top_k", "rebalance": 1},
        "parameters": {"k": 50, "window": 20},
        "portfolio": {"mode": "shared"},
    }
    figures = {
        "user_step_m_per_s": rate(panel, user, None),
        "random_points_m_per_s": rate(panel, built_in, RANDOM_POINTS),
        "top_k_m_per_s": rate(random_panel(market, TOP_K_BARS), weights, None),
    }
    found = {name: round(value / 1e6, 1) for name, value in figures.items()}
    with tempfile.TemporaryDirectory() as folder:
        warm, cold = single_run_ms(Path(folder), panel)
    return found | {
        "single_run_ms": round(warm, 1),
        "single_run_from_start_ms": round(cold),
    }


if __name__ == "__main__":
    log = sys.stdout
    sys.stdout = sys.stderr  # the runs' own lines
    figures = main(*(int(argument) for argument in sys.argv[1:]))
    print(json.dumps(figures), file=log)  # noqa: T201
