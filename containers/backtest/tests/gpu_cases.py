"""Runs each case on the CPU and on the simulated GPU, and prints what of the two differs, as JSON.

Run by test_gpu.py with NUMBA_ENABLE_CUDASIM=1, which Numba reads when it is imported.
"""

import json
import math
import os
import random
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

from berth_backtest import chunks, simulate
from berth_backtest.errors import ProgramError, StoppedError
from berth_backtest.gpu import front, sweep
from berth_backtest.job import run_job
from berth_backtest.metrics import NAMES
from berth_backtest.report import Progress, Stop
from berth_backtest.simulate import Simulator

from tests.support import Json, run_spec, spec_of, write_csv
from tests.test_reference import draw_execution, market, rows_of

BARS = 75
PRICES = "date,symbol,open,high,low,close,volume"
EXTRA = "date,symbol,open,high,low,close,split_ratio,dividend,delist_date"
CN = "date,symbol,open,high,low,close,board,list_date,is_st,suspended"

STEP = """
NEAR = 1e-12

def above(a, b):
    return a > b + NEAR * b

@strategy
class X:
    fast = param.int(1, 50, default=3)
    most = param.float(0, 2, default=1)
    worst = state.float(0)
    held = state.float(0)
    sf = ind.sma("close", window=fast)
    ss = ind.sma("close", window=9)

    def step(s, bar, t, t1, p):
        s.held = s.held + 1
        if s.pos == 0:
            s.worst = 0
            if above(t.sf, t.ss) and not above(t1.sf, t1.ss):
                return target(p.most, stop_loss=0.05)
            return target(-0.5) if s.held % 7 == 0 else keep()
        s.worst = min(s.worst, log(sqrt(bar.close / s.entry)) * 2, floor(exp(0)) - 1)
        if s.worst < -0.04 or bar.high > 1.1 * s.entry:
            return close()
        return units(3) if s.bars_held == 4 else keep()
"""
WRONG = """
@strategy
class X:
    size = param.float(0, 9, default=1)

    def step(s, bar, t, t1, p):
        return target(p.size) if bar.i == 5 else keep()
"""

STRATEGIES: dict[str, Json] = {
    "sma_cross": {"fast": {"range": [1, 3, 1]}, "slow": {"range": [2, 5, 1]}},
    "ema_cross": {"fast": {"range": [2, 3, 1]}, "slow": {"range": [4, 6, 1]}},
    "macd": {"fast": {"values": [3, 5]}, "slow": 8, "signal": {"values": [2, 4]}},
    "rsi": {"window": {"values": [2, 5]}, "lower": {"values": [30, 45]}, "upper": 60},
    "bollinger": {"window": {"values": [4, 9]}, "width": {"values": [0.5, 1.5]}},
    "zscore": {"window": {"values": [4, 9]}, "enter": {"values": [1, 1.5]}, "exit": 0.2},
    "donchian": {"window": {"values": [4, 7]}, "exit": {"values": [2, 3]}},
    "buy_and_hold": {},
}
STOPS: Json = {
    "fast": 2,
    "slow": {"values": [3, 5]},
    "stop_loss": 0.06,
    "take_profit": {"values": [0, 0.1]},
    "trailing_stop": {"values": [0, 0.08]},
}
FEATURES: dict[str, Json] = {
    "stops": {"parameters": STOPS},
    "stops_at_close": {"parameters": STOPS, "execution": {"fill": "close", "stop_reference": "entry_close"}},
    "stops_of_shorts": {
        "parameters": STOPS,
        "execution": {"direction": "both", "fill": "next_close", "stop_reference": "decision_close"},
    },
    "level": {"strategy": {"entry": "level"}, "parameters": {"stop_loss": 0.03}},
    "reverse": {"execution": {"direction": "both", "borrow_bps_per_year": 900}},
    "lots": {"execution": {"lot": 10, "cash": 3000, "sizing": {"fraction": 0.6}}},
    "least_fee": {"execution": {"fee_bps": 20, "fee_min": 5, "fractional": True, "stamp_duty_bps": 10}},
    "units": {"execution": {"sizing": {"units": 7}, "direction": "short"}},
    "retried": {"execution": {"retry_entries": True, "close_at_end": True, "fill": "close"}},
    "ruined": {"execution": {"direction": "short", "sizing": {"cash": 9000}, "cash": 9000}, "trend": 4},
    "warm_up": {"data": {"start": "2020-01-21"}},
    "warm_up_level": {"data": {"start": "2020-01-21"}, "strategy": {"entry": "level"}},
    "random_search": {"search": {"method": "random", "trials": 9}},
    "least_of_the_symbols": {"search": {"aggregate": "min"}},
    "median_of_the_symbols": {"search": {"aggregate": "median", "min_trades": 9}, "symbols": 3},
    "walk_forward": {"validation": {"method": "walk_forward", "folds": 2}},
}
SEEDS = 6  # of random rules


def cases() -> Iterator[tuple[str, Json]]:
    """Yields names and what a case needs."""
    for name, parameters in STRATEGIES.items():
        yield name, {"strategy": {"name": name}, "parameters": parameters}
        warm = {"strategy": {"name": name, "entry": "level"}, "data": {"start": "2020-01-21"}}
        yield f"{name}_warm", {"parameters": parameters, "execution": {"direction": "both"}, **warm}
    for name, parts in FEATURES.items():
        yield (
            name,
            {"parameters": STRATEGIES["sma_cross"], **parts}
            | {"parameters": STRATEGIES["sma_cross"] | parts.get("parameters", {})},
        )
    for seed in range(SEEDS):
        rng = random.Random(seed)
        entry = rng.choice(["cross", "level"])
        stops = {name: rng.choice([0, 0.03, 0.1]) for name in ("stop_loss", "take_profit", "trailing_stop")}
        yield (
            f"rules_{seed}",
            {
                "strategy": {"entry": entry},
                "parameters": STRATEGIES["sma_cross"] | stops,
                "execution": draw_execution(rng, True),
            },
        )
    yield (
        "actions",
        {
            "market": "actions",
            "execution": {"direction": "both"},
            "parameters": STOPS,
        },
    )
    china = {"profile": "cn_a", "cash": 100_000, "stop_loss": 0.05}
    yield "cn_a", {"market": "china", "execution": china, "parameters": STRATEGIES["sma_cross"]}
    user = {"source": STEP, "class": "X"}
    values = {"fast": {"values": [2, 4]}, "most": {"values": [0.4, 1]}}
    yield "step", {"strategy": user, "parameters": values, "execution": {"direction": "both", "lot": 2}}
    yield "step_cn_a", {"market": "china", "strategy": user, "parameters": values, "execution": china}
    wrong = {"source": WRONG, "class": "X"}
    yield "wrong_order", {"strategy": wrong, "parameters": {"size": {"values": [0.5, 1, 3]}}}
    for name, (fault, parameters) in FAULTS.items():
        yield name, {"fault": fault, "parameters": parameters}
    yield "stopped_check", {"parameters": STRATEGIES["sma_cross"], "stopped": True}


def prices(path: Path, kind: str, trend: float, symbols: int) -> Path:
    """Writes two symbols or three; suspended and missing bars are among them."""
    rows: list[list[object]] = []
    for k, symbol in enumerate(("AA", "BB", "CC")[:symbols]):
        bars = [
            tuple(x + trend * i for x in bar) if isinstance(bar, tuple) else bar
            for i, bar in enumerate(market(random.Random(k + 1), BARS))
        ]
        rows += rows_of(symbol, bars, PRICES)
    if kind == "plain":
        return write_csv(path, PRICES, rows)
    found = []
    for row in rows:
        date, symbol, o, h, low, c, volume = row
        number = len([one for one in found if one[1] == symbol])
        if kind == "china":
            found.append([date, symbol, o, h, low, c, "main", "2000-01-04", 0, int(volume == 0)])
        elif number < 60 or symbol == "AA":
            split, paid = (2, 0) if number == 40 else (1, 0.7 if number % 25 == 24 else 0)
            found.append([date, symbol, o, h, low, c, split, paid, "2020-03-20" if symbol == "BB" else None])
    if kind == "actions":
        found = [row for row in found if row[2] != 0 and (row[1] == "AA" or str(row[0]) <= "2020-03-20")]
    return write_csv(path, CN if kind == "china" else EXTRA, found)


@contextmanager
def small_memory() -> Iterator[None]:
    """A device on which two sets fit, and no more."""
    whole = sweep.GpuSweep.run_batch

    def run_batch(self: Any, points: Any, keep: bool) -> Any:
        if len(points) > 2:
            raise MemoryError("CUDA_ERROR_OUT_OF_MEMORY")
        return whole(self, points, keep)

    with patch.object(sweep, "LEAST", 2), patch.object(sweep.GpuSweep, "run_batch", run_batch):
        yield


@contextmanager
def no_memory() -> Iterator[None]:
    with patch.object(front, "free_bytes", lambda: 0):
        yield


@contextmanager
def lost_device() -> Iterator[None]:
    """A device that runs one chunk of 64 sets, and no second one."""
    calls = []
    whole = sweep.GpuSweep.run_batch

    def run_batch(self: Any, points: Any, keep: bool) -> Any:
        calls.append(len(points))
        if len(calls) > 1:
            raise RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS")
        return whole(self, points, keep)

    with patch.object(sweep.GpuSweep, "run_batch", run_batch), patch.object(chunks, "GPU_UPDATES", 1):
        yield


@contextmanager
def wrong_sums() -> Iterator[None]:
    whole = sweep.GpuSweep.run_batch

    def run_batch(self: Any, points: Any, keep: bool) -> Any:
        part = whole(self, points, keep)
        part["means"][-1, NAMES.index("sharpe")] += 1e-6
        return part

    with patch.object(sweep.GpuSweep, "run_batch", run_batch):
        yield


def stop_in_check(out: Path, spec: Json) -> Json:
    """Returns what a start wrote that gets SIGTERM while the CPU looks at the second symbol.

    The next start in that folder goes on from there.
    """
    os.environ["BERTH_CHECKPOINT_DIR"] = str(out.parent / "kept")
    whole, looks = Simulator.check_stop, iter(range(1000))

    def check_stop(self: Simulator) -> None:
        if next(looks) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        whole(self)

    before = signal.getsignal(signal.SIGTERM)
    try:
        with patch.object(simulate, "TABLE_BYTES", 1), patch.object(Simulator, "check_stop", check_stop):
            run_job(spec, out, Progress(None), Stop().listen(), 1)
    except StoppedError:
        return dict(json.loads((out / "result.json").read_text()))
    finally:
        signal.signal(signal.SIGTERM, before)
    raise AssertionError("it was not stopped")


FAULTS = {
    "small_memory": (small_memory, STRATEGIES["sma_cross"]),
    "no_memory": (no_memory, STRATEGIES["sma_cross"]),
    "lost_device": (lost_device, {"fast": {"range": [1, 6, 1]}, "slow": {"range": [7, 17, 1]}}),
    "wrong_sums": (wrong_sums, STRATEGIES["sma_cross"]),
}


def ran(folder: Path, case: Json, device: str) -> Json:
    """Returns what a run found; of an error its message."""
    os.environ["BERTH_DEVICE"] = device
    parts = dict(case)
    kind, trend, symbols = parts.pop("market", "plain"), parts.pop("trend", 0.0), parts.pop("symbols", 2)
    fault = parts.pop("fault", nullcontext) if device != "cpu" else nullcontext
    parts.pop("fault", None)
    is_stopped = parts.pop("stopped", False) and device != "cpu"
    folder.mkdir(parents=True)
    path = prices(folder / "p.csv", kind, trend, symbols)
    spec = spec_of(path, output={"top_k": 0}, **{"data": {}, "strategy": {}, **parts})
    spec["parameters"] = parts.get("parameters", {})
    spec["data"]["adjustment"] = "total" if kind == "plain" else "none"
    if "source" in spec["strategy"]:
        spec["strategy"].pop("name")
    try:
        early = stop_in_check(folder / "out", spec) if is_stopped else None
        with fault():
            found = run_spec(folder / "out", spec)
    except ProgramError as error:
        return {"error": str(error)}
    finally:
        os.environ.pop("BERTH_CHECKPOINT_DIR", None)
    result = found.result
    same = {name: result[name] for name in ("best", "points", "skipped", "ties", "validation", "overfitting")}
    tables = {name: found.rows(name) for name in ("points", "metrics")}
    engine = {name: result["engine"][name] for name in ("device", "path", "fallback_reason", "spot_check")}
    trades = result["best"]["metrics"]["trades"]
    return {"result": same, **tables, "engine": engine, "trades": trades, "early": early}


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Returns where two values differ; NaN is NaN."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [text for key in one for text in differences(one[key], other[key], f"{where}/{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [text for i, (a, b) in pairs for text in differences(a, b, f"{where}/{i}")]
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other):
        return []
    return [] if one == other else [f"{where}: {one!r} is not {other!r}"]


def main(folder: Path) -> None:
    only = sys.argv[2:]
    for name, case in cases():
        if only and name not in only:
            continue
        try:
            cpu, gpu = (ran(folder / name / device, case, device) for device in ("cpu", "cuda"))
            engine, early = gpu.pop("engine", None), gpu.pop("early", None)
            cpu = {key: found for key, found in cpu.items() if key not in ("engine", "early")}
            answer = {"differences": differences(gpu, cpu)[:5], "engine": engine, "found": gpu.get("error")}
            answer |= {"trades": gpu.get("trades"), "early": early}
        except Exception:  # noqa: BLE001 (each case tells of its own)
            answer = {"differences": [traceback.format_exc()[-2000:]], "engine": None}
        print("case", json.dumps({"name": name, **answer}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
