"""Sweeps on a GPU beside the CPU; prints one JSON line.

Run: npm run bench -- gpu
"""

import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from backtest import CORE, DEFAULT, random_panel
from berth_backtest.chunks import run_chunk
from berth_backtest.device import Device, no_gpu
from berth_backtest.plan import Plan, make_plan
from berth_backtest.kernel.ready import compile_kernel
from berth_backtest.simulate import make_simulator
from berth_backtest.spec.parse import parse_spec

ROUNDS = 5  # the best of them counts
CPU_SETS = 2_000  # a CPU would take minutes for all
SWEEPS: dict[str, dict[str, Any]] = {"core": CORE, "default": DEFAULT}
GRID = {
    "fast": {"range": [1, 200, 1]},
    "slow": {"range": [201, 400, 1]},
}  # 40,000 sets, all of them valid


class Timed:
    """A kernel that adds up the seconds that the device works on it."""

    def __init__(self, cuda: Any, kernel: Any) -> None:
        self.cuda, self.kernel, self.seconds = cuda, kernel, 0.0

    def __getitem__(self, grid: tuple[int, int]) -> Callable[..., None]:
        def launch(*arguments: Any) -> None:
            before, after = self.cuda.event(), self.cuda.event()
            before.record()
            self.kernel[grid](*arguments)
            after.record()
            after.synchronize()
            self.seconds += before.elapsed_time(after) / 1e3

        return launch


def plan_of(execution: dict[str, Any], bars: int, symbols: int) -> Plan:
    spec = parse_spec(
        {
            "data": {"files": [{"url": "none.csv"}], "adjustment": "total"},
            "strategy": {"name": "sma_cross"},
            "parameters": GRID,
            "execution": execution,
        }
    )
    return make_plan(spec, random_panel(symbols, bars))


def measured(plan: Plan, updates: float) -> dict[str, float]:
    """Returns G updates a second: of the device's own time, end to end, and of the CPU."""
    from berth_backtest.gpu.front import cuda
    from berth_backtest.gpu.sweep import open_gpu

    a_set = plan.panel.bars * len(plan.panel.symbols)
    simulator = make_simulator(plan, os.cpu_count() or 1)
    gpu = open_gpu(plan, simulator, Device("cuda", "cuda:0"))
    timed = Timed(cuda, gpu.kernel)
    gpu = replace(gpu, kernel=timed)
    points = plan.grid.valid_from(0, plan.grid.total)
    points = np.tile(points, math.ceil(updates / (a_set * len(points))))
    began = time.perf_counter()
    gpu.run_chunk(points[:128], False)
    first_s, whole_s, device_s = time.perf_counter() - began, math.inf, math.inf
    for _ in range(ROUNDS):
        timed.seconds, began = 0.0, time.perf_counter()
        gpu.run_chunk(points, False)
        whole_s = min(whole_s, time.perf_counter() - began)
        device_s = min(device_s, timed.seconds)
    began = time.perf_counter()
    run_chunk(plan, simulator, points[:CPU_SETS], False)
    cpu_s = time.perf_counter() - began
    g = a_set * len(points) / 1e9
    return {
        "g_updates": round(g, 3),
        "first_s": round(first_s, 3),
        "device_g_per_s": round(g / device_s, 4),
        "g_per_s": round(g / whole_s, 4),
        "cpu_g_per_s": round(a_set * min(CPU_SETS, len(points)) / cpu_s / 1e9, 4),
    }


def main() -> None:
    bars, symbols, updates = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    reason = no_gpu()
    if reason is not None:
        print(json.dumps({"skipped": reason}))
        return
    compile_kernel()
    figures: dict[str, float] = {}
    for name, execution in SWEEPS.items():
        found = measured(plan_of(execution, bars, symbols), updates)
        figures |= {f"{name}_{key}": value for key, value in found.items()}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
